"""Audio of the main thread, which leaves it to another thread to be sent.

An interrupt may come between any two steps of the main thread, so that one step is all it may do.
"""

from __future__ import annotations

import contextlib
import itertools
import linecache
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, Callable, Optional

import pytest
from support.channel_server import ChannelServer
from support.fault_proxying import Counted, Witness
from support.forking import in_child
from support.places import ROOT
from support.pushed import Recorder
from support.reconnecting import POLICY, Legs, finishes, listen, pieces, refuses
from support.serving import PATIENCE, Peer, serving
from support.sessions import RAW, InThread, client_of, wait_for

from speechmatics_sync import (
    Client,
    MultiChannelClient,
    ReconnectPolicy,
    SessionError,
    TranscriptionConfig,
)
from speechmatics_sync._session.outbox import Outbox
from speechmatics_sync.local import CountedRecognizer, LocalServer

PACKAGE = ROOT / "speechmatics_sync"


@pytest.fixture
def outboxes(monkeypatch: pytest.MonkeyPatch) -> list[Outbox]:
    """The outboxes of the sessions of a test."""
    made: list[Outbox] = []
    init = Outbox.__init__

    def noted(self: Outbox, *args: Any) -> None:
        init(self, *args)
        made.append(self)

    monkeypatch.setattr(Outbox, "__init__", noted)
    return made


NO_LIMITS: dict[str, Any] = {"ack_timeout": None, "ping_interval": None, "ping_timeout": None}
"""Limits of a connection that nobody looks at because of the time alone."""


class Held:
    """Has another thread hold a session's lock, so that what is left to others stays left.

    Args:
        outbox: The session's.
        call: What the other thread does, when it is told to, before it lets go.
    """

    def __init__(self, outbox: Outbox, call: Callable[[], Any] = int) -> None:
        self._held, self._go = threading.Event(), threading.Event()

        def hold() -> Any:
            with outbox._life.lock:
                self._held.set()
                wait_for(self._go)
                return call()

        self._holding = InThread(hold)
        wait_for(self._held)

    def go(self) -> Any:
        """Let it make its call and let go; return what the call did."""
        self._go.set()
        return self._holding.result()


def numbered(first: int, last: int) -> list[bytes]:
    """Chunks that tell their number, the last included."""
    return [number.to_bytes(2, "big") * 8 for number in range(first, last + 1)]


def in_steady_state(client: Any, *channel: str) -> None:
    """Send the first chunk: what follows is audio of a session that runs."""
    assert threading.current_thread() is threading.main_thread()
    client.send_audio(*channel, *numbered(1, 1))


# -- in order with everything else --------------------------------------------------------------

FORCED = {"message": "ForceEndOfUtterance", "timestamp": 4 * 8 / 16000}
CALLS: dict[str, tuple[Callable[[Client], Any], Any]] = {
    "message": (lambda client: client.send_message({"message": "Mine"}), {"message": "Mine"}),
    "force": (lambda client: client.force_end_of_utterance(), FORCED),
    "configure": (
        lambda client: client.update_transcription_config(max_delay=1),
        {
            "message": "SetRecognitionConfig",
            "transcription_config": {"max_delay": 1, "language": "en"},
        },
    ),
    "audio": (lambda client: client.send_audio(b"last"), b"last"),
    "end": (lambda client: client.end_of_stream(), None),
}


@pytest.mark.parametrize(("call", "sent"), CALLS.values(), ids=CALLS)
def test_audio_of_the_main_thread_goes_before_what_another_thread_sends_later(
    call: Callable[[Client], Any], sent: Any, outboxes: list[Outbox]
) -> None:
    server = Recorder("word")
    with serving(server) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        in_steady_state(client)
        held = Held(outboxes[0], lambda: call(client))
        for chunk in numbered(2, 4):
            client.send_audio(chunk)  # though the lock is held
        held.go()
        assert client.stop_session(timeout=PATIENCE).text == "word"
        chunks = 4 + isinstance(sent, bytes)
        assert client.stats.chunks_acknowledged == chunks
    expected = [*numbered(1, 4), *([] if sent is None else [sent])]
    assert server.received[1:] == [*expected, {"message": "EndOfStream", "last_seq_no": chunks}]


