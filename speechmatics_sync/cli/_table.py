"""The table of settings, made from the fields of the configuration classes.

A field that is added to a class is a flag, a key of ``config set`` and an entry in the help, with
the field's own type, choices, documentation and error.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, Callable, NamedTuple, Optional

from speechmatics_sync import (
    AudioEventsConfig,
    AudioFormat,
    ConnectionConfig,
    ReconnectPolicy,
    TranscriptionConfig,
    TranslationConfig,
)

__all__ = ["CLASSES", "Setting", "setting_named", "settings_table"]


class Group(NamedTuple):
    """A configuration class, and what the names of its settings begin with."""

    cls: Any
    prefix: str
    title: str


CLASSES = {
    "transcription_config": Group(TranscriptionConfig, "", "transcription"),
    "translation_config": Group(TranslationConfig, "translation", "translation"),
    "audio_events_config": Group(AudioEventsConfig, "audio-events", "audio events"),
    "audio_format": Group(AudioFormat, "audio", "format of the audio"),
    "conn_config": Group(ConnectionConfig, "connection", "connection"),
    "reconnect": Group(ReconnectPolicy, "reconnect", "reconnecting"),
}
"""By the name of the argument of a client's call."""

_SHORTER = {
    "translation-target-languages": "translate",
    "audio-encoding": "encoding",
    "audio-sample-rate": "sample-rate",
    "audio-chunk-size": "chunk-size",
    "connection-proxy": "proxy",
    "connection-allow-insecure": "allow-insecure",
    "speaker-diarization-max-speakers": "max-speakers",
    "audio-filtering-volume-threshold": "volume-threshold",
    "transcript-filtering-remove-disfluencies": "remove-disfluencies",
    "conversation-end-of-utterance-silence-trigger": "end-of-utterance-silence-trigger",
}
"""Second names of settings that are needed often."""

_NO_EFFECT = "Deprecated, has no effect"


class Setting(NamedTuple):
    """A setting that can be given as a flag, in a profile or in a file.

    Args:
        group: The key of `CLASSES`, or ``"client"``.
        path: Where the value belongs in the settings of the group.
        name: The name of the flag without its dashes, and the key of ``config set``.
        shorter: A second name, or "".
        read: Makes a value of text; raises ValueError with what is allowed.
        metavar: What the help shows in place of a value; "" if it is on or off.
        choices: The values there are, or empty for any.
        help: What it does.
    """

    group: str
    path: tuple[str, ...]
    name: str
    shorter: str
    read: Callable[[str], Any]
    metavar: str
    choices: tuple[str, ...]
    help: str

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that set it."""
        return tuple(f"--{name}" for name in (self.name, self.shorter) if name)


@cache
def settings_table() -> dict[str, Setting]:
    """Return all settings by their names, in the order of the classes' fields."""
    found = {setting.name: setting for setting in _OWN}
    for group, (cls, prefix, _) in CLASSES.items():
        for setting in _settings_of(group, cls, (), prefix):
            found[setting.name] = setting
    return found


def setting_named(name: str) -> Optional[Setting]:
    """Return the setting of this name, written with ``-`` or ``_``, with or without dashes."""
    name = name.lstrip("-").replace("_", "-")
    for setting in settings_table().values():
        if name in (setting.name, setting.shorter):
            return setting
    return None


def _settings_of(group: str, cls: Any, path: tuple[str, ...], prefix: str) -> Iterator[Setting]:
    described = _described(cls)
    for field in dataclasses.fields(cls):
        types, notes = _types(field.type)
        name = "-".join(filter(None, [prefix, field.name.replace("_", "-")]))
        here = (*path, notes[1] if len(notes) > 1 else field.name)
        text = described.get(field.name, "")
        nested = [one for one in types if dataclasses.is_dataclass(one)]
        if nested:
            within = re.sub("-(config|overrides)$", "", name)
            yield from _settings_of(group, nested[0], here, within)
        elif Any not in types and not text.startswith(_NO_EFFECT):
            if field.name == "extra" and path:
                continue  # `--extra` holds nested fields as well
            kind = _kind(types, notes[0] if notes else None, field.name)
            yield Setting(group, here, name, _SHORTER.get(name, ""), *kind, text)


def _types(annotation: Any) -> tuple[list[Any], tuple[Any, ...]]:
    """Return the types that a field may have, without None, and the notes to them."""
    notes = getattr(annotation, "__metadata__", ())
    plain = annotation.__origin__ if notes else annotation
    united = typing.get_args(plain) if typing.get_origin(plain) is typing.Union else (plain,)
    return [one for one in united if one is not type(None)], notes


