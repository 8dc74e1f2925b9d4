"""A fleet of machines that transcribes 10,000 live calls: how many it takes, and what goes wrong.

    $ export PYTHONPATH=.:benchmarks/speed
    $ python benchmarks/fleet.py            # prints the tables
    $ python benchmarks/fleet.py --write    # puts them into docs/scale.rst

A simulation, second by second, with a seed: no machine is measured here. What a session costs is
read from ``benchmarks/results``. Calls arrive at random (Poisson) and last five minutes on average
(exponential); a new one goes to the less busy of two machines, picked at random. The account counts
sessions: one too many is refused, and tried again as `ReconnectPolicy` does; its audio waits.

A machine that dies takes its sessions along. Whoever has the audio notices and connects elsewhere,
but the service counts the dead sessions until it misses their pings. A deploy takes one machine
after another: no new calls, some time for those that run, then what is left is handed on (a new
session elsewhere begins while the old one says its last finals), and then a start.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional

from report import inserted, table

from speechmatics_sync import ReconnectPolicy

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "scale.rst"
RESULTS = ROOT / "benchmarks" / "results" / "results.json"

CALLS = 10_000
"""How many run at a time, on average."""
CALL_SECONDS = 300
SESSIONS_A_CORE = 400
"""Of one process. More fit, but leave less for a burst."""
CORES = 4
"""Of a machine, with a process for each."""
ROOM = SESSIONS_A_CORE * CORES

NOTICED = 3
"""Seconds until the source of a call notices that its machine has died."""
FORGOTTEN = 180
"""Seconds for which the service counts a session whose client is gone without a word."""
OVERLAP = 5
"""Seconds for which a session that is handed on has not ended: its last finals."""
RESTART = 60
"""Seconds for a machine to come back with another version."""
POLICY = ReconnectPolicy()


@dataclass(frozen=True)
class Scenario:
    """What happens to a fleet; times in seconds.

    Args:
        name: What it is called in the table.
        limit: Sessions that the account allows.
        dies: Whether a machine dies after two minutes.
        grace: What running calls are given when a machine is to end; None: there is no deploy.
        machines: How many there are.
        seconds: How long it goes on, at least.
    """

    name: str
    limit: Optional[int] = None
    dies: bool = False
    grace: Optional[int] = None
    machines: int = 0
    seconds: int = 900


@dataclass
class Outcome:
    """What came of it."""

    begun: int = 0
    """Calls, those that ran at the beginning included."""
    ended: int = 0
    running: int = 0
    most: int = 0
    """Sessions that the account counted at worst."""
    busiest: int = 0
    """Sessions of one machine at worst."""
    handed_on: int = 0
    cut_off: int = 0
    """Calls whose machine died."""
    no_room: int = 0
    """How often no machine had room."""
    over_meanwhile: int = 0
    """Calls that were over while they had no session, or were refused as often as is tried."""
    waits: list[float] = field(default_factory=list)
    """Seconds, of each session that was refused at first and then began."""
    sessions: int = 0
    """How many began."""
    deployed: Optional[int] = None
    """When every machine had the new version, in seconds."""


class Fleet:
    """The fleet, and the calls.

    Args:
        scenario: What happens.
        seed: Of chance.
    """

    def __init__(self, scenario: Scenario, seed: int = 1) -> None:
        self.outcome = Outcome()
        self._scenario = scenario
        self._chance = random.Random(seed)
        self._machines: list[set[int]] = [set() for _ in range(scenario.machines)]
        self._open = list(range(scenario.machines))
        """Machines that take calls."""
        self._of: list[int] = []
        """The machine of each call; -1 while it has none."""
        self._over: list[bool] = []
        self._ends: dict[int, list[int]] = defaultdict(list)
        self._tries: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        """By second: calls, how often each was tried before, and since when."""
        self._freed: dict[int, int] = defaultdict(int)
        self._counted = 0
        """Sessions that the account counts."""
        self._to_deploy = list(range(scenario.machines)) if scenario.grace is not None else []
        self._leaving: Optional[tuple[int, int]] = None
        """The machine that is to end, and when."""
        self._back: dict[int, int] = {}

    def run(self) -> Outcome:
        """Let it happen."""
        self._limit = math.inf  # for those that run already
        for _ in range(CALLS):
            self._call(0)
        self._limit = self._scenario.limit or math.inf
        now = 0
        while now < self._scenario.seconds or self._to_deploy or self._leaving or self._back:
            now += 1
            self._second(now)
        self.outcome.running = self._over.count(False)
        return self.outcome

    def _second(self, now: int) -> None:
        outcome = self.outcome
        self._counted -= self._freed.pop(now, 0)
        for call in self._ends.pop(now, ()):
            if not self._over[call]:
                self._over[call] = True
                if self._of[call] < 0:
                    outcome.over_meanwhile += 1
                else:
                    outcome.ended += 1
                    self._leave(call)
        if self._scenario.dies and now == 120:
            self._die(now)
        self._deploy(now)
        for call, tried, since in self._tries.pop(now, ()):
            self._try(call, tried, since, now)
        for _ in range(self._arrivals()):
            self._call(now)
        outcome.most = max(outcome.most, self._counted)
        outcome.busiest = max(outcome.busiest, max(map(len, self._machines)))

    def _arrivals(self) -> int:
        """Return how many calls come in a second: a Poisson number (Knuth)."""
        least, count, product = math.exp(-CALLS / CALL_SECONDS), 0, self._chance.random()
        while product > least:
            count += 1
            product *= self._chance.random()
        return count

    def _call(self, now: int) -> None:
        call = len(self._of)
        self.outcome.begun += 1
        self._of.append(-1)
        self._over.append(False)
        lasts = self._chance.expovariate(1 / CALL_SECONDS)
        self._ends[now + max(1, math.ceil(lasts))].append(call)
        self._try(call, 0, now, now)

    def _try(self, call: int, tried: int, since: int, now: int) -> None:
        """Begin a session, if the account and a machine let it."""
        if self._over[call]:
            return
        machine = self._less_busy()
        if self._counted < self._limit and machine is not None:
            self._machines[machine].add(call)
            self._of[call] = machine
            self._counted += 1
            self.outcome.sessions += 1
            if tried:
                self.outcome.waits.append(now - since)
            return
        self.outcome.no_room += machine is None
        if tried >= POLICY.max_attempts:
            self._over[call] = True
            self.outcome.over_meanwhile += 1
            return
        doubled = min(POLICY.max_delay, POLICY.initial_delay * 2 ** max(0, tried - 1))
        wait = max(POLICY.busy_delay, doubled * self._chance.uniform(0.5, 1))
        self._tries[now + math.ceil(wait)].append((call, tried + 1, since))

    def _less_busy(self) -> Optional[int]:
        one, other = self._chance.choice(self._open), self._chance.choice(self._open)
        best = min(one, other, key=lambda machine: len(self._machines[machine]))
        if len(self._machines[best]) >= ROOM:
            best = min(self._open, key=lambda machine: len(self._machines[machine]))
        return best if len(self._machines[best]) < ROOM else None

    def _leave(self, call: int) -> None:
        self._machines[self._of[call]].discard(call)
        self._of[call] = -1
        self._counted -= 1

    def _die(self, now: int) -> None:
        dead = self._open.pop()
        calls, self._machines[dead] = sorted(self._machines[dead]), set()
        self.outcome.cut_off = len(calls)
        self._freed[now + FORGOTTEN] += len(calls)
        for call in calls:
            self._of[call] = -1
            self._tries[now + NOTICED].append((call, 0, now))

    def _deploy(self, now: int) -> None:
        for machine, at in list(self._back.items()):
            if now >= at:
                del self._back[machine]
                self._open.append(machine)
        if self._leaving is not None:
            machine, at = self._leaving
            if now < at and self._machines[machine]:
                return
            for call in sorted(self._machines[machine]):
                self._leave(call)
                self._counted += 1  # for its last finals
                self._freed[now + OVERLAP] += 1
                self.outcome.handed_on += 1
                self._try(call, 0, now, now)
            self._leaving = None
            self._back[machine] = now + RESTART
            if not self._to_deploy:
                self.outcome.deployed = now + RESTART
        elif self._to_deploy and not self._back:
            machine = self._to_deploy.pop()
            self._open.remove(machine)
            self._leaving = machine, now + (self._scenario.grace or 0)


# -- what the page shows ------------------------------------------------------------------------


def machines_needed(calls: int, spare: int = 2) -> int:
    """Return how many machines carry so many calls on average.

    For three standard deviations more, on machines of which one may have died while another one
    is to end.
    """
    return math.ceil((calls + 3 * math.sqrt(calls)) / ROOM) + spare


def scenarios() -> list[Scenario]:
    """Return the scenarios of the page."""
    every = [
        Scenario("nothing happens"),
        Scenario("a machine dies", dies=True),
        Scenario("deploy, calls handed on at once", grace=0),
        Scenario("deploy, 5 min for calls to end", grace=300),
        Scenario("account of 10,000", limit=10_000),
        Scenario("account of 10,300", limit=10_300),
        Scenario("account of 10,300, a machine dies", limit=10_300, dies=True),
        Scenario("account of 12,000, a machine dies", limit=12_000, dies=True),
    ]
    return [replace(each, machines=machines_needed(CALLS)) for each in every]


@functools.cache
def outcome_of(scenario: Scenario) -> Outcome:
    """Return what comes of a scenario on the page."""
    return Fleet(scenario).run()


def outcome_table() -> str:
    """Return what comes of each scenario."""
    rows = []
    for scenario in scenarios():
        came = outcome_of(scenario)
        waits = sorted(came.waits)
        rows.append(
            [
                scenario.name,
                f"{came.most:,}",
                f"{came.busiest:,}",
                f"{came.cut_off:,}" if scenario.dies else "–",
                f"{came.handed_on:,}" if scenario.grace is not None else "–",
                "–" if came.deployed is None else f"{came.deployed / 60:.0f} min",
                f"{100 * len(waits) / came.sessions:.1f} %",
                f"{waits[len(waits) * 99 // 100]:.0f} s" if waits else "–",
                f"{came.over_meanwhile:,}",
            ]
        )
    head = [
        "", "sessions", "busiest machine", "cut off", "handed on", "deploy takes", "waited",
        "p99 of these", "over meanwhile",
    ]  # fmt: skip
    return table(head, rows)


def size_table() -> str:
    """Return what a process and a machine hold, from what was measured."""
    figures = json.loads(RESULTS.read_text(encoding="utf-8"))["figures"]
    rows = []
    for kind in ("blocking", "pushed", "fed", "recorded"):
        measured = figures[f"live {SESSIONS_A_CORE}"][f"speechmatics_sync, {kind}"]
        growth = figures["10 h, with a transcript"]["speechmatics_sync"]["megabytes_per_hour"]
        each = measured["kilobytes_per_session"] / 1000 + growth * CALL_SECONDS / 3600
        rows.append(
            [
                kind,
                f"{SESSIONS_A_CORE}",
                f"{100 * measured['cpu']:.0f} %",
                f"{measured['p99_ms']:.0f} ms",
                f"{each:.2f} MB",
                f"{measured['megabytes'] + SESSIONS_A_CORE * growth * CALL_SECONDS / 3600:.0f} MB",
                f"{ROOM:,}",
            ]
        )
    head = [
        "audio", "sessions", "of a core", "latency, p99", "a session", "a process",
        f"machine of {CORES} cores",
    ]  # fmt: skip
    return table(head, rows)


def page() -> str:
    """Return the page with the tables as they are now."""
    text = PAGE.read_text(encoding="utf-8")
    needed = table(
        ["calls at a time", "machines", "sessions a machine", "if one dies amid a deploy"],
        [
            [f"{n:,}", str(m), f"{n / m:,.0f}", f"{n / (m - 2):,.0f}"]
            for n, m in ((n, machines_needed(n)) for n in (1_000, 3_000, CALLS, 30_000))
        ],
    )
    for name, part in (("size", size_table()), ("machines", needed), ("fleet", outcome_table())):
        text = inserted(text, name, part)
    return text


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="into docs/scale.rst")
    if parser.parse_args().write:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(size_table(), outcome_table(), sep="\n")


if __name__ == "__main__":
    main()
