"""Numbers for the embedded server and its faults are whatever acts as one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Callable

import numpy
import pytest

from speechmatics_sync import ConfigurationError
from speechmatics_sync.local import (
    Close,
    CountedRecognizer,
    EndEarly,
    Faults,
    HoldAcknowledgements,
    LocalServer,
    Refuse,
    SendError,
)

KINDS: list[Callable[[int], Any]] = [numpy.int64, numpy.uint16, numpy.float64, Decimal, float]


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_of_faults_are_numbers_of_any_type(kind: Callable[[int], Any]) -> None:
    faults = [
        Refuse(kind(503), retry_after=kind(3)),
        Close(kind(1011)),
        SendError(code=kind(4), close_code=kind(4005)),
        EndEarly(kind(5)),
        HoldAcknowledgements(chunks=kind(2)),
        HoldAcknowledgements(seconds=kind(2)),
    ]
    assert faults == [
        Refuse(503, retry_after=3),
        Close(1011),
        SendError(code=4, close_code=4005),
        EndEarly(5),
        HoldAcknowledgements(chunks=2),
        HoldAcknowledgements(seconds=2),
    ]
    json.dumps([vars(each) for each in faults])  # plain ones, which can be sent
    planned = Faults()
    planned.add(
        EndEarly(), after_chunks=kind(1), after_seconds=kind(2), times=kind(1), skip=kind(1)
    )
    assert planned.pending == (EndEarly(),)


@pytest.mark.parametrize("kind", KINDS)
def test_limits_of_the_server_are_numbers_of_any_type(kind: Callable[[int], Any]) -> None:
    limits = ("max_sessions", "max_channels", "max_message_size", "max_session_seconds")
    timeouts = ("idle_timeout", "start_timeout")
    given = {name: kind(1000) for name in (*limits, *timeouts)}
    with LocalServer(port=kind(0), recognizer=CountedRecognizer(), **given) as server:
        assert server.url.startswith("ws://")


@pytest.mark.parametrize("value", ["5", True, numpy.bool_(True), None, 1.5, float("nan"), -1])
def test_what_is_no_whole_number_is_refused_by_name(value: Any) -> None:
    for name in ("max_sessions", "max_channels", "max_message_size", "port"):
        with pytest.raises(ConfigurationError, match=f"{name} is .*; allowed: a whole number"):
            LocalServer(recognizer=CountedRecognizer(), **{name: value})
    with pytest.raises(ConfigurationError, match=r"EndEarly\.ignored_chunks is .*an integer"):
        EndEarly(value if value is not None else "none")
