from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any, Callable

import pytest
from support.audio.sources import InTurn
from support.serving import PATIENCE, STARTED, Peer, final, serving
from support.sessions import (
    END_OF_TRANSCRIPT,
    RAW,
    Blocking,
    InThread,
    client_of,
    let_sources_go,
    speech,
    wait_for,
)

from speechmatics_sync import (
    AudioError,
    AuthenticationError,
    Client,
    ConfigurationError,
    ConnectionError,
    MultiChannelClient,
    SpeechmaticsError,
    TranscriptionError,
    TransportError,
)

__all__ = ["let_sources_go"]


def error(type: str = "job_error", reason: str = "it broke") -> dict[str, Any]:
    return {"message": "Error", "type": type, "reason": reason, "code": 1}


def ends(peer: Peer, *messages: Any, code: int = 1000) -> None:
    peer.send(*messages)
    peer.connection.close(code, "said by the server")


def while_starting(*messages: Any, code: int = 1000) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        peer.receive()
        ends(peer, *messages, code=code)

    return behave


def in_mid_session(*messages: Any, code: int = 1000) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.send(final("one"))
        peer.audio.append(peer.receive())  # type: ignore[arg-type]
        ends(peer, *messages, code=code)

    return behave


def after_the_audio(*messages: Any, code: int = 1000) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.send(final("one"))
        peer.take_audio()
        ends(peer, *messages, code=code)

    return behave


WHEN = [while_starting, in_mid_session, after_the_audio]


def sources(when: Any) -> Any:
    """A source that blocks where an error must come out all the same."""
    return speech(0.5) if when is after_the_audio else Blocking(speech(0.1))


def fails(behave: Callable[[Peer], None], source: object, **limits: Any) -> Any:
    """What transcribe, stream and a pushed session raise; they raise the same."""
    errors = []
    with serving(behave) as url, client_of(url, **limits) as client:
        with pytest.raises(SpeechmaticsError) as caught:
            client.transcribe(source, audio_format=RAW, timeout=PATIENCE)
        errors.append(caught.value)
        assert caught.value.request_id == client.request_id
        assert caught.value.session_id == client.session_id
        assert caught.value.transcript is client.transcript
        assert client.request_id in str(caught.value)
        with pytest.raises(SpeechmaticsError) as caught:  # noqa: PT012
            client.start_session(audio_format=RAW)
            client.send_audio(speech(0.1))
            client.stop_session(timeout=PATIENCE)
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1])
    return errors[0]


@pytest.mark.parametrize("when", WHEN)
def test_an_error_of_the_server_is_raised_at_once(when: Any) -> None:
    raised = fails(when(error(), code=4013), sources(when))
    assert isinstance(raised, TranscriptionError)
    assert (raised.type, raised.reason) == ("job_error", "it broke")
    assert (raised.code, raised.close_code) == (1, 4013)
    assert raised.transcript is not None
    assert raised.transcript.text == ("" if when is while_starting else "one")


@pytest.mark.parametrize("when", WHEN)
def test_an_error_without_a_close_frame_is_raised_all_the_same(when: Any) -> None:
    gone = threading.Event()

    def behave(peer: Peer) -> None:
        if when is while_starting:
            peer.receive()
        else:
            peer.start()
            peer.receive()
        peer.send(error("quota_exceeded"))
        peer.wait_closed()
        gone.set()

    with serving(behave) as url, client_of(url) as client:
        with pytest.raises(TranscriptionError) as caught:
            client.transcribe(Blocking(speech(0.1)), audio_format=RAW)
        assert (caught.value.type, caught.value.close_code) == ("quota_exceeded", None)
        wait_for(gone)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(
    ("code", "kind", "type"),
    [
        (1003, TranscriptionError, "protocol_error"),
        (1008, TranscriptionError, "policy_violation"),
        (4001, AuthenticationError, "not_authorised"),
        (4005, TranscriptionError, "quota_exceeded"),
        (4999, TranscriptionError, "unknown_error"),
        (1000, ConnectionError, None),
        (1011, ConnectionError, None),
        (1013, ConnectionError, None),
        (1002, TransportError, None),
    ],
)
def test_a_close_code_without_an_error_says_what_happened(
    when: Any, code: int, kind: type[Exception], type: Any
) -> None:
    raised = fails(when(code=code), sources(when))
    assert isinstance(raised, kind)
    assert raised.close_code == code  # type: ignore[attr-defined]
    assert getattr(raised, "type", None) == type
    assert "said by the server" in str(raised)


@pytest.mark.parametrize("when", WHEN)
def test_a_connection_that_is_cut_is_lost(when: Any) -> None:
    def cut(peer: Peer) -> None:
        if when is while_starting:
            peer.receive()
        else:
            peer.start()
            peer.send(final("one"))
            peer.take_audio() if when is after_the_audio else peer.receive()
        peer.connection.socket.shutdown(2)

    raised = fails(cut, sources(when))
    assert isinstance(raised, ConnectionError)
    assert "was lost" in str(raised)


