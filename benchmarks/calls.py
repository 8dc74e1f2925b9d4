"""The sessions of a soak: pulled and pushed, of one stream and of several, each from its seed."""

from __future__ import annotations

import io
import random
import threading
import time
import wave
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Callable

from weather import Weather
from witness import TRIGGER, VOICES, Counted, Label, Witness

from speechmatics_sync import (
    AudioEncoding,
    AudioFormat,
    Client,
    ConnectionConfig,
    ConversationConfig,
    MultiChannelClient,
    ReconnectPolicy,
    SessionError,
    Transcript,
    TranscriptionConfig,
)

__all__ = ["KINDS", "PATIENCE", "Call", "Tally"]

LIMITS: dict[str, Any] = {
    "open_timeout": 10,
    "start_timeout": 5,
    "ping_interval": 0.5,
    "ping_timeout": 2,
    "close_timeout": 2,
    "ack_timeout": 3,
}
POLICY = ReconnectPolicy(max_attempts=50, initial_delay=0.05, max_delay=0.5, busy_delay=0.2)
PATIENCE = 120.0
"""Seconds after which a session counts as hanging."""
NUMBERS = 32767
"""`counted_audio` has so many words."""
WORDS, PACED_WORDS = (8, 60), (4, 24)
"""From how many to how many a channel has, and one that is paced."""


@dataclass
class Tally:
    """The results of the calls of one part of the soak."""

    calls: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    words: int = 0
    lost: int = 0
    repeated: int = 0
    outages: int = 0
    replayed: float = 0.0
    relabelled: int = 0
    wrong: list[str] = field(default_factory=list)