def test_audio_of_the_main_thread_is_sent_though_nothing_else_happens() -> None:
    heard = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        listen(peer, 1)
        listen(peer, 1, acknowledge=False)
        heard.set()
        peer.acknowledge()
        peer.finish()

    with serving(behave, ping_interval=None) as url, client_of(url, **NO_LIMITS) as client:
        client.start_session(audio_format=RAW)
        in_steady_state(client)
        given_up = time.monotonic() + PATIENCE
        while not client.stats.chunks_acknowledged:
            assert time.monotonic() < given_up
            time.sleep(0.001)  # the pace of the poll; what ends it is the state itself
        client.send_audio(*numbered(2, 2))
        wait_for(heard)
        client.stop_session(timeout=PATIENCE)


FIGURES: dict[str, tuple[Callable[[Client], Any], Any]] = {
    "audio_bytes_sent": (lambda client: client.audio_bytes_sent, 64),
    "audio_seconds_sent": (lambda client: client.audio_seconds_sent, 64 / 32000),
    "stats, chunks": (lambda client: client.stats.chunks_sent, 4),
    "stats, seconds": (lambda client: client.stats.seconds_sent, 64 / 32000),
}


@pytest.mark.parametrize(("look", "figure"), FIGURES.values(), ids=FIGURES)
def test_audio_of_the_main_thread_is_counted_at_once(
    look: Callable[[Client], Any], figure: Any, outboxes: list[Outbox]
) -> None:
    with serving(Recorder()) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        in_steady_state(client)
        held = Held(outboxes[0], lambda: look(client))
        for chunk in numbered(2, 4):
            client.send_audio(chunk)
        assert held.go() == figure
        assert look(client) == figure
        client.stop_session(timeout=PATIENCE)


def test_the_window_holds_for_audio_that_is_left_to_another_thread(
    outboxes: list[Outbox],
) -> None:
    taken, allowed = threading.Semaphore(0), threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        for _ in range(3):
            listen(peer, 1, acknowledge=False)
            taken.release()
        wait_for(allowed)
        peer.acknowledge()
        peer.finish()

    with serving(behave) as url, client_of(url, max_unacked_chunks=3) as client:
        client.start_session(audio_format=RAW)
        in_steady_state(client)
        held = Held(outboxes[0])
        for chunk in numbered(2, 3):
            client.send_audio(chunk)
        timer = threading.Timer(0.05, held.go)
        timer.start()
        with pytest.raises(TimeoutError, match="nothing of the payload was taken"):
            client.send_audio(b"full", timeout=0.1)
        timer.join()
        for _ in range(3):
            assert taken.acquire(timeout=PATIENCE)
        allowed.set()
        client.send_audio(b"last")
        client.stop_session(timeout=PATIENCE)
        assert client.stats.chunks_acknowledged == 4


def test_channels_of_the_main_thread_stay_in_order_and_are_counted_at_once(
    outboxes: list[Outbox],
) -> None:
    server = ChannelServer(words=False)
    with serving(server) as url, MultiChannelClient(url=url) as client:
        client.start_session(channels=["a", "b"], audio_format=RAW)
        for label in "ab":
            in_steady_state(client, label)
        held = Held(outboxes[0], lambda: client.end_of_channel("a"))
        for chunk in numbered(2, 9):
            for label in "ab":
                client.send_audio(label, chunk)
        held.go()
        assert client.audio_bytes_sent == 2 * 9 * 16
        client.stop_session(timeout=PATIENCE)
    whole = b"".join(numbered(1, 9))
    assert {label: bytes(heard) for label, heard in server.audio.items()} == {
        "a": whole,
        "b": whole,
    }


