"""What a new connection is asked for, and how it counts."""

from __future__ import annotations

import threading

import pytest
from support.reconnecting import (
    POLICY,
    RECONNECTED,
    RECONNECTING,
    WORD,
    Heard,
    Legs,
    after,
    begins,
    cut,
    finishes,
    given,
    hears,
    listen,
    loses,
    noise,
    pieces,
    refuses,
    served,
)
from support.serving import PATIENCE, Peer
from support.sessions import RAW, client_of, wait_for

from speechmatics_sync import (
    SpeakerIdentifier,
    TranscriptionConfig,
)

# -- what the new connection is asked for -------------------------------------------------------


def test_the_new_connection_has_the_configuration_as_last_changed() -> None:
    config = TranscriptionConfig(
        max_delay=2, conversation_config={"end_of_utterance_silence_trigger": 0.5}
    )

    def first(peer: Peer) -> None:
        peer.start()
        for _ in range(2):
            message = peer.take_audio()
            assert message is not None
            assert message["message"] == "SetRecognitionConfig"
        cut(peer)

    legs = Legs(first, finishes())
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        client.start_session(transcription_config=config, audio_format=RAW)
        client.send_audio(noise(1))
        client.update_transcription_config(max_delay=1.5, enable_partials=True)
        client.update_transcription_config(max_delay=1)
        client.stop_session(timeout=PATIENCE)
    before, now = (peer.start_message or {} for peer in legs.peers)
    assert now["audio_format"] == before["audio_format"]
    assert now["transcription_config"] == {
        **before["transcription_config"],
        "max_delay": 1,
        "enable_partials": True,
    }
    assert now["transcription_config"]["conversation_config"] == {
        "end_of_utterance_silence_trigger": 0.5
    }


def test_a_change_that_was_not_sent_comes_in_its_place_among_the_audio() -> None:
    lost, back = threading.Event(), threading.Event()
    chunks = pieces(noise(2))

    def second(peer: Peer) -> None:
        peer.start()
        message = peer.take_audio()
        assert message is not None
        assert message["message"] == "SetRecognitionConfig"
        assert b"".join(peer.audio) == b"".join(chunks[:10])
        peer.finish()

    legs = Legs(loses(0), after(back, second))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        client.on(RECONNECTING, lambda message: lost.set())
        client.start_session(audio_format=RAW)
        wait_for(lost)
        for at, chunk in enumerate(chunks):
            if at == 10:
                client.update_transcription_config(max_delay=1)
            client.send_audio(chunk)
        back.set()
        client.stop_session(timeout=PATIENCE)
    start = legs.peers[1].start_message or {}
    assert "max_delay" not in start["transcription_config"]


