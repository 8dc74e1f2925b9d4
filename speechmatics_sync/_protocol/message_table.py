"""Every message of the server's, and what the protocol makes of it: one row for each.

To add a message: name it in `ServerMessageType`, give it a class in `results` if it becomes an
object, and add its row here. What follows from the row alone is made from it: which method of `Leg`
receives it, what a `Stitch` drops, where speaker labels stand, what only a session's last leg may
say. What needs code of its own (`Stitch` and `Delivered` for a message that is trimmed,
`Transcript` for one that belongs to it) is checked against the rows by a test, which names what is
missing.

Messages that have no row are handed on as they are.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple, Optional

from .._model.messages import ServerMessageType as Server
from .._model.notices import ErrorMessage, InfoMessage, WarningMessage
from .._model.results import (
    AudioEvent,
    EndOfUtterance,
    LanguageInfo,
    SpeakersResult,
    TranscriptResult,
    TranslationResult,
)
from .._model.session_info import RecognitionStarted

__all__ = ["MESSAGES", "Again", "Row", "Settles"]


class Settles(enum.Enum):
    """What is settled by a message on the leg over which it comes."""

    START = "recognition has started"
    ACKNOWLEDGEMENT = "chunks of audio were read"
    AUDIO = "audio is transcribed, or translated, for good"
    SPEAKERS = "a GetSpeakers is answered"
    UTTERANCE = "a ForceEndOfUtterance is answered, if it says `forced`"
    LIMIT = "how the leg will end, if it warns of the account's limit"
    END = "the leg has ended"
    FAILURE = "the leg has failed"


class Again(enum.Enum):
    """What a leg after the first makes of a message, for audio that may be heard again."""

    AS_IT_IS = "is delivered as it is"
    TRIMMED = "times move; what was delivered before is left out"
    ONCE = "is dropped if the same was delivered before"
    NEVER = "is dropped"


class Row(NamedTuple):
    """What the protocol makes of one message.

    Args:
        type: Its name.
        read_as: The class that reads it; None if it becomes no object.
        settles: What it settles, if anything.
        again: What becomes of it on a leg after the first.
        in_transcript: Whether a `Transcript` takes something from it.
        times: Objects, or lists of objects, that have a ``start_time``, an ``end_time`` or both.
        speaker: The path to its speaker labels, through objects and lists.
        at_the_end: Whether it also comes when a session ends, so that a leg that was ended for
            another must not be heard saying it.
    """

    type: Server
    read_as: Optional[Any]
    settles: Optional[Settles]
    again: Again
    in_transcript: bool = False
    times: tuple[str, ...] = ()
    speaker: tuple[str, ...] = ()
    at_the_end: bool = False


_SPEAKER_OF_WORD = ("results", "alternatives", "speaker")
_SPEAKER_OF_SENTENCE = ("results", "speaker")

# fmt: off
_ROWS = (
    Row(Server.RECOGNITION_STARTED, RecognitionStarted, Settles.START, Again.NEVER,
        in_transcript=True),
    Row(Server.AUDIO_ADDED, None, Settles.ACKNOWLEDGEMENT, Again.AS_IT_IS),
    Row(Server.CHANNEL_AUDIO_ADDED, None, Settles.ACKNOWLEDGEMENT, Again.AS_IT_IS),
    Row(Server.ADD_PARTIAL_TRANSCRIPT, TranscriptResult, None, Again.TRIMMED,
        times=("metadata", "results"), speaker=_SPEAKER_OF_WORD),
    Row(Server.ADD_TRANSCRIPT, TranscriptResult, Settles.AUDIO, Again.TRIMMED,
        times=("metadata", "results"), speaker=_SPEAKER_OF_WORD, in_transcript=True),
    Row(Server.ADD_PARTIAL_TRANSLATION, TranslationResult, None, Again.TRIMMED,
        times=("results",), speaker=_SPEAKER_OF_SENTENCE),
    Row(Server.ADD_TRANSLATION, TranslationResult, Settles.AUDIO, Again.TRIMMED,
        times=("results",), speaker=_SPEAKER_OF_SENTENCE, in_transcript=True),
    Row(Server.END_OF_UTTERANCE, EndOfUtterance, Settles.UTTERANCE, Again.TRIMMED,
        times=("metadata",)),
    Row(Server.AUDIO_EVENT_STARTED, AudioEvent, None, Again.TRIMMED,
        times=("event",), in_transcript=True),
    Row(Server.AUDIO_EVENT_ENDED, AudioEvent, None, Again.TRIMMED,
        times=("event",), in_transcript=True),
    Row(Server.SPEAKERS_RESULT, SpeakersResult, Settles.SPEAKERS, Again.AS_IT_IS,
        speaker=("speakers", "label"), in_transcript=True, at_the_end=True),
    Row(Server.LANGUAGE_INFO, LanguageInfo, None, Again.ONCE, in_transcript=True),
    Row(Server.INFO, InfoMessage, None, Again.NEVER),
    Row(Server.WARNING, WarningMessage, Settles.LIMIT, Again.ONCE),
    Row(Server.ERROR, ErrorMessage, Settles.FAILURE, Again.AS_IT_IS),
    Row(Server.END_OF_TRANSCRIPT, None, Settles.END, Again.AS_IT_IS, at_the_end=True),
)
# fmt: on

MESSAGES: dict[str, Row] = {row.type.value: row for row in _ROWS}
"""The rows by the messages' names."""
