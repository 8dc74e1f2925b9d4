"""Calls of a part to its whole that do not keep the whole alive.

What a running thread may call is never collected, and a part that holds its whole makes a circle,
which only the garbage collector finds.
"""

from __future__ import annotations

import weakref
from typing import Any, Callable, Generic, TypeVar

__all__ = ["weakly"]

_T = TypeVar("_T")


def weakly(method: Callable[..., _T], *, otherwise: _T) -> Callable[..., _T]:
    """Return a function that calls a method, and does not keep its object alive.

    Args:
        method: A bound method.
        otherwise: What to return once the object is gone.
    """
    return _WeakCall(method, otherwise)


class _WeakCall(Generic[_T]):
    """A call of a method. One object: `weakref.WeakMethod` and a function around it are ten."""

    __slots__ = ("_function", "_object", "_otherwise")

    def __init__(self, method: Any, otherwise: _T) -> None:
        self._function: Callable[..., _T] = method.__func__
        self._object = weakref.ref(method.__self__)
        self._otherwise = otherwise

    def __call__(self, *args: object, **options: object) -> _T:
        found = self._object()
        return self._otherwise if found is None else self._function(found, *args, **options)
