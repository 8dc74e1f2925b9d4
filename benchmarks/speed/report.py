"""From what was measured to figures, tables and verdicts. Pure: values in, text out."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Callable, Optional

from plan import (
    BARE_WEBSOCKET_CLIENT,
    BARE_WEBSOCKETS,
    CLIENT_TOO,
    KINDS,
    LEGACY,
    OFFICIAL,
    OURS,
    Run,
    ours,
)

__all__ = [
    "CLIENTS",
    "Figures",
    "Judged",
    "Target",
    "combined",
    "inserted",
    "judged",
    "pages",
    "summary",
    "table",
    "target_table",
    "targets",
]

Figures = dict[str, dict[str, dict[str, float]]]
"""By workload, client and name of the figure."""

CLIENTS = [OURS, OFFICIAL, LEGACY, BARE_WEBSOCKET_CLIENT, BARE_WEBSOCKETS]
LIVE_CLIENTS = [*(ours(kind) for kind in KINDS), *CLIENTS[1:]]

WORST = {"worst_lateness", "chunks_half_a_second_late", "never_started", "read_late"}
"""Figures of which the worst run counts."""

TOLERANCE = 2.0
"""A figure that misses its target by more than this factor is not noise."""


def combined(
    runs: Iterable[Run],
    usual: Callable[[Sequence[float]], float],
    of_the_worst: Callable[[Sequence[float]], float] = max,
) -> Figures:
    """Return one figure of each kind for each client: the median of its runs, or the least."""
    measured: dict[str, dict[str, dict[str, list[float]]]] = {}
    for run in runs:
        every = measured.setdefault(run.workload, {}).setdefault(run.who, {})
        for name, value in run.figures.items():
            every.setdefault(name, []).append(value)
    return {
        workload: {
            who: {
                name: (of_the_worst if name in WORST else usual)(values)
                for name, values in every.items()
            }
            for who, every in clients.items()
        }
        for workload, clients in measured.items()
    }


# -- targets ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A target.

    Args:
        name: What is measured.
        limit: What it may be at most.
        unit: Of the limit: ``ms``, or beside whom it is a ratio.
        workload: Where it is measured.
        who: With which client.
        figure: Which of its figures.
        beside: Whose figure this one is divided by; nobody's if empty.
        beside_in: The workload that figure is from, if another.
        reached: Whether it has ever been reached: then to be far off is a fault. Of what is still
            to be reached the table says how far off it is.
    """

    name: str
    limit: float
    unit: str
    workload: str
    who: str
    figure: str
    beside: str = ""
    beside_in: str = ""
    reached: bool = True

    def measured(self, figures: Figures) -> Optional[float]:
        """Return the figure, or its ratio to that of `beside`; None if it was not measured."""
        try:
            value = figures[self.workload][self.who][self.figure]
            if not self.beside:
                return value
            return value / figures[self.beside_in or self.workload][self.beside][self.figure]
        except KeyError:
            return None


@dataclass(frozen=True)
class Judged:
    """A target and what was measured."""

    target: Target
    value: Optional[float]

    @property
    def times(self) -> float:
        """How many times the limit it is; infinite if nothing could be measured."""
        return float("inf") if self.value is None else self.value / self.target.limit

    @property
    def fails(self) -> bool:
        """Whether it misses a target that was reached by more than noise explains."""
        return self.target.reached and self.times > TOLERANCE

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.times <= 1:
            return "OK"
        if self.fails:
            return f"OFF, {self.times:.1f} times"
        return f"{'off' if self.target.reached else 'not yet'}, {self.times:.2f} times"


def _ratio(name: str, limit: float, workload: str, who: str, figure: str, beside: str) -> Target:
    return Target(name, limit, f"× {beside}", workload, who, figure, beside)


