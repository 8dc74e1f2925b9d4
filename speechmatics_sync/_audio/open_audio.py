"""`open_audio`: any sound as a source."""

from __future__ import annotations

import re
import sys
from typing import Any, Optional
from urllib.parse import urlsplit
from urllib.request import url2pathname

from .._logs import logger
from .._model.audio_format import AudioFormat
from .._model.checks import number, optional
from .._model.secret import Secret
from .._model.settings import argument
from ..errors import AudioError, InvalidAudioError
from .byte_streams import byte_stream_of
from .decoded_audio import DecodedAudio, Input, StreamInput, UrlInput
from .file_objects import url_name
from .source_checks import check_source

__all__ = ["DecodedAudio", "open_audio"]

_FACE = "speechmatics_sync"
"""Where users import these names from; it loads this module only when they do."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SCHEMES = ("http", "https", "tcp", "tls")


def open_audio(
    source: Any, *, sample_rate: Optional[int] = None, channels: Optional[int] = None
) -> DecodedAudio:
    """Return the audio of any file or stream as a source, decoded here while it is read.

    Takes any container and codec that FFmpeg knows, of videos too, in bounded memory: WAV of every
    kind, MP3, AAC, Ogg, Opus, WebM, AMR, M4A, MP4, Matroska, FLAC, AIFF, AU, endless radio, HLS.
    Needs ``pip install "speechmatics-sync[audio]"`` (PyAV), but not for a WAV file that is mono,
    and of the wanted rate, already. Blocks until the input says what it is; live input is read as
    it comes.

    A file whose end is missing gives what there is of it, and a warning is logged that names the
    second; so it is with what is damaged inside.

    Args:
        source: A path, ``"-"`` for standard input, a URL (http, https, tcp or tls), a binary file
            object, bytes-like data, or an iterable of bytes-like chunks. What a playlist names is
            opened only if the playlist came from a URL, and only by these protocols.
        sample_rate: Resample to this rate in Hz, 1,000 to 384,000. None keeps that of the input,
            or takes 16,000 if that is lower: more does not help recognition.
        channels: Mix to this many channels. None mixes to one, which is what clients send; the
            channels of a recording as sources of their own are made by `split_channels`.

    Returns:
        A source, and a binary file object of 16-bit samples, with ``read``, ``seek`` and ``tell``
        if the input is seekable, ``close``, ``total_seconds`` and ``audio_format``.

    Raises:
        AudioError: The source cannot be opened, or has no audio that can be decoded.
        ConfigurationError: An argument is not allowed, or PyAV is not installed.

    Example:
        >>> with open_audio("meeting.mp4") as audio:
        ...     transcript = client.transcribe(audio, realtime=True, progress=True)
    """
    rate = argument("sample_rate", sample_rate, optional(number(1000, 384000, whole=True)))
    count = argument("channels", channels, optional(number(1, 64, whole=True))) or 1
    scheme = _SCHEME.match(source) if isinstance(source, str) else None
    if scheme is not None and scheme[1].lower() != "file":
        url = Secret(source)
        del source
        return DecodedAudio(_url_input(url, rate, count))
    if scheme is not None:
        source = _path_of(source)
    if isinstance(source, str) and source == "-":
        if sys.stdin is None:
            raise AudioError("there is no standard input to read")
        source = sys.stdin.buffer
    if isinstance(source, DecodedAudio):
        raise InvalidAudioError(f"{source!r} is decoded already: pass it as a source")
    check_source(source)
    stream = byte_stream_of(source, AudioFormat())
    return DecodedAudio(StreamInput(stream, rate, count, logger))


def _url_input(url: Secret[str], rate: Optional[int], channels: int) -> Input:
    name = url_name(url.reveal())
    scheme = urlsplit(url.reveal()).scheme
    if scheme not in _SCHEMES:
        raise InvalidAudioError(
            f"{name} cannot be opened: the protocol is {scheme}; allowed: {', '.join(_SCHEMES)}."
            " Pass the bytes themselves, as a file object or an iterable"
        )
    return UrlInput(url, name, rate, channels, logger)


def _path_of(url: str) -> str:
    return url2pathname(urlsplit(url).path)


open_audio.__module__ = DecodedAudio.__module__ = _FACE
