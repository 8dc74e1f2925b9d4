"""The errors that this package raises.

Each says what happened, in which session, and what to do about it. An error that ends a session
has what was transcribed until then.

SpeechmaticsError           the base of all
    ConfigurationError      a setting is missing or not allowed (a ValueError as well)
    AuthenticationError     the server refused the key
    ConnectionError         no connection, or one that was lost for good (Python's own as well)
    TimeoutError            a time limit passed (Python's own as well)
    TransportError          the server broke the protocol
    TranscriptionError      the server ended the session with an Error
    AudioError              a source cannot be read, or is no audio
    SessionError            not possible in this state of the session
        EndOfTranscriptError  the session has ended
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Optional

from ._help import module_dir

if TYPE_CHECKING:
    from ._transcript.transcript import Transcript

__all__ = [
    "AudioError",
    "AuthenticationError",
    "ConfigurationError",
    "ConnectionError",
    "EndOfTranscriptError",
    "SessionError",
    "SpeechmaticsError",
    "TimeoutError",
    "TranscriptionError",
    "TransportError",
]

__dir__ = module_dir(__name__, page=True)


class SpeechmaticsError(Exception):
    """The base class of the errors of this package.

    Attributes:
        message: What happened and what to do about it, without the ids of the session.
        request_id: This client's id of the session, or None outside a session.
        session_id: The server's id of the session, or None before RecognitionStarted.
        transcript: What was transcribed before the session ended, or None outside a session.

    Example:
        >>> try:
        ...     TranscriptionConfig(max_delay=9)
        ... except SpeechmaticsError as error:
        ...     print(error.help)
        reference/errors.html#configurationerror
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.request_id: Optional[str] = None
        self.session_id: Optional[str] = None
        self.transcript: Optional[Transcript] = None

    @property
    def help(self) -> str:
        """The page of the documentation that has this error, and the section there."""
        known = (
            cls.__name__ for cls in type(self).__mro__ if cls.__module__ == "speechmatics_sync"
        )
        return f"reference/errors.html#{next(known).lower()}"

    def __str__(self) -> str:
        if self.request_id is None:
            return self.message
        return f"{self.message} [request_id={self.request_id} session_id={self.session_id}]"


class ConfigurationError(SpeechmaticsError, ValueError):
    """A setting is missing or not valid; nothing was sent.

    Example:
        >>> try:
        ...     TranscriptionConfig(max_delay=9)
        ... except ConfigurationError as error:
        ...     print(error.message)
        TranscriptionConfig.max_delay is 9; allowed: a finite number from 0.7 to 4 seconds
    """


class MissingKeyError(ConfigurationError):
    """The server needs a key, and there is none."""


def missing_extra(what: str, packages: str, extra: str) -> ConfigurationError:
    """Return the error for a feature whose packages are not installed.

    Not public: for this package, and what lies beside it.
    """
    return ConfigurationError(f'{what} needs {packages}: pip install "speechmatics-sync[{extra}]".')


class AudioError(SpeechmaticsError):
    """A source cannot be read, is empty, or returns something other than bytes.

    Where a value is to blame that was passed or read, it is a ValueError as well.

    Example:
        >>> try:
        ...     client.transcribe(b"")
        ... except AudioError as error:
        ...     print(error.message)
        The source is empty: there is no audio to transcribe.
    """


class InvalidAudioError(AudioError, ValueError):
    """What was passed or read is no audio, or not of the format that was named."""


class SessionError(SpeechmaticsError):
    """The session is not in a state that allows this call, or another thread closed it.

    Example:
        >>> try:
        ...     client.send_audio(samples)
        ... except SessionError as error:
        ...     print(error.message)
        There is no session yet: call start_session, transcribe or stream first.
    """


