"""What a thread that fetches a key has to know: whether it is still wanted, the log, the TLS.

`AuthBase.get_auth_headers` takes no arguments, and a user's own may call another one. So the
cancellation goes with the thread: what takes long asks `current_cancellation`.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from .._logs import logger

if TYPE_CHECKING:
    import logging
    import ssl

__all__ = ["Cancellation", "current_cancellation"]

_current: contextvars.ContextVar[Optional[Cancellation]] = contextvars.ContextVar(
    "cancellation", default=None
)


class Cancellation:
    """Lets any thread cancel what another one does.

    Args:
        log: The logger of the session it is done for.
        ssl_context: For the TLS of what is done; None for the default.
        sdk_identifier: How the user named the client to the service, if at all.
    """

    def __init__(
        self,
        log: Union[logging.Logger, logging.LoggerAdapter[Any]],
        ssl_context: Optional[ssl.SSLContext] = None,
        sdk_identifier: Optional[str] = None,
    ) -> None:
        self.log = log
        self.ssl_context = ssl_context
        self.sdk_identifier = sdk_identifier
        self.cancelled = False
        # Reentrant: a signal handler may cancel in the thread that holds it.
        self._lock = threading.RLock()
        self._calls: list[Callable[[], None]] = []

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make this the calling thread's `current_cancellation`."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def cancel(self) -> None:
        """End what is in progress, and let nothing new begin. Idempotent, from any thread."""
        with self._lock:
            self.cancelled = True
            for call in self._calls:
                call()

    @contextlib.contextmanager
    def on_cancel(self, call: Callable[[], None]) -> Iterator[None]:
        """Have `cancel` make a call while the context lasts; make it now if already cancelled.

        Args:
            call: Must not block.
        """
        with self._lock:
            self._calls.append(call)
            if self.cancelled:
                call()
        try:
            yield
        finally:
            with self._lock:
                self._calls.remove(call)


def current_cancellation() -> Cancellation:
    """Return the calling thread's cancellation; outside a session, one that is never cancelled."""
    return _current.get() or Cancellation(logger)
