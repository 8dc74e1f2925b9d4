"""What can be a source of audio at all, told without opening or reading it."""

from __future__ import annotations

import copy
import inspect
import io
import os
import stat
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Optional

from .._model.audio_format import AudioFormat
from ..errors import AudioError, InvalidAudioError
from .buffers import audio_view, cure_of_encoded, type_name
from .byte_streams import SOURCE_KINDS, is_bytes_like
from .file_objects import attribute_of, path_error, path_name

__all__ = ["check_source", "format_said_by"]


def check_source(source: object) -> None:
    """Refuse what cannot be a source, without opening or reading it.

    Args:
        source: The caller's source.

    Raises:
        AudioError: ``source`` is none of the four kinds of source, the path of a directory or of
            no file, a file that is closed, in text mode or not open for reading, an array that is
            not contiguous, or says something else than an `AudioFormat` of itself.

    Example:
        >>> check_source("audio.wav")
        >>> check_source("/")
        Traceback (most recent call last):
        speechmatics_sync.AudioError: the file '/' cannot be read: it is a directory: pass a file
    """
    format_said_by(source)
    if isinstance(source, (str, os.PathLike)):
        _check_path(source)
    elif isinstance(source, type):
        raise InvalidAudioError(f"{source.__name__!r} is a class, not audio: {SOURCE_KINDS}")
    elif _is_asynchronous(source):
        raise InvalidAudioError(
            f"{type_name(source)} is asynchronous, and this client is not: {SOURCE_KINDS}. Pass "
            "the file behind it, or read it first"
        )
    elif attribute_of(source, "read") is not None:
        _check_file(source)
    elif isinstance(source, (Mapping, Set)):
        raise InvalidAudioError(
            f"{type_name(source)} is not one stream of audio in order: {SOURCE_KINDS}. Several "
            "sources at once are for MultiChannelClient"
        )
    elif is_bytes_like(source):
        audio_view(source).release()
    elif isinstance(source, (list, tuple)) and _are_paths(source):
        raise InvalidAudioError(
            f"{type_name(source)} holds paths, and a source is one: pass them to transcribe_many,"
            " or each by itself"
        )
    elif not isinstance(source, Iterable) and attribute_of(source, "__getitem__") is None:
        raise InvalidAudioError(f"{type_name(source)} is not audio{_cure(source)}: {SOURCE_KINDS}")


def _are_paths(pieces: Sequence[object]) -> bool:
    """Return whether these are paths, rather than pieces of audio."""
    return bool(pieces) and all(
        isinstance(piece, os.PathLike)
        or (isinstance(piece, str) and cure_of_encoded(piece) is None)
        for piece in pieces
    )


def _cure(source: object) -> str:
    """Return what else to pass, if that is plain."""
    if callable(source):
        return " (call it, and pass what it returns)"
    if callable(attribute_of(source, "makefile")):
        return ' (pass its makefile("rb"))'
    if attribute_of(attribute_of(source, "stdout"), "read") is not None:
        return " (pass its stdout)"
    return ""


def format_said_by(source: object) -> Optional[AudioFormat]:
    """Return the format that a source says it has, by its attribute ``audio_format``.

    Raises:
        AudioError: The attribute is something else.
        ConfigurationError: It was set to a format that is not allowed.
    """
    said = attribute_of(source, "audio_format")
    if said is None or isinstance(source, type):
        return None
    if not isinstance(said, AudioFormat):
        raise InvalidAudioError(
            f"the audio_format of {type_name(source)} is of type {type_name(said)}; allowed:"
            " AudioFormat"
        )
    channels = attribute_of(source, "channels")
    if isinstance(channels, int) and channels > 1:
        raise InvalidAudioError(
            f"the {type_name(source)} has {channels} channels, and a source has one: have it give"
            " one, or make a source of each with split_channels(…) for MultiChannelClient"
        )
    said = copy.deepcopy(said)
    said.to_dict()
    return said


def _check_path(path: Any) -> None:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise path_error(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"{path_name(path)} cannot be read: it is a directory: pass a file")


def _check_file(file: Any) -> None:
    if isinstance(file, io.TextIOBase):
        raise InvalidAudioError(
            f"the {type_name(file)} is open in text mode: open it in binary mode, with"
            ' open(…, "rb")'
        )
    if not callable(file.read):
        raise InvalidAudioError(f"the read of {type_name(file)} cannot be called: {SOURCE_KINDS}")
    if isinstance(file, io.IOBase):
        if attribute_of(file, "closed"):
            raise InvalidAudioError(f"the {type_name(file)} is closed: open it again")
        if not _may_be_read(file):
            raise InvalidAudioError(
                f'the {type_name(file)} is not open for reading: open it with "rb"'
            )


def _may_be_read(file: io.IOBase) -> bool:
    try:
        return file.readable()
    except Exception:
        return True  # reading will tell


def _is_asynchronous(source: object) -> bool:
    return (
        inspect.isawaitable(source)
        or attribute_of(source, "__aiter__") is not None
        or inspect.iscoroutinefunction(attribute_of(source, "read"))
    )
