"""Where settings are kept: the profiles of this command, and those of the old tool."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from speechmatics_sync import ConfigurationError

__all__ = ["Profiles", "old_profile", "profiles_path", "read_toml"]


def profiles_path() -> Path:
    """Return the file of the profiles, which may not exist yet.

    It is in the folder that the system has for settings, which `platformdirs` knows; without that
    package, in ``XDG_CONFIG_HOME`` or ``~/.config``. A file that is there already stays in use.
    """
    base = os.environ.get("XDG_CONFIG_HOME", "")
    plain = Path(base if os.path.isabs(base) else _home() / ".config", "speechmatics-sync")
    try:
        import platformdirs
    except ImportError:
        return plain / "config.json"
    known = Path(platformdirs.user_config_dir("speechmatics-sync", appauthor=False))
    used = plain if (plain / "config.json").exists() else known
    return used / "config.json"


def _home() -> Path:
    return Path(os.path.expanduser("~"))


class Profiles:
    """The profiles: for each a dict from the names of settings to their texts.

    Raises:
        ConfigurationError: The file cannot be read, or is not one of profiles.
    """

    def __init__(self) -> None:
        self.path = profiles_path()
        self._profiles = self._read()

    def names(self) -> list[str]:
        """Return the names of the profiles there are."""
        return list(self._profiles)

    def settings(self, profile: str) -> dict[str, str]:
        """Return a profile's settings, none if there is no such profile."""
        return dict(self._profiles.get(profile, {}))

    def change(self, profile: str, name: str, text: str) -> None:
        """Set a setting, and write the file.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        self._profiles.setdefault(profile, {})[name] = text
        self._write()

    def remove(self, profile: str, name: str) -> bool:
        """Remove a setting and write the file; return whether it was there.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        settings = self._profiles.get(profile, {})
        if name not in settings:
            return False
        del settings[name]
        if not settings:
            del self._profiles[profile]
        self._write()
        return True

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be read: {error.strerror}") from None
        except ValueError:
            found = None
        if not isinstance(found, dict) or not all(_is_profile(each) for each in found.values()):
            # What it holds is not shown: there may be a key in it.
            raise ConfigurationError(f"{self.path} is not a file of profiles: correct or remove it")
        return found

    def _write(self) -> None:
        """Replace the file, so that a crash leaves the old one or the new one."""
        temporary = None
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target = self.path.resolve()  # a link stays one
            # mkstemp gives mode 0600 from the start: only the user may read a key.
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".config-")
            with open(handle, "w", encoding="utf-8") as file:
                json.dump(self._profiles, file, indent=2, sort_keys=True)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except OSError as error:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
            raise ConfigurationError(f"{self.path} cannot be written: {error.strerror}") from None


def _is_profile(found: Any) -> bool:
    return isinstance(found, dict) and all(isinstance(text, str) for text in found.values())


_OLD_NAMES = {
    "auth_token": "api-key",
    "realtime_url": "url",
    "generate_temp_token": "temporary-key",
}


def old_profile(profile: str) -> tuple[Path, dict[str, str]]:
    """Return the file of the old tool, ``speechmatics-python``, and its settings of this profile.

    A file that cannot be read has none: it is not ours.
    """
    path = _home() / ".speechmatics" / "config"
    try:
        found = read_toml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return path, {}
    settings = found.get(profile)
    if not isinstance(settings, dict):
        return path, {}
    return path, {
        ours: str(settings[old]).lower() if isinstance(settings[old], bool) else str(settings[old])
        for old, ours in _OLD_NAMES.items()
        if settings.get(old) not in (None, "")
    }


def read_toml(text: str) -> dict[str, Any]:
    """Read TOML; before Python 3.11, which has a reader, only what the old tool writes.

    Raises:
        ValueError: It is not TOML.
    """
    try:
        import tomllib
    except ImportError:
        pass
    else:
        return tomllib.loads(text)
    tables: dict[str, Any] = {}
    table = tables
    for line in text.splitlines():
        header = re.fullmatch(r'\s*\[\s*"?([^"\]]+?)"?\s*\]\s*(#.*)?', line)
        entry = re.fullmatch(
            r"""\s*(\w+)\s*=\s*(true|false|"(?:[^"\\]|\\.)*"|'[^']*')\s*(#.*)?""", line
        )
        if header is not None:
            table = tables.setdefault(header[1], {})
        elif entry is not None:
            value = entry[2]
            table[entry[1]] = value[1:-1] if value[0] == "'" else json.loads(value)
    return tables
