from __future__ import annotations

import os
import threading
import time

import pytest
from support.forking import in_child
from support.serving import Peer, final, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, client_of, speech

from speechmatics_sync import Client, SessionError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


class Speaking:
    """A server that goes on with the parent's session after the child has gone."""

    def __init__(self) -> None:
        self.sessions = 0

    def __call__(self, peer: Peer) -> None:
        self.sessions += 1
        peer.start()
        peer.take_audio()
        peer.send(final("word"), END_OF_TRANSCRIPT)


def _all_refused(client: Client) -> None:
    for call in (
        lambda: client.send_audio(b"ab"),
        lambda: client.send_message({"message": "Mine"}),
        lambda: client.update_transcription_config(max_delay=1),
        lambda: client.force_end_of_utterance(),
        lambda: client.get_speakers(),
        lambda: client.end_of_stream(),
        lambda: client.stop_session(),
        lambda: client.stats,
    ):
        with pytest.raises(SessionError, match="fork"):
            call()


def test_every_call_in_the_child_says_that_the_session_stayed_in_the_parent() -> None:
    with serving(Speaking()) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))

        def child() -> None:
            for call in (
                lambda: client.transcribe(b"ab", audio_format=RAW),
                lambda: client.stream(b"ab", audio_format=RAW),
                lambda: client.start_session(audio_format=RAW),
            ):
                with pytest.raises(SessionError, match="fork"):
                    call()
            _all_refused(client)
            assert client.request_id is not None
            client.close()
            client.close()
            _all_refused(client)

        in_child(child)
        client.send_audio(speech(0.1))
        assert client.stop_session().text == "word"


def test_a_client_made_before_the_fork_has_a_session_id_of_its_own_in_each_process() -> None:
    client = Client(url="ws://localhost:1")
    told = client.request_id

    def child() -> None:
        assert client.request_id != told

    in_child(child)
    assert client.request_id == told


def test_leaving_the_child_does_not_touch_the_parents_session() -> None:
    """Through `with`, and by dropping a stream."""
    with serving(Speaking()) as url, client_of(url) as client:
        with client.stream(speech(0.1), audio_format=RAW) as stream:
            next(stream)

            def child() -> None:
                with pytest.raises(SessionError, match="fork"):
                    next(stream)
                stream.close()
                with client:
                    pass

            in_child(child)
            assert [message["message"] for message in stream][-1] == "EndOfTranscript"
        assert client.transcript.text == "word"


def test_a_client_made_before_the_fork_works_in_the_child() -> None:
    server = Speaking()
    with serving(server) as url:
        client = client_of(url)
        client.transcribe(speech(0.1), audio_format=RAW)

        def child() -> None:
            assert client.transcribe(speech(0.1), audio_format=RAW).text == "word"
            with client_of(url) as another:
                assert another.transcribe(speech(0.1), audio_format=RAW).text == "word"

        in_child(child)
        assert client.transcribe(speech(0.1), audio_format=RAW).text == "word"
    assert server.sessions == 4


def test_another_client_works_in_the_child_while_the_parents_session_runs() -> None:
    with serving(Speaking()) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)

        def child() -> None:
            with client_of(url) as another:
                assert another.transcribe(speech(0.1), audio_format=RAW).text == "word"
            client.close()
            assert client.transcribe(speech(0.1), audio_format=RAW).text == "word"

        in_child(child)
        assert client.stop_session().text == "word"


def test_the_parents_receiver_sleeps_after_the_child_has_gone() -> None:
    """Whatever the child calls, it must not fill the pipe by which the receiver is woken."""
    with serving(Speaking()) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)

        def child() -> None:
            _all_refused(client)
            client.close()

        in_child(child)
        before = time.process_time()
        threading.Event().wait(0.3)  # the time in which nothing may happen
        assert time.process_time() - before < 0.15
        client.stop_session()