# -- when the connection changes ----------------------------------------------------------------


def test_audio_that_was_left_when_the_connection_is_lost_goes_over_the_next(
    outboxes: list[Outbox],
) -> None:
    left, gone = threading.Event(), threading.Event()

    def loses_it(peer: Peer) -> None:
        peer.start()
        listen(peer, 1)
        wait_for(left)
        refuses(peer)
        gone.set()

    server = Legs(loses_it, finishes())
    with serving(server) as url, client_of(url, reconnect=POLICY) as client:
        client.start_session(audio_format=RAW)
        in_steady_state(client)
        held = Held(outboxes[0])
        for chunk in numbered(2, 6):
            client.send_audio(chunk)
        left.set()
        wait_for(gone)
        held.go()
        client.stop_session(timeout=PATIENCE)
        assert client.audio_bytes_sent == 6 * 16
    assert b"".join(server.peers[1].audio) == b"".join(numbered(1, 6))


def test_main_thread_that_feeds_several_channels_of_a_session_loses_nothing_in_a_rollover() -> None:
    channels = {"a": Counted(first=1, count=5), "b": Counted(first=101, count=5)}
    policy = ReconnectPolicy(initial_delay=0.01, session_limit=3.0, rollover_margin=2.0)
    with LocalServer(recognizer=CountedRecognizer(delay=0.1), strict=True) as server:
        with MultiChannelClient(url=server.url, reconnect=policy) as client:
            witness = Witness(client, channels)
            client.start_session(
                channels=list(channels),
                audio_format=RAW,
                transcription_config=TranscriptionConfig(max_delay=2),
            )
            begun = time.monotonic()
            audio = [pieces(each.audio()) for each in channels.values()]
            for number, chunks in enumerate(zip(*audio)):
                # The pace of speech, on an absolute schedule.
                time.sleep(max(0.0, begun + 0.1 * number - time.monotonic()))
                for label, chunk in zip(channels, chunks):
                    client.send_audio(label, chunk, timeout=PATIENCE)
            transcript = client.stop_session(timeout=PATIENCE)
            problems = witness.problems(transcript, client.stats)
        assert len(server.sessions) > 1
    assert problems == []


