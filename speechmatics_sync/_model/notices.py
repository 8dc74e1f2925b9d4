"""Info, Warning and Error messages, as objects."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Optional

from .received import ServerMessage, any_integer, any_number, any_string

__all__ = ["ErrorMessage", "InfoMessage", "WarningMessage"]


@dataclass(eq=False, repr=False)
class Notice(ServerMessage):
    """The fields that Info, Warning and Error share."""

    type: Annotated[str, any_string]
    reason: Annotated[str, any_string]
    code: Annotated[Optional[int], any_integer] = None
    seq_no: Annotated[Optional[int], any_integer] = None


@dataclass(eq=False, repr=False)
class InfoMessage(Notice):
    """An Info message. The fields from ``quality`` on come with the types named there.

    Args:
        type: The kind of info; see `InfoType`.
        reason: The server's explanation.
        code: The server's numeric code.
        seq_no: Sequence number of the chunk or message that it refers to.
        quality: ``telephony`` or ``broadcast`` (``recognition_quality``).
        usage: Number of running sessions (``concurrent_session_usage``).
        quota: Number of allowed sessions (``concurrent_session_usage``).
        last_updated: When ``usage`` was counted, in UTC; may be empty
            (``concurrent_session_usage``).
        region: Where the sessions run (``concurrent_session_usage``).
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> read = InfoMessage.from_message({
        ...     "message": "Info", "type": "recognition_quality", "reason": "of the audio",
        ...     "quality": "telephony",
        ... })
        >>> read.quality
        'telephony'
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("Info",)

    quality: Annotated[Optional[str], any_string] = None
    usage: Annotated[Optional[float], any_number] = None
    quota: Annotated[Optional[float], any_number] = None
    last_updated: Annotated[Optional[str], any_string] = None
    region: Annotated[Optional[str], any_string] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class WarningMessage(Notice):
    """A Warning message; the session continues.

    Args:
        type: The kind of warning; see `WarningType`.
        reason: The server's explanation.
        code: The server's numeric code.
        seq_no: Sequence number of the chunk or message that it refers to.
        duration_limit: The limit that was exceeded, in seconds (``duration_limit_exceeded``).
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> read = WarningMessage.from_message({
        ...     "message": "Warning", "type": "idle_timeout", "reason": "no audio came",
        ... })
        >>> read.type
        'idle_timeout'
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("Warning",)

    duration_limit: Annotated[Optional[float], any_number] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class ErrorMessage(Notice):
    """An Error message; the session has ended.

    Args:
        type: The kind of error; see `ErrorType`.
        reason: The server's explanation.
        code: The server's numeric code.
        seq_no: Sequence number of the chunk or message that it refers to.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> read = ErrorMessage.from_message({
        ...     "message": "Error", "type": "quota_exceeded", "reason": "too many sessions",
        ... })
        >>> read.type
        'quota_exceeded'
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("Error",)

    extra: dict[str, Any] = field(default_factory=dict)
