"""What a server means that ends a session: by an Error, or by closing the connection."""

from __future__ import annotations

from typing import Optional

from .._model.messages import CLOSE_CODES
from ..errors import (
    AuthenticationError,
    ConnectionError,
    SpeechmaticsError,
    TranscriptionError,
    TransportError,
)

__all__ = ["error_of", "error_of_close"]

_LOST = frozenset({None, 1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014})
"""Close codes that stand for a lost connection."""

_ADVICE = {
    "not_authorised": "Check the API key, and that it is meant for this region.",
    "not_allowed": "This account may not do that.",
    "invalid_model": "Choose another model or language.",
    "invalid_language": "Choose another language.",
    "invalid_config": "Change the configuration as the reason says.",
    "invalid_audio_type": "Send audio in a format that the service takes.",
    "quota_exceeded": "Too many sessions at once: end one, or wait 5 to 10 seconds.",
    "timelimit_exceeded": "The usage quota of the contract is spent.",
    "job_error": "The service could not do the work: try again in 5 to 10 seconds.",
    "idle_timeout": "No audio was sent for too long.",
    "session_timeout": "The session was as long as one may be: start another.",
}


def error_of(
    type: str, reason: str, code: Optional[int], *, close_code: Optional[int] = None
) -> SpeechmaticsError:
    """Return the error that an Error of the server's means."""
    said = f": {reason}" if reason else ""
    advice = f" {_ADVICE[type]}" if type in _ADVICE else ""
    text = f"The server ended the session with {type}{said}.{advice}"
    if type == "not_authorised":
        return AuthenticationError(text, type=type, reason=reason, close_code=close_code)
    return TranscriptionError(text, type=type, reason=reason, code=code, close_code=close_code)


def error_of_close(code: Optional[int], reason: str, *, when: str) -> SpeechmaticsError:
    """Return the error that the end of a connection means.

    Args:
        code: Of the close frame; None or 1006 where there was none.
        reason: What the frame said.
        when: At which point of the session, in words.
    """
    said = f" ({reason})" if reason else ""
    if code in _LOST:
        what = "was lost" if code in (None, 1006) else f"was closed with code {code}"
        return ConnectionError(f"The connection {what} {when}{said}.", close_code=code)
    if code in CLOSE_CODES:
        return error_of(CLOSE_CODES[code], reason, None, close_code=code)
    if code is not None and code >= 3000:
        return error_of("unknown_error", reason, None, close_code=code)
    return TransportError(
        f"The server closed the connection with code {code}{said}.", close_code=code
    )
