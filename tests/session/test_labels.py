"""Who is S1 stays S1 when a connection is lost or replaced, as the user of the session sees it."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Optional

import pytest
from support.fault_proxying import Counted
from support.labels import ENGINES_OWN
from support.reconnecting import (
    POLICY,
    RECONNECTED,
    RECONNECTING,
    Heard,
    Legs,
    cut,
    listen,
    noise,
    pieces,
    served,
)
from support.serving import PATIENCE, Peer, final
from support.sessions import RAW, InThread, client_of, wait_for, with_longer_limits
from support.web_servers import until

from speechmatics_sync import (
    Client,
    ConnectionConfig,
    MultiChannelClient,
    ReconnectPolicy,
    SpeakerDiarizationConfig,
    SpeakerIdentifier,
    Transcript,
    TranscriptionConfig,
    TranslationConfig,
)
from speechmatics_sync.local import CountedRecognizer, Drop, Fault, Faults, LocalServer, Warn
from speechmatics_sync.local._speakers import identifier

DIARIZED = TranscriptionConfig(diarization="speaker", max_delay=1, enable_partials=True)
SOON = dataclasses.replace(POLICY, rollover_margin=4.0)
LIMITS = ConnectionConfig(max_unacked_chunks=4)
"""So little audio on its way that a question of the session's is not behind all of it."""
NEARS_ITS_END = Warn("session_timeout", "Session will timeout in 0.06m due to max duration")


def spoken_by(transcript: Transcript) -> list[tuple[str, Optional[str]]]:
    """Every word and its speaker."""
    return [(word.content, word.speaker) for word in transcript.words]


def _unhurried(chunks: list[bytes], gone: threading.Event, server: LocalServer) -> Iterator[bytes]:
    """Audio of which some is left when the first connection is lost or replaced.

    A busy machine needs longer to connect: the audio waits for that.
    """
    for number, chunk in enumerate(chunks):
        if number > 110:
            gone.wait(0.01)
        if number == 120 and not gone.is_set():
            until(lambda: gone.is_set() or any(each.start for each in server.sessions[1:]))
        yield chunk


class Conversation:
    """A session of counted audio in which voices take turns.

    Args:
        voices: Their names.
        turn: Words of each turn; there are two words in a second.
        words: Words in all.
        faults: What happens, and when, as for `Faults.add`.
    """

    def __init__(
        self,
        voices: Sequence[str],
        *,
        turn: int,
        words: int,
        faults: Sequence[tuple[Fault, dict[str, Any]]] = (),
        config: TranscriptionConfig = DIARIZED,
        reconnect: Optional[ReconnectPolicy] = SOON,
    ) -> None:
        counted = Counted(first=1, count=words)
        planned = Faults()
        for fault, when in faults:
            planned.add(fault, **when)
        recognizer = CountedRecognizer(voices=voices, turn=turn)
        with LocalServer(recognizer=recognizer, strict=True, faults=planned) as server:
            client = Client(url=server.url, conn_config=LIMITS, reconnect=reconnect)
            self.heard = Heard(client, "AddPartialTranscript", "AddTranscript")
            self.answers = Heard(client, "SpeakersResult")
            gone = threading.Event()
            if not faults:
                gone.set()
            client.on(RECONNECTING, lambda message: gone.set())
            self.transcript = client.transcribe(
                _unhurried(pieces(counted.audio()), gone, server),
                audio_format=RAW,
                transcription_config=config,
            )
        self.reconnects = client.stats.reconnects
        assert not planned.pending
        self.connections = server.sessions

    def asked(self) -> list[int]:
        """How often GetSpeakers came over each connection."""
        return [
            sum(message["message"] == "GetSpeakers" for message in connection.messages)
            for connection in self.connections
        ]

    def enrolled(self, connection: int) -> dict[str, list[str]]:
        """Label → identifiers, as StartRecognition has it."""
        start = self.connections[connection].start
        assert start is not None
        config = start["transcription_config"].get("speaker_diarization_config", {})
        return {
            speaker["label"]: speaker["speaker_identifiers"]
            for speaker in config.get("speakers", [])
        }


