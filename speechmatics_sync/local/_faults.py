"""The faults that the embedded server can inject: plain values.

A fault says what happens, and `Faults.add` when and to how many connections. `_fault_injection`
makes it happen.
"""

from __future__ import annotations

import http
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Callable, ClassVar, Optional, Union

from speechmatics_sync import ConfigurationError

from .._numbers import plain_number

__all__ = [
    "Close",
    "Drop",
    "EndEarly",
    "Fault",
    "Garbage",
    "HoldAcknowledgements",
    "Moment",
    "Refuse",
    "Send",
    "SendError",
    "Silence",
    "StopReading",
    "Warn",
    "check_choice",
    "check_text",
    "checked_integer",
    "checked_seconds",
    "not_allowed",
]


class Moment(str, Enum):
    """When, in the course of a connection, a fault happens. Its value may be used instead.

    Attributes:
        HANDSHAKE: In answer to the handshake.
        CONNECTED: After the handshake, before anything else.
        STARTING: After a valid StartRecognition, before RecognitionStarted.
        AUDIO: From RecognitionStarted to the end of audio.
        ENDING: After EndOfStream or the last EndOfChannel, before the last finals.
        ENDED: After the last final, before EndOfTranscript.

    Example:
        >>> faults = Faults()
        >>> faults.add(Drop(), at=Moment.ENDING)
    """

    HANDSHAKE = "handshake"
    CONNECTED = "connected"
    STARTING = "starting"
    AUDIO = "audio"
    ENDING = "ending"
    ENDED = "ended"


_WHILE_AUDIO_COMES = (Moment.CONNECTED, Moment.STARTING, Moment.AUDIO)


