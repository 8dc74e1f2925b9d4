"""``python -m speechmatics_sync.legacy run program.py``, and ``… check FILE…``."""

from __future__ import annotations

import argparse
import os
import sys

from . import _check, _running


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
    check = commands.add_parser(
        "check",
        help="say what becomes of programs of speechmatics-python and speechmatics-rt",
        description="Say line by line what becomes of programs of speechmatics-python (with "
        "speechmatics_sync.legacy) and of speechmatics-rt (with speechmatics_sync).",
        epilog="exit code: 1 if something is outside of this package, 2 if a file cannot be read",
    )
    check.add_argument("files", metavar="FILE", nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "check":
        try:
            return _check.check(arguments.files)
        except BrokenPipeError:  # whoever read, such as `head`, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
    if not arguments.is_module and not os.path.exists(arguments.program):
        run.error(f"there is no file {arguments.program!r}: name one, or add -m to run a module")
    _running.run(arguments.program, arguments.arguments, is_module=arguments.is_module)
    return 0


if __name__ == "__main__":
    sys.exit(main())
