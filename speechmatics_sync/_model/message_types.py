"""The server's messages as types: what an editor completes and a type checker knows of a dict.

A message is a plain dict, whatever is sent; a newer server may add fields. Times are in seconds.
Source: the API's description (``realtime.yaml``); LanguageInfo from the documentation beside it.
"""

from __future__ import annotations

from typing import Optional, TypedDict

__all__ = [
    "AddTranscriptDict",
    "AddTranslationDict",
    "AlternativeDict",
    "AudioAddedDict",
    "AudioEventEndedDict",
    "AudioEventStartedDict",
    "ChannelAudioAddedDict",
    "EndOfTranscriptDict",
    "EndOfUtteranceDict",
    "LanguageInfoDict",
    "NoticeDict",
    "RecognitionStartedDict",
    "ReconnectDict",
    "ResultDict",
    "SourceErrorDict",
    "SpeakersResultDict",
]


class LanguagePackInfoDict(TypedDict, total=False):
    """What the service says of the language's model."""

    language_description: str
    word_delimiter: str
    writing_direction: str
    itn: bool
    adapted: bool


class RecognitionStartedDict(TypedDict, total=False):
    """A RecognitionStarted.

    Keys:
        message: Its name.
        id: The server's id of the session.
        orchestrator_version: Version of the engine.
        language_pack_info: How the language is written: ``word_delimiter``, ``writing_direction``,
            ``language_description``, ``itn``, ``adapted``.
        channel_ids: Labels of the channels.

    Example:
        >>> @client.on("RecognitionStarted")
        ... def show(message: RecognitionStartedDict) -> None:
        ...     print(message.get("id"))
    """

    message: str
    orchestrator_version: str
    id: str
    language_pack_info: LanguagePackInfoDict
    channel_ids: list[str]


class AudioAddedDict(TypedDict):
    """An AudioAdded.

    Keys:
        message: Its name.
        seq_no: The number of the chunk, from 1.

    Example:
        >>> @client.on("AudioAdded")
        ... def show(message: AudioAddedDict) -> None:
        ...     print(message["seq_no"])
    """

    message: str
    seq_no: int


class ChannelAudioAddedDict(AudioAddedDict):
    """A ChannelAudioAdded.

    Keys:
        message: Its name.
        seq_no: The number of the chunk, from 1 in each channel.
        channel: The label.

    Example:
        >>> @client.on("ChannelAudioAdded")
        ... def show(message: ChannelAudioAddedDict) -> None:
        ...     print(message["channel"], message["seq_no"])
    """

    channel: str


class DisplayDict(TypedDict):
    """How a word is displayed: ``ltr`` or ``rtl``."""

    direction: str


class _Alternative(TypedDict):
    content: str
    confidence: float


class AlternativeDict(_Alternative, total=False):
    """One reading of a result.

    Keys:
        content: The word or mark.
        confidence: From 0 to 1.
        language, display, speaker, tags: Where there is one.

    Example:
        >>> def is_certain(alternative: AlternativeDict) -> bool:
        ...     return alternative["confidence"] > 0.9
    """

    language: str
    display: DisplayDict
    speaker: str
    tags: list[str]


class FormDict(TypedDict):
    """A part of an entity, as it was said or as it is written."""

    type: str
    start_time: float
    end_time: float
    alternatives: list[AlternativeDict]


class _Result(TypedDict):
    type: str
    start_time: float
    end_time: float


class ResultDict(_Result, total=False):
    """A word, a punctuation mark or an entity.

    Keys:
        type: ``word``, ``punctuation`` or ``entity``.
        start_time, end_time: Seconds.
        alternatives: A list of `AlternativeDict`, the likeliest first.
        attaches_to, is_eos: Of a mark.
        entity_class, spoken_form, written_form: Of an entity.
        volume: From 0 to 100.

    Example:
        >>> def end_of(result: ResultDict) -> float:
        ...     return result["end_time"]
        >>> @client.on("AddTranscript")
        ... def show(message: AddTranscriptDict) -> None:
        ...     print([end_of(result) for result in message["results"]])
    """

    attaches_to: str
    is_eos: bool
    alternatives: list[AlternativeDict]
    volume: float
    entity_class: str
    spoken_form: list[FormDict]
    written_form: list[FormDict]


class MetadataDict(TypedDict):
    """Where a transcript starts and ends, and its text."""

    start_time: float
    end_time: float
    transcript: str


class _Transcript(TypedDict):
    message: str
    metadata: MetadataDict
    results: list[ResultDict]


class AddTranscriptDict(_Transcript, total=False):
    """An AddTranscript or AddPartialTranscript.

    Keys:
        message: Its name.
        metadata: ``start_time``, ``end_time``, and the text as ``transcript``.
        results: A list of `ResultDict`.
        format, channel, forced: Where there is one.

    Example:
        >>> @client.on("AddTranscript")
        ... def show(message: AddTranscriptDict) -> None:
        ...     print(message["metadata"]["transcript"])
    """

    format: str
    channel: str
    forced: bool


class UtteranceEndDict(TypedDict, total=False):
    """When an utterance ended."""

    start_time: float
    end_time: float


class _EndOfUtterance(TypedDict):
    message: str
    metadata: UtteranceEndDict


class EndOfUtteranceDict(_EndOfUtterance, total=False):
    """An EndOfUtterance.

    Keys:
        message: Its name.
        metadata: ``start_time`` and ``end_time``, which are the same.
        channel, forced: Where there is one.

    Example:
        >>> @client.on("EndOfUtterance")
        ... def show(message: EndOfUtteranceDict) -> None:
        ...     print(message["metadata"].get("end_time"))
    """

    channel: str
    forced: bool


