"""What a session held is freed when it has ended and its client is dropped, without the collector.

A circle of objects is freed by the garbage collector alone, which may come late, or never: services
turn it off.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from support.channel_server import ChannelServer
from support.reconnecting import POLICY, cut
from support.serving import PATIENCE, Peer, final, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, client_of, speech, wait_for

from speechmatics_sync import (
    AudioError,
    Client,
    ConnectionError,
    MultiChannelClient,
    SessionError,
    TranscriptionError,
)


def transcribed(client: Client) -> None:
    client.transcribe(speech(0.5), audio_format=RAW)


def paced(client: Client) -> None:
    client.transcribe(speech(0.1), audio_format=RAW, realtime=True)


def pulled(client: Client) -> None:
    for _ in client.stream(speech(0.5), audio_format=RAW):
        pass


def left_early(client: Client) -> None:
    with client.stream(speech(0.5), audio_format=RAW) as stream:
        next(stream)


def started(client: Client) -> None:
    """Start a session whose handlers have seen it: they run in another thread."""
    handled = threading.Event()
    client.once("RecognitionStarted", lambda message: handled.set())
    client.start_session(audio_format=RAW)
    assert handled.wait(PATIENCE)
    client.send_audio(speech(0.5))


def pushed(client: Client) -> None:
    client.on("AddTranscript", lambda message: None)
    started(client)
    client.stop_session(timeout=PATIENCE)


def closed(client: Client) -> None:
    started(client)
    client.close()


CALLS = [transcribed, paced, pulled, left_early, pushed, closed]


def speaks(peer: Peer) -> None:
    peer.start()
    message = peer.take_audio()
    assert message is not None
    peer.send(final("word"), END_OF_TRANSCRIPT)
    peer.wait_closed()


class CutOnce:
    """A server that loses its first connection."""

    def __init__(self) -> None:
        self.connections = 0

    def __call__(self, peer: Peer) -> None:
        self.connections += 1
        if self.connections > 1:
            speaks(peer)
            return
        peer.start()
        peer.receive()
        cut(peer)


HELD = {"Client", "MultiChannelClient", "Session", "Transcript", "Protocol", "Connection"}
"""Classes of what a session holds; all else hangs on these."""


class Watched:
    """Weak references to what the sessions of this test hold."""

    def __init__(self) -> None:
        self._held: list[weakref.ref[Any]] = []

    def see(self, message: Any) -> None:
        """Take note of what there is now; called in a handler, while the session runs."""
        self._held = [
            weakref.ref(each)
            for each in gc.get_objects()
            if type(each).__name__ in HELD and type(each).__module__.startswith("speechmatics_sync")
        ]

    def left(self) -> list[str]:
        """The classes of what is not freed, once the last threads have let go."""
        # One of the two clients; the connection may have ended, and be freed, when it was looked.
        assert len(self._held) >= len(HELD) - 2, "not all was seen"
        given_up = time.monotonic() + 5
        while True:
            left = [type(held()).__name__ for held in self._held if held() is not None]
            if not left or time.monotonic() > given_up:
                return left
            time.sleep(0.01)  # the pace of the poll; what ends it is the state itself


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """The garbage collector is off, and sees only what a test makes.

    What there was before is frozen, for a report of another test may hold a session.
    """
    gc.disable()
    gc.freeze()
    yield
    gc.enable()


class LogHeard(logging.Handler):
    """Hears what is logged, in place of pytest: a record that is kept holds what its error holds.

    Made in the test, for pytest listens to every logger from when a test is called.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.raised = threading.Event()
        logger = logging.getLogger("speechmatics_sync")
        monkeypatch.setattr(logger, "propagate", False)
        monkeypatch.setattr(logger, "handlers", [self])

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("A handler of %s raised"):
            self.raised.set()


def watch(client: Any) -> Watched:
    """Look at what there is when the client's session has started; the client is not held."""
    watched = Watched()
    client.once("RecognitionStarted", watched.see)
    return watched


