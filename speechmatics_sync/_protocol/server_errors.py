"""How a server ends a session before its end: by an Error, or by closing the connection.

Two tables say what follows: `ERROR_TYPES` from the type of an Error, `CLOSE_CODES` from the code of
a close frame, most of which stand for an Error. A session is retried over another connection if
the connection was lost; before recognition has started, also if the server was busy.

Source: the API's description (``realtime.yaml``) and the documentation beside it; RFC 6455, 7.4.1
and the IANA registry for codes below 3000.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from .._model.messages import ErrorType
from ..errors import (
    AuthenticationError,
    ConnectionError,
    SpeechmaticsError,
    TranscriptionError,
    TransportError,
)

__all__ = ["CLOSE_CODES", "ERROR_TYPES", "error_of", "error_of_close", "is_busy", "is_loss"]


class _Type(NamedTuple):
    """What an Error of one type means.

    Args:
        advice: What the user may do about it.
        busy: Whether the server had no room, if it comes before recognition has started.
        lost: Whether another connection can go on, at any time.
    """

    advice: str
    busy: bool = False
    lost: bool = False


class _Code(NamedTuple):
    """What a close code means when no Error came before it.

    Args:
        type: The type of Error that it stands for, if any.
        lost: Whether the connection is lost, rather than the session refused.
    """

    type: Optional[str] = None
    lost: bool = False


_OWN_MESSAGE = "Correct what send_message or extra has sent; else report this, with the ids."

ERROR_TYPES: dict[str, _Type] = {
    "invalid_message": _Type(_OWN_MESSAGE),
    "invalid_model": _Type("Choose another model or language."),
    "invalid_language": _Type("Choose another language."),
    "invalid_config": _Type("Change the configuration as the reason says."),
    "invalid_audio_type": _Type(
        "Send a file in a format that the service takes, or samples with"
        " audio_format=AudioFormat(AudioEncoding.PCM_S16LE, sample_rate)."
    ),
    "invalid_output_format": _Type("Change what extra sends, as the reason says."),
    "not_authorised": _Type("Check the API key, and that it is meant for this region."),
    "not_allowed": _Type("This account may not do that: ask Speechmatics for it, or do without."),
    "job_error": _Type(
        "The service could not do the work: try again in 5 to 10 seconds.", busy=True
    ),
    "protocol_error": _Type(_OWN_MESSAGE),
    "quota_exceeded": _Type(
        "Too many sessions at once: end one, or wait 5 to 10 seconds.", busy=True
    ),
    "timelimit_exceeded": _Type(
        "The usage quota of the contract is spent: ask Speechmatics for more."
    ),
    "idle_timeout": _Type("No audio was sent for too long: end sessions, or send silence."),
    "session_timeout": _Type("The session was as long as one may be: start another.", lost=True),
    "unknown_error": _Type("Try again; if it stays, report it with the ids."),
    # Of close codes alone.
    "policy_violation": _Type("Look for the reason in what was asked for."),
    "internal_error": _Type("The service failed: try again.", busy=True),
}
"""By the type of the Error. One that is not here has the advice of an unknown error."""

CLOSE_CODES: dict[Optional[int], _Code] = {
    None: _Code(lost=True),  # the connection ended without a close frame
    1000: _Code(lost=True),
    1001: _Code(lost=True),
    1003: _Code("protocol_error"),
    1005: _Code(lost=True),
    1006: _Code(lost=True),
    1008: _Code("policy_violation"),
    1011: _Code("internal_error", lost=True),
    1012: _Code(lost=True),
    1013: _Code(lost=True),
    1014: _Code(lost=True),
    4001: _Code("not_authorised"),
    4003: _Code("not_allowed"),
    4004: _Code("invalid_model"),
    4005: _Code("quota_exceeded"),
    4006: _Code("timelimit_exceeded"),
    4013: _Code("job_error"),
}
"""By the code. Others are an unknown error of the service from 3000 on, and below that the peer's
mistake."""


def is_busy(type: Optional[str]) -> bool:
    """Return whether an Error of a type says, before the start, that the server has no room."""
    return type in ERROR_TYPES and ERROR_TYPES[type].busy


def is_loss(type: str) -> bool:
    """Return whether another connection can go on after an Error of a type."""
    return type in ERROR_TYPES and ERROR_TYPES[type].lost


def error_of(
    type: str, reason: str, code: Optional[int], *, close_code: Optional[int] = None
) -> SpeechmaticsError:
    """Return the exception for an Error of the server's."""
    said = f": {reason.rstrip('.')}" if reason else ""
    known = ERROR_TYPES.get(type, ERROR_TYPES[ErrorType.UNKNOWN_ERROR.value])
    text = f"The server ended the session with {type}{said}. {known.advice}"
    if type == ErrorType.NOT_AUTHORISED.value:
        return AuthenticationError(text, type=type, reason=reason, close_code=close_code)
    return TranscriptionError(text, type=type, reason=reason, code=code, close_code=close_code)


def error_of_close(code: Optional[int], reason: str, *, when: str) -> SpeechmaticsError:
    """Return the exception for the end of a connection.

    Args:
        code: The code of the close frame; None or 1006 if there was no frame.
        reason: What the frame said.
        when: At which point of the session, in words.
    """
    said = f" ({reason})" if reason else ""
    known = CLOSE_CODES.get(code)
    if known is not None and known.lost:
        what = "was lost" if code in (None, 1006) else f"was closed with code {code}"
        return ConnectionError(f"The connection {what} {when}{said}.", close_code=code)
    if known is not None and known.type is not None:
        return error_of(known.type, reason, None, close_code=code)
    if code is not None and code >= 3000:
        return error_of(ErrorType.UNKNOWN_ERROR.value, reason, None, close_code=code)
    return TransportError(
        f"The server closed the connection with code {code}{said}.", close_code=code
    )