class _Sentence(TypedDict):
    content: str
    start_time: float
    end_time: float


class SentenceDict(_Sentence, total=False):
    """A sentence of a translation."""

    speaker: str


class _Translation(TypedDict):
    message: str
    language: str
    results: list[SentenceDict]


class AddTranslationDict(_Translation, total=False):
    """An AddTranslation or AddPartialTranslation.

    Keys:
        message: Its name.
        language: Into which.
        results: A list of sentences: ``content``, ``start_time``, ``end_time``, ``speaker``.
        format: Where there is one.

    Example:
        >>> @client.on("AddTranslation")
        ... def show(message: AddTranslationDict) -> None:
        ...     print(message["language"], message["results"][0]["content"])
    """

    format: str


class EndOfTranscriptDict(TypedDict):
    """An EndOfTranscript.

    Keys:
        message: Its name.

    Example:
        >>> @client.on("EndOfTranscript")
        ... def show(message: EndOfTranscriptDict) -> None:
        ...     print(message["message"])
    """

    message: str


class AudioEventStartDict(TypedDict):
    """A sound other than speech that begins."""

    type: str
    start_time: float
    confidence: float


class AudioEventEndDict(TypedDict):
    """A sound other than speech that ends."""

    type: str
    end_time: float


class _AudioEventStarted(TypedDict):
    message: str
    event: AudioEventStartDict


class AudioEventStartedDict(_AudioEventStarted, total=False):
    """An AudioEventStarted.

    Keys:
        message: Its name.
        event: ``type``, ``start_time`` and ``confidence``.
        channel: Where there is one.

    Example:
        >>> @client.on("AudioEventStarted")
        ... def show(message: AudioEventStartedDict) -> None:
        ...     print(message["event"]["type"], message["event"]["confidence"])
    """

    channel: str


class _AudioEventEnded(TypedDict):
    message: str
    event: AudioEventEndDict


class AudioEventEndedDict(_AudioEventEnded, total=False):
    """An AudioEventEnded.

    Keys:
        message: Its name.
        event: ``type`` and ``end_time``.
        channel: Where there is one.

    Example:
        >>> @client.on("AudioEventEnded")
        ... def show(message: AudioEventEndedDict) -> None:
        ...     print(message["event"]["type"], message["event"]["end_time"])
    """

    channel: str


class _Notice(TypedDict):
    message: str
    type: str
    reason: str


class NoticeDict(_Notice, total=False):
    """An Info, Warning or Error.

    Keys:
        message: Its name.
        type: See `InfoType`, `WarningType`, `ErrorType`.
        reason: The server's explanation.
        code, seq_no: Where there is one.
        duration_limit: Seconds, of ``duration_limit_exceeded``.
        quality: Of ``recognition_quality``.
        usage, quota, last_updated, region: Of ``concurrent_session_usage``.

    Example:
        >>> @client.on("Warning")
        ... def show(message: NoticeDict) -> None:
        ...     print(message["type"], message["reason"])
    """

    code: int
    seq_no: int
    duration_limit: float
    quality: str
    usage: float
    quota: float
    last_updated: str
    region: str


class IdentifiedSpeakerDict(TypedDict):
    """A speaker and the identifiers by which the service knows the voice again."""

    label: str
    speaker_identifiers: list[str]


class SpeakersResultDict(TypedDict):
    """A SpeakersResult.

    Keys:
        message: Its name.
        speakers: A list of dicts with ``label`` and ``speaker_identifiers``.

    Example:
        >>> @client.on("SpeakersResult")
        ... def show(message: SpeakersResultDict) -> None:
        ...     print([speaker["label"] for speaker in message["speakers"]])
    """

    message: str
    speakers: list[IdentifiedSpeakerDict]


class _Reconnect(TypedDict):
    message: str
    attempt: int
    reason: str
    audio_time: Optional[float]
    seconds_replayed: Optional[float]
    seconds_lost: Optional[float]


class ReconnectDict(_Reconnect, total=False):
    """A SessionReconnecting or SessionReconnected.

    Keys:
        message: Its name.
        attempt: From 1.
        reason: Text.
        audio_time: Seconds: the audio before it has finals.
        seconds_replayed: Seconds of audio that are sent again.
        seconds_lost: Seconds of audio that are not available any more.
        session_id, labels_restart: Of a SessionReconnected: the server's new id, and whether
            speakers have new labels.

    Example:
        >>> @client.on("SessionReconnecting")
        ... def show(message: ReconnectDict) -> None:
        ...     print(message["attempt"], message["reason"])
    """

    session_id: Optional[str]
    labels_restart: bool


class LanguageInfoDict(TypedDict, total=False):
    """A LanguageInfo.

    Keys:
        message: Its name.
        language: ISO code.
        word_delimiter: The text between two words.
        writing_direction: ``left-to-right`` or ``right-to-left``.
        partial: Whether a partial comes next.

    Example:
        >>> @client.on("LanguageInfo")
        ... def show(message: LanguageInfoDict) -> None:
        ...     print(message.get("language"))
    """

    message: str
    language: str
    word_delimiter: str
    writing_direction: str
    partial: bool


class SourceErrorDict(TypedDict):
    """A SourceError: the source of a channel failed.

    Keys:
        message: Its name.
        channel: The label.
        reason: Text.
        error: The exception.

    Example:
        >>> @client.on("SourceError")
        ... def show(message: SourceErrorDict) -> None:
        ...     print(message["channel"], message["reason"])
    """

    message: str
    channel: str
    reason: str
    error: BaseException


# Like every public name, they say that they come from the package.
for _name in __all__:
    globals()[_name].__module__ = "speechmatics_sync"
del _name  # pyright: ignore[reportPossiblyUnboundVariable]