def _kind(
    types: list[Any], check: Optional[Callable[[Any], Any]], name: str
) -> tuple[Callable[[str], Any], str, tuple[str, ...]]:
    """Return how the text of a value is read, its metavar, and its choices."""
    origins = [typing.get_origin(one) or one for one in types]
    lists = [one for one, kind in zip(types, origins) if kind in (list, Sequence)]
    if lists:
        items, _ = _types(typing.get_args(lists[0])[0])
        for item in items:
            if dataclasses.is_dataclass(item):
                return _objects(item), _object_metavar(item), ()
        if name == "permitted_marks":
            return _marks, "MARKS", ()
        return _strings, "A,B,…", ()
    if dict in origins or Mapping in origins:
        return _json_object, "JSON", ()
    if bool in origins:
        return _boolean, "", ()
    if int in origins or float in origins:
        return _number, "N", ()
    words = [one for one in types if isinstance(one, type) and issubclass(one, Enum)]
    known = tuple(member.value for cls in words for member in cls)
    if known and check is not None and _is_closed(check):
        return str, "", known
    return str, name.split("_")[-1].upper(), ()


def _is_closed(check: Callable[[Any], Any]) -> bool:
    """Return whether a check of strings lets only the known ones pass."""
    try:
        check("no such value")
    except Exception:
        return True
    return False


# -- values as they are typed ---------------------------------------------------------------------


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "yes", "on", "1"):
        return True
    if text.lower() in ("false", "no", "off", "0"):
        return False
    raise ValueError("true, false")


def _number(text: str) -> Optional[float]:
    if text.lower() == "none":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise ValueError("a number")


def _strings(text: str) -> list[Any]:
    """Read ``a,b`` or a JSON array."""
    if text.startswith("["):
        return list(_json(text, list, "a JSON array, or values with commas between them"))
    return [part.strip() for part in text.split(",") if part.strip()]


def _marks(text: str) -> list[Any]:
    """Read ``.,?!``, or ``all``."""
    return [text] if text == "all" else [mark for mark in text if not mark.isspace()]


def _json(text: str, kind: type, allowed: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, kind):
        raise ValueError(allowed)
    return value


def _json_object(text: str) -> Any:
    return _json(text, dict, "a JSON object")


def _object_fields(cls: Any) -> tuple[str, str, bool]:
    """Return the keys of the two fields of a class, and whether the second is a list."""
    first, second = [field for field in dataclasses.fields(cls) if field.name != "extra"][:2]
    notes, types = _types(first.type)[1], _types(second.type)[0]
    key = notes[1] if len(notes) > 1 else first.name
    return key, second.name, typing.get_origin(types[0]) is list


def _object_metavar(cls: Any) -> str:
    first, second, many = _object_fields(cls)
    shown = second.upper() + (",…" if many else "")
    return f"{first.upper()}[:{shown}]"


def _objects(cls: Any) -> Callable[[str], list[Any]]:
    """Read ``first:second,second``, or JSON: an object or an array of them."""
    first, second, many = _object_fields(cls)

    def read(text: str) -> list[Any]:
        if text.startswith(("{", "[")):
            value = _json(text, object, f"JSON, or {_object_metavar(cls)}")
            if value is None:
                raise ValueError(f"JSON, or {_object_metavar(cls)}")
            return value if isinstance(value, list) else [value]
        one, separator, other = text.partition(":")
        if not separator and many:
            return [{first: one}]
        return [{first: one, second: _strings(other) if many else other}]

    return read


# -- documentation ---------------------------------------------------------------------------------


def _described(cls: Any) -> dict[str, str]:
    """Return what the docstring of a class says of its arguments, as plain text."""
    arguments = (inspect.getdoc(cls) or "").partition("\nArgs:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"(?ms)^    (\w+): (.*?)(?=^    \w|\Z)", arguments)
    return {name: re.sub(r"`+", "", " ".join(text.split())) for name, text in entries}


_OWN = (
    Setting("client", ("url",), "url", "", str, "URL", (), "The server, ws:// or wss://."),
    Setting(
        "client", ("temporary_key",), "temporary-key", "", _boolean, "", (),
        "Connect with temporary keys that are fetched with the API key.",
    ),
)  # fmt: skip
