"""The configuration file of the old command line, which clients read too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Optional

from speechmatics_sync.cli import read_toml

from .._help import module_dir
from ._gone import module_getattr

__all__ = ["CONFIG_PATH", "read_config_from_home", "read_profiles", "write_profiles"]

__getattr__ = module_getattr(__name__)
__dir__ = module_dir(__name__)

CONFIG_PATH = Path.home().resolve() / ".speechmatics" / "config"
"""A TOML file with a table for each profile."""


def read_config_from_home(profile: str = "default") -> Optional[dict[str, Any]]:
    """Return the settings of a profile, or None if there is no configuration file.

    Raises:
        SystemExit: The file has no such profile, as in the old package.
    """
    if not CONFIG_PATH.exists():
        return None
    profiles = read_profiles()
    if profile not in profiles:
        raise SystemExit(f"{CONFIG_PATH} has no profile {profile}. Add it, or name another.")
    settings: dict[str, Any] = profiles[profile]
    return settings


def read_profiles(path: Optional[Path] = None) -> dict[str, Any]:
    """Return all profiles of the file by name.

    Raises:
        ValueError: The file is not TOML.
    """
    return read_toml((path or CONFIG_PATH).read_text(encoding="utf-8"))


def write_profiles(profiles: dict[str, Any], path: Optional[Path] = None) -> None:
    """Replace the file; only its owner may read it, since it holds keys."""
    path = path or CONFIG_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, settings in profiles.items():
        lines.append(f"[{_key(name)}]")
        lines += [f"{_key(key)} = {_value(value)}" for key, value in settings.items()]
        lines.append("")
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text("\n".join(lines), encoding="utf-8")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: object) -> str:
    """A boolean, a number or a string in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda odd: f"\\u{ord(odd[0]):04x}", escaped) + '"'
