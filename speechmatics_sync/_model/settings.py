"""The base of all settings.

Settings are checked when they are made, and again in ``to_dict()`` because fields can be changed.
A number of another type than its field's (Decimal, numpy's, 16000.0) is replaced by its plain form:
fields are calculated with.
Fields that this version does not know go into ``extra``, which is merged last and not checked.
Names, order and defaults are those of ``speechmatics-rt`` 1.2.1; ranges are those of the API's
description.
"""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any, Optional, TypeVar, Union

from ..errors import ConfigurationError
from .checks import Check, InvalidValue, Value, checked_fields, mapping

__all__ = ["Settings", "argument", "nested", "settings_of"]

_S = TypeVar("_S", bound="Settings")


class Settings(Value):
    """A dataclass that checks its fields and becomes part of a message."""

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


def settings_of(
    cls: type[_S], name: str, given: Union[_S, Mapping[str, object], None]
) -> Optional[_S]:
    """Return the argument of a call: settings, or a dict of their fields, as one that is checked.

    It is a copy: the caller may change its own. What is no field of the class goes into ``extra``.

    Raises:
        ConfigurationError: It is neither, or the API would refuse a value; the message names it.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        fields: Any = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        values = {name: None for name in fields if _is_required(fields[name])}
        values.update(argument(name, given, mapping))
        more = {key: values.pop(key) for key in list(values) if key not in fields}
        extra = argument(f"{name}.extra", values.pop("extra", {}), mapping)
        given = cls(**{**values, "extra": {**extra, **more}})
    if not isinstance(given, cls):
        raise ConfigurationError(
            f"{name} is of type {type(given).__name__}; allowed: {cls.__name__}, or a dict of its "
            "fields"
        )
    given = copy.deepcopy(given)
    given.to_dict()  # its fields may have been changed since they were checked
    return given


def _is_required(field: Any) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING
