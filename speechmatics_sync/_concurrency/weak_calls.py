"""Calls of a part to its whole that do not keep the whole alive.

What a running thread may call is never collected, and a part that holds its whole makes a circle,
which only the garbage collector finds.
"""

from __future__ import annotations

import weakref
from typing import Callable, TypeVar

__all__ = ["weakly"]

_T = TypeVar("_T")


def weakly(method: Callable[..., _T], *, otherwise: _T) -> Callable[..., _T]:
    """Return a function that calls a method, and does not keep its object alive.

    Args:
        method: A bound method.
        otherwise: What to return once the object is gone.
    """
    weak = weakref.WeakMethod(method)

    def call(*args: object, **options: object) -> _T:
        bound = weak()
        return otherwise if bound is None else bound(*args, **options)

    return call
