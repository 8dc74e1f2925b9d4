"""Runs a command, and turns what goes wrong into a sentence and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from typing import Optional

from speechmatics_sync import SpeechmaticsError

from ._exits import FAILED, OK, complain, exit_code, leave, sentence
from ._parser import parsed

__all__ = ["run"]


def run(argv: Optional[list[str]]) -> int:
    """Run a command; return its exit code.

    Raises:
        SystemExit: The arguments are wrong, or ask for help.
    """
    verbose = 0
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a code page has few characters
    try:
        arguments = parsed(argv)
        verbose = getattr(arguments, "verbose", 0)
        code = _command(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        leave(interrupt)
    except BrokenPipeError:
        # Whoever read, such as `head`, has enough.
        _abandon_standard_output()
        return OK
    except Exception as error:
        if verbose > 1:
            traceback.print_exc()
        if isinstance(error, OSError) and not isinstance(error, SpeechmaticsError):
            _abandon_standard_output()
            complain(f"standard output cannot be written to: {error.strerror or error}")
            return FAILED
        complain(sentence(error, verbose=verbose))
        return exit_code(error)
    return code


def _command(arguments: argparse.Namespace) -> int:
    """Run the command; its module is loaded now, for each needs others."""
    if arguments.command == "transcribe":
        from ._transcribe import transcribe

        return transcribe(arguments)
    if arguments.command == "serve":
        from speechmatics_sync.local import serve

        return serve(arguments)
    if arguments.command == "config":
        from ._config import config

        return config(arguments)
    if arguments.command == "doctor":
        from ._doctor import doctor

        return doctor(arguments)
    from ._commands import devices, key

    return devices(arguments) if arguments.command == "devices" else key(arguments)


def _abandon_standard_output() -> None:
    """Have what was not written go nowhere: the interpreter would try, and complain, at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
