"""Registration and calling of event handlers."""

from __future__ import annotations

import inspect
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterable
from typing import TYPE_CHECKING, Any, Callable, Literal, Optional, Union

from .._concurrency.one_process import OneProcess
from .._logs import PackageLogger
from .._logs import logger as _logger
from .._signals import raised_by_signal
from ..errors import ConfigurationError
from .event_hints import are_one_function, near_match

if TYPE_CHECKING:
    import logging

    from .event_types import Register

    Logger = Union[logging.Logger, logging.LoggerAdapter[Any]]

__all__ = ["EventEmitter", "Handler"]

Handler = Callable[[dict[str, Any]], object]


class _Registration:
    """One handler of one event."""

    __slots__ = ("handler", "once", "spent")

    def __init__(self, handler: Handler, once: bool) -> None:
        self.handler = handler
        self.once = once
        self.spent = False


class EventEmitter(OneProcess):
    """Calls the handlers of an event, in the order in which they were added.

    An event is a `ServerMessageType`, its string, or the name of any other message. Handlers may
    be added and removed in any thread, also by a running handler: that takes effect with the next
    event.

    Args:
        handler_errors: ``"raise"``: `emit` raises the exception of a handler unchanged, and does
            not call the handlers after it. ``"log"``: it is logged, and the next handler runs;
            an exception that a signal handler raised meanwhile is raised in either case.
        logger: The logger for ``"log"``; None: that of this package, ``speechmatics_sync``.

    Raises:
        ConfigurationError: ``handler_errors`` is something else.

    Example:
        >>> emitter = EventEmitter()
        >>> @emitter.on("Info")
        ... def show(message):
        ...     print(message["reason"])
        >>> emitter.emit("Info", {"message": "Info", "reason": "ready"})
        ready
    """

    def __init__(
        self, *, handler_errors: Literal["raise", "log"] = "raise", logger: Optional[Logger] = None
    ) -> None:
        if handler_errors not in ("raise", "log"):
            raise ConfigurationError(
                f"handler_errors is {handler_errors!r}; allowed: 'raise', 'log'"
            )
        self._handler_errors = handler_errors
        own = _logger if logger is None else logger
        self._handler_logger = own if isinstance(own, PackageLogger) else PackageLogger(own)
        # A tuple is replaced, never changed, and never empty: emit and has_listeners need no lock.
        # The lock is reentrant, since the __del__ of a removed handler may remove others.
        self._registrations: dict[str, tuple[_Registration, ...]] = {}
        self._registrations_lock = threading.RLock()
        # The names of `_registrations`: what a session may hold without holding the handlers.
        self._listened: set[str] = set()
        self._warned: set[object] = set()

    if TYPE_CHECKING:
        # Overloads for every known event, so that the message that a handler gets has a type.
        on: Register
        """Call a handler for every event of a name. Without a handler, this is a decorator."""
        once: Register
        """Call a handler for the next event only; it is removed before it runs."""
    else:

        def on(self, event, callback=None):
            """Call a handler for every event of a name. Without a handler, this is a decorator.

            A handler that is added twice for the same event is called once. That it was is a
            WARNING in the log, as is an event whose name is nearly one that is known.

            Args:
                event: A `ServerMessageType`, its string, or the name of any other message.
                callback: A function of one argument, the message (a dict).

            Returns:
                The handler, or the decorator.

            Raises:
                TypeError: The event is not a string, or the handler is not callable.
                ConfigurationError: The handler is a coroutine function or a generator function. One
                    that only returns a coroutine or a generator fails at its first call.

            Example:
                >>> @client.on(ServerMessageType.ADD_TRANSCRIPT)
                ... def show(message):
                ...     print(message["metadata"]["transcript"])
            """
            return self._register(event, callback, once=False)

        def once(self, event, callback=None):
            """Call a handler for the next event only; it is removed before it runs.

            Arguments, result and errors are those of `on`. A handler already added by `on` is still
            called every time.

            Example:
                >>> client.once(ServerMessageType.RECOGNITION_STARTED, print)
            """
            return self._register(event, callback, once=True)

    def off(self, event: str, callback: Callable[..., object]) -> None:
        """Remove a handler that `on` or `once` added; does nothing if it is not registered.

        Raises:
            TypeError: The event is not a string.
        """
        name = _event_name(event)
        with self._registrations_lock:
            before = self._registrations.get(name, ())
            self._replace(name, (kept for kept in before if kept.handler != callback))

    def emit(self, event: str, message: dict[str, Any]) -> None:
        """Call the handlers of an event with a message, in the calling thread.

        Raises:
            TypeError: The event is not a string.
            Exception: A handler raised it, and ``handler_errors`` is ``"raise"``.
        """
        name = _event_name(event)
        for registration in self._registrations.get(name, ()):
            if registration.once and not self._claim(name, registration):
                continue
            try:
                returned = registration.handler(message)
                if returned is not None:
                    _check_returned(returned, registration.handler)
            except Exception as error:
                if self._handler_errors == "raise" or raised_by_signal(error):
                    raise
                self._handler_logger.exception(
                    "the handler %s of %s failed", _handler_name(registration.handler), name
                )

    def listeners(self, event: str) -> list[Handler]:
        """Return the handlers of an event, in the order in which they are called.

        Raises:
            TypeError: The event is not a string.
        """
        return [each.handler for each in self._registrations.get(_event_name(event), ())]

    def has_listeners(self, event: str) -> bool:
        """Return whether an event has handlers. Faster than `listeners`.

        Raises:
            TypeError: The event is not a string.
        """
        return _event_name(event) in self._registrations

    def remove_all_listeners(self, event: Optional[str] = None) -> None:
        """Remove all handlers of an event; without an event, all handlers.

        Raises:
            TypeError: The event is neither a string nor None.
        """
        name = None if event is None else _event_name(event)
        with self._registrations_lock:
            if name is None:
                self._registrations = {}
                self._listened.clear()
            else:
                self._replace(name, ())

    def _register(
        self, event: str, callback: Optional[Handler], *, once: bool
    ) -> Union[Handler, Callable[[Handler], Handler]]:
        name = _event_name(event)
        if callback is not None:
            return self._add(name, callback, once)

        def decorator(handler: Handler) -> Handler:
            return self._add(name, handler, once)

        return decorator

    def _add(self, name: str, handler: Handler, once: bool) -> Handler:
        _check_handler(handler)
        with self._registrations_lock:
            before = registrations = self._registrations.get(name, ())
            known = next((each for each in registrations if each.handler == handler), None)
            if known is None:
                self._replace(name, (*registrations, _Registration(handler, once)))
            elif known.once and not once:
                lasting = _Registration(handler, once)
                self._replace(name, (lasting if each is known else each for each in registrations))
        self._warn(name, handler, once, before)
        return handler

    def _warn(
        self, name: str, handler: Handler, once: bool, before: tuple[_Registration, ...]
    ) -> None:
        """Log what looks like a mistake, once for each name and each function."""
        shown = _handler_name(handler)
        near = near_match(name)
        if near is not None and name not in self._warned:
            self._warned.add(name)
            self._handler_logger.warning(
                "The handler %s is registered for %r, which no known message is called; did you "
                "mean %r?", shown, name, near,
            )  # fmt: skip
        if (name, shown) in self._warned:
            return
        for each in before:
            if each.once == once and are_one_function(each.handler, handler):
                self._warned.add((name, shown))
                same = each.handler == handler
                self._handler_logger.warning(
                    "The handler %s of %s was registered before; %s",
                    shown,
                    name,
                    "it is called once" if same else "both are called, until off() takes one away",
                )
                return

    def _claim(self, name: str, registration: _Registration) -> bool:
        """Remove a handler that runs once; return False if another thread's `emit` did so."""
        with self._registrations_lock:
            if registration.spent:
                return False
            registration.spent = True
            before = self._registrations.get(name, ())
            self._replace(name, (kept for kept in before if kept is not registration))
            return True

    def _replace(self, name: str, registrations: Iterable[_Registration]) -> None:
        after = tuple(registrations)
        if after:
            self._registrations[name] = after
            self._listened.add(name)
        else:
            self._registrations.pop(name, None)
            self._listened.discard(name)


