"""Handlers: who is called, in which order, and what becomes of their errors."""

from __future__ import annotations

import sys
import threading
import time
from enum import Enum
from typing import Any, Callable

import pytest
from support.handlers import MESSAGE, Calls, Event, calls

from speechmatics_sync import AudioEncoding
from speechmatics_sync._client.event_emitter import EventEmitter

__all__ = ["calls"]


def test_a_handler_receives_the_very_message_at_every_event() -> None:
    emitter = EventEmitter()
    received: list[dict[str, Any]] = []
    emitter.on("Info", received.append)
    emitter.emit("Info", MESSAGE)
    emitter.emit("Info", MESSAGE)
    assert [each is MESSAGE for each in received] == [True, True]


def test_handlers_run_in_the_order_they_were_added_lasting_and_once_alike(calls: Calls) -> None:
    emitter = EventEmitter()
    for number in range(50):
        add = emitter.once if number % 3 == 0 else emitter.on
        add("Info", calls.by(str(number)))
    emitter.emit("Info", MESSAGE)
    assert calls == [str(number) for number in range(50)]
    calls.clear()
    emitter.emit("Info", MESSAGE)
    assert calls == [str(number) for number in range(50) if number % 3]


@pytest.mark.parametrize("method", ["on", "once"])
def test_as_a_decorator_and_directly_the_function_itself_comes_back(method: str) -> None:
    emitter = EventEmitter()

    def handler(message: dict[str, Any]) -> None: ...

    add = getattr(emitter, method)
    assert add("Info")(handler) is handler
    assert add("Warning", handler) is handler
    assert emitter.listeners("Info") == emitter.listeners("Warning") == [handler]


def test_an_enum_member_and_its_string_are_one_event(calls: Calls) -> None:
    emitter = EventEmitter()
    emitter.on(Event.INFO, calls.by("by member"))
    emitter.on("Info", calls.by("by string"))
    emitter.emit("Info", MESSAGE)
    emitter.emit(Event.INFO, MESSAGE)
    assert calls == ["by member", "by string"] * 2
    assert emitter.has_listeners(Event.INFO)
    assert emitter.has_listeners("Info")
    assert not emitter.has_listeners("INFO")
    emitter.remove_all_listeners(Event.INFO)
    assert emitter.listeners("Info") == []


def test_the_name_of_a_message_that_nobody_knows_is_an_event(calls: Calls) -> None:
    emitter = EventEmitter()
    emitter.on("MessageOfTheFuture", calls.by("it"))
    emitter.emit("MessageOfTheFuture", {"message": "MessageOfTheFuture"})
    assert calls == ["it"]


def test_members_of_any_enum_of_strings_are_events(calls: Calls) -> None:
    emitter = EventEmitter()
    emitter.on(AudioEncoding.MULAW, calls.by("it"))
    emitter.emit("mulaw", MESSAGE)
    assert calls == ["it"]


@pytest.mark.parametrize("event", [None, 1, b"Info", Enum("Other", "INFO").INFO, ["Info"]])  # type: ignore[attr-defined]
def test_what_is_no_name_is_no_event(event: Any) -> None:
    emitter = EventEmitter()
    uses: list[Callable[[], object]] = [
        lambda: emitter.on(event),
        lambda: emitter.on(event, print),
        lambda: emitter.once(event, print),
        lambda: emitter.off(event, print),
        lambda: emitter.emit(event, MESSAGE),
        lambda: emitter.listeners(event),
        lambda: emitter.has_listeners(event),
    ]
    if event is not None:
        uses.append(lambda: emitter.remove_all_listeners(event))
    for use in uses:
        with pytest.raises(TypeError, match="name of a message"):
            use()


def test_once_is_over_before_the_handler_runs() -> None:
    emitter = EventEmitter()
    calls: list[list[Any]] = []

    def handler(message: dict[str, Any]) -> None:
        calls.append(emitter.listeners("Info"))
        if len(calls) < 5:
            emitter.emit("Info", message)

    emitter.once("Info", handler)
    emitter.emit("Info", MESSAGE)
    assert calls == [[]]


def test_a_once_handler_that_an_event_within_the_event_has_used_up_does_not_run_again(
    calls: Calls,
) -> None:
    emitter = EventEmitter()

    def first(message: dict[str, Any]) -> None:
        emitter.off("Info", first)
        emitter.emit("Info", message)

    emitter.on("Info", first)
    emitter.once("Info", calls.by("once"))
    emitter.emit("Info", MESSAGE)
    assert calls == ["once"]


def test_once_can_be_asked_for_again_by_the_handler_itself() -> None:
    emitter = EventEmitter()
    calls: list[dict[str, Any]] = []

    def handler(message: dict[str, Any]) -> None:
        calls.append(message)
        emitter.once("Info", handler)

    emitter.once("Info", handler)
    for emitted in range(1, 4):
        emitter.emit("Info", MESSAGE)
        assert len(calls) == emitted


def test_a_handler_added_twice_runs_once_for_an_event(calls: Calls) -> None:
    emitter = EventEmitter()
    handler = calls.by("it")
    emitter.on("Info", handler)
    emitter.on("Info", calls.by("other"))
    emitter.on("Info", handler)
    emitter.once("Info", handler)
    emitter.emit("Info", MESSAGE)
    emitter.emit("Info", MESSAGE)
    assert calls == ["it", "other"] * 2


