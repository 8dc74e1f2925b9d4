"""Everything a user can set: the session's configuration, the connection's, the reconnecting's.

Each class checks itself when it is made, and again in ``to_dict()``, for its fields can be
changed. A check stands beside its field (see `checks`); its range comes from the API's
description. What this version does not know goes through ``extra``, merged last and unchecked.
Names, order and defaults are those of ``speechmatics-rt`` 1.2.1.
"""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Optional, Union
from urllib.parse import urlsplit

from ..errors import ConfigurationError, TransportError
from .checks import (
    ByFields,
    Check,
    Unfit,
    declared,
    flag,
    listed,
    mapping,
    number,
    one_of,
    or_none,
    text,
)

if TYPE_CHECKING:
    from ssl import SSLContext
else:
    SSLContext = Any  # importing ssl would slow every start; see _ssl_context

__all__ = [
    "AdditionalVocab",
    "AudioEncoding",
    "AudioEventsConfig",
    "AudioFilteringConfig",
    "AudioFormat",
    "ConnectionConfig",
    "ConversationConfig",
    "Diarization",
    "MaxDelayMode",
    "MidSessionConfig",
    "Model",
    "OperatingPoint",
    "PunctuationOverrides",
    "ReconnectPolicy",
    "SpeakerDiarizationConfig",
    "SpeakerIdentifier",
    "TranscriptFilteringConfig",
    "TranscriptionConfig",
    "TranslationConfig",
    "WordReplacement",
]


class AudioEncoding(str, Enum):
    """How the samples of ``raw`` audio are written, little-endian."""

    PCM_F32LE = "pcm_f32le"
    PCM_S16LE = "pcm_s16le"
    MULAW = "mulaw"

    __str__ = str.__str__


class Model(str, Enum):
    """Which model transcribes."""

    ENHANCED = "enhanced"
    STANDARD = "standard"
    MELIA_1 = "melia-1"

    __str__ = str.__str__


class OperatingPoint(str, Enum):
    """The former name of `Model`. Deprecated."""

    ENHANCED = "enhanced"
    STANDARD = "standard"
    MELIA_1 = "melia-1"

    __str__ = str.__str__


class Diarization(str, Enum):
    """Whether, and by what, speakers are told apart."""

    NONE = "none"
    SPEAKER = "speaker"
    CHANNEL = "channel"
    CHANNEL_AND_SPEAKER = "channel_and_speaker"

    __str__ = str.__str__


class MaxDelayMode(str, Enum):
    """Whether an entity that is being spoken may exceed ``max_delay``."""

    FLEXIBLE = "flexible"
    FIXED = "fixed"

    __str__ = str.__str__


class _Settings(ByFields):
    """A dataclass that checks its fields and becomes part of a message."""

    extra: dict[str, Any]

    def __post_init__(self) -> None:
        self._plain()

    def to_dict(self) -> dict[str, Any]:
        """What goes on the wire, as plain values; unset fields are left out.

        Raises:
            ConfigurationError: A field has been given a value that the API would refuse.
        """
        return self._plain()

    def _plain(self) -> dict[str, Any]:
        try:
            return _checked(type(self), self)
        except Unfit as unfit:
            raise ConfigurationError(str(unfit.within(type(self).__name__))) from None

    @classmethod
    def _across(cls, plain: dict[str, Any]) -> None:
        """Check what no field can check alone."""


def _checked(cls: type[_Settings], given: Union[_Settings, Mapping[str, Any]]) -> dict[str, Any]:
    """The plain form of a configuration, given as an object or as the dict it would become."""
    fields = declared(cls)
    if isinstance(given, Mapping):
        values = mapping(given)
        keys = {known.key for known in fields}
        extra = {key: value for key, value in values.items() if key not in keys}
    else:
        values = {known.key: getattr(given, known.name) for known in fields}
        extra = getattr(given, "extra", {})
    plain: dict[str, Any] = {}
    for known in fields:
        value = values.get(known.key)
        if value is None and known.default is None:
            continue
        try:
            plain[known.key] = known.check(value)
        except Unfit as unfit:
            raise unfit.within(known.key) from None
    cls._across(plain)
    try:
        plain.update(mapping(extra))
    except Unfit as unfit:
        raise unfit.within("extra") from None
    return plain


