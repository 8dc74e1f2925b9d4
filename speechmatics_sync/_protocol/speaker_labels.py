"""Speaker labels that stay the same over several connections.

A server numbers speakers anew on every connection: S2 on one may be S1 on the next. So speakers
whose identifiers are known are enrolled on the next connection, under labels of ours (the API
allows none that look like its own), which are replaced by the session's in every message. Speakers
that were not known yet are numbered after those of the session.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Callable, Optional

from .._model.speakers import SpeakerIdentifier
from .._model.transcription_config import TranscriptionConfig
from .._model.typing import Message
from .message_fields import Malformed, a_text, objects
from .message_table import MESSAGES, Settles

__all__ = ["LegSpeakerLabels", "SpeakerLabels"]

_ASK_SECONDS = 60.0
"""Seconds of audio after which to ask for the identifiers of the speakers again."""

_ASK_NEW_SECONDS = 5.0
"""The same while there is a speaker whose identifiers are not known."""

_IDENTIFIERS_MOST = 50
"""Across all speakers of a session: more are refused (the API's description of ``speakers``)."""

_CONFIG = "speaker_diarization_config"
_FORMS = ("spoken_form", "written_form")
_IN_RESULT = ("alternatives", "speaker")
_numbered = re.compile(r"S([1-9][0-9]{0,8})").fullmatch


class SpeakerLabels:
    """The speakers that a session has heard, over all its connections.

    Example:
        >>> speaker_labels = SpeakerLabels()
        >>> speaker_labels.learn([SpeakerIdentifier("S1", ["dm9pY2U="])])
        >>> leg = speaker_labels.begin_leg()
        >>> leg.enrolled(TranscriptionConfig()).to_dict()["speaker_diarization_config"]
        {'speakers': [{'label': 'known-S1', 'speaker_identifiers': ['dm9pY2U=']}]}
        >>> answer = {"message": "SpeakersResult", "speakers": [{"label": "known-S1"}]}
        >>> leg.session_labels(answer)["speakers"]
        [{'label': 'S1'}]
    """

    def __init__(self) -> None:
        self._highest = 0
        self._identifiers: dict[str, tuple[str, ...]] = {}
        self._asked_at = 0.0
        self._heard_unknown = False

    @property
    def highest(self) -> int:
        """The highest n of all labels S<n>; 0 before the first."""
        return self._highest

    def note(self, message: Message) -> bool:
        """Take note of a message, in the session's labels, that was delivered.

        Returns:
            Whether it has a speaker without known identifiers, so that asking would help.
        """
        name = message.get("message")
        row = MESSAGES.get(name) if isinstance(name, str) else None
        if row is None or row.settles is not Settles.AUDIO:
            return False
        heard: set[str] = set()

        def hear(label: str) -> str:
            heard.add(label)
            return label

        try:
            _relabelled(message, hear)
        except (Malformed, RecursionError):
            return False
        unknown = [label for label in heard if self._hear(label)]
        self._heard_unknown = self._heard_unknown or bool(unknown)
        return bool(unknown)

    def asking_is_due(self, now: float) -> bool:
        """Return whether to ask the server for the speakers' identifiers at ``now`` seconds."""
        wait = _ASK_NEW_SECONDS if self._heard_unknown else _ASK_SECONDS
        return now - self._asked_at >= wait

    def note_asking(self, now: float) -> None:
        """Take note that the server is asked at ``now`` seconds."""
        self._asked_at = now
        self._heard_unknown = False

    def _hear(self, label: str) -> bool:
        numbered = _numbered(label)
        if numbered is None:
            return False
        self._highest = max(self._highest, int(numbered[1]))
        return label not in self._identifiers

    def learn(self, speakers: Iterable[SpeakerIdentifier]) -> None:
        """Take the answer to a GetSpeakers, in the session's labels."""
        for speaker in speakers:
            if _numbered(speaker.label) is None:
                continue
            self._hear(speaker.label)
            identifiers = tuple(dict.fromkeys(filter(None, speaker.speaker_identifiers)))
            if identifiers:
                self._identifiers[speaker.label] = identifiers

    def begin_leg(self) -> LegSpeakerLabels:
        """Return the labels of the next connection, which enrols the speakers known so far."""
        return LegSpeakerLabels(self, self._identifiers)


class LegSpeakerLabels:
    """The speaker labels of one connection; speakers learned later are not enrolled on it.

    Args:
        session: The speaker labels of the session.
        identifiers: What to enrol: label of the session → identifiers.
    """

    def __init__(self, session: SpeakerLabels, identifiers: Mapping[str, Sequence[str]]) -> None:
        self._session = session
        self._identifiers = dict(identifiers)
        self._session_labels: dict[str, str] = {}
        # Set at the first new speaker, unless none was heard before: in a rollover, the old
        # connection may hear another speaker while this one begins.
        self._numbered_from: Optional[int] = None if session.highest else 0

    def enrolled(self, config: TranscriptionConfig) -> TranscriptionConfig:
        """Return a configuration with the known speakers beside those that the user enrolled.

        Args:
            config: What the session is asked for; it is not changed, and is returned if no speaker
                is known.
        """
        diarization = config.to_dict().get(_CONFIG) or {}
        theirs = diarization.get("speakers") or []
        known = self._to_enrol(
            {each for speaker in theirs for each in speaker.get("speaker_identifiers", ())}
        )
        if not known:
            return config
        prefix = "known-"
        while any(str(speaker.get("label")).startswith(prefix) for speaker in theirs):
            prefix += "-"
        self._session_labels = {prefix + label: label for label in known}
        ours = [{"label": prefix + label, "speaker_identifiers": known[label]} for label in known]
        # Not dataclasses.replace, which would repeat the warning of a deprecated field. In `extra`,
        # so that what the user has in this field is not validated again.
        config = copy.copy(config)
        config.extra = {**config.extra, _CONFIG: {**diarization, "speakers": [*theirs, *ours]}}
        return config

    def _to_enrol(self, taken: set[str]) -> dict[str, list[str]]:
        """Return each label's first identifier, then its second …, as many as the API takes."""
        labels = list(self._identifiers)
        rounds = zip_longest(*self._identifiers.values())
        chosen: dict[str, list[str]] = {}
        enrolled = set(taken)
        for label, identifier in chain.from_iterable(zip(labels, each) for each in rounds):
            if identifier is None or identifier in enrolled:
                continue
            if len(enrolled) >= _IDENTIFIERS_MOST:
                break
            enrolled.add(identifier)
            chosen.setdefault(label, []).append(identifier)
        return chosen

    def session_labels(self, message: Message) -> Message:
        """Return a message of this connection with the session's labels.

        Args:
            message: As the server sent it; it is not changed.

        Returns:
            The same object if nothing is to be changed.
        """
        if self._numbered_from == 0:  # no speaker was heard before, so none is known
            return message
        try:
            return _relabelled(message, self._session_label)
        except (Malformed, RecursionError):
            return message

    def _session_label(self, label: str) -> str:
        known = self._session_labels.get(label)
        if known is not None:
            return known
        numbered = _numbered(label)
        if numbered is None:
            return label
        if self._numbered_from is None:
            self._numbered_from = self._session.highest
        return f"S{self._numbered_from + int(numbered[1])}"


_Rename = Callable[[str], str]


def _relabelled(message: Message, rename: _Rename) -> Message:
    """Return a message with every speaker label renamed; the same object if none changes."""
    name = message.get("message")
    row = MESSAGES.get(name) if isinstance(name, str) else None
    if row is None or not row.speaker:
        return message
    return _relabelled_at(row.speaker, message, rename)


def _relabelled_at(path: Sequence[str], whole: Message, rename: _Rename) -> Message:
    """Return an object with the labels at a path renamed, and those in the forms of an entity."""
    if len(path) == 1:
        return _renamed(whole, path[0], rename)
    if path == _IN_RESULT:
        for form in _FORMS:
            whole = _each(whole, form, lambda part: _relabelled_at(path, part, rename))
    return _each(whole, path[0], lambda part: _relabelled_at(path[1:], part, rename))


def _each(whole: Message, key: str, change: Callable[[Message], Message]) -> Message:
    old = whole.get(key)
    if old is None:
        return whole
    new = [change(part) for part in objects(whole, key)]
    return whole if all(a is b for a, b in zip(new, old)) else {**whole, key: new}


def _renamed(part: Message, key: str, rename: _Rename) -> Message:
    old = part.get(key)
    if old is None:
        return part
    new = rename(a_text(part, key))
    return part if new == old else {**part, key: new}
