"""Handlers: who is called, in which order, and what becomes of their errors."""

from __future__ import annotations

import concurrent.futures
import functools
import gc
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from enum import Enum
from typing import Any, Callable

import pytest

from speechmatics_sync import AudioEncoding, ServerMessageType, SessionEvent
from speechmatics_sync._client.event_emitter import EventEmitter
from speechmatics_sync.errors import ConfigurationError

MESSAGE = {"message": "Info", "reason": "ready"}


class Event(str, Enum):
    """Of the shape of ServerMessageType: the member's name is not its value."""

    INFO = "Info"
    WARNING = "Warning"


class Calls(list[str]):
    """Makes handlers that note that they were called."""

    def by(self, name: str) -> Any:
        def handler(message: dict[str, Any]) -> None:
            self.append(name)

        return handler


@pytest.fixture
def calls() -> Calls:
    return Calls()


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


async def a_coroutine_function(message: dict[str, Any]) -> None: ...


class CoroutineCallable:
    async def __call__(self, message: dict[str, Any]) -> None: ...


def a_generator_function(message: dict[str, Any]) -> Any:
    yield message


class GeneratorCallable:
    def __call__(self, message: dict[str, Any]) -> Any:
        yield message


async def an_asynchronous_generator(message: dict[str, Any]) -> Any:
    yield message


@pytest.mark.parametrize(
    "handler",
    [
        a_coroutine_function,
        CoroutineCallable(),
        CoroutineCallable().__call__,
        functools.partial(a_coroutine_function),
        an_asynchronous_generator,
        a_generator_function,
        GeneratorCallable(),
        functools.partial(a_generator_function),
    ],
)
@pytest.mark.parametrize("method", ["on", "once"])
def test_functions_that_run_nothing_when_called_are_refused(method: str, handler: Any) -> None:
    emitter = EventEmitter()
    with pytest.raises(ConfigurationError, match="only plain functions") as refusal:
        getattr(emitter, method)("Info", handler)
    assert isinstance(refusal.value, ValueError)
    with pytest.raises(ConfigurationError, match="only plain functions"):
        getattr(emitter, method)("Info")(handler)
    assert not emitter.has_listeners("Info")


@pytest.mark.parametrize(
    ("handler", "what"),
    [
        (lambda message: a_coroutine_function(message), "a coroutine"),
        (lambda message: a_generator_function(message), "a generator"),
        (lambda message: an_asynchronous_generator(message), "an asynchronous generator"),
    ],
)
@pytest.mark.parametrize("method", ["on", "once"])
def test_a_handler_that_returns_what_nothing_runs_fails_at_its_first_call(
    method: str, handler: Any, what: str
) -> None:
    """And no warning is left that the coroutine was never awaited: tests make it an error."""
    emitter = EventEmitter()
    getattr(emitter, method)("Info", handler)
    with pytest.raises(ConfigurationError, match=f"returned {what}, which nothing runs"):
        emitter.emit("Info", MESSAGE)
    gc.collect()


def test_a_handler_may_return_anything_else() -> None:
    emitter = EventEmitter()
    for returned in (1, "x", [], iter([]), concurrent.futures.Future()):
        emitter.on("Info", lambda message, returned=returned: returned)
    emitter.emit("Info", MESSAGE)


class TimeLimit(Exception):
    """As a task queue raises it in the handler of a signal."""


def _over_time(number: int, frame: Any) -> None:
    raise TimeLimit


class OverTime:
    def __call__(self, number: int, frame: Any) -> None:
        raise TimeLimit

    def method(self, number: int, frame: Any) -> None:
        raise TimeLimit


@pytest.fixture
def signal_handler() -> Iterator[Any]:
    """Sets a handler for SIGUSR1 until the test ends."""
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda handler: signal.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    "handler", [_over_time, OverTime(), OverTime().method, functools.partial(_over_time)]
)
def test_what_a_signal_raised_inside_a_handler_is_not_logged_as_the_handlers(
    handler: Any, signal_handler: Any
) -> None:
    signal_handler(handler)
    emitter = EventEmitter(handler_errors="log")
    emitter.on("Info", lambda message: signal.raise_signal(signal.SIGUSR1))
    with pytest.raises(TimeLimit):
        emitter.emit("Info", MESSAGE)


def test_what_a_handler_raised_itself_is_logged_whatever_signals_are_handled(
    signal_handler: Any,
) -> None:
    signal_handler(_over_time)
    emitter = EventEmitter(handler_errors="log")
    seen: list[Any] = []

    def fails(message: Any) -> None:
        raise TimeLimit

    emitter.on("Info", fails)
    emitter.on("Info", seen.append)
    emitter.emit("Info", MESSAGE)
    assert seen == [MESSAGE]


@pytest.mark.parametrize("handler", ["print", 1, [], {}])
def test_what_cannot_be_called_is_refused(handler: Any) -> None:
    with pytest.raises(TypeError, match="must be callable"):
        EventEmitter().on("Info", handler)
    with pytest.raises(TypeError, match="must be callable"):
        EventEmitter().once("Info")(handler)


