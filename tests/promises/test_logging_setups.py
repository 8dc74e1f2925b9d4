"""Whatever a program hangs into `logging`, sessions go on and end with the right result."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from support.reconnecting import POLICY, Legs, begins, finishes, given, loses, noise, pieces, spoken
from support.serving import PATIENCE, Peer, final, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, InThread, client_of, speech, wait_for

from speechmatics_sync import EventEmitter
from speechmatics_sync.local import CountedRecognizer, LocalServer

WARNINGS = 1200
"""More than the records that are kept for a handler that blocks."""

OURS = logging.getLogger("speechmatics_sync")


class Keeps(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextlib.contextmanager
def hung_in(*, handler: Any = None, filter: Any = None, factory: Any = None) -> Iterator[None]:
    """Log all of ours at DEBUG, with these of a user."""
    before, level = logging.getLogRecordFactory(), OURS.level
    handler = handler or Keeps()
    if filter is not None:
        handler.addFilter(filter)
    OURS.addHandler(handler)
    OURS.setLevel(logging.DEBUG)
    if factory is not None:
        logging.setLogRecordFactory(functools.partial(factory, before))
    try:
        yield
    finally:
        logging.setLogRecordFactory(before)
        OURS.setLevel(level)
        OURS.removeHandler(handler)


def of_the_request(before: Any, *args: Any, **kwargs: Any) -> logging.LogRecord:
    record: logging.LogRecord = before(*args, **kwargs)
    record.request_id = record.session_id = "of the web framework"
    return record


def outside_of_a_request(*_: Any, **__: Any) -> Any:
    raise RuntimeError("Working outside of request context.")


def outside_of_a_request_ours(before: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    return (outside_of_a_request if name.startswith(OURS.name) else before)(name, *args, **kwargs)


class Raises(logging.Handler):
    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self.error = error

    def handle(self, record: logging.LogRecord) -> bool:
        raise self.error("from a logging handler")


class Blocks(logging.Handler):
    """Takes no record before the test allows it."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked, self.released = threading.Event(), threading.Event()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.blocked.set()
        assert self.released.wait(PATIENCE)
        self.records.append(record)


SETUPS: dict[str, Callable[[], dict[str, Any]]] = {
    "a factory that sets our names": lambda: {"factory": of_the_request},
    "a factory that raises": lambda: {"factory": outside_of_a_request_ours},
    "a filter that raises": lambda: {"filter": outside_of_a_request},
    "a handler that raises": lambda: {"handler": Raises(ValueError)},
    "a handler that exits": lambda: {"handler": Raises(SystemExit)},
}


@pytest.fixture(params=SETUPS)
def set_up(request: pytest.FixtureRequest) -> Iterator[None]:
    with hung_in(**SETUPS[request.param]()):
        yield


def says_a_word(peer: Peer) -> None:
    peer.start()
    peer.send({"message": "Warning", "type": "idle_timeout", "reason": "soon"})
    assert peer.take_audio() == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
    peer.send(final("word"), END_OF_TRANSCRIPT)
    peer.wait_closed()


def goes_over_a_lost_connection() -> list[str]:
    audio = noise(2)
    legs = Legs(loses(10, ("one", 0.0, 1.0)), finishes(("two", 1.0, 1.4)))
    with serving(legs, max_queue=None) as url, client_of(url, reconnect=POLICY) as client:
        call = InThread(client.transcribe, given(pieces(audio)), audio_format=RAW)
        words = spoken(call.result())
    begins(legs.peers[1], audio)
    return [word for word, *_ in words]


@pytest.mark.usefixtures("set_up")
class TestASessionIsWhatItIsWithoutLogging:
    def test_transcribe(self) -> None:
        with serving(says_a_word) as url, client_of(url) as client:
            call = InThread(client.transcribe, speech(0.1) + b"x", audio_format=RAW)
            assert call.result().text == "word"

    def test_a_reconnect(self) -> None:
        assert goes_over_a_lost_connection() == ["one", "two"]

    def test_a_pushed_session_whose_handler_raises(self) -> None:
        def handle(message: Any) -> None:
            raise ValueError("from a handler")

        with serving(says_a_word) as url, client_of(url) as client:
            client.on("AddTranscript", handle)
            client.start_session(audio_format=RAW)
            client.send_audio(speech(0.1))
            with pytest.raises(ValueError, match="from a handler"):
                InThread(client.stop_session).result()

    def test_handlers_that_raise_and_are_logged(self) -> None:
        def handle(message: Any) -> None:
            raise ValueError("from a handler")

        with serving(says_a_word) as url, client_of(url, handler_errors="log") as client:
            client.on("AddTranscript", handle)
            call = InThread(client.transcribe, speech(0.1), audio_format=RAW)
            assert call.result().text == "word"

    def test_close(self) -> None:
        with serving(says_a_word) as url:
            client = client_of(url)
            client.start_session(audio_format=RAW)
            client.send_audio(speech(0.1))
            InThread(client.close).result()
            # And it is over: another can begin.
            client.start_session(audio_format=RAW)
            client.close()


