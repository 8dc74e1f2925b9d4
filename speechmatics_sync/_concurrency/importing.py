"""Import what only some calls need, safely in many threads at once.

When an import fails in one thread (no descriptor is left, an interrupt comes), Python hands the
unfinished module to every thread that waited for it, and these fail with "cannot import name". So
one thread at a time imports; the next one begins anew what failed in another.
"""

from __future__ import annotations

import importlib
import os
import threading

from .exhaustion import exhausted

__all__ = ["import_modules"]

# Reentrant: what is imported may be a program's, and a signal handler may import as well.
_lock = threading.RLock()
_imported: set[tuple[str, ...]] = set()


def _reset() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset)  # the thread that holds it is not in the child


def import_modules(*names: str) -> None:
    """Import modules, so that a statement that imports them has nothing left to do.

    Raises:
        ConnectionError: There is no descriptor or no memory left for it.
    """
    if names in _imported:
        return
    try:
        with _lock:
            for name in names:
                importlib.import_module(name)
        _imported.add(names)
    except (OSError, MemoryError) as error:
        raise exhausted(error) or error from None
