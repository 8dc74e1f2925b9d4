"""What can be a handler, what looks like a mistake, and what becomes of what handlers raise."""

from __future__ import annotations

import concurrent.futures
import functools
import gc
import logging
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from support.handlers import MESSAGE, Calls, Event, calls

from speechmatics_sync import ServerMessageType, SessionEvent
from speechmatics_sync._client.event_emitter import EventEmitter
from speechmatics_sync.errors import ConfigurationError

__all__ = ["calls"]


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
    with pytest.raises(ConfigurationError, match=r"handler_errors.*allowed: 'raise', 'log'"):
        EventEmitter(handler_errors=value)


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