def _event_name(event: object) -> str:
    if isinstance(event, str):
        return str.__str__(event)  # an enum member becomes its plain string
    raise TypeError(
        f"event is of type {type(event).__name__}; allowed: a ServerMessageType, or the name of a "
        "message"
    )


def _check_handler(handler: object) -> None:
    if not callable(handler):
        raise TypeError(f"a handler must be callable, and {type(handler).__name__} is not")
    called = type(handler).__call__
    for function in (handler, called):
        kind = None
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            kind = "a coroutine function"
        elif inspect.isgeneratorfunction(function):
            kind = "a generator function"
        if kind is not None:
            raise ConfigurationError(
                f"the handler {_handler_name(handler)} is {kind}; allowed: only plain functions"
            )


def _check_returned(returned: object, handler: object) -> None:
    """Refuse what a handler returned, if that does nothing until somebody runs it."""
    if not isinstance(returned, (Coroutine, Generator, AsyncGenerator)):
        return
    kind = "a generator" if isinstance(returned, Generator) else "an asynchronous generator"
    if isinstance(returned, Coroutine):
        kind = "a coroutine"
        returned.close()  # or it would warn that it was never awaited
    raise ConfigurationError(
        f"the handler {_handler_name(handler)} returned {kind}, which nothing runs: have "
        "a plain function do its work before it returns"
    )


def _handler_name(handler: object) -> str:
    return str(getattr(handler, "__qualname__", None) or type(handler).__name__)
