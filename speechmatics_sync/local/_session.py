"""The server's side of one Realtime session, without sockets, threads or a clock.

It takes the client's messages and yields the server's; nothing else changes its state. The states,
and what a client may send in each:

    state      StartRecognition  audio  settings and requests  EndOfStream  then
    WAITING    yes               no     no                     no           STARTED
    STARTED    no                yes    yes                    yes          ENDING
    ENDING     no                warns  ignored                no           CLOSED, by `complete`
    CLOSED     –                 –      –                      –            –

"no" means the Error ``protocol_error``. An Error closes a session in any state, and `close_code`
is then the code to close the connection with. A chunk is acknowledged before it is recognised.
Recognition happens while the messages are iterated, so nothing piles up when sending is slow.

A session by channel takes AddChannelAudio instead of binary audio, and is ENDING when no channel is
open. Each channel's work is yielded as `Work`, to be done in order, but in parallel with that of
other channels. A `Moment` is yielded where a fault may be injected.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any, Callable, ClassVar, NamedTuple, Optional, Union

from ._audio import decoder_for
from ._channel import Channel, Message
from ._faults import Moment
from ._logs import logger
from ._quota import Quota
from ._recognizer import Recognizer
from ._record import ChannelRecord, SessionRecord
from ._speakers import Speakers
from ._validation import (
    BY_CHANNEL,
    CLOSE_CODE,
    Refused,
    check_message,
    check_mid_session,
    check_start,
    decode_audio,
    parse,
)

__all__ = ["Session", "Work"]

VERSION = "speechmatics-sync-local"
_BROADCAST_RATE = 12000

WAITING, STARTED, ENDING, CLOSED = "WAITING", "STARTED", "ENDING", "CLOSED"


class Work(NamedTuple):
    """The next work of one channel.

    Args:
        channel: The channel's label.
        messages: Does the work while it is iterated, and yields the messages to send.
        size: The bytes of audio it holds.
    """

    channel: str
    messages: Iterator[Message]
    size: int = 0


Step = Union[Message, Work, Moment]


class Session:
    """The protocol of one session.

    Args:
        recognizer: Recognises the audio.
        record: Where to record what the client sends.
        strict: Whether a wrong ``last_seq_no`` is an Error; otherwise it is logged.
        max_channels: How many channels the session may have.
        quota: Counts the session from its StartRecognition until it is closed.
        gone: Returns whether the client is gone, so that its audio need not be recognised.

    Attributes:
        state: ``"WAITING"``, ``"STARTED"``, ``"ENDING"`` or ``"CLOSED"``.
        close_code: The code to close the connection with, once the session is closed.
        ignores_audio: Whether audio is acknowledged but not recognised, as it is once a session
            has reached its maximum duration.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        record: SessionRecord,
        *,
        strict: bool,
        max_channels: int,
        quota: Quota,
        gone: Callable[[], bool],
    ) -> None:
        self.state = WAITING
        self.close_code: Optional[int] = None
        self.ignores_audio = False
        self._recognizer = recognizer
        self._record = record
        self._strict = strict
        self._max_channels = max_channels
        self._quota = quota
        self._gone = gone
        self._abandoned = False
        # By label, or one under None. Never changed in place: other threads read it (`abandon`).
        self._channels: dict[Optional[str], Channel] = {}
        self._stream_ended = False
        self._diarizes_speakers = False
        self._started_with: Message = {}
        self._language = ""
        self._speakers_at_end = False
        # Guards the state, what follows, and the speakers that channels collect: Work is done in
        # other threads.
        self._lock = threading.Lock()
        self._quality_reported = False

    def greet(self, now: str) -> Iterator[Message]:
        """Yield the first message of a connection.

        Args:
            now: The time, as ``YYYY-MM-DDTHH:MM:SSZ``.

        Raises:
            Refused: ``quota_exceeded`` if there are more sessions than may run.
        """
        usage, quota = self._quota.usage + 1, self._quota.limit
        yield {
            "message": "Info",
            "type": "concurrent_session_usage",
            "reason": f"{usage} of {quota} concurrent sessions in use",
            "usage": usage,
            "quota": quota,
            "last_updated": now,
        }
        self._quota.check(usage)

    def receive(self, message: Union[str, bytes]) -> Iterator[Step]:
        """Handle a client's message, text or audio, while the result is iterated.

        Returns:
            Messages to send, and the next work of channels.

        Raises:
            Refused: If the message is not allowed. The caller reports it with `fail`.
        """
        if self.state == CLOSED:
            return
        if not isinstance(message, str):
            yield from self._add_audio(bytes(message))
            return
        parsed = parse(message)
        handler = self._HANDLERS.get(parsed["message"])
        if handler is None:
            raise Refused("invalid_message", "not a message that a client can send")
        kept = self._record.messages if parsed["message"] != "AddChannelAudio" else None
        if kept is not None:
            kept.append(parsed)  # before the answer: a test that sees it reads the record
        try:
            yield from handler(self, parsed)
        except Refused:
            if kept is not None:
                kept.pop()
            raise

    def complete(self) -> Iterator[Message]:
        """Yield the last messages of a session, once all its channels have done their work."""
        if self._speakers_at_end:
            heard = [each for channel in self._channels.values() for each in channel.speakers]
            yield {"message": "SpeakersResult", "speakers": heard}
        yield {"message": "EndOfTranscript"}
        self._close(1000)

    def end_early(self) -> Iterator[Step]:
        """End every channel although the client has not; then call `complete`."""
        yield from self._end([one for one in self._channels.values() if not one.ended])

    def fail(
        self,
        type: str,
        reason: str,
        code: Optional[int] = None,
        close_code: Optional[int] = None,
    ) -> Message:
        """Close the session, and return the Error to send.

        Args:
            type: The type of the Error.
            reason: The reason of the Error.
            code: The code of the Error; None leaves it out.
            close_code: The code to close the connection with; None is the one for `type`.
        """
        error: Message = {"message": "Error", "type": type, "reason": reason}
        if code is not None:
            error["code"] = code
        self._record.error = error
        logger.info("Error %s: %s [session_id=%s]", type, reason, self._record.id)
        self._close(CLOSE_CODE[type] if close_code is None else close_code)
        return error

    @property
    def audio_seconds(self) -> dict[Optional[str], float]:
        """Seconds of audio received, by channel; the only label is None without channels."""
        return {label: channel.seconds for label, channel in self._channels.items()}

    def abandon(self) -> None:
        """Stop recognition at the next frame. May be called from any thread."""
        self._abandoned = True
        for channel in self._channels.values():
            channel.abandoned = True

    def close(self) -> None:
        """Release resources, however the session ended, when no channel is at work any more."""
        self.state = CLOSED
        self._quota.leave(self._record.id)
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            channel.close()

    def _close(self, code: int) -> None:
        with self._lock:
            self.state = CLOSED
            self.close_code = code
        self._quota.leave(self._record.id)  # before the client can know that there is room again

    @property
    def _by_channel(self) -> bool:
        return None not in self._channels

    def _started_channels(self, name: str) -> list[Channel]:
        """Return the channels; refuse a message of this name if there are none yet."""
        if self.state == WAITING:
            raise Refused("protocol_error", f"{name} before StartRecognition")
        return list(self._channels.values())

    def _channel_of(self, message: Message) -> Channel:
        """Return the channel that a message names."""
        self._started_channels(message["message"])
        if not self._by_channel:
            raise Refused(
                "protocol_error",
                f"{message['message']} with a channel, which needs diarization by channel",
            )
        channel = self._channels.get(message["channel"])
        if channel is None:
            raise Refused(
                "protocol_error",
                f"{message['message']} for channel {message['channel']!r}, which is not in "
                "channel_diarization_labels",
            )
        return channel

    def _start(self, message: Message) -> Iterator[Step]:
        if self.state != WAITING:
            raise Refused("protocol_error", "StartRecognition may be sent once")
        check_start(message, self._recognizer.languages, self._max_channels)
        self._quota.take(self._record.id)
        self._record.start = message
        config = message["transcription_config"]
        self._started_with = config
        self._language = config["language"]
        diarization = config.get("diarization", "none")
        self._diarizes_speakers = diarization in ("speaker", "channel_and_speaker")
        if self._diarizes_speakers:
            settings = config.get("speaker_diarization_config", {})
            self._speakers_at_end = settings.get("get_speakers", False)
        by_channel = diarization in BY_CHANNEL
        labels: list[Any] = config["channel_diarization_labels"] if by_channel else [None]
        for label in labels:
            # Added one by one, so that `close` finds them if the next one cannot start.
            channel = self._start_channel(label, message)
            self._channels = {**self._channels, label: channel}
            channel.abandoned = self._abandoned
        if by_channel:
            self._record.channels = {label: ChannelRecord() for label in labels}
        self.state = STARTED
        yield Moment.STARTING
        yield from self._report_quality(next(iter(self._channels.values())))
        started: Message = {
            "message": "RecognitionStarted",
            "id": self._record.id,
            "orchestrator_version": VERSION,
            "language_pack_info": {
                "adapted": False,
                "itn": False,
                "language_description": self._recognizer.description,
                "word_delimiter": " ",
                "writing_direction": "left-to-right",
            },
        }
        if by_channel:
            # The API's specification calls them `channel_ids`, its documentation `channels`.
            started["channel_ids"] = started["channels"] = labels
        yield started
        if "translation_config" in message:
            yield from self._no_translation(message["translation_config"]["target_languages"])

    def _start_channel(self, label: Optional[str], message: Message) -> Channel:
        config = message["transcription_config"]
        speakers = None
        if self._diarizes_speakers:
            settings = config.get("speaker_diarization_config", {})
            speakers = Speakers(settings.get("speakers", ()), settings.get("max_speakers"))
        decoder = decoder_for(message["audio_format"])
        # A recogniser that is never used with channels need not take the keyword.
        named: dict[str, Any] = {} if label is None else {"channel": label}
        recognition = self._recognizer.start(
            language=self._language, partials=config.get("enable_partials", False), **named
        )
        return Channel(decoder, recognition, config, speakers, self._gone, label)

    def _no_translation(self, targets: list[str]) -> Iterator[Message]:
        for target in targets:
            yield {
                "message": "Warning",
                "type": "unsupported_translation_pair",
                "reason": f"this server does not translate {self._language} to {target}",
            }
        yield {
            "message": "Warning",
            "type": "empty_translation_target_list",
            "reason": "none of the target languages is supported; nothing is translated",
        }

    def _report_quality(self, channel: Channel) -> Iterator[Message]:
        rate = channel.sample_rate
        with self._lock:
            if rate is None or self._quality_reported:
                return
            self._quality_reported = True
        quality = "broadcast" if rate >= _BROADCAST_RATE else "telephony"
        yield {
            "message": "Info",
            "type": "recognition_quality",
            "reason": f"running recognition using a {quality} model quality",
            "quality": quality,
        }

    def _work(self, channel: Channel, messages: Iterator[Message], size: int = 0) -> Iterator[Step]:
        if channel.label is None:
            yield from messages
        else:
            yield Work(channel.label, messages, size)

    def _add_audio(self, payload: bytes) -> Iterator[Step]:
        channels = self._started_channels("audio")
        if self._by_channel:
            raise Refused(
                "protocol_error",
                "binary audio in a session by channel, which takes AddChannelAudio",
            )
        yield from self._receive_audio(channels[0], payload, {"message": "AudioAdded"})

    def _add_channel_audio(self, message: Message) -> Iterator[Step]:
        check_message(message)
        channel = self._channel_of(message)
        payload = decode_audio(message["data"])
        acknowledgement = {"message": "ChannelAudioAdded", "channel": channel.label}
        yield from self._receive_audio(channel, payload, acknowledgement)

    def _receive_audio(
        self, channel: Channel, payload: bytes, acknowledgement: Message
    ) -> Iterator[Step]:
        if self._stream_ended:
            yield {
                "message": "Warning",
                "type": "add_audio_after_eos",
                "reason": "audio after EndOfStream is ignored",
            }
            return
        if channel.ended:
            raise Refused(
                "protocol_error", f"audio for channel {channel.label!r} after its EndOfChannel"
            )
        channel.received += 1
        self._record.audio_chunks += 1
        self._record.audio_bytes += len(payload)
        if channel.label is not None:
            record = self._record.channels[channel.label]
            record.audio_chunks += 1
            record.audio_bytes += len(payload)
        acknowledgement["seq_no"] = channel.received
        recognition = self._recognize(channel, payload, acknowledgement)
        yield from self._work(channel, recognition, len(payload))

    def _recognize(
        self, channel: Channel, payload: bytes, acknowledgement: Message
    ) -> Iterator[Message]:
        yield acknowledgement
        if not self.ignores_audio:
            yield from channel.add_audio(payload)
        yield from self._report_quality(channel)

    def _end_of_channel(self, message: Message) -> Iterator[Step]:
        check_message(message)
        channel = self._channel_of(message)
        if channel.ended:
            raise Refused("protocol_error", f"channel {channel.label!r} may be ended once")
        last = self._record.channels[message["channel"]].last_seq_no = int(message["last_seq_no"])
        if last != channel.received:
            self._wrong_count(
                f"last_seq_no of channel {channel.label!r} is {last}, but {channel.received} "
                "chunks of its audio came"
            )
        yield from self._end([channel])

    def _end_of_stream(self, message: Message) -> Iterator[Step]:
        check_message(message)
        channels = self._started_channels("EndOfStream")
        if self._stream_ended:
            raise Refused("protocol_error", "EndOfStream may be sent once")
        last = self._record.last_seq_no = int(message["last_seq_no"])
        received = self._record.audio_chunks
        # The documentation says that it counts AddAudio messages. By channel there are only
        # AddChannelAudio messages, so both their number and 0 are accepted.
        if last != received and not (self._by_channel and last == 0):
            self._wrong_count(f"last_seq_no is {last}, but {received} chunks of audio came")
        self._stream_ended = True
        yield from self._end([channel for channel in channels if not channel.ended])

    def _end(self, channels: Iterable[Channel]) -> Iterator[Step]:
        for channel in channels:
            channel.ended = True
        with self._lock:
            # Another channel's work may have failed in the meantime, and closed the session.
            if self.state == STARTED and all(one.ended for one in self._channels.values()):
                self.state = ENDING
        if self.state == ENDING:
            yield Moment.ENDING
        for channel in channels:
            yield from self._work(channel, channel.finish())

    def _wrong_count(self, reason: str) -> None:
        if self._strict:
            raise Refused("protocol_error", reason)
        logger.warning("%s [session_id=%s]", reason, self._record.id)

    def _force(self, message: Message) -> Iterator[Step]:
        check_message(message)
        forced = self._started_channels("ForceEndOfUtterance")
        if "channel" in message:
            forced = [self._channel_of(message)]
        for channel in forced:
            if not channel.ended:
                yield from self._work(
                    channel, channel.force_end_of_utterance(message.get("timestamp"))
                )

    def _configure(self, message: Message) -> Iterator[Step]:
        channels = self._started_channels("SetRecognitionConfig")
        same = check_mid_session(message, self._started_with)
        if same:
            yield {
                "message": "Warning",
                "type": "unsupported_config",  # the API's description names none for this
                "reason": f"{', '.join(same)}: fixed for the session, and as before",
            }
        for channel in channels:
            yield from self._work(channel, channel.configure(message["transcription_config"]))

    def _get_speakers(self, message: Message) -> Iterator[Step]:
        check_message(message)
        channels = self._started_channels("GetSpeakers")
        if message.get("final", False):
            self._speakers_at_end = True
            return
        if not self._diarizes_speakers:
            yield {
                "message": "Warning",
                "type": "speaker_id",
                "reason": "speakers are only identified with diarization by speaker",
            }
        found: dict[Optional[str], list[Message]] = {}
        for channel in channels:
            yield from self._work(channel, self._collect_speakers(channel, found))

    def _collect_speakers(
        self, channel: Channel, found: dict[Optional[str], list[Message]]
    ) -> Iterator[Message]:
        """Add a channel's speakers to `found`; the last channel yields them all."""
        speakers = channel.speakers
        with self._lock:
            found[channel.label] = speakers
            if len(found) < len(self._channels):
                return
        heard = [speaker for label in self._channels for speaker in found[label]]
        yield {"message": "SpeakersResult", "speakers": heard}

    _HANDLERS: ClassVar[dict[str, Callable[[Session, Message], Iterator[Step]]]] = {
        "StartRecognition": _start,
        "EndOfStream": _end_of_stream,
        "ForceEndOfUtterance": _force,
        "SetRecognitionConfig": _configure,
        "GetSpeakers": _get_speakers,
        "AddChannelAudio": _add_channel_audio,
        "EndOfChannel": _end_of_channel,
    }
