"""The command ``config``: what is kept in a profile."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from typing import Optional

from speechmatics_sync import ConfigurationError, StaticKeyAuth

from ._exits import OK
from ._profiles import Profiles
from ._settings import API_KEY, DEFAULT_PROFILE, PROFILE_VARIABLE, Settings, read_text, shown
from ._table import CLASSES, Setting, setting_named

__all__ = ["config"]


def config(arguments: argparse.Namespace) -> int:
    """Set, show or unset settings of a profile; return the exit code.

    Raises:
        ConfigurationError: There is no such setting, its value is not allowed, or the file cannot
            be read or written.
    """
    profile = arguments.profile or os.environ.get(PROFILE_VARIABLE) or DEFAULT_PROFILE
    if arguments.action == "show":
        return _show(arguments.profile)
    profiles = Profiles()
    name, setting = _named(arguments.name)
    if arguments.action == "unset":
        if not profiles.remove(profile, name):
            raise ConfigurationError(
                f"{name} is not set in the profile {profile!r}: see `config show`"
            )
        return OK
    if setting is None:
        text = _key(arguments.value)
    else:
        text = arguments.value
        if text is None:
            raise ConfigurationError(f"config set {name} needs a value: give it after the name")
        _check(setting, text)
    profiles.change(profile, name, text)
    return OK


def _named(name: str) -> tuple[str, Optional[Setting]]:
    """Return the full name of a setting, and the setting, which the key has none of."""
    if name.replace("_", "-") == API_KEY:
        return API_KEY, None
    setting = setting_named(name)
    if setting is None:
        raise ConfigurationError(
            f"there is no setting {name!r}; allowed: {API_KEY}, or the name of a flag of "
            "transcribe, such as language"
        )
    return setting.name, setting


def _key(given: Optional[str]) -> str:
    """Ask for the key, or read it from standard input."""
    if given is not None:
        raise ConfigurationError(
            f"the key is no argument, for a list of processes shows it: run `config set {API_KEY}` "
            "alone, which asks for it, or write it to standard input"
        )
    if sys.stdin is not None and sys.stdin.isatty():
        key = getpass.getpass("API key: ")
    else:
        key = sys.stdin.readline() if sys.stdin is not None else ""
    key = key.strip()
    if not key:
        raise ConfigurationError(
            "there was no key to keep: type it when asked, or write it to standard input"
        )
    StaticKeyAuth(key)  # raises if no key looks like this
    return key


def _check(setting: Setting, text: str) -> None:
    """Check a value as it will be when it is used."""
    value = read_text(setting, text, setting.name)
    if setting.group not in CLASSES or value is None:
        return
    alone = Settings({setting.name: value}, profiles=False)
    try:
        alone.config(setting.group)
    except ConfigurationError as error:
        if error.message.startswith(f"{setting.flags[0]} is "):
            raise  # what it lacks, another setting may give


def _show(profile: Optional[str]) -> int:
    """Show every setting and what sets it."""
    settings = Settings(profile=profile)
    sys.stdout.write(f"profile {settings.profile!r} of {settings.profiles.path}\n")
    lines = [(name, shown(name, chosen.value), chosen.source) for name, chosen in settings]
    widths = [max(map(len, column), default=0) for column in list(zip(*lines))[:2]]
    for line in lines:
        columns = [text.ljust(width) for text, width in zip(line, widths)]
        sys.stdout.write(f"  {'  '.join(columns)}  {line[2]}\n")
    if not lines:
        sys.stdout.write("  nothing is set\n")
    return OK
