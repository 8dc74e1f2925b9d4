"""Whoever is waited for is named, and nobody who calls is missed, whatever the thread does."""

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
from support.sessions import InThread

from speechmatics_sync._concurrency.poller import Poller

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@pytest.fixture(params=[False, True], ids=["few", "many"])
def waiter(request: pytest.FixtureRequest) -> Iterator[Poller]:
    with contextlib.closing(Poller(many=request.param)) as made:
        yield made


@contextlib.contextmanager
def pairs(number: int) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """So many connections."""
    with contextlib.ExitStack() as held:
        made = [socket.socketpair() for _ in range(number)]
        for each in made:
            for end in each:
                held.enter_context(end)
        yield made


def wait_until_asleep(waiter: Poller) -> None:
    """Look until its thread waits for the sockets: nothing tells."""
    given_up = time.monotonic() + PATIENCE
    while not waiter._listening:
        assert time.monotonic() < given_up, "nobody waits"


@pytest.fixture
def many_turns() -> Iterator[None]:
    """Threads take turns so often that each comes in at every line of the others."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


# -- sockets ------------------------------------------------------------------------------------


def test_whoever_owns_a_socket_at_which_something_happens_is_named(waiter: Poller) -> None:
    with pairs(3) as connections:
        for number, (ours, _) in enumerate(connections):
            waiter.watch(ours, READ, number)
        connections[0][1].send(b"a")
        connections[2][1].send(b"c")
        assert waiter.wait(PATIENCE) == {0: True, 2: True}


def test_an_owner_of_several_sockets_is_named_once(waiter: Poller) -> None:
    with pairs(2) as connections:
        for ours, theirs in connections:
            waiter.watch(ours, READ, "both")
            theirs.send(b"a")
        assert waiter.wait(PATIENCE) == {"both": True}


def test_a_socket_that_is_closed_by_its_peer_is_something_that_happens(waiter: Poller) -> None:
    with pairs(1) as [(ours, theirs)]:
        waiter.watch(ours, READ, "ours")
        theirs.close()
        assert waiter.wait(PATIENCE) == {"ours": True}


def test_only_what_is_watched_for_ends_the_wait(waiter: Poller) -> None:
    with pairs(1) as [(ours, theirs)]:
        waiter.watch(ours, READ, "ours")
        assert waiter.wait(0) == {}
        waiter.watch(ours, READ | WRITE, "ours")
        assert waiter.wait(PATIENCE) == {"ours": True}
        theirs.send(b"a")
        waiter.watch(ours, 0, "ours")
        assert waiter.wait(0) == {}
        waiter.watch(ours, READ, "ours")
        assert waiter.wait(PATIENCE) == {"ours": True}


def test_a_reset_connection_that_is_watched_for_nothing_ends_no_wait(waiter: Poller) -> None:
    """Or one whose reading pauses would take all of the processor's time."""
    with pairs(1) as [(ours, theirs)]:
        waiter.watch(ours, WRITE, "ours")
        waiter.watch(ours, 0, "ours")
        theirs.close()
        assert waiter.wait(0) == {}


def test_a_socket_that_is_forgotten_ends_no_wait_and_another_at_its_place_does(
    waiter: Poller,
) -> None:
    with pairs(1) as [(ours, theirs)]:
        number = ours.fileno()
        waiter.watch(ours, READ, "one")
        theirs.send(b"a")
        waiter.forget(ours)
        waiter.forget(ours)
        assert waiter.wait(0) == {}
        ours.close()
        with pairs(1) as [(other, peer)]:
            assert number in (other.fileno(), peer.fileno()), "the number is given out again"
            for end, far in ((other, peer), (peer, other)):
                waiter.watch(end, READ, "another")
                far.send(b"b")
            assert waiter.wait(PATIENCE) == {"another": True}
            waiter.forget(other)
            waiter.forget(peer)


def test_a_socket_that_is_watched_while_the_thread_sleeps_can_end_its_wait() -> None:
    """The system that waits for many is told of another at once."""
    with contextlib.closing(Poller(many=True)) as waiter, pairs(1) as [(ours, theirs)]:
        waiting = InThread(waiter.wait, PATIENCE)
        wait_until_asleep(waiter)
        waiter.watch(ours, READ, "ours")
        theirs.send(b"a")
        assert waiting.result() == {"ours": True}


# -- being woken --------------------------------------------------------------------------------


def test_all_who_were_woken_before_are_named_once(waiter: Poller) -> None:
    for owner in ("one", "other", "one"):
        waiter.wake(owner)
    assert waiter.wait(None) == {"one": False, "other": False}
    assert waiter.wait(0) == {}


def test_an_owner_who_is_woken_and_whose_socket_is_ready_is_named_with_its_socket(
    waiter: Poller,
) -> None:
    with pairs(1) as [(ours, theirs)]:
        waiter.watch(ours, READ, "ours")
        theirs.send(b"a")
        waiter.wake("ours")
        waiter.wake("woken")
        assert waiter.wait(None) == {"ours": True, "woken": False}


