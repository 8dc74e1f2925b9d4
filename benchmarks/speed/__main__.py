"""Measure this client beside others: `make bench`, or what the targets need: `make bench-quick`."""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import plan
import report
from importing import STATEMENTS, import_times
from machine import described
from plan import Run
from running import LEGACY_PACKAGES, ROOT, Bench

RESULTS = ROOT / "benchmarks" / "results"
NOTES = ROOT / "benchmarks" / "NOTES.rst"
DOCS = ROOT / "docs" / "speed.rst"
COUNTS = [50, 200, 400, 1000]
IMPORT_SECONDS = 0.08


def measure(bench: Bench, steps: Sequence[plan.Step]) -> list[Run]:
    """Run each step; print its result and how many are left."""
    runs = []
    expected = sum(step.seconds for step in steps)
    done, begun = 0.0, time.monotonic()
    for index, step in enumerate(steps, 1):
        run = bench.run(step)
        runs.append(run)
        done += step.seconds
        left = round((expected - done) * (time.monotonic() - begun) / done)
        print(
            f"{index:3}/{len(steps)}  {step.workload:25} {step.who:27} {report.summary(run):60}"
            f"  {left // 60}:{left % 60:02} left",
            flush=True,
        )
    return runs


def import_runs(names: Iterable[str], repetitions: int, bench: Bench) -> list[Run]:
    """Measure what imports take."""
    runs = import_times(list(names), repetitions, bench.client_core)
    for run in runs:
        print(f"         {run.workload:25} {run.who:27} {report.summary(run)}", flush=True)
    return runs


def quick(bench: Bench) -> int:
    """Print the targets beside what is measured; return 1 where one is off by more than twice.

    The least of several runs counts, since whatever else the machine does can only add to it; and
    what seems to be that far off is measured once more.
    """
    names = [plan.OURS, plan.BARE_WEBSOCKET_CLIENT]
    steps = plan.quick()
    targets = report.targets(plan.QUICK_LIVE, plan.QUICK_HOURS)
    runs = [*import_runs(names, 10, bench), *measure(bench, steps)]
    judged = report.judged(targets, report.combined(runs, min, min))
    again = {one.target.workload for one in judged if one.fails}
    if again:
        print("Off by more than twice, so once more:", ", ".join(sorted(again)), flush=True)
        runs += measure(bench, [step for step in dict.fromkeys(steps) if step.workload in again])
        if "import" in again:
            runs += import_runs(names, 20, bench)
        judged = report.judged(targets, report.combined(runs, min, min))
    print()
    print(report.target_table(judged))
    return int(any(one.fails for one in judged))


def full(bench: Bench, steps: Sequence[plan.Step], where: Path) -> int:
    """Measure everything and write the results."""
    from plots import draw  # matplotlib takes a second that the quick run has no use for

    where_and_when = described(LEGACY_PACKAGES)
    runs = [*import_runs(STATEMENTS, 20, bench), *measure(bench, steps)]
    figures = report.combined(runs, statistics.median)
    judged = report.judged(report.targets(plan.FULL_LIVE, plan.FULL_HOURS), figures)
    where.mkdir(exist_ok=True)
    results = {
        "machine": where_and_when,
        "figures": figures,
        "targets": [{**asdict(one.target), "measured": one.value} for one in judged],
        "runs": [asdict(run) for run in runs],
    }
    # Six digits are more than any run repeats.
    rounded = json.loads(json.dumps(results), parse_float=lambda text: float(f"{float(text):.6g}"))
    (where / "results.json").write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")
    tables = report.pages(where_and_when, figures, COUNTS)
    (where / "table.rst").write_text(tables, encoding="utf-8")
    draw(figures, COUNTS, where)
    if where == RESULTS:
        short = report.pages(where_and_when, figures, [400, 1000])
        for document, name, text in (
            (DOCS, "speed", short),
            (NOTES, "targets", report.target_table(judged)),
        ):
            written = report.inserted(document.read_text(encoding="utf-8"), name, text)
            document.write_text(written, encoding="utf-8")
    print()
    print(tables)
    print(report.target_table(judged))
    print("Written to", where)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what the targets need")
    parser.add_argument("--only", default="", metavar="REGEX", help="only these workloads, clients")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIRECTORY")
    options = parser.parse_args()
    if options.only and options.results == RESULTS:
        parser.error("a part is not to replace the results of all: say --results DIRECTORY")
    if not sys.platform.startswith("linux"):
        sys.exit("The benchmarks read /proc and pin processes to cores: they need Linux.")
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory))
        if bench.client_core is None:
            print("There is one core only: the server shares it with the clients.")
        else:
            print(f"Clients on core {bench.client_core}, the server on core {bench.server_core}.")
        if os.getloadavg()[0] > 0.5:
            print(f"The machine does something else: its load is {os.getloadavg()[0]:.1f}.")
        if options.quick:
            return quick(bench)
        if not LEGACY_PACKAGES.is_dir():
            sys.exit(f"speechmatics-python is not in {LEGACY_PACKAGES}: make bench installs it.")
        wanted = re.compile(options.only)
        steps = [step for step in plan.full() if wanted.search(f"{step.workload}, {step.who}")]
        return full(bench, steps, options.results)


if __name__ == "__main__":
    sys.exit(main())
