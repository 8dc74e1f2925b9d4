"""Each limit passes at its moment, and at no other: no clock runs here."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechmatics_sync import ConnectionConfig, ConnectionError, TimeoutError
from speechmatics_sync._protocol.leg import Due, State
from speechmatics_sync._protocol.time_limits import Limits

RUNNING, STARTING = State.RUNNING, State.STARTING
A, B = (Due.ACKNOWLEDGEMENT, "a"), (Due.ACKNOWLEDGEMENT, "b")
BEGUN = 100.0
"""When the connection begins: not at zero, or what is not counted from there would look right."""
JUST = 0.001
"""Seconds before a moment at which nothing has happened yet."""


class Timed:
    """The limits of a connection that has none but these, told in seconds from its beginning."""

    def __init__(self, **config: Any) -> None:
        names = ("start_timeout", "ack_timeout", "ping_interval", "ping_timeout")
        self.limits = Limits(ConnectionConfig(**{**dict.fromkeys(names), **config}), BEGUN)

    def note(
        self,
        at: float,
        owed: Optional[dict[Any, int]] = None,
        *,
        heard: float = 0.0,
        unblocked: float = 0.0,
    ) -> None:
        self.limits.note(
            BEGUN + at, heard=BEGUN + heard, owed=owed or {}, unblocked=BEGUN + unblocked
        )

    def passes(self, at: float, state: State = RUNNING) -> str:
        """What passes at this moment; it has not just before."""
        assert self.limits.passed(BEGUN + at - JUST, state) is None
        error = self.limits.passed(BEGUN + at, state)
        assert isinstance(error, TimeoutError if state is STARTING else ConnectionError)
        return error.message

    def ping(self, at: float) -> None:
        """Have a ping sent at this moment; none is due just before, nor once it is sent."""
        assert not self.limits.ping_is_due(BEGUN + at - JUST)
        assert self.limits.ping_is_due(BEGUN + at)
        assert not self.limits.ping_is_due(BEGUN + at)

    def never_passes(self) -> bool:
        return self.limits.passed(BEGUN + 1e6, RUNNING) is None

    def patience(self, at: float, state: State = RUNNING) -> Any:
        found = self.limits.patience(BEGUN + at, state)
        return None if found is None else pytest.approx(found)


@pytest.mark.parametrize(
    ("config", "accuracy"),
    [({}, 1.0), ({"ack_timeout": 40, "ping_timeout": 2}, 0.25), ({"start_timeout": 1}, 0.125)],
)
def test_limits_are_checked_as_often_as_the_shortest_needs(config: Any, accuracy: float) -> None:
    assert Timed(**config).limits.accuracy == accuracy


def test_without_limits_nothing_passes_and_nothing_is_waited_for() -> None:
    timed = Timed()
    timed.note(0, {A: 0})
    assert timed.never_passes()
    assert timed.limits.passed(BEGUN + 1e6, STARTING) is None
    assert not timed.limits.ping_is_due(BEGUN + 1e6)
    assert timed.patience(0) is timed.patience(0, STARTING) is None


def test_a_session_starts_within_its_limit_which_then_counts_no_more() -> None:
    timed = Timed(start_timeout=20)
    assert "start_timeout (20 s)" in timed.passes(20, STARTING)
    assert timed.never_passes()
    assert timed.patience(5, STARTING) == 15
    assert timed.patience(25, STARTING) == 0
    assert timed.patience(5) is None


def test_only_start_timeout_limits_the_start() -> None:
    timed = Timed(start_timeout=100, ack_timeout=1)
    timed.note(0, {A: 0})
    timed.passes(100, STARTING)
    # A limit that does not count must not keep the receiver awake either.
    assert timed.patience(50, STARTING) == 50


def test_what_is_owed_has_a_limit_that_progress_restarts_and_nothing_else() -> None:
    timed = Timed(ack_timeout=120)
    assert timed.patience(0) == 30  # something may become owed meanwhile
    timed.note(10, {A: 0, B: 7})
    timed.note(50, {A: 0, B: 8}, heard=50)
    assert "owed an acknowledgement" in timed.passes(130)
    assert "ack_timeout (120 s)" in timed.passes(130)
    assert timed.patience(60) == 30
    assert timed.patience(110) == 20
    timed.note(60, {A: 1, B: 8})
    timed.passes(170)
    timed.note(60, {A: 1, (Due.END, None): 0})
    timed.note(70, {A: 2, (Due.END, None): 0})
    assert "owed EndOfTranscript" in timed.passes(180)
    timed.note(80)
    assert timed.never_passes()


def test_time_in_which_nothing_was_read_does_not_count() -> None:
    timed = Timed(ack_timeout=30, ping_interval=200, ping_timeout=60)
    timed.note(0, {A: 3})
    timed.limits.restart(BEGUN + 50)
    timed.ping(55)
    timed.limits.restart(BEGUN + 100)
    timed.note(100, {A: 3})
    timed.note(101, {A: 3})
    timed.passes(114)  # nothing since then, after the ping
    timed.note(101, {A: 3}, heard=101)
    timed.passes(130)
    timed.note(101, heard=101)
    timed.limits.restart(BEGUN + 102)
    assert timed.never_passes()  # no ping is unanswered
    timed = Timed(ping_interval=20, ping_timeout=60)
    timed.ping(20)
    timed.limits.restart(BEGUN + 50)
    timed.passes(110)


def test_pings_go_on_and_the_first_unanswered_one_counts() -> None:
    timed = Timed(ping_interval=20, ping_timeout=60)
    for at in (20, 40, 60):
        timed.ping(at)
    assert timed.patience(79.5) == 0.5
    assert "ping_timeout (60 s)" in timed.passes(80)
    timed.note(70, heard=20)  # what came no later than the ping does not answer it
    timed.passes(80)
    timed.note(70, heard=20 + JUST)
    assert timed.never_passes()
    timed.ping(80)
    timed.passes(140)


def test_a_server_that_owes_and_says_nothing_is_pinged_and_given_up_sooner() -> None:
    timed = Timed(ping_interval=20, ping_timeout=60)
    timed.note(1, {A: 0})
    assert timed.patience(2) == 4
    timed.ping(6)
    assert timed.patience(7) == 4
    timed.ping(11)
    timed.ping(16)
    assert timed.patience(17) == 3
    assert "nothing arrived for 20 s" in timed.passes(20)
    # A pong is life: the server is only slow.
    timed.note(12, {A: 0}, heard=12)
    assert timed.never_passes()
    timed.ping(21)
    timed.passes(35)
    # So is a network that takes bytes again, though it is no answer.
    timed.note(30, {A: 0}, heard=12, unblocked=25)
    timed.passes(39)
    # What is owed anew is no silence of before.
    timed.note(30)
    assert timed.limits.passed(BEGUN + 76, RUNNING) is None
    timed.note(40, {A: 1})
    timed.passes(54)


def test_a_connection_is_looked_at_each_second_while_something_may_become_owed() -> None:
    timed = Timed(ping_interval=20, ping_timeout=60)
    assert timed.patience(10) == 1
    assert timed.patience(10, STARTING) == 10
    assert timed.patience(19.5) == 0.5


def test_without_ping_timeout_silence_ends_nothing_but_what_is_owed() -> None:
    timed = Timed(ping_interval=20, ack_timeout=120)
    timed.note(0, {A: 0})
    timed.ping(5)
    assert "ack_timeout" in timed.passes(120)


def runs(
    watched: Limits, *, silent_from: float, pong_after: Optional[float] = None
) -> tuple[str, float]:
    """Look at the limits as the receiver does: audio is acknowledged until the silence.

    Returns:
        The error of the limit that passes, and when it does.
    """
    now, pongs = 0.0, [0.0]
    while now < 1000.0:
        pong = max(at for at in pongs if at <= now)
        watched.note(
            now,
            heard=max(pong, min(now, silent_from)),
            owed={A: int(10 * min(now, silent_from))},
        )
        error = watched.passed(now, State.RUNNING)
        if error is not None:
            assert isinstance(error, ConnectionError)
            return str(error), now
        if watched.ping_is_due(now) and pong_after is not None:
            pongs.append(now + pong_after)
        patience = watched.patience(now, State.RUNNING)
        assert patience is not None
        now += max(patience, watched.accuracy)
    raise AssertionError("no limit passes")


@pytest.mark.parametrize("silent_from", [0.1, 50.0, 50.1, 52.5, 54.9])
def test_a_path_that_carries_nothing_is_found_out_within_20_seconds(silent_from: float) -> None:
    error, at = runs(Limits(ConnectionConfig(), 0.0), silent_from=silent_from)
    assert "not even the answer to a ping" in error
    assert 15.0 <= at - silent_from <= 20.0


@pytest.mark.parametrize("pong_after", [0.2, 10.0])
def test_a_server_that_answers_pings_is_given_ack_timeout(pong_after: float) -> None:
    error, at = runs(
        Limits(ConnectionConfig(ack_timeout=120), 0.0), silent_from=50.0, pong_after=pong_after
    )
    assert "ack_timeout" in error
    assert 169.0 <= at <= 172.0


@pytest.mark.parametrize("off", [{"ping_interval": None}, {"ping_timeout": None}])
def test_without_pings_silence_is_no_sign(off: dict[str, Any]) -> None:
    error, _ = runs(Limits(ConnectionConfig(ack_timeout=120, **off), 0.0), silent_from=50.0)
    assert "ack_timeout" in error


LIMIT = st.one_of(st.none(), st.sampled_from([1.0, 7.0, 30.0]))
EVENTS = st.lists(st.tuples(st.sampled_from(["heard", "owed", "paid", "wait"]), st.floats(0, 20)))


@given(st.tuples(LIMIT, LIMIT, LIMIT, LIMIT), EVENTS, st.sampled_from([STARTING, RUNNING]))
def test_nothing_passes_and_no_ping_is_due_while_there_is_patience(
    config: Any, events: list[tuple[str, float]], state: State
) -> None:
    names = ("start_timeout", "ack_timeout", "ping_interval", "ping_timeout")
    limits = Limits(ConnectionConfig(**dict(zip(names, config))), BEGUN)
    now, heard, owed = BEGUN, BEGUN, {}
    for event, after in events:
        now += after
        if event == "heard":
            heard = now
        elif event != "wait":
            owed = {A: len(owed)} if event == "owed" else {}
        limits.note(now, heard=heard, owed=owed)
        limits.ping_is_due(now)
        patience = limits.patience(now, state)
        later = now + (1e6 if patience is None else patience - JUST)
        if later > now:
            assert limits.passed(later, state) is None
            assert not limits.ping_is_due(later)
