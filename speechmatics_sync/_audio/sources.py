"""Sources of audio, and their audio in chunks.

A source is a path, a binary file object (anything with ``read(n)``), bytes-like data, or an
iterable of bytes-like chunks. Opening and reading a source may block, and cannot be interrupted:
do both in a thread of their own. Only `check_source` returns at once.

`ByteStream` reads the bytes of any kind of source. `AudioSource` cuts them into chunks, and knows
where the audio of a WAV file begins and ends.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Optional

from .._logs import logger as _logger
from .._model.audio_format import AudioFormat, described
from ..errors import AudioError, ConfigurationError, InvalidAudioError, missing_extra
from .buffers import audio_view
from .byte_streams import ByteStream, OwnedFileStream, byte_stream_of
from .converted_stream import ConvertedStream
from .decoded_audio import DecodedAudio, StreamInput, can_decode
from .decoded_channels import DecodedChannel
from .headers import Beginning, look_at
from .source_checks import check_source, format_said_by
from .split_channels import SplitChannel
from .wav import MORE_AUDIO, holds_more_audio

if TYPE_CHECKING:
    from .byte_streams import Logger

__all__ = ["AudioSource", "audio_view", "check_realtime", "check_source", "open_source"]


def check_realtime(audio_format: AudioFormat, opened: Optional[AudioSource] = None) -> None:
    """Refuse ``realtime`` for a file, whose speed only the server can tell.

    Args:
        audio_format: The format of the audio. To be called when it is known: at once if the caller
            passed it, else when the source has been opened.
        opened: The source, if its format was found in it: it says why it goes as a file.

    Raises:
        ConfigurationError: The audio is a file.
    """
    if audio_format.encoding is not None:
        return
    beginning = Beginning(audio_format) if opened is None else opened.look()
    name = "this audio" if opened is None else opened.name
    if beginning.content:
        why = f"{name} is {beginning.content}, and goes as a file"
        cure = (
            'install what decodes it here, with pip install "speechmatics-sync[audio]", or convert'
            " it to a mono WAV of 16-bit samples"
        )
    else:
        why = f"{name} goes as a file"
        cure = "pass an audio_format with an encoding if these are samples without a header"
    raise ConfigurationError(
        f"realtime=True is for raw audio, and {why}: {cure}, or leave realtime out."
    )


def open_source(
    source: object,
    audio_format: Optional[AudioFormat] = None,
    *,
    realtime: bool = False,
    expected_bytes: Optional[int] = None,
    logger: Logger = _logger,
) -> AudioSource:
    """Open a source, and hold its beginning against the audio format, or take the format from it.

    Without an ``audio_format``, this reads the beginning of the source, and may block: a mono WAV
    of samples that the API takes raw (16-bit, float32, mu-law), or that become such without a loss
    (integers of 8, 24 and 32 bits, float64, A-law), becomes raw audio, without its header; a file
    that the API does not take as it is (another container, several channels) is decoded here;
    anything else is a file, and is sent unchanged.

    With one, nothing that may have to be waited for is opened or read before the first chunk. The
    header of a file whose samples are of the format is taken off, too; that of any other file is
    an error, since the server would take header and content for samples.

    Args:
        source: A path, a binary file object, bytes-like data, or an iterable of bytes-like chunks.
        audio_format: The format of the bytes; None: that which the source says it has, by an
            attribute ``audio_format``, else what its beginning says.
        realtime: Whether raw audio is wanted, so that every file is decoded, if PyAV is installed.
        expected_bytes: How many bytes the source has, with a header: for `AudioSource.shortfall`.
        logger: Gets a warning if a WAV file is shorter than its header says or holds more audio, or
            if a generator fails when it is closed.

    Raises:
        AudioError: ``source`` is no source, cannot be opened or read, or is not of the format.
        ConfigurationError: It has to be decoded, and PyAV is not installed; or it is made here of
            something else, whose bytes ``expected_bytes`` cannot mean.

    Example:
        >>> source = open_source("audio.wav")
        >>> source.audio_format.sample_rate
        16000
        >>> for chunk in source:
        ...     print(len(chunk))
        >>> source.close()
    """
    check_source(source)
    said = format_said_by(source)
    if said is not None and audio_format is not None and said.to_dict() != audio_format.to_dict():
        raise InvalidAudioError(
            f"the source says that it is {described(said)}, and the audio_format that was passed is"
            f" {described(audio_format)}: leave audio_format out"
        )
    audio_format = audio_format or said
    stream = byte_stream_of(source, audio_format or AudioFormat())
    counted = stream
    if expected_bytes is not None:
        counted = _counted(source, stream)
        counted.expected_bytes = expected_bytes
    opened = AudioSource(stream, audio_format, counted, logger=logger)
    # The chunks of a sequence are there, and to read them moves nothing of the caller's.
    if audio_format is None or opened.at_hand or isinstance(source, Sequence):
        try:
            beginning = opened.look()
            if audio_format is None and _has_to_be_decoded(beginning, stream.name, realtime):
                audio = DecodedAudio(StreamInput(stream, None, 1, logger))
                takes = "only raw audio in real time" if beginning.is_streamable else "a stream"
                logger.info(
                    "%s is %s, and the API takes %s: decoded here to mono %s at %d Hz",
                    stream.name,
                    beginning.content,
                    takes if beginning.is_taken else "no such file",
                    audio.audio_format.encoding,
                    audio.audio_format.sample_rate,
                )
                decoded = OwnedFileStream(audio, stream.name, audio.audio_format)
                opened = AudioSource(decoded, audio.audio_format, counted, logger=logger)
        except BaseException:
            opened.close()
            raise
    return opened


def _counted(source: object, stream: ByteStream) -> ByteStream:
    """Return where the bytes come from that the caller knows the number of."""
    found: Optional[ByteStream] = stream
    if isinstance(source, DecodedAudio):
        found = source._input_stream
    elif isinstance(source, (SplitChannel, DecodedChannel)):
        found = None
    if found is None:
        raise ConfigurationError(
            f"expected_bytes counts the bytes that are passed to the client, and {stream.name} is"
            " made here of something else: check how long that is before"
        )
    return found


def _has_to_be_decoded(beginning: Beginning, name: str, realtime: bool) -> bool:
    """Return whether a source without a named format is decoded here, rather than sent as it is."""
    if beginning.audio_format.encoding is not None or not beginning.content:
        return False
    if beginning.is_taken:
        # A WAV file whose header makes no sense would become noise.
        wanted = realtime or not beginning.is_streamable
        return wanted and beginning.channels is None and can_decode()
    if can_decode():
        return True
    missing = missing_extra(
        f"{name} is {beginning.content}, which the API does not take as it is. Decoding it here",
        "PyAV",
        "audio",
    )
    several = beginning.channels is not None and beginning.channels > 1
    apart = " split_channels(…) makes a source of each channel, for MultiChannelClient." * several
    raise ConfigurationError(
        f"{missing.message}{apart} audio_format=AudioFormat() sends the file as it is."
    )


class AudioSource:
    """The audio of one source in chunks that are ready to send.

    Made by `open_source`. Not thread-safe.

    Attributes:
        name: The source, for error messages.
        audio_format: The format of the chunks: as passed, or as found in the source.
        total_seconds: The length of the audio in seconds, or None if not known before its end.
        at_hand: Whether all audio exists already, so that no read waits for more.
        in_memory: Whether no read waits for anything, not even a disk.
        rereadable: Whether `seek` is possible: for the path of a regular file, bytes-like data, a
            seekable file object, and a channel from `split_channels`.
    """

    def __init__(
        self,
        stream: ByteStream,
        audio_format: Optional[AudioFormat],
        counted: Optional[ByteStream] = None,
        *,
        logger: Logger = _logger,
    ) -> None:
        self._stream = stream
        self._counted = counted or stream
        """Where the bytes come from that ``expected_bytes`` counts."""
        self._sound = stream
        """The same, or its samples after conversion."""
        self._logger = logger
        self._closed = False
        self._named = audio_format
        self._beginning: Optional[Beginning] = None  # before the first `look`
        self._position = 0
        self._farthest = 0
        self._after_seek = False
        self._warned = False
        self.name = stream.name
        self.rereadable = stream.rereadable
        length = stream.length()
        self.at_hand = length is not None
        self.in_memory = stream.in_memory
        self._set_format(audio_format or AudioFormat(), length)

    def look(self) -> Beginning:
        """Look at the beginning, unless that was done, and take off a header. May block.

        Raises:
            AudioError: It cannot be read, is plainly no sound, or is not of the format.
        """
        beginning = self._beginning
        if beginning is None:
            beginning = look_at(self._stream, self._named, self._chunk_size)
            self._stream.skip(beginning.offset)
            if beginning.conversion is not None:
                self._sound = ConvertedStream(self._stream, beginning.offset, beginning.conversion)
            self._set_format(beginning.audio_format, beginning.total_bytes)
            self._beginning = beginning
        return beginning

    def _set_format(self, audio_format: AudioFormat, total_bytes: Optional[int]) -> None:
        self.audio_format = audio_format
        self.total_seconds = self._stream.total_seconds
        self._chunk_size = audio_format.chunk_size
        if audio_format.encoding is not None:
            sample = audio_format.bytes_per_sample
            self._chunk_size -= self._chunk_size % sample if self._chunk_size > sample else 0
            if total_bytes is not None:
                self.total_seconds = total_bytes / sample / audio_format.sample_rate

    def __iter__(self) -> Iterator[bytes]:
        """Read chunks until the source ends."""
        while True:
            chunk = self.read()
            if not chunk:
                return
            yield chunk

    def read(self) -> bytes:
        """Return the next chunk, or b"" at the end.

        A chunk has at most ``audio_format.chunk_size`` bytes, and fewer if the source gives fewer:
        live audio does not wait until a chunk is full. A chunk may end within a sample.

        Raises:
            AudioError: The source cannot be opened or read, gives something other than bytes, or
                is shorter than when it was read before.
        """
        if self._closed:
            raise AudioError(f"{self.name} was closed before its end: close it after the session")
        data_size = (self._beginning or self.look()).data_size
        size = self._chunk_size
        if self._after_seek:
            size -= self._position % size
        if data_size is not None:
            size = min(size, data_size - self._position)
            if not size:
                self._warn_of_what_follows()
                self._stream.read_to_expected_end()
                return b""
        chunk = self._sound.read(size)
        if chunk:
            self._after_seek = False
            self._position += len(chunk)
            self._farthest = max(self._farthest, self._position)
        elif self._position < self._farthest:
            raise AudioError(
                f"{self.name} has become shorter: {self._farthest} bytes of audio were read, and"
                f" now it ends after {self._position}. Leave it as it is until the session has "
                "ended"
            )
        else:
            self._warn_if_cut_short()
        return chunk

    def shortfall(self) -> Optional[AudioError]:
        """Return an error, at the end, if fewer bytes came than were expected."""
        return self._counted.shortfall()

    def why_empty(self) -> str:
        """Return a sentence that says why there is no audio, empty if that is not known."""
        stood = self._stream.where_it_stood()
        if not stood or self._farthest:
            return ""
        return f" {self.name} stood at its end, at byte {stood}: call its seek(0) first."

    def seek(self, position: int) -> None:
        """Continue reading at another position, also after the end. May block.

        The first chunk after it is cut so that the following ones begin at multiples of the chunk
        size, as they did before. A source that cannot be moved there is closed.

        Args:
            position: Bytes of audio from its start, as `read` returns them.

        Raises:
            AudioError: The source ends before the position, or cannot be read again.
            RuntimeError: The source is not `rereadable`.
            ValueError: The position is negative.
        """
        if not self.rereadable:
            raise RuntimeError(f"{self.name} cannot be read again: see rereadable first")
        if position < 0:
            raise ValueError(f"position is {position}; allowed: 0 and more")
        if self._closed:
            raise AudioError(f"{self.name} was closed before its end: close it after the session")
        try:
            beginning = self.look()
            if beginning.data_size is not None and position > beginning.data_size:
                raise AudioError(
                    f"{self.name} cannot be read again: its audio ends before byte {position}. "
                    "Leave it as it is until the session has ended"
                )
            self._sound.seek(position + (0 if beginning.conversion else beginning.offset))
        except BaseException:
            # Its position is unknown: never send that audio as if it came from elsewhere.
            self.close()
            raise
        self._position = position
        self._after_seek = True

    def close(self) -> None:
        """Close the file of a path, and a generator. A file object of the caller stays open."""
        if not self._closed:
            self._closed = True
            self._sound.close(self._logger)

    def _warn_of_what_follows(self) -> None:
        """Warn once if audio seems to follow what the header names, or if that is no whole number
        of samples."""
        header, conversion = self.look().header, self.look().conversion
        if self._warned or header is None:
            return
        self._warned = True
        stream = self._stream
        try:
            # What a live source gives next is not waited for: it may never come.
            read = stream.read if stream.complete else io.BytesIO(stream.in_hand()).read
            more = holds_more_audio(read, header, self._bytes_read(), to_the_end=stream.complete)
        except AudioError:
            return  # it only informs
        if more:
            self._logger.warning(MORE_AUDIO, self.name, header.data_size)
        if conversion is not None:
            self._warn_of_half_a_sample(header.data_size % conversion.size)

    def _warn_if_cut_short(self) -> None:
        header = self.look().header
        if self._warned or header is None:
            return
        self._warned = True
        if header.data_size_is_certain:
            self._logger.warning(
                "%s is cut short: its WAV header promises %d bytes of audio, and it holds %d;"
                " those are transcribed",
                self.name,
                header.data_size,
                self._bytes_read(),
            )
        if isinstance(self._sound, ConvertedStream):
            self._warn_of_half_a_sample(self._sound.left_over)

    def _warn_of_half_a_sample(self, size: int) -> None:
        if size:
            self._logger.warning(
                "%d bytes of half a sample at the very end of %s were dropped", size, self.name
            )

    def _bytes_read(self) -> int:
        """Return how many bytes of the source's audio were read, in whole samples."""
        conversion = self.look().conversion
        if conversion is None:
            return self._position
        return self._position // conversion.sent_size * conversion.size
