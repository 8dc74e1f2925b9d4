"""A lack of memory in a caller's own thread leaves a session that goes on or one that has ended."""

from __future__ import annotations

import threading
from typing import Any, Callable

import pytest
from support.serving import PATIENCE, Peer, final, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, client_of, speech

from speechmatics_sync import Client, ConnectionError


def full(*_: Any, **__: Any) -> Any:
    raise MemoryError


def says_a_word(peer: Peer) -> None:
    peer.start()
    peer.take_audio()
    peer.send(final("word"), END_OF_TRANSCRIPT)
    peer.wait_closed()


CALLS: dict[str, Callable[[Client], Any]] = {
    "add_audio": lambda client: client.send_audio(speech(0.1)),
    "add_message": lambda client: client.send_message({"message": "GetSpeakers"}),
    "configure": lambda client: client.update_transcription_config(max_delay=1),
    "end_audio": lambda client: client.end_of_stream(),
    "ask_speakers": lambda client: client.get_speakers(timeout=PATIENCE),
    "force_end_of_utterance": lambda client: client.force_end_of_utterance(),
}


@pytest.mark.parametrize("step", CALLS)
def test_what_it_cut_in_two_ends_the_session(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what was made of the audio or the message."""
    with serving(says_a_word) as url:
        client = client_of(url)
        client.start_session(audio_format=RAW)
        with monkeypatch.context() as patched:
            patched.setattr(f"speechmatics_sync._protocol.session.Protocol.{step}", full)
            with pytest.raises(ConnectionError, match="No memory is left") as raised:
                CALLS[step](client)
        assert raised.value.request_id == client.request_id
        with pytest.raises(ConnectionError, match="No memory is left"):
            client.send_audio(speech(0.1))
        client.close()
        client.start_session(audio_format=RAW)  # another one is possible
        client.send_audio(speech(0.1))
        assert client.stop_session(timeout=PATIENCE).text == "word"


def test_a_payload_that_cannot_be_copied_is_not_taken_and_the_session_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(says_a_word) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        with monkeypatch.context() as patched:
            patched.setattr("speechmatics_sync._session.outbox.audio_view", full)
            with pytest.raises(ConnectionError, match="No memory is left"):
                client.send_audio(speech(0.1))
        assert client.audio_bytes_sent == 0
        client.send_audio(speech(0.1))
        assert client.stop_session(timeout=PATIENCE).text == "word"


def test_that_of_a_handler_is_its_own_and_ends_the_session() -> None:
    with serving(says_a_word) as url, client_of(url) as client:
        client.on("AddTranscript", full)
        with pytest.raises(MemoryError):
            client.transcribe(speech(0.1), audio_format=RAW, timeout=PATIENCE)
        assert not [each for each in threading.enumerate() if client.request_id[:8] in each.name]
