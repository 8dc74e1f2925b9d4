"""How a source begins: its header, if it has one, and whether it is what it is said to be."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Callable, NamedTuple, Optional

from .._model.audio_format import AudioEncoding, AudioFormat
from ..errors import AudioError, ConfigurationError, InvalidAudioError
from .byte_streams import ByteStream
from .content import LOOKED_AT, content_of, is_taken, more_to_look_at
from .samples import StoredSamples
from .wav import (
    FORMS,
    MORE_AUDIO,
    DataChunk,
    WavHeader,
    read_snd_header,
    read_wav_header,
)

if TYPE_CHECKING:
    from .byte_streams import Logger

__all__ = ["Beginning", "PushedAudio", "look_at"]

Peek = Callable[[int, int], bytes]

_MP4 = "an MP4 file"
_MOST_BOXES = 64
"""Of an MP4 file, to look at for its index."""


class Beginning(NamedTuple):
    """What the beginning of a source says of it.

    Attributes:
        audio_format: The format of the audio: as passed, or as found.
        offset: Bytes before the audio.
        data_size: Bytes of audio by the header, as they are sent; None if the audio goes on to the
            source's end.
        total_bytes: Bytes of audio that there are, as they are sent, or None if only reading can
            tell.
        content: What a file plainly is, with its article; empty if that is not known.
        channels: How many the header says, if one was read.
        header: That which is taken off, if any.
        is_taken: Whether the API takes it as it is, as far as that is known.
        is_streamable: Whether it can be decoded from its start on, as far as that is known.
    """

    audio_format: AudioFormat
    offset: int = 0
    data_size: Optional[int] = None
    total_bytes: Optional[int] = None
    content: str = ""
    channels: Optional[int] = None
    header: Optional[WavHeader] = None
    is_taken: bool = True
    is_streamable: bool = True

    @property
    def conversion(self) -> Optional[StoredSamples]:
        """What becomes of the samples, unless they are sent as they are."""
        samples = None if self.header is None else self.header.samples
        return None if samples is None or samples.convert is None else samples


def look_at(stream: ByteStream, named: Optional[AudioFormat], size: int) -> Beginning:
    """Look at the beginning of a source, which stays to be read. May block.

    Args:
        stream: The source.
        named: What its audio is said to be, if anything.
        size: Bytes to ask of a live source.

    Raises:
        AudioError: It cannot be read, is plainly no sound, or is not what it is said to be.
    """
    length = stream.length()
    beginning = stream.beginning(size)
    if named is None and len(beginning) < 12:
        beginning = stream.peek(0, 12)
    header, content = _header(beginning, stream.peek, named, stream.name)
    if header is None:
        if named is None and not content and beginning and _is_named_wav(stream.name):
            raise InvalidAudioError(
                f"{stream.name} has no WAV header: if it holds bare samples, say which with"
                " audio_format=AudioFormat(AudioEncoding.PCM_S16LE, sample_rate)"
            )
        late_index = named is None and content == _MP4 and _index_is_last(stream)
        return Beginning(
            named or AudioFormat(),
            total_bytes=length,
            content=f"{content} whose index lies at its end" if late_index else content,
            is_taken=is_taken(content),
            is_streamable=not late_index,
        )
    audio_format = named or _raw_format(header)
    if audio_format is None:
        decodable = header.channels > 1 and header.encoding is not None
        return Beginning(
            AudioFormat(),
            content=content,
            channels=header.channels,
            is_taken=not (decodable or header.is_compressed),
        )
    data_size, total_bytes = _sizes(header, length)
    header = header._replace(data_size_is_certain=data_size is not None)
    return Beginning(
        audio_format,
        header.data_offset,
        _as_sent(data_size, header),
        _as_sent(total_bytes, header),
        content,
        1,
        header,
    )


def _index_is_last(stream: ByteStream) -> bool:
    """Return whether the samples of an MP4 file come before its index, as phones record them.

    Whoever gets such a file piece by piece cannot decode it. Only a source that can be read again
    is looked through.
    """
    if not stream.rereadable:
        return False
    position = 0
    try:
        for _ in range(_MOST_BOXES):
            stream.seek(position)
            head = stream.read(16)
            if len(head) < 16:
                return False
            size, name, large = struct.unpack(">I4sQ", head)
            if name in (b"moov", b"mdat"):
                return bool(name == b"mdat")
            position += large if size == 1 else max(8, size)
    except AudioError:
        return False  # it ends before the next box
    finally:
        stream.seek(0)
    return False


class PushedAudio:
    """What a user sends of one channel, without the header of a WAV file that it may begin with.

    A warning is logged, once, if there is more audio than the header names. Not safe for threads.

    Args:
        named: The format that the audio is said to have.
        logger: Logs the warning.
    """

    def __init__(self, named: AudioFormat, logger: Logger) -> None:
        self._named = named
        self._logger = logger
        self.is_plain = False
        """Whether all that follows is audio, as it is."""
        self._begun = False
        self._held = b""
        """What has begun like a file, and is too short to tell."""
        self._data: Optional[DataChunk] = None
        """What tells the audio from what follows it, if there was a header."""
        self._data_size = 0
        self._warned = False

    def samples_of(self, payload: bytes) -> bytes:
        """Return the audio of the next payload.

        Raises:
            AudioError: It is the first, and is plainly no sound, or not what it is said to be.
        """
        if payload and not self._begun:
            payload = self._begin(self._held + payload)
        if self._data is None:
            return payload
        sound = self._data.feed(payload)
        self._warn(self._data)
        return sound

    def end(self) -> bytes:
        """Return the audio that was held back, as no more will come.

        Raises:
            AudioError: It is not what it is said to be.
        """
        held = self._begin(self._held, ended=True) if self._held and not self._begun else b""
        if self._data is not None:
            held = self._data.feed(held)
            self._data.end()
            self._warn(self._data)
        return held

    def _begin(self, payload: bytes, *, ended: bool = False) -> bytes:
        beginning = payload[:LOOKED_AT]
        lacking = more_to_look_at(beginning) > len(payload)

        def peek(offset: int, size: int) -> bytes:
            nonlocal lacking
            lacking = lacking or offset + size > len(payload)
            return payload[offset : offset + size]

        if payload.startswith(FORMS) and self._named.encoding is not None:
            read_wav_header(peek)
        if lacking and not ended:
            self._held = payload
            return b""
        header, _ = _header(beginning, peek, self._named, "the audio")
        self._begun = True
        self.is_plain = header is None or not header.data_size_is_certain
        if header is None:
            return payload
        if header.data_size_is_certain:
            self._data, self._data_size = DataChunk(header), header.data_size
        return payload[header.data_offset :]

    def _warn(self, data: DataChunk) -> None:
        if data.more_audio and not self._warned:
            self._warned = True
            self._logger.warning(MORE_AUDIO, "the audio", self._data_size)


def _header(
    beginning: bytes, peek: Peek, named: Optional[AudioFormat], name: str
) -> tuple[Optional[WavHeader], str]:
    """Return the header to take off, if any, and what the file is, if that is plain."""
    content = content_of(beginning)
    if content is None:
        return None, ""
    if not content.is_sound:
        raise InvalidAudioError(f"{name} is no sound, but {content.name}: pass a file with sound")
    if named is not None and named.encoding is None:
        return None, content.name
    header = read_wav_header(peek)
    if header is None and named is not None:
        header = read_snd_header(peek)
    described = content.name if header is None else f"{content.name} of {header.description}"
    if named is not None:
        found = None if header is None else _raw_format(header)
        # Samples that would be converted are not what they were said to be.
        if found is None or not _same(found, named) or Beginning(found, header=header).conversion:
            raise InvalidAudioError(_mismatch(name, described, named, header))
    return header, described


def _same(found: AudioFormat, named: AudioFormat) -> bool:
    return (found.encoding, found.sample_rate) == (named.encoding, named.sample_rate)


def _mismatch(name: str, described: str, named: AudioFormat, header: Optional[WavHeader]) -> str:
    encoding = AudioEncoding(named.encoding).value
    several = header is not None and header.channels > 1
    apart = ", or take its channels apart with split_channels" if several else ""
    return (
        f"{name} is {described}, and the audio_format says bare samples, {encoding} at"
        f" {named.sample_rate} Hz: leave audio_format out, or pass AudioFormat(), which means a"
        f" file{apart}"
    )


def _raw_format(header: WavHeader) -> Optional[AudioFormat]:
    if header.channels != 1 or header.encoding is None:
        return None
    try:
        return AudioFormat(encoding=header.encoding, sample_rate=header.sample_rate)
    except ConfigurationError:
        return None  # a rate that the API does not take raw; it may take the file


def _sizes(header: WavHeader, length: Optional[int]) -> tuple[Optional[int], Optional[int]]:
    """Return where the audio of a WAV source ends by its header, and how many bytes there are.

    The first is None if the header does not tell: a placeholder must not cut off a live stream.
    The second is None if nothing tells before the source ends.
    """
    if length is None:
        size = header.data_size if header.data_size_is_certain else None
        return size, size
    left = length - header.data_offset
    if header.data_size_is_certain or 0 < header.data_size <= left:
        return header.data_size, min(header.data_size, left)
    return None, left


def _as_sent(size: Optional[int], header: WavHeader) -> Optional[int]:
    samples = header.samples
    if size is None or samples is None or samples.convert is None:
        return size
    return size // samples.size * samples.sent_size


def _is_named_wav(name: str) -> bool:
    return name.rstrip("'\"").lower().endswith((".wav", ".wave"))
