"""The workloads that every client runs, and how its process's CPU and memory are measured."""

from __future__ import annotations

import gc
import itertools
import json
import os
import resource
import statistics
import sys
import threading
import time
import types
from collections.abc import Iterator
from typing import Any, Callable

__all__ = [
    "CHUNK",
    "CHUNK_SECONDS",
    "RATE",
    "Idle",
    "Latencies",
    "Live",
    "Message",
    "Workload",
    "audio",
    "cpu_seconds",
    "durations",
    "main",
    "paced",
    "peak_bytes",
    "per_chunk",
    "resident_bytes",
    "weight_of",
]

Message = dict[str, Any]
Workload = Callable[..., dict[str, Any]]

RATE = 16000
CHUNK = 4096
CHUNK_SECONDS = CHUNK / 2 / RATE


def audio(count: int) -> bytes:
    """Return so many chunks of audio; its content does not matter."""
    return os.urandom(CHUNK) * count


def cpu_seconds() -> float:
    """Return the CPU time of this process, including the kernel's."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def switches() -> int:
    """Return how often a thread of this process has given up its core, by waiting."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def resident_bytes() -> int:
    """Return the resident memory of this process, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def peak_bytes() -> int:
    """Return the largest resident memory that this process has had, in bytes."""
    with open("/proc/self/status", encoding="ascii") as status:
        (line,) = [line for line in status if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def weight_of(value: object) -> int:
    """Return how many bytes a value takes with all that it holds, but for classes and code."""
    code = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)
    seen: set[int] = set()
    weight = 0
    waiting = [value]
    while waiting:
        held = waiting.pop()
        if id(held) not in seen and not isinstance(held, code):
            seen.add(id(held))
            weight += sys.getsizeof(held)
            waiting.extend(gc.get_referents(held))
    return weight


class Latencies:
    """How long messages took from the server's send to a handler."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._append = self.seconds.append
        self.counts = False

    def note(self, message: Message) -> None:
        """Note the latency of a transcript; every client uses this as its handler."""
        now = time.monotonic()
        if self.counts:
            self._append(now - message["metadata"]["sent_at"])

    def summary(self) -> dict[str, float]:
        ordered = sorted(self.seconds)
        if not ordered:
            return {}

        def at(part: float) -> float:
            return 1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]

        return {
            "messages": len(ordered),
            "p50_ms": at(0.5),
            "p90_ms": at(0.9),
            "p99_ms": at(0.99),
            "worst_ms": at(1.0),
        }


class Live:
    """A run of many live sessions: what is measured while all of them run.

    Args:
        sessions: How many.
        seconds: For how long it is measured, from a second after the last one has started.
        ramp: Seconds over which they start.
    """

    def __init__(self, sessions: int, seconds: float, ramp: float) -> None:
        self.latencies = Latencies()
        self.over = threading.Event()
        """Set when everything has been measured."""
        self.began = 0.0
        self._sessions = sessions
        self._seconds = seconds
        self._ramp = ramp
        self._lock = threading.Lock()
        self._starting = sessions
        self._all_started = threading.Event()
        self._weight = 0
        self._read_late = 0.0
        self._measured: dict[str, float] = {}

    def weigh(self) -> None:
        """Note the memory of the process before it has a client."""
        gc.collect()
        self._weight = resident_bytes()

    def begin(self) -> None:
        """Count the time from now."""
        self.began = time.monotonic()
        threading.Thread(target=self._measure, daemon=True).start()

    def until_start_of(self, index: int) -> float:
        """Return how many seconds there are until a session is to start."""
        return max(0.0, self.began + self._ramp * index / self._sessions - time.monotonic())

    def started(self, _: object = None) -> None:
        """Note that another session has started."""
        with self._lock:
            self._starting -= 1
            if not self._starting:
                self._all_started.set()

    def note_read(self, due: float) -> None:
        """Note that a chunk which is spoken at a moment is read or pushed now."""
        late = time.monotonic() - due
        if late > self._read_late:
            with self._lock:
                self._read_late = max(self._read_late, late)

    def _measure(self) -> None:
        all_started = self._all_started.wait(self._ramp + 20)
        start_seconds = time.monotonic() - self.began
        time.sleep(1.0)
        switched, used, since = switches(), cpu_seconds(), time.monotonic()
        self.latencies.counts = True
        time.sleep(self._seconds)
        self.latencies.counts = False
        elapsed = time.monotonic() - since
        chunks = self._sessions * elapsed / CHUNK_SECONDS
        self._measured = {
            "cpu": (cpu_seconds() - used) / elapsed,
            "cpu_us_per_chunk": (cpu_seconds() - used) / chunks * 1e6,
            "switches_per_chunk": (switches() - switched) / chunks,
            "kilobytes_per_session": (resident_bytes() - self._weight) / self._sessions / 1000,
            "megabytes": resident_bytes() / 1e6,
            "start_seconds": start_seconds if all_started else -1.0,
            "never_started": self._starting,
            **({"read_late": self._read_late} if self._read_late else {}),
        }
        self.over.set()
        # An overloaded client may take minutes to end its sessions; the result is known now.
        time.sleep(10)
        print(json.dumps(self.result()), flush=True)
        os._exit(0)

    def result(self) -> dict[str, float]:
        """Return what was measured."""
        return {**self._measured, **self.latencies.summary()}


class Idle:
    """One session in a process that has nothing else to do, and messages now and then.

    Args:
        seconds: For how long it is measured, from half a second after the session has started.
    """

    def __init__(self, seconds: float) -> None:
        self.latencies = Latencies()
        self.seconds = seconds

    def begin(self) -> float:
        """Count from now; return how many seconds to wait until `result`."""
        threading.Timer(0.5, self._count).start()
        return self.seconds + 0.5

    def wait(self) -> None:
        """Wait until all is measured."""
        time.sleep(self.begin())

    def result(self) -> dict[str, float]:
        """Return what was measured."""
        return self.latencies.summary()

    def _count(self) -> None:
        self.latencies.counts = True


def paced(run: Live) -> Iterator[bytes]:
    """Yield each chunk when it is due, blocking until then."""
    begun = time.monotonic()
    chunk = audio(1)
    for number in itertools.count(1):
        due = begun + number * CHUNK_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))
        if run.over.is_set():
            return
        run.note_read(due)
        yield chunk


def per_chunk(run: Callable[[], object], count: int) -> dict[str, float]:
    """Return what a run of so many chunks costs."""
    gc.collect()
    used, since = cpu_seconds(), time.monotonic()
    run()
    elapsed = time.monotonic() - since
    return {
        "cpu_us_per_chunk": (cpu_seconds() - used) / count * 1e6,
        "wall_us_per_chunk": elapsed / count * 1e6,
    }


def durations(one: Callable[[], float], count: int) -> dict[str, float]:
    """Return the median, in milliseconds, of so many runs after a first that does not count."""
    one()
    seconds = [one() for _ in range(count)]
    return {"p50_ms": 1000 * statistics.median(seconds), "worst_ms": 1000 * max(seconds)}


def main(workloads: dict[str, Workload]) -> None:
    """Run what the command line names: WORKLOAD URL CORE ARGUMENTS; print the result as JSON."""
    name, url, core, arguments = sys.argv[1:]
    if core != "-":
        os.sched_setaffinity(0, {int(core)})
    print(json.dumps(workloads[name](url, **json.loads(arguments))))
