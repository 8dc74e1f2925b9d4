"""Calls from a session to its client that do not keep the client alive.

The threads of a session hold what they call. If that held the client, a client that was dropped
with a session running would never be collected, and its session would never end.
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

    def call(*args: object) -> _T:
        bound = weak()
        return otherwise if bound is None else bound(*args)

    return call
