"""Types of values that several rooms exchange."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Optional, Protocol, Union

if TYPE_CHECKING:
    from typing_extensions import Buffer  # type checkers know it without the package
else:
    Buffer = Union[bytes, bytearray, memoryview]

__all__ = ["Buffer", "Label", "Message", "Readable", "Source", "Timestamp"]


class Readable(Protocol):
    """What is read in pieces: a binary file, a response, a `Microphone`."""

    def read(self, size: int, /) -> Buffer:
        """Return at most ``size`` bytes; none at the end."""
        ...


Source = Union[str, "os.PathLike[str]", Readable, Buffer, Iterable[Buffer]]
"""A source of audio: a path, a binary file, bytes, or an iterable of chunks of bytes."""

Label = Optional[str]
"""A channel's label; None in a session with one channel."""

Message = dict[str, Any]
"""A message of the protocol, as decoded from JSON."""


Timestamp = Union[float, Literal["now"], None]
"""Where an utterance is to end: seconds, the audio sent so far, or where the server decides."""