class Once:
    """Does something in the main thread when a function of the package returns, once."""

    def __init__(self, name: str, do: Callable[[], Any]) -> None:
        self._name, self._do = name, do
        self.done = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_name != self._name or self.done:
            return None
        if not frame.f_code.co_filename.startswith(str(PACKAGE)):
            return None
        return self._returns

    def _returns(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "return" and not self.done:
            self.done = True
            self._do()
        return self._returns


@contextlib.contextmanager
def tracing(trace: Any) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def test_audio_that_meets_the_end_of_its_channel_is_refused_and_not_dropped() -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        in_steady_state(client)
        between = Once("sends_at_once", lambda: InThread(client.end_of_stream).result())
        with tracing(between), pytest.raises(SessionError, match="has ended"):
            client.send_audio(b"late")
        assert between.done
        client.stop_session(timeout=PATIENCE)
    assert server.received[1:] == [*numbered(1, 1), {"message": "EndOfStream", "last_seq_no": 1}]


def test_audio_that_meets_the_next_connection_is_sent_over_it_at_once() -> None:
    lost, back, heard = threading.Event(), threading.Event(), threading.Event()

    def loses_it(peer: Peer) -> None:
        peer.start()
        listen(peer, 1)
        wait_for(lost)
        refuses(peer)

    def goes_on(peer: Peer) -> None:
        peer.start()
        while len(b"".join(peer.audio)) < 32:
            listen(peer, 1, acknowledge=False)
        heard.set()
        peer.acknowledge()
        peer.finish()

    def lose() -> None:
        lost.set()
        wait_for(back)

    server = Legs(loses_it, goes_on)
    with (
        serving(server, ping_interval=None) as url,
        client_of(url, reconnect=POLICY, **NO_LIMITS) as client,
    ):
        client.on("SessionReconnected", lambda _: back.set())
        client.start_session(audio_format=RAW)
        in_steady_state(client)
        between = Once("sends_at_once", lose)
        with tracing(between):
            client.send_audio(*numbered(2, 2))
        assert between.done
        wait_for(heard)
        client.stop_session(timeout=PATIENCE)
    assert b"".join(server.peers[1].audio) == b"".join(numbered(1, 2))


# -- interrupts and forks -----------------------------------------------------------------------

ON_THE_WAY = [
    str(PACKAGE / name)
    for name in (
        "_client/client.py",
        "_client/multichannel.py",
        "_concurrency/poller.py",
        "_concurrency/threads.py",
        "_protocol/channel.py",
        "_protocol/multiplexer.py",
        "_protocol/session.py",
        "_session/outbox.py",
        "_transport/connection.py",
    )
]


class InterruptAtLine:
    """A KeyboardInterrupt at the n-th line that the main thread runs of what sends audio.

    Not at the end of a ``with`` block: the interpreter looks for no signal there, before the lock
    is let go.
    """

    def __init__(self, number: int) -> None:
        self._left = number
        self.came = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in ON_THE_WAY:
            return None
        code = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if event == "line" and not code.startswith("with "):
            self._left -= 1
            if self._left < 0 and not self.came:
                self.came = True
                raise KeyboardInterrupt
        return self


@pytest.mark.parametrize("label", [None, "a"])
def test_an_interrupt_at_any_line_of_send_audio_loses_and_doubles_nothing(
    label: Optional[str],
) -> None:
    server: Any = Recorder() if label is None else ChannelServer(words=False)
    client: Any
    to = () if label is None else (label,)
    interrupted, whole = set(), set()
    with serving(server) as url:
        client = (Client if label is None else MultiChannelClient)(url=url)
        with client:
            client.start_session(audio_format=RAW, **({} if label is None else {"channels": to}))
            in_steady_state(client, *to)
            for number in itertools.count(1):
                # A chunk that is interrupted, one that is not, and again with the next line.
                chunk, after = numbered(2 * number, 2 * number + 1)
                interrupt = InterruptAtLine(number - 1)
                try:
                    with tracing(interrupt):
                        client.send_audio(*to, chunk)
                except KeyboardInterrupt:
                    interrupted.add(chunk)
                else:
                    whole.add(chunk)
                client.send_audio(*to, after)
                whole.add(after)
                if not interrupt.came:
                    break
            client.stop_session(timeout=PATIENCE)
            sent = client.audio_bytes_sent
    heard = server.received[1:-1] if label is None else pieces(bytes(server.audio[label]), 16)
    assert len(interrupted) > 10
    assert heard == sorted(set(heard))  # in order, none twice
    assert whole <= set(heard) <= whole | interrupted | set(numbered(1, 1))
    assert set(heard) & interrupted, "some were taken before the interrupt"
    assert sent == 16 * len(heard)


def test_a_forked_child_leaves_the_audio_to_its_parent(outboxes: list[Outbox]) -> None:
    server = Recorder()
    with serving(server) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        in_steady_state(client)
        held = Held(outboxes[0])
        for chunk in numbered(2, 4):
            client.send_audio(chunk)

        def child() -> None:
            # Nobody lets go of the lock here: none of these may want it.
            for call in (lambda: client.send_audio(b"mine"), lambda: client.stats):
                with pytest.raises(SessionError, match="fork"):
                    call()
            assert client.audio_bytes_sent >= 16
            client.close()

        in_child(child)
        held.go()
        client.stop_session(timeout=PATIENCE)
    assert server.received[1:-1] == numbered(1, 4)