def test_end_of_transcript_too_early_is_no_success() -> None:
    with serving(in_mid_session(END_OF_TRANSCRIPT)) as url, client_of(url) as client:
        with pytest.raises(TranscriptionError, match="before our end of audio") as caught:
            client.transcribe(Blocking(speech(0.1)), audio_format=RAW)
        assert caught.value.transcript is not None
        assert caught.value.transcript.text == "one"


def test_end_of_transcript_with_audio_unacknowledged_is_no_success() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio(acknowledge=False)
        ends(peer, END_OF_TRANSCRIPT)

    raised = fails(behave, speech(0.5))
    assert isinstance(raised, TransportError)
    assert "unacknowledged" in str(raised)


def test_audio_past_the_limit_of_the_account_is_no_success() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.send({"message": "Warning", "type": "duration_limit_exceeded", "reason": "2 hours"})
        peer.take_audio()
        ends(peer, final("one"), END_OF_TRANSCRIPT)

    raised = fails(behave, speech(0.5))
    assert isinstance(raised, TranscriptionError)
    assert raised.type == "duration_limit_exceeded"
    assert raised.transcript is not None
    assert raised.transcript.text == "one"


@pytest.mark.parametrize(
    "message",
    [
        "not JSON",
        "[1, 2]",
        '"text"',
        "",
        '{"message": "AddTranscript", "confidence": NaN}',
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        '{"message": "AudioAdded", "seq_no": ' + "9" * 5000 + "}",
        b'{"message": "\xff\xfe"}',
        {"message": "AudioAdded", "seq_no": 7},
        {"message": "AudioAdded"},
        {"message": "AudioAdded", "seq_no": True},
        STARTED,
        {"message": "AddTranscript", "results": "none"},
        {"message": "AddTranscript", "metadata": [], "results": [{}]},
        {"message": "SpeakersResult", "speakers": 5},
    ],
    ids=lambda message: str(message)[:40],
)
def test_what_breaks_the_protocol_is_a_transport_error(message: Any) -> None:
    raised = fails(in_mid_session(message), Blocking(speech(0.1)))
    assert isinstance(raised, TransportError)
    assert raised.transcript is not None
    assert raised.transcript.text == "one"
    assert len(str(raised)) < 500


@pytest.mark.parametrize("metadata", [None, [], "text", {"end_time": "late"}, {"end_time": None}])
def test_without_a_transcript_messages_go_to_handlers_as_they_are(metadata: Any) -> None:
    seen: list[Any] = []
    message = {"message": "AddTranscript", "metadata": metadata}

    def behave(peer: Peer) -> None:
        peer.start()
        peer.send(message)
        peer.finish()

    with serving(behave) as url, client_of(url) as client:
        client.on("AddTranscript", seen.append)
        client.transcribe(speech(0.1), audio_format=RAW, collect=False)
    assert seen == [message]


def test_what_nobody_knows_is_handed_on() -> None:
    unknown: list[Any] = [
        {"message": "Novelty", "deep": {"er": [1, 2.5, None, "ü"]}},
        {"message": None},
        {"message": 5},
        {"no": "name"},
        {},
        {"message": "Info", "type": "of a kind unheard of", "field": [1]},
        {**final("word"), "field": "unknown"},
    ]

    def behave(peer: Peer) -> None:
        peer.start()
        peer.send(*unknown)
        peer.finish()

    with serving(behave) as url, client_of(url) as client:
        pulled = list(client.stream(speech(0.1), audio_format=RAW))
    assert pulled == [STARTED, *unknown, END_OF_TRANSCRIPT]


# -- sources ------------------------------------------------------------------------------------


def _raises() -> Any:
    yield speech(0.1)
    raise LookupError("the microphone is gone")


def _yields_text() -> Any:
    yield speech(0.1)
    yield "text"


