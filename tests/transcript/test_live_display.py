"""Live lines, on whatever surface shows them."""

from __future__ import annotations

import itertools
import time
import weakref
from collections.abc import Sequence
from typing import Optional

import pytest
from support.live import END_OF_TRANSCRIPT, partial
from support.transcripts import final, result

from speechmatics_sync import Line, LiveText
from speechmatics_sync._transcript.views.live import LiveDisplay


class Surface:
    """Keeps what it is told to show, and when."""

    shows_progress = False

    def __init__(self, *, is_costly: bool, fails_after: Optional[int] = None) -> None:
        self.is_costly = is_costly
        self.draws: list[tuple[float, list[str]]] = []
        self.final: list[str] = []
        self.ended = 0
        self._fails_after = fails_after

    def draw(self, final: Sequence[Line], growing: Sequence[Line]) -> None:
        if len(self.draws) == self._fails_after:
            raise LookupError("no more")
        self.final += [line.text for line in final]
        self.draws.append((time.monotonic(), [line.text for line in growing]))

    def status(self, text: str) -> None: ...

    def clear(self) -> bool:
        return False

    def end(self) -> None:
        self.ended += 1


def line(text: str, *, id: int = 1, settled: int = 0, is_final: bool = False) -> Line:
    return Line(id, text, settled, None, None, float(id), id + 1.0, is_final)


def test_a_costly_surface_is_drawn_at_most_ten_times_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    milliseconds = itertools.count(7000)
    monkeypatch.setattr(time, "monotonic", lambda: next(milliseconds) / 1000)
    surface = Surface(is_costly=True)
    display = LiveDisplay(lambda: surface)
    for word in range(3000):
        display.show([line(f"w{word}")])
        display.tick()
    monkeypatch.undo()
    times = [at for at, _ in surface.draws]
    assert len(times) > 15
    for at in times:
        assert sum(at <= other < at + 1 for other in times) <= 10
    display.show([line("all.", is_final=True)])
    display.settle()
    assert surface.final == ["all."]
    assert surface.draws[-1][1] == []


def test_what_came_too_fast_is_shown_with_a_later_tick() -> None:
    surface = Surface(is_costly=True)
    display = LiveDisplay(lambda: surface)
    for text in ("a", "ab", "abc", "abcd"):
        display.show([line(text)])
        display.tick()
    deadline = time.monotonic() + 5
    while surface.draws[-1][1] != ["abcd"]:
        assert time.monotonic() < deadline
        display.tick()
    count = len(surface.draws)
    display.tick()
    assert len(surface.draws) == count  # nothing is new


@pytest.mark.parametrize("fails_after", [0, 1, 2])
def test_a_surface_that_raises_is_dropped(
    fails_after: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="speechmatics_sync")
    surface = Surface(is_costly=False, fails_after=fails_after)
    display = LiveDisplay(lambda: surface)
    for text in ("a", "ab", "abc"):
        display.show([line(text)])
        display.tick()
    display.progress(1.0, None)
    display.clear()
    display.close()
    assert len(surface.draws) == fails_after
    assert surface.ended == 0
    assert caplog.text.count("No live lines: LookupError: no more") == 1


def test_nothing_is_kept_for_a_surface_that_was_dropped() -> None:
    display = LiveDisplay(lambda: Surface(is_costly=False, fails_after=0))
    shown = line("all.", is_final=True)
    kept = weakref.ref(shown)
    display.show([shown])
    del shown
    assert kept() is None


def test_what_a_signal_handler_raises_comes_out() -> None:
    """Such as the time limit of a task queue."""
    import os
    import signal

    class Alarmed(Surface):
        def draw(self, final: Sequence[Line], growing: Sequence[Line]) -> None:
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(5)

    def alarm(*_: object) -> None:
        raise TimeoutError("the task's time is over")

    before = signal.signal(signal.SIGUSR1, alarm)
    try:
        with pytest.raises(TimeoutError, match="task"):
            LiveDisplay(lambda: Alarmed(is_costly=False))
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_closing_keeps_what_is_settled_of_lines_that_grow() -> None:
    surface = Surface(is_costly=True)
    display = LiveDisplay(lambda: surface)
    display.show([line("one tow", settled=4), line("guess", id=2)])
    display.close()
    display.close()
    assert surface.final == ["one "]
    assert surface.draws[-1][1] == []
    assert surface.ended == 1


def test_adding_to_live_text_shows_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    live = LiveText()
    live.display()
    live.display()  # as in a cell that is run again
    live.add(partial(result("hello", 0, 1)))
    live.add(final(result("hello", 0, 1)))
    assert capsys.readouterr().out == ""
    live.add(END_OF_TRANSCRIPT)
    assert capsys.readouterr().out == "hello\n"