def _live_targets(count: int, kind: str) -> list[Target]:
    """Return the targets for so many live sessions of a kind."""
    who, live, name = ours(kind), f"live {count}", f"{count:,} live, {kind}"
    weight = "kilobytes_per_session"
    every = [
        _ratio(f"{name}: CPU", 0.8, live, who, "cpu", OFFICIAL),
        Target(f"{name}: latency, p99", 10 if count < 1000 else 50, "ms", live, who, "p99_ms"),
    ]
    # All clients of speechmatics-rt share a TLS context in the runs of 1,000.
    beside = "live 400" if count == 1000 else ""
    share = 1 / 8 if kind == "recorded" else 1 / 4
    memory = _ratio(f"{name}: memory a session", share, live, who, weight, OFFICIAL)
    every.append(replace(memory, beside_in=beside))
    if count < 1000:
        figure = "switches_per_chunk"
        every.append(Target(f"{name}: switches a chunk", 2.5, "", live, who, figure))
    elif kind == "recorded":
        every.append(Target(f"{name}: latest audio", 0.5, "s", live, who, "worst_lateness"))
    else:
        every.append(Target(f"{name}: read late", 0.5, "s", live, who, "read_late"))
    reached = kind == "recorded" or count < 400
    return [replace(target, reached=reached) for target in every]


def targets(live: Mapping[int, Sequence[str]], hours: float) -> list[Target]:
    """Return the targets for so many live sessions of these kinds, and this length of audio."""
    chunk = "cpu_us_per_chunk"
    every = [
        _ratio("one session, CPU a chunk", 0.2, "throughput", OURS, chunk, OFFICIAL),
        _ratio("one session, CPU a chunk", 1.0, "throughput", OURS, chunk, BARE_WEBSOCKET_CLIENT),
        _ratio("2 channels, CPU a chunk", 0.35, "2 channels", OURS, chunk, OFFICIAL),
    ]
    for name, limit in (("calls", 30), ("modules", 8)):
        title = f"a pushed chunk: {'Python ' if name == 'calls' else ''}{name} it passes"
        every.append(Target(title, limit, "", "a pushed chunk", OURS, name))
    for count, kinds in live.items():
        for kind in kinds:
            every += _live_targets(count, kind)
    without, along = (f"{hours:g} h, {kept} a transcript" for kept in ("without", "with"))
    grown, kept = "grown_megabytes", "beyond_transcript_megabytes"
    return [
        *every,
        Target("idle: latency, p99", 1, "ms", "idle", OURS, "p99_ms"),
        _ratio("import", 1.3, "import", OURS, "ms", BARE_WEBSOCKET_CLIENT),
        Target(f"{hours:g} h, no transcript: growth", 20, "MB", without, OURS, grown),
        Target(f"{hours:g} h: growth beyond it", 20, "MB", along, OURS, kept),
        Target("an hour's transcript", 5, "MB", along, OURS, "megabytes_per_hour"),
    ]


def judged(every: Iterable[Target], figures: Figures) -> list[Judged]:
    """Return each target with what was measured."""
    return [Judged(target, target.measured(figures)) for target in every]


# -- text ---------------------------------------------------------------------------------------