class TestWhileAHandlerOfRecordsBlocks:
    @pytest.fixture
    def handler(self) -> Iterator[Blocks]:
        handler = Blocks()
        with hung_in(handler=handler):
            try:
                yield handler
            finally:
                handler.released.set()

    def test_a_session_runs_to_its_end(self, handler: Blocks) -> None:
        with serving(says_a_word) as url, client_of(url) as client:
            call = InThread(client.transcribe, speech(0.1), audio_format=RAW)
            assert call.result().text == "word"
            assert handler.blocked.is_set()
            assert not handler.released.is_set()

    def test_a_lost_connection_is_replaced(self, handler: Blocks) -> None:
        assert goes_over_a_lost_connection() == ["one", "two"]

    def test_every_call_of_a_session_returns(self, handler: Blocks) -> None:
        with serving(says_a_word) as url:
            client = client_of(url)
            client.start_session(audio_format=RAW)
            wait_for(handler.blocked)
            InThread(client.send_audio, speech(0.1)).result()
            InThread(lambda: client.stats).result()
            InThread(client.close).result()

    def test_no_record_is_lost_and_their_order_is_kept(self, handler: Blocks) -> None:
        with serving(says_a_word) as url, client_of(url) as client:
            InThread(client.transcribe, speech(0.1), audio_format=RAW).result()
            handler.released.set()
            client.start_session(audio_format=RAW)
            client.close()
        said = [record.getMessage() for record in handler.records]
        order = ("Connected", "Recognition started", "idle_timeout", "everything", "Connected")
        for text in order:
            assert text in "\n".join(said)
            said = said[next(i for i, each in enumerate(said) if text in each) + 1 :]

    def test_records_that_are_dropped_meanwhile_are_counted(self, handler: Blocks) -> None:
        def warns_without_end(peer: Peer) -> None:
            peer.start()
            for number in range(WARNINGS):
                peer.send({"message": "Warning", "type": "x", "reason": f"number {number}."})
            peer.finish()

        with serving(warns_without_end) as url, client_of(url) as client:
            InThread(client.transcribe, speech(0.1), audio_format=RAW).result()
            wait_for(handler.blocked)
            handler.released.set()
            for thread in threading.enumerate():
                if thread.name.endswith("-log"):
                    thread.join(PATIENCE)
        said = [record.getMessage() for record in handler.records]
        (told,) = (each for each in said if "log records were dropped" in each)
        assert said.index(told) == 1, "it stands where they are missing"
        kept = [at for at in range(WARNINGS) if any(f"number {at}." in each for each in said)]
        assert kept == list(range(WARNINGS - len(kept), WARNINGS)), "the oldest go"
        others = not any("Recognition started" in each for each in said)
        assert int(told.split()[0]) == WARNINGS - len(kept) + others


def test_a_factorys_ids_stay_and_the_text_has_ours() -> None:
    handler = Keeps()
    with hung_in(handler=handler, factory=of_the_request), serving(says_a_word) as url:
        client = client_of(url)
        client.transcribe(speech(0.1), audio_format=RAW)
    assert {record.request_id for record in handler.records} == {"of the web framework"}
    assert all(f"request_id={client.request_id}" in one.getMessage() for one in handler.records)


def test_records_say_where_in_which_thread_and_when_they_were_logged() -> None:
    handler = Keeps()
    before = time.time()
    with hung_in(handler=handler), serving(says_a_word) as url:
        client_of(url).transcribe(speech(0.1), audio_format=RAW)
    (record,) = [one for one in handler.records if "Connected" in one.getMessage()]
    assert (record.module, record.funcName) == ("receiver", "_begin")
    assert record.threadName.endswith("-receiver")
    assert before <= record.created <= time.time()


def test_what_a_users_logging_raises_is_shown_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with hung_in(filter=outside_of_a_request), serving(says_a_word) as url:
        client_of(url).transcribe(speech(0.1), audio_format=RAW)
    shown = capsys.readouterr().err
    assert "Working outside of request context." in shown
    assert "Recognition started" in shown


def test_hooks_for_exceptions_are_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[object] = []
    for module, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, name, called.append)
    with hung_in(handler=Raises(SystemExit)), serving(says_a_word) as url:
        client_of(url).transcribe(speech(0.1), audio_format=RAW)
    assert goes_over_a_lost_connection()
    assert not called


def test_an_emitter_whose_own_logger_raises_calls_the_next_handler() -> None:
    logger = logging.getLogger("of the user")
    logger.addHandler(Raises(ValueError))
    emitter = EventEmitter(handler_errors="log", logger=logger)
    seen: list[Any] = []

    def fails(message: Any) -> None:
        raise ValueError("from a handler")

    emitter.on("Info", fails)
    emitter.on("Info", seen.append)
    emitter.emit("Info", {})
    assert seen == [{}]


def test_an_emitter_logs_through_the_adapter_that_it_was_given() -> None:
    class Prefix(logging.LoggerAdapter):  # type: ignore[type-arg]
        def process(self, msg: Any, kwargs: Any) -> Any:
            return f"call 7: {msg}", {**kwargs, "extra": {"call": 7}}

    logger, handler = logging.getLogger("of an application"), Keeps()
    logger.addHandler(handler)
    emitter = EventEmitter(handler_errors="log", logger=Prefix(logger, {}))
    emitter.on("Info", lambda message: 1 / 0)
    emitter.emit("Info", {})
    (record,) = handler.records
    assert record.getMessage().startswith("call 7: the handler ")
    assert record.call == 7
    assert record.exc_info[0] is ZeroDivisionError


class TestTheEmbeddedServer:
    @pytest.mark.usefixtures("set_up")
    def test_it_serves_whatever_the_logging(self) -> None:
        with LocalServer(recognizer=CountedRecognizer()) as server, client_of(server.url) as client:
            call = InThread(client.transcribe, speech(1.0), audio_format=RAW)
            assert call.result().results

    def test_it_stops_while_a_handler_of_records_blocks(self) -> None:
        handler = Blocks()
        with hung_in(handler=handler):
            try:
                server = LocalServer(recognizer=CountedRecognizer()).start()
                wait_for(handler.blocked)
                with client_of(server.url) as client:
                    InThread(client.transcribe, speech(1.0), audio_format=RAW).result()
                InThread(server.stop).result()
            finally:
                handler.released.set()
