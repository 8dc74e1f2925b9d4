"""The base of all settings.

Settings are checked when they are made, and again in ``to_dict()`` because fields can be changed.
A number of another type than its field's (Decimal, numpy's, 16000.0) is replaced by its plain form:
fields are calculated with.
Fields that this version does not know go into ``extra``, which is merged last and not checked.
Names, order and defaults are those of ``speechmatics-rt`` 1.2.1; ranges are those of the API's
description.
"""

from collections.abc import Mapping
from typing import Any, Union

from ..errors import ConfigurationError
from .checks import Check, InvalidValue, Value, checked_fields, mapping

__all__ = ["Settings", "argument", "nested"]


class Settings(Value):
    """A dataclass that checks its fields and becomes part of a message."""

    extra: dict[str, Any]

    def __post_init__(self) -> None:
        self._plain()

    def to_dict(self) -> dict[str, Any]:
        """The settings as they are sent, in plain values; unset fields are left out.

        Raises:
            ConfigurationError: A field was set to a value that the API would refuse.
        """
        return self._plain()

    def _plain(self) -> dict[str, Any]:
        try:
            return _checked(type(self), self)
        except InvalidValue as invalid:
            message = str(invalid.within(type(self).__name__))
        # Raised here, or the frames that the values went through would come along as the context.
        raise ConfigurationError(message)

    @classmethod
    def _check_together(cls, plain: dict[str, Any]) -> None:
        """Check what depends on several fields; raise InvalidValue."""


def _checked(cls: type[Settings], given: Union[Settings, Mapping[str, Any]]) -> dict[str, Any]:
    """The plain form of settings, given as an object or as a dict of the same fields."""
    fields = checked_fields(cls)
    if isinstance(given, Mapping):
        values = mapping(given)
        keys = {known.key for known in fields}
        extra = {key: value for key, value in values.items() if key not in keys}
    else:
        values = {known.key: getattr(given, known.name) for known in fields}
        extra = getattr(given, "extra", {})
    plain: dict[str, Any] = {}
    for known in fields:
        value = values.get(known.key)
        if value is None and known.default is None:
            continue
        try:
            plain[known.key] = checked = known.check(value)
        except InvalidValue as invalid:
            raise invalid.within(known.key) from None
        odd = type(checked) in (int, float) and type(checked) is not type(value)
        if odd and not isinstance(given, Mapping):
            object.__setattr__(given, known.name, checked)  # frozen settings too
    cls._check_together(plain)
    try:
        plain.update(mapping(extra))
    except InvalidValue as invalid:
        raise invalid.within("extra") from None
    return plain


def argument(name: str, value: object, check: Check) -> Any:
    """Return the argument of a call in its plain form.

    Raises:
        ConfigurationError: It does not pass the check; the message names it.
    """
    try:
        return check(value)
    except InvalidValue as invalid:
        message = str(invalid.within(name))
    raise ConfigurationError(message)  # outside: the cause would hold the value


def nested(cls: type[Settings]) -> Check:
    """Settings inside others: an object of the class or a dict, with the same checks."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, (cls, Mapping)):
            raise InvalidValue(value, f"{cls.__name__} or a dict")
        return _checked(cls, value)

    return check
