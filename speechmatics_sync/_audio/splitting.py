"""`split_channels`: the channels of a recording as sources of their own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Optional

from .._model.secret import Secret
from .._model.typing import Source
from ..errors import InvalidAudioError
from .byte_streams import is_bytes_like
from .decoded_audio import DecodedAudio
from .file_objects import attribute_of, start_of
from .split_channels import Separable, labels_of, split_known

__all__ = ["split_channels"]


def split_channels(recording: Source, labels: Optional[Sequence[str]] = None) -> dict[str, Source]:
    """Return a source for each channel of a recording, for `MultiChannelClient.transcribe`.

    The recording is read while it is sent, and never copied as a whole: once for each channel, or,
    if it is live, once for all. A warning is logged if there is more audio in a WAV file than its
    header names.

    Args:
        recording: Whatever `open_audio` takes: a path, a URL, ``"-"``, a file object, the content
            of a file as bytes, or an iterable of chunks. A WAV file of integers, floats, A-law or
            mu-law is read as it is; everything else is decoded, with PyAV. A file object is read
            from where it stands; that of a WAV file is left there. Or an array of int16 or float32
            samples with the shape n × channels (numpy's, or any with a buffer of two dimensions),
            which needs an ``audio_format`` in `MultiChannelClient.transcribe`, for its rate; or a
            `Microphone`, which then gives its channels in place of their mean.
        labels: The label of each channel, in the recording's order; by default ``"1"``, ``"2"`` …

    Returns:
        The sources by label. Those of live audio have to be read together.

    Raises:
        AudioError: The recording cannot be read or decoded; the array is of another kind.
        ConfigurationError: There is not one label for each channel, a label comes twice, or PyAV is
            needed and not installed.

    Example:
        >>> sources = split_channels("call.wav", labels=["agent", "customer"])
        >>> transcript = client.transcribe(sources)
    """
    if isinstance(recording, DecodedAudio):
        raise InvalidAudioError(
            f"{recording!r} is decoded already: pass to split_channels what open_audio was given"
        )
    given = Secret(recording)  # a URL may have a key in it
    del recording
    known = None if _is_live(given.reveal()) else split_known(given.reveal(), labels)
    if known is not None:
        return known
    from .decoded_channels import channels_of
    from .open_audio import open_decoded

    channels = channels_of(
        lambda: open_decoded(given, sample_rate=None, channels=None),
        again=attribute_of(given.reveal(), "read") is None and not _is_live(given.reveal()),
    )
    names = labels_of(labels, len(channels), channels[0].name)
    return dict(zip(names, channels))


def _is_live(recording: Any) -> bool:
    """Return whether a recording can be read only once."""
    if isinstance(recording, str):
        return recording == "-" or "://" in recording
    if isinstance(recording, (Separable, os.PathLike)) or is_bytes_like(recording):
        return False
    if attribute_of(recording, "read") is not None:
        return start_of(recording) is None
    if isinstance(recording, Sequence):
        return bool(recording) and is_bytes_like(recording[0])
    return isinstance(recording, Iterable)
