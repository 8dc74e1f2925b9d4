"""What became of one source."""

import reprlib
from typing import Any, NamedTuple, Optional

from .._transcript.transcript import Transcript

__all__ = ["Job"]


class Job(NamedTuple):
    """What became of one source of `transcribe_many`.

    Args:
        source: The source, as it was given.
        transcript: What was heard; None if it failed.
        error: Why it failed, else None. What was heard until then is its ``transcript``.
        seconds: How long its session took, without the time that it waited for one.
        attempts: How many sessions were tried: more than one if the server had no room, 0 if the
            transcript comes from the ledger, or the source could not be sent or known again.

    Example:
        >>> for job in transcribe_many(["agent.wav", "customer.wav"]):
        ...     print(job.source, job.error or job.transcript.text)
    """

    source: Any
    transcript: Optional[Transcript]
    error: Optional[Exception]
    seconds: float
    attempts: int

    def __repr__(self) -> str:
        # The source may be hours of audio.
        values = zip(self._fields, (reprlib.repr(self.source), *map(repr, self[1:])))
        return f"Job({', '.join(f'{name}={value}' for name, value in values)})"


Job.__module__ = "speechmatics_sync"  # which loads this one only when it is needed