def _part(cls: type[_Settings]) -> Check:
    """A configuration inside another one: an object of the class, or a dict, checked the same."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, (cls, Mapping)):
            raise Unfit(value, f"a {cls.__name__} or a dict")
        return _checked(cls, value)

    return check


_SECONDS_MOST = 1_000_000
"""Longer waits overflow the clocks of some systems."""

_word = text(1)
_count = number(1, whole=True)
_time_limit = or_none(number(above=0, high=_SECONDS_MOST, unit="seconds"))
_duration = number(0, _SECONDS_MOST, unit="seconds")


@dataclass(eq=False, repr=False)
class AudioFormat(_Settings):
    """What the audio is: a file in a format the API knows, or raw mono samples.

    Args:
        encoding: How the samples are written; None for a file, header and all.
        sample_rate: Samples per second, in Hz. Of no meaning for a file.
        chunk_size: Bytes to send in one message.
        extra: Further fields of the message's ``audio_format``.

    Example:
        >>> AudioFormat("pcm_s16le", 16000).to_dict()
        {'type': 'raw', 'encoding': 'pcm_s16le', 'sample_rate': 16000}
        >>> AudioFormat().to_dict()
        {'type': 'file'}
    """

    encoding: Annotated[Optional[Union[AudioEncoding, str]], one_of(AudioEncoding)] = None
    sample_rate: Annotated[int, number(1, whole=True, unit="Hz")] = 44100
    chunk_size: Annotated[int, number(1, whole=True, unit="bytes")] = 4096
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def bytes_per_sample(self) -> int:
        """How many bytes one sample takes.

        Raises:
            ConfigurationError: The audio is a file, whose samples only the server can find.
        """
        encoding = self._plain().get("encoding")
        if encoding is None:
            raise ConfigurationError(
                "AudioFormat.encoding is None, so the audio is a file and the size of its samples "
                "is not known; set an encoding"
            )
        return _BYTES_PER_SAMPLE[encoding]

    def to_dict(self) -> dict[str, Any]:
        """The message's ``audio_format``; a file has neither rate nor encoding."""
        plain = self._plain()
        if self.encoding is None:
            return {"type": "file", **self.extra}
        shape = {key: plain[key] for key in ("encoding", "sample_rate")}
        return {"type": "raw", **shape, **self.extra}


_BYTES_PER_SAMPLE = {"pcm_f32le": 4, "pcm_s16le": 2, "mulaw": 1}


@dataclass(eq=False, repr=False)
class SpeakerIdentifier(_Settings):
    """A speaker's voice, as a former session knew it, and the label to give it.

    Args:
        label: The speaker's name in the transcript.
        speaker_identifiers: What `get_speakers` answered for this voice; one or more.
        extra: Further fields.

    Example:
        >>> SpeakerIdentifier("Ada", ["dGhlIHZvaWNl"]).label
        'Ada'
    """

    label: Annotated[str, _word] = ""
    speaker_identifiers: Annotated[list[str], listed(_word, min_items=1, unique=True)] = field(
        default_factory=list
    )
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SpeakerIdentifier:
        """A voice as a server sent it, taken as it is: only what we send must suit the API.

        Raises:
            TransportError: A field is missing or has the wrong type; the message names it.
        """
        try:
            return cls._received(data)
        except Unfit as unfit:
            unfit.within(cls.__name__)
            raise TransportError(f"the server broke the protocol: {unfit}") from None

    @classmethod
    def _received(cls, data: Any) -> SpeakerIdentifier:
        speaker = cls.__new__(cls)
        speaker.extra = mapping(data)
        for key, check in (("label", text()), ("speaker_identifiers", listed(text()))):
            try:
                setattr(speaker, key, check(speaker.extra.pop(key, None)))
            except Unfit as unfit:
                raise unfit.within(key) from None
        return speaker


