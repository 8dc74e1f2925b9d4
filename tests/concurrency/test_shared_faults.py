"""What fails in the thread that many share costs one caller at most, and nobody waits for ever."""

from __future__ import annotations

import contextlib
import errno
import logging
import selectors
import socket
import threading
from collections.abc import Iterator
from typing import Callable, Optional

import pytest
from support.serving import PATIENCE, serving
from support.sessions import InThread, wait_for
from support.sharing import Speaking, others_go_on, pushed_beside, shared_threads

from speechmatics_sync import ConnectionError
from speechmatics_sync._concurrency import shared_thread
from speechmatics_sync._concurrency.poller import Poller
from speechmatics_sync._concurrency.shared_thread import (
    SharedThread,
    pump_to_end,
)

SHARED = "speechmatics-shared"


class Own(BaseException):
    """Nobody expects it."""


class Faulty:
    """Echoes bytes until its peer closes the connection, or one of its steps raises.

    Attributes:
        theirs: The peer's end.
        pumped_by: The names of the threads that pumped it.
        fail: By step, what to call in it: "finished", "rest", "pump", "callback" or "leave".
    """

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._poller: Optional[Poller] = None
        self._ended = False
        self.pumped_by: list[str] = []
        self.fail: dict[str, Callable[[], object]] = {}

    def _step(self, name: str) -> None:
        self.fail.pop(name, lambda: None)()

    @property
    def finished(self) -> bool:
        self._step("finished")
        return self._ended

    def rest(self, poller: Poller) -> Optional[float]:
        self._step("rest")
        self._poller = poller
        poller.watch(self._ours, selectors.EVENT_READ, self)
        return None

    def pump(self, *, read: bool, event: bool) -> bool:
        self.pumped_by.append(threading.current_thread().name)
        self._step("pump")
        if "callback" in self.fail and self._poller is not None:
            self._poller.call_soon(self.fail.pop("callback"), self)
        with contextlib.suppress(BlockingIOError):
            received = self._ours.recv(100)
            self._ended = not received
            if received:
                self._ours.send(received)
        return True

    def leave(self) -> None:
        if self._poller is not None:
            self._poller.forget(self._ours)
        self._step("leave")

    def break_shared(self) -> None:
        """Break what waits for all connections."""
        poller, self._poller = self._poller, None
        assert poller is not None
        poller.close()

    def answers(self) -> bool:
        """Whether a byte comes back."""
        self.theirs.settimeout(PATIENCE)
        self.theirs.send(b"?")
        return self.theirs.recv(1) == b"?"

    def close(self) -> None:
        self._ours.close()
        self.theirs.close()


@contextlib.contextmanager
def served(number: int) -> Iterator[list[Faulty]]:
    """So many, each of which echoes before and after what happens inside, and then ends well."""
    echoes = [Faulty() for _ in range(number)]
    calls = [InThread(pump_to_end, echo) for echo in echoes]
    assert all(echo.answers() for echo in echoes)
    yield echoes
    assert all(echo.answers() for echo in echoes)
    for echo in echoes:
        echo.theirs.shutdown(socket.SHUT_RDWR)
    for call in calls:
        call.result()
    for echo in echoes:
        echo.close()


def break_by(echo: Faulty) -> None:
    """Break the shared thread when this one is served, and wait until it has ended."""
    threads = shared_threads()
    echo.fail["callback"] = echo.break_shared
    assert echo.answers()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def raising(error: BaseException) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize("error", [MemoryError(), Own()], ids=["MemoryError", "BaseException"])
@pytest.mark.parametrize("step", ["finished", "rest", "pump", "callback", "leave"])
def test_what_one_step_raises_is_raised_by_its_caller_alone(
    step: str, error: BaseException
) -> None:
    failing = Faulty()
    with served(3) as others:
        call = InThread(pump_to_end, failing)
        assert failing.answers()
        failing.fail[step] = raising(error)
        if step == "leave":
            failing.theirs.shutdown(socket.SHUT_WR)
        else:
            failing.theirs.send(b"?")
        with pytest.raises(type(error)):
            call.result()
        failing.close()
        with served(2) as later:  # the shared thread still works
            pass
    assert {name for each in (*others, *later) for name in each.pumped_by} == {SHARED}


def test_if_the_shared_thread_breaks_all_go_on_with_another_one() -> None:
    with served(5) as echoes:
        break_by(echoes[0])
        with served(2):
            pass
    assert {name for each in echoes for name in each.pumped_by} == {SHARED}


def test_if_it_breaks_whenever_it_is_made_its_callers_use_their_own_threads() -> None:
    with served(1) as (echo,):
        for _ in range(shared_thread._TRIES):
            break_by(echo)
            assert echo.answers()
    assert echo.pumped_by[0] == SHARED
    assert echo.pumped_by[-1] != SHARED


def test_if_it_breaks_without_telling_its_callers_they_look_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There may be no memory left to tell them."""
    monkeypatch.setattr(shared_thread, "_BROKEN_CHECK", 0.05)

    class Full(dict[object, object]):
        def values(self) -> Iterator[object]:  # type: ignore[override]
            raise MemoryError

    with served(3) as echoes, shared_thread._leases.lease() as shared:
        assert shared is not None
        shared._tasks = Full(shared._tasks)  # type: ignore[assignment]
        echoes[0].fail["callback"] = echoes[0].break_shared
        assert echoes[0].answers()


def test_a_handler_of_records_that_blocks_holds_up_nobody_when_it_breaks() -> None:
    """What the broken thread still has to call is called."""

    class Blocks(logging.Handler):
        entered, released = threading.Event(), threading.Event()

        def handle(self, record: logging.LogRecord) -> bool:
            self.entered.set()
            return self.released.wait(PATIENCE)

    handler = Blocks()
    logging.getLogger("speechmatics_sync").addHandler(handler)
    try:
        with served(3) as echoes:
            break_by(echoes[0])
            wait_for(handler.entered)
    finally:
        logging.getLogger("speechmatics_sync").removeHandler(handler)
        handler.released.set()


def test_without_a_descriptor_for_a_shared_thread_callers_use_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(**_: object) -> selectors.BaseSelector:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("speechmatics_sync._concurrency.poller._MANY", full)
    with pytest.raises(ConnectionError, match="no file descriptor left"):
        SharedThread()
    with served(3) as echoes:
        pass
    assert SHARED not in {name for each in echoes for name in each.pumped_by}


def test_sessions_go_on_when_the_thread_that_they_share_breaks() -> None:
    """Over the same connections: nothing happened to those."""
    server = Speaking()
    with serving(server) as url, pushed_beside(url), pushed_beside(url):
        with shared_thread._leases.lease() as shared:
            assert shared is not None
            threads = shared_threads()
            shared._poller.call_soon(shared._poller.close, "fault")
            for thread in threads:
                thread.join(PATIENCE)
            assert not shared.works
        others_go_on(url)
    assert len(server.peers) == 8
