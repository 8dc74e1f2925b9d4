"""What happens to which connection of a soak: chosen at random, from the seed alone."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import Optional
from urllib.parse import parse_qs, urlsplit

from fault_proxy import AT_HANDSHAKE, FATAL, Fault
from wire_frames import DOWN, UP, after_bytes, after_frames

__all__ = ["Weather"]

CODES = (1001, 1011, 1012, 1013, 1014)
"""Close codes which, without an Error, are a lost connection."""

FIRST: dict[Optional[str], int] = {
    None: 10, "reset": 20, "fin": 14, "close": 14, "cut": 12, "silence": 7, "mute": 7,
    "stall": 6, "trickle": 5, "split": 5, "refuse": 5, "busy": 3,
}  # fmt: skip
"""How likely it is what happens to the first connection of a session."""
LATER: dict[Optional[str], int] = {
    None: 50, "refuse": 10, "busy": 6, "reset": 8, "fin": 6, "close": 6, "cut": 6, "silence": 2,
    "mute": 2, "stall": 2, "trickle": 1, "split": 1,
}  # fmt: skip
EARLY_BYTES, EARLY_FRAMES = 4000, 4
"""Before so many bytes up or frames down, recognition may not have started."""


@dataclass
class _Call:
    """What is known about a call while it runs."""

    size: int
    chunks: int
    breaks_early: bool = False
    faults: list[str] = field(default_factory=list)


class Weather:
    """Decides what happens to which connection.

    Args:
        seed: Of the run.
        healthy: Whether nothing happens at all.
    """

    def __init__(self, seed: int, *, healthy: bool) -> None:
        self._seed = seed
        self._healthy = healthy
        self._lock = threading.Lock()  # calls come and go in their threads, the proxy asks in its
        self._calls: dict[str, _Call] = {}

    def begin(self, key: str, size: int, chunks: int) -> None:
        """A call of so many bytes and chunks of audio begins."""
        with self._lock:
            self._calls[key] = _Call(size, chunks)

    def end(self, key: str) -> list[str]:
        """A call has ended; return what was to happen to its connections, in order."""
        with self._lock:
            return self._calls.pop(key).faults

    def choose(self, target: str) -> Optional[Fault]:
        """Decide about a new connection, by the ``call`` in its handshake's query."""
        key = parse_qs(urlsplit(target).query)["call"][0]
        with self._lock:
            call = self._calls.get(key)
            if self._healthy or call is None:
                return None
            first = not call.faults
            chance = random.Random(f"{self._seed}/{key}/{len(call.faults)}")
            kinds = FIRST if first else LATER
            kind = chance.choices(list(kinds), list(kinds.values()))[0]
            if kind in AT_HANDSHAKE and call.breaks_early:
                kind = None  # of a session that has not begun, that raises at once too
            if kind is None:
                call.faults.append("none")
                return None
            # A connection that replaces another carries less: most of them break early.
            share = chance.random() ** (1 if first else 3)
            if chance.random() < 0.5:
                at = int(share * call.size)
                early, place, when = at < EARLY_BYTES, f"byte {at} up", after_bytes(UP, at)
            else:
                at = 2 + int(share * call.chunks * 1.3)
                early, place, when = at < EARLY_FRAMES, f"frame {at} down", after_frames(DOWN, at)
            if first and kind in FATAL:
                call.breaks_early = early
            call.faults.append(f"{kind} at {place}" if kind not in AT_HANDSHAKE else kind)
            return Fault(
                kind, when, code=chance.choice(CODES), passes=chance.random() < 0.5,
                seconds=chance.uniform(0.05, 0.6),
            )  # fmt: skip
