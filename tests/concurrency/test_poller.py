"""A wait returns every owner to whom something happened, and misses no wake-up and no callback."""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import sys
import threading
import time
from collections.abc import Hashable, Iterator
from typing import Callable

import pytest
from support.serving import PATIENCE
from support.sessions import InThread, wait_for

from speechmatics_sync._concurrency.poller import Poller

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@pytest.fixture(params=[False, True], ids=["few", "many"])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    with contextlib.closing(Poller(many=request.param)) as made:
        yield made


@contextlib.contextmanager
def pairs(number: int) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """A number of connections."""
    with contextlib.ExitStack() as held:
        made = [socket.socketpair() for _ in range(number)]
        for each in made:
            for end in each:
                held.enter_context(end)
        yield made


def wait_until_asleep(poller: Poller) -> None:
    """Poll until its thread waits for the sockets: no event tells."""
    given_up = time.monotonic() + PATIENCE
    while not poller._waiting:
        assert time.monotonic() < given_up, "no thread waits"


@pytest.fixture
def many_turns() -> Iterator[None]:
    """Threads take turns so often that each comes in at every line of the others."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


# -- sockets ------------------------------------------------------------------------------------


def test_the_owner_of_a_socket_at_which_something_happens_is_returned(poller: Poller) -> None:
    with pairs(3) as connections:
        for number, (ours, _) in enumerate(connections):
            poller.watch(ours, READ, number)
        connections[0][1].send(b"a")
        connections[2][1].send(b"c")
        assert poller.wait(PATIENCE) == {0: True, 2: True}


def test_an_owner_of_several_sockets_is_returned_once(poller: Poller) -> None:
    with pairs(2) as connections:
        for ours, theirs in connections:
            poller.watch(ours, READ, "both")
            theirs.send(b"a")
        assert poller.wait(PATIENCE) == {"both": True}


def test_a_socket_that_is_closed_by_its_peer_is_something_that_happens(poller: Poller) -> None:
    with pairs(1) as [(ours, theirs)]:
        poller.watch(ours, READ, "ours")
        theirs.close()
        assert poller.wait(PATIENCE) == {"ours": True}


def test_only_what_is_watched_for_ends_the_wait(poller: Poller) -> None:
    with pairs(1) as [(ours, theirs)]:
        poller.watch(ours, READ, "ours")
        assert poller.wait(0) == {}
        poller.watch(ours, READ | WRITE, "ours")
        assert poller.wait(PATIENCE) == {"ours": True}
        theirs.send(b"a")
        poller.watch(ours, 0, "ours")
        assert poller.wait(0) == {}
        poller.watch(ours, READ, "ours")
        assert poller.wait(PATIENCE) == {"ours": True}


def test_a_reset_connection_that_is_watched_for_nothing_ends_no_wait(poller: Poller) -> None:
    """Or one whose reading pauses would take all of the processor's time."""
    with pairs(1) as [(ours, theirs)]:
        poller.watch(ours, WRITE, "ours")
        poller.watch(ours, 0, "ours")
        theirs.close()
        assert poller.wait(0) == {}


def test_a_socket_that_is_forgotten_ends_no_wait_and_another_at_its_place_does(
    poller: Poller,
) -> None:
    with pairs(1) as [(ours, theirs)]:
        number = ours.fileno()
        poller.watch(ours, READ, "one")
        theirs.send(b"a")
        poller.forget(ours)
        poller.forget(ours)
        assert poller.wait(0) == {}
        ours.close()
        with pairs(1) as [(other, peer)]:
            assert number in (other.fileno(), peer.fileno()), "the number is given out again"
            for end, far in ((other, peer), (peer, other)):
                poller.watch(end, READ, "another")
                far.send(b"b")
            assert poller.wait(PATIENCE) == {"another": True}
            poller.forget(other)
            poller.forget(peer)


