"""Decodes audio files while they arrive, with `speechmatics_sync.open_audio`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Optional

import numpy as np

from speechmatics_sync import SpeechmaticsError, open_audio

from ._logs import logger
from ._recognizer import SAMPLE_RATE
from ._validation import Refused

if TYPE_CHECKING:
    from ._recognizer import Samples

__all__ = ["SentFile"]

_CONTAINERS = frozenset(
    ("aac", "amr", "amrnb", "amrwb", "flac", "mov", "mp3", "mpeg", "ogg", "wav")
)
"""What the service takes, in FFmpeg's words; `mov` is MP4 and M4A too."""

_MOST_SECONDS = 1800
"""Audio that one piece of a file may become. A piece of silence becomes ten minutes, a malicious
one more than there is memory for."""


class SentFile:
    """A file that is given in pieces, and decoded in a thread of its own between them.

    The thread works while `feed` or `finish` waits for it, and at no other time.

    Attributes:
        sample_rate: The rate of the file in Hz, None until it is known.
        seconds: Seconds of audio decoded.
    """

    def __init__(self) -> None:
        self.sample_rate: Optional[int] = None
        self._count = 0
        self._thread: Optional[threading.Thread] = None

        # Guarded by the condition.
        self._turn = threading.Condition()
        self._given = b""
        self._ended = False
        self._waits = False
        """Whether the thread has used up what was given."""
        self._done = False
        self._decoded: list[bytes] = []
        self._size = 0
        self._refused: Optional[str] = None

    @property
    def seconds(self) -> float:
        return self._count / SAMPLE_RATE

    def feed(self, encoded: bytes) -> Samples:
        """Return the samples that a piece of the file completes.

        Raises:
            Refused: This is no file that can be decoded, or PyAV is not installed.
        """
        if not encoded:
            return np.zeros(0, dtype=np.int16)
        with self._turn:
            self._given = encoded
        return self._let_work()

    def finish(self) -> Samples:
        """Return the remaining samples, as no more bytes will come."""
        with self._turn:
            self._ended = True
        if self._thread is None:
            return np.zeros(0, dtype=np.int16)
        return self._let_work()

    def close(self) -> None:
        """End the thread."""
        with self._turn:
            self._ended = True
            self._given = b""
            self._refused = "closed"
            self._turn.notify_all()
        if self._thread is not None:
            self._thread.join()

    # What `open_audio` reads, in the thread.

    def read(self, size: int) -> bytes:
        """Wait for the next bytes of the file, and return them; b"" at the end."""
        with self._turn:
            while not self._given and not self._ended:
                self._waits = True
                self._turn.notify_all()
                self._turn.wait()
            data, self._given = self._given[:size], self._given[size:]
            return data

    def _let_work(self) -> Samples:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="speechmatics-local-decoder")
            self._thread.daemon = True
            self._thread.start()
        with self._turn:
            self._waits = False
            self._turn.notify_all()
            while not (self._waits or self._done):
                self._turn.wait()
            decoded, self._decoded, self._size = b"".join(self._decoded), [], 0
            if self._refused is not None:
                raise Refused("invalid_audio_type", self._refused)
        samples = np.frombuffer(decoded, dtype="<i2").astype(np.int16)
        self._count += len(samples)
        return samples

    def _run(self) -> None:
        refused: Optional[str] = None
        try:
            refused = self._decode()
        except SpeechmaticsError as error:
            refused = error.message
        except BaseException as error:  # whatever a library makes of a client's bytes
            logger.exception("A file could not be decoded")
            refused = f"the file cannot be decoded: {type(error).__name__}"
        finally:
            with self._turn:
                self._refused = self._refused or refused
                self._done = True
                self._turn.notify_all()

    def _decode(self) -> Optional[str]:
        with open_audio(self, sample_rate=SAMPLE_RATE) as audio:
            if audio.container.partition(",")[0] not in _CONTAINERS:
                return (
                    f"the file is {audio.container}; the service takes wav, mp3, aac, ogg, mpeg,"
                    " amr, m4a, mp4 and flac"
                )
            self.sample_rate = audio.input_sample_rate
            while True:
                piece = audio.read(1 << 16)
                if not piece:
                    return None
                with self._turn:
                    self._decoded.append(piece)
                    self._size += len(piece)
                    if self._size > _MOST_SECONDS * SAMPLE_RATE * 2:
                        return f"more than {_MOST_SECONDS} seconds of audio in one message"
                    if self._refused is not None:
                        return None


SentFile.__name__ = "file"  # `open_audio` names what it reads by its class
