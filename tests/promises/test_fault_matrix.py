"""Every kind of loss, in every state of a session, for every way to run one: nothing is lost.

One cell of two, so that of loss, state, way, and one stream or several channels, every three meet.

The audio counts (`witness`), and the server is strict. The connection is lost at a message that is
named, not at a moment (`fault_proxy`), so that each cell is the same each time. The cells of one
kind of loss run side by side, for those that end by a time limit would otherwise take long.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, NamedTuple

import pytest
from support.fault_proxying import DOWN, UP, Counted, Fault, FaultProxy, Frame, Witness, at_message
from support.serving import PATIENCE
from support.sessions import RAW

from speechmatics_sync import (
    Client,
    ConnectionConfig,
    MultiChannelClient,
    ReconnectPolicy,
    TimeoutError,
    Transcript,
    TranscriptionConfig,
)
from speechmatics_sync.local import CountedRecognizer, LocalServer, SessionRecord

AT_ONCE = 12
"""Sessions that run side by side: so few that none of them comes near a limit for the others."""

CHANNELS = {"agent": Counted(first=101, count=6), "customer": Counted(first=201, count=5)}
ONE_STREAM = {None: Counted(first=1, count=6)}
CHUNK = 3200
CHANGED_DELAY = 0.8
POLICY = ReconnectPolicy(initial_delay=0.01, max_delay=0.05, busy_delay=0.05)
LIMITS = ConnectionConfig(max_unacked_chunks=16)


def short_limits(times: float) -> ConnectionConfig:
    """Limits that end a cell by themselves, so many times as long as a quiet machine needs."""
    return ConnectionConfig(
        max_unacked_chunks=16,
        start_timeout=1.5 * times,
        ping_interval=0.3,
        ping_timeout=1.2 * times,
        ack_timeout=1.5 * times,
    )


LOSSES: dict[str, dict[str, Any]] = {
    "reset": {"kind": "reset"},
    "end of stream, no close frame": {"kind": "fin"},
    "close frame": {"kind": "close"},
    "half a frame": {"kind": "cut"},
    "no pong": {"kind": "silence"},
    "no acknowledgement": {"kind": "mute"},
}
ENDED_BY_LIMITS = ("no pong", "no acknowledgement")


# -- states: the message of the server's at which the connection is lost -------------------------


def first_after_the_end(ends: int) -> Callable[[Frame], bool]:
    """The first thing the server says after the end of so many channels, or of the stream."""
    left = [ends]

    def when(frame: Frame) -> bool:
        if frame.direction == UP:
            left[0] -= {"EndOfChannel": 1, "EndOfStream": ends}.get(frame.name, 0)
        return frame.direction == DOWN and left[0] <= 0

    return when


ASKING = "asking"
# All these codes are lost connections, in one row of one table: each state has another.
CODES = {
    "starting": 1012,
    "first chunk": 1001,
    "running": 1011,
    ASKING: 1013,
    "ending": 1014,
    "all but ended": 1011,
}
STATES: dict[str, Callable[[int], dict[str, Any]]] = {
    "starting": lambda channels: {"when": at_message("RecognitionStarted")},
    "first chunk": lambda channels: {"when": at_message("AudioAdded", "ChannelAudioAdded")},
    "running": lambda channels: {"when": at_message("AddTranscript", nth=2), "passes": True},
    ASKING: lambda channels: {
        "when": at_message("SpeakersResult"),
        "withheld": frozenset({"SetRecognitionConfig", "ForceEndOfUtterance"}),
    },
    "ending": lambda channels: {"when": first_after_the_end(channels)},
    "all but ended": lambda channels: {"when": at_message("EndOfTranscript")},
}


# -- sessions -----------------------------------------------------------------------------------


class Run:
    """One session, and what it does in the middle."""

    def __init__(self, cell: Cell, url: str, lost: threading.Event, times: float) -> None:
        self.several = cell.channels != "one stream"
        self.channels: Any = CHANNELS if self.several else ONE_STREAM
        kind = MultiChannelClient if self.several else Client
        self.client: Any = kind(
            url=url,
            conn_config=short_limits(times) if cell.loss in ENDED_BY_LIMITS else LIMITS,
            reconnect=POLICY,
        )
        self.witness = Witness(self.client, self.channels)
        self.asks = cell.state == ASKING
        self.options = {
            "transcription_config": TranscriptionConfig(max_delay=2, enable_partials=True),
            "audio_format": RAW,
            "ws_headers": {"x-cell": repr((cell, times))},
        }
        # Sources wait for the loss, or the audio might end before the session has asked. They do
        # not wait for the answer: that comes behind audio which is read again.
        self._lost = lost
        if not self.asks:
            lost.set()
        elif cell.way != "pushed":
            self.client.once("AddTranscript", lambda message: self._ask())

    def transcribe(self) -> Transcript:
        """From sources that can be read again."""
        sources = {label: self._file(counted) for label, counted in self.channels.items()}
        transcript: Transcript = self.client.transcribe(
            sources if self.several else sources[None], **self.options, timeout=PATIENCE
        )
        return transcript

    def stream(self) -> Transcript:
        """From sources that cannot."""
        sources = {label: self._chunks(counted) for label, counted in self.channels.items()}
        source = sources if self.several else sources[None]
        with self.client.stream(source, **self.options, timeout=PATIENCE) as stream:
            pulled = [message["message"] for message in stream]
        outages = self.witness.outages
        assert pulled.count("SessionReconnecting") == pulled.count("SessionReconnected") == outages
        assert pulled[-1] == "EndOfTranscript"
        transcript: Transcript = stream.transcript
        return transcript

    def push(self) -> Transcript:
        named = {"channels": list(self.channels)} if self.several else {}
        self.client.start_session(**self.options, **named)
        chunks = {label: list(_cut(counted)) for label, counted in self.channels.items()}
        for at in range(max(map(len, chunks.values()))):
            if at == 12 and self.asks:
                self._ask()
            for label in self.channels:
                if at < len(chunks[label]):
                    to = (label,) if self.several else ()
                    self.client.send_audio(*to, chunks[label][at], timeout=PATIENCE)
        transcript: Transcript = self.client.stop_session(timeout=PATIENCE)
        return transcript

    def _ask(self) -> None:
        """Ask for all that a session can be asked for; the connection is lost with the answers."""
        self.client.update_transcription_config(max_delay=CHANGED_DELAY)
        at, label = self.client.audio_seconds_sent, next(iter(self.channels))
        self.witness.forced_at.append((label, at))
        self.client.force_end_of_utterance(timestamp=at, channel=label)
        assert self.client.get_speakers(timeout=PATIENCE) == []

    def _file(self, counted: Counted) -> io.BytesIO:
        """A file whose second half can be read once the connection was lost."""
        lost, middle = self._lost, _middle(counted)

        class File(io.BytesIO):
            def read(self, size: Any = -1) -> bytes:
                if self.tell() >= middle:
                    lost.wait(PATIENCE)
                    return super().read(size)
                return super().read(min(size, middle - self.tell()))

        return File(counted.audio())

    def _chunks(self, counted: Counted) -> Iterator[bytes]:
        for at, chunk in enumerate(_cut(counted)):
            if at * CHUNK >= _middle(counted):
                self._lost.wait(PATIENCE)
            yield chunk


def _middle(counted: Counted) -> int:
    return int(counted.seconds / 2 * 32000) // CHUNK * CHUNK


def _cut(counted: Counted) -> Iterator[bytes]:
    audio = counted.audio()
    for at in range(0, len(audio), CHUNK):
        yield audio[at : at + CHUNK]


WAYS: dict[str, Callable[[Run], Transcript]] = {
    "transcribed": Run.transcribe,
    "pulled": Run.stream,
    "pushed": Run.push,
}


# -- the matrix ---------------------------------------------------------------------------------


class Cell(NamedTuple):
    loss: str
    state: str
    channels: str
    way: str


def _cells() -> Iterator[Cell]:
    for row, loss in enumerate(LOSSES):
        for column, state in enumerate(STATES):
            for place, way in enumerate(WAYS):
                several = (row + column + place) % 2
                yield Cell(loss, state, "several channels" if several else "one stream", way)


CELLS = list(_cells())


@pytest.mark.parametrize("dimensions", [*itertools.combinations(range(4), 3)])
def test_every_three_meet(dimensions: tuple[int, ...]) -> None:
    def of(cells: Iterable[Cell]) -> set[tuple[str, ...]]:
        return {tuple(cell[dimension] for dimension in dimensions) for cell in cells}

    kinds = LOSSES, STATES, ("one stream", "several channels"), WAYS
    assert of(CELLS) == of(itertools.starmap(Cell, itertools.product(*kinds)))


class Matrix:
    """Runs the cells that were selected, those of one kind of loss side by side."""

    def __init__(self, server: LocalServer, cells: list[Cell]) -> None:
        self._server = server
        self._cells = cells
        self._outcomes: dict[Cell, Future[list[str]]] = {}

    def problems(self, cell: Cell) -> list[str]:
        """Return what is wrong with a cell's session."""
        if cell not in self._outcomes:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for one in self._cells:
                    if one.loss == cell.loss:
                        self._outcomes[one] = pool.submit(self._run, one)
        return self._outcomes[cell].result()

    def _run(self, cell: Cell) -> list[str]:
        """Run a cell; where its short limits passed on a busy machine as well, with longer ones."""
        for times in (1.0, 8.0) if cell.loss in ENDED_BY_LIMITS else ():
            with contextlib.suppress(TimeoutError):
                problems, unplanned = self._attempt(cell, times)
                if problems or not unplanned:
                    return problems
        problems, unplanned = self._attempt(cell, 40.0)
        return problems + unplanned

    def _attempt(self, cell: Cell, times: float) -> tuple[list[str], list[str]]:
        """Return what is wrong, and which losses there were other than the one of the cell."""
        ends = 1 if cell.channels == "one stream" else len(CHANNELS)
        state, lost = STATES[cell.state](ends), threading.Event()

        def when(frame: Frame) -> bool:
            if state["when"](frame):
                lost.set()
                return True
            return False

        fault = {"code": CODES[cell.state], **LOSSES[cell.loss], **state, "when": when}
        faults = [Fault(**fault)]
        proxy = FaultProxy(self._server.url, lambda target: faults.pop() if faults else None)
        with proxy:
            run = Run(cell, proxy.url, lost, times)
            with run.client:
                transcript = WAYS[cell.way](run)
                problems = run.witness.problems(transcript, run.client.stats)
        header = run.options["ws_headers"]["x-cell"]
        legs = [leg for leg in self._server.sessions if leg.headers.get("x-cell") == header]
        problems += [f"the server sent {leg.error}" for leg in legs if leg.error is not None]
        if cell.state == ASKING and len(legs) == 2:
            problems += _not_asked_again(legs[-1])
        losses = (dict(proxy.happened), run.witness.outages, len(legs))
        if losses == ({LOSSES[cell.loss]["kind"]: 1}, 1, 2):
            return problems, []
        return problems, ["lost: {}; outages told: {}; connections: {}".format(*losses)]


def _not_asked_again(leg: SessionRecord) -> list[str]:
    asked = [message["message"] for message in leg.messages]
    config = leg.start["transcription_config"] if leg.start is not None else {}
    problems = [
        f"{name} was sent {asked.count(name)} times over the second connection"
        for name in ("GetSpeakers", "ForceEndOfUtterance")
        if asked.count(name) != 1
    ]
    if config.get("max_delay") != CHANGED_DELAY:
        problems.append(f"the second connection was configured with {config}")
    return problems


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    selected = [
        item.callspec.params["cell"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == test_name
    ]
    recognizer = CountedRecognizer(delay=0.3)
    with LocalServer(recognizer=recognizer, strict=True, max_sessions=500) as server:
        yield Matrix(server, selected)


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(
            cell,
            id="-".join(cell),
            marks=() if cell.loss == "half a frame" else pytest.mark.once,
        )
        for cell in CELLS
    ],
)
def test_what_the_user_receives_is_that_of_an_uninterrupted_session(
    cell: Cell, matrix: Matrix
) -> None:
    assert matrix.problems(cell) == []


test_name = test_what_the_user_receives_is_that_of_an_uninterrupted_session.__name__
