"""What ``dir()``, completion and ``help()`` show of public modules and classes."""

from __future__ import annotations

import inspect
import sys
from typing import Callable, TypeVar

__all__ = ["made_here", "module_dir"]

_Class = TypeVar("_Class", bound=type)

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


def made_here(public: _Class) -> _Class:
    """Show no arguments of a class that only this package calls: their types are private."""
    no_arguments = inspect.Signature()
    myself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    public.__signature__ = no_arguments  # type: ignore[attr-defined]
    public.__init__.__signature__ = no_arguments.replace(parameters=[myself])  # type: ignore[misc]
    return public