@pytest.mark.parametrize("call", CALLS)
def test_what_a_session_held_is_freed_when_it_ended(
    call: Callable[[Client], None],
) -> None:
    with serving(speaks) as url:
        client = client_of(url)
        watched = watch(client)
        call(client)
        del client
        assert watched.left() == []


def test_what_a_session_held_is_freed_after_its_connection_was_replaced() -> None:
    server = CutOnce()
    with serving(server) as url:
        client = client_of(url, reconnect=POLICY)
        watched = watch(client)
        transcribed(client)
        del client
        assert watched.left() == []
    assert server.connections == 2


def test_what_a_session_of_several_channels_held_is_freed() -> None:
    with serving(ChannelServer()) as url:
        client = MultiChannelClient(url=url)
        watched = watch(client)
        client.transcribe({"a": speech(0.1), "b": speech(0.1)}, audio_format=RAW)
        del client
        assert watched.left() == []


def loses(peer: Peer) -> None:
    peer.start()
    peer.receive()
    cut(peer)


def sends_an_error(peer: Peer) -> None:
    peer.start()
    peer.receive()
    peer.send({"message": "Error", "type": "timelimit_exceeded", "reason": "enough"})
    peer.connection.close(4006)


@pytest.mark.parametrize("server", [loses, sends_an_error])
@pytest.mark.parametrize("call", [transcribed, pulled, pushed])
def test_what_a_session_held_is_freed_when_it_failed(
    call: Callable[[Client], None], server: Callable[[Peer], None]
) -> None:
    """Once nobody holds the error, which has the transcript."""
    with serving(server) as url:
        client = client_of(url)
        watched = watch(client)
        with contextlib.suppress(ConnectionError, TranscriptionError):
            call(client)
            pytest.fail("the session did not fail")
        del client
        assert watched.left() == []


class Own(Exception):
    """An error of the user's."""


class NotCopied(Own):
    """One that is not made from its ``args``."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"{number}: {why}")


def raises(message: Any) -> None:
    raise Own("broken")


def raises_another(message: Any) -> None:
    raise NotCopied(1, "broken")


def sent_on(client: Client) -> None:
    """What a handler raises comes out of `send_audio`, and again out of `stop_session`."""
    client.start_session(audio_format=RAW)
    with contextlib.suppress(Own):
        while True:
            client.send_audio(speech(0.1), timeout=PATIENCE)
    client.stop_session(timeout=PATIENCE)


@pytest.mark.parametrize(
    ("handler", "later"),
    [(raises, (Own, "broken")), (raises_another, (SessionError, "ended by NotCopied"))],
)
@pytest.mark.parametrize("call", [transcribed, paced, pulled, pushed, sent_on])
def test_what_a_session_held_is_freed_when_a_handler_raised(
    call: Callable[[Client], None],
    handler: Callable[[Any], None],
    later: tuple[type[Exception], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    LogHeard(monkeypatch)
    with serving(speaks) as url:
        client = client_of(url)
        watched = watch(client)
        client.on("AudioAdded", handler)
        with contextlib.suppress(Own):
            call(client)
            pytest.fail("nothing was raised")
        for _ in range(2):
            with pytest.raises(later[0], match=later[1]):
                client.force_end_of_utterance()
        del client
        assert watched.left() == []


def test_what_a_session_held_is_freed_when_it_is_dropped_after_a_handler_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = LogHeard(monkeypatch)
    with serving(speaks) as url:
        client = client_of(url)
        watched = watch(client)
        client.on("AudioAdded", raises)
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.5))
        wait_for(log.raised)
        del client
        assert watched.left() == []


def test_what_a_session_held_is_freed_when_its_source_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    LogHeard(monkeypatch)
    seen = threading.Event()

    def source() -> Iterator[bytes]:
        yield speech(0.5)
        wait_for(seen)
        raise Own("broken")

    with serving(speaks) as url:
        client = client_of(url)
        watched = watch(client)
        client.once("RecognitionStarted", lambda message: seen.set())
        with contextlib.suppress(AudioError):
            client.transcribe(source(), audio_format=RAW)
            pytest.fail("nothing was raised")
        del client
        assert watched.left() == []
