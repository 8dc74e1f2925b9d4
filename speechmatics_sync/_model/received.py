"""Reading messages from the server into objects, and turning these into dicts again.

Fields that this version does not know are kept in ``extra``. Unknown values (a new type or
language) are accepted; a missing field, or one of the wrong type, is an error.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ..errors import TransportError
from .checks import Check, InvalidValue, Value, checked_fields, mapping, number, string
from .speakers import SpeakerIdentifier

if TYPE_CHECKING:
    from typing_extensions import Self  # type checkers know it without the package

__all__ = [
    "Received",
    "ServerMessage",
    "any_integer",
    "any_number",
    "any_string",
    "nested",
    "reading",
]

_R = TypeVar("_R", bound="Received")


class Received(Value):
    """The base of dataclasses that are read from messages."""

    extra: dict[str, Any]

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Self":
        """Read the object from a part of a message.

        Raises:
            TransportError: A field is missing or has the wrong type; the message names it.
        """
        with reading(cls.__name__):
            return _read(cls, data)

    def to_dict(self) -> dict[str, Any]:
        """The object as the server would send it; fields that are None are left out."""
        plain: dict[str, Any] = {}
        for known in checked_fields(type(self)):
            value = getattr(self, known.name)
            if value is not None:
                plain[known.key] = _plain(value)
        return {**plain, **self.extra}


class ServerMessage(Received):
    """The base of whole messages.

    Attributes:
        MESSAGES: The names that the message may have. `to_dict` writes the first.
    """

    MESSAGES: ClassVar[tuple[str, ...]]

    @classmethod
    def from_message(cls, message: Mapping[str, object]) -> "Self":
        """Read the object from a server's message.

        Args:
            message: The message as handlers receive it.

        Raises:
            TransportError: The message has another name, or a field is missing or has the wrong
                type.
        """
        with reading(cls.__name__):
            content = mapping(message)
            name = content.pop("message", None)
            if name not in cls.MESSAGES:
                raise InvalidValue(name, " or ".join(cls.MESSAGES), path="message")
        with reading(name):
            return cls._from_content(name, content)

    @classmethod
    def _from_content(cls, name: str, content: dict[str, Any]) -> "Self":
        return _read(cls, content)

    def _name(self) -> str:
        return self.MESSAGES[0]

    def to_dict(self) -> dict[str, Any]:
        """The message as the server would send it; fields that are None are left out."""
        return {"message": self._name(), **super().to_dict()}


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn an InvalidValue into a TransportError that names the message or class."""
    try:
        yield
    except InvalidValue as invalid:
        raise TransportError(f"the server broke the protocol: {invalid.within(name)}") from None
    except RecursionError:
        raise TransportError(f"the server broke the protocol: {name} is nested too deep") from None


def _read(cls: type[_R], data: Any) -> _R:
    if not isinstance(data, Mapping):
        raise InvalidValue(data, "an object")
    values: dict[str, Any] = {}
    rest = values["extra"] = dict(data)
    for known in checked_fields(cls):
        value = rest.pop(known.key, None)
        if value is None and known.default is not MISSING:
            continue
        try:
            values[known.name] = known.check(value)
        except InvalidValue as invalid:
            raise invalid.within(known.key) from None
    return cls(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, Received):
        return value.to_dict()
    if isinstance(value, SpeakerIdentifier):  # its to_dict checks what is sent to the server
        identifiers = list(value.speaker_identifiers)
        return {"label": value.label, "speaker_identifiers": identifiers, **value.extra}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def nested(cls: type[Received]) -> Check:
    """A dict that is read as the class."""
    return lambda value: _read(cls, value)


any_string = string()
any_number = number()


def any_integer(value: Any) -> int:
    """A whole number as JSON has it. One with a point is refused: the field would change it."""
    if type(value) is not int:
        raise InvalidValue(value, "an integer")
    return value
