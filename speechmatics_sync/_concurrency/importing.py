"""Import what only some calls need, safely in many threads at once.

When an import fails in one thread (no descriptor is left, an interrupt comes), Python hands the
unfinished module to every thread that waited for it, and these fail with "cannot import name". So
one thread at a time imports; the next one begins anew what failed in another.
"""

from __future__ import annotations

import importlib

from .exhaustion import exhausted
from .process_lock import ProcessLock

__all__ = ["import_modules"]

_lock = ProcessLock()
_imported: set[tuple[str, ...]] = set()


def import_modules(*names: str) -> None:
    """Import modules, so that a statement that imports them has nothing left to do.

    Raises:
        ConnectionError: There is no descriptor or no memory left for it.
    """
    if names in _imported:
        return
    try:
        with _lock.held():
            for name in names:
                importlib.import_module(name)
        _imported.add(names)
    except (OSError, MemoryError) as error:
        raise exhausted(error) or error from None
