"""Sessions that all share a thread, and others that go on meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from speechmatics_sync import Client, TranscriptionConfig
from speechmatics_sync.local import CountedRecognizer, Drop, Faults, LocalServer
from support.fault_proxying import Counted, Witness
from support.reconnecting import POLICY, given, pieces
from support.serving import PATIENCE, Peer, final, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, InThread, client_of, speech

SHARED = "speechmatics-shared"


class Speaking:
    """A server that says a word at the end of each session, and remembers what it was sent."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    def __call__(self, peer: Peer) -> None:
        self.peers.append(peer)
        peer.start()
        assert peer.take_audio() == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
        peer.send(final("word"), END_OF_TRANSCRIPT)
        peer.wait_closed()

    def heard(self, audio: bytes) -> list[int]:
        """The sizes of the chunks of the session that was sent this audio, whole and in order."""
        (found,) = [peer for peer in self.peers if b"".join(peer.audio) == audio]
        return [len(chunk) for chunk in found.audio]


def shared_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == SHARED]


def transcribe(url: str, source: Any, *, realtime: bool = False, **limits: Any) -> str:
    """One session from start to end; its text."""
    with client_of(url, **limits) as client:
        transcript = client.transcribe(
            source, audio_format=RAW, realtime=realtime, timeout=2 * PATIENCE
        )
    return transcript.text


def others_go_on(url: str, number: int = 3) -> None:
    """Sessions of several kinds begin and end, those that are paced as well."""
    calls = [InThread(transcribe, url, speech(0.3), realtime=True) for _ in range(number)]
    calls += [InThread(transcribe, url, given(pieces(speech(0.3)))) for _ in range(number)]
    assert [call.result() for call in calls] == ["word"] * len(calls)


@contextlib.contextmanager
def pushed_beside(url: str) -> Iterator[Client]:
    """A session that began before something happens to another, and goes on after it."""
    with client_of(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        yield client
        client.send_audio(speech(0.1))
        assert client.stop_session(timeout=PATIENCE).text == "word"


def problems_with_a_loss() -> list[str]:
    """Of a session that loses its connection twice, while others go on."""
    counted = Counted(first=1, count=6)
    faults = Faults()
    faults.add(Drop("reset"), after_seconds=1)
    faults.add(Drop("fin"), after_seconds=1)
    recognizer = CountedRecognizer(delay=0.1)
    with LocalServer(recognizer=recognizer, strict=True, faults=faults) as server:
        with serving(Speaking()) as url, pushed_beside(url):
            others = [InThread(transcribe, url, speech(2), realtime=True) for _ in range(3)]
            with Client(url=server.url, reconnect=POLICY) as client:
                witness = Witness(client, {None: counted})
                transcript = client.transcribe(
                    counted.audio(),
                    audio_format=RAW,
                    realtime=True,
                    transcription_config=TranscriptionConfig(max_delay=1),
                    timeout=PATIENCE,
                )
                problems = witness.problems(transcript, client.stats)
            assert [other.result() for other in others] == ["word"] * 3
        assert len(faults.happened) == 2
        assert witness.outages == 2
    return problems
