"""Handlers of the server's messages: who is called, in which order, and what their errors do."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, Union, overload

from .._logs import logger as _logger
from ..errors import ConfigurationError

if TYPE_CHECKING:
    import logging

    Logger = Union[logging.Logger, logging.LoggerAdapter[Any]]

__all__ = ["EventEmitter", "Handler"]

Handler = Callable[[dict[str, Any]], object]
HandlerT = TypeVar("HandlerT", bound=Handler)


class _Registration:
    """One handler of one event; each time a handler is added makes a new one."""

    __slots__ = ("handler", "once", "spent")

    def __init__(self, handler: Handler, once: bool) -> None:
        self.handler = handler
        self.once = once
        self.spent = False


class EventEmitter:
    """Calls the handlers of an event, in the order in which they were added.

    An event is a `ServerMessageType`, its string (which is the same event), or the name of a
    message that this version does not know. Handlers may be added and removed in any thread, and
    by a handler while it runs; who is called is settled when an event is emitted.

    Args:
        handler_errors: ``"raise"``: the exception of a handler comes out of `emit` as it is, and
            the handlers after it are not called. ``"log"``: it is logged, and the next one runs.
        logger: Where ``"log"`` writes.

    Raises:
        ConfigurationError: `handler_errors` is something else.

    Example:
        >>> emitter = EventEmitter()
        >>> @emitter.on("Info")
        ... def show(message):
        ...     print(message["reason"])
        >>> emitter.emit("Info", {"message": "Info", "reason": "ready"})
        ready
    """

    def __init__(self, *, handler_errors: str = "raise", logger: Logger = _logger) -> None:
        if handler_errors not in ("raise", "log"):
            raise ConfigurationError(
                f"handler_errors is {handler_errors!r}; it must be 'raise' or 'log'"
            )
        self._handler_errors = handler_errors
        self._handler_logger = logger
        # Each tuple is replaced and never changed, and none is empty: emit and has_listeners need
        # no lock. Reentrant, since a handler that is dropped may remove others in its __del__.
        self._registrations: dict[str, tuple[_Registration, ...]] = {}
        self._registrations_lock = threading.RLock()

    @overload
    def on(self, event: str, callback: HandlerT) -> HandlerT: ...

    @overload
    def on(self, event: str, callback: None = None) -> Callable[[HandlerT], HandlerT]: ...

    def on(
        self, event: str, callback: Optional[HandlerT] = None
    ) -> Union[HandlerT, Callable[[HandlerT], HandlerT]]:
        """Call a handler at every such event; as a decorator, without the second argument.

        A handler is called once for an event, however often it was added.

        Args:
            event: A `ServerMessageType`, its string, or any other name of a message.
            callback: A plain function of one argument, the message (a dict).

        Returns:
            The handler itself, or the decorator.

        Raises:
            TypeError: The event is no string, or the handler cannot be called.
            ConfigurationError: The handler is a coroutine function.

        Example:
            >>> @client.on(ServerMessageType.ADD_TRANSCRIPT)
            ... def show(message):
            ...     print(message["metadata"]["transcript"])
        """
        return self._register(event, callback, once=False)

    @overload
    def once(self, event: str, callback: HandlerT) -> HandlerT: ...

    @overload
    def once(self, event: str, callback: None = None) -> Callable[[HandlerT], HandlerT]: ...

    def once(
        self, event: str, callback: Optional[HandlerT] = None
    ) -> Union[HandlerT, Callable[[HandlerT], HandlerT]]:
        """Call a handler at the next such event only; it is removed before it runs.

        Arguments, result and errors are those of `on`. A handler that `on` has added stays as it
        is: it is called every time.

        Example:
            >>> client.once(ServerMessageType.RECOGNITION_STARTED, print)
        """
        return self._register(event, callback, once=True)

    def off(self, event: str, callback: Handler) -> None:
        """Remove a handler, whether `on` or `once` added it; one that is not there is no error.

        Raises:
            TypeError: The event is no string.
        """
        name = _event_name(event)
        with self._registrations_lock:
            before = self._registrations.get(name, ())
            self._replace(name, (kept for kept in before if kept.handler != callback))

    def emit(self, event: str, message: dict[str, Any]) -> None:
        """Call the handlers of an event with a message, in this thread.

        Handlers that are added or removed meanwhile count from the next time on.

        Raises:
            TypeError: The event is no string.
            Exception: What a handler raised, unless `handler_errors` is ``"log"``.
        """
        name = _event_name(event)
        for registration in self._registrations.get(name, ()):
            if registration.once and not self._claim(name, registration):
                continue
            try:
                registration.handler(message)
            except Exception:
                if self._handler_errors == "raise":
                    raise
                self._handler_logger.exception(
                    "the handler %s of %s failed", _handler_name(registration.handler), name
                )

    def listeners(self, event: str) -> list[Handler]:
        """The handlers of an event, in the order in which they are called.

        Raises:
            TypeError: The event is no string.
        """
        return [each.handler for each in self._registrations.get(_event_name(event), ())]

    def has_listeners(self, event: str) -> bool:
        """Whether `emit` would call anyone; cheaper than `listeners`.

        Raises:
            TypeError: The event is no string.
        """
        return _event_name(event) in self._registrations

    def remove_all_listeners(self, event: Optional[str] = None) -> None:
        """Remove every handler of an event, or of all events.

        Raises:
            TypeError: The event is neither a string nor None.
        """
        name = None if event is None else _event_name(event)
        with self._registrations_lock:
            if name is None:
                self._registrations = {}
            else:
                self._replace(name, ())

    def _register(
        self, event: str, callback: Optional[HandlerT], *, once: bool
    ) -> Union[HandlerT, Callable[[HandlerT], HandlerT]]:
        name = _event_name(event)
        if callback is not None:
            return self._add(name, callback, once)

        def decorator(handler: HandlerT) -> HandlerT:
            return self._add(name, handler, once)

        return decorator

    def _add(self, name: str, handler: HandlerT, once: bool) -> HandlerT:
        _check_handler(handler)
        with self._registrations_lock:
            registrations = self._registrations.get(name, ())
            known = next((each for each in registrations if each.handler == handler), None)
            if known is None:
                self._replace(name, (*registrations, _Registration(handler, once)))
            elif known.once and not once:
                lasting = _Registration(handler, once)
                self._replace(name, (lasting if each is known else each for each in registrations))
        return handler

    def _claim(self, name: str, registration: _Registration) -> bool:
        """Remove a handler that runs once; False if another `emit` was first to do so."""
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
        else:
            self._registrations.pop(name, None)


def _event_name(event: object) -> str:
    if isinstance(event, str):
        return str.__str__(event)  # of a member of an enum, the string it stands for
    raise TypeError(
        f"an event is a ServerMessageType or the name of a message, not {type(event).__name__}"
    )


def _check_handler(handler: object) -> None:
    if not callable(handler):
        raise TypeError(f"a handler must be callable, and {type(handler).__name__} is not")
    called = type(handler).__call__
    for function in (handler, called):
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigurationError(
                f"the handler {_handler_name(handler)} is a coroutine function; only plain"
                " functions are supported"
            )


def _handler_name(handler: object) -> str:
    return str(getattr(handler, "__qualname__", None) or type(handler).__name__)
