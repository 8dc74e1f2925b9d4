"""Audio in which a number is heard, to tell many sources apart."""

from __future__ import annotations

from speechmatics_sync.local import counted_audio


def audio(number: int) -> bytes:
    """Audio in which the number is heard."""
    return counted_audio(1, first=number, period=0.2)
