"""Types of values that several rooms exchange."""

from __future__ import annotations

from typing import Any, Optional

__all__ = ["NOW", "Label", "Message", "Now"]

Label = Optional[str]
"""A channel's label; None in a session with one channel."""

Message = dict[str, Any]
"""A message of the protocol, as decoded from JSON."""


class Now:
    """The end of the audio sent so far, as the timestamp of a ForceEndOfUtterance."""

    def __repr__(self) -> str:
        return "<audio sent so far>"


NOW = Now()
