"""A session is replaced before the server ends it, and the user sees one session.

With audio that counts, what is received is compared with an uninterrupted session. What is said
over each of the two connections is in `test_rollover_messages`.
"""

from __future__ import annotations

import functools
import itertools
import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, Callable, NamedTuple, Optional

import pytest
from support.fault_proxying import Counted, Witness
from support.reconnecting import RECONNECTED, RECONNECTING, pieces
from support.serving import PATIENCE
from support.sessions import RAW

from speechmatics_sync import (
    Client,
    ConnectionConfig,
    MultiChannelClient,
    ReconnectPolicy,
    Transcript,
    TranscriptionConfig,
)
from speechmatics_sync.local import (
    Close,
    CountedRecognizer,
    Drop,
    Fault,
    Faults,
    Garbage,
    HoldAcknowledgements,
    LocalServer,
    Refuse,
    SendError,
    SessionRecord,
    Silence,
    Warn,
)

MARGIN = 8.0
"""Seconds; a pause between two words is sought for half of them, and there are two in each. So
much that a busy machine finds one."""
SAID: dict[str, dict[Optional[str], tuple[int, int]]] = {
    "one": {None: (1, 10)},
    "several": {"agent": (1001, 10), "customer": (2001, 7)},
}
"""Of each channel: the number of the first word, and how many words."""
CONFIG = TranscriptionConfig(max_delay=2, enable_partials=True)


def policy(limit: Optional[float] = None) -> ReconnectPolicy:
    """Connections that are used for some seconds."""
    return ReconnectPolicy(
        initial_delay=0.01,
        max_delay=0.05,
        busy_delay=0.05,
        session_limit=limit,
        rollover_margin=MARGIN,
    )


def spoken_now(audio: bytes) -> Iterator[bytes]:
    """Audio at the speed it is spoken, that can be read once."""
    begun = time.monotonic()
    for number, chunk in enumerate(pieces(audio)):
        # The pace of speech, on an absolute schedule.
        time.sleep(max(0.0, begun + 0.1 * number - time.monotonic()))
        yield chunk


# -- words and times are those of an uninterrupted session --------------------------------------


class Run:
    """One session of counted audio at the speed it is spoken."""

    def __init__(
        self, url: str, channels: Any, *, limit: Optional[float] = None, **limits: Any
    ) -> None:
        self.channels = channels
        self.several = None not in channels
        kind = MultiChannelClient if self.several else Client
        self.client: Any = kind(
            url=url, reconnect=policy(limit), conn_config=ConnectionConfig(**limits)
        )
        self.witness = Witness(self.client, channels)
        self.options = {"audio_format": RAW, "transcription_config": CONFIG}

    def problems(self, call: Callable[[Run], Transcript]) -> list[str]:
        """Run it, and return what is wrong with it."""
        with self.client:
            return self.witness.problems(call(self), self.client.stats)

    def transcribe(self) -> Transcript:
        sources = {label: counted.audio() for label, counted in self.channels.items()}
        transcript: Transcript = self.client.transcribe(
            sources if self.several else sources[None], realtime=True, **self.options
        )
        return transcript

    def stream(self) -> Transcript:
        sources = {label: spoken_now(counted.audio()) for label, counted in self.channels.items()}
        with self.client.stream(
            sources if self.several else sources[None], **self.options
        ) as stream:
            names = [message["message"] for message in stream]
        assert names.count(RECONNECTING) == names.count(RECONNECTED) == self.witness.outages
        assert names[-1] == "EndOfTranscript"
        transcript: Transcript = stream.transcript
        return transcript

    def push(self) -> Transcript:
        """Each channel in a thread of its own."""
        named = {"channels": list(self.channels)} if self.several else {}
        self.client.start_session(**self.options, **named)
        with ThreadPoolExecutor(len(self.channels)) as pool:
            for result in [pool.submit(self._push, label) for label in self.channels]:
                result.result()
        transcript: Transcript = self.client.stop_session()
        return transcript

    def _push(self, label: Optional[str]) -> None:
        to = () if label is None else (label,)
        for chunk in spoken_now(self.channels[label].audio()):
            self.client.send_audio(*to, chunk, timeout=PATIENCE)


CALLS: dict[str, Callable[[Run], Transcript]] = {
    "transcribed": Run.transcribe,
    "pulled": Run.stream,
    "pushed": Run.push,
}


