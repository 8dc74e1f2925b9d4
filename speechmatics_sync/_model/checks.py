"""Checks of the values that fields may hold, written beside the fields.

A check takes a value and returns it in its plain form (what JSON can carry, or the part of a
result it stands for), or raises `InvalidValue`. It is part of the field's type, where
`checked_fields` finds it. An `InvalidValue` becomes a ConfigurationError in settings and a
TransportError in received messages.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import reprlib
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, Callable, NamedTuple, Optional, Union, get_type_hints

from .._numbers import plain_number

Check = Callable[[Any], Any]

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


class PlainSignature:
    """The signature of a dataclass as editors, notebooks and ``help()`` show it.

    A field's check is part of its type, which a person need not read.

    Args:
        shown: What returns the types to show for fields whose own is not imported until then.
    """

    def __init__(self, **shown: Callable[[], object]) -> None:
        self._shown = shown

    def __get__(self, value: object, cls: type) -> inspect.Signature:
        init = inspect.unwrap(cls.__init__)  # type: ignore[misc]
        for shown_too in (init, cls):  # by help()
            if plain := get_type_hints(shown_too):
                late = {name: shown() for name, shown in self._shown.items()}
                shown_too.__annotations__ = {**plain, **late}
        shown = inspect.signature(init)
        fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
        made = {
            field.name: field.default_factory()
            for field in fields
            if field.default_factory is not dataclasses.MISSING
        }
        own = [
            each.replace(default=made.get(each.name, each.default))
            for each in list(shown.parameters.values())[1:]
        ]
        myself = next(iter(shown.parameters.values()))
        init.__signature__ = shown.replace(parameters=[myself, *own])  # help() shows it as well
        return shown.replace(parameters=own, return_annotation=inspect.Signature.empty)


class Value:
    """The base of dataclasses that share one ``__repr__`` and one ``__eq__``.

    Declared with ``@dataclass(eq=False, repr=False)``, they behave as with ``@dataclass`` and take
    half as long to define: with about thirty classes, this is 3 ms less at every import.
    """

    __signature__ = PlainSignature()

    @reprlib.recursive_repr()
    def __repr__(self) -> str:
        fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(self)  # type: ignore[arg-type]
        shown = (f"{field.name}={getattr(self, field.name)!r}" for field in fields if field.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(other) is type(self) else NotImplemented


class InvalidValue(Exception):
    """A value that its field may not hold.

    The path to the value grows from the inside out while the error passes lists and objects.
    """

    def __init__(self, value: object, allowed: str, *, path: str = "", shown: str = "") -> None:
        super().__init__(value, allowed)
        self.allowed = allowed
        self.path = path
        self.shown = shown or _shown(value)

    def within(self, step: str) -> InvalidValue:
        """Prepend a field, an index or a class to the path; return the error."""
        self.path = f"{step}{self.path}" if self.path.startswith("[") else f"{step}.{self.path}"
        return self

    def __str__(self) -> str:
        return f"{self.path.rstrip('.')} is {self.shown}; allowed: {self.allowed}"


def _shown(value: object) -> str:
    try:
        return _SHORT.repr(value)
    except (ValueError, RecursionError):  # such as an int of more digits than repr() allows
        return f"of type {type(value).__name__}"


def boolean(value: Any) -> bool:
    """True or False; not 0 or 1."""
    if not isinstance(value, bool):
        raise InvalidValue(value, "True or False")
    return value


def number(
    low: Optional[float] = None,
    high: Optional[float] = None,
    *,
    above: Optional[float] = None,
    whole: bool = False,
    unit: str = "",
) -> Check:
    """A finite number: at least `low`, at most `high`, more than `above`; whole if `whole`.

    Its plain form is an int or a float, whatever the type of the number.
    """
    allowed = "an integer" if whole else "a finite number"
    if above is not None:
        allowed += f" above {above:g}"
    if low is not None:
        allowed += f" from {low:g}" if high is not None else f" of at least {low:g}"
    if high is not None:
        allowed += f" to {high:g}" if low is not None else f" and at most {high:g}"
    allowed += unit and f" {unit}"

    def check(value: Any) -> Union[int, float]:
        plain = plain_number(value, whole=whole)
        if (
            plain is None
            or (above is not None and plain <= above)
            or (low is not None and plain < low)
            or (high is not None and plain > high)
        ):
            raise InvalidValue(value, allowed)
        return plain

    return check


def string(
    min_length: int = 0, *, pattern: Optional[str] = None, allowed: Optional[str] = None
) -> Check:
    """A string of at least `min_length` characters that the pattern, if any, matches in full."""
    if allowed is None:
        allowed = "a non-empty string" if min_length else "a string"
    matches = re.compile(pattern).fullmatch if pattern else None

    def check(value: Any) -> str:
        if (
            not isinstance(value, str)
            or len(value) < min_length
            or (matches is not None and matches(value) is None)
        ):
            raise InvalidValue(value, allowed)
        return str.__str__(value)  # a member of an Enum becomes its value

    return check


def file_path(value: Any) -> str:
    """The path of a file, as a str."""
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str) or "\0" in path:
        raise InvalidValue(value, "a path, as a str or a Path")
    return path


def one_of(words: type[Enum]) -> Check:
    """A member of the Enum, or the value of one."""
    values = [member.value for member in words]
    allowed = ", ".join(repr(value) for value in values)

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in values:
            raise InvalidValue(value, allowed)
        return str.__str__(value)

    return check


def list_of(item: Check, *, min_items: int = 0, unique: bool = False) -> Check:
    """A list or tuple of items that each pass `item`; not a string."""
    allowed = "a list" + (f" of at least {min_items}" if min_items else "")

    def check(value: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)) or len(value) < min_items:
            raise InvalidValue(value, allowed)
        plain = []
        for index, element in enumerate(value):
            try:
                plain.append(item(element))
            except InvalidValue as invalid:
                raise invalid.within(f"[{index}]") from None
            if unique and plain[-1] in plain[:-1]:
                raise InvalidValue(
                    element, "values that differ from one another", path=f"[{index}]"
                )
        return plain

    return check


def mapping(value: Any) -> dict[str, Any]:
    """A dict or other mapping with string keys and any values."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidValue(value, "a dict with strings for keys")
    return dict(value)