THREE = ("anna", "ben", "carl")
LOSS: tuple[Fault, dict[str, Any]] = (Drop(), {"after_seconds": 11.5})
LOSS_AND_ROLLOVER = pytest.mark.parametrize(
    "fault", [Drop(), NEARS_ITS_END], ids=["a loss", "a rollover"]
)


@LOSS_AND_ROLLOVER
def test_voices_keep_their_labels_and_new_ones_are_numbered_after_the_old(fault: Fault) -> None:
    """Carl is first heard after it, when the others speak again; the second one begins with Ben."""
    expected = Conversation(THREE, turn=14, words=70)
    faults = [(fault, {"after_seconds": 11.5}), (Drop(), {"after_seconds": 11.0, "skip": 1})]
    got = Conversation(THREE, turn=14, words=70, faults=faults)
    assert {speaker for _, speaker in spoken_by(expected.transcript)} == {"S1", "S2", "S3"}
    assert spoken_by(got.transcript) == spoken_by(expected.transcript)
    assert got.reconnects == 2


@LOSS_AND_ROLLOVER
def test_handlers_of_partials_and_finals_see_no_label_but_the_sessions_own(fault: Fault) -> None:
    got = Conversation(("anna", "ben"), turn=4, words=40, faults=[(fault, {"after_seconds": 11.5})])
    labels = {
        result["alternatives"][0].get("speaker")
        for message in got.heard.messages
        for result in message["results"]
        if result["type"] == "word"
    }
    assert labels == {"S1", "S2"}
    assert {message["message"] for message in got.heard.messages} == {
        "AddPartialTranscript",
        "AddTranscript",
    }


def test_known_voices_are_enrolled_under_labels_that_the_api_takes() -> None:
    got = Conversation(("anna", "ben"), turn=4, words=40, faults=[LOSS])
    assert got.enrolled(0) == {}
    ours = got.enrolled(1)
    assert sorted(ours.values()) == [[identifier("anna")], [identifier("ben")]]
    assert not any(ENGINES_OWN.match(label) for label in ours)


def test_labels_that_the_user_enrolled_stay_as_they_are() -> None:
    speakers = [SpeakerIdentifier("Ben", [identifier("ben")])]
    config = TranscriptionConfig(
        diarization="speaker",
        max_delay=1,
        speaker_diarization_config=SpeakerDiarizationConfig(speakers=speakers),
    )
    options: dict[str, Any] = {"turn": 4, "words": 40, "config": config}
    expected = Conversation(THREE, **options)
    got = Conversation(THREE, **options, faults=[LOSS])
    assert {speaker for _, speaker in spoken_by(expected.transcript)} == {"S1", "Ben", "S2"}
    assert spoken_by(got.transcript) == spoken_by(expected.transcript)
    enrolled = got.enrolled(1)
    assert enrolled["Ben"] == [identifier("ben")]
    assert sorted(enrolled.values()) == sorted([identifier(name)] for name in THREE)