class Call:
    """One session; the seed and its number decide its kind and what is done in it."""

    def __init__(self, number: int, seed: int, url: str, weather: Weather) -> None:
        self.key = str(number)
        self.kind = list(KINDS)[number % len(KINDS)]
        self.chance = random.Random(f"{seed}/{number}")
        self._weather = weather
        several = self.kind.startswith("channels")
        labels: list[Label] = ["agent", "customer", "third"]
        file = self.kind.endswith("file")
        self.paced = not file and self.chance.random() < 0.2
        self.channels = {
            label: self._counted()
            for label in (labels[: self.chance.choice((2, 2, 3))] if several else [None])
        }
        self.chunk_size = self.chance.choice((3200, 4096, 8192, 16384))
        self.format = AudioFormat(AudioEncoding.PCM_S16LE, 16000, chunk_size=self.chunk_size)
        if file:
            self.format = AudioFormat(chunk_size=self.chunk_size)
        self.utterances = self.chance.random() < 0.3
        self.forces = not (self.utterances or several or file) and self.chance.random() < 0.4
        self.changes = self.chance.random() < 0.4
        self.speakers = not several and self.chance.random() < 0.3
        self.asks = not several and self.chance.random() < 0.3
        self.config = TranscriptionConfig(
            enable_partials=self.chance.random() < 0.5,
            max_delay=self.chance.choice((0.7, 1.0, 2.0, 4.0)),
            diarization="speaker" if self.speakers else None,
            conversation_config=(
                ConversationConfig(end_of_utterance_silence_trigger=TRIGGER)
                if self.utterances
                else None
            ),
        )
        limits = ConnectionConfig(**LIMITS, max_unacked_chunks=self.chance.choice((12, 48, 512)))
        policy = POLICY
        if self.paced and not self.utterances and self.chance.random() < 0.5:
            # Long enough to find a pause on a busy machine. The cut may end an utterance.
            policy = replace(POLICY, session_limit=self.chance.uniform(30, 34), rollover_margin=28)
        kind = MultiChannelClient if several else Client
        self.client: Any = kind(url=f"{url}?call={self.key}", conn_config=limits, reconnect=policy)
        self.witness = Witness(
            self.client, self.channels, utterances=self.utterances, speakers=self.speakers
        )
        self._finals = 0
        self._at_final = self.chance.randint(1, 10)
        if not self.kind.endswith("pushed"):
            self.client.on("AddTranscript", self._interfere)

    def run(self, tally: Tally, lock: threading.Lock) -> None:
        """Run the session and add its results."""
        size = sum(int(counted.seconds * 32000) for counted in self.channels.values())
        self._weather.begin(self.key, size, size // self.chunk_size)
        problems: list[str] = []
        try:
            with self.client:
                transcript = KINDS[self.kind](self)
                problems = self.witness.problems(transcript, self.client.stats)
        except BaseException as error:
            problems = [f"{type(error).__name__}: {error}"]
        faults = self._weather.end(self.key)
        with lock:
            tally.calls[self.kind] += 1
            tally.seconds += sum(counted.seconds for counted in self.channels.values())
            tally.words += sum(counted.count for counted in self.channels.values())
            tally.lost += self.witness.lost
            tally.repeated += self.witness.repeated
            tally.outages += self.witness.outages
            tally.replayed += sum(
                message["seconds_replayed"] or 0.0 for message in self.witness.recovered
            )
            if self.speakers and self.witness.labels > VOICES:
                tally.relabelled += 1
            if problems:
                about = f"call {self.key} ({self.kind}; {', '.join(faults)})"
                tally.wrong.append("\n    ".join([about, *problems]))

    # -- the kinds ------------------------------------------------------------------------------

    def transcribe_bytes(self) -> Transcript:
        return self._pull(self.channels[None].audio())

    def transcribe_generator(self) -> Transcript:
        return self._pull(self._chunks(self.channels[None].audio()))

    def stream_file(self) -> Transcript:
        return self._stream(io.BytesIO(self.channels[None].audio()))

    def transcribe_file(self) -> Transcript:
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(16000)
            writer.writeframes(self.channels[None].audio())
        return self._pull(file.getvalue())

    def transcribe_channels(self) -> Transcript:
        sources = {label: counted.audio() for label, counted in self.channels.items()}
        return self._pull(sources)

    def stream_channels(self) -> Transcript:
        chunks = self._chunks
        return self._stream(
            {label: chunks(self.channels[label].audio()) for label in self.channels}
        )

    def push(self) -> Transcript:
        self.client.start_session(**self._options())
        return self._push_and_stop()

    def push_channels(self) -> Transcript:
        self.client.start_session(**self._options(), channels=list(self.channels))
        return self._push_and_stop()

    # -- inside ---------------------------------------------------------------------------------

    def _counted(self) -> Counted:
        count = self.chance.randint(*(PACED_WORDS if self.paced else WORDS))
        return Counted(self.chance.randint(1, NUMBERS - count), count)

    def _options(self) -> dict[str, Any]:
        return {"transcription_config": self.config, "audio_format": self.format}

    def _pull(self, source: Any) -> Transcript:
        transcript: Transcript = self.client.transcribe(
            source, **self._options(), timeout=PATIENCE, realtime=self.paced
        )
        return transcript

    def _stream(self, source: Any) -> Transcript:
        with self.client.stream(
            source, **self._options(), timeout=PATIENCE, realtime=self.paced
        ) as stream:
            for _ in stream:
                pass
        transcript: Transcript = stream.transcript
        return transcript

    def _push_and_stop(self) -> Transcript:
        pushing = [threading.Thread(target=self._push, args=(label,)) for label in self.channels]
        for thread in pushing:
            thread.start()
        for thread in pushing:
            while thread.is_alive():
                thread.join(0.02)
                self._interfere({})
        transcript: Transcript = self.client.stop_session(timeout=PATIENCE)
        return transcript

    def _chunks(self, audio: bytes) -> Iterator[bytes]:
        chance = random.Random(f"{self.key}/{len(audio)}")
        at = 0
        while at < len(audio):
            size = 2 * chance.randint(1, self.chunk_size)
            yield audio[at : at + size]
            at += size

    def _push(self, label: Label) -> None:
        """Send a channel's audio, in a thread; `stop_session` raises what goes wrong."""
        to = () if label is None else (label,)
        with suppress(Exception):
            for chunk in self._chunks(self.channels[label].audio()):
                self.client.send_audio(*to, chunk, timeout=PATIENCE)
                if self.paced:
                    time.sleep(len(chunk) / 32000)
            if label is not None:
                self.client.end_of_channel(label)

    def _interfere(self, message: dict[str, Any]) -> None:
        """Ask the running session for something, once."""
        self._finals += 1
        if self._finals != self._at_final:
            return
        with suppress(SessionError):  # the audio has ended already
            if self.forces:
                at = self.client.audio_seconds_sent
                self.client.force_end_of_utterance(timestamp=at)
                self.witness.forced_at.append((None, at))
            if self.changes:
                self.client.update_transcription_config(max_delay=0.8, enable_partials=True)
            if self.asks:
                self.client.get_speakers(timeout=PATIENCE)


KINDS: dict[str, Callable[[Call], Transcript]] = {
    "one stream, bytes": Call.transcribe_bytes,
    "channels, transcribed": Call.transcribe_channels,
    "one stream, generator": Call.transcribe_generator,
    "one stream, pushed": Call.push,
    "channels, pulled": Call.stream_channels,
    "one stream, file": Call.transcribe_file,
    "one stream, pulled": Call.stream_file,
    "channels, pushed": Call.push_channels,
}
