"""The simulated fleet loses no call without saying so, and the page shows what it does."""

from __future__ import annotations

from dataclasses import replace

import fleet
import pytest


def test_the_page_shows_what_the_simulation_and_the_benchmarks_say() -> None:
    """If not: ``python benchmarks/fleet.py --write``."""
    assert fleet.PAGE.read_text(encoding="utf-8") == fleet.page()


@pytest.mark.parametrize("scenario", fleet.scenarios(), ids=lambda scenario: scenario.name)
def test_every_call_is_accounted_for(scenario: fleet.Scenario) -> None:
    came = fleet.outcome_of(scenario)
    assert came.begun == came.ended + came.running + came.over_meanwhile
    assert came.busiest <= fleet.ROOM
    assert came.no_room == 0
    if scenario.limit is None:
        assert came.waits == []
    else:
        assert came.most <= scenario.limit
    if scenario.limit is None and not scenario.dies:
        assert came.over_meanwhile == 0
    assert (came.deployed is None) == (scenario.grace is None)


def test_chance_comes_from_the_seed_alone() -> None:
    scenario = replace(fleet.scenarios()[-2], seconds=180)
    assert fleet.Fleet(scenario).run() == fleet.Fleet(scenario).run()
    assert fleet.Fleet(scenario).run() != fleet.Fleet(scenario, seed=2).run()


def test_machines_without_room_keep_calls_waiting() -> None:
    """As many machines as would do without bursts."""
    came = fleet.Fleet(fleet.Scenario("", machines=6, seconds=60)).run()
    assert came.no_room > 0
    assert came.busiest == fleet.ROOM