_given_label = text(
    1,
    pattern=r"(?s)(?!(?:S\d+|UU|\s.*|.*\s)\Z).+",
    allowed="a label unlike those the engine gives (S1, UU), without space at its ends",
)
_IDENTIFIERS_MOST = 50


@dataclass(eq=False, repr=False)
class SpeakerDiarizationConfig(_Settings):
    """How speakers are told apart.

    Args:
        max_speakers: At most so many speakers; 2 or more.
        speaker_sensitivity: How readily a new speaker is heard, from 0 to 1.
        prefer_current_speaker: Stay with the speaker who is speaking when voices are alike.
        speakers: Voices that are known already. Labels differ, and are none of the engine's own
            (``S1``, ``UU``); at most 50 identifiers in all.
        get_speakers: Send every speaker's identifiers at the end of the transcript.
        extra: Further fields.
    """

    max_speakers: Annotated[Optional[int], number(2, whole=True)] = None
    speaker_sensitivity: Annotated[Optional[float], number(0, 1)] = None
    prefer_current_speaker: Annotated[Optional[bool], flag] = None
    speakers: Annotated[Optional[list[SpeakerIdentifier]], listed(_part(SpeakerIdentifier))] = None
    get_speakers: Annotated[Optional[bool], flag] = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def _across(cls, plain: dict[str, Any]) -> None:
        speakers = plain.get("speakers", [])
        try:
            listed(_given_label, unique=True)([speaker["label"] for speaker in speakers])
        except Unfit as unfit:
            unfit.path = unfit.path.rstrip(".") + ".label"
            raise unfit.within("speakers") from None
        count = sum(len(speaker["speaker_identifiers"]) for speaker in speakers)
        if count > _IDENTIFIERS_MOST:
            raise Unfit(
                count,
                f"at most {_IDENTIFIERS_MOST} speaker identifiers across all speakers",
                path="speakers",
                shown=f"a list with {count} speaker identifiers",
            )


@dataclass(eq=False, repr=False)
class AudioFilteringConfig(_Settings):
    """Leaves quiet audio out of the transcript.

    Args:
        volume_threshold: The volume from which audio is transcribed, from 0 to 100.
        extra: Further fields.
    """

    volume_threshold: Annotated[Optional[float], number(0, 100)] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class WordReplacement(_Settings):
    """A word or pattern, and what the transcript has in its place.

    Args:
        from_: What to find (``from`` on the wire).
        to: What to write instead.
        extra: Further fields.
    """

    from_: Annotated[str, text(), "from"]
    to: Annotated[str, text()]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class TranscriptFilteringConfig(_Settings):
    """Changes the words of the transcript.

    Args:
        remove_disfluencies: Leave out "um" and the like.
        replacements: Rules, each a `WordReplacement` or ``{"from": …, "to": …}``.
        extra: Further fields.
    """

    remove_disfluencies: Annotated[Optional[bool], flag] = None
    replacements: Annotated[
        Optional[list[Union[WordReplacement, dict[str, Any]]]], listed(_part(WordReplacement))
    ] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class PunctuationOverrides(_Settings):
    """Which punctuation the transcript has.

    Args:
        permitted_marks: Single marks, or ``["all"]``.
        sensitivity: How readily a mark is set, from 0 to 1.
        extra: Further fields.
    """

    permitted_marks: Annotated[
        Optional[list[str]], listed(text(pattern=".|all", allowed="a single mark, or 'all'"))
    ] = None
    sensitivity: Annotated[Optional[float], number(0, 1)] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class AdditionalVocab(_Settings):
    """A word that the language model may not know.

    Args:
        content: The word, as it is written.
        sounds_like: How it may be said; one or more spellings.
        extra: Further fields.
    """

    content: Annotated[str, _word]
    sounds_like: Annotated[Optional[list[str]], listed(_word, min_items=1)] = None
    extra: dict[str, Any] = field(default_factory=dict)


_vocab_object = _part(AdditionalVocab)


def _vocab(value: Any) -> Any:
    return _word(value) if isinstance(value, str) else _vocab_object(value)


