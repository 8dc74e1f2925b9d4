"""What a server says of a session: infos, warnings, errors."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Optional

from .received import ServerMessage, any_integer, any_number, any_string

__all__ = ["ErrorMessage", "InfoMessage", "WarningMessage"]


@dataclass(eq=False, repr=False)
class _Notice(ServerMessage):
    """What an Info, a Warning and an Error have in common."""

    type: Annotated[str, any_string]
    reason: Annotated[str, any_string]
    code: Annotated[Optional[int], any_integer] = None
    seq_no: Annotated[Optional[int], any_integer] = None


@dataclass(eq=False, repr=False)
class InfoMessage(_Notice):
    """An Info: ``type`` says which (`InfoType`), ``reason`` is for people.

    Args:
        type: Which Info.
        reason: In words.
        code: A number for it.
        seq_no: The message or chunk it speaks of.
        quality: Of ``recognition_quality``: ``telephony`` or ``broadcast``.
        usage: Of ``concurrent_session_usage``: sessions running.
        quota: Of ``concurrent_session_usage``: sessions allowed.
        last_updated: Of ``concurrent_session_usage``: as of when, in UTC; may be empty.
        region: Of ``concurrent_session_usage``: where.
        extra: Fields that this version does not know.
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("Info",)

    quality: Annotated[Optional[str], any_string] = None
    usage: Annotated[Optional[float], any_number] = None
    quota: Annotated[Optional[float], any_number] = None
    last_updated: Annotated[Optional[str], any_string] = None
    region: Annotated[Optional[str], any_string] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class WarningMessage(_Notice):
    """A Warning (`WarningType`); the session goes on.

    ``duration_limit`` (seconds) comes with ``duration_limit_exceeded``.
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("Warning",)

    duration_limit: Annotated[Optional[float], any_number] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class ErrorMessage(_Notice):
    """An Error (`ErrorType`); the session has ended."""

    MESSAGES: ClassVar[tuple[str, ...]] = ("Error",)

    extra: dict[str, Any] = field(default_factory=dict)
