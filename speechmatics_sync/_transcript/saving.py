"""Files written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Union

from .._model.checks import file_path
from .._model.settings import argument

__all__ = ["Path", "save", "suffix_of"]

Path = Union[str, "os.PathLike[str]"]


def suffix_of(path: Path) -> str:
    """The suffix of a path, such as ``.srt``, in lower case.

    Raises:
        ConfigurationError: It is no path.
    """
    name: str = argument("path", path, file_path)
    return os.path.splitext(name)[1].lower()


def save(path: Path, content: bytes) -> None:
    """Write a file, so that a crash at any moment leaves the old one or the new one.

    An existing file keeps its permissions, and a symbolic link stays one. What is no regular file,
    such as a pipe, is written to.

    Raises:
        FileNotFoundError: The folder does not exist.
        OSError: The file cannot be written; an old one is as it was.
    """
    target = os.path.realpath(os.fspath(path))
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", folder)
    mode = None
    with suppress(FileNotFoundError):
        known = os.stat(target)
        if not stat.S_ISREG(known.st_mode):
            with open(target, "wb") as file:
                file.write(content)
            return
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target)
        mode = stat.S_IMODE(known.st_mode)
    # Beside it: a file can be renamed only within a file system. Others' rights to a new file are
    # those that they would have to any new file. Short: the name may be as long as one can be.
    draft = os.path.join(folder, f".{os.getpid()}-{os.urandom(6).hex()}.tmp")
    try:
        with open(draft, "xb") as file:
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Have the new name survive a loss of power, where folders can be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
