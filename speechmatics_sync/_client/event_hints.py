"""What looks like a mistake in the registration of a handler, for a warning."""

from __future__ import annotations

import re
from types import FunctionType
from typing import Optional

from .._model.messages import ServerMessageType, SessionEvent

__all__ = ["are_one_function", "near_match"]

_SIMILARITY = 0.75
"""Of 1; one letter too few, too many or swapped in a short name is above it."""

_KNOWN = frozenset(event.value for kind in (ServerMessageType, SessionEvent) for event in kind)
_OTHER_WORDS = {
    "final": ServerMessageType.ADD_TRANSCRIPT.value,
    "partial": ServerMessageType.ADD_PARTIAL_TRANSCRIPT.value,
    "transcript": ServerMessageType.ADD_TRANSCRIPT.value,
    "partialtranscript": ServerMessageType.ADD_PARTIAL_TRANSCRIPT.value,
    "reconnecting": SessionEvent.RECONNECTING.value,
    "reconnected": SessionEvent.RECONNECTED.value,
}
"""What users and other clients call these events."""


def near_match(name: str) -> Optional[str]:
    """Return the event that an unknown name may stand for, or None.

    Example:
        >>> near_match("AddTranscrpt"), near_match("add_transcript"), near_match("final")
        ('AddTranscript', 'AddTranscript', 'AddTranscript')
        >>> near_match("AddTranscript"), near_match("Novelty")
        (None, None)
    """
    if name in _KNOWN:
        return None
    import difflib  # few programs need it

    names = {**{_letters(known): known for known in sorted(_KNOWN)}, **_OTHER_WORDS}
    near = difflib.get_close_matches(_letters(name), names, 1, _SIMILARITY)
    return names[near[0]] if near else None


def _letters(name: str) -> str:
    return re.sub("[^a-z]", "", name.lower())


def are_one_function(handler: object, other: object) -> bool:
    """Return whether two handlers are one function, perhaps defined twice.

    A notebook's cell that is run again defines its functions again. Functions that hold different
    values (closures, defaults) are different ones, and so are the lambdas of different lines.
    """
    if handler == other:
        return True
    if not isinstance(handler, FunctionType) or not isinstance(other, FunctionType):
        return False
    if any(each.__closure__ or each.__defaults__ for each in (handler, other)):
        return False
    if (handler.__module__, handler.__qualname__) != (other.__module__, other.__qualname__):
        return False
    return handler.__name__ != "<lambda>" or handler.__code__ == other.__code__
