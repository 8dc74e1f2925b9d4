"""The server's logger: no handler of its records ends or holds up a session, or the server."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import Callable

from .._logs import PackageLogger

__all__ = ["logger", "wait_until_logged", "websockets_logger"]

_threads: list[threading.Thread] = []


def _in_thread(call: Callable[[], None]) -> None:
    thread = threading.Thread(target=call, name="speechmatics-local-log", daemon=True)
    thread.start()
    _threads[:] = [*(each for each in _threads if each.is_alive()), thread]


def wait_until_logged(seconds: float) -> None:
    """Wait until handlers have taken what was logged, at most so many seconds."""
    for thread in list(_threads):
        with contextlib.suppress(RuntimeError):  # called by such a handler
            thread.join(seconds)
    for each in (logger, websockets_logger):
        each.flush()


class _NoFrames(PackageLogger):
    """Keeps `websockets` from logging at DEBUG: that would log the handshake, with its keys."""

    def isEnabledFor(self, level: int) -> bool:
        return level > logging.DEBUG and super().isEnabledFor(level)


logger = PackageLogger(logging.getLogger("speechmatics_sync.local"), _in_thread)
websockets_logger = _NoFrames(logging.getLogger("speechmatics_sync.local.websockets"), _in_thread)
