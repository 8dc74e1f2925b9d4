"""The format of audio: raw samples or a file."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Optional, Union

from ..errors import ConfigurationError
from .checks import number, one_of
from .settings import Settings

__all__ = ["AudioEncoding", "AudioFormat", "described", "lacks_rate"]


class AudioEncoding(str, Enum):
    """The encoding of raw samples; PCM is little-endian.

    Example:
        >>> AudioFormat(AudioEncoding.PCM_F32LE, sample_rate=48000).bytes_per_sample
        4
    """

    PCM_F32LE = "pcm_f32le"
    PCM_S16LE = "pcm_s16le"
    MULAW = "mulaw"

    __str__ = str.__str__


class _Unnamed(int):
    """A rate that nobody named."""

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)

    def __deepcopy__(self, memo: object) -> "_Unnamed":
        return self


_DEFAULT_RATE = _Unnamed(44100)


def _sample_rate(value: Any) -> int:
    # It stays what it is: `Settings` would replace it by its plain form.
    return value if value is _DEFAULT_RATE else _check_rate(value)


_check_rate = number(1000, 384000, whole=True, unit="Hz")


@dataclass(eq=False, repr=False)
class AudioFormat(Settings):
    """The format of the audio: raw mono samples, or a file of a type that the API supports.

    Args:
        encoding: The encoding of raw samples; None for a file with its header.
        sample_rate: Samples per second, from 1,000 to 384,000 (Hz): what sound is recorded at;
            ignored for a file. A session with raw audio whose rate nobody named logs a warning.
        chunk_size: Bytes of audio in one message.
        extra: Further fields of the message's ``audio_format``, unchecked.

    Raises:
        ConfigurationError: A value is not allowed; the message names the field.

    Example:
        >>> AudioFormat("pcm_s16le", 16000).to_dict()
        {'type': 'raw', 'encoding': 'pcm_s16le', 'sample_rate': 16000}
        >>> AudioFormat().to_dict()
        {'type': 'file'}
    """

    encoding: Annotated[Optional[Union[AudioEncoding, str]], one_of(AudioEncoding)] = None
    sample_rate: Annotated[int, _sample_rate] = _DEFAULT_RATE
    chunk_size: Annotated[int, number(1, whole=True, unit="bytes")] = 4096
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def bytes_per_sample(self) -> int:
        """Size of one sample in bytes.

        Raises:
            ConfigurationError: The audio is a file, whose encoding only the server knows.
        """
        # Needed for every array that is sent: do not check all settings for it.
        size = _BYTES_PER_SAMPLE.get(self.encoding) if isinstance(self.encoding, str) else None
        if size is None:
            self._plain()  # raises if the encoding was set to one that is not allowed
            raise ConfigurationError(
                "AudioFormat.encoding is None, so the audio is a file and the size of its samples "
                "is not known; set an encoding"
            )
        return size

    def to_dict(self) -> dict[str, Any]:
        """The ``audio_format`` of StartRecognition; a file has no encoding and no rate there."""
        plain = self._plain()
        if self.encoding is None:
            return {"type": "file", **self.extra}
        shape = {"encoding": plain["encoding"], "sample_rate": int(plain["sample_rate"])}
        return {"type": "raw", **shape, **self.extra}


def described(audio_format: AudioFormat) -> str:
    """Return a format in words, for error messages."""
    plain = audio_format.to_dict()
    if "encoding" not in plain:
        return "a file"
    return f"{plain['encoding']} at {plain['sample_rate']} Hz"


def lacks_rate(audio_format: AudioFormat) -> bool:
    """Return whether this is raw audio whose sample rate nobody named."""
    return audio_format.encoding is not None and audio_format.sample_rate is _DEFAULT_RATE


_BYTES_PER_SAMPLE = {"pcm_f32le": 4, "pcm_s16le": 2, "mulaw": 1}
