"""What is known of a session: its ids, its language, its channels."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Optional

from .checks import boolean, list_of
from .received import Received, ServerMessage, any_string, nested

__all__ = ["LanguagePackInfo", "RecognitionStarted", "SessionInfo"]


@dataclass(eq=False, repr=False)
class LanguagePackInfo(Received):
    """How the language of the session is written.

    Args:
        word_delimiter: What stands between two words; empty in Japanese, for one.
        language_description: The language's name.
        writing_direction: ``left-to-right`` or ``right-to-left``.
        itn: Whether numbers, dates and the like can be written as such.
        adapted: Whether the language model was adapted.
        extra: Fields that this version does not know.
    """

    word_delimiter: Annotated[str, any_string] = " "
    language_description: Annotated[Optional[str], any_string] = None
    writing_direction: Annotated[Optional[str], any_string] = None
    itn: Annotated[Optional[bool], boolean] = None
    adapted: Annotated[Optional[bool], boolean] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class RecognitionStarted(ServerMessage):
    """The session has begun.

    Args:
        id: The server's id of the session.
        orchestrator_version: Version of the engine.
        language_pack_info: How the language is written.
        channels: The labels of the channels (``channel_ids`` or ``channels`` on the wire).
        extra: Fields that this version does not know.
    """

    MESSAGES: ClassVar[tuple[str, ...]] = ("RecognitionStarted",)

    id: Annotated[Optional[str], any_string] = None
    orchestrator_version: Annotated[Optional[str], any_string] = None
    language_pack_info: Annotated[Optional[LanguagePackInfo], nested(LanguagePackInfo)] = None
    channels: Annotated[Optional[list[str]], list_of(any_string), "channel_ids"] = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def _from_content(cls, name: str, content: dict[str, Any]) -> "RecognitionStarted":
        if content.get("channel_ids") is None and "channels" in content:
            content["channel_ids"] = content.pop("channels")
        return super()._from_content(name, content)


@dataclass
class SessionInfo:
    """What is known of a session.

    Args:
        request_id: This client's id of the session, sent with the handshake.
        session_id: The server's id; None before RecognitionStarted.
        sequence_number: Chunks of audio sent.
        is_running: Whether the session takes audio.
        language_pack_info: How the language is written; None before RecognitionStarted.
        channels: The labels of the channels, in order; empty for a single stream.
    """

    request_id: str
    session_id: Optional[str] = None
    sequence_number: int = 0
    is_running: bool = False
    language_pack_info: Optional[LanguagePackInfo] = None
    channels: list[str] = field(default_factory=list)
