"""Errors and close codes, as a leg understands them."""

from __future__ import annotations

import json
from typing import Any, Callable, Optional

import pytest
from support.protocol.legs import ending, error_message, failed, failure_of, running, starting

from speechmatics_sync import (
    AuthenticationError,
    ConnectionError,
    ErrorType,
    TranscriptionError,
    TransportError,
)
from speechmatics_sync._protocol.events import (
    Deliver,
    Failed,
    Lost,
)
from speechmatics_sync._protocol.leg import Leg, State
from speechmatics_sync._protocol.server_errors import CLOSE_CODES

BUSY = ["internal_error", "job_error", "quota_exceeded"]


@pytest.mark.parametrize(
    ("make", "type"),
    [
        (make, type)
        for make in (starting, running, ending)
        for type in (*ErrorType, "some_new_error")
        if type != "session_timeout" and not (make is starting and type in BUSY)
    ],
)
def test_every_error_of_the_server_is_raised_as_what_it_is(
    make: Callable[[], Leg], type: str
) -> None:
    leg = make()
    message = json.loads(json.dumps({**error_message(type), "seq_no": 1}))
    delivered, failure = leg.receive(message)
    assert delivered == Deliver(message)
    assert isinstance(failure, Failed)
    error = failure.error
    kind = AuthenticationError if type == "not_authorised" else TranscriptionError
    assert isinstance(error, kind)
    assert (error.type, error.reason) == (type, "because")
    if isinstance(error, TranscriptionError):
        assert error.code == 7
    assert type in str(error)
    assert "because" in str(error)
    closed = leg.closed(4321, "bye")
    assert isinstance(closed, Failed)
    assert closed.error is error
    assert error.close_code == 4321


@pytest.mark.parametrize(
    ("make", "type", "busy"),
    [
        *((starting, type, True) for type in BUSY),
        (starting, "session_timeout", True),
        (running, "session_timeout", False),
        (ending, "session_timeout", False),
    ],
)
def test_an_error_that_passes_is_a_loss_once_its_connection_is_closed(
    make: Callable[[], Leg], type: str, busy: bool
) -> None:
    leg = make()
    message = error_message(type)
    assert leg.receive(message) == []  # no handler need know, if another connection goes on
    assert not leg.over
    event = leg.closed(4321, "bye")
    assert isinstance(event, Lost)
    assert isinstance(event.error, TranscriptionError)
    assert (event.error.type, event.error.close_code) == (type, 4321)
    assert (event.busy, event.last_message) == (busy, message)
    assert leg.state is State.LOST


@pytest.mark.parametrize("message", [{}, {"type": None, "reason": 5, "code": "x"}])
def test_an_error_without_its_fields_is_an_error_all_the_same(message: dict[str, Any]) -> None:
    error = failure_of(running(), {"message": "Error", **message})
    assert isinstance(error, TranscriptionError)
    assert error.code is None
    said = (message["type"], message["reason"]) if message else ("unknown_error", "")
    assert (error.type, error.reason) == tuple(map(str, said))


@pytest.mark.parametrize("make", [starting, running, ending])
@pytest.mark.parametrize(
    ("code", "type"), [(code, row.type) for code, row in CLOSE_CODES.items() if not row.lost]
)
def test_a_documented_close_code_counts_as_its_error(
    make: Callable[[], Leg], code: int, type: str
) -> None:
    event = make().closed(code, "why")
    assert event is not None
    error: Any = event.error
    kind = AuthenticationError if code == 4001 else TranscriptionError
    assert isinstance(error, kind)
    assert (error.type, error.reason, error.close_code) == (type, "why", code)
    if make is starting and type in BUSY:
        assert isinstance(event, Lost)
        assert event.busy
    else:
        assert isinstance(event, Failed)


@pytest.mark.parametrize("code", [code for code, row in CLOSE_CODES.items() if row.lost])
@pytest.mark.parametrize("make", [starting, running, ending])
def test_these_close_codes_are_a_lost_connection(
    make: Callable[[], Leg], code: Optional[int]
) -> None:
    leg = make()
    event = leg.closed(code, "gone")
    assert isinstance(event, Lost)
    assert isinstance(event.error, ConnectionError)
    assert event.error.close_code == code
    assert "gone" in str(event.error)
    # Before the start, 1011 says that the server has no room.
    assert event.busy == (make is starting and code == 1011)
    assert leg.state is State.LOST


@pytest.mark.parametrize("code", [1002, 1007, 1009, 1010, 1015, 0, 2999])
def test_other_close_codes_of_the_protocol_are_the_peers_mistake(code: int) -> None:
    event = running().closed(code, "")
    assert isinstance(event, Failed)
    assert isinstance(event.error, TransportError)
    assert event.error.close_code == code


@pytest.mark.parametrize("code", [3000, 4999])
def test_an_unknown_close_code_of_the_service_is_an_unknown_error(code: int) -> None:
    event = running().closed(code, "new")
    assert isinstance(event, Failed)
    assert isinstance(event.error, TranscriptionError)
    assert (event.error.type, event.error.close_code) == ("unknown_error", code)


@pytest.mark.parametrize("code", [None, 1002, 4003])
def test_a_leg_that_failed_may_still_be_closed(code: Optional[int]) -> None:
    leg = failed()
    assert leg.closed(code, "") is not None
    assert leg.state is State.FAILED


def test_the_first_error_of_the_server_counts() -> None:
    leg = starting()
    leg.receive(error_message("job_error"))
    second = error_message("protocol_error")
    assert leg.receive(second) == [Deliver(second)]
    event = leg.closed(None, "")
    assert isinstance(event, Lost)
    assert isinstance(event.error, TranscriptionError)
    assert event.error.type == "job_error"