def test_callables_of_every_kind_are_handlers() -> None:
    emitter = EventEmitter()
    received: list[Any] = []

    class CallableObject:
        __hash__ = None  # type: ignore[assignment]  # not hashable, and a handler all the same

        def __eq__(self, other: object) -> bool:
            return self is other

        def __call__(self, message: dict[str, Any]) -> None:
            received.append("object")

    emitter.on("Info", CallableObject())
    emitter.on("Info", functools.partial(lambda name, message: received.append(name), "partial"))
    emitter.on("Info", received.append)
    emitter.emit("Info", MESSAGE)
    assert received == ["object", "partial", MESSAGE]


def test_the_exception_of_a_handler_comes_out_as_it_is(calls: Calls) -> None:
    emitter = EventEmitter()
    error = LookupError("mine")

    def broken(message: dict[str, Any]) -> None:
        raise error

    emitter.on("Info", calls.by("before"))
    emitter.on("Info", broken)
    emitter.once("Info", calls.by("after"))
    with pytest.raises(LookupError) as raised:
        emitter.emit("Info", MESSAGE)
    assert raised.value is error
    assert calls == ["before"]
    emitter.off("Info", broken)
    emitter.emit("Info", MESSAGE)
    assert calls == ["before", "before", "after"]


def test_with_log_the_exception_is_logged_with_its_traceback_and_the_next_handler_runs(
    calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    emitter = EventEmitter(handler_errors="log")

    @emitter.on("Info")
    def broken(message: dict[str, Any]) -> None:
        raise LookupError("mine")

    emitter.on("Info", calls.by("after"))
    with caplog.at_level(logging.DEBUG, "speechmatics_sync"):
        emitter.emit(Event.INFO, MESSAGE)
    assert calls == ["after"]
    (record,) = caplog.records
    assert record.name == "speechmatics_sync"
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError
    assert "broken of Info" in record.getMessage()


def test_with_log_an_interrupt_still_comes_out() -> None:
    emitter = EventEmitter(handler_errors="log")

    @emitter.on("Info")
    def interrupted(message: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        emitter.emit("Info", MESSAGE)


@pytest.mark.parametrize("value", ["ignore", "", None, True, ["log"]])
def test_other_ways_with_errors_are_refused_by_name(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"handler_errors.*'raise' or 'log'"):
        EventEmitter(handler_errors=value)


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


# -- what looks like a mistake --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "meant"),
    [
        ("AddTranscrpt", "AddTranscript"),
        ("add_partial_transcript", "AddPartialTranscript"),
        ("EndOfUtterence", "EndOfUtterance"),
        ("final", "AddTranscript"),
        ("partials", "AddPartialTranscript"),
        ("error", "Error"),
        ("SessionReconnect", "SessionReconnected"),
    ],
)
def test_a_misspelt_event_is_allowed_and_a_warning_names_the_near_match(
    event: str, meant: str, caplog: pytest.LogCaptureFixture, calls: Calls
) -> None:
    emitter = EventEmitter()
    emitter.on(event, calls.by("first"))
    emitter.on(event)(calls.by("second"))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"did you mean {meant!r}" in record.getMessage()
    emitter.emit(event, MESSAGE)
    assert calls == ["first", "second"]


@pytest.mark.parametrize("event", [*ServerMessageType, *SessionEvent, "Novelty", "VadStatus"])
def test_an_event_that_is_known_or_new_is_no_warning(
    event: str, caplog: pytest.LogCaptureFixture
) -> None:
    EventEmitter().on(event, print)
    EventEmitter().once(event, print)
    assert caplog.records == []


CELL = "def show(message): calls.append(message['message'])\nemitter.on('Info', show)"


def test_a_function_that_is_registered_again_is_a_warning_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    emitter = EventEmitter()
    notebook: dict[str, Any] = {"emitter": emitter, "calls": [], "__name__": "__main__"}
    exec(CELL, notebook)
    assert caplog.records == []
    exec(CELL, notebook)
    exec(CELL, notebook)
    (record,) = caplog.records
    assert record.getMessage().startswith("The handler show of Info was registered before; both")
    emitter.emit("Info", MESSAGE)
    assert notebook["calls"] == ["Info"] * 3


def test_one_object_that_is_registered_again_is_a_warning_and_called_once(
    caplog: pytest.LogCaptureFixture, calls: Calls
) -> None:
    emitter = EventEmitter()
    handler = calls.by("it")
    for _ in range(3):
        emitter.on("Info", handler)
    (record,) = caplog.records
    assert "called once" in record.getMessage()
    emitter.emit("Info", MESSAGE)
    assert calls == ["it"]


def test_a_lambda_of_a_cell_that_is_run_again_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    emitter = EventEmitter()
    for _ in range(2):
        exec("emitter.on('Info', lambda message: print(message))", {"emitter": emitter})
    assert len(caplog.records) == 1


def test_handlers_that_only_have_a_name_in_common_are_no_warning(
    caplog: pytest.LogCaptureFixture, calls: Calls
) -> None:
    emitter = EventEmitter()
    for name in "abc":
        emitter.on("Info", calls.by(name))  # closures
        emitter.on("Info", lambda message, name=name: name)  # type: ignore[misc]  # defaults
        emitter.on("Error", calls.by(name))
    emitter.on("Info", lambda message: 1)
    emitter.on("Info", lambda message: 2)
    emitter.once("Warning", str)
    emitter.emit("Warning", MESSAGE)
    emitter.once("Warning", str)  # the first has been called and is gone
    assert caplog.records == []