@dataclass(eq=False, repr=False)
class ConversationConfig(_Settings):
    """When an utterance counts as ended.

    Args:
        end_of_utterance_silence_trigger: Silence that ends one, in seconds from 0 (never) to 2.
        extra: Further fields.
    """

    end_of_utterance_silence_trigger: Annotated[Optional[float], number(0, 2, unit="seconds")] = (
        None
    )
    extra: dict[str, Any] = field(default_factory=dict)


_max_delay = number(0.7, 4, unit="seconds")


def _copied(value: Any) -> dict[str, Any]:
    return copy.deepcopy(mapping(value))


@dataclass(eq=False, repr=False)
class TranscriptionConfig(_Settings):
    """What to transcribe, and how. Only ``language`` and ``model`` are sent unless set.

    Wherever a class of this module is named, a dict of the same fields will do.

    Args:
        language: ISO code of what is spoken, such as ``"en"``.
        model: Which model; ``Model.ENHANCED`` when left out.
        output_locale: RFC 5646 code of the transcript's spelling, such as ``"en-US"``.
        diarization: Whether speakers or channels are told apart.
        additional_vocab: Words the model may not know: strings, or `AdditionalVocab`.
        punctuation_overrides: Which punctuation to use.
        domain: A field the model is optimized for, such as ``"finance"``.
        enable_entities: Give spoken and written form of dates, numbers and the like.
        audio_filtering_config: Leave out quiet audio.
        transcript_filtering_config: Leave out or replace words.
        max_delay: Longest time from a word's end to its final, in seconds from 0.7 to 4.
        max_delay_mode: Whether an entity may exceed it.
        enable_partials: Send partials as well as finals.
        speaker_diarization_config: How speakers are told apart.
        streaming_mode: Run the engine in its streaming mode.
        conversation_config: When an utterance counts as ended.
        ctrl: Passed to the engine as it is.
        channel_diarization_labels: Names of the channels, each different.
        operating_point: Deprecated, use ``model``. Not both.
        language_hints: Codes of the languages that are likely (newest models).
        language_hints_strict: Transcribe no other language than those; only with
            ``language_hints``.
        extra: Further fields.

    Raises:
        ConfigurationError: A value that the API would refuse.

    Example:
        >>> TranscriptionConfig(max_delay=1, enable_partials=True).to_dict()
        {'language': 'en', 'model': 'enhanced', 'max_delay': 1, 'enable_partials': True}
    """

    language: Annotated[str, _word] = "en"
    model: Annotated[Optional[Union[Model, str]], one_of(Model)] = None
    output_locale: Annotated[Optional[str], _word] = None
    diarization: Annotated[Optional[Union[Diarization, str]], one_of(Diarization)] = None
    additional_vocab: Annotated[
        Optional[list[Union[str, AdditionalVocab, dict[str, Any]]]], listed(_vocab)
    ] = None
    punctuation_overrides: Annotated[
        Optional[Union[PunctuationOverrides, dict[str, Any]]], _part(PunctuationOverrides)
    ] = None
    domain: Annotated[Optional[str], _word] = None
    enable_entities: Annotated[Optional[bool], flag] = None
    audio_filtering_config: Annotated[
        Optional[Union[AudioFilteringConfig, dict[str, Any]]], _part(AudioFilteringConfig)
    ] = None
    transcript_filtering_config: Annotated[
        Optional[Union[TranscriptFilteringConfig, dict[str, Any]]], _part(TranscriptFilteringConfig)
    ] = None
    max_delay: Annotated[Optional[float], _max_delay] = None
    max_delay_mode: Annotated[Optional[Union[MaxDelayMode, str]], one_of(MaxDelayMode)] = None
    enable_partials: Annotated[Optional[bool], flag] = None
    speaker_diarization_config: Annotated[
        Optional[Union[SpeakerDiarizationConfig, dict[str, Any]]], _part(SpeakerDiarizationConfig)
    ] = None
    streaming_mode: Annotated[Optional[bool], flag] = None
    conversation_config: Annotated[
        Optional[Union[ConversationConfig, dict[str, Any]]], _part(ConversationConfig)
    ] = None
    ctrl: Annotated[Optional[dict[str, Any]], _copied] = None
    channel_diarization_labels: Annotated[Optional[list[str]], listed(_word, unique=True)] = None
    operating_point: Annotated[Optional[Union[OperatingPoint, str]], one_of(OperatingPoint)] = None
    language_hints: Annotated[Optional[list[str]], listed(_word)] = None
    language_hints_strict: Annotated[Optional[bool], flag] = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.model is None and self.operating_point is None:
            self.model = Model.ENHANCED
        super().__post_init__()
        if self.operating_point is not None:
            warnings.warn("operating_point is deprecated; use model", DeprecationWarning, 3)

    @classmethod
    def _across(cls, plain: dict[str, Any]) -> None:
        if "model" in plain and "operating_point" in plain:
            raise Unfit(
                plain["operating_point"], "model alone, or this alone", path="operating_point"
            )
        if "language_hints_strict" in plain and not plain.get("language_hints"):
            raise Unfit(
                plain["language_hints_strict"],
                "this only together with language_hints",
                path="language_hints_strict",
            )