def test_a_handler_that_was_to_run_once_stays_when_it_is_added_for_good(calls: Calls) -> None:
    emitter = EventEmitter()
    handler = calls.by("it")
    emitter.once("Info", handler)
    emitter.on("Info", handler)
    emitter.emit("Info", MESSAGE)
    emitter.emit("Info", MESSAGE)
    assert calls == ["it", "it"]


def test_a_bound_method_is_the_same_handler_each_time_it_is_looked_up() -> None:
    emitter = EventEmitter()
    received: list[Any] = []
    emitter.on("Info", received.append)
    emitter.off("Info", received.append)
    emitter.emit("Info", MESSAGE)
    assert received == []


def test_off_takes_away_lasting_and_once_and_ignores_strangers(calls: Calls) -> None:
    emitter = EventEmitter()
    lasting, once = calls.by("lasting"), calls.by("once")
    emitter.on("Info", lasting)
    emitter.once("Info", once)
    emitter.off("Info", print)
    emitter.off("Warning", lasting)
    assert emitter.listeners("Info") == [lasting, once]
    emitter.off("Info", lasting)
    emitter.off("Info", once)
    assert not emitter.has_listeners("Info")
    emitter.emit("Info", MESSAGE)
    assert calls == []


def test_all_handlers_go_of_one_event_or_of_every_event(calls: Calls) -> None:
    emitter = EventEmitter()
    for event in ("Info", "Warning", "Error"):
        emitter.on(event, calls.by(event))
    emitter.remove_all_listeners("Info")
    assert [emitter.has_listeners(each) for each in ("Info", "Warning", "Error")] == [
        False,
        True,
        True,
    ]
    emitter.remove_all_listeners()
    assert not emitter.has_listeners("Warning")
    assert not emitter.has_listeners("Error")


def test_the_list_of_listeners_is_the_callers_own(calls: Calls) -> None:
    emitter = EventEmitter()
    emitter.on("Info", calls.by("it"))
    emitter.listeners("Info").clear()
    emitter.emit("Info", MESSAGE)
    assert calls == ["it"]


def test_what_a_handler_adds_or_removes_counts_from_the_next_event_on(calls: Calls) -> None:
    emitter = EventEmitter()
    last, last_once, late = calls.by("last"), calls.by("last once"), calls.by("late")

    def first(message: dict[str, Any]) -> None:
        calls.append("first")
        emitter.off("Info", last)
        emitter.off("Info", last_once)
        emitter.off("Info", first)
        emitter.on("Info", late)

    emitter.on("Info", first)
    emitter.on("Info", last)
    emitter.once("Info", last_once)
    emitter.emit("Info", MESSAGE)
    assert calls == ["first", "last", "last once"]
    calls.clear()
    emitter.emit("Info", MESSAGE)
    assert calls == ["late"]


def test_a_once_handler_runs_once_however_many_threads_emit() -> None:
    emitter = EventEmitter()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(200):
            ran: list[dict[str, Any]] = []
            emitter.once("Info", ran.append)
            in_threads(4, lambda number: emitter.emit("Info", MESSAGE))
            assert len(ran) == 1
    finally:
        sys.setswitchinterval(interval)


def test_no_handler_is_lost_when_many_threads_add_and_remove_while_events_come() -> None:
    emitter = EventEmitter()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    calls: list[str] = []
    noted: list[str] = []

    class Handler:
        def __init__(self, name: str) -> None:
            self.name = name

        def __call__(self, message: dict[str, Any]) -> None:
            noted.append(self.name)

        def __eq__(self, other: object) -> bool:
            time.sleep(0)  # lets the other threads in while handlers are compared
            return self is other

        __hash__ = None  # type: ignore[assignment]

    stay = [[Handler(f"{thread} {number}") for number in range(25)] for thread in range(4)]
    emitter.on("Info", lambda message: calls.append("first"))

    def add_and_remove(thread: int) -> None:
        for handler in stay[thread]:
            passing = Handler("passing")
            emitter.on("Info", passing)
            emitter.on("Info", handler)
            emitter.emit("Info", MESSAGE)
            emitter.off("Info", passing)

    try:
        in_threads(4, add_and_remove)
    finally:
        sys.setswitchinterval(interval)
    assert calls == ["first"] * 100
    noted.clear()
    emitter.emit("Info", MESSAGE)
    assert sorted(noted) == sorted(
        f"{thread} {number}" for thread in range(4) for number in range(25)
    )


def test_a_handler_that_is_dropped_may_remove_others_as_it_goes() -> None:
    emitter = EventEmitter()

    class Owner:
        def handle(self, message: dict[str, Any]) -> None: ...

        def __del__(self) -> None:
            emitter.off("Info", print)

    emitter.on("Info", print)
    emitter.on("Info", Owner().handle)
    done = threading.Event()

    def remove() -> None:
        emitter.remove_all_listeners("Info")
        done.set()

    threading.Thread(target=remove, daemon=True).start()
    assert done.wait(20), "the lock of the emitter is held while handlers are dropped"


def in_threads(count: int, work: Any) -> None:
    """Run `work` with each thread's number, all at once; what one raises comes out here."""
    start = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        start.wait(20)
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]
