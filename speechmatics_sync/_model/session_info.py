"""A session's ids, language and channels."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Optional

from .checks import PlainSignature, boolean, list_of
from .received import Received, ServerMessage, any_string, nested

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LanguagePackInfo", "RecognitionStarted", "SessionInfo"]


@dataclass(eq=False, repr=False)
class LanguagePackInfo(Received):
    """How the language of the session is written.

    Args:
        word_delimiter: The text between two words: a space, or empty as in Japanese.
        language_description: The language's name.
        writing_direction: ``left-to-right`` or ``right-to-left``.
        itn: Whether the server can write numbers and dates in digits (inverse text normalization).
        adapted: Whether the language model was adapted.
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> client.transcribe("audio.wav").language_pack_info.word_delimiter
        ' '
    """

    word_delimiter: Annotated[str, any_string] = " "
    language_description: Annotated[Optional[str], any_string] = None
    writing_direction: Annotated[Optional[str], any_string] = None
    itn: Annotated[Optional[bool], boolean] = None
    adapted: Annotated[Optional[bool], boolean] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class RecognitionStarted(ServerMessage):
    """A RecognitionStarted message: the session has started.

    Args:
        id: The server's id of the session.
        orchestrator_version: Version of the recognition engine.
        language_pack_info: How the language is written.
        channels: Labels of the channels, in order (``channel_ids`` or ``channels`` in the
            message).
        extra: Fields that this version does not know, as the server sent them.

    Example:
        >>> @client.once("RecognitionStarted")
        ... def show(message):
        ...     print(RecognitionStarted.from_message(message).orchestrator_version)
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("RecognitionStarted",)

    id: Annotated[Optional[str], any_string] = None
    orchestrator_version: Annotated[Optional[str], any_string] = None
    language_pack_info: Annotated[Optional[LanguagePackInfo], nested(LanguagePackInfo)] = None
    channels: Annotated[Optional[list[str]], list_of(any_string), "channel_ids"] = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def _from_content(cls, name: str, content: dict[str, Any]) -> "Self":
        if content.get("channel_ids") is None and "channels" in content:
            content["channel_ids"] = content.pop("channels")
        return super()._from_content(name, content)


@dataclass
class SessionInfo:
    """The state of a session at one moment.

    Args:
        request_id: This client's id of the session, sent in the handshake.
        session_id: The server's id of the session; None before RecognitionStarted.
        sequence_number: Number of audio chunks sent.
        is_running: Whether the session accepts audio.
        language_pack_info: How the language is written; None before RecognitionStarted.
        channels: Labels of the channels, in order; empty in a session with one channel.

    Example:
        >>> info = client.start_session(audio_format=audio_format)
        >>> info.is_running
        True
        >>> client.close()
    """

    __signature__ = PlainSignature()

    request_id: str
    session_id: Optional[str] = None
    sequence_number: int = 0
    is_running: bool = False
    language_pack_info: Optional[LanguagePackInfo] = None
    channels: list[str] = field(default_factory=list)
