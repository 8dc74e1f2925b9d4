"""Not a word lost, repeated or moved, wherever a connection is lost: audio that counts itself.

What a session gives is compared with what an uninterrupted one gives, word by word and time by
time (`fault_proxying.Witness`); the server is strict about ``last_seq_no``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest
from support.fault_proxying import TRIGGER, Counted, Witness
from support.reconnecting import POLICY, given, pieces, spoken
from support.serving import PATIENCE
from support.sessions import RAW, client_of

from speechmatics_sync import (
    ConversationConfig,
    MultiChannelClient,
    TranscriptionConfig,
)
from speechmatics_sync.local import (
    Close,
    CountedRecognizer,
    Drop,
    Fault,
    Faults,
    HoldAcknowledgements,
    LocalServer,
    SessionRecord,
    counted_audio,
)

CALL, SHORT = Counted(first=1, count=8), Counted(first=1, count=6)
CONFIG = TranscriptionConfig(enable_partials=True, max_delay=2)
UTTERANCES = TranscriptionConfig(
    conversation_config=ConversationConfig(end_of_utterance_silence_trigger=TRIGGER)
)


class Ground:
    """A server that loses connections when a test tells it to."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.server = LocalServer(
            recognizer=CountedRecognizer(delay=0.3), strict=True, faults=self.faults
        )

    def lose(self, fault: Optional[Fault] = None, **when: Any) -> None:
        """Have a fault happen; by default, a connection that is lost."""
        self.faults.add(fault or Drop(), **when)

    def problems(
        self,
        source: object,
        *,
        spoken: Counted = CALL,
        config: TranscriptionConfig = CONFIG,
        **limits: Any,
    ) -> list[str]:
        """Transcribe, and say what is wrong with it."""
        utterances = config.conversation_config is not None
        with client_of(self.server.url, reconnect=POLICY, **limits) as client:
            witness = Witness(client, {None: spoken}, utterances=utterances)
            transcript = client.transcribe(
                source, transcription_config=config, audio_format=RAW, timeout=PATIENCE
            )
            problems = witness.problems(transcript, client.stats)
        if self.faults.pending:
            problems.append(f"still to happen: {self.faults.pending}")
        problems += [f"the server sent {leg.error}" for leg in self.server.sessions if leg.error]
        return problems


@pytest.fixture(scope="module")
def running() -> Iterator[Ground]:
    ground = Ground()
    with ground.server:
        yield ground


@pytest.fixture
def ground(running: Ground) -> Iterator[Ground]:
    yield running
    running.faults.clear()