def number(value: Optional[float], digits: int = 3) -> str:
    """Return so many digits of a figure, and a dash for one that there is not."""
    if value is None:
        return "–"
    before = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:,.{max(0, digits - before)}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a simple table of reStructuredText."""
    body = [list(row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(head, *body)]
    rule = " ".join("=" * width for width in widths)
    lines = [
        " ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in [list(head), *body]
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule, ""])


def single_table(figures: Figures) -> str:
    """Return what one session costs, by client."""

    def cell(who: str, workload: str, figure: str) -> str:
        return number(figures.get(workload, {}).get(who, {}).get(figure))

    head = [
        "",
        "CPU a chunk (µs)",
        "2 channels (µs)",
        "idle p50 (ms)",
        "p99 (ms)",
        "start, ws (ms)",
        "wss (ms)",
        "import (ms)",
    ]
    columns = [
        ("throughput", "cpu_us_per_chunk"),
        ("2 channels", "cpu_us_per_chunk"),
        ("idle", "p50_ms"),
        ("idle", "p99_ms"),
        ("start, ws", "p50_ms"),
        ("start, wss", "p50_ms"),
        ("import", "ms"),
    ]
    return table(head, ([who, *(cell(who, *column) for column in columns)] for who in CLIENTS))


def live_table(figures: Figures, counts: Sequence[int]) -> str:
    """Return the cost of so many live sessions, by client."""
    rows = []
    for count in counts:
        clients = figures.get(f"live {count}", {})
        for who in LIVE_CLIENTS:
            if who in clients:
                of = clients[who].get
                cpu = of("cpu")
                rows.append(
                    [
                        f"{count:,}",
                        who,
                        number(None if cpu is None else 100 * cpu),
                        number(of("p50_ms")),
                        number(of("p99_ms")),
                        number(of("kilobytes_per_session")),
                        number(of("switches_per_chunk")),
                        number(of("worst_lateness")),
                        number(of("read_late")),
                    ]
                )
    head = [
        "sessions",
        "client",
        "CPU (% of a core)",
        "p50 (ms)",
        "p99 (ms)",
        "KB a session",
        "switches a chunk",
        "latest audio (s)",
        "read late (s)",
    ]
    return table(head, rows)


def length_table(figures: Figures) -> str:
    """Return the memory that a long recording takes."""
    rows = []
    for workload, clients in figures.items():
        if OURS in clients and "grown_megabytes" in clients[OURS]:
            of = clients[OURS].get
            named = ["grown_megabytes", "transcript_megabytes", "megabytes_per_hour", "seconds"]
            rows.append([workload, *(number(of(name)) for name in named)])
    head = ["audio", "growth (MB)", "transcript (MB)", "an hour of it (MB)", "took (s)"]
    return table(head, rows)


def target_table(every: Iterable[Judged]) -> str:
    """Return each target beside what was measured."""
    rows = [
        [
            one.target.name,
            f"≤ {one.target.limit:.4g} {one.target.unit}".rstrip(),
            number(one.value),
            one.verdict,
        ]
        for one in every
    ]
    return table(["", "target", "measured", "verdict"], rows)


def pages(machine: dict[str, str], figures: Figures, counts: Sequence[int]) -> str:
    """Return all tables, with where and with what they were measured."""
    where = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, {machine['python']}, "
        f"{machine['versions']}; {machine['date']}."
    )
    client = figures.get("import", {}).get(CLIENT_TOO, {}).get("ms")
    return "\n".join(
        [
            single_table(figures),
            f"``from speechmatics_sync import Client`` takes {number(client)} ms.\n",
            live_table(figures, counts),
            length_table(figures),
            "\n".join(textwrap.wrap(where, 100)),
            "",
        ]
    )


def summary(run: Run) -> str:
    """Return what a run has measured, in a few words."""
    if run.failed is not None:
        return run.failed
    of = run.figures
    said = []
    if "cpu" in of:
        said.append(f"CPU {100 * of['cpu']:.0f} %")
    for name, unit in (
        ("cpu_us_per_chunk", "µs a chunk"),
        ("calls", "calls"),
        ("modules", "modules"),
        ("main_calls", "calls in the main thread"),
        ("ms", "ms"),
        ("p50_ms", "ms p50"),
        ("p99_ms", "ms p99"),
        ("kilobytes_per_session", "KB a session"),
        ("switches_per_chunk", "switches a chunk"),
        ("read_late", "s read late"),
        ("grown_megabytes", "MB more"),
        ("megabytes_per_hour", "MB an hour"),
    ):
        if name in of:
            said.append(f"{number(of[name])} {unit}")
    if of.get("never_started"):
        said.append(f"{of['never_started']:.0f} never started")
    return ", ".join(said)


def inserted(document: str, name: str, text: str) -> str:
    """Return a document with a text between the comments that mark its place.

    Raises:
        ValueError: The document has no such place.
    """
    place = re.compile(rf"(?<=^\.\. {name}: begin\n)(.*?)(?=^\.\. {name}: end$)", re.DOTALL | re.M)
    if place.search(document) is None:
        raise ValueError(f"there is no place for {name!r}")
    return place.sub(lambda _: f"\n{text.strip()}\n\n", document)