def optional(check: Check) -> Check:
    """None, or a value that passes `check`."""
    return lambda value: None if value is None else check(value)


LONGEST_WAIT = 1_000_000
"""In seconds; longer waits overflow the clocks of some systems."""

non_empty = string(1)
count = number(1, whole=True)
time_limit = optional(number(above=0, high=LONGEST_WAIT, unit="seconds"))
duration = number(0, LONGEST_WAIT, unit="seconds")


class CheckedField(NamedTuple):
    """A dataclass field that has a check; `key` is its name in the message."""

    name: str
    key: str
    check: Check
    default: object  # dataclasses.MISSING if the field is required


def checked_fields(cls: type) -> tuple[CheckedField, ...]:
    """The fields of a dataclass that have a check, in their order.

    The check is part of the field's type: ``Annotated[float, number(0, 1)]``. A third argument is
    the name in the message, if it differs: ``Annotated[str, string(), "from"]``.

    The modules of such classes must not import ``annotations`` from ``__future__``. It would turn
    the types into strings, which cannot be resolved: public classes have the package as their
    ``__module__``, where most names are missing.
    """
    return _checked_fields(cls)


@cache
def _checked_fields(cls: Any) -> tuple[CheckedField, ...]:
    found = []
    for field in dataclasses.fields(cls):
        notes = getattr(field.type, "__metadata__", ())
        if notes:
            key = notes[1] if len(notes) > 1 else field.name
            default = field.default if field.default_factory is dataclasses.MISSING else ()
            found.append(CheckedField(field.name, key, notes[0], default))
    return tuple(found)
