"""How many sessions run at once follows from what the server refuses."""

from __future__ import annotations

import pytest

from speechmatics_sync._many.pace import Pace


class Account:
    """A server with room for so many sessions; and a run that wants as many as it may."""

    def __init__(self, room: int, pace: Pace) -> None:
        self.room = room
        self.pace = pace
        self.running = 0
        self.refused = 0

    def pass_time(self, now: float) -> None:
        while self.pace.room(self.running, now):
            if self.running < self.room:
                self.running += 1
            else:
                self.refused += 1
                self.pace.refused(self.running, now)


def test_as_many_run_as_the_server_lets() -> None:
    account = Account(7, Pace(20, 5))
    account.pass_time(0)
    assert (account.running, account.refused) == (7, 1)
    account.pass_time(4.9)
    assert account.refused == 1
    assert account.pace.slowed


def test_tries_for_more_become_rare_while_they_are_refused() -> None:
    account = Account(7, Pace(20, 5))
    for now in range(3600):
        account.pass_time(now)
    assert account.running == 7
    assert 55 <= account.refused <= 70, "one a minute"


def test_more_run_again_when_there_is_room() -> None:
    account = Account(2, Pace(100, 5))
    account.pass_time(0)
    account.room = 1000
    times = [now for now in range(600) if account.pass_time(now) or account.running < 100]
    assert account.running == 100
    assert times[-1] < 120
    assert not account.pace.slowed


def test_an_account_that_others_have_filled_is_asked_now_and_then() -> None:
    account = Account(0, Pace(10, 5))
    for now in range(600):
        account.pass_time(now)
    assert 10 <= account.refused <= 20
    account.room = 1
    for now in range(600, 700):
        account.pass_time(now)
    assert account.running == 1


@pytest.mark.parametrize("wait", [0, 30])
def test_the_server_may_say_when_to_come_again(wait: float) -> None:
    pace = Pace(10, 5)
    pace.refused(3, 0, wait)
    assert pace.until == max(5, wait)
    assert not pace.room(3, pace.until - 0.1)
    assert pace.room(3, pace.until)


def test_sessions_that_were_refused_together_count_once() -> None:
    pace = Pace(10, 5)
    for running in range(9, 2, -1):
        pace.refused(running, 0)
    assert (pace.limit, pace.until) == (3, 5)
    assert pace.room(3, 5)
    pace.refused(3, 5.1)
    assert pace.until == pytest.approx(15.1)
