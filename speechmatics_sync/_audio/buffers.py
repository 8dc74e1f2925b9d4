"""Audio in memory: bytes, and arrays of samples that are held to the audio format."""

from __future__ import annotations

import re
import sys
from typing import Any, Optional

from .._model.audio_format import AudioEncoding, AudioFormat
from ..errors import AudioError, InvalidAudioError

__all__ = ["audio_view", "channels_view", "cure_of_encoded", "type_name"]

_BYTES = ("B", "c")
"""Elements of buffers that are bytes, which may be a part of anything."""

_SAMPLES = {"pcm_s16le": ("h",), "pcm_f32le": ("f",), "mulaw": ("b",)}
"""Elements, beside bytes, that are samples of an encoding (`struct` module codes)."""

_KINDS = {"?": "bool", **dict.fromkeys("bhilqn", "int"), **dict.fromkeys("BHILQN", "uint")}
_KINDS.update(dict.fromkeys("efdg", "float"))

_RECORDINGS = (
    "the path of a WAV file, a file object, its content as bytes, or an array of int16 or float32"
    " samples of the shape n × channels"
)

_BIG_ENDIAN = (
    "big-endian samples, and the API takes little-endian ones: convert them, in numpy with"
    " samples.astype(samples.dtype.newbyteorder('<'))"
)

_CONVERSIONS = {
    ("float", "pcm_s16le"): "(samples.clip(-1, 1) * 32767).astype('int16')",
    ("float", "pcm_f32le"): "samples.astype('float32')",
    ("int", "pcm_s16le"): "(samples >> {shift}).astype('int16')",
    ("int", "pcm_f32le"): "(samples / 2**{bits}).astype('float32')",
}


def audio_view(
    payload: object, audio_format: Optional[AudioFormat] = None, name: Optional[str] = None
) -> memoryview:
    """Return a view of bytes-like audio as single bytes, without a copy.

    Args:
        payload: Bytes-like data: bytes, bytearray, memoryview, array.array, a numpy array …
        audio_format: The format of the audio, if known. An array of other samples, or of several
            channels, is refused, since the server would hear noise.
        name: The source of the payload, for error messages.

    Raises:
        AudioError: The payload is not bytes-like, not contiguous, or not of the format.

    Example:
        >>> from array import array
        >>> audio_view(array("h", [1, 2])).nbytes
        4
    """
    giver = f"{name} gave" if name is not None else "the audio is"
    if isinstance(payload, str):
        cure = cure_of_encoded(payload) or 'open a file in binary mode, with open(…, "rb")'
        raise InvalidAudioError(f"{giver} str, not bytes: {cure}")
    try:
        view = memoryview(payload)  # type: ignore[arg-type]
    except TypeError:
        hint = _cure_of_bufferless(payload)
        raise InvalidAudioError(f"{giver} {type_name(payload)}, not bytes{hint}") from None
    except Exception as error:
        raise InvalidAudioError(
            f"{giver} {type_name(payload)}, without bytes to read: {error}. Pass its bytes"
        ) from error
    try:
        _check(view, audio_format, f"{giver} {type_name(payload)}")
    except AudioError:
        view.release()
        raise
    if view.format == "B" and view.ndim == 1:
        return view
    from pickle import PickleBuffer

    # memoryview.cast() refuses ctypes arrays and empty arrays of two dimensions; this does not.
    with view:
        return PickleBuffer(payload).raw()  # type: ignore[arg-type]


def channels_view(array: Any) -> memoryview:
    """Return a view of an array of several channels, of the shape n × channels.

    It may lie in memory in any order, with gaps in it.

    Raises:
        AudioError: It is no such array, or of samples that the API does not take.
    """
    given = f"a recording to split is {_RECORDINGS}, not {type_name(array)}"
    try:
        view = memoryview(array)
    except Exception:
        raise InvalidAudioError(given + _cure_of_bufferless(array)) from None
    order, code = _order_and_code(view.format)
    try:
        if view.ndim != 2:
            cure = "pass one of n × channels"
            if view.ndim == 1:
                cure = "pass it as a source, as it is: it has one channel"
            raise InvalidAudioError(f"{given} of {view.ndim} dimensions: {cure}")
        if order == ">" and view.itemsize > 1:
            raise InvalidAudioError(f"{given} of {_BIG_ENDIAN}")
        if code not in (*_BYTES, *"hfb"):
            kind = f"{_KINDS.get(code, view.format)}{8 * view.itemsize}"
            cure = _cure_of_kind(_KINDS.get(code, ""), view.itemsize, "pcm_f32le")
            raise InvalidAudioError(f"{given} of {kind} samples: {cure}")
    except AudioError:
        view.release()
        raise
    return view