SOURCES: dict[str, tuple[Callable[[], object], str]] = {
    "empty": (lambda: b"", "empty"),
    "empty file": (io.BytesIO, "empty"),
    "empty iterable": (lambda: iter([]), "empty"),
    "half a sample": (lambda: b"x", "empty"),
    "empty chunks": (lambda: iter([b"", b""]), "empty"),
    "missing": (lambda: "no/such/file.wav", "cannot be read"),
    "missing path": (lambda: Path("no such file"), "cannot be read"),
    "directory": (lambda: "/", "directory"),
    "raises": (_raises, "the microphone is gone"),
    "read raises": (lambda: InTurn(speech(0.1), OSError("unplugged")), "unplugged"),
    "yields text": (_yields_text, "str"),
    "reads text": (lambda: io.StringIO("text"), "text mode"),
    "is text": (lambda: ["text"], "transcribe_many"),
    "gives numbers": (lambda: [1, 2, 3], "int"),
    "is a number": (lambda: 5, "int"),
    "is nothing": (lambda: None, "None"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_that_gives_no_audio_is_an_audio_error(source: str) -> None:
    make, says = SOURCES[source]

    def behave(peer: Peer) -> None:
        peer.start()
        peer.send(final("one"))
        peer.take_audio()

    with serving(behave) as url, client_of(url) as client:
        with pytest.raises(AudioError, match=says):
            client.transcribe(make(), audio_format=RAW, timeout=PATIENCE)
        with pytest.raises(AudioError, match=says):
            list(client.stream(make(), audio_format=RAW, timeout=PATIENCE))
        with pytest.raises((AudioError, ConfigurationError), match=says):
            client.transcribe(make() if source != "half a sample" else b"", timeout=PATIENCE)


def test_the_error_of_a_source_carries_what_was_heard_and_its_cause() -> None:
    heard = threading.Event()

    def source() -> Any:
        yield speech(0.1)
        wait_for(heard)
        raise LookupError("the microphone is gone")

    def behave(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.send(final("one"))
        peer.wait_closed()

    with serving(behave) as url, client_of(url) as client:
        client.on("AddTranscript", lambda message: heard.set())
        with pytest.raises(AudioError) as caught:
            client.transcribe(source(), audio_format=RAW)
    assert caught.value.transcript is not None
    assert caught.value.transcript.text == "one"
    assert isinstance(caught.value.__cause__, LookupError)


def test_odd_bytes_in_chunks_are_realigned_and_at_the_end_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    received: list[bytes] = []

    def behave(peer: Peer) -> None:
        peer.start()
        peer.finish()
        received.extend(peer.audio)

    with serving(behave) as url, client_of(url) as client:
        client.transcribe(iter([b"abc", b"d", b"efg"]), audio_format=RAW)
    assert all(len(chunk) % 2 == 0 for chunk in received)
    assert b"".join(received) == b"abcdef"
    assert "half a sample" in caplog.text


def test_a_source_that_blocks_for_ever_holds_up_nothing_but_itself() -> None:
    """Whatever the source does, the server's Error is raised, and the thread is left alone."""
    source = Blocking(speech(0.1))
    with serving(in_mid_session(error(), code=4013)) as url, client_of(url) as client:
        call = InThread(client.transcribe, source, audio_format=RAW)
        with pytest.raises(TranscriptionError):
            call.result()
        assert not source.released.is_set()


def test_a_blocked_source_without_a_format_can_be_closed() -> None:
    """It blocks before there is a connection: the header is still to be read."""
    source = Blocking()
    client = Client(url="ws://localhost:1")
    call = InThread(client.transcribe, source)
    wait_for(source.blocked)
    client.close()
    with pytest.raises(SpeechmaticsError):
        call.result()


def test_with_a_format_the_connection_comes_before_the_first_read() -> None:
    started = threading.Event()

    class Source:
        def read(self, size: int) -> bytes:
            assert started.is_set()
            return b""

    def behave(peer: Peer) -> None:
        peer.receive()
        started.set()
        peer.send(STARTED)
        peer.wait_closed()

    with serving(behave) as url:
        client = client_of(url)
        with pytest.raises(AudioError, match="empty"):
            client.transcribe(Source(), audio_format=RAW)


def drained(peer: Peer) -> None:
    peer.start()
    peer.wait_closed()


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.transcribe(5, audio_format=RAW),
        lambda client: client.transcribe(io.StringIO("text"), audio_format=RAW),
        lambda client: client.transcribe(iter(["text"]), audio_format=RAW),
        lambda client: client.transcribe(InTurn(b"ab", 3.5), audio_format=RAW),
        lambda client: list(client.stream([speech(0.1), None], audio_format=RAW)),
        lambda client: (client.start_session(audio_format=RAW), client.send_audio("text")),
        lambda client: (client.start_session(audio_format=RAW), client.send_audio([1, 2])),
    ],
)
def test_a_payload_that_is_no_audio_is_a_value_error(call: Callable[[Client], Any]) -> None:
    with serving(drained) as url, client_of(url) as client:
        with pytest.raises(ValueError, match=r"text|not bytes|not audio") as caught:
            call(client)
        assert isinstance(caught.value, AudioError)


def test_a_file_that_cannot_be_read_is_no_value_error(tmp_path: Path) -> None:
    with client_of("ws://localhost:1") as client, pytest.raises(AudioError) as caught:
        client.transcribe(tmp_path / "nofile.wav")
    assert not isinstance(caught.value, ValueError)


def test_a_value_error_of_one_channel_is_one_of_the_session() -> None:
    with serving(drained) as url, MultiChannelClient(url=url) as client:
        sources = {"a": Blocking(), "b": iter([None])}
        with pytest.raises(ValueError, match=r"'b'.*not bytes") as caught:
            client.transcribe(sources, audio_format=RAW)
    assert isinstance(caught.value, AudioError)