@pytest.mark.parametrize("seconds", [1.2, 2.6, 3.4])
def test_a_voice_that_was_not_known_yet_is_never_taken_for_another(seconds: float) -> None:
    """Before the session could learn them: a voice may get another label, but its own."""
    faults = [(Drop(), {"after_seconds": seconds, "times": 2})]
    got = Conversation(THREE, turn=2, words=30, faults=faults)
    labels = defaultdict(set)
    for word, speaker in spoken_by(got.transcript):
        labels[THREE[(int(word[1:]) - 1) // 2 % 3]].add(speaker)
    for one, other in itertools.combinations(THREE, 2):
        assert not labels[one] & labels[other]


def test_the_session_asks_for_itself_from_time_to_time_and_nobody_sees_the_answer() -> None:
    got = Conversation(("anna", "ben"), turn=4, words=60)
    (times,) = got.asked()
    assert 1 <= times <= 60 * 0.5 / 5
    assert got.answers.messages == []
    assert got.transcript.speakers == []


@pytest.mark.parametrize(
    "changes",
    [
        {"reconnect": None},
        {"config": TranscriptionConfig(max_delay=1)},
    ],
    ids=["no reconnecting", "no diarization"],
)
def test_the_session_asks_nothing_where_it_would_not_help(changes: dict[str, Any]) -> None:
    got = Conversation(("anna", "ben"), turn=4, words=40, **changes)
    assert got.asked() == [0]


# -- over connections that follow a script -------------------------------------------------------


ANNA = {"label": "S1", "speaker_identifiers": ["voice-of-anna"]}
BEN = {"label": "S2", "speaker_identifiers": ["voice-of-ben"]}


def said(text: str, start: float, end: float, speaker: str, **changes: Any) -> dict[str, Any]:
    message = final(text, start, end)
    message["results"][0]["alternatives"][0]["speaker"] = speaker
    return {**message, **changes}


def answers(*speakers: dict[str, Any]) -> dict[str, Any]:
    return {"message": "SpeakersResult", "speakers": list(speakers)}


def learns(peer: Peer, *speakers: dict[str, Any]) -> None:
    """Have the session ask who speaks, and answer it."""
    peer.start()
    listen(peer, 60)
    peer.send(said("hello", 4.5, 5.5, "S1"))
    assert peer.take_audio() == {"message": "GetSpeakers"}
    peer.send(answers(*speakers))


def audio_until(told: threading.Event, seconds: float = 6.0) -> Iterator[bytes]:
    """Audio enough for a question, and then more as long as the test wants."""
    yield from pieces(noise(seconds))
    while not told.is_set():
        yield noise(0.1)


def enrolled_as(peer: Peer, voice: str) -> str:
    """The label under which a voice is enrolled on a connection."""
    assert peer.start_message is not None
    speakers = peer.start_message["transcription_config"]["speaker_diarization_config"]["speakers"]
    (label,) = (each["label"] for each in speakers if voice in each["speaker_identifiers"])
    assert isinstance(label, str)
    return label


def test_translations_and_answers_have_the_sessions_labels_too() -> None:
    told = threading.Event()

    def first(peer: Peer) -> None:
        learns(peer, ANNA, BEN)
        translation = {"content": "hallo", "start_time": 4.5, "end_time": 5.5, "speaker": "S1"}
        peer.send({"message": "AddTranslation", "language": "de", "results": [translation]})
        cut(peer)

    def second(peer: Peer) -> None:
        peer.start(id="session-2")
        ben = enrolled_as(peer, "voice-of-ben")
        message = peer.take_audio()
        assert message == {"message": "GetSpeakers"}
        peer.send(answers({**BEN, "label": ben}, {"label": "S1", "speaker_identifiers": ["new"]}))
        time = {"start_time": 2.0, "end_time": 2.5}
        translation = {"content": "ja", **time, "speaker": ben}
        for name in ("AddPartialTranslation", "AddTranslation"):
            peer.send({"message": name, "language": "de", "results": [translation]})
        peer.send(said("yes", 2.0, 2.5, ben), said("no", 2.6, 2.9, "S1"))
        told.set()
        peer.finish()
        peer.wait_closed()

    with served(Legs(first, second)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client, "AddTranscript", "AddPartialTranslation", "AddTranslation")
        asked: list[InThread] = []
        client.on(RECONNECTED, lambda message: asked.append(InThread(client.get_speakers)))
        transcript = client.transcribe(
            audio_until(told),
            audio_format=RAW,
            transcription_config=DIARIZED,
            translation_config=TranslationConfig(target_languages=["de"]),
        )
        assert asked[0].result() == [
            SpeakerIdentifier("S2", ["voice-of-ben"]),
            SpeakerIdentifier("S3", ["new"]),
        ]
    assert [label for _, label in spoken_by(transcript)] == ["S1", "S2", "S3"]
    assert [
        result["speaker"]
        for name in ("AddPartialTranslation", "AddTranslation")
        for message in heard.of(name)
        for result in message["results"]
    ] == ["S2", "S1", "S2"]


def test_questions_of_the_session_and_of_the_user_are_not_mixed_up() -> None:
    """The user asks while the session's own question is open."""
    open, asked = threading.Event(), threading.Event()

    def first(peer: Peer) -> None:
        peer.start()
        listen(peer, 60)
        peer.send(said("hello", 4.5, 5.5, "S1"))
        assert peer.take_audio() == {"message": "GetSpeakers"}
        open.set()
        assert peer.take_audio() == {"message": "GetSpeakers"}
        peer.send(answers(ANNA), answers(ANNA, BEN))
        peer.finish()
        peer.wait_closed()

    with served(Legs(first)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client, "SpeakersResult")
        call = InThread(
            client.transcribe,
            audio_until(asked),
            audio_format=RAW,
            transcription_config=DIARIZED,
        )
        wait_for(open)
        labels = [speaker.label for speaker in client.get_speakers(timeout=PATIENCE)]
        asked.set()
        call.result()
    assert labels == ["S1", "S2"]
    assert [message["speakers"] for message in heard.messages] == [[ANNA, BEN]]


def test_no_limit_counts_for_the_sessions_own_questions() -> None:
    """A server that knows no GetSpeakers loses no session by it."""
    with_longer_limits(_question_of_its_own)


def _question_of_its_own(times: float) -> None:
    told, waited = threading.Event(), threading.Event()

    def first(peer: Peer) -> None:
        peer.start()
        listen(peer, 60)
        peer.send(said("hello", 4.5, 5.5, "S1"))
        assert peer.take_audio() == {"message": "GetSpeakers"}
        told.set()
        wait_for(waited)
        peer.finish()
        peer.wait_closed()

    def audio() -> Iterator[bytes]:
        yield from pieces(noise(6.0))
        wait_for(told)
        waited.wait(0.6 * times)  # longer than ack_timeout; nothing but the question is owed
        waited.set()

    limits = {"ack_timeout": 0.3 * times}
    with served(Legs(first)) as url, client_of(url, reconnect=POLICY, **limits) as client:
        heard = Heard(client, RECONNECTING)
        client.transcribe(audio(), audio_format=RAW, transcription_config=DIARIZED)
    if heard.messages:
        raise ConnectionError("it was lost by a limit")


def test_a_voice_is_enrolled_with_what_the_user_was_told_of_it() -> None:
    """Answers to the user's own questions teach the session as well."""
    told = threading.Event()

    def first(peer: Peer) -> None:
        peer.start()
        listen(peer, 5)
        peer.send(said("hello", 0.0, 0.4, "S1"))
        assert peer.take_audio() == {"message": "GetSpeakers"}
        peer.send(answers(ANNA))
        cut(peer)

    def second(peer: Peer) -> None:
        peer.start(id="session-2")
        told.set()
        peer.send(said("again", 0.5, 0.9, enrolled_as(peer, "voice-of-anna")))
        peer.finish()
        peer.wait_closed()

    with served(Legs(first, second)) as url, client_of(url, reconnect=POLICY) as client:
        client.start_session(audio_format=RAW, transcription_config=DIARIZED)
        for chunk in pieces(noise(1.0)):
            client.send_audio(chunk)
        assert client.get_speakers(timeout=PATIENCE) == [SpeakerIdentifier.from_dict(ANNA)]
        wait_for(told)
        transcript = client.stop_session(timeout=PATIENCE)
    assert spoken_by(transcript) == [("hello", "S1"), ("again", "S1")]


# -- several channels ----------------------------------------------------------------------------


@pytest.mark.parametrize("diarization", ["channel", "channel_and_speaker"])
def test_where_no_answer_names_a_channel_the_event_says_that_labels_start_anew(
    diarization: Any,
) -> None:
    faults = Faults()
    faults.add(Drop(), after_seconds=3)
    recognizer = CountedRecognizer(voices=["anna", "ben"], turn=2)
    audio = Counted(first=1, count=30).audio()
    with LocalServer(recognizer=recognizer, strict=True, faults=faults) as server:
        client = MultiChannelClient(url=server.url, conn_config=LIMITS, reconnect=POLICY)
        heard = Heard(client, RECONNECTING, RECONNECTED, "SpeakersResult")
        client.transcribe(
            {"agent": audio, "customer": audio},
            audio_format=RAW,
            transcription_config=TranscriptionConfig(diarization=diarization),
        )
    found = heard.one(RECONNECTED)
    assert found.get("labels_restart") == (True if diarization == "channel_and_speaker" else None)
    assert "labels_restart" not in heard.one(RECONNECTING)
    assert heard.of("SpeakersResult") == []
    for connection in server.sessions:
        assert [m for m in connection.messages if m["message"] == "GetSpeakers"] == []
