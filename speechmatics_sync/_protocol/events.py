"""The values of the protocol: what the server's messages mean, and what is to be sent.

All are frozen but `SpeakersQuestion`, which carries its answer once it has come.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Union

from .._model.session_info import LanguagePackInfo
from .._model.speakers import SpeakerIdentifier
from .._model.typing import Label, Message
from ..errors import SpeechmaticsError

__all__ = [
    "Acknowledged",
    "Deliver",
    "Ended",
    "Event",
    "Failed",
    "LegEnded",
    "Lost",
    "Outgoing",
    "Queued",
    "Settled",
    "SpeakersAnswered",
    "SpeakersQuestion",
    "Started",
]


class Deliver(NamedTuple):
    """A message for the user's handlers."""

    message: Message


class Started(NamedTuple):
    """RecognitionStarted has come."""

    session_id: Optional[str]
    language_pack_info: Optional[LanguagePackInfo]
    first: bool = True
    """Whether it is the session's first."""


class Acknowledged(NamedTuple):
    """The server has acknowledged a channel's audio up to a chunk."""

    label: Label
    number: int
    message: Message


class SpeakersAnswered(NamedTuple):
    """A GetSpeakers was answered."""

    question: SpeakersQuestion
    message: Message


class Ended(NamedTuple):
    """Everything is transcribed and acknowledged."""


class Lost(NamedTuple):
    """The leg is over, and another may go on where it was.

    Args:
        error: What is raised if none can.
        busy: Whether the server had no room; the next attempt should wait some seconds.
        last_message: The server's last message, which handlers get only if no other leg goes on.
    """

    error: SpeechmaticsError
    busy: bool = False
    last_message: Optional[Message] = None


class Failed(NamedTuple):
    """The session is over without having succeeded."""

    error: BaseException


class Settled(NamedTuple):
    """More audio is covered by finals."""


class LegEnded(NamedTuple):
    """A leg that was ended for another to go on has said its last."""


Event = Union[
    Deliver, Started, Acknowledged, SpeakersAnswered, Ended, Lost, Failed, Settled, LegEnded
]


class SpeakersQuestion:
    """A GetSpeakers and, once it has come, its answer: the ``speakers`` of SpeakersResult.

    Args:
        own: Whether the session asks for itself: handlers never see the answer.
    """

    def __init__(self, *, own: bool = False) -> None:
        self.own = own
        self.answer: Optional[list[SpeakerIdentifier]] = None


class Outgoing(NamedTuple):
    """What may be sent now: ``bytes`` in a binary message, ``str`` as JSON.

    If it is audio, ``label`` and ``number`` say which chunk of the session; else ``number`` is 0.
    """

    payload: Union[bytes, str]
    label: Label = None
    number: int = 0


class Queued(NamedTuple):
    """A message of the user's on its way, as it is and as it is sent."""

    message: Message
    encoded: str
    question: Optional[SpeakersQuestion] = None
    answered: frozenset[Label] = frozenset()
    """The channels that have answered it, of a message for all."""
