"""Plots of what was measured."""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot
from plan import BARE_WEBSOCKET_CLIENT, BARE_WEBSOCKETS, KINDS, LEGACY, OFFICIAL, OURS, ours
from report import CLIENTS, LIVE_CLIENTS, Figures

__all__ = ["draw"]

GREENS = ("#0b6e4f", "#3fa34d", "#8bc34a", "#00a896")
COLOURS = {
    OURS: "#0b6e4f",
    **dict(zip(map(ours, KINDS), itertools.cycle(GREENS))),
    OFFICIAL: "#d1495b",
    LEGACY: "#edae49",
    BARE_WEBSOCKET_CLIENT: "#30638e",
    BARE_WEBSOCKETS: "#8d99ae",
}


def draw(figures: Figures, counts: list[int], where: Path) -> None:
    """Draw throughput as bars, and CPU, latency and memory of live sessions as lines."""
    # The same figures make the same file.
    mpl.rcParams.update({"svg.hashsalt": "speed", "font.size": 9, "axes.axisbelow": True})
    _bars(figures, where / "throughput.svg")
    for figure, factor, title, name, logarithmic in (
        ("cpu", 100.0, "CPU, % of a core", "live_cpu", False),
        ("p99_ms", 1.0, "latency p99, ms", "live_p99", True),
        ("kilobytes_per_session", 1.0, "memory a session, KB", "live_memory", True),
    ):
        _lines(figures, counts, figure, factor, title, logarithmic, where / f"{name}.svg")


def _save(where: Path) -> None:
    pyplot.tight_layout()
    pyplot.savefig(where, metadata={"Date": None})
    pyplot.close()
    lines = where.read_text(encoding="utf-8").splitlines()
    where.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


def _bars(figures: Figures, where: Path) -> None:
    _, axes = pyplot.subplots(figsize=(7, 3))
    for offset, workload, shade in ((0.2, "throughput", 1.0), (-0.2, "2 channels", 0.5)):
        for place, who in enumerate(reversed(CLIENTS)):
            value = figures.get(workload, {}).get(who, {}).get("cpu_us_per_chunk", 0.0)
            bar = axes.barh(place + offset, value, 0.38, color=COLOURS[who], alpha=shade)
            label = "" if shade == 1.0 else " (2 channels)"
            axes.bar_label(bar, [f" {value:.0f}{label}"], fontsize=7)
    axes.set_yticks(range(len(CLIENTS)), list(reversed(CLIENTS)))
    axes.set_xlabel("CPU a chunk of 4,096 bytes at full speed, µs")
    axes.set_xlim(right=1.1 * axes.get_xlim()[1])
    axes.grid(axis="x", alpha=0.3)
    _save(where)


def _lines(
    figures: Figures,
    counts: list[int],
    figure: str,
    factor: float,
    title: str,
    logarithmic: bool,
    where: Path,
) -> None:
    _, axes = pyplot.subplots(figsize=(7, 4))
    for who in LIVE_CLIENTS:
        measured = {
            count: factor * figures[f"live {count}"][who][figure]
            for count in counts
            if figure in figures.get(f"live {count}", {}).get(who, {})
        }
        if measured:
            style = "-" if who.startswith(OURS) else "--"
            axes.plot(*zip(*measured.items()), style, marker="o", label=who, color=COLOURS[who])
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(counts)
    axes.set_xlabel("live sessions in one process")
    axes.set_ylabel(title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    _save(where)
