"""What happens to which connection of a soak: chosen at random, from the seed alone."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from typing import Optional
from urllib.parse import parse_qs, urlsplit

from fault_proxy import Fault
from wire_frames import DOWN, UP, after_bytes, after_frames

__all__ = ["Weather"]

CODES = (1001, 1011, 1012, 1013, 1014)
"""Close codes which, without an Error, are a lost connection."""

FIRST: dict[Optional[str], int] = {
    None: 10, "reset": 20, "fin": 14, "close": 14, "cut": 12, "silence": 7, "mute": 7,
    "stall": 6, "trickle": 5, "split": 5,
}  # fmt: skip
"""How likely it is what happens to the first connection of a session. None is refused, for that
raises at once."""
LATER: dict[Optional[str], int] = {
    None: 50, "refuse": 10, "busy": 6, "reset": 8, "fin": 6, "close": 6, "cut": 6, "silence": 2,
    "mute": 2, "stall": 2, "trickle": 1, "split": 1,
}  # fmt: skip


class Weather:
    """Decides what happens to which connection, from the seed alone.

    Args:
        seed: Of the run.
        healthy: Whether nothing happens at all.
    """

    def __init__(self, seed: int, *, healthy: bool) -> None:
        self._seed = seed
        self._healthy = healthy
        self._lock = threading.Lock()  # calls come and go in their threads, the proxy asks in its
        self._sizes: dict[str, tuple[int, int]] = {}
        self._faults: dict[str, list[str]] = defaultdict(list)

    def begin(self, call: str, size: int, chunks: int) -> None:
        """A call of so many bytes and chunks of audio begins."""
        with self._lock:
            self._sizes[call] = size, chunks

    def end(self, call: str) -> list[str]:
        """A call has ended; return what was to happen to its connections, in order."""
        with self._lock:
            self._sizes.pop(call)
            return self._faults.pop(call, [])

    def choose(self, target: str) -> Optional[Fault]:
        """Decide about a new connection."""
        call = parse_qs(urlsplit(target).query)["call"][0]
        with self._lock:
            if self._healthy or call not in self._sizes:
                return None
            size, chunks = self._sizes[call]
            number = len(self._faults[call])
            chance = random.Random(f"{self._seed}/{call}/{number}")
            kinds = FIRST if number == 0 else LATER
            kind = chance.choices(list(kinds), list(kinds.values()))[0]
            if kind is None:
                self._faults[call].append("none")
                return None
            # A connection that replaces another carries less: half of them break early.
            share = chance.random() ** (1 if number == 0 else 3)
            if chance.random() < 0.5:
                place, when = f"byte {int(share * size)} up", after_bytes(UP, int(share * size))
            else:
                frame = 2 + int(share * chunks * 1.3)
                place, when = f"frame {frame} down", after_frames(DOWN, frame)
            fault = Fault(
                kind, when, code=chance.choice(CODES), passes=chance.random() < 0.5,
                seconds=chance.uniform(0.05, 0.6),
            )  # fmt: skip
            self._faults[call].append(f"{kind} at {place}")
            return fault