def test_get_speakers_is_answered_through_an_outage() -> None:
    answer = {
        "message": "SpeakersResult",
        "speakers": [{"label": "S1", "speaker_identifiers": ["dm9pY2U="]}],
    }

    def first(peer: Peer) -> None:
        peer.start()
        assert peer.take_audio() == {"message": "GetSpeakers"}
        cut(peer)

    def second(peer: Peer) -> None:
        peer.start()
        assert peer.take_audio() == {"message": "GetSpeakers"}
        assert b"".join(peer.audio) == audio
        peer.send(answer)
        peer.finish()

    audio = noise(1)
    with served(Legs(first, second)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        client.start_session(audio_format=RAW)
        client.send_audio(audio)
        speakers = client.get_speakers(timeout=PATIENCE)
        client.stop_session(timeout=PATIENCE)
    assert speakers == [SpeakerIdentifier("S1", ["dm9pY2U="])]
    assert heard.one("SpeakersResult") == answer


def test_get_speakers_is_asked_again_though_no_audio_was_sent() -> None:
    def first(peer: Peer) -> None:
        peer.start()
        assert peer.receive() == {"message": "GetSpeakers"}
        cut(peer)

    def second(peer: Peer) -> None:
        peer.start()
        assert peer.receive() == {"message": "GetSpeakers"}
        peer.send({"message": "SpeakersResult", "speakers": []})
        peer.finish()

    with served(Legs(first, second)) as url, client_of(url, reconnect=POLICY) as client:
        client.start_session(audio_format=RAW)
        assert client.get_speakers(timeout=PATIENCE) == []
        client.stop_session(timeout=PATIENCE)


def test_an_answered_question_is_not_asked_again() -> None:
    def first(peer: Peer) -> None:
        peer.start()
        assert peer.take_audio() == {"message": "GetSpeakers"}
        peer.send({"message": "SpeakersResult", "speakers": []})
        message = peer.take_audio()
        assert message is not None
        assert message["message"] == "ForceEndOfUtterance"
        peer.send({"message": "EndOfUtterance", "metadata": {"end_time": 1.0}, "forced": True})
        listen(peer, 1)
        cut(peer)

    with served(Legs(first, finishes())) as url, client_of(url, reconnect=POLICY) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(noise(1))
        assert client.get_speakers(timeout=PATIENCE) == []
        client.force_end_of_utterance()
        client.send_audio(noise(1))
        client.stop_session(timeout=PATIENCE)  # the server takes nothing but audio


def test_the_answer_at_the_end_is_asked_for_again() -> None:
    speaker = {"label": "S1", "speaker_identifiers": ["dm9pY2U="]}
    answer = {"message": "SpeakersResult", "speakers": [speaker]}

    def second(peer: Peer) -> None:
        peer.start()
        assert peer.take_audio() == {"message": "GetSpeakers", "final": True}
        message = peer.take_audio()
        assert message == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
        peer.send(answer, {"message": "EndOfTranscript"})
        peer.wait_closed()

    def first(peer: Peer) -> None:
        peer.start()
        assert peer.take_audio() == {"message": "GetSpeakers", "final": True}
        cut(peer)

    with served(Legs(first, second)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        client.start_session(audio_format=RAW)
        client.send_audio(noise(1))
        client.get_speakers(final=True)
        client.send_audio(noise(1))
        transcript = client.stop_session(timeout=PATIENCE)
    assert [speaker.label for speaker in transcript.speakers] == ["S1"]
    assert heard.one("SpeakersResult") == answer


def test_an_utterance_that_was_to_end_by_force_is_asked_to_end_at_the_same_moment() -> None:
    def first(peer: Peer) -> None:
        hears(peer, 30, ("settled", 1.6, 2.2))
        message = peer.take_audio()
        assert message == {"message": "ForceEndOfUtterance", "timestamp": 2.5}
        cut(peer)

    def second(peer: Peer) -> None:
        peer.start()
        message = peer.take_audio()
        assert begins(peer, audio) == 1.2 * 32000  # a second before the settled word's end
        assert message == {"message": "ForceEndOfUtterance", "timestamp": pytest.approx(1.3)}
        end = {"start_time": 1.3, "end_time": 1.3}
        peer.send({"message": "EndOfUtterance", "metadata": end, "forced": True})
        peer.finish()

    audio = noise(3)
    with served(Legs(first, second)) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client)
        client.start_session(audio_format=RAW)
        for chunk in pieces(audio):
            client.send_audio(chunk)
        client.force_end_of_utterance(timestamp=2.5)
        client.stop_session(timeout=PATIENCE)
    assert heard.one("EndOfUtterance")["metadata"] == {"start_time": 2.5, "end_time": 2.5}


# -- acknowledgements ---------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("again", [True, False], ids=["read again", "kept"])
def test_acknowledgements_are_numbered_through(again: bool, attempts: int) -> None:
    audio = noise(4)
    legs = Legs(loses(20, WORD), *[refuses] * (attempts - 1), finishes())
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client, "AudioAdded")
        source = audio if again else given(pieces(audio, 4096))
        client.transcribe(source, audio_format=RAW, timeout=PATIENCE)
        stats = client.stats
    numbers = [message["seq_no"] for message in heard.messages]
    assert numbers == sorted(set(numbers))
    # In chunks of 4096 bytes, whatever was sent twice.
    assert numbers[-1] == len(pieces(audio, 4096))
    assert stats.chunks_sent == stats.chunks_acknowledged == numbers[-1]


def test_a_chunk_that_the_lost_connection_acknowledged_is_not_acknowledged_again() -> None:
    chunks = pieces(noise(4))
    legs = Legs(loses(20, WORD), finishes())
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        heard = Heard(client, "AudioAdded", RECONNECTED)
        client.transcribe(given(chunks), audio_format=RAW, timeout=PATIENCE)
    at = heard.names.index(RECONNECTED)
    before = [message["seq_no"] for message in heard.messages[:at]]
    then = [message["seq_no"] for message in heard.messages[at + 1 :]]
    assert before[-1] <= 20
    assert then[0] == before[-1] + 1
    assert then[-1] == len(chunks)
