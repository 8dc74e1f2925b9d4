"""How long it takes to import a client: a whole process, less one that imports nothing."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import Optional

from plan import BARE_WEBSOCKET_CLIENT, BARE_WEBSOCKETS, CLIENT_TOO, LEGACY, OFFICIAL, OURS, Run
from running import environment

__all__ = ["import_times"]

STATEMENTS = {
    OURS: "import speechmatics_sync",
    CLIENT_TOO: "from speechmatics_sync import Client",
    BARE_WEBSOCKET_CLIENT: "import websocket",
    BARE_WEBSOCKETS: "import websockets.sync.client",
    OFFICIAL: "import speechmatics.rt",
    LEGACY: "import speechmatics",
}


def import_times(names: list[str], repetitions: int, core: Optional[int]) -> list[Run]:
    """Return what each takes: the median of interleaved runs, after one that fills the caches."""

    def seconds(statement: str, name: str) -> float:
        since = time.perf_counter()
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", statement],
            env=environment(name == LEGACY),
            check=True,
            capture_output=True,
        )
        return time.perf_counter() - since

    statements = {"": "pass", **{name: STATEMENTS[name] for name in names}}
    taken: dict[str, list[float]] = {name: [] for name in statements}
    mine = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        for repetition in range(repetitions + 1):
            for name, statement in statements.items():
                took = seconds(statement, name)
                if repetition:
                    taken[name].append(took)
    finally:
        os.sched_setaffinity(0, mine)
    nothing = statistics.median(taken.pop(""))
    return [
        Run("import", name, {"ms": 1000 * (statistics.median(every) - nothing)})
        for name, every in taken.items()
    ]
