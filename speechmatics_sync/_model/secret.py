"""Keys, passwords and headers, hidden from whatever shows the variables of a frame."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Secret"]

_T = TypeVar("_T", covariant=True)


class Secret(Generic[_T]):
    """Holds a value that nothing may show.

    Error trackers send on the variables of each frame of a traceback: strings as they are, dicts
    and tuples item by item, other objects as their ``repr``. So a public call puts each secret
    argument into one of these first and deletes the argument, and what `reveal` returns is used
    within an expression, never kept in a variable of a function that may raise.

    >>> secret = Secret("a-key")
    >>> secret, secret.reveal()
    (<secret>, 'a-key')
    """

    __slots__ = ("_value",)

    def __init__(self, value: _T) -> None:
        self._value = value

    def reveal(self) -> _T:
        """Return the value."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"