class EndOfTranscriptError(SessionError):
    """The session has ended.

    Example:
        >>> client.start_session(audio_format=audio_format)
        >>> client.send_audio(samples)
        >>> transcript = client.stop_session()
        >>> try:
        ...     client.send_audio(samples)
        ... except EndOfTranscriptError as error:
        ...     print(error.message)
        The session has ended; start another one.
    """


class TimeoutError(SpeechmaticsError, builtins.TimeoutError):
    """A time limit passed; the message names it.

    Example:
        >>> try:
        ...     transcript = client.transcribe("audio.wav", timeout=600)
        ... except TimeoutError as error:
        ...     print(error.message, error.transcript.text)
    """


class TransportError(SpeechmaticsError):
    """The server broke the protocol.

    Attributes:
        close_code: The code of the WebSocket close frame, if there was one.

    Example:
        >>> try:
        ...     TranscriptResult.from_message({"message": "AddTranscript"})
        ... except TransportError as error:
        ...     print(error.message[:59])
        the server broke the protocol: AddTranscript.metadata is No
    """

    _advice = " Does a proxy answer in its place? If not, report this, with the ids."

    def __init__(self, message: str = "", *, close_code: Optional[int] = None) -> None:
        super().__init__(message)
        if message:
            self.message = f"{message.rstrip('.')}.{self._advice}"
        self.close_code = close_code


class MessageSizeError(TransportError):
    """The server sent a message larger than ``max_size``."""

    _advice = " Raise ConnectionConfig.max_size if that is right."


class ConnectionError(SpeechmaticsError, builtins.ConnectionError):
    """No connection could be made, or one was lost and reconnecting failed or is off.

    Attributes:
        status: The HTTP status with which the handshake was refused, if it was.
        close_code: The code of the WebSocket close frame, if there was one.
        retry_after: The ``Retry-After`` header of that answer, unparsed, if it had one.

    Example:
        >>> import speechmatics_sync
        >>> try:
        ...     transcript = client.transcribe("audio.wav")
        ... except speechmatics_sync.ConnectionError as error:
        ...     print(error.message, error.transcript.text)
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: Optional[int] = None,
        close_code: Optional[int] = None,
        retry_after: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.close_code = close_code
        self.retry_after = retry_after


class HandshakeCutError(ConnectionError):
    """The connection was cut before the server answered, as one without room for more does."""


class ProxyError(ConnectionError):
    """A proxy did not let the connection through to the server."""


class NameLookupError(ConnectionError):
    """A host name could not be looked up for now; it may be later."""


class AuthenticationError(SpeechmaticsError):
    """The server refused the key, or no temporary key could be obtained.

    Attributes:
        status: The HTTP status of the refusal (401, 403 …), if there was one.
        type: The type of the server's Error (``"not_authorised"``), if it sent one.
        reason: The server's own explanation, if it gave one.
        close_code: The code of the WebSocket close frame, if there was one.

    Example:
        >>> try:
        ...     transcript = client.transcribe("audio.wav")
        ... except AuthenticationError as error:
        ...     print(error.status, error.message)
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: Optional[int] = None,
        type: Optional[str] = None,
        reason: Optional[str] = None,
        close_code: Optional[int] = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.reason = reason
        self.close_code = close_code


class TranscriptionError(SpeechmaticsError):
    """The server ended the session with an Error, or before all audio was transcribed.

    Attributes:
        type: The Error's type, such as ``"quota_exceeded"``.
        reason: The server's own explanation.
        code: The Error's numeric code, if it has one.
        close_code: The code of the WebSocket close frame, if there was one.

    Example:
        >>> try:
        ...     transcript = client.transcribe("audio.wav")
        ... except TranscriptionError as error:
        ...     print(error.type, error.reason, error.transcript.text)
    """

    def __init__(
        self,
        message: str = "",
        *,
        type: str = "unknown_error",
        reason: str = "",
        code: Optional[int] = None,
        close_code: Optional[int] = None,
    ) -> None:
        super().__init__(message)
        self.type = type
        self.reason = reason
        self.code = code
        self.close_code = close_code