def test_a_socket_that_is_watched_while_the_thread_sleeps_can_end_its_wait() -> None:
    """The system that waits for many is told of another at once."""
    with contextlib.closing(Poller(many=True)) as poller, pairs(1) as [(ours, theirs)]:
        waiting = InThread(poller.wait, PATIENCE)
        wait_until_asleep(poller)
        poller.watch(ours, READ, "ours")
        theirs.send(b"a")
        assert waiting.result() == {"ours": True}


# -- being woken --------------------------------------------------------------------------------


def test_all_who_were_woken_before_are_returned_once(poller: Poller) -> None:
    for owner in ("one", "other", "one"):
        poller.wake(owner)
    assert poller.wait(None) == {"one": False, "other": False}
    assert poller.wait(0) == {}


def test_an_owner_who_is_woken_and_whose_socket_is_ready_is_returned_with_its_socket(
    poller: Poller,
) -> None:
    with pairs(1) as [(ours, theirs)]:
        poller.watch(ours, READ, "ours")
        theirs.send(b"a")
        poller.wake("ours")
        poller.wake("woken")
        assert poller.wait(None) == {"ours": True, "woken": False}


def test_a_call_ends_the_wait_of_a_thread_that_sleeps(poller: Poller) -> None:
    for owner in ("one", "other"):  # the call that ended a wait ends no other
        waiting = InThread(poller.wait, None)
        wait_until_asleep(poller)
        poller.wake(owner)
        assert waiting.result() == {owner: False}


def test_a_wait_ends_when_its_time_is_up_and_returns_nothing(poller: Poller) -> None:
    with pairs(1) as [(ours, _)]:
        poller.watch(ours, READ, "ours")
        assert poller.wait(0.01) == {}


@pytest.mark.usefixtures("many_turns")
def test_no_call_is_missed_whenever_it_comes(poller: Poller) -> None:
    """While the thread sleeps, rests, is on its way to sleep, or has just woken."""
    seen: queue.SimpleQueue[Hashable] = queue.SimpleQueue()

    def serve() -> None:
        while True:
            for owner in poller.wait(PATIENCE):
                seen.put(owner)
                if owner is None:
                    return

    serving = InThread(serve)
    for number in range(3000):
        poller.wake(number)
        # Sometimes several come together, and sometimes each waits for the one before.
        if number % 3:
            assert seen.get(timeout=PATIENCE / 2) is not None
    poller.wake(None)
    serving.result()


class Interrupted:
    """A lock; just before it is taken for the n-th time, something happens in another thread."""

    def __init__(self, at: int, call: Callable[[], None]) -> None:
        self._lock = threading.RLock()
        self._left = at
        self._call = call

    def __enter__(self) -> None:
        self._left -= 1
        if self._left == 0:
            InThread(self._call).result()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.mark.parametrize("at", range(1, 7))
def test_no_call_is_missed_between_any_two_steps_of_a_wait(poller: Poller, at: int) -> None:
    """Each takes the lock a few times; the first does not sleep, and the second need not."""
    done = threading.Event()

    def call() -> None:
        poller.wake("owner")
        poller.call_soon(done.set, "owner")

    poller._lock = Interrupted(at, call)  # type: ignore[assignment]
    poller.wake("first")
    poller.call_soon(lambda: None, "owner")
    named: set[Hashable] = set()
    for _ in range(3):
        begun = time.monotonic()
        named |= poller.wait(0 if "owner" in named else PATIENCE).keys()
        assert time.monotonic() - begun < PATIENCE, "it slept although it had been called"
    assert named == {"first", "owner"}
    assert done.is_set()


@pytest.mark.usefixtures("many_turns")
def test_calls_from_many_threads_all_arrive(poller: Poller) -> None:
    callers, calls = 8, 400
    missing = {(caller, call) for caller in range(callers) for call in range(calls)}

    def call(caller: int) -> None:
        for number in range(calls):
            poller.wake((caller, number))

    calling = [InThread(call, caller) for caller in range(callers)]
    while missing:
        happened = poller.wait(PATIENCE / 2)
        assert happened, f"{len(missing)} calls never arrived"
        assert happened.keys() <= missing, "a call that nobody made, or that came twice"
        missing -= happened.keys()
    for each in calling:
        each.result()


