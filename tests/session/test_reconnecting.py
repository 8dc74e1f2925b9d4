"""What is tried again when a connection is lost, how often, and after how long."""

from __future__ import annotations

import email.utils
import functools
import time
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechmatics_sync import (
    AudioError,
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    ReconnectPolicy,
    TimeoutError,
    TranscriptionError,
    TransportError,
)
from speechmatics_sync._session.reconnecting import Backoff, given_up
from speechmatics_sync.errors import HandshakeCutError, NameLookupError, SpeechmaticsError

POLICY = ReconnectPolicy()
LOST = ConnectionError("The connection was lost.", close_code=1006)


def longest(low: float, high: float) -> float:
    """The end of the jitter's bounds: the delay as the policy has it."""
    return high


def backoff_of(policy: Optional[ReconnectPolicy] = POLICY) -> Backoff:
    return Backoff(policy, spread=longest)


def delays(
    backoff: Backoff, error: SpeechmaticsError = LOST, *, opened: bool = True, **more: Any
) -> list[float]:
    """The waits before every attempt that is made."""
    waits: list[float] = []
    while True:
        wait = backoff.delay(error, opened=opened, begun=True, **more)
        if wait is None:
            return waits
        waits.append(wait)


# -- what is tried again ------------------------------------------------------------------------

STATUS = {status: ConnectionError("refused", status=status) for status in (429, 502, 503, 504)}