def test_a_call_ends_the_wait_of_a_thread_that_sleeps(waiter: Poller) -> None:
    for owner in ("one", "other"):  # the call that ended a wait ends no other
        waiting = InThread(waiter.wait, None)
        wait_until_asleep(waiter)
        waiter.wake(owner)
        assert waiting.result() == {owner: False}


def test_a_wait_ends_when_its_time_is_up_and_names_nobody(waiter: Poller) -> None:
    with pairs(1) as [(ours, _)]:
        waiter.watch(ours, READ, "ours")
        assert waiter.wait(0.01) == {}


@pytest.mark.usefixtures("many_turns")
def test_no_call_is_missed_whenever_it_comes(waiter: Poller) -> None:
    """While the thread sleeps, rests, is on its way to sleep, or has just woken."""
    seen: queue.SimpleQueue[Hashable] = queue.SimpleQueue()

    def serve() -> None:
        while True:
            for owner in waiter.wait(PATIENCE):
                seen.put(owner)
                if owner is None:
                    return

    serving = InThread(serve)
    for number in range(3000):
        waiter.wake(number)
        # Sometimes several come together, and sometimes each waits for the one before.
        if number % 3:
            assert seen.get(timeout=PATIENCE / 2) is not None
    waiter.wake(None)
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


@pytest.mark.parametrize("at", range(1, 8))
def test_no_call_is_missed_between_any_two_steps_of_a_wait(waiter: Poller, at: int) -> None:
    """Each takes the lock a few times; the first does not sleep, and the second need not."""
    done = threading.Event()

    def call() -> None:
        waiter.wake("owner")
        waiter.post(done.set)

    waiter._lock = Interrupted(at, call)  # type: ignore[assignment]
    waiter.wake("first")
    waiter.post(lambda: None)
    named: set[Hashable] = set()
    for _ in range(3):
        begun = time.monotonic()
        named |= waiter.wait(0 if "owner" in named else PATIENCE).keys()
        assert time.monotonic() - begun < PATIENCE, "it slept although it had been called"
    assert named == {"first", "owner"}
    assert done.is_set()


@pytest.mark.usefixtures("many_turns")
def test_calls_from_many_threads_all_arrive(waiter: Poller) -> None:
    callers, calls = 8, 400
    missing = {(caller, call) for caller in range(callers) for call in range(calls)}

    def call(caller: int) -> None:
        for number in range(calls):
            waiter.wake((caller, number))

    calling = [InThread(call, caller) for caller in range(callers)]
    while missing:
        happened = waiter.wait(PATIENCE / 2)
        assert happened, f"{len(missing)} calls never arrived"
        assert happened.keys() <= missing, "a call that nobody made, or that came twice"
        missing -= happened.keys()
    for each in calling:
        each.result()


# -- errands ------------------------------------------------------------------------------------


def test_an_errand_is_done_once_by_the_thread_that_waits(waiter: Poller) -> None:
    done: list[int] = []

    def errand() -> None:
        done.append(threading.get_ident())

    waiter.post(errand)
    waiter.post(errand)
    waiter.wait(0)
    waiter.wait(0)
    assert done == [threading.get_ident()]
    waiter.post(errand)
    waiter.wait(0)
    assert len(done) == 2


def test_an_errand_is_done_by_a_thread_that_sleeps(waiter: Poller) -> None:
    done = threading.Event()
    waiting = InThread(waiter.wait, None)
    wait_until_asleep(waiter)
    waiter.post(done.set)
    assert waiting.result() == {}
    assert done.is_set()


def test_errands_are_done_between_two_waits_if_that_is_asked_for(waiter: Poller) -> None:
    done = threading.Event()
    waiter.post(done.set)
    waiter.run_errands()
    assert done.is_set()


def test_an_errand_may_wake_and_post(waiter: Poller) -> None:
    """Neither is missed by the wait that it is done in, or the next."""
    order: list[str] = []

    def first() -> None:
        order.append("first")
        waiter.post(second)
        waiter.wake("owner")

    def second() -> None:
        order.append("second")
        waiter.post(third)

    def third() -> None:
        order.append("third")

    waiter.post(first)
    assert waiter.wait(None) == {"owner": False}
    waiter.wait(0)
    assert order == ["first", "second", "third"]


@pytest.mark.usefixtures("many_turns")
def test_no_errand_is_missed_whenever_it_is_posted(waiter: Poller) -> None:
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            waiter.wait(PATIENCE)

    serving = InThread(serve)
    for number in range(2000):
        done = threading.Event()
        waiter.post(done.set)
        if number % 3:
            assert done.wait(PATIENCE / 2), f"errand {number} was never done"
    waiter.post(stopping.set)
    serving.result()


def test_it_knows_which_thread_waits(waiter: Poller) -> None:
    assert not waiter.is_here
    waiter.wait(0)
    assert waiter.is_here
    assert InThread(lambda: waiter.is_here).result() is False


# -- the end ------------------------------------------------------------------------------------


def test_calls_after_the_end_do_nothing() -> None:
    """A session may be woken by the garbage collector, at any time."""
    for many in (False, True):
        waiter = Poller(many=many)
        waiter.close()
        waiter.wake("owner")
        waiter.post(lambda: None)
        waiter.close()