# -- callbacks ------------------------------------------------------------------------------------


def test_a_callback_runs_once_by_the_thread_that_waits(poller: Poller) -> None:
    done: list[int] = []

    def callback() -> None:
        done.append(threading.get_ident())

    poller.call_soon(callback, "owner")
    poller.call_soon(callback, "owner")
    poller.wait(0)
    poller.wait(0)
    assert done == [threading.get_ident()]
    poller.call_soon(callback, "owner")
    poller.wait(0)
    assert len(done) == 2


def test_a_callback_is_run_by_a_thread_that_sleeps(poller: Poller) -> None:
    done = threading.Event()
    waiting = InThread(poller.wait, None)
    wait_until_asleep(poller)
    poller.call_soon(done.set, "owner")
    assert waiting.result() == {}
    assert done.is_set()


def test_callbacks_are_run_between_two_waits_if_that_is_asked_for(poller: Poller) -> None:
    done = threading.Event()
    poller.call_soon(done.set, "owner")
    poller.run_callbacks()
    assert done.is_set()


def test_a_callback_may_wake_and_call_soon(poller: Poller) -> None:
    """Neither is missed by the wait that it is done in, or the next."""
    order: list[str] = []

    def first() -> None:
        order.append("first")
        poller.call_soon(second, "owner")
        poller.wake("owner")

    def second() -> None:
        order.append("second")
        poller.call_soon(third, "owner")

    def third() -> None:
        order.append("third")

    poller.call_soon(first, "owner")
    assert poller.wait(None) == {"owner": False}
    poller.wait(0)
    assert order == ["first", "second", "third"]


@pytest.mark.usefixtures("many_turns")
def test_no_callback_is_missed_whenever_it_is_asked_for(poller: Poller) -> None:
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            poller.wait(PATIENCE)

    serving = InThread(serve)
    for number in range(2000):
        done = threading.Event()
        poller.call_soon(done.set, "owner")
        if number % 3:
            assert done.wait(PATIENCE / 2), f"callback {number} was never done"
    poller.call_soon(stopping.set, "owner")
    serving.result()


def test_it_knows_which_thread_waits(poller: Poller) -> None:
    assert not poller.is_here
    poller.wait(0)
    assert poller.is_here
    assert InThread(lambda: poller.is_here).result() is False


# -- the end ------------------------------------------------------------------------------------


def test_calls_after_the_end_do_nothing() -> None:
    """A session may be woken by the garbage collector, at any time."""
    for many in (False, True):
        poller = Poller(many=many)
        poller.close()
        poller.wake("owner")
        poller.call_soon(lambda: None, "owner")
        poller.close()


def test_wake_that_is_overtaken_by_the_receiver_leaves_nothing_behind() -> None:
    with contextlib.closing(Poller()) as poller:
        assert poller._pipe is not None
        near, far = poller._pipe
        sending = threading.Event()

        class Late:
            """Sends what was said to be sent a little later."""

            def send(self, byte: bytes) -> None:
                sending.set()
                time.sleep(0.3)  # not a wait: it gives the receiver its chance to go wrong
                far.send(byte)

            def close(self) -> None:
                far.close()

        poller._pipe = (near, Late())  # type: ignore[assignment]
        waiting = InThread(poller.wait, 0.1)
        while not poller._waiting:
            time.sleep(0.001)  # the pace of the poll; what ends the wait is the state itself
        waking = InThread(poller.wake, "owner")
        wait_for(sending)
        waiting.result()
        waking.result()
        begun = time.monotonic()
        poller.wait(0.05)
        assert time.monotonic() - begun > 0.04, "a wake was left over"