def not_allowed(owner: str, name: str, value: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(f"{owner}.{name} is {value!r}; allowed: {allowed}")


def checked_integer(owner: str, name: str, value: object, low: int = 0) -> int:
    plain = plain_number(value, whole=True)
    if plain is None or plain < low:
        raise not_allowed(owner, name, value, f"an integer of at least {low}")
    return int(plain)


def checked_seconds(owner: str, name: str, value: object) -> float:
    plain = plain_number(value, whole=False)
    if plain is None or plain < 0:
        raise not_allowed(owner, name, value, "a finite number of at least 0 seconds")
    return plain


def check_choice(owner: str, name: str, value: object, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise not_allowed(owner, name, value, ", ".join(map(repr, allowed)))


def check_text(owner: str, name: str, value: object, *, empty: bool = True) -> None:
    if not isinstance(value, str) or not (value or empty):
        raise not_allowed(owner, name, value, "a string" if empty else "a string that is not empty")


def _is_json(value: Mapping[str, object]) -> bool:
    try:
        json.dumps(dict(value))
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _checked_close_code(owner: str, name: str, value: object) -> int:
    code = plain_number(value, whole=True)
    if code is None or not 1000 <= code <= 4999 or code in (1005, 1006, 1015):
        raise not_allowed(
            owner,
            name,
            value,
            "1000 to 4999 without 1005, 1006 and 1015, which no frame may carry (RFC 6455, "
            "7.4.1): for these use Close(None), or Drop()",
        )
    return int(code)


class Fault:
    """A fault of a server. Immutable; `Faults.add` says when it happens.

    Example:
        >>> Drop().moments()[-1]
        <Moment.ENDED: 'ended'>
    """

    _default: ClassVar[Moment] = Moment.AUDIO

    def moments(self) -> tuple[Moment, ...]:
        """Return when it can happen."""
        return tuple(moment for moment in Moment if moment is not Moment.HANDSHAKE)

    def _check(self, name: str, check: Callable[..., object], *more: object) -> None:
        """Check an argument, unless it is None, and keep the plain form of it."""
        value = getattr(self, name)
        if value is not None:
            # Only here, before anybody has it: it is immutable.
            object.__setattr__(self, name, check(type(self).__name__, name, value, *more))


@dataclass(frozen=True)
class Drop(Fault):
    """Ends the connection without a close frame.

    Args:
        how: ``"reset"`` sends a TCP reset, so that the client's sending fails as well; ``"fin"``
            closes the server's half, and what the client still sends is read.
        mid_frame: Whether to send half of a message's frame before.

    Raises:
        ConfigurationError: If an argument is not valid.

    Example:
        >>> faults = Faults()
        >>> faults.add(Drop(), after_seconds=2.5)
    """

    how: str = "reset"
    mid_frame: bool = False

    def __post_init__(self) -> None:
        check_choice("Drop", "how", self.how, ("reset", "fin"))
        if not isinstance(self.mid_frame, bool):
            raise not_allowed("Drop", "mid_frame", self.mid_frame, "True or False")

    def moments(self) -> tuple[Moment, ...]:
        return super().moments() if self.mid_frame else tuple(Moment)


@dataclass(frozen=True)
class Refuse(Fault):
    """Answers the handshake with an HTTP status other than 101.

    Args:
        status: The status, from 300 to 599.
        retry_after: The ``Retry-After`` header: seconds, or text to send as it is; None sends no
            such header.

    Raises:
        ConfigurationError: If the status does not exist, or the header cannot be sent.

    Example:
        >>> faults = Faults()
        >>> faults.add(Refuse(503, retry_after=1), times=2)
    """

    status: int = 503
    retry_after: Union[int, str, None] = None
    _default: ClassVar[Moment] = Moment.HANDSHAKE

    def __post_init__(self) -> None:
        self._check("status", checked_integer)
        if self.status not in [one.value for one in http.HTTPStatus if one.value >= 300]:
            raise not_allowed("Refuse", "status", self.status, "an HTTP status from 300 to 599")
        if isinstance(self.retry_after, str):
            if not (self.retry_after.isascii() and self.retry_after.isprintable()):
                raise not_allowed("Refuse", "retry_after", self.retry_after, "printable ASCII")
        else:
            self._check("retry_after", checked_integer)

    def moments(self) -> tuple[Moment, ...]:
        return (Moment.HANDSHAKE,)


@dataclass(frozen=True)
class Close(Fault):
    """Closes the connection with a close frame, without an Error before it.

    Args:
        code: The code of the close frame; None sends a frame without a code.
        reason: The reason in the frame, at most 123 bytes.

    Raises:
        ConfigurationError: If no close frame may carry that.

    Example:
        >>> faults = Faults()
        >>> faults.add(Close(1013, "busy"), after_chunks=5)
    """

    code: Optional[int] = 1011
    reason: str = ""

    def __post_init__(self) -> None:
        self._check("code", _checked_close_code)
        check_text("Close", "reason", self.reason)
        if len(self.reason.encode()) > 123 or (self.code is None and self.reason):
            raise not_allowed(
                "Close", "reason", self.reason, "at most 123 bytes, and only with a code"
            )


@dataclass(frozen=True)
class SendError(Fault):
    """Sends an Error, and then the close frame.

    Args:
        type: The type of the Error, such as ``"quota_exceeded"``; any text is allowed.
        reason: The reason of the Error.
        code: The code of the Error; None leaves it out.
        close_code: The code of the close frame; None is the one documented for `type`, or 1011.

    Raises:
        ConfigurationError: If a value cannot be sent.

    Example:
        >>> faults = Faults()
        >>> faults.add(SendError("quota_exceeded"), times=1)
    """

    type: str = "unknown_error"
    reason: str = "on purpose"
    code: Optional[int] = None
    close_code: Optional[int] = None

    def __post_init__(self) -> None:
        check_text("SendError", "type", self.type, empty=False)
        check_text("SendError", "reason", self.reason)
        self._check("code", checked_integer)
        self._check("close_code", _checked_close_code)


@dataclass(frozen=True)
class Warn(Fault):
    """Sends a Warning; the session goes on.

    Args:
        type: The type of the Warning, such as ``"session_timeout"``; any text is allowed.
        reason: The reason of the Warning.
        fields: Any other fields, such as ``{"duration_limit": 60}``.

    Raises:
        ConfigurationError: If a value cannot be sent.

    Example:
        >>> faults = Faults()
        >>> faults.add(Warn("session_timeout", "in 15 minutes"), after_chunks=5)
    """

    type: str
    reason: str = "on purpose"
    fields: Optional[Mapping[str, object]] = None

    def __post_init__(self) -> None:
        check_text("Warn", "type", self.type, empty=False)
        check_text("Warn", "reason", self.reason)
        fields = {} if self.fields is None else self.fields
        if not isinstance(fields, Mapping) or not _is_json(fields):
            raise not_allowed("Warn", "fields", self.fields, "a dict that can be sent as JSON")


@dataclass(frozen=True)
class EndEarly(Fault):
    """Ends the session before the client's audio ends: the last finals, then EndOfTranscript.

    After a Warning, this is how the API ends a session whose duration is limited:
    ``faults.add(Warn("duration_limit_exceeded"))`` and ``faults.add(EndEarly(ignored_chunks=5))``.

    Args:
        ignored_chunks: How many more chunks, of all channels, are acknowledged but not recognised
            before the end. If the client ends its audio first, the session ends as usual.

    Raises:
        ConfigurationError: If it is not an integer of at least 0.

    Example:
        >>> faults = Faults()
        >>> faults.add(EndEarly(), after_chunks=5)
    """

    ignored_chunks: int = 0

    def __post_init__(self) -> None:
        self._check("ignored_chunks", checked_integer)

    def moments(self) -> tuple[Moment, ...]:
        return _WHILE_AUDIO_COMES


@dataclass(frozen=True)
class HoldAcknowledgements(Fault):
    """Delays acknowledgements from now on; without arguments, sends no more of them.

    Args:
        chunks: How many more chunks of its channel each one waits for. All are sent at the end
            of audio.
        seconds: How long each one waits. EndOfTranscript is sent after them.

    Raises:
        ConfigurationError: If a value is not valid, or both are given.

    Example:
        >>> faults = Faults()
        >>> faults.add(HoldAcknowledgements(seconds=0.5))
    """

    chunks: Optional[int] = None
    seconds: Optional[float] = None

    def __post_init__(self) -> None:
        self._check("chunks", checked_integer, 1)
        self._check("seconds", checked_seconds)
        if self.seconds is not None and self.chunks is not None:
            raise not_allowed(
                "HoldAcknowledgements", "seconds", self.seconds, "None where chunks is given"
            )

    def moments(self) -> tuple[Moment, ...]:
        return _WHILE_AUDIO_COMES


@dataclass(frozen=True)
class StopReading(Fault):
    """Stops reading, so that the client's audio piles up in the network.

    Everything read before is answered. The server still sends pings, and does not answer the
    client's. It lasts until the client closes the connection or the server stops.

    Example:
        >>> faults = Faults()
        >>> faults.add(StopReading(), after_chunks=5)
    """


@dataclass(frozen=True)
class Silence(Fault):
    """Stops sending, even pongs, like a half-open connection.

    It lasts until the client closes the connection or the server stops.

    Args:
        reads: Whether to read and discard what the client sends; otherwise it piles up in the
            network.

    Raises:
        ConfigurationError: If it is not a bool.

    Example:
        >>> faults = Faults()
        >>> faults.add(Silence(), after_chunks=5)
    """

    reads: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.reads, bool):
            raise not_allowed("Silence", "reads", self.reads, "True or False")

    def moments(self) -> tuple[Moment, ...]:
        return tuple(Moment)


@dataclass(frozen=True)
class Send(Fault):
    """Sends one frame with any content; the session goes on.

    Args:
        content: A dict is sent as JSON, a string as a text frame, bytes as a binary frame.

    Raises:
        ConfigurationError: If it is anything else.

    Example:
        >>> faults = Faults()
        >>> faults.add(Send({"message": "Novel"}), after_chunks=5)
    """

    content: Union[Mapping[str, object], str, bytes]

    def __post_init__(self) -> None:
        if not isinstance(self.content, (str, bytes)) and not (
            isinstance(self.content, Mapping) and _is_json(self.content)
        ):
            raise not_allowed(
                "Send",
                "content",
                self.content,
                "a dict that can be sent as JSON, a string or bytes",
            )


@dataclass(frozen=True)
class Garbage(Fault):
    """Sends one frame that no server should send; the session goes on.

    Args:
        kind: ``"not_json"``, ``"not_object"`` (JSON, but a list), ``"no_name"`` (an object without
            ``message``), ``"binary"``, ``"invalid_utf8"`` (in a text frame), or
            ``"unknown_message"`` (not an error: clients are to pass it on).

    Raises:
        ConfigurationError: If ``kind`` is none of these.

    Example:
        >>> faults = Faults()
        >>> faults.add(Garbage(), after_chunks=5)
    """

    kind: str = "not_json"
    _KINDS: ClassVar[tuple[str, ...]] = (
        "not_json",
        "not_object",
        "no_name",
        "binary",
        "invalid_utf8",
        "unknown_message",
    )

    def __post_init__(self) -> None:
        check_choice("Garbage", "kind", self.kind, self._KINDS)
