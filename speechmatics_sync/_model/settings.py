"""What every class of settings has in common.

Each checks itself when it is made, and again in ``to_dict()``, for its fields can be changed.
What this version does not know goes through ``extra``, merged last and unchecked. Names, order
and defaults are those of ``speechmatics-rt`` 1.2.1; ranges come from the API's description.
"""

from collections.abc import Mapping
from typing import Any, Union

from ..errors import ConfigurationError
from .checks import Check, InvalidValue, Value, checked_fields, mapping

__all__ = ["Settings", "nested"]


class Settings(Value):
    """A dataclass that checks its fields and becomes part of a message."""

    extra: dict[str, Any]

    def __post_init__(self) -> None:
        self._plain()

    def to_dict(self) -> dict[str, Any]:
        """What goes on the wire, as plain values; unset fields are left out.

        Raises:
            ConfigurationError: A field has been given a value that the API would refuse.
        """
        return self._plain()

    def _plain(self) -> dict[str, Any]:
        try:
            return _checked(type(self), self)
        except InvalidValue as invalid:
            raise ConfigurationError(str(invalid.within(type(self).__name__))) from None

    @classmethod
    def _check_together(cls, plain: dict[str, Any]) -> None:
        """Check what no field can check alone."""


def _checked(cls: type[Settings], given: Union[Settings, Mapping[str, Any]]) -> dict[str, Any]:
    """The plain form of a configuration, given as an object or as the dict it would become."""
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
            plain[known.key] = known.check(value)
        except InvalidValue as invalid:
            raise invalid.within(known.key) from None
    cls._check_together(plain)
    try:
        plain.update(mapping(extra))
    except InvalidValue as invalid:
        raise invalid.within("extra") from None
    return plain


def nested(cls: type[Settings]) -> Check:
    """A configuration inside another one: an object of the class, or a dict, checked the same."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, (cls, Mapping)):
            raise InvalidValue(value, f"a {cls.__name__} or a dict")
        return _checked(cls, value)

    return check
