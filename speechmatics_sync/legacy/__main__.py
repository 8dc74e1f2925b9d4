"""``python -m speechmatics_sync.legacy run program.py``, and ``… check FILE…``."""

from __future__ import annotations

import argparse
import sys

from . import _running


def main() -> int:
    """Do what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m speechmatics_sync.legacy",
        description="Run, or check, programs of the packages before this one.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run", help="run a program of speechmatics-python that is not to be changed"
    )
    run.add_argument("-m", dest="is_module", action="store_true", help="it is a module's name")
    run.add_argument("program")
    run.add_argument("arguments", nargs=argparse.REMAINDER, help="the arguments of the program")
    arguments = parser.parse_args()
    _running.run(arguments.program, arguments.arguments, is_module=arguments.is_module)
    return 0


if __name__ == "__main__":
    sys.exit(main())
