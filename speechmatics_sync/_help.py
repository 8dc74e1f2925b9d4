"""What ``dir()``, and with it completion and ``help()``, shows of a public module."""

from __future__ import annotations

import sys
from typing import Callable

__all__ = ["module_dir"]

_FRAMES = 6
"""How far up pydoc is looked for: it calls `inspect.getmembers`, which calls ``dir()``."""


def module_dir(module: str, *more: str, page: bool = False) -> Callable[[], list[str]]:
    """Return the ``__dir__`` of a module: its public names, and ``more``.

    With ``page``, ``help()`` is told no names, and prints the module's docstring alone, which lists
    them. Else it prints each class in full, with all that it inherits, and it can be kept from that
    in no other way: a face of a hundred names makes ten thousand lines.
    """

    def __dir__() -> list[str]:
        if page and _help_asks():
            return []
        return sorted({*sys.modules[module].__all__, *more})

    return __dir__


def _help_asks() -> bool:
    frame = sys._getframe(2)
    for _ in range(_FRAMES):
        if frame.f_code.co_name == "docmodule" and frame.f_globals.get("__name__") == "pydoc":
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False
