"""Calls that come between two steps of another, or while it holds a lock."""

from __future__ import annotations

import io
import os
import threading
from typing import Any

import pytest
from support.forking import in_child
from support.serving import Peer, final, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, client_of, speech, wait_for

from speechmatics_sync import Client, SessionError


def hears(peer: Peer) -> None:
    peer.start()
    peer.take_audio()
    peer.send(final("word"), END_OF_TRANSCRIPT)


def test_close_between_making_and_starting_a_session_keeps_it_from_starting() -> None:
    """The source is not touched, and no thread starts."""
    touched: list[int] = []

    class Source(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            touched.append(1)
            return 0

    class Hasty(Client):
        def _begin(self, *args: Any) -> Any:
            session = super()._begin(*args)
            self.close()
            return session

    threads = set(threading.enumerate())
    client = Hasty(url="ws://localhost:1")
    with pytest.raises(SessionError, match=r"close\(\)"):
        client.transcribe(Source())
    assert touched == []
    assert threads.issuperset(threading.enumerate())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_locks_are_held_does_not_hang_the_child() -> None:
    with serving(hears) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        session: Any = client._session
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with session.life.lock, client._session_lock:
                held.set()
                wait_for(release)

        holding = threading.Thread(target=hold)
        holding.start()
        wait_for(held)

        def child() -> None:
            with pytest.raises(SessionError, match="fork"):
                client.send_audio(speech(0.1))
            with pytest.raises(SessionError, match="fork"):
                client.stop_session()
            client.close()
            assert client.transcribe(speech(0.1), audio_format=RAW).text == "word"

        in_child(child)
        release.set()
        holding.join()
        assert client.stop_session().text == "word"
