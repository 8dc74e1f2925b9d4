"""A session ends at once in every state that an outage or a rollover can be in.

The client's limits are so long that what waits for one of them fails by the patience of the test.
"""

from __future__ import annotations

import contextlib
import gc
import http
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable, Optional

import pytest
from support.reconnecting import RECONNECTING, cut, listen
from support.scripts import run_script
from support.serving import PATIENCE, Peer, final, listening, serving
from support.sessions import (
    RAW,
    Blocking,
    InThread,
    client_of,
    let_sources_go,
    receive_frame,
    send_frame,
    speech,
    start_below,
    wait_for,
)
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

import speechmatics_sync
from speechmatics_sync import Client, ReconnectPolicy, SessionError

__all__ = ["let_sources_go"]

pytestmark = pytest.mark.usefixtures("programs")

LONG = 3 * PATIENCE
PATIENT = ReconnectPolicy(initial_delay=2 * LONG, max_delay=2 * LONG, rollover_margin=LONG)
"""Up to half of a delay is left to chance."""
NEARS_ITS_END = {
    "message": "Warning",
    "type": "session_timeout",
    "reason": "Session will timeout in 0.001m due to max duration",
}


# -- servers that leave a session in a certain state ---------------------------------------------


class Stage:
    """A server that brings its client into one state, and leaves it there.

    Args:
        first: What the first connection does, once it has started and heard some audio.
        second: What the second does, if it is let in.
        admit: Answers the second's handshake, where that is not let in.

    Attributes:
        reached: Is set when the client is in the state.
        over: Lets go of what hangs.
    """

    def __init__(
        self,
        first: Callable[[Stage, Peer], None],
        second: Optional[Callable[[Stage, Peer], None]] = None,
        admit: Optional[Callable[[Stage, ServerConnection], Optional[Response]]] = None,
    ) -> None:
        self.reached, self.over = threading.Event(), threading.Event()
        self._first, self._second, self._admit = first, second, admit
        self._came = 0
        self._begun = 0

    def handshake(self, connection: ServerConnection, request: Request) -> Optional[Response]:
        self._came += 1
        if self._came == 1 or self._admit is None:
            return None
        return self._admit(self, connection)

    def wait(self) -> None:
        """Wait until the client is in the state."""
        wait_for(self.reached)
        if self._admit is refuses:  # and the client has taken it in
            given_up = time.monotonic() + PATIENCE
            while any("opener" in thread.name for thread in threading.enumerate()):
                assert time.monotonic() < given_up

    def __call__(self, peer: Peer) -> None:
        self._begun += 1
        if self._begun == 1:
            peer.start()
            peer.send(final("word"))
            listen(peer, 1)
            self._first(self, peer)
        elif self._second is not None:
            self._second(self, peer)
        peer.wait_closed()


def loses(stage: Stage, peer: Peer) -> None:
    cut(peer)


def nears_its_end(stage: Stage, peer: Peer) -> None:
    peer.send(NEARS_ITS_END)


def nears_its_end_and_is_ended(stage: Stage, peer: Peer) -> None:
    peer.send(NEARS_ITS_END)
    message = peer.take_audio()
    assert message is not None
    assert message["message"] == "EndOfStream"
    stage.reached.set()


def starts(stage: Stage, peer: Peer) -> None:
    peer.start(id="session-2")


def never_starts(stage: Stage, peer: Peer) -> None:
    peer.receive()
    stage.reached.set()


def hangs(stage: Stage, connection: ServerConnection) -> None:
    """A black hole: the connection is there, and nothing comes of it."""
    stage.reached.set()
    stage.over.wait(PATIENCE)


def refuses(stage: Stage, connection: ServerConnection) -> Response:
    stage.reached.set()
    return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "later")


def refuses_once(stage: Stage, connection: ServerConnection) -> Optional[Response]:
    return None if stage.reached.is_set() else refuses(stage, connection)


def finishes(stage: Stage, peer: Peer) -> None:
    peer.start(id="session-2")
    peer.send(final("another"))
    peer.finish()


def is_full(stage: Stage, connection: ServerConnection) -> Response:
    return connection.respond(http.HTTPStatus.TOO_MANY_REQUESTS, "one is enough")


STATES: dict[str, Callable[[], Stage]] = {
    "waiting for the next attempt": lambda: Stage(loses, admit=refuses),
    "connecting again": lambda: Stage(loses, admit=hangs),
    "starting again": lambda: Stage(loses, never_starts),
    "connecting beside the first": lambda: Stage(nears_its_end, admit=hangs),
    "starting beside the first": lambda: Stage(nears_its_end, never_starts),
    "taking over from the first": lambda: Stage(nears_its_end_and_is_ended, starts),
    "ending the first alone": lambda: Stage(nears_its_end_and_is_ended, admit=is_full),
}


@contextlib.contextmanager
def staged(state: str) -> Iterator[tuple[str, Stage]]:
    """Serve a client to be in that state; give the URL."""
    stage = STATES[state]()
    with serving(stage, process_request=stage.handshake) as url:
        try:
            yield url, stage
        finally:
            stage.over.set()