SOURCES: dict[str, Callable[..., object]] = {
    "file": lambda spoken=CALL: io.BytesIO(spoken.audio()),
    "chunks": lambda spoken=CALL: given(pieces(spoken.audio())),
    "odd chunks": lambda spoken=CALL: given(pieces(spoken.audio(), 2847)),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_wherever_the_connection_is_lost_every_word_comes_once_and_in_time(
    kind: str, ground: Ground
) -> None:
    """Up to the fifth word: one is as long as five chunks, and from the third on all are alike."""
    found = {}
    for chunks in range(22):
        ground.lose(after_chunks=chunks)
        problems = ground.problems(SOURCES[kind](SHORT), spoken=SHORT)
        if problems:
            found[chunks] = problems
    assert found == {}


@pytest.mark.parametrize("every", [3, 7, 13, 14, 15])
@pytest.mark.parametrize("kind", SOURCES)
def test_however_often_the_connection_is_lost_every_word_comes_once_and_in_time(
    kind: str, every: int, ground: Ground
) -> None:
    # Three chunks are less than what is sent again: nothing is settled before the faults are over.
    times = 9 if every == 3 else 4
    ground.lose(after_chunks=every, times=times)
    assert ground.problems(SOURCES[kind]()) == []


@pytest.mark.parametrize("again", [1, 5, 9, 11, 14])
@pytest.mark.parametrize("kind", SOURCES)
def test_a_loss_while_audio_is_sent_again_costs_nothing(
    kind: str, again: int, ground: Ground
) -> None:
    ground.lose(after_chunks=22)
    ground.lose(after_chunks=again, skip=1)
    ground.lose(after_chunks=12, skip=1)
    assert ground.problems(SOURCES[kind]()) == []


@pytest.mark.parametrize(
    "fault",
    [Drop(how="fin"), Drop(mid_frame=True), Close(1001), Close(None)],
    ids=["end of stream", "half a frame", "close code", "no close code"],
)
@pytest.mark.parametrize("at", ["connected", "starting", "ending", "ended"])
def test_a_loss_outside_the_audio_costs_nothing(fault: Fault, at: str, ground: Ground) -> None:
    ground.lose(fault, at=at)
    assert ground.problems(SOURCES["chunks"]()) == []


@pytest.mark.parametrize("kind", SOURCES)
def test_audio_that_is_acknowledged_late_is_sent_again(kind: str, ground: Ground) -> None:
    ground.lose(HoldAcknowledgements(chunks=6))
    ground.lose(after_chunks=20)
    assert ground.problems(SOURCES[kind](), max_unacked_chunks=10) == []


@pytest.mark.parametrize("chunks", [9, 10, 11, 14, 15, 16])
def test_every_utterance_ends_once(chunks: int, ground: Ground) -> None:
    ground.lose(after_chunks=chunks, times=2)
    assert ground.problems(SOURCES["chunks"](), config=UTTERANCES) == []


@pytest.mark.parametrize("kind", ["file", "chunks"])
@pytest.mark.parametrize("chunks", [8, 31, 33, 38])
def test_a_word_longer_than_what_is_sent_again_is_heard_whole(
    kind: str, chunks: int, ground: Ground
) -> None:
    audio = counted_audio(3, period=3.0)
    ground.lose(after_chunks=chunks, times=2)
    with client_of(ground.server.url, reconnect=POLICY) as client:
        source = audio if kind == "file" else given(pieces(audio))
        transcript = client.transcribe(source, audio_format=RAW, timeout=PATIENCE)
    assert spoken(transcript) == [("w1", 0.0, 2.9), ("w2", 3.0, 5.9), ("w3", 6.0, 8.9)]
    assert not ground.faults.pending


def test_one_chunk_of_everything_is_sent_again(ground: Ground) -> None:
    ground.lose(at="ending", times=3)
    assert ground.problems(given([CALL.audio()])) == []


@pytest.mark.parametrize("lost_at", range(0, 40, 3))
def test_words_of_channels_come_once_and_in_time(lost_at: int, ground: Ground) -> None:
    # Channels of different lengths: one has ended, and is settled, when the other is lost.
    channels = {"agent": Counted(first=101, count=7), "customer": Counted(first=201, count=3)}
    ground.lose(after_chunks=lost_at, channel="agent")
    ground.lose(after_chunks=9, channel="agent", skip=1)
    with MultiChannelClient(url=ground.server.url, reconnect=POLICY) as client:
        witness = Witness(client, channels)  # type: ignore[arg-type]
        sources = {
            "agent": given(pieces(channels["agent"].audio())),
            "customer": channels["customer"].audio(),
        }
        transcript = client.transcribe(
            sources, transcription_config=CONFIG, audio_format=RAW, timeout=PATIENCE
        )
        assert witness.problems(transcript, client.stats) == []
    errors = [leg.error for leg in ground.server.sessions if leg.error]
    assert errors == []


def test_what_is_asked_between_audio_stays_where_it_was(ground: Ground) -> None:
    ground.lose(after_chunks=25)
    with client_of(ground.server.url, reconnect=POLICY) as client:
        forced = []
        client.on("EndOfUtterance", lambda message: forced.append(message["metadata"]["end_time"]))
        client.start_session(audio_format=RAW)
        for at, chunk in enumerate(pieces(CALL.audio())):
            if at == 30:
                client.update_transcription_config(max_delay=1.0)
            if at in (21, 33):
                client.force_end_of_utterance()
            client.send_audio(chunk, timeout=PATIENCE)
        transcript = client.stop_session(timeout=PATIENCE)
    assert [word.content for word in transcript.words] == list(CALL.words())
    assert forced == [2.1, 3.3]
    leg: SessionRecord = ground.server.sessions[-1]
    configs = [message.get("transcription_config", {}) for message in leg.messages]
    # Sent already when the connection was lost, or not yet.
    assert [config["max_delay"] for config in configs if "max_delay" in config] == [1.0]


@pytest.mark.parametrize("kind", ["file", "chunks"])
def test_a_final_without_words_comes_once(kind: str, ground: Ground) -> None:
    # The last utterance ends before the audio does: the end brings a final of the silence.
    audio = CALL.audio() + bytes(16000)
    source = io.BytesIO(audio) if kind == "file" else given(pieces(audio))
    ground.lose(Drop(how="fin"), at="ended", times=2)
    assert ground.problems(source, config=UTTERANCES) == []
