"""What is said over each of two connections, one of which takes over from the other."""

from __future__ import annotations

import threading
from typing import Any, Optional

import pytest
from support.reconnecting import (
    RECONNECTED,
    RECONNECTING,
    Heard,
    Legs,
    cut,
    finishes,
    listen,
    noise,
    pieces,
    spoken,
)
from support.serving import PATIENCE, Peer, final, serving
from support.sessions import RAW, client_of, wait_for

from speechmatics_sync import (
    AudioFormat,
    Client,
    ConfigurationError,
    MultiChannelClient,
    ReconnectPolicy,
    SpeakerIdentifier,
    TranscriptionConfig,
    TranscriptionError,
)
from speechmatics_sync._protocol import timeline

POLICY = ReconnectPolicy(initial_delay=0.01, max_delay=0.05, busy_delay=0.05, rollover_margin=1.2)


def near(minutes: float) -> dict[str, Any]:
    """What a server says some time before it ends a session."""
    reason = f"Session will timeout in {minutes}m due to max duration"
    return {"message": "Warning", "type": "session_timeout", "reason": reason}


def test_a_file_is_not_cut_and_the_end_of_its_session_is_a_loss_that_heals() -> None:
    ended = threading.Event()

    def times_out(peer: Peer) -> None:
        peer.start()
        listen(peer, 1)
        peer.send(near(0.01))
        peer.send(final("one", 0.0, 1.0))
        peer.send({"message": "Error", "type": "session_timeout", "reason": "too long"})
        ended.set()
        peer.connection.close(1008)

    second = finishes(("one", 0.0, 1.0), ("two", 1.0, 2.0))

    def replays(peer: Peer) -> None:
        assert ended.is_set(), "another connection beside the first"
        second(peer)

    with serving(Legs(times_out, replays)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        transcript = client.transcribe(b"RIFF and so on", audio_format=AudioFormat())
    assert spoken(transcript) == [("one", 0.0, 1.0), ("two", 1.0, 2.0)]
    assert heard.of("Error") == []


@pytest.fixture(autouse=True)
def nothing_comes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut as in a pause: what comes twice where there is none is in `test_rollover_overlap`."""
    monkeypatch.setattr(timeline, "_OVERLAP", 0.0)


class First:
    """A connection that says it nears its end when it has heard some chunks.

    Attributes:
        cut: Is set when the client has ended its audio on it; then it waits.
        end: Lets it say the rest and end.
    """

    def __init__(self, *words: Any, chunks: int = 10) -> None:
        self.cut, self.end = threading.Event(), threading.Event()
        self.before: list[dict[str, Any]] = []
        self._words = words
        self._chunks = chunks

    def __call__(self, peer: Peer) -> None:
        peer.start()
        listen(peer, self._chunks)
        peer.send(near(0.001))
        while True:
            message = peer.take_audio()
            assert message is not None
            if message["message"] == "EndOfStream":
                break
            self.before.append(message)
        assert message == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
        self.cut.set()
        wait_for(self.end)
        peer.send(*(final(*word) for word in self._words), {"message": "EndOfTranscript"})
        peer.wait_closed()


def pushed(client: Client, first: First, audio: bytes) -> None:
    """Start a session, send as much audio as the first connection hears, and wait for its end."""
    client.start_session(audio_format=RAW)
    for chunk in pieces(audio)[:10]:
        client.send_audio(chunk)
    wait_for(first.cut)


def test_what_the_new_connection_says_waits_for_the_old_ones_end_of_transcript() -> None:
    audio = noise(2.0)
    first = First(("old", 0.2, 0.8))
    told = threading.Event()

    def second(peer: Peer) -> None:
        peer.start(id="session-2")
        listen(peer, 10)
        peer.send({"message": "Info", "type": "recognition_quality"}, final("new", 0.1, 0.6))
        told.set()
        peer.finish()
        peer.wait_closed()

    legs = Legs(first, second)
    with serving(legs) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        pushed(client, first, audio)
        request_id = client.request_id
        for chunk in pieces(audio)[10:]:
            client.send_audio(chunk)
        wait_for(told)
        while client.stats.chunks_acknowledged < 20:
            pass
        assert heard.of("AddTranscript") == []
        first.end.set()
        client.stop_session(timeout=PATIENCE)
        assert (client.request_id, client.session_id) == (request_id, "session-2")
    names = [name for name in heard.names if name != "AudioAdded"]
    assert names == [
        "RecognitionStarted",
        "Warning",
        RECONNECTING,
        "AddTranscript",
        RECONNECTED,
        "AddTranscript",
        "EndOfTranscript",
    ]
    assert spoken(client.transcript) == [("old", 0.2, 0.8), ("new", 1.1, 1.6)]
    assert [message["seq_no"] for message in heard.of("AudioAdded")] == list(range(1, 21))
    assert [b"".join(peer.audio) for peer in legs.peers] == [audio[:32000], audio[32000:]]
    lost, found = heard.one(RECONNECTING), heard.one(RECONNECTED)
    assert "near the longest time" in lost["reason"]
    assert found["session_id"] == "session-2"
    assert (found["seconds_replayed"], found["seconds_lost"]) == (0, 0)
    assert client.stats.reconnects == 1


def test_finals_of_the_new_connection_come_in_order_although_it_ends_first() -> None:
    audio = noise(2.0)
    first = First(("old", 0.2, 0.8))
    ended = threading.Event()

    def second(peer: Peer) -> None:
        peer.start(id="session-2")
        peer.take_audio()
        peer.send(final("new", 0.1, 0.6), {"message": "EndOfTranscript"})
        ended.set()
        peer.wait_closed()

    with serving(Legs(first, second)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        pushed(client, first, audio)
        for chunk in pieces(audio)[10:]:
            client.send_audio(chunk)
        client.end_of_stream()
        wait_for(ended)
        first.end.set()
        transcript = client.stop_session(timeout=PATIENCE)
    assert spoken(transcript) == [("old", 0.2, 0.8), ("new", 1.1, 1.6)]
    heard.one("EndOfTranscript")
    assert heard.names[-1] == "EndOfTranscript"


def test_the_new_connection_is_configured_as_the_session_is_when_the_audio_is_cut() -> None:
    """Also by what was asked of the old one while the new one began."""
    first = First()
    changed = threading.Event()
    configs: list[dict[str, Any]] = []

    def second(peer: Peer) -> None:
        message = peer.receive()
        assert isinstance(message, dict)
        configs.append(message["transcription_config"])
        client.update_transcription_config(max_delay=3.0)
        while not first.before:
            pass
        changed.set()
        peer.send({"message": "RecognitionStarted", "id": "session-2"})
        message = peer.take_audio()
        while message is not None and message["message"] == "SetRecognitionConfig":
            configs.append(message["transcription_config"])
            message = peer.take_audio()
        peer.send({"message": "EndOfTranscript"})
        peer.wait_closed()

    with serving(Legs(first, second)) as url, client_of(url, reconnect=POLICY) as client:
        client.start_session(
            audio_format=RAW, transcription_config=TranscriptionConfig(max_delay=1.0)
        )
        for chunk in pieces(noise(1.0)):
            client.send_audio(chunk)
        wait_for(first.cut)
        assert changed.is_set()
        first.end.set()
        client.stop_session(timeout=PATIENCE)
    assert [config["max_delay"] for config in configs] == [1.0, 3.0]
    assert {config["language"] for config in configs} == {"en"}


def test_times_that_are_asked_for_while_both_are_there_are_the_new_connections_own() -> None:
    first = First()
    asked: list[Any] = []

    def second(peer: Peer) -> None:
        peer.start(id="session-2")
        listen(peer, 5)
        message = peer.receive()
        assert isinstance(message, dict)
        asked.append((message["message"], message["timestamp"]))
        first.end.set()
        peer.finish()
        peer.wait_closed()

    with serving(Legs(first, second)) as url, client_of(url, reconnect=POLICY) as client:
        pushed(client, first, noise(1.0))
        for chunk in pieces(noise(0.5)):
            client.send_audio(chunk)
        client.force_end_of_utterance()
        client.stop_session(timeout=PATIENCE)
    assert asked == [("ForceEndOfUtterance", pytest.approx(0.5))]


def test_a_question_that_the_old_connection_leaves_open_is_asked_of_the_new_one() -> None:
    def first(peer: Peer) -> None:
        peer.start()
        listen(peer, 5)
        assert peer.receive() == {"message": "GetSpeakers"}
        peer.send(near(0.001))
        peer.finish()
        peer.wait_closed()

    def second(peer: Peer) -> None:
        peer.start(id="session-2")
        assert peer.take_audio() == {"message": "GetSpeakers"}
        speakers = [{"label": "S1", "speaker_identifiers": ["a-voice"]}]
        peer.send({"message": "SpeakersResult", "speakers": speakers})
        peer.finish()
        peer.wait_closed()

    with serving(Legs(first, second)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        client.start_session(audio_format=RAW)
        for chunk in pieces(noise(0.5)):
            client.send_audio(chunk)
        assert client.get_speakers(timeout=PATIENCE) == [SpeakerIdentifier("S1", ["a-voice"])]
        client.stop_session(timeout=PATIENCE)
    heard.one("SpeakersResult")


def test_what_is_asked_for_the_end_is_answered_once_at_the_end() -> None:
    def first(peer: Peer) -> None:
        peer.start()
        listen(peer, 5)
        assert peer.receive() == {"message": "GetSpeakers", "final": True}
        peer.send(near(0.001))
        ends(peer, "of-the-first")

    def second(peer: Peer) -> None:
        peer.start(id="session-2")
        assert peer.receive() == {"message": "GetSpeakers", "final": True}
        ends(peer, "of-both")

    def ends(peer: Peer, voice: str) -> None:
        message = peer.take_audio()
        assert message == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
        speakers = [{"label": "S1", "speaker_identifiers": [voice]}]
        peer.send({"message": "SpeakersResult", "speakers": speakers})
        peer.send({"message": "EndOfTranscript"})
        peer.wait_closed()

    with serving(Legs(first, second)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        replaced = threading.Event()
        client.on(RECONNECTED, lambda message: replaced.set())
        client.start_session(audio_format=RAW)
        for chunk in pieces(noise(0.5)):
            client.send_audio(chunk)
        client.get_speakers(final=True)
        wait_for(replaced)
        transcript = client.stop_session(timeout=PATIENCE)
    heard.one("SpeakersResult")
    assert transcript.speakers == [SpeakerIdentifier("S1", ["of-both"])]


def test_channels_that_have_ended_are_not_opened_again() -> None:
    starts: list[list[str]] = []
    ended = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start(id=f"session-{len(starts) + 1}")
        assert peer.start_message is not None
        labels = list(peer.start_message["transcription_config"]["channel_diarization_labels"])
        starts.append(list(labels))
        counts = dict.fromkeys(labels, 0)
        while labels:
            message = peer.receive()
            assert isinstance(message, dict)
            label = message["channel"]
            if message["message"] == "EndOfChannel":
                assert message["last_seq_no"] == counts[label]
                labels.remove(label)
                if label == "agent":
                    peer.send(near(0.001))
                continue
            counts[label] += 1
            acknowledged = {"message": "ChannelAudioAdded", "channel": label}
            peer.send({**acknowledged, "seq_no": counts[label]})
        peer.send({"message": "EndOfTranscript"})
        peer.wait_closed()

    with serving(behave) as url, MultiChannelClient(url=url, reconnect=POLICY) as client:
        client.on(RECONNECTED, lambda message: ended.set())
        client.start_session(channels=["agent", "customer"], audio_format=RAW)
        client.send_audio("agent", noise(0.1))
        client.send_audio("customer", noise(0.1))
        client.end_of_channel("agent")
        wait_for(ended)
        client.send_audio("customer", noise(0.1))
        client.stop_session(timeout=PATIENCE)
    assert starts == [["agent", "customer"], ["customer"]]


# -- losses while there are two ------------------------------------------------------------------


@pytest.mark.parametrize("which", ["old", "new"])
def test_what_the_new_connection_said_before_a_loss_is_said_once(which: str) -> None:
    """All of what was not delivered is heard again, over a third connection."""
    audio = noise(2.0)
    told = threading.Event()
    old = First(("old", 0.2, 0.8))

    def first(peer: Peer) -> None:
        peer.start()
        listen(peer, 10)
        peer.send(final("settled", 0.0, 0.2), near(0.001))
        peer.take_audio()
        old.cut.set()
        wait_for(told)
        if which == "old":
            cut(peer)
        peer.wait_closed()

    def second(peer: Peer) -> None:
        peer.start(id="session-2")
        listen(peer, 10)
        peer.send(final("new", 0.1, 0.6))
        if which == "new":
            cut(peer)
        told.set()
        peer.wait_closed()

    third = finishes(("settled", 0.0, 0.2), ("old", 0.3, 0.8), ("new", 1.1, 1.6), id="session-3")
    with serving(Legs(first, second, third)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        pushed(client, old, audio)
        for chunk in pieces(audio)[10:]:
            client.send_audio(chunk)
        transcript = client.stop_session(timeout=PATIENCE)
    assert [word for word, _, _ in spoken(transcript)] == ["settled", "old", "new"]
    heard.one(RECONNECTING)
    assert heard.one(RECONNECTED)["session_id"] == "session-3"


# -- the end of the audio meanwhile --------------------------------------------------------------


def test_audio_that_ends_while_the_new_connection_begins_needs_none() -> None:
    opened, closed = threading.Event(), threading.Event()

    def first(peer: Peer) -> None:
        peer.start()
        listen(peer, 10)
        peer.send(near(0.001))
        wait_for(opened)
        peer.finish()
        peer.wait_closed()

    def second(peer: Peer) -> None:
        opened.set()
        peer.wait_closed()
        assert peer.audio == []
        closed.set()

    with serving(Legs(first, second)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        client.start_session(audio_format=RAW)
        for chunk in pieces(noise(1.0)):
            client.send_audio(chunk)
        wait_for(opened)
        client.stop_session(timeout=PATIENCE)
        wait_for(closed)
        assert heard.of(RECONNECTING) == []
        assert client.session_id == "session-1"
        assert client.stats.reconnects == 0


def test_audio_that_ends_at_the_cut_where_there_is_room_for_one_session_only() -> None:
    first = First(("old", 0.2, 0.8))
    last = threading.Event()

    def full(peer: Peer) -> None:
        peer.send({"message": "Error", "type": "quota_exceeded", "reason": "one is enough"})
        peer.connection.close(4005)

    def second(peer: Peer) -> None:
        peer.start(id="session-2")
        assert peer.take_audio() == {"message": "EndOfStream", "last_seq_no": 0}
        peer.send({"message": "EndOfTranscript"})
        last.set()
        peer.wait_closed()

    with serving(Legs(first, full, second)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        pushed(client, first, noise(1.0))
        client.end_of_stream()
        first.end.set()
        transcript = client.stop_session(timeout=PATIENCE)
        wait_for(last)
    assert spoken(transcript) == [("old", 0.2, 0.8)]
    assert heard.names.count("EndOfTranscript") == 1
    assert heard.of("Error") == []


# -- when it is time -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "type"),
    [
        ("Session will timeout in 45m due to max duration", "session_timeout"),
        ("Session will timeout in 0.01m due to inactivity", "idle_timeout"),
        ("in a while", "session_timeout"),
        (None, "session_timeout"),
    ],
)
def test_no_connection_is_made_before_it_is_time(reason: Optional[str], type: str) -> None:
    def first(peer: Peer) -> None:
        peer.start()
        listen(peer, 1)
        peer.send({"message": "Warning", "type": type, "reason": reason})
        peer.finish()
        peer.wait_closed()

    with serving(Legs(first)) as url, client_of(url, reconnect=POLICY) as client:
        warned = threading.Event()
        client.on("Warning", lambda message: warned.set())
        client.start_session(audio_format=RAW)
        client.send_audio(noise(0.1))
        wait_for(warned)
        client.send_audio(noise(0.1))
        client.stop_session(timeout=PATIENCE)


def test_without_a_policy_the_server_ends_the_session() -> None:
    def first(peer: Peer) -> None:
        peer.start()
        listen(peer, 1)
        peer.send(near(0.01))
        peer.send({"message": "Error", "type": "session_timeout", "reason": "too long"})
        peer.connection.close(1008)

    with serving(Legs(first)) as url, client_of(url, reconnect=None) as client:
        heard = Heard(client)
        with pytest.raises(TranscriptionError) as caught:
            client.transcribe(noise(1.0), audio_format=RAW)
    assert caught.value.type == "session_timeout"
    heard.one("Error")


def test_a_connection_is_used_for_longer_than_it_takes_to_replace_it() -> None:
    with pytest.raises(ConfigurationError, match=r"session_limit.*5.*rollover_margin"):
        ReconnectPolicy(session_limit=5, rollover_margin=5)
    assert ReconnectPolicy(session_limit=5, rollover_margin=4).session_limit == 5