@pytest.mark.parametrize(
    ("error", "opened", "busy"),
    [
        pytest.param(LOST, True, False, id="a loss after the handshake"),
        pytest.param(HandshakeCutError("reset"), False, False, id="a reset in the handshake"),
        pytest.param(ConnectionError("gone", close_code=1011), True, True, id="1011"),
        pytest.param(TranscriptionError("", type="quota_exceeded"), True, True, id="4005"),
        pytest.param(TranscriptionError("", type="job_error"), True, True, id="4013"),
        pytest.param(TranscriptionError("ended early"), True, False, id="EndOfTranscript"),
        *(
            pytest.param(error, False, False, id=f"HTTP {status}")
            for status, error in STATUS.items()
        ),
    ],
)
def test_before_the_start_these_are_tried_again(
    error: SpeechmaticsError, opened: bool, busy: bool
) -> None:
    assert backoff_of().delay(error, opened=opened, begun=False, busy=busy) is not None
    assert backoff_of().delay(error, opened=opened, begun=True, busy=busy) is not None


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ConnectionError("refused"), id="a refused connection, an unknown host, TLS"),
        pytest.param(ConnectionError("not found", status=404), id="HTTP 404"),
        pytest.param(ConnectionError("a redirect", status=302), id="HTTP 302"),
        pytest.param(ConnectionError("broken", status=500), id="HTTP 500"),
        pytest.param(TimeoutError("open_timeout"), id="open_timeout"),
        pytest.param(TransportError("no WebSocket"), id="no WebSocket server"),
        pytest.param(AuthenticationError("no key server"), id="a key that cannot be fetched"),
    ],
)
def test_these_raise_at_once_before_the_start_and_are_tried_again_after_it(
    error: SpeechmaticsError,
) -> None:
    assert backoff_of().delay(error, opened=False, begun=False) is None
    assert backoff_of().delay(error, opened=False, begun=True) is not None


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ConfigurationError("no key"), id="an invalid configuration"),
        pytest.param(AuthenticationError("", status=401), id="HTTP 401"),
        pytest.param(AuthenticationError("", status=403), id="HTTP 403"),
        pytest.param(AuthenticationError("", type="not_authorised"), id="not_authorised"),
        pytest.param(AuthenticationError("", close_code=4001), id="4001"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("opened", [False, True])
def test_these_are_never_tried_again(error: SpeechmaticsError, begun: bool, opened: bool) -> None:
    assert backoff_of().delay(error, opened=opened, begun=begun) is None


@pytest.mark.parametrize("status", [None, 429, 500, 503])
def test_a_key_server_that_is_away_is_asked_again_in_a_session_that_had_begun(
    status: Optional[int],
) -> None:
    error = AuthenticationError("no temporary key", status=status)
    assert backoff_of().delay(error, opened=False, begun=True) is not None
    assert backoff_of().delay(error, opened=False, begun=False) is None


def test_a_server_that_does_not_start_is_asked_once_more() -> None:
    backoff = backoff_of()
    error = TimeoutError("start_timeout")
    assert backoff.delay(error, opened=True, begun=False) == 0
    assert backoff.delay(error, opened=True, begun=False) is None


def test_without_a_policy_nothing_is_tried_again() -> None:
    backoff = backoff_of(None)
    assert backoff.delay(LOST, opened=True, begun=True) is None
    assert backoff.delay(LOST, opened=True, begun=True, busy=True) is None


# -- how often ----------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 7])
def test_attempts_without_progress_are_counted(most: int) -> None:
    backoff = backoff_of(ReconnectPolicy(max_attempts=most))
    assert len(delays(backoff)) == most
    backoff.progress()
    assert backoff.attempts == 0
    assert len(delays(backoff)) == most


def test_what_is_not_tried_again_is_no_attempt() -> None:
    backoff = backoff_of()
    backoff.delay(ConfigurationError("no"), opened=False, begun=True)
    backoff.delay(ConnectionError("", status=503, retry_after="99999"), opened=False, begun=True)
    assert backoff.attempts == 0


def test_an_error_says_how_often_it_was_tried_to_make_it_good() -> None:
    error = ConnectionError("Gone.", status=503, close_code=1006, retry_after="1")
    error.__cause__ = OSError("why")
    assert given_up(error, 0, lost=False) is error
    once, often = given_up(error, 1, lost=False), given_up(error, 4, lost=False)
    assert str(once) == "Gone. Reconnecting was tried once without success."
    assert str(often) == "Gone. Reconnecting was tried 4 times without success."
    assert isinstance(often, ConnectionError)
    assert (often.status, often.close_code, often.retry_after) == (503, 1006, "1")
    assert often.__cause__ is error.__cause__
    lost = given_up(error, 1, lost=True)
    assert str(lost).endswith("without success. Check the network, or try again later.")
    other = AudioError("empty")
    assert given_up(other, 3, lost=False) is other


# -- after how long -----------------------------------------------------------------------------


def test_the_first_attempt_is_made_at_once_and_the_wait_doubles_up_to_its_limit() -> None:
    policy = ReconnectPolicy(max_attempts=8, initial_delay=0.5, max_delay=5.0)
    assert delays(backoff_of(policy)) == [0, 0.5, 1, 2, 4, 5, 5, 5]


@pytest.mark.parametrize("error", [HandshakeCutError("reset"), STATUS[503]])
def test_where_there_was_no_connection_the_first_attempt_waits_too(
    error: SpeechmaticsError,
) -> None:
    policy = ReconnectPolicy(max_attempts=4, initial_delay=0.5)
    assert delays(backoff_of(policy), error, opened=False) == [0.5, 0.5, 1, 2]


def test_progress_begins_the_waits_anew() -> None:
    backoff = backoff_of(ReconnectPolicy(max_attempts=3))
    assert delays(backoff) == [0, 0.5, 1]
    backoff.progress()
    assert delays(backoff) == [0, 0.5, 1]


def test_thousands_of_attempts_wait_no_longer_than_the_limit() -> None:
    waits = delays(backoff_of(ReconnectPolicy(max_attempts=3000, max_delay=30.0)))
    assert len(waits) == 3000
    assert max(waits) == 30.0


@given(attempt=st.integers(2, 12), share=st.floats(0, 1))
def test_clients_come_back_apart(attempt: int, share: float) -> None:
    policy = ReconnectPolicy(max_attempts=12, initial_delay=0.5, max_delay=8.0)
    spread = Backoff(policy, spread=lambda low, high: low + share * (high - low))
    apart, longest_waits = delays(spread), delays(backoff_of(policy))
    most = longest_waits[attempt - 1]
    assert most / 2 <= apart[attempt - 1] <= most
    assert apart[attempt - 1] == pytest.approx(most * (1 + share) / 2)


def test_unless_told_otherwise_no_two_wait_equally_long() -> None:
    policy = ReconnectPolicy(max_attempts=12)
    waits = [tuple(delays(Backoff(policy))) for _ in range(5)]
    assert len(set(waits)) == 5


def test_a_server_without_room_is_left_alone_for_some_seconds() -> None:
    policy = ReconnectPolicy(max_attempts=6, initial_delay=2.0, busy_delay=5.0, max_delay=30.0)
    assert delays(backoff_of(policy), busy=True) == [5, 5, 5, 8, 16, 30]


def test_busy_delay_may_be_longer_than_max_delay() -> None:
    policy = ReconnectPolicy(max_attempts=2, max_delay=1.0, busy_delay=7.0)
    assert delays(backoff_of(policy), busy=True) == [7, 7]


# -- Retry-After --------------------------------------------------------------------------------


def refused(retry_after: str) -> ConnectionError:
    return ConnectionError("busy", status=503, retry_after=retry_after)


def test_no_attempt_is_made_sooner_than_the_server_wants() -> None:
    backoff = backoff_of()
    assert backoff.delay(refused("7"), opened=False, begun=False) == 7
    assert backoff.delay(refused("0"), opened=False, begun=False) == 0.5


def test_the_wait_may_be_longer_than_the_server_wants() -> None:
    policy = ReconnectPolicy(max_attempts=5, initial_delay=4.0)
    assert delays(backoff_of(policy), refused("5"), opened=False) == [5, 5, 8, 16, 30]


def test_a_date_is_waited_for() -> None:
    until = time.time() + 100
    wait = backoff_of().delay(
        refused(email.utils.formatdate(until, usegmt=True)), opened=False, begun=True
    )
    assert wait is not None
    # Less what passes here; and whole seconds.
    assert 60 < wait <= 100


@pytest.mark.parametrize("words", ["soon", "", "-5", "1e3", "7.5"])
def test_what_says_nothing_changes_nothing(words: str) -> None:
    assert backoff_of().delay(refused(words), opened=False, begun=True) == 0.5


@pytest.mark.parametrize("begun", [False, True])
def test_a_server_that_wants_to_be_left_alone_for_too_long_is_given_up(begun: bool) -> None:
    policy = ReconnectPolicy(max_delay=30.0, replay_seconds=120)
    backoff = backoff_of(policy)
    assert backoff.delay(refused("121"), opened=False, begun=begun) is None
    assert backoff.delay(refused("120"), opened=False, begun=begun) == 120
    short = backoff_of(ReconnectPolicy(max_delay=30.0, replay_seconds=1))
    assert short.delay(refused("30"), opened=False, begun=begun) == 30
    assert short.delay(refused("31"), opened=False, begun=begun) is None


def test_a_name_that_cannot_be_looked_up_is_tried_again_while_there_is_time_to_open() -> None:
    error = NameLookupError("The host h cannot be looked up now.")
    backoff = backoff_of(ReconnectPolicy(initial_delay=1, max_delay=1))
    offline = functools.partial(backoff.delay, error, opened=False, begun=False)
    assert offline(time_left=1.5) == 1
    assert offline(time_left=None) == 1
    assert offline(time_left=0.5) is None
    assert backoff.delay(error, opened=False, begun=True, time_left=0.5) == 1
    assert backoff.delay(STATUS[503], opened=False, begun=False, time_left=0.5) == 1
