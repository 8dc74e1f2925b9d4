"""What counts as a number, wherever this package is given one."""

from __future__ import annotations

import math
import operator
from typing import Any, Union

__all__ = ["plain_number"]


def plain_number(value: Any, *, whole: bool) -> Union[int, float, None]:
    """Return a number of any type as an int or a float; None if it is none.

    As Python's own functions do: an integer is what has ``__index__``, another number what has
    ``__float__``. Decimals, fractions and the numbers of numpy are numbers; strings and booleans,
    numpy's included, are not.
    """
    kind = type(value)
    plain: Union[int, float]
    if kind is int or kind is float:
        plain = value
    elif kind.__name__.startswith("bool"):
        return None
    else:
        try:
            plain = _converted(value)
        except Exception:  # of any kind: the value is an object of the user's
            return None
    try:
        finite = math.isfinite(plain)
    except OverflowError:  # an int too large for a float
        finite = whole
    if not finite:
        return None
    if not whole:
        return plain
    return int(plain) if plain == int(plain) else None


def _converted(value: Any) -> Union[int, float]:
    try:
        return int(operator.index(value))  # not a subclass, such as an IntEnum
    except TypeError:
        return float(type(value).__float__(value))  # float() would read strings
