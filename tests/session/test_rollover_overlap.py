"""Where it is never quiet, a rollover costs no word: what comes twice is dropped by its time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from support.fault_proxying import Counted, Witness
from support.reconnecting import pieces
from support.serving import PATIENCE
from support.sessions import RAW

from speechmatics_sync import Client, MultiChannelClient, ReconnectPolicy, TranscriptionConfig
from speechmatics_sync._protocol.silence import QuietFinder
from speechmatics_sync.local import CountedRecognizer, LocalServer

POLICY = ReconnectPolicy(initial_delay=0.01, max_delay=0.05, session_limit=2.5, rollover_margin=1.6)
ONE: Any = {None: Counted(first=1, count=8)}
TWO: Any = {"agent": Counted(first=101, count=8), "customer": Counted(first=201, count=6)}


@pytest.fixture(autouse=True)
def never_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that count themselves have pauses between them; here nobody finds them."""
    monkeypatch.setattr(QuietFinder, "find", lambda finder, chunk: None)


def spoken_now(audio: bytes) -> Iterator[bytes]:
    """Audio at the speed it is spoken, that can be read once."""
    begun = time.monotonic()
    for number, chunk in enumerate(pieces(audio)):
        time.sleep(max(0.0, begun + 0.1 * number - time.monotonic()))  # the pace of speech
        yield chunk


SOURCES: dict[str, Callable[[Counted], Any]] = {
    "read again": Counted.audio,
    "read once": lambda counted: spoken_now(counted.audio()),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("channels", [ONE, TWO], ids=["one", "several"])
def test_a_cut_through_a_word_costs_none(channels: Any, source: str) -> None:
    several = None not in channels
    kind = MultiChannelClient if several else Client
    config = TranscriptionConfig(max_delay=2, enable_partials=True)
    recognizer = CountedRecognizer(delay=0.3)
    with LocalServer(recognizer=recognizer, strict=True) as server:
        client: Any = kind(url=server.url, reconnect=POLICY)
        with client:
            witness = Witness(client, channels)
            sources = {label: SOURCES[source](counted) for label, counted in channels.items()}
            transcript = client.transcribe(
                sources if several else sources[None],
                audio_format=RAW,
                transcription_config=config,
                realtime=source == "read again",
                timeout=PATIENCE,
            )
            problems = witness.problems(transcript, client.stats)
    assert problems == []
    assert witness.outages >= 2
    sent = sum(connection.audio_bytes for connection in server.sessions)
    assert sent > sum(len(counted.audio()) for counted in channels.values()), "nothing came twice"
