"""The command ``speechmatics-sync``, beside the library and on its face alone.

It works from the base install; the extra ``cli`` adds the live view of a terminal.
"""

from __future__ import annotations

from typing import Any, Optional

from .._help import module_dir

__all__ = ["main", "read_toml"]

__dir__ = module_dir(__name__)


def main(argv: Optional[list[str]] = None) -> int:
    """Run a command; return its exit code.

    Args:
        argv: The arguments; None takes those of the process.

    Raises:
        SystemExit: The arguments are wrong, or ask for help.
    """
    from ._main import run

    return run(argv)


def read_toml(text: str) -> dict[str, Any]:
    """Read the configuration file of the old command line, which is TOML.

    Before Python 3.11, which has a reader, only what that command line writes is read.

    Args:
        text: What the file holds.

    Raises:
        ValueError: It is not TOML.

    Example:
        >>> read_toml('[default]\\nauth_token = "a-key"')
        {'default': {'auth_token': 'a-key'}}
    """
    from ._profiles import read_toml

    return read_toml(text)