def patient(url: str) -> Client:
    limits = {"open_timeout": LONG, "start_timeout": LONG, "ack_timeout": LONG}
    return client_of(url, reconnect=PATIENT, close_timeout=LONG, **limits)


def audio_then_nothing(source: Blocking) -> Iterator[bytes]:
    yield speech(0.1)
    source.read(1)


def pulled(client: Client, source: Any) -> None:
    with client.stream(source, audio_format=RAW) as stream:
        for _ in stream:
            pass


def transcribed(client: Client, source: Any) -> None:
    client.transcribe(source, audio_format=RAW)


def pushed(client: Client, source: Any) -> None:
    """All audio is sent, and its end."""
    client.start_session(audio_format=RAW)
    client.send_audio(speech(0.1))
    client.stop_session()


CALLS: dict[str, Callable[[Client, Any], None]] = {
    "transcribe": transcribed,
    "stream": pulled,
    "stop_session": pushed,
}


def ours() -> list[str]:
    """The threads that are left, except one that is in the source's code."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("speechmatics-") and "sender" not in name]


# -- close() -------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["transcribe", "stream"])
@pytest.mark.parametrize("state", STATES)
def test_close_in_another_thread_ends_the_call(state: str, call: str) -> None:
    """Also while the source gives nothing; twice, at the same time."""
    source = Blocking()
    with staged(state) as (url, stage), patient(url) as client:
        calling = InThread(CALLS[call], client, audio_then_nothing(source))
        stage.wait()
        begun = time.monotonic()
        closing = [InThread(client.close), InThread(client.close)]
        client.close()
        for each in closing:
            each.result()
        assert time.monotonic() - begun < PATIENCE
        with pytest.raises(SessionError, match=r"close\(\) was called"):
            calling.result()
        assert ours() == []


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("state", ["waiting for the next attempt", "taking over from the first"])
def test_close_in_a_handler_ends_the_call(state: str, call: str) -> None:
    source = Blocking()
    with staged(state) as (url, stage), patient(url) as client:

        def close(message: Any) -> None:
            if call != "stop_session" or "taking over" not in state:
                stage.wait()
            client.close()

        client.on("AddTranscript", close)
        calling = InThread(CALLS[call], client, audio_then_nothing(source))
        with pytest.raises(SessionError, match=r"close\(\) was called"):
            calling.result()
        client.close()
        assert ours() == []


@pytest.mark.parametrize("state", STATES)
def test_leaving_with_ends_a_pushed_session(state: str) -> None:
    with staged(state) as (url, stage), patient(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        stage.wait()
        begun = time.monotonic()
        client.close()
        assert time.monotonic() - begun < PATIENCE
        assert ours() == []
        with pytest.raises(SessionError):
            client.send_audio(speech(0.1))


@pytest.mark.parametrize("state", STATES)
def test_a_stream_that_is_dropped_ends_its_session(state: str) -> None:
    source = Blocking()
    with staged(state) as (url, stage):
        client = patient(url)
        stream = client.stream(audio_then_nothing(source), audio_format=RAW)
        next(stream)
        stage.wait()
        del stream
        gc.collect()
        given_up = time.monotonic() + PATIENCE / 2
        while ours():
            assert time.monotonic() < given_up, f"left: {ours()}"
            time.sleep(0.01)  # the pace of the poll; what ends it is the state itself


def test_the_client_runs_another_session_when_one_was_closed_in_an_outage() -> None:
    stage = Stage(loses, finishes, admit=refuses_once)
    with serving(stage, process_request=stage.handshake) as url, patient(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        stage.wait()
        with pytest.raises(SessionError, match="one at a time"):
            client.transcribe(speech(0.1), audio_format=RAW)
        client.close()
        assert client.transcribe(speech(0.1), audio_format=RAW).text == "another"


def test_an_attempt_to_connect_ends_when_it_is_not_needed_any_more() -> None:
    """The first connection is lost while another is made beside it: a third one goes on."""

    def is_lost_then(stage: Stage, peer: Peer) -> None:
        peer.send(NEARS_ITS_END)
        wait_for(stage.reached)
        cut(peer)

    def hangs_once(stage: Stage, connection: ServerConnection) -> None:
        if not stage.reached.is_set():
            hangs(stage, connection)

    stage = Stage(is_lost_then, finishes, admit=hangs_once)
    with serving(stage, process_request=stage.handshake) as url, patient(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        wait_for(stage.reached)
        client.stop_session(timeout=PATIENCE)
        client.close()
        assert ours() == []
        stage.over.set()


# -- time limits of the user's -------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_the_timeout_of_a_call_counts_in_every_state(state: str) -> None:
    source = Blocking()
    with staged(state) as (url, _), patient(url) as client:
        with pytest.raises(speechmatics_sync.TimeoutError, match=r"timeout \(0\.5 s\)") as caught:
            client.transcribe(audio_then_nothing(source), audio_format=RAW, timeout=0.5)
        assert caught.value.transcript is client.transcript
        assert ours() == []


def test_the_timeouts_of_a_pushed_session_count_in_an_outage() -> None:
    with staged("waiting for the next attempt") as (url, stage), patient(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        stage.wait()
        client.send_audio(speech(PATIENT.replay_seconds), timeout=0.1)  # as much as is kept
        with pytest.raises(speechmatics_sync.TimeoutError):
            client.send_audio(speech(0.1), timeout=0.1)
        with pytest.raises(speechmatics_sync.TimeoutError):
            client.get_speakers(timeout=0.1)
        with pytest.raises(speechmatics_sync.TimeoutError):
            client.stop_session(timeout=0.1)


# -- an interrupt, and the end of the process ----------------------------------------------------


class Outage:
    """A server below the WebSocket that is gone after the first connection.

    Args:
        hole: Whether the next connection comes to nothing, rather than to an end.

    Attributes:
        reached: Is set when the client has lost it, and has tried to connect again.
    """

    def __init__(self, hole: bool) -> None:
        self.reached = threading.Event()
        self._hole = hole
        self._came = 0

    def __call__(self, connection: socket.socket) -> None:
        self._came += 1
        if self._came == 1:
            start_below(connection)
            send_frame(connection, final("word"))
            receive_frame(connection)
        elif self._hole:
            self.reached.set()
            while connection.recv(4096):
                pass
        else:
            connection.shutdown(socket.SHUT_RDWR)
            self.reached.set()


CLIENT = """
policy = ReconnectPolicy(initial_delay=120, max_delay=120, replay_seconds=1)
config = ConnectionConfig(close_timeout=60, open_timeout=60)
client = Client(url=url, conn_config=config, reconnect=policy)
"""

INTERRUPTED = {
    "transcribe": "client.transcribe(blocking(), audio_format=RAW)",
    "transcribe in with": "with client: client.transcribe(blocking(), audio_format=RAW)",
    "stream": """