@dataclass(eq=False, repr=False)
class MidSessionConfig(_Settings):
    """What SetRecognitionConfig can change while a session runs; fields as in
    `TranscriptionConfig`. The language must stay what it was."""

    language: Annotated[Optional[str], _word] = None
    max_delay: Annotated[Optional[float], _max_delay] = None
    max_delay_mode: Annotated[Optional[Union[MaxDelayMode, str]], one_of(MaxDelayMode)] = None
    audio_filtering_config: Annotated[
        Optional[Union[AudioFilteringConfig, dict[str, Any]]], _part(AudioFilteringConfig)
    ] = None
    enable_partials: Annotated[Optional[bool], flag] = None
    conversation_config: Annotated[
        Optional[Union[ConversationConfig, dict[str, Any]]], _part(ConversationConfig)
    ] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class TranslationConfig(_Settings):
    """Which languages to translate into.

    Args:
        target_languages: A list of ISO codes. An empty one is answered with the Warning
            ``empty_translation_target_list``, and nothing is translated.
        enable_partials: Send partial translations as well.
        extra: Further fields.

    Example:
        >>> TranslationConfig(["fr", "de"]).to_dict()
        {'target_languages': ['fr', 'de']}
    """

    target_languages: Annotated[list[str], listed(_word)]
    enable_partials: Annotated[Optional[bool], flag] = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, repr=False)
class AudioEventsConfig(_Settings):
    """Which sounds to report.

    Args:
        types: Such as ``["music", "applause"]``; None for every type there is.
        extra: Further fields.
    """

    types: Annotated[Optional[list[str]], listed(_word)] = None
    extra: dict[str, Any] = field(default_factory=dict)


_PROXY_SCHEMES = ("http", "socks4", "socks4a", "socks5", "socks5h")


def _proxy(value: Any) -> str:
    allowed = (
        '"http://user:password@host:port" or the same with '
        "socks4, socks4a, socks5 or socks5h (a proxy behind https:// is not supported)"
    )
    # The value itself is never shown: it may hold a password.
    unfit = Unfit("", allowed, shown="not a proxy that can be used")
    if not isinstance(value, str):
        raise unfit
    try:
        parts = urlsplit(value)
        usable = parts.scheme in _PROXY_SCHEMES and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise unfit
    return value


def _ssl_context(value: Any) -> Any:
    # Whoever holds a context has imported ssl.
    ssl_module = sys.modules.get("ssl")
    if ssl_module is None or not isinstance(value, ssl_module.SSLContext):
        raise Unfit(value, "an ssl.SSLContext")
    return value


