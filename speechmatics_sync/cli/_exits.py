"""Exit codes, and errors as one sentence."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

from speechmatics_sync import (
    AudioError,
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    SpeechmaticsError,
    TimeoutError,
)
from speechmatics_sync.errors import MissingKeyError

__all__ = [
    "AUTHENTICATION",
    "FAILED",
    "INTERRUPTED",
    "OK",
    "USAGE",
    "OutputError",
    "complain",
    "exit_code",
    "leave",
    "one_line",
    "sentence",
    "shown",
    "written_to",
]

OK, FAILED, USAGE, AUTHENTICATION, CONNECTION, AUDIO, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

PROGRAM = "speechmatics-sync"

_NO_KEY = (
    "there is no API key: run `speechmatics-sync config set api-key`, or set SPEECHMATICS_API_KEY; "
    "transcribe --local needs none"
)


_FOR_COMMANDS = {
    "audio_format=AudioFormat(AudioEncoding.PCM_S16LE, sample_rate)": (
        "--encoding pcm_s16le --sample-rate HZ"
    ),
    ", and call Microphone.devices(refresh=True)": "",
    "ConnectionConfig(allow_insecure=True)": "--allow-insecure",
    "use MultiChannelClient": "use --channels",
    "without naming channels": "without --channels",
}
"""What the library advises, and the same for those who call the command."""

_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], " ")


def one_line(text: str) -> str:
    """Return a text of others without what a terminal would obey, such as escape sequences."""
    return text.translate(_CONTROLS)


class OutputError(SpeechmaticsError):
    """The output cannot be written."""

    @property
    def help(self) -> str:
        """The page of the documentation that has this error, and the section there."""
        return "reference/command-line.html#exit-codes"


@contextlib.contextmanager
def written_to(path: Any) -> Iterator[None]:
    """Have an OSError say which file cannot be written.

    Raises:
        OutputError: That.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{shown(path)} cannot be written: {error.strerror or error}") from error


def shown(path: Any) -> str:
    """Return a path as it may be shown: not every one is UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


_CODES: tuple[tuple[type[SpeechmaticsError], int], ...] = (
    (MissingKeyError, AUTHENTICATION),
    (ConfigurationError, USAGE),
    (AuthenticationError, AUTHENTICATION),
    (ConnectionError, CONNECTION),
    (TimeoutError, CONNECTION),
    (AudioError, AUDIO),
    (SpeechmaticsError, FAILED),
)
"""The first class that an error is of decides."""


def exit_code(error: BaseException) -> int:
    """Return the exit code for an error."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + (error.args[0] if error.args else signal.SIGINT)
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def sentence(error: BaseException, *, verbose: int = 0) -> str:
    """Return what an error says, on one line.

    If ``verbose``, with the ids of its session, and with its section in the documentation.
    """
    if isinstance(error, MissingKeyError):
        text = _NO_KEY
    elif isinstance(error, SpeechmaticsError):
        text = str(error) if verbose else error.message
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    else:
        text = f"{type(error).__name__}: {error}"
    text = " ".join(text.split())
    for in_python, as_flags in _FOR_COMMANDS.items():
        text = text.replace(in_python, as_flags)
    if verbose and isinstance(error, SpeechmaticsError):
        text += f" (see {error.help})"
    return text


def leave(interrupt: KeyboardInterrupt) -> NoReturn:
    """End the process at once: a thread may wait in a read, and sessions for their servers."""
    complain("interrupted")
    os._exit(exit_code(interrupt))


def complain(text: str) -> None:
    """Write a line to standard error, if there is one that can be written to."""
    try:
        sys.stderr.write(f"{PROGRAM}: {one_line(text)}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # closed, full, or None: there is nobody to tell
