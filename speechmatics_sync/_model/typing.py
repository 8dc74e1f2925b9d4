"""Names for values that pass between the rooms."""

from __future__ import annotations

from typing import Any, Optional

__all__ = ["NOW", "Label", "Message", "Now"]

Label = Optional[str]
"""A channel's label; None for the only channel of a session that has one."""

Message = dict[str, Any]
"""A message of the protocol, as JSON has it."""


class Now:
    """The end of the audio sent so far, as the timestamp of a ForceEndOfUtterance."""

    def __repr__(self) -> str:
        return "<audio sent so far>"


NOW = Now()
