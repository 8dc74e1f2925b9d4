"""What is set, and by what: flags, a file, the environment, a profile, the old tool, defaults."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Optional

from speechmatics_sync import AuthBase, ConfigurationError, JWTAuth, StaticKeyAuth

from ._profiles import Profiles, old_profile
from ._table import CLASSES, Setting, setting_named, settings_table

__all__ = [
    "API_KEY",
    "DEFAULT_PROFILE",
    "PROFILE_VARIABLE",
    "Chosen",
    "Settings",
    "read_text",
    "shown",
]

API_KEY = "api-key"
PROFILE_VARIABLE = "SPEECHMATICS_PROFILE"
_VARIABLES = {API_KEY: "SPEECHMATICS_API_KEY", "url": "SPEECHMATICS_RT_URL"}
DEFAULT_PROFILE = "default"


class Chosen(NamedTuple):
    """A value, and what set it."""

    value: Any
    source: str

    def __repr__(self) -> str:
        return f"Chosen(<value>, {self.source!r})"  # it may be a key


def read_text(setting: Setting, text: str, place: str) -> Any:
    """Return the value that a text says.

    Args:
        setting: What is set.
        text: The text.
        place: What it is called in the error, such as a flag.

    Raises:
        ConfigurationError: It cannot be read; the message names the place.
    """
    try:
        return setting.read(text)
    except ValueError as error:
        raise ConfigurationError(f"{place} is {text!r}; allowed: {error}") from None


class Settings:
    """The settings of one run.

    Args:
        flags: The values of the flags that were given, by the names of settings.
        profile: The name of the profile; None takes that of the environment, or ``default``.
        file: A file with the API's JSON.
        profiles: Whether anything but flags and the file counts.

    Raises:
        ConfigurationError: Something cannot be read; the message says what and where.
    """

    def __init__(
        self,
        flags: Optional[Mapping[str, Any]] = None,
        *,
        profile: Optional[str] = None,
        file: Optional[str] = None,
        profiles: bool = True,
    ) -> None:
        self._chosen: dict[str, Chosen] = {}
        self._rest: dict[str, dict[str, Any]] = {}
        """By group: what a file has that the table does not know."""
        self._file = file
        for name, value in (flags or {}).items():
            self._take(name, value, settings_table()[name].flags[0])
        if file is not None:
            self._take_file(file)
        if profiles:
            self._take_kept(profile)

    def _take_kept(self, profile: Optional[str]) -> None:
        self.profiles = Profiles()
        for name, variable in _VARIABLES.items():
            if os.environ.get(variable, "").strip():
                self._take(name, os.environ[variable].strip(), variable)
        self.profile = profile or os.environ.get(PROFILE_VARIABLE) or DEFAULT_PROFILE
        path, old = old_profile(self.profile)
        known = self.profiles.settings(self.profile)
        if profile is not None and not known and not old:
            raise ConfigurationError(
                f"--profile is {profile!r}, and there is no such profile; there are: "
                f"{', '.join(sorted(self.profiles.names())) or 'none'}. Make it with `config set`, "
                "or name another"
            )
        self._take_texts(known, f"profile {self.profile!r}")
        self._take_texts(old, str(path))

    def _take(self, name: str, value: Any, source: str) -> None:
        self._chosen.setdefault(name, Chosen(value, source))

    def _take_texts(self, texts: Mapping[str, str], source: str) -> None:
        for name, text in texts.items():
            setting = None if name == API_KEY else setting_named(name)
            if name == API_KEY:
                self._take(name, text, source)
            elif setting is None:
                raise ConfigurationError(
                    f"{source} has a setting {name!r}, which does not exist: remove it from "
                    f"{self.profiles.path}"
                )
            elif setting.name not in self._chosen:
                self._take(setting.name, read_text(setting, text, f"{name} ({source})"), source)

    def __iter__(self) -> Iterator[tuple[str, Chosen]]:
        return iter(sorted(self._chosen.items()))

    def told(self) -> list[str]:
        """Return a sentence for each setting: its value and what set it. No secret is in them."""
        return [f"{name} = {shown(name, chosen.value)} ({chosen.source})" for name, chosen in self]

    def get(self, name: str) -> Any:
        """Return the value of a setting, or None if nothing sets it."""
        chosen = self._chosen.get(name)
        return None if chosen is None else chosen.value

    def default(self, name: str, value: Any) -> None:
        """Have a setting be this unless something sets it."""
        self._take(name, value, "default")

    def source(self, name: str) -> str:
        """Return what sets a setting."""
        chosen = self._chosen.get(name)
        return "default" if chosen is None else chosen.source

    # -- the configuration objects ----------------------------------------------------------------

    def config(self, group: str) -> Any:
        """Return the configuration object of a group, or None if nothing of it is set.

        Raises:
            ConfigurationError: A value is not allowed; the message names what set it.
        """
        values = copy.deepcopy(self._rest.get(group))
        for name, setting in settings_table().items():
            if setting.group == group and name in self._chosen:
                values = {} if values is None else values
                _put(values, setting.path, copy.deepcopy(self._chosen[name].value))
        if values is None:
            return None
        cls = CLASSES[group].cls
        fields = dataclasses.fields(cls)
        names = {field.name for field in fields}
        extra = {**{key: values.pop(key) for key in set(values) - names}, **values.pop("extra", {})}
        for field in fields:
            missing = (field.default, field.default_factory)
            if missing == (dataclasses.MISSING,) * 2 and field.name not in values:
                given = next(name for name, _ in self if settings_table()[name].group == group)
                needed = next(
                    setting.flags[-1]
                    for setting in settings_table().values()
                    if (setting.group, setting.path) == (group, (field.name,))
                )
                raise ConfigurationError(f"{self._place(given)} needs {needed}: add it")
        try:
            return cls(**values, **({"extra": extra} if extra else {}))
        except ConfigurationError as error:
            message = self._named(group, error.message)
        raise ConfigurationError(message)

    def auth(self) -> AuthBase:
        """Return what gives the key; a `StaticKeyAuth` may have none.

        Raises:
            ConfigurationError: The key has characters that no key has.
        """
        key = self.get(API_KEY) or ""
        try:
            return JWTAuth(key) if self.get("temporary-key") and key else StaticKeyAuth(key)
        except ConfigurationError as error:
            message = error.message
        # Outside, or the key would be in a frame of the traceback.
        raise ConfigurationError(message.replace("api_key", f"the key ({self.source(API_KEY)})"))

    def _named(self, group: str, message: str) -> str:
        """Return an error's message with what set the value in place of the field's name."""
        cls = CLASSES[group].cls
        found = re.match(rf"{cls.__name__}((?:\.\w+|\[\d+\])+)", message)
        if found is None:
            return message
        path = re.sub(r"\[\d+\]", "", found[1]).strip(".").split(".")
        for length in range(len(path), 0, -1):
            for name in self._chosen:
                setting = settings_table().get(name)
                if setting is None or setting.group != group:
                    continue
                if list(setting.path) == path[:length]:
                    return self._place(name) + message[found.end() :]
        return f"{found[1].strip('.')} ({self._file})" + message[found.end() :]

    def _place(self, name: str) -> str:
        source = self.source(name)
        return source if source.startswith("--") else f"{name} ({source})"

    # -- a file with the API's JSON ---------------------------------------------------------------

    def _take_file(self, path: str) -> None:
        try:
            with open(path, encoding="utf-8-sig") as file:
                found = json.load(file)
        except OSError as error:
            raise ConfigurationError(f"--config {path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ConfigurationError(
                f"--config {path} is not JSON: {error}. Correct it there"
            ) from None
        if not isinstance(found, dict):
            raise ConfigurationError(
                f'--config {path} is not a JSON object; allowed: one such as {{"language": "de"}}'
            )
        groups = {key: found.get(key) for key in CLASSES if key in found}
        if not groups:
            groups = {"transcription_config": found}
        else:
            unknown = [key for key in found if key not in (*groups, "message", "type")]
            if unknown:
                raise ConfigurationError(
                    f"--config {path} has {unknown[0]!r}; allowed: {', '.join(CLASSES)}"
                )
        for group, values in groups.items():
            if not isinstance(values, dict):
                raise ConfigurationError(
                    f"{group} ({path}) is not a JSON object; allowed: one with its settings"
                )
            if group == "audio_format":
                values.pop("type", None)  # follows from the encoding
            for setting in settings_table().values():
                if setting.group == group:
                    self._take_path(values, setting, path)
            self._rest[group] = values

    def _take_path(self, values: dict[str, Any], setting: Setting, file: str) -> None:
        """Take the value of a setting out of the file's, if it is there."""
        *outer, last = setting.path
        inner: Any = values
        for key in outer:
            inner = inner.get(key) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and last in inner:
            self._take(setting.name, inner.pop(last), file)


def shown(name: str, value: Any) -> str:
    """Return the value of a setting as it may be shown."""
    if name == API_KEY:
        return "<not shown>"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, default=str)
    if "://" in value:
        # A password before the host, and a key in the query.
        return re.sub(r"(?<=//)[^/?#]*@", "***@", value).partition("?")[0]
    return value


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(values.get(key), dict):
            values[key] = {}
        values = values[key]
    values[path[-1]] = value
