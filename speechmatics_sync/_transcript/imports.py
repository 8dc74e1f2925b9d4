"""What a transcript can be made of, other than a session: files, and other transcripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Optional

from .._model.checks import file_path
from .._model.results import AudioEvent, SpeakersResult
from .._model.session_info import LanguagePackInfo
from .._model.settings import argument
from .._numbers import plain_number
from ..errors import ConfigurationError, TransportError
from .utterances import UtteranceEnd

if TYPE_CHECKING:
    from typing_extensions import Self

    from .._model.speakers import SpeakerIdentifier
    from .reading import Everything
    from .saving import Path

__all__ = ["Imports"]

_JSON_V2 = "Load what to_json(), save('….json') or the batch service has written."


class Imports:
    """The ways to make a transcript of what is there already."""

    _audio_events: list[AudioEvent]
    _config: Optional[dict[str, Any]]
    _created_at: float
    _delimiters: dict[str, str]
    _format: str
    _gaps: list[tuple[float, float]]
    _pack: Optional[LanguagePackInfo]
    _speakers: list[SpeakerIdentifier]
    _version: Optional[str]

    if TYPE_CHECKING:

        def __init__(
            self, *, transcription_config: Optional[Mapping[str, object]] = None
        ) -> None: ...

        def add(self, message: Mapping[str, object]) -> None: ...

        def to_dict(self) -> dict[str, Any]: ...

        def _everything(self) -> Everything: ...

        def _extend(self, finals: Iterable[Any]) -> None: ...

        @property
        def end_time(self) -> Optional[float]: ...

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a transcript from a JSON file: one of `to_json`, `save`, or the batch service.

        Raises:
            ConfigurationError: It holds no transcript in json-v2.
            OSError: It cannot be read.
        """
        import json

        with open(argument("path", path, file_path), encoding="utf-8-sig") as file:
            try:
                data = json.load(file)
            except (ValueError, RecursionError) as error:
                raise ConfigurationError(f"{path}: this is no JSON: {error}. {_JSON_V2}") from None
        try:
            return cls.from_dict(data)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error.message}") from None

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Read a transcript in the API's json-v2 format: of `to_dict`, or of the batch service.

        What a transcript has no place for (``job``, summaries, topics, chapters) is left out.

        Raises:
            ConfigurationError: It is no transcript in json-v2; the message names what is wrong.

        Example:
            >>> transcript = client.transcribe("audio.wav")
            >>> Transcript.from_dict(transcript.to_dict()).text
            'hello world.'
        """
        try:
            return cls._from_dict(data)
        except TransportError as error:
            reason = str(error.args[0]).partition(": ")[2]
            raise ConfigurationError(
                f"this is no transcript in json-v2: {reason}. {_JSON_V2}"
            ) from None

    @classmethod
    def _from_dict(cls, data: Mapping[str, object]) -> Self:
        metadata = _part(data, "metadata", dict)
        made = cls(transcription_config=_part(metadata, "transcription_config", dict) or None)
        made._created_at = _seconds_of(metadata.get("created_at"), made._created_at)
        made._format = _part(data, "format", str) or made._format
        made._version = _part(metadata, "orchestrator_version", str) or None
        pack = metadata.get("language_pack_info")
        made._pack = None if pack is None else LanguagePackInfo.from_dict(pack)
        for language, delimiter in _part(metadata, "word_delimiters", dict).items():
            made.add({"message": "LanguageInfo", "language": language, "word_delimiter": delimiter})
        if "results" not in data:
            raise ConfigurationError(
                f"this is no transcript in json-v2: there are no results. {_JSON_V2}"
            )
        made._add_results(_part(data, "results", list))
        for language, sentences in _part(data, "translations", dict).items():
            made._add_sentences(language, sentences)
        made._audio_events = [
            AudioEvent.from_dict(event) for event in _part(data, "audio_events", list)
        ]
        speakers = {"message": "SpeakersResult", "speakers": _part(data, "speakers", list)}
        made._speakers = SpeakersResult.from_message(speakers).speakers
        for gap in _part(data, "gaps", list):
            event = AudioEvent.from_dict({"type": "gap", **_as(gap, dict, "gaps")})
            made._gaps.append((event.start_time or 0.0, event.end_time or 0.0))
        return made

    @classmethod
    def join(cls, parts: Iterable[Self], *, offsets: Optional[Iterable[float]] = None) -> Self:
        """Make one transcript of those of the parts of one recording.

        Labels are kept: a speaker of the same label is the same speaker.

        Args:
            parts: The transcripts, in order.
            offsets: When each part begins in the whole, in seconds. By default a part begins where
                the last final of the one before ends, which is exact only if that is where its
                audio ends: give offsets where a part may end with silence.

        Raises:
            ConfigurationError: A part is no transcript, an offset is no number, or there are not as
                many as parts.

        Example:
            >>> parts = [client.transcribe("audio.wav"), client.transcribe("audio.wav")]
            >>> whole = Transcript.join(parts, offsets=[0, 2.0])
            >>> [word.start_time for word in whole.words]
            [0.2, 0.6, 2.2, 2.6]
        """
        if isinstance(parts, Imports):
            raise ConfigurationError("parts is one Transcript; allowed: a list of them")
        parts = list(parts)
        for number, part in enumerate(parts):
            if not isinstance(part, Imports):
                kind = type(part).__name__
                raise ConfigurationError(f"parts[{number}] is of type {kind}; allowed: Transcript")
        begins = _offsets(offsets, parts)
        made = cls()
        if parts:
            made = cls(transcription_config=parts[0]._config)
            made._created_at = parts[0]._created_at
        for part, begin in zip(parts, begins):
            made._append(part, begin)
        return made

    def _append(self, part: Imports, begin: float) -> None:
        """Add a transcript that begins at a time."""
        now = part._everything()
        written = _later(part.to_dict(), begin)
        self._format = written["format"]
        self._version = self._version or part._version
        self._pack = self._pack or part._pack
        self._delimiters = {**now.delimiters, **self._delimiters}
        for said in now.said[: now.until]:
            if isinstance(said, UtteranceEnd):
                self._extend([said])
            else:
                self._add_results([_later(result, begin) for result in said.parts()])
        for language, sentences in written.get("translations", {}).items():
            self._add_sentences(language, sentences)
        self._audio_events += [
            AudioEvent.from_dict(event) for event in written.get("audio_events", ())
        ]
        known = {speaker.label for speaker in self._speakers}
        self._speakers = self._speakers + [
            speaker for speaker in part._speakers if speaker.label not in known
        ]
        self._gaps += [(gap["start_time"], gap["end_time"]) for gap in written.get("gaps", ())]

    def _add_results(self, results: list[Any]) -> None:
        nothing = {"start_time": 0, "end_time": 0, "transcript": ""}
        self.add({"message": "AddTranscript", "metadata": nothing, "results": results})

    def _add_sentences(self, language: str, sentences: Any) -> None:
        self.add({"message": "AddTranslation", "language": language, "results": sentences})


def _part(data: Any, key: str, kind: type) -> Any:
    """A value of a dict, or an empty one where there is none."""
    value = _as(data, Mapping, "what was given").get(key)
    return kind() if value is None else _as(value, kind, key)


def _as(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise ConfigurationError(
            f"this is no transcript in json-v2: {name} is of type {type(value).__name__}. "
            f"{_JSON_V2}"
        )
    return value


def _seconds_of(written: Any, otherwise: float) -> float:
    """Seconds since the epoch; of a time that cannot be read, another one."""
    from datetime import datetime, timezone

    try:
        moment = datetime.fromisoformat(written.replace("Z", "+00:00"))
    except (AttributeError, ValueError):
        return otherwise
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _offsets(offsets: Optional[Iterable[float]], parts: list[Any]) -> list[float]:
    if offsets is None:
        begins = [0.0]
        for part in parts[:-1]:
            begins.append(begins[-1] + (part.end_time or 0.0))
        return begins
    given = list(offsets)
    if len(given) != len(parts):
        raise ConfigurationError(
            f"there are {len(parts)} parts and {len(given)} offsets; allowed: one for each"
        )
    begins = []
    for offset in given:
        number = plain_number(offset, whole=False)
        if number is None or number < 0:
            raise ConfigurationError(
                f"an offset is {offset!r}; allowed: a number of at least 0, in seconds"
            )
        begins.append(number)
    return begins


def _later(value: Any, seconds: float) -> Any:
    """Results, or what holds some, with every time later by some seconds."""
    if isinstance(value, list):
        return [_later(each, seconds) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: round(each + seconds, 6)
        if key in ("start_time", "end_time") and isinstance(each, (int, float))
        else _later(each, seconds)
        for key, each in value.items()
    }
