"""How long what was said takes to come back as text, as the figures of a session tell it."""

from __future__ import annotations

import threading
import time
from typing import Any, Optional

import pytest
from support.live import partial
from support.serving import Peer, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, client_of, speech, wait_for
from support.transcripts import final, result

from speechmatics_sync import AudioFormat, MultiChannelClient
from speechmatics_sync._session.latency import AudioTimes, Latest

DELAY = 0.3
"""Seconds between two chunks, and from the last one to its final: what is measured."""


# -- the figures ----------------------------------------------------------------------------------


def test_audio_between_two_moments_was_sent_between_them() -> None:
    times = AudioTimes()
    times.note(1.0, 100.0)
    times.note(3.0, 104.0)
    found = [times.when(position, 4.0, 105.0) for position in (0.5, 1.0, 2.0, 3.0, 3.5, 9.0)]
    assert found == [100.0, 100.0, 102.0, 104.0, 104.5, 105.0]


def test_audio_that_is_sent_again_was_sent_the_first_time() -> None:
    times = AudioTimes()
    times.note(2.0, 100.0)
    times.note(1.0, 200.0)
    times.note(2.0, 210.0)
    assert times.when(2.0, 2.0, 300.0) == 100.0


def test_nothing_is_known_before_audio_was_sent() -> None:
    assert AudioTimes().when(0.0, 0.0, 1.0) is None


def test_of_a_long_session_the_latest_moments_are_kept() -> None:
    times = AudioTimes()
    for number in range(1, 10_000):
        times.note(number, 2.0 * number)
    assert times.when(9_950.5, 9_999, 19_998) == 19_901.0
    oldest = times.when(1.0, 9_999, 19_998)
    assert oldest is not None
    assert 19_998 - oldest <= 2 * 128


def test_quantiles_are_values_of_the_latest() -> None:
    latest = Latest(100)
    assert latest.quantiles(0.5, 0.95) == [None, None]
    latest.add(7.0)
    assert latest.quantiles(0.5, 0.95) == [7.0, 7.0]
    for number in range(1000):
        latest.add(float(number))
    assert latest.quantiles(0.0, 0.5, 0.95, 1.0) == [900.0, 949.0, 994.0, 999.0]


# -- a session ------------------------------------------------------------------------------------


class Server:
    """Takes two chunks of a second each, and says a partial and a final for each of them."""

    def __init__(self, label: Optional[str] = None) -> None:
        self.acknowledged = threading.Event()
        self._label = label

    def __call__(self, peer: Peer) -> None:
        peer.start()
        for number in (0, 1):
            self._take(peer, number + 1)
            threading.Event().wait(DELAY)  # it takes its time: this is what is measured
            self._say(peer, partial, 0.5)
            self._say(peer, final, number + 1.0)
            self.acknowledged.set()
        peer.receive()
        peer.send(END_OF_TRANSCRIPT)

    def _take(self, peer: Peer, number: int) -> None:
        peer.receive()
        named = {} if self._label is None else {"channel": self._label}
        name = "AudioAdded" if self._label is None else "ChannelAudioAdded"
        peer.send({"message": name, "seq_no": number, **named})

    def _say(self, peer: Peer, make: Any, end: float) -> None:
        named = {} if self._label is None else {"channel": self._label}
        peer.send(make(result("word", 0.0, end), **named))


@pytest.mark.parametrize("label", [None, "agent"])
def test_finals_are_timed_from_when_the_end_of_their_last_word_was_sent(
    label: Optional[str],
) -> None:
    server = Server(label)
    sent: list[float] = []
    chunk = speech(1.0)
    with serving(server) as url:
        if label is None:
            client: Any = client_of(url)
        else:
            client = MultiChannelClient(url=url, reconnect=None)
        with client:
            assert client.stats.final_latency_median is None
            channels = {} if label is None else {"channels": [label]}
            partials: list[float] = []
            client.on("AddPartialTranscript", lambda message: partials.append(time.monotonic()))
            client.start_session(audio_format=RAW, **channels)
            for _ in range(2):
                sent.append(time.monotonic())
                client.send_audio(*([] if label is None else [label]), chunk)
                wait_for(server.acknowledged)
                server.acknowledged.clear()
            client.stop_session()
            stats = client.stats
            ended = time.monotonic()
    # Of two finals the median is the faster one, and the other one is at the 95th percentile.
    assert stats.final_latency_median is not None
    assert stats.final_latency_p95 is not None
    assert DELAY <= stats.final_latency_median <= stats.final_latency_p95
    assert stats.final_latency_p95 <= ended - sent[0] - DELAY, "from its own chunk, not the first"
    assert stats.first_partial_delay is not None
    assert DELAY <= stats.first_partial_delay <= partials[0] - sent[0]


def test_a_final_long_after_the_last_chunk_was_sent_is_late() -> None:
    """As when somebody stops talking, and no audio is sent until the answer is there."""

    def behave(peer: Peer) -> None:
        peer.start()
        for number in (1, 2, 3):
            peer.receive()
            peer.send({"message": "AudioAdded", "seq_no": number})
        threading.Event().wait(DELAY)
        peer.send(final(result("word", 0.1, 0.3)))
        peer.receive()
        peer.send(END_OF_TRANSCRIPT)

    with serving(behave) as url, client_of(url) as client:
        told = threading.Event()
        client.on("AddTranscript", lambda message: told.set())
        client.start_session(audio_format=RAW)
        for _ in range(3):
            client.send_audio(speech(0.1))
        wait_for(told)
        latency = client.stats.final_latency_median
        client.stop_session()
    assert latency is not None
    assert latency >= DELAY


def test_a_file_has_no_seconds_to_measure_from() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.send(partial(result("word", 0, 1)), final(result("word", 0, 1)), END_OF_TRANSCRIPT)

    with serving(behave) as url, client_of(url) as client:
        client.transcribe(b"RIFF, in a manner of speaking", audio_format=AudioFormat())
        stats = client.stats
    assert stats.first_partial_delay is None
    assert (stats.final_latency_median, stats.final_latency_p95) == (None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"results": None},
        {"results": {}},
        {"results": [5]},
        {"results": [{"end_time": "soon", "start_time": []}]},
        {"results": [{"end_time": 10**400, "start_time": 10**400}]},
        {"channel": ["x"]},
        {"channel": "elsewhere"},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_what_a_server_should_not_say_is_not_measured(changes: dict[str, Any]) -> None:
    """Nothing is collected, so nothing checks a message before it is measured."""

    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        for make in (partial, final):
            peer.send({**make(result("word", 0, 1)), **changes})
        peer.send(END_OF_TRANSCRIPT)

    with serving(behave) as url, client_of(url) as client:
        client.transcribe(speech(1.0), audio_format=RAW, collect=False)
        stats = client.stats
    assert stats.first_partial_delay is None
    assert stats.final_latency_median is None