with client:
    for message in client.stream(blocking(), audio_format=RAW):
        pass
""",
    "send_audio": """
with client:
    client.start_session(audio_format=RAW)
    while True:
        client.send_audio(bytes(3200))
""",
    "get_speakers": """
with client:
    client.start_session(audio_format=RAW)
    client.send_audio(bytes(3200))
    client.get_speakers()
""",
    "stop_session": """
with client:
    client.start_session(audio_format=RAW)
    client.send_audio(bytes(3200))
    client.stop_session()
""",
}


@pytest.mark.parametrize("hole", [False, True], ids=["no server", "a black hole"])
@pytest.mark.parametrize("call", INTERRUPTED)
def test_one_interrupt_ends_a_call_in_an_outage(call: str, hole: bool) -> None:
    """With one traceback, that of KeyboardInterrupt, and not a word from any thread."""
    outage = Outage(hole)
    with listening(outage) as port:
        script = CLIENT + INTERRUPTED[call]
        ended = run_script(script, f"ws://localhost:{port}", outage.reached, interrupt=True)
    assert ended.returncode in (-signal.SIGINT, 130)
    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")
    assert "Exception" not in ended.stderr
    assert ended.stderr.count("Traceback") == 1, ended.stderr


WATCH = """
import logging
lost, waits = threading.Event(), threading.Event()
class Watch(logging.Handler):
    def emit(self, record):
        told = waits if "Attempt 2 to reconnect" in record.getMessage() else lost
        if "to reconnect" in record.getMessage():
            told.set()
logging.getLogger("speechmatics_sync").addHandler(Watch())
"""

UNTIL_BACKOFF = """
waits.wait()
print("bye")
"""

UNTIL_OPENING = """
lost.wait()
while not [thread for thread in threading.enumerate() if "opener" in thread.name]:
    pass
print("bye")
"""

LEFT_RUNNING = {
    "pushed": """
client.start_session(audio_format=RAW)
client.send_audio(bytes(3200))
""",
    "stream": """
stream = client.stream(blocking(), audio_format=RAW)
next(stream)
""",
    "transcribe in a daemon thread": """
call = threading.Thread(
    target=client.transcribe, args=(blocking(),), kwargs={"audio_format": RAW}, daemon=True
)
call.start()
""",
}


@pytest.mark.parametrize("hole", [False, True], ids=["no server", "a black hole"])
@pytest.mark.parametrize("call", LEFT_RUNNING)
def test_a_session_in_an_outage_does_not_keep_the_process(call: str, hole: bool) -> None:
    script = WATCH + CLIENT + LEFT_RUNNING[call] + (UNTIL_OPENING if hole else UNTIL_BACKOFF)
    at_once = threading.Event()
    at_once.set()
    with listening(Outage(hole)) as port:
        ended = run_script(script, f"ws://localhost:{port}", at_once, interrupt=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "bye\n", "")


def test_a_handler_that_hears_of_the_outage_may_close() -> None:
    with staged("waiting for the next attempt") as (url, _), patient(url) as client:
        client.on(RECONNECTING, lambda message: client.close())
        with pytest.raises(SessionError, match=r"close\(\) was called"):
            client.transcribe(audio_then_nothing(Blocking()), audio_format=RAW)
        assert ours() == []