NEAR = Warn("session_timeout", "Session will timeout in 0.13m due to max duration")


class Case(NamedTuple):
    """A session whose first connection is to be replaced, and what goes wrong with it.

    Args:
        faults: What goes wrong, and when.
        hit: The connections to which that happens, in order.
        limits: Limits of the client's.
        server: Limits of the server's.
    """

    faults: Sequence[tuple[Fault, dict[str, Any]]]
    hit: Sequence[int] = ()
    limits: Mapping[str, Any] = MappingProxyType({})
    server: Mapping[str, Any] = MappingProxyType({})


def second(fault: Fault, at: str) -> Case:
    """The connection that is to take over cannot be had at once."""
    return Case([(fault, {"at": at, "skip": 1})], hit=[2])


NOT_AT_ONCE = {
    "HTTP 503": second(Refuse(503), "handshake"),
    "HTTP 401": second(Refuse(401), "handshake"),
    "a reset in the handshake": second(Drop(), "handshake"),
    "a reset after it": second(Drop(), "connected"),
    "internal_error": second(SendError("internal_error"), "connected"),
    "not_authorised": second(SendError("not_authorised"), "connected"),
    "code 4001": second(Close(4001), "connected"),
    "garbage": second(Garbage(), "connected"),
    "a reset before the start": second(Drop(), "starting"),
    "a reset after the start": second(Drop(), "audio"),
}
NO_ROOM = {
    "HTTP 429": second(Refuse(429), "handshake"),
    "quota_exceeded": second(SendError("quota_exceeded"), "connected"),
    "code 4005": second(Close(4005), "connected"),
    "a limit": Case([], server={"max_sessions": 1}),
}
TOO_LATE = {
    name: Case(
        [
            (fault, {"at": "handshake", "skip": 1, "times": times}),
            (SendError("session_timeout"), {"after_seconds": 1.5}),
        ],
        hit=[2],
        limits={"open_timeout": open_timeout},
    )
    for name, fault, times, open_timeout in (
        ("a silent server", Silence(), 2, 3.0),
        ("HTTP 503", Refuse(503), 5, PATIENCE),
    )
}
LOSSES = {
    "the old one, whose audio is cut": Case([(Drop(), {"at": "ending"})], hit=[1]),
    "the new one, while the old one says its last": Case(
        [(HoldAcknowledgements(seconds=3.0), {}), (Drop(), {"after_chunks": 3, "skip": 1})],
        hit=[1, 2],
    ),
    "the old one, while the new one is made": Case(
        [(Silence(), {"at": "handshake", "skip": 1}), (Drop(), {"after_seconds": 1.0})], hit=[2, 1]
    ),
}


class Outcome(NamedTuple):
    """What came of a session.

    Args:
        problems: How it differs from an uninterrupted one.
        outages: How many SessionReconnecting came.
        hit: To which connections something happened.
        connections: What the server saw of each.
    """

    problems: list[str]
    outages: int
    hit: list[int]
    connections: list[SessionRecord]


class SideBySide:
    """The sessions of all cases, each of which takes as long as its audio, at the same time."""

    def __init__(self) -> None:
        self._outcomes: dict[Any, Future[Outcome]] = {}

    def __getitem__(self, case: Any) -> Outcome:
        if not self._outcomes:
            calls: dict[Any, Callable[[], Outcome]] = {}
            for channels, call in itertools.product(("one", "several"), CALLS):
                one = functools.partial(_several_times, channels, CALLS[call])
                calls[channels, call] = functools.partial(_long_enough, one, range(2, 100), ())
            for cases in (NOT_AT_ONCE, NO_ROOM, TOO_LATE, LOSSES):
                for name, each in cases.items():
                    one = functools.partial(_once, each)
                    calls[id(cases), name] = functools.partial(_long_enough, one, [1], each.hit)
            with ThreadPoolExecutor(len(calls)) as pool:
                self._outcomes = {name: pool.submit(call) for name, call in calls.items()}
        return self._outcomes[case].result()


FEW = threading.Semaphore(3)
"""Of the sessions that are tried again, so that they find more of the machine than all at once."""


def _long_enough(
    call: Callable[[int], Outcome], outages: Collection[int], hit: Sequence[int]
) -> Outcome:
    """Say more words where the audio, or a connection, ended before another one was there.

    On a busy machine that takes longer than a few words.
    """
    outcome = call(1)
    for times in (4, 12):
        as_planned = outcome.outages in outages and outcome.hit[: len(hit)] == list(hit)
        if outcome.problems or as_planned:
            break
        with FEW:
            outcome = call(times)
    return outcome


