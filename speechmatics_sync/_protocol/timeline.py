"""The audio of a session: what was sent, what is settled, what is sent again.

Settled is audio that final words cover, and translations, if there are any. Times are in seconds
of the session, positions in bytes of a channel's audio.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Optional

from .._model.audio_format import AudioFormat
from .._model.transcription_config import TranslationConfig
from .._model.typing import Label, Message
from .channel import Channel, LegChannel
from .delivered import BEFORE_WORD, Delivered, Reach
from .events import Queued
from .multiplexer import Multiplexer, Placed
from .stitching import Overlap

__all__ = ["Replay", "Timeline"]


_OVERLAP = 2.0
"""Seconds before a cut, which may go through a word, that the next leg is sent as well."""

_LEAST_OVERLAP = 1.0
"""With less, the next leg might hear neither the word at the cut nor the one before it whole."""


class Replay(NamedTuple):
    """What a leg sends again.

    Args:
        audio_time: Up to where the audio is settled, in seconds; None for ``file`` audio.
        seconds_replayed: How much audio was sent before and is sent again; None for ``file`` audio.
        gaps: Audio that is lost, (start, end) in seconds.
        labels_restart: Whether speakers get new labels, which cannot be matched with the old ones.
    """

    audio_time: Optional[float]
    seconds_replayed: Optional[float]
    gaps: Sequence[tuple[float, float]] = ()
    labels_restart: bool = False

    @property
    def seconds_lost(self) -> float:
        """How much audio is lost."""
        return sum(end - start for start, end in self.gaps)


class Timeline:
    """The audio of a session's channels.

    Args:
        audio_format: What the audio is.
        names: The channels.
        translation: Into which languages it is translated.
        replay_seconds: How much unsettled audio is kept to be sent again; None to keep none.
    """

    def __init__(
        self,
        audio_format: AudioFormat,
        names: Sequence[Label],
        translation: Optional[TranslationConfig],
        replay_seconds: Optional[float],
    ) -> None:
        self.raw = audio_format.encoding is not None
        """Whether the audio is raw samples, and not an encoded file."""
        size = audio_format.bytes_per_sample if self.raw else None
        rate = audio_format.sample_rate if self.raw else None
        self.channels: dict[Label, Channel] = {
            name: Channel(size, rate, replay_seconds) for name in names
        }
        self.waiting: Multiplexer[Queued] = Multiplexer(names)
        self.delivered = Delivered(
            names, () if translation is None else translation.target_languages
        )
        self.unsettled: Sequence[Label] = names
        """The channels that the next leg has."""
        self._translated = translation is not None
        self._sent_until: dict[Label, int] = dict.fromkeys(names, 0)
        self._cut_at: dict[Label, int] = dict.fromkeys(names, 0)
        """Where the audio begins that the leg after an ended one is sent."""

    def seconds(self, label: Label, size: int) -> float:
        """Return how long ``size`` bytes of audio last; 0.0 for ``file`` audio."""
        return self.channels[label].seconds(size) or 0.0

    def note(self, message: Message, leg_channels: Mapping[Label, LegChannel]) -> bool:
        """Take note of a message of a leg that was delivered, and drop audio that it settles.

        Returns:
            Whether it settles any.
        """
        if not self.delivered.note(message, self.reach(leg_channels)):
            return False
        self._release()
        return True

    def reach(self, leg_channels: Mapping[Label, LegChannel], *, sent: bool = False) -> Reach:
        """Return how far a leg's audio is acknowledged: it cannot know of what comes after.

        Args:
            leg_channels: The leg's channels.
            sent: How far it was sent, in place of that.
        """

        def reach(label: Label) -> float:
            if not self.raw:
                return math.inf
            if label in self.channels:
                on_leg = leg_channels.get(label)
                if on_leg is None:
                    return 0.0
                return self.seconds(label, on_leg.sent_until if sent else on_leg.acknowledged_until)
            return max(map(reach, leg_channels), default=0.0)

        return reach

    def _release(self) -> None:
        for label, channel in self.channels.items():
            channel.release(channel.position_at(self._resume_seconds(label)))

    def take_back(self) -> None:
        """Put unsettled audio, from a little before it, to the front of what waits."""
        self.unsettled = [label for label in self.channels if not self._settled(label)] or list(
            self.channels
        )
        for label in self.unsettled:
            channel, sent = self.channels[label], self.waiting.position(label)
            position = min(channel.position_at(self._resume_seconds(label)), sent)
            self._take_back(label, channel.retained_from(position, sent))

    def cut(
        self, leg_channels: Mapping[Label, LegChannel], torn: Collection[Label]
    ) -> dict[Label, Overlap]:
        """Note that everything that was sent will be settled before anything that waits.

        Args:
            leg_channels: The channels of the leg that was sent it.
            torn: Channels that may be in the middle of a word: what was sent last is sent again.

        Returns:
            What is sent again, by channel.
        """
        self.unsettled = [label for label in self.channels if not self.waiting.finished(label)]
        for label in self.channels:
            self._sent_until[label] = self._cut_at[label] = self.waiting.position(label)
        overlaps = {label: self._overlap(label, leg_channels[label].start) for label in torn}
        return {label: overlap for label, overlap in overlaps.items() if overlap is not None}

    def settle_up_to_the_cut(self, leg_channels: dict[Label, LegChannel]) -> None:
        """Count the audio of a leg as settled, up to where that of the next begins."""
        for label in leg_channels:
            self.delivered.skip(label, self.seconds(label, self._cut_at[label]))

    def begin(self, leg_channels: dict[Label, LegChannel]) -> None:
        """Start the channels of a leg where the audio stands now."""
        for label in leg_channels:
            start = self.waiting.position(label)
            leg_channels[label] = LegChannel(start, self.channels[label].next_number - 1)

    def skip_what_is_lost(self) -> None:
        """Count audio that cannot be sent any more as settled."""
        if self.raw:
            for label in self.unsettled:
                start = self.waiting.position(label)
                self.delivered.skip(label, self.seconds(label, start))

    def replay(self, *, may_lack: bool, labels_restart: bool) -> Replay:
        """Return what a leg that begins now sends again.

        Args:
            may_lack: Whether what is not settled and not sent by it is lost.
            labels_restart: Whether speakers have new labels on it.
        """
        if not self.raw:
            return Replay(None, None)
        settled = {label: self.delivered.settled(label) for label in self.unsettled}
        starts = {label: self.seconds(label, self.waiting.position(label)) for label in settled}
        gaps = []
        if may_lack:
            gaps = [
                (settled[label], start) for label, start in starts.items() if start > settled[label]
            ]
        again = [
            self.seconds(label, self._sent_until[label]) - start for label, start in starts.items()
        ]
        return Replay(min(settled.values(), default=0.0), max([0.0, *again]), gaps, labels_restart)

    def asks_still(self, placed: Placed[Queued]) -> bool:
        """Return whether a message that was not answered is to be sent again.

        A ForceEndOfUtterance is not, unless audio before it is sent again.
        """
        if placed.message.question is not None:
            return not placed.message.question.own
        return self.is_reached(placed) and any(
            placed.after[label] > self.waiting.position(label) for label in self.unsettled
        )

    def is_reached(self, placed: Placed[Queued]) -> bool:
        """Return whether the next leg has the channel that a message names, if it names one."""
        channel = placed.message.message.get("channel")
        return channel is None or channel in self.unsettled

    def _settled(self, label: Label) -> bool:
        """Return whether nothing of a channel is to be sent again or still to be sent."""
        channel = self.channels[label]
        # The length of an encoded file in seconds is not known.
        if not self.raw or not self.waiting.finished(label):
            return False
        return self.delivered.settled(label) >= self.seconds(label, channel.bytes_taken)

    def _resume_seconds(self, label: Label) -> float:
        # AddTranslation names no channel, so with translation all channels restart at one time.
        labels = self.unsettled if self._translated else (label,)
        return min((self.delivered.resume_at(each) for each in labels), default=0.0)

    def _overlap(self, label: Label, leg_start: int) -> Optional[Overlap]:
        """Take back the last audio of a channel; return which, or None if too little is left."""
        channel, sent = self.channels[label], self.waiting.position(label)
        end = self.seconds(label, sent)
        position = channel.chunk_start(channel.position_at(max(0.0, end - _OVERLAP)), sent)
        start = self.seconds(label, position)
        from_its_start = position <= leg_start
        if end - start < _LEAST_OVERLAP and not from_its_start:
            return None
        self._take_back(label, position, settled=False)
        self._cut_at[label] = position
        return Overlap(0.0 if from_its_start else start + BEFORE_WORD, end)

    def _take_back(self, label: Label, position: int, *, settled: bool = True) -> None:
        channel = self.channels[label]
        sent = self.waiting.position(label)
        chunks = channel.take_back(position, settled=settled)
        self._sent_until[label] = max(sent, self._sent_until[label])
        if not channel.rereadable:
            self.waiting.put_back_audio(label, chunks)
            return
        self.waiting.rewind(label, position)
        if channel.ended and not channel.refilling:
            self.waiting.end_channel(label)