def type_name(source: object) -> str:
    return type(source).__name__


def cure_of_encoded(text: str) -> Optional[str]:
    """Return how a text that looks like encoded audio becomes bytes; None if it does not."""
    head = text[:80].strip()
    if head.startswith("data:"):
        return "it is a data URL: base64.b64decode(text.partition(',')[2]) gives the bytes"
    if re.fullmatch(r"[A-Za-z0-9+/_-]{16,}={0,2}", head):
        return "it looks like base64: base64.b64decode(text) gives the bytes"
    return None


def _check(view: memoryview, audio_format: Optional[AudioFormat], given: str) -> None:
    """Refuse a buffer that is not audio of this format, or of none."""
    shape = view.shape or ()
    several = any(length > 1 for length in shape[1:])
    if several and not (view.c_contiguous and audio_format is None):
        raise InvalidAudioError(f"{given} {_cure_of_shape(shape)}")
    if not view.c_contiguous:
        raise InvalidAudioError(
            f"{given} that is not contiguous in memory (every second sample, one column …): copy it"
            " first, in numpy with samples.copy()"
        )
    if "O" in view.format:
        raise InvalidAudioError(
            f"{given} of Python objects, not of samples: convert it to int16 or float32"
        )
    order, code = _order_and_code(view.format)
    if view.itemsize > 1 and order == ">":
        raise InvalidAudioError(f"{given} of {_BIG_ENDIAN}")
    if audio_format is None:
        return
    if code in _BYTES:
        return
    kind = f"{_KINDS[code]}{8 * view.itemsize}" if code in _KINDS else f"format {view.format!r}"
    if audio_format.encoding is None:
        raise InvalidAudioError(
            f"{given} of {kind} samples, and the audio_format is that of a file: pass"
            " audio_format=AudioFormat(AudioEncoding.PCM_S16LE, sample_rate) for int16, or"
            " AudioEncoding.PCM_F32LE for float32 samples"
        )
    encoding = AudioEncoding(audio_format.encoding).value
    if code not in _SAMPLES[encoding] or view.itemsize != audio_format.bytes_per_sample:
        raise InvalidAudioError(
            f"{given} of {kind} samples, and the audio_format is {encoding}:"
            f" {_cure_of_kind(_KINDS.get(code, ''), view.itemsize, encoding)}"
        )


def _order_and_code(format: str) -> tuple[str, str]:
    """Return the byte order, "<" or ">", and the type of the elements of a buffer."""
    native = "<" if sys.byteorder == "little" else ">"
    if format[:1] in ("<", ">", "!", "=", "@"):
        return {"<": "<", ">": ">", "!": ">"}.get(format[0], native), format[1:]
    return native, format


def _cure_of_bufferless(given: object) -> str:
    if isinstance(given, (int, float)):
        return "; samples become bytes with array.array('h', samples).tobytes()"
    if hasattr(type(given), "__array__"):
        return "; numpy.asarray(samples) makes an array of it that can be passed"
    return ""


def _cure_of_shape(shape: tuple[int, ...]) -> str:
    described = " × ".join(map(str, shape))
    rows = len(shape) == 2 and shape[0] < shape[1]
    mono = "samples[0].copy()" if rows else "samples[:, 0].copy()"
    return (
        f"of the shape {described}, and a source has one channel, in an array of one dimension:"
        f" pass one of them, in numpy {mono}, or each as a source of MultiChannelClient"
    )


def _cure_of_kind(kind: str, size: int, encoding: str) -> str:
    if (kind, size) == ("int", 2):
        return "name that encoding, AudioEncoding.PCM_S16LE"
    if (kind, size) == ("float", 4) and encoding == "mulaw":
        return "name that encoding, AudioEncoding.PCM_F32LE"
    conversion = _CONVERSIONS.get((kind, encoding))
    if conversion is None or (kind == "int" and size == 1):
        return "convert the samples, or name their encoding"
    conversion = conversion.format(shift=8 * (size - 2), bits=8 * size - 1)
    other = ", or name AudioEncoding.PCM_F32LE" if (kind, size) == ("float", 4) else ""
    return f"convert them, in numpy with {conversion}{other}"