def _several_times(channels: str, call: Callable[[Run], Transcript], times: int) -> Outcome:
    said = {
        label: Counted(first, count * times) for label, (first, count) in SAID[channels].items()
    }
    with LocalServer(recognizer=CountedRecognizer(delay=0.3), strict=True) as server:
        run = Run(server.url, said, limit=MARGIN + 0.5)
        problems = run.problems(call)
    return Outcome(problems, run.witness.outages, [], server.sessions)


def _once(case: Case, times: int = 1) -> Outcome:
    faults = Faults()
    faults.add(NEAR, after_seconds=0.1)
    for fault, when in case.faults:
        if "after_seconds" in when:
            when = {**when, "after_seconds": when["after_seconds"] * times}
        faults.add(fault, **when)
    recognizer = CountedRecognizer(delay=0.3)
    with LocalServer(recognizer=recognizer, strict=True, faults=faults, **case.server) as server:
        run = Run(server.url, {None: Counted(first=1, count=8 * times)}, **case.limits)
        problems = run.problems(Run.transcribe)
    happened = [each.connection for each in faults.happened if each.fault is not NEAR]
    return Outcome(problems, run.witness.outages, happened, server.sessions)


@pytest.fixture(scope="module")
def side_by_side() -> SideBySide:
    return SideBySide()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("channels", ["one", "several"])
def test_words_and_times_are_those_of_an_uninterrupted_session(
    channels: str, call: str, side_by_side: SideBySide
) -> None:
    outcome = side_by_side[channels, call]
    assert outcome.problems == []
    assert outcome.outages >= 2
    assert [connection.error for connection in outcome.connections if connection.error] == []
    more = len(outcome.connections) - outcome.outages
    assert more in (1, 2), "the last may not have been needed"


@pytest.mark.parametrize("case", NOT_AT_ONCE)
def test_a_connection_that_cannot_be_had_is_tried_for_again_and_nobody_notices(
    case: str, side_by_side: SideBySide
) -> None:
    outcome = side_by_side[id(NOT_AT_ONCE), case]
    assert (outcome.problems, outcome.outages) == ([], 1)
    assert outcome.hit == [2]
    heard = [connection for connection in outcome.connections if connection.audio_chunks]
    assert [connection.error for connection in heard] == [None, None]


@pytest.mark.parametrize("case", NO_ROOM)
def test_where_there_is_room_for_one_session_the_old_one_is_ended_first(
    case: str, side_by_side: SideBySide
) -> None:
    outcome = side_by_side[id(NO_ROOM), case]
    assert (outcome.problems, outcome.outages) == ([], 1)
    assert outcome.hit == NO_ROOM[case].hit or outcome.connections[1].error is not None
    heard = [connection for connection in outcome.connections if connection.audio_chunks]
    assert [connection.last_seq_no for connection in heard] == [
        connection.audio_chunks for connection in heard
    ]
    assert len(heard) == 2


@pytest.mark.parametrize("case", TOO_LATE)
def test_a_session_that_ends_before_another_can_be_had_is_a_loss_that_heals(
    case: str, side_by_side: SideBySide
) -> None:
    outcome = side_by_side[id(TOO_LATE), case]
    assert (outcome.problems, outcome.outages) == ([], 1)
    assert outcome.hit[:1] == [2]
    assert 1 in outcome.hit


@pytest.mark.parametrize("case", LOSSES)
def test_either_connection_may_be_lost_while_there_are_two(
    case: str, side_by_side: SideBySide
) -> None:
    outcome = side_by_side[id(LOSSES), case]
    assert (outcome.problems, outcome.outages) == ([], 1)
    assert outcome.hit == LOSSES[case].hit


def test_a_rollover_is_logged_and_records_name_the_new_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "speechmatics_sync")
    outcome = _once(second(Refuse(503), "handshake"))
    said = [record.getMessage() for record in caplog.records]
    assert any("nears its end; another connection is made" in line for line in said)
    assert any("No other connection could be made yet" in line for line in said)
    (last,) = [record for record in caplog.records if "everything transcribed" in record.msg]
    assert last.session_id == outcome.connections[-1].id  # type: ignore[attr-defined]
