"""What files and file objects can do, found out without trusting them.

Objects that only resemble files may raise anything when they are asked: a member of a tar archive
has no ``fileno``, a proxy raises what its target does.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import stat
from typing import Any, Optional

from ..errors import AudioError
from .buffers import cure_of_encoded

__all__ = [
    "attribute_of",
    "bytes_left",
    "glance",
    "path_error",
    "path_name",
    "poll_for_bytes",
    "reason_of",
    "regular_size",
    "start_of",
    "url_name",
]

_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # os.PathLike makes one slash of two

_LONGEST_NAME = 300
"""Characters of a path that are shown: what is not one may have any number."""


def attribute_of(source: object, name: str) -> Any:
    """Return an attribute; None if it cannot be had, for whatever reason."""
    try:
        return getattr(source, name, None)
    except Exception:
        return None


def bytes_left(file: object) -> Optional[int]:
    """Return how many bytes there are from where a file stands, where that costs nothing."""
    # A GzipFile would be read to its end.
    try:
        if isinstance(file, io.BytesIO):
            return max(0, file.getbuffer().nbytes - file.tell())
        raw = _unbuffered(file)
        if isinstance(raw, io.FileIO):
            size = regular_size(os.fstat(raw.fileno()))
            return None if size is None else max(0, size - file.tell())  # type: ignore[attr-defined]
    except Exception:
        return None
    return None


def glance(file: Any, size: int) -> Optional[bytes]:
    """Return the next bytes of a file without reading them, or None if that is not possible."""
    try:
        position = file.tell()
        if isinstance(file, io.BytesIO):
            return bytes(file.getbuffer()[position : position + size])
        raw = _unbuffered(file)
        return os.pread(raw.fileno(), size, position) if isinstance(raw, io.FileIO) else None
    except Exception:  # Windows has no pread
        return None


def start_of(file: Any) -> Optional[int]:
    """Return where a file object stands, or None if it cannot return there later."""
    try:
        raw = _unbuffered(file)
        # A GzipFile is "seekable" even on top of a pipe.
        beneath = getattr(raw, "fileobj", raw)
        # Some devices can seek, and then give other bytes.
        if isinstance(raw, io.FileIO) and regular_size(os.fstat(raw.fileno())) is None:
            return None
        # SpooledTemporaryFile has no seekable() before Python 3.11, mmap none before 3.13.
        if not all(part.seekable() for part in (file, beneath) if hasattr(part, "seekable")):
            return None
        position = file.tell()
        file.seek(position)  # fails for some files whose seekable() is True
    except Exception:
        # Such a file can be read, but not twice.
        return None
    return position if isinstance(position, int) else None


def poll_for_bytes(file: object) -> Optional[select.poll]:
    """Return a poll for the bytes of a buffered pipe or terminal, such as ``sys.stdin.buffer``.

    A thread that waits in ``read`` holds the lock of the file's buffer. The interpreter needs that
    lock at exit, and aborts without it.
    """
    if not isinstance(file, io.BufferedReader) or not hasattr(select, "poll"):
        return None
    try:
        number = file.fileno()
        if not isinstance(file.raw, io.FileIO) or not os.get_blocking(number):
            return None
        if regular_size(os.fstat(number)) is not None:
            return None
        poll = select.poll()
        poll.register(number, select.POLLIN)
    except Exception:
        return None
    return poll


def regular_size(status: os.stat_result) -> Optional[int]:
    """Return the size of a regular file, None for anything else."""
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def path_name(path: Any) -> str:
    """Return how a path is named in errors; what may be secret in a URL is left out."""
    text = os.fsdecode(path)
    return f"the file {_shown(text)}"


def url_name(url: str) -> str:
    """Return how a URL is named in errors and records, without what may be secret in it."""
    return f"the URL {_shown(url)}"


def _shown(text: str) -> str:
    if _URL.match(text):
        text = re.sub(r"//[^/]*@", "//", re.split("[?#]", text)[0])
    return repr(text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…")


def path_error(path: Any, error: Exception) -> AudioError:
    """Return the error for a path that cannot be read, and what else to pass, if that is plain."""
    text = os.fsdecode(path)
    hint = ""
    if _URL.match(text):
        hint = (
            ". A URL is no path: pass open_audio(url), or what urllib.request.urlopen(url) or"
            " requests.get(url, stream=True) returns"
        )
    elif len(text) > _LONGEST_NAME and (cure := cure_of_encoded(text)):
        hint = f". This is no path: {cure}"
    elif text == "-":
        hint = '. Standard input is open_audio("-"), or sys.stdin.buffer'
    elif text.startswith("~"):
        hint = ". ~ stands for no directory here: pass os.path.expanduser(path)"
    elif text and isinstance(error, FileNotFoundError) and not os.path.isabs(text):
        with contextlib.suppress(OSError):  # the directory is gone
            hint = f" (looked for from {os.getcwd()!r})"
    return AudioError(f"{path_name(path)} cannot be read: {reason_of(error)}{hint}")


def reason_of(error: Exception) -> str:
    """Return what an error says, without the file that it names: the sentence names it."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return error.strerror
    return str(error)


def _unbuffered(file: Any) -> Any:
    return file.raw if isinstance(file, (io.BufferedReader, io.BufferedRandom)) else file
