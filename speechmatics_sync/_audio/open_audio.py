"""`open_audio`: any sound as a source."""

from __future__ import annotations

import re
import sys
from typing import Any, Optional
from urllib.parse import urlsplit
from urllib.request import url2pathname

from .._logs import logger
from .._model.audio_format import AudioEncoding, AudioFormat
from .._model.checks import number, optional
from .._model.secret import Secret
from .._model.settings import argument
from .._model.typing import Source
from ..errors import AudioError, InvalidAudioError
from .byte_streams import ByteStream, byte_stream_of
from .decoded_audio import DecodedAudio, EachOnce, Input, Pass, StreamInput, UrlInput
from .file_objects import url_name
from .headers import Beginning, look_at
from .samples import rate_for
from .source_checks import check_source
from .sources import AudioSource

__all__ = ["DecodedAudio", "open_audio"]

_FACE = "speechmatics_sync"
"""Where users import these names from; it loads this module only when they do."""

_FIRST_READ = 4096
"""Bytes to ask of a live source, to see what has begun."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SCHEMES = ("http", "https", "tcp", "tls")


def open_audio(
    source: Source, *, sample_rate: Optional[int] = None, channels: Optional[int] = None
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
    given = Secret(source)  # a URL may have a key in it
    del source
    return open_decoded(given, sample_rate=rate, channels=count)


def open_decoded(
    given: Secret[Any], *, sample_rate: Optional[int], channels: Optional[int]
) -> DecodedAudio:
    """Return what `open_audio` does; with ``channels=None``, all channels of the source."""
    scheme = _scheme_of(given.reveal())
    if scheme not in ("", "file"):
        return DecodedAudio(_url_input(given, scheme, sample_rate, channels))
    source = _path_of(given.reveal()) if scheme else given.reveal()
    if isinstance(source, str) and source == "-":
        if sys.stdin is None:
            raise AudioError(
                "there is no standard input to read: pass a path, or redirect audio to this program"
            )
        source = sys.stdin.buffer
    if isinstance(source, DecodedAudio):
        raise InvalidAudioError(f"{source!r} is decoded already: pass it as a source")
    check_source(source)
    stream = byte_stream_of(source, AudioFormat())
    try:
        needs_nothing = _needs_nothing(look_at(stream, None, _FIRST_READ), sample_rate, channels)
    except BaseException:
        stream.close(logger)
        raise
    if needs_nothing:
        return DecodedAudio(_WavInput(stream))
    return DecodedAudio(StreamInput(stream, sample_rate, channels, logger))


def _needs_nothing(
    beginning: Beginning, sample_rate: Optional[int], channels: Optional[int]
) -> bool:
    """Return whether this is a WAV file whose samples are, or become, what is wanted anyhow."""
    found = beginning.audio_format
    return (
        found.encoding is AudioEncoding.PCM_S16LE
        and channels in (None, 1)
        and found.sample_rate == (sample_rate or rate_for(found.sample_rate))
    )


class _WavInput:
    """A WAV file that is read without a library, as any source is."""

    def __init__(self, stream: ByteStream) -> None:
        self.name = stream.name
        self.complete = stream.complete
        self.rereadable = stream.rereadable
        self.stream = stream
        self._warnings: Any = EachOnce(logger)

    def begin(self) -> Pass:
        if self.rereadable:
            self.stream.seek(0)
        return _WavPass(AudioSource(self.stream, None, logger=self._warnings))

    def release(self) -> None:
        self.stream.close(logger)


class _WavPass:
    container_name = "wav"
    input_channels = channels = 1

    def __init__(self, source: AudioSource) -> None:
        header = source.look().header
        self.codec = "" if header is None else header.kind
        self.input_rate = self.rate = source.audio_format.sample_rate
        self.input_seconds = source.total_seconds
        self.read = source.read

    def close(self) -> None:
        """The stream is the input's."""


def _scheme_of(source: object) -> str:
    """Return the protocol if this is a URL; an empty string if it is anything else."""
    found = _SCHEME.match(source) if isinstance(source, str) else None
    return "" if found is None else found[1].lower()


def _url_input(
    url: Secret[str], scheme: str, rate: Optional[int], channels: Optional[int]
) -> Input:
    name = url_name(url.reveal())
    if scheme not in _SCHEMES:
        raise InvalidAudioError(
            f"{name} cannot be opened: the protocol is {scheme}; allowed: {', '.join(_SCHEMES)}."
            " Pass the bytes themselves, as a file object or an iterable"
        )
    # FFmpeg knows protocols in small letters only.
    url = Secret(scheme + url.reveal()[len(scheme) :])
    return UrlInput(url, name, rate, channels, logger)


def _path_of(url: str) -> str:
    return url2pathname(urlsplit(url).path)


open_audio.__module__ = DecodedAudio.__module__ = _FACE
