"""What is measured becomes figures, tables and verdicts to be trusted; no speed is asserted."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path

import docutils.core
import docutils.nodes
import plan
import pytest
import report
from plan import OFFICIAL, OURS, Run

CHUNK = "cpu_us_per_chunk"
FIFTH = report.Target("CPU", 0.2, "× speechmatics-rt", "throughput", OURS, CHUNK, OFFICIAL)
TEN = report.Target("p99", 10, "ms", "live 400", OURS, "p99_ms")


def throughput(ours: float, official: float) -> report.Figures:
    return {"throughput": {OURS: {CHUNK: ours}, OFFICIAL: {CHUNK: official}}}


def verdict(target: report.Target, figures: report.Figures) -> tuple[str, bool]:
    (judged,) = report.judged([target], figures)
    return judged.verdict, judged.fails


class TestVerdicts:
    def test_a_ratio_within_its_limit_is_ok(self) -> None:
        assert verdict(FIFTH, throughput(20, 100)) == ("OK", False)

    def test_a_ratio_that_is_off_by_less_than_twice_does_not_fail(self) -> None:
        assert verdict(FIFTH, throughput(39, 100)) == ("off, 1.95 times", False)

    def test_a_ratio_that_is_off_by_more_than_twice_fails(self) -> None:
        assert verdict(FIFTH, throughput(50, 100)) == ("OFF, 2.5 times", True)

    def test_a_figure_by_itself_is_judged_by_its_limit(self) -> None:
        assert verdict(TEN, {"live 400": {OURS: {"p99_ms": 15.0}}}) == ("off, 1.50 times", False)

    def test_a_ratio_may_be_to_a_figure_of_another_workload(self) -> None:
        target = replace(FIFTH, workload="live 1000", beside_in="throughput")
        figures = {**throughput(1, 100), "live 1000": {OURS: {CHUNK: 20.0}}}
        assert verdict(target, figures) == ("OK", False)

    def test_one_that_was_never_reached_does_not_fail(self) -> None:
        ahead = replace(FIFTH, reached=False)
        assert verdict(ahead, throughput(50, 100)) == ("not yet, 2.50 times", False)
        assert verdict(ahead, throughput(10, 100)) == ("OK", False)

    @pytest.mark.parametrize("measured", [{}, {"live 400": {}}, {"live 400": {OURS: {}}}])
    def test_what_could_not_be_measured_fails(self, measured: report.Figures) -> None:
        assert verdict(TEN, measured) == ("not measured", True)


class TestCombining:
    RUNS = (
        Run("live 400", OURS, {"cpu": 0.3, "worst_lateness": 0.1}),
        Run("live 400", OURS, {"cpu": 0.9, "worst_lateness": 0.7}),
        Run("live 400", OURS, {}, failed="collapsed"),
        Run("live 400", OURS, {"cpu": 0.4, "worst_lateness": 0.2}),
    )

    def test_a_slow_run_does_not_move_the_median_and_no_late_one_is_forgotten(self) -> None:
        figures = report.combined(self.RUNS, statistics.median)
        assert figures["live 400"][OURS] == {"cpu": 0.4, "worst_lateness": 0.7}

    def test_the_least_of_all_runs_can_be_had(self) -> None:
        figures = report.combined(self.RUNS, min, min)
        assert figures["live 400"][OURS] == {"cpu": 0.3, "worst_lateness": 0.1}


class TestPlan:
    @pytest.mark.parametrize(
        ("steps", "targets"),
        [
            (plan.quick(), report.targets(plan.QUICK_LIVE, plan.QUICK_HOURS)),
            (plan.full(), report.targets(plan.FULL_LIVE, plan.FULL_HOURS)),
        ],
        ids=["quick", "full"],
    )
    def test_every_target_is_measured(
        self, steps: list[plan.Step], targets: list[report.Target]
    ) -> None:
        measured = {(step.workload, step.who) for step in steps}
        measured |= {("import", who) for who in report.CLIENTS}
        for target in targets:
            assert (target.workload, target.who) in measured
            beside = target.beside_in or target.workload, target.beside
            assert not target.beside or beside in measured

    @pytest.mark.parametrize("steps", [plan.quick(), plan.full()], ids=["quick", "full"])
    def test_no_client_has_two_turns_before_another_has_one(self, steps: list[plan.Step]) -> None:
        for before, after in zip(steps, steps[1:]):
            assert (before.workload, before.who) != (after.workload, after.who)

    def test_every_step_has_a_script_that_can_be_called_so(self) -> None:
        speed = Path(report.__file__).parent
        for step in [*plan.quick(), *plan.full()]:
            assert (speed / f"{step.script}.py").is_file()
            json.dumps(step.arguments)


FIGURES: report.Figures = {
    "throughput": {who: {CHUNK: 12.345} for who in report.CLIENTS},
    "live 400": {plan.ours("pushed"): {"cpu": 0.25, "p99_ms": 1234.5, "switches_per_chunk": 2.25}},
    "10 h, with a transcript": {OURS: {"grown_megabytes": 17.0, "megabytes_per_hour": 1.5}},
}
MACHINE = dict.fromkeys(["cpu", "cores", "kernel", "python", "versions", "date"], "some")


class TestText:
    def test_the_tables_are_restructuredtext_and_hold_the_figures(self) -> None:
        pages = report.pages(MACHINE, FIGURES, [400, 1000])
        document = docutils.core.publish_doctree(
            pages, settings_overrides={"report_level": 2, "halt_level": 2}
        )
        single, live, length = [
            [
                [entry.astext() for entry in row.findall(docutils.nodes.entry)]
                for row in table.findall(docutils.nodes.row)
            ]
            for table in document.findall(docutils.nodes.table)
        ]
        assert [row[0] for row in single[1:]] == report.CLIENTS
        assert {row[1] for row in single[1:]} == {"12.3"}
        first = ["400", "speechmatics_sync, pushed", "25.0", "–", "1,234", "–", "2.25", "–", "–"]
        assert live[1] == first
        assert length[1] == ["10 h, with a transcript", "17.0", "–", "1.50", "–"]

    def test_verdicts_stand_beside_their_targets(self) -> None:
        text = report.target_table(report.judged([FIFTH], throughput(30, 100)))
        assert text.splitlines()[3] == "CPU ≤ 0.2 × speechmatics-rt 0.300    off, 1.50 times"

    def test_a_document_is_changed_in_its_place_alone(self) -> None:
        document = "before\n\n.. speed: begin\n\nold\n\n.. speed: end\n\nafter\n"
        written = report.inserted(document, "speed", r"new \1")
        assert written == document.replace("old", r"new \1")
        assert report.inserted(written, "speed", r"new \1") == written

    def test_a_document_without_the_place_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no place for 'speed'"):
            report.inserted("before\n\nafter\n", "speed", "new")
