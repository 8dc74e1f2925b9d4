"""Whatever a server says ends in what it means or in one of our errors.

Messages that are not as described, JSON that is no message, bytes that are no frames: nothing
hangs, nothing else is raised, nothing stays open.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import threading
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import responses
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from support.fuzzing import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    Described,
    broken_frames,
    closing,
    examples,
    frame,
    json_texts,
    json_values,
    words,
)
from support.serving import PATIENCE, listening
from support.sessions import (
    RAW,
    receive_frame,
    send_frame,
    speech,
    start_below,
)

from speechmatics_sync import (
    AudioEvent,
    AuthenticationError,
    Client,
    ConnectionConfig,
    EndOfUtterance,
    ErrorMessage,
    InfoMessage,
    JWTAuth,
    LanguageInfo,
    MultiChannelClient,
    RecognitionStarted,
    ReconnectPolicy,
    SessionEvent,
    SpeakersResult,
    SpeechmaticsError,
    TimeoutError,
    Transcript,
    TranscriptionConfig,
    TranscriptResult,
    TranslationResult,
    TransportError,
    WarningMessage,
)


@pytest.fixture(scope="module")
def described(shared: Path) -> Described:
    with (shared / "spec" / "realtime.yaml").open(encoding="utf-8") as file:
        return Described(yaml.safe_load(file))


# -- messages as objects --------------------------------------------------------------------------

READERS: dict[str, Any] = {
    **dict.fromkeys(TranscriptResult.MESSAGES, TranscriptResult),
    **dict.fromkeys(TranslationResult.MESSAGES, TranslationResult),
    "AudioEventEnded": AudioEvent,
    "AudioEventStarted": AudioEvent,
    "EndOfUtterance": EndOfUtterance,
    "Error": ErrorMessage,
    "Info": InfoMessage,
    "LanguageInfo": LanguageInfo,
    "RecognitionStarted": RecognitionStarted,
    "SpeakersResult": SpeakersResult,
    "Warning": WarningMessage,
}
SETTLED = {"AudioAdded", "ChannelAudioAdded", "EndOfTranscript"}
"""Messages that are no objects."""


def holds(read: Any, sent: Any) -> bool:
    """Whether nothing of what was sent is missing or another; None says nothing."""
    if isinstance(sent, dict) and isinstance(read, dict):
        return all(
            value is None or (key in read and holds(read[key], value))
            for key, value in sent.items()
        )
    if isinstance(sent, list) and isinstance(read, list):
        return len(read) == len(sent) and all(map(holds, read, sent))
    return type(read) is type(sent) and bool(read == sent)


def as_sent(message: dict[str, Any]) -> dict[str, Any]:
    """What `to_dict` is to hold: an audio event is the inner object, channels have one name."""
    if message["message"] in ("AudioEventStarted", "AudioEventEnded"):
        return dict(message["event"])
    message = dict(message)
    if message["message"] == "RecognitionStarted" and message.get("channel_ids") is None:
        message.pop("channel_ids", None)
        if "channels" in message:
            message["channel_ids"] = message.pop("channels")
    return message


def test_every_message_has_a_strategy_and_an_object(described: Described) -> None:
    assert set(described.by_name) == {*READERS, *SETTLED}


@examples(250)
@given(data=st.data())
def test_described_message_becomes_an_object_and_that_the_message_again(
    described: Described, data: st.DataObject
) -> None:
    message = data.draw(described.valid)
    reader = READERS.get(message["message"])
    if reader is None:
        return
    before = json.dumps(message)
    plain = reader.from_message(message).to_dict()
    sent = as_sent(message)
    assert json.dumps(message) == before
    assert holds(plain, sent)
    assert set(plain) - set(sent) <= {"channel"}, "the channel of its results or its event"


@examples(250)
@given(data=st.data())
def test_garbled_message_becomes_an_object_that_lost_nothing_or_our_error(
    described: Described, data: st.DataObject
) -> None:
    made_up = data.draw(st.sampled_from([False, False, False, True]))
    message = data.draw(json_values) if made_up else described.garbled(data.draw)
    name = message.get("message") if isinstance(message, dict) else None
    reader = READERS.get(name) if isinstance(name, str) else None
    for other in {*READERS.values()} - {reader}:
        with pytest.raises(TransportError):
            other.from_message(message)
    if reader is None:
        return
    try:
        read = reader.from_message(message)
    except TransportError:
        return
    plain = read.to_dict()
    assert holds(plain, as_sent(message))
    again = reader.from_dict(plain) if reader is AudioEvent else reader.from_message(plain)
    assert again.to_dict() == plain
    assert again == read


# -- transcripts ----------------------------------------------------------------------------------


def read_whole(transcript: Transcript) -> None:
    """Everything that a user may ask of a transcript; nothing of it raises."""
    assert isinstance(transcript.text, str)
    assert str(transcript) == transcript.text
    repr(transcript)
    words = [word for turn in transcript.turns for word in turn.words]
    assert sorted(map(repr, words)) == sorted(map(repr, transcript.words))
    written = transcript.to_dict()
    json.dumps(written)
    assert len(written["results"]) == len([result.to_dict() for result in transcript.results])
    for translation in transcript.translations.values():
        assert isinstance(translation.text, str)
    for part in transcript.channels.values():
        assert isinstance(part.text, str)
        part.to_dict()
    [event.to_dict() for event in transcript.audio_events]
    repr(transcript.speakers)
    for time in (transcript.start_time, transcript.end_time):
        assert time is None or time == time


@examples(80)
@given(data=st.data())
def test_transcript_of_any_messages_can_be_read(described: Described, data: st.DataObject) -> None:
    transcript = Transcript()
    for _ in range(data.draw(st.integers(1, 6))):
        kind = data.draw(st.sampled_from(["valid", "valid", "garbled", "made up"]))
        if kind == "valid":
            message = data.draw(described.valid)
            transcript.add(message)
            continue
        message = described.garbled(data.draw) if kind == "garbled" else data.draw(json_values)
        before = repr(transcript.to_dict())
        try:
            transcript.add(json.loads(json.dumps(message)))
        except TransportError:
            assert repr(transcript.to_dict()) == before, "something of it was taken"
    read_whole(transcript)


# -- the whole client -----------------------------------------------------------------------------


class Script:
    """What a server says in a session, and how it ends.

    Args:
        early: Frames that are sent once the session has started.
        late: Frames that are sent after all audio has come.
        ending: ``"finish"`` acknowledges the audio and ends the transcript; ``"close"`` ends the
            connection with a code, ``"drop"`` without one.
        code: Of the close frame.
    """

    def __init__(self, early: list[bytes], late: list[bytes], ending: str, code: int) -> None:
        self.early = early
        self.late = late
        self.ending = ending
        self.code = code

    def __repr__(self) -> str:
        return f"Script({self.early!r}, {self.late!r}, {self.ending!r}, {self.code})"

    def behave(self, connection: socket.socket) -> None:
        start_below(connection)
        connection.sendall(b"".join(self.early))
        if self.ending == "finish":
            self._take_audio(connection)
        connection.sendall(b"".join(self.late))
        if self.ending == "finish":
            send_frame(connection, {"message": "EndOfTranscript"})
        if self.ending != "drop":
            connection.sendall(closing(self.code))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def _take_audio(self, connection: socket.socket) -> None:
        read: dict[Optional[str], int] = {}
        ends = 0
        while True:
            opcode, payload = receive_frame(connection)
            if opcode == CLOSE:
                raise ConnectionResetError
            message = json.loads(payload) if opcode == TEXT else {}
            label, added = message.get("channel"), "AudioAdded"
            if message.get("message") == "EndOfStream":
                return
            if message.get("message") == "EndOfChannel":
                ends += 1
                if ends == len(CHANNELS):
                    return
            elif message.get("message") == "AddChannelAudio":
                added = "ChannelAudioAdded"
            elif opcode != BINARY:
                continue
            if not message.get("message", "").startswith("EndOf"):
                read[label] = read.get(label, 0) + 1
                told = {} if label is None else {"channel": label}
                send_frame(connection, {"message": added, "seq_no": read[label], **told})


CHANNELS = {"agent": speech(0.05), "S1": speech(0.03)}


def scripts(described: Described, draw: st.DrawFn) -> Script:
    """Draw what a server says: messages, garbled ones, and what is none at all."""
    frames = []
    fatal = False
    kinds = ["passing"] * 6 + ["garbled"] * 3 + ["any", "JSON", "frame", "ping"]
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(kinds))
        if kind == "JSON":
            frames.append(frame(draw(json_texts), draw(st.sampled_from([TEXT, BINARY]))))
        elif kind == "frame":
            frames.append(draw(st.one_of(broken_frames, st.binary(max_size=20))))
        elif kind == "ping":
            frames.append(frame(draw(st.binary(max_size=125)), PING))
        else:
            message = draw(described.passing if kind == "passing" else described.valid)
            if kind == "garbled":
                message = described.garbled(draw, described.passing)
            # A server that sends an Error closes the connection; the client waits for that.
            fatal |= isinstance(message, dict) and message.get("message") == "Error"
            frames.append(frame(json.dumps(message).encode()))
    ending = draw(
        st.sampled_from(["close", "drop"] if fatal else ["finish"] * 3 + ["close", "drop"])
    )
    code = draw(st.sampled_from([1000, 1001, 1003, 1008, 1011, 3999, 4001, 4005, 4006, 4999]))
    early = draw(st.integers(0, len(frames)))
    return Script(frames[:early], frames[early:], ending, code)


OPTIONS: dict[str, Any] = {
    "audio_format": RAW,
    # For which the client listens to the speakers' labels as well.
    "transcription_config": TranscriptionConfig(diarization="speaker"),
}


def transcribe(client: Client, collect: bool) -> Transcript:
    return client.transcribe(speech(0.05), **OPTIONS, collect=collect, timeout=PATIENCE)


def pull(client: Client, collect: bool) -> Transcript:
    with client.stream(speech(0.05), **OPTIONS, collect=collect) as stream:
        for message in stream:
            assert type(message) is dict
        return stream.transcript


def push(client: Client, collect: bool) -> Transcript:
    client.start_session(audio_format=RAW, collect=collect)
    client.send_audio(speech(0.05))
    with contextlib.suppress(TimeoutError):
        client.get_speakers(timeout=0.01)
    return client.stop_session(timeout=PATIENCE)


def transcribe_channels(client: MultiChannelClient, collect: bool) -> Transcript:
    return client.transcribe(CHANNELS, audio_format=RAW, collect=collect, timeout=PATIENCE)


@pytest.mark.parametrize("end", [10**400, -(10**400), 1e308, True])
def test_figures_survive_a_time_that_is_none(end: Any) -> None:
    """Without a transcript, finals are not checked."""
    late = {"message": "AddTranscript", "metadata": {"end_time": end}}
    script = Script([frame(json.dumps(late).encode())], [], "finish", 1000)
    with listening(script.behave) as port:
        url = f"ws://127.0.0.1:{port}/v2"
        with Client(url=url, reconnect=None) as client:
            transcribe(client, collect=False)
            delay = client.stats.final_delay
    assert delay is None or 0 <= delay < 1


CALLS = [transcribe, pull, push, transcribe_channels]


def returns_or_raises_ours(
    described: Described,
    call: Callable[[Any, bool], Transcript],
    scripts: list[Script],
    *,
    collect: bool,
    reconnect: Optional[ReconnectPolicy],
) -> None:
    """Call, with a server that says one script in each connection; look at what is left after."""
    waiting = iter(scripts)

    def behave(connection: socket.socket) -> None:
        script = next(waiting, None)
        if script is not None:
            script.behave(connection)

    seen: list[Any] = []
    kind = MultiChannelClient if call is transcribe_channels else Client
    config = ConnectionConfig(max_size=100_000, close_timeout=2.0, open_timeout=PATIENCE)
    raised: Optional[SpeechmaticsError] = None
    before = set(threading.enumerate())
    with listening(behave) as port:
        url = f"ws://127.0.0.1:{port}/v2"
        with kind(url=url, conn_config=config, reconnect=reconnect) as client:
            for name in (*described.by_name, *SessionEvent, "hello", ""):
                client.on(name, seen.append)
            try:
                transcript = call(client, collect)
            except SpeechmaticsError as error:
                raised, transcript = error, error.transcript
                repr(error), str(error)
            assert not isinstance(raised, TimeoutError), "it hung"
            assert transcript is client.transcript
            repr(client.stats)
            read_whole(transcript)
    assert all(type(message) is dict for message in seen)
    assert all(isinstance(message.get("message"), str) for message in seen)
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("call", CALLS)
@examples(40)
@given(data=st.data())
def test_whatever_a_server_says_a_call_returns_or_raises_our_error(
    described: Described, call: Callable[[Any, bool], Transcript], data: st.DataObject
) -> None:
    script = scripts(described, data.draw)
    collect = data.draw(st.booleans())
    returns_or_raises_ours(described, call, [script], collect=collect, reconnect=None)


IMPATIENT = ReconnectPolicy(max_attempts=3, initial_delay=0, max_delay=0, busy_delay=0)


@pytest.mark.parametrize("call", CALLS)
@examples(25)
@given(data=st.data())
def test_whatever_is_said_after_a_loss_a_call_returns_or_raises_our_error(
    described: Described, call: Callable[[Any, bool], Transcript], data: st.DataObject
) -> None:
    several = [scripts(described, data.draw) for _ in range(data.draw(st.integers(2, 3)))]
    for lost in several[:-1]:
        lost.ending = data.draw(st.sampled_from(["drop", "drop", "close"]))
    collect = data.draw(st.booleans())
    returns_or_raises_ours(described, call, several, collect=collect, reconnect=IMPATIENT)


# -- the platform that sells keys -----------------------------------------------------------------


@examples(40)
@given(data=st.data())
def test_any_answer_of_the_key_platform_is_a_key_or_our_error(data: st.DataObject) -> None:
    def part(value: Any) -> str:
        plain = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(plain).rstrip(b"=").decode()

    claims = st.fixed_dictionaries({}, optional={"exp": json_values, "iat": json_values})
    parts = st.one_of(claims, json_texts, st.just({"alg": "HS256"}))
    tokens = st.one_of(words, st.lists(parts.map(part), min_size=2, max_size=4).map(".".join))
    bodies = st.one_of(
        json_texts,
        tokens.map(lambda token: json.dumps({"key_value": token}).encode()),
    )
    headers = st.fixed_dictionaries(
        {}, optional={"Date": st.sampled_from(["", "Thu, 99 Xyz", "Mon, 01 Jan 0001 00:00:00 GMT"])}
    )
    with responses.RequestsMock() as platform:
        platform.post(
            "https://mp.speechmatics.com/v1/api_keys",
            status=data.draw(st.sampled_from([201, 201, 201, 200, 400, 401, 403])),
            body=data.draw(bodies),
            headers=data.draw(headers),
        )
        auth = JWTAuth("KEY")
        try:
            header = auth.get_auth_headers()["Authorization"]
        except AuthenticationError:
            return
        assert re.fullmatch(r"Bearer [\x21-\x7e]+", header)