@dataclass(eq=False, repr=False)
class ConnectionConfig(_Settings):
    """Time limits and sizes of a connection. Seconds; None means no limit.

    Args:
        open_timeout: For connecting, TLS and the handshake.
        start_timeout: From StartRecognition to RecognitionStarted (15 s are usual with
            ``additional_vocab``).
        ping_interval: From one ping of ours to the next; None sends none.
        ping_timeout: Longest time without a byte from the server after a ping.
        close_timeout: For the closing handshake, and for `close()`.
        max_size: Bytes in the longest message taken from the server.
        max_unacked_chunks: Chunks of audio sent and not yet acknowledged; more must wait.
        ack_timeout: Longest silence of the server while it owes an answer.
        max_queue: Messages that may wait for handlers before reading pauses: 1024, some minutes of
            speech with partials. Once half as many wait, a partial takes the place of the one that
            it supersedes; nothing else is dropped.
        ssl_context: For TLS; None takes the system's authorities.
        proxy: URL of a proxy, ``http://user:password@host:port`` (also ``socks4``, ``socks4a``,
            ``socks5``, ``socks5h``); None takes the environment's. Never shown in a ``repr``.
        allow_insecure: Send a key in clear text (``ws://``) to another machine.
        read_limit: Deprecated, without effect.
        write_limit: Deprecated, without effect.

    Raises:
        ConfigurationError: A limit that is no positive number, a proxy that cannot be used.
    """

    open_timeout: Annotated[Optional[float], _time_limit] = 10
    start_timeout: Annotated[Optional[float], _time_limit] = 20
    ping_interval: Annotated[Optional[float], _time_limit] = 20
    ping_timeout: Annotated[Optional[float], _time_limit] = 60
    close_timeout: Annotated[Optional[float], _time_limit] = 5
    max_size: Annotated[Optional[int], or_none(_count)] = 16 * 1024 * 1024
    max_unacked_chunks: Annotated[int, _count] = 512
    ack_timeout: Annotated[Optional[float], _time_limit] = 120
    max_queue: Annotated[Optional[int], or_none(_count)] = 1024
    ssl_context: Annotated[Optional[SSLContext], _ssl_context] = None
    proxy: Annotated[Optional[str], _proxy] = field(default=None, repr=False)
    allow_insecure: Annotated[bool, flag] = False
    read_limit: Annotated[Optional[int], _count] = None
    write_limit: Annotated[Optional[int], _count] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("read_limit", "write_limit"):
            if getattr(self, name) is not None:
                warnings.warn(f"{name} is deprecated and has no effect", DeprecationWarning, 3)

    def to_dict(self) -> dict[str, Any]:
        """The limits that are set; the context is no plain value, the proxy may hold a password."""
        plain = self._plain()
        hidden = ("ssl_context", "proxy")
        return {key: plain[key] for key in plain if plain[key] is not None and key not in hidden}


@dataclass(frozen=True)
class ReconnectPolicy(_Settings):
    """What to do when a connection is lost. Immutable; times in seconds.

    Args:
        max_attempts: Attempts to connect again, in one outage.
        initial_delay: Wait before the second attempt (the first is made at once); it doubles.
        max_delay: The wait grows no further than this.
        busy_delay: Shortest wait when the server had no room (4005, 4013, 1011).
        replay_seconds: How much unsettled audio is kept to be sent again.
        rollover_margin: How long before the end of the server's session another one takes over.
        session_limit: How long one session of the server's is used at most; None goes by what the
            server says, which ends them after 48 hours. More than ``rollover_margin``.
    """

    max_attempts: Annotated[int, _count] = 10
    initial_delay: Annotated[float, _duration] = 0.5
    max_delay: Annotated[float, _duration] = 30.0
    busy_delay: Annotated[float, _duration] = 5.0
    replay_seconds: Annotated[float, _duration] = 300
    rollover_margin: Annotated[float, _duration] = 10.0
    session_limit: Annotated[Optional[float], _time_limit] = None

    @classmethod
    def _across(cls, plain: dict[str, Any]) -> None:
        if plain["max_delay"] < plain["initial_delay"]:
            raise Unfit(
                plain["max_delay"],
                f"no less than initial_delay, which is {plain['initial_delay']}",
                path="max_delay",
            )
        limit, margin = plain.get("session_limit"), plain["rollover_margin"]
        if limit is not None and limit <= margin:
            raise Unfit(
                limit, f"more than rollover_margin, which is {margin}", path="session_limit"
            )
