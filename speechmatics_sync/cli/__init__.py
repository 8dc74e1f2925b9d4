"""The command ``speechmatics-sync``, beside the library and on its face alone.

It works from the base install; the extra ``cli`` adds the live view of a terminal.
"""

from __future__ import annotations

from typing import Optional

__all__ = ["main"]


def main(argv: Optional[list[str]] = None) -> int:
    """Run a command; return its exit code.

    Args:
        argv: The arguments; None takes those of the process.

    Raises:
        SystemExit: The arguments are wrong, or ask for help.
    """
    from ._main import run

    return run(argv)
