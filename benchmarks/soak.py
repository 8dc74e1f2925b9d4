"""Whether anything is lost when dozens of sessions lose their connections at random places.

    $ make soak                                   # three minutes
    $ python benchmarks/soak.py --seconds 30 --seed 7 --sessions 40

Sessions of every kind (pulled and pushed, of one stream and of several channels, from sources that
can be read again and from those that cannot) run at once through a proxy that breaks their
connections (`fault_proxy`), to an embedded server in a process of its own. The audio counts: at
the end of each session every word must be there once, in order, at its time (`witness`). At the
end of all, no thread and no socket may be left, and no memory beyond 100 KB.

The seed decides what each session does and where its connections break; when the operating system
lets whom run is not in its hands. Ends with exit code 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import http.client  # noqa: F401  (loaded by the first refusal, it would count as growth)
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Callable

from calls import KINDS, PATIENCE, Call, Tally
from fault_proxy import FATAL, FaultProxy
from weather import Weather
from witness import TURN, VOICES

GROWTH = 100 * 1024
"""Growth below this many bytes does not count as a leak."""
SETTLING = 15.0
"""Seconds for threads and sockets to end."""


@contextmanager
def server_process() -> Iterator[tuple[str, dict[str, Any]]]:
    """Run a server in a process of its own; give its URL, and at the end what it saw."""
    saw: dict[str, Any] = {}
    command = [sys.executable, os.path.abspath(__file__), "--serve"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        url = process.stdout.readline().strip() if process.stdout is not None else ""
        yield url, saw
        answer, _ = process.communicate(timeout=60)
        saw.update(json.loads(answer))


def serve() -> None:
    """Be that process: serve until standard input ends."""
    from speechmatics_sync.local import CountedRecognizer, LocalServer

    errors: Counter[str] = Counter()
    recognizer = CountedRecognizer(
        delay=0.6, voices=[f"voice {n}" for n in range(VOICES)], turn=TURN
    )
    with LocalServer(recognizer=recognizer, strict=True, max_sessions=2000) as server:
        print(server.url, flush=True)
        sys.stdin.read()
        for record in server.sessions:
            if record.error is not None:
                errors[f"{record.error['type']}: {record.error['reason']}"] += 1
    print(json.dumps(errors))


class Soak:
    """Runs calls, so many at once, and looks at what they leave behind."""

    def __init__(self, *, sessions: int, seed: int, url: str, weather: Weather) -> None:
        self._sessions = sessions
        self._seed = seed
        self._url = url
        self._weather = weather
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def run(self, more: Callable[[int], bool]) -> Tally:
        """Run calls, several at once, while `more` allows it, given how many have begun."""
        tally = Tally()
        begun = itertools.count()

        def work() -> None:
            while more(next(begun)):
                call = Call(next(self._numbers), self._seed, self._url, self._weather)
                call.run(tally, self._lock)

        workers = [
            threading.Thread(target=work, name=f"soak-{number}") for number in range(self._sessions)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return tally


def memory() -> int:
    gc.collect()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def open_sockets() -> set[str]:
    found = set()
    with suppress(FileNotFoundError):  # not Linux
        for number in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                name = os.readlink(f"/proc/self/fd/{number}")
                if name.startswith("socket:"):
                    found.add(name)
    return found


def left_over(threads: set[threading.Thread], sockets: set[str]) -> tuple[list[str], list[str]]:
    """Return the threads and sockets beside these that do not end within `SETTLING` seconds."""
    deadline = time.monotonic() + SETTLING
    while True:
        more_threads = [thread.name for thread in set(threading.enumerate()) - threads]
        more_sockets = sorted(open_sockets() - sockets)
        if not (more_threads or more_sockets) or time.monotonic() > deadline:
            return more_threads, more_sockets
        time.sleep(0.05)


def soak(*, seconds: float, sessions: int, seed: int, healthy: bool) -> bool:
    """Run it all and print the figures; return whether all is well."""
    weather = Weather(seed, healthy=healthy)
    # The start_session of a call that hangs has no limit of its own.
    faulthandler.dump_traceback_later(seconds + 2 * PATIENCE, exit=True)
    tracemalloc.start()
    with server_process() as (server, saw), FaultProxy(server, weather.choose) as proxy:
        threads, sockets = set(threading.enumerate()), open_sockets()
        calls = Soak(sessions=sessions, seed=seed, url=proxy.url, weather=weather)
        warm_up = calls.run(lambda begun: begun < max(sessions, len(KINDS)))
        left_over(threads, sockets)
        before, happened = memory(), Counter(proxy.happened)
        until = time.monotonic() + seconds
        tally = calls.run(lambda begun: time.monotonic() < until)
        threads_left, sockets_left = left_over(threads, sockets)
        growth = memory() - before
        happened = proxy.happened - happened
        connections = proxy.connections
    faulthandler.cancel_dump_traceback_later()
    tracemalloc.stop()

    wrong = [*warm_up.wrong, *tally.wrong]
    wrong += [f"thread left: {name}" for name in threads_left]
    wrong += [f"socket left: {name}" for name in sockets_left]
    wrong += [f"the server sent {count} x {error}" for error, count in saw.items()]
    if growth >= GROWTH:
        wrong.append(f"{growth / 1024:.0f} KB of growth")
    lost = sum(count for kind, count in happened.items() if kind in FATAL)
    rows: list[tuple[str, object]] = [
        ("seed", seed),
        ("sessions at once", sessions),
        ("sessions", sum(tally.calls.values())),
        *((f"  {kind}", count) for kind, count in sorted(tally.calls.items())),
        ("hours of audio", f"{tally.seconds / 3600:.1f}"),
        ("connections", f"{connections} (with those of the warm-up)"),
        ("connections lost", lost),
        *((f"  {kind}", count) for kind, count in sorted(happened.items()) if kind in FATAL),
        ("other faults", sum(happened.values()) - lost),
        *((f"  {kind}", count) for kind, count in sorted(happened.items()) if kind not in FATAL),
        ("outages that users were told of", tally.outages),
        ("hours of audio sent again", f"{tally.replayed / 3600:.1f}"),
        ("sessions with a voice relabelled", tally.relabelled),
        ("words", tally.words),
        ("words lost", tally.lost + warm_up.lost),
        ("words repeated", tally.repeated + warm_up.repeated),
        ("threads left", len(threads_left)),
        ("sockets left", len(sockets_left)),
        ("growth", f"{growth / 1024:.1f} KB"),
    ]
    for name, value in rows:
        print(f"{name:<34} {value}")
    for number, problem in enumerate(wrong, 1):
        print(f"\n{number}. {problem}")
    verdict = f"{len(wrong)} things are wrong" if wrong else "nothing is wrong"
    print(f"\n{verdict}; again with: --seed {seed} --seconds {seconds:g} --sessions {sessions}")
    return not wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=180, help="how long calls are begun")
    parser.add_argument("--sessions", type=int, default=40, help="how many run at once")
    parser.add_argument("--seed", type=int, default=None, help="by default another each time")
    parser.add_argument("--healthy", action="store_true", help="break no connection")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return 0
    seed = random.SystemRandom().randrange(1 << 31) if arguments.seed is None else arguments.seed
    well = soak(
        seconds=arguments.seconds,
        sessions=arguments.sessions,
        seed=seed,
        healthy=arguments.healthy,
    )
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
