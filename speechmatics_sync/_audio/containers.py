"""Files and URLs, opened by PyAV so that nothing is reached but what was meant."""

from __future__ import annotations

import errno
import functools
import ssl
from collections.abc import Iterator
from typing import Any, Callable

import av
import av.error

from .._model.secret import Secret
from ..errors import AudioError, InvalidAudioError
from .careful_file import CarefulFile
from .content import content_of

__all__ = ["close", "open_file", "open_url", "reason_of_av"]

_BUFFER_SIZE = 1 << 16
_TAGS: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
"""Has PyAV open a file whose tags are not UTF-8. From version 19 it does so unasked, and takes no
such argument."""
_LIVE_PROBE = {"probesize": "32768", "analyzeduration": "500000"}
"""Bytes, and microseconds, in which to find out what live audio is: it comes no faster than it is
spoken, and by default FFmpeg waits for several seconds of it."""

_SILENCE_LIMIT = 60
"""Seconds after which a server that sends nothing has gone."""

_NO_PROTOCOL = "none"
"""For what is handed over as bytes: a playlist in it must not open files or connections."""

_PROTOCOLS = "http,https,tcp,tls,crypto"
"""For URLs. FFmpeg opens "file" for the playlists of some formats too; no server may name one."""

_PLAYLISTS = frozenset(
    ("concat", "dash", "hls", "imf", "rtp", "rtsp", "sap", "sdp", "smoothstreaming")
)
"""Formats that name other URLs. What FFmpeg opens for them it opens without verifying certificates,
so that only `hls` is read, and its parts are opened here."""


def open_file(file: CarefulFile, name: str, *, live: bool) -> Any:
    """Return the container that a file is.

    Raises:
        AudioError: It cannot be read, or is none.
    """
    options = {"protocol_whitelist": _NO_PROTOCOL, "format_whitelist": _formats()}
    try:
        return _opened(file, {**options, **(_LIVE_PROBE if live else {})})
    except Exception as error:
        reason = reason_of_av(error)
    if file.failed is not None:
        raise file.failed
    if not file.beginning:
        raise AudioError(f"{name} is empty: was it written to its end?")
    raise InvalidAudioError(f"{name} {_what_is_wrong(file.beginning)} ({reason})")


def open_url(url: Secret[str], name: str, warn: Callable[[str], None]) -> Any:
    """Return the container that a server sends; that of HLS joins its segments.

    Args:
        url: The URL.
        name: The same without its secrets.
        warn: Told of segments that cannot be had.

    Raises:
        AudioError: The server cannot be reached, refuses, or sends none.
    """
    try:
        return _opened(url.reveal(), {**_checked(), **_LIVE_PROBE, "format_whitelist": _formats()})
    except Exception as error:
        reason, failed = reason_of_av(error), type(error)
        is_playlist = getattr(error, "errno", None) == errno.EINVAL  # its format is not in the list
    if is_playlist:
        parts = _Parts(name, warn)
        try:
            # With persistent connections, FFmpeg takes what we opened for its own, and aborts.
            options = {**_checked(), **_LIVE_PROBE, "http_persistent": "0", "http_multiple": "0"}
            return _opened(url.reveal(), options, format="hls", io_open=parts)
        except Exception as error:
            reason, failed = reason_of_av(error), type(error)
        parts.close()
    # No cause: the error of PyAV has the URL, with whatever key is in it.
    if failed is av.error.InvalidDataError:
        raise InvalidAudioError(
            f"{name} gives no audio or video that can be decoded ({reason}): see what it gives to"
            " a browser; it may ask for a login, or be a web page around the audio"
        )
    if failed is av.error.OSError:
        reason += (
            ": there is no such host, its certificate is not trusted, or it ended the connection"
            " without any audio"
        )
    raise AudioError(f"{name} cannot be opened: {reason}")


def close(container: Any) -> None:
    """Close a container, and what was opened for it."""
    parts = container.io_open
    container.close()
    if isinstance(parts, _Parts):
        parts.close()


def reason_of_av(error: Exception) -> str:
    """Return what an error says, without the input that it names."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _opened(target: Any, options: dict[str, str], **more: Any) -> Any:
    return av.open(
        target,
        mode="r",
        container_options=options,
        **_TAGS,
        buffer_size=_BUFFER_SIZE,
        **more,
    )


def _checked() -> dict[str, str]:
    """Return the options of a connection that is made to the right host, or not at all."""
    limit = str(_SILENCE_LIMIT * 1_000_000)
    options = {
        "protocol_whitelist": _PROTOCOLS,
        "rw_timeout": limit,
        "timeout": limit,
        "tls_verify": "1",
    }
    authorities = ssl.get_default_verify_paths().cafile
    return options if authorities is None else {**options, "ca_file": authorities}


@functools.cache
def _formats() -> str:
    """Return all formats but playlists."""
    names = {name for each in av.formats_available for name in each.split(",")}
    return ",".join(sorted(names - _PLAYLISTS))


class _Parts:
    """Opens what an HLS playlist names: further playlists, segments and keys.

    PyAV prints an exception that FFmpeg does not heed: what cannot be had is empty, and warned of.
    """

    def __init__(self, name: str, warn: Callable[[str], None]) -> None:
        self._name = name
        self._warn = warn
        self._begun = False
        self._open: set[_Part] = set()
        """FFmpeg does not close everything that it opened."""

    def __call__(self, url: str, flags: int, options: dict[str, str]) -> _Part:
        first, self._begun = not self._begun, True
        try:
            return self._part(_opened(url, {**options, **_checked()}, format="data"))
        except Exception as error:
            if first:
                raise
            self._warn(f"a part of {self._name} cannot be had: {reason_of_av(error)}")
            return self._part(None)

    def _part(self, container: Any) -> _Part:
        part = _Part(container, self._open.discard)
        self._open.add(part)
        return part

    def close(self) -> None:
        for part in list(self._open):
            part.close()


class _Part:
    """The bytes of one URL."""

    def __init__(self, container: Any, closed: Callable[[_Part], None]) -> None:
        self._container = container
        self._closed = closed
        self._packets: Iterator[Any] = iter(()) if container is None else container.demux()
        self._held = b""

    def read(self, size: int) -> bytes:
        try:
            while not self._held:
                self._held = bytes(next(self._packets))
        except Exception:  # the end, or what is an end to FFmpeg
            return b""
        data, self._held = self._held[:size], self._held[size:]
        return data

    def close(self) -> None:
        self._packets = iter(())
        if self._container is not None:
            self._container.close()
        self._closed(self)


def _what_is_wrong(beginning: bytes) -> str:
    """Return what bytes are that FFmpeg cannot make sense of, and what to do."""
    content = content_of(beginning)
    if content is None:
        return (
            "is no audio or video that can be decoded: pass a file of sound, or an audio_format"
            " with an encoding if these are samples without a header"
        )
    return (
        f"begins as {content.name}, and cannot be decoded: it is damaged, or breaks off too early,"
        " before its index for example; get it whole"
    )
