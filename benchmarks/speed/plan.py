"""The runs and their order: interleaved, so that a slow minute affects every client."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Optional

__all__ = [
    "BARE_WEBSOCKETS",
    "BARE_WEBSOCKET_CLIENT",
    "CLIENT_TOO",
    "FULL_HOURS",
    "FULL_LIVE",
    "KINDS",
    "LEGACY",
    "OFFICIAL",
    "OURS",
    "QUICK_HOURS",
    "QUICK_LIVE",
    "Run",
    "Step",
    "full",
    "ours",
    "quick",
]

OURS = "speechmatics_sync"
OFFICIAL = "speechmatics-rt"
LEGACY = "speechmatics-python"
BARE_WEBSOCKET_CLIENT = "websocket-client, bare"
BARE_WEBSOCKETS = "websockets.sync, bare"

CLIENT_TOO = f"{OURS}, Client"
"""What is loaded when a name is used counts too, when imports are measured."""

SCRIPTS = {
    OURS: "ours",
    OFFICIAL: "official",
    LEGACY: "legacy",
    BARE_WEBSOCKET_CLIENT: "bare_websocket_client",
    BARE_WEBSOCKETS: "bare_websockets",
}

KINDS = ("blocking", "pushed", "fed", "recorded")
"""Who paces live audio: a source that blocks, the program, which pushes it from a thread for each
session or from one for all of them, or this client, which has all of it at hand."""

FULL_LIVE = dict.fromkeys((50, 200, 400, 1000), KINDS)
"""How many live sessions are run and held to targets, and of which kinds."""

QUICK_LIVE = {
    50: ("blocking", "pushed", "fed"),
    400: KINDS,
    1000: ("blocking", "fed", "recorded"),
}

FULL_HOURS = 10
QUICK_HOURS = 2

TLS_CONTEXT_SECONDS = 0.018
"""What a client of `speechmatics-rt` takes to make."""


@dataclass(frozen=True)
class Step:
    """One run of one client in a process of its own.

    Args:
        workload: What is measured, as tables name it.
        who: Which client, as tables name it.
        function: The workload's function in the client's script.
        arguments: What it is called with.
        seconds: How long it takes, more or less.
        tls: Whether the server speaks TLS.
    """

    workload: str
    who: str
    function: str
    arguments: dict[str, Any] = field(hash=False)
    seconds: float
    tls: bool = False

    @property
    def script(self) -> str:
        """The file that runs it, without its suffix."""
        return SCRIPTS.get(self.who, "ours")


@dataclass(frozen=True)
class Run:
    """What was measured in a step; `failed` says why it was not."""

    workload: str
    who: str
    figures: dict[str, float]
    failed: Optional[str] = None


def ours(kind: str) -> str:
    """Return the name of this client in live sessions of a kind."""
    return f"{OURS}, {kind}"


def _throughput(count: int, clients: Iterable[str]) -> list[Step]:
    seconds = 1 + count * 1e-4
    return [Step("throughput", who, "throughput", {"count": count}, seconds) for who in clients]


def _multichannel(count: int, clients: Iterable[str]) -> list[Step]:
    arguments = {"count": count, "channels": 2}
    seconds = 1 + count * 1.5e-4
    return [Step("2 channels", who, "multichannel", arguments, seconds) for who in clients]


def _live(sessions: int, seconds: float, clients: Iterable[str], **more: Any) -> list[Step]:
    ramp = 2.0 if sessions > 50 else 0.5
    arguments = {"sessions": sessions, "seconds": seconds, "ramp": ramp}
    steps = []
    for who in clients:
        particular: dict[str, Any] = {}
        takes = ramp + seconds + 2.5
        if who.startswith(OURS):
            particular["kind"] = who.partition(", ")[2]
        elif who == OFFICIAL:
            particular.update(more)
            if not more:
                takes += sessions * TLS_CONTEXT_SECONDS
        steps.append(Step(f"live {sessions}", who, "live", {**arguments, **particular}, takes))
    return steps


def _calls() -> list[Step]:
    return [Step("a pushed chunk", OURS, "calls", {"chunks": 15}, 2)]


def _idle(seconds: float, clients: Iterable[str]) -> list[Step]:
    arguments = {"seconds": seconds, "every": 0.05}
    return [Step("idle", who, "idle", arguments, seconds + 1.5) for who in clients]


def _starting(count: int, clients: Iterable[str]) -> list[Step]:
    return [
        Step("start, wss" if tls else "start, ws", who, "starting", {"count": count}, 1.5, tls)
        for tls in (False, True)
        for who in clients
    ]


def _length(hours: float) -> list[Step]:
    return [
        Step(
            f"{hours:g} h, {'with' if collect else 'without'} a transcript",
            OURS,
            "length",
            {"hours": hours, "collect": collect},
            1 + 2 * hours,
        )
        for collect in (False, True)
    ]


def full() -> list[Step]:
    """Return all of it: eleven minutes."""
    every = list(SCRIPTS)
    kinds = [ours(kind) for kind in KINDS]
    others = [LEGACY, BARE_WEBSOCKET_CLIENT, BARE_WEBSOCKETS]
    steps = [
        *3 * _throughput(10_000, every),
        *3 * _multichannel(10_000, every),
        *_calls(),
        *_idle(4, every),
        *_starting(50, every),
        *_live(50, 4, [*kinds, OFFICIAL]),
        # Bare loops and the old client are run only where they do not collapse.
        *_live(200, 4, [*kinds, OFFICIAL, *others]),
        *_live(400, 4, [*kinds, OFFICIAL]),
        *_live(400, 4, [*kinds, OFFICIAL]),
        # What a client of speechmatics-rt weighs is known from the 400.
        *_live(1000, 4, [*kinds, OFFICIAL], shared_tls=True),
        *_live(1000, 4, [*kinds, OFFICIAL], shared_tls=True),
    ]
    return [*steps, *_length(FULL_HOURS)]


def quick() -> list[Step]:
    """Return what the targets need: less than three minutes."""
    both = [OURS, OFFICIAL]
    live = {count: [*map(ours, kinds), OFFICIAL] for count, kinds in QUICK_LIVE.items()}
    return [
        *_calls(),
        *3 * _throughput(4000, [*both, BARE_WEBSOCKET_CLIENT]),
        *2 * _multichannel(4000, both),
        # Long enough that a single hiccup of the machine does not reach the p99.
        *_idle(6, [OURS]),
        *_live(50, 3, live[50]),
        *_live(400, 3, live[400]),
        # What a client of speechmatics-rt weighs is known from the 400; 17 s are saved here.
        *_live(1000, 3, live[1000], shared_tls=True),
        *_length(QUICK_HOURS),
    ]
