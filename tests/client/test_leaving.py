"""How long an interrupt waits for the session that it ends."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any

import pytest
from support.serving import PATIENCE, Peer, serving
from support.sessions import RAW, client_of, speech, wait_for

from speechmatics_sync import Client


def test_an_interrupt_does_not_wait_for_close_timeout_however_a_thread_hangs() -> None:
    interrupted: list[float] = []
    let_go = threading.Event()

    def hang(frame: FrameType, event: str, argument: Any) -> None:
        """Keep the thread that runs handlers from ending."""
        if event == "return" and frame.f_code is threading.Thread.run.__code__:
            thread = frame.f_locals["self"]
            if thread.name.endswith("-dispatcher"):
                wait_for(let_go)

    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        interrupted.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        peer.wait_closed()

    def stop(client: Client) -> None:
        with client:
            client.start_session(audio_format=RAW)
            client.send_audio(speech(0.1))
            client.stop_session()

    with serving(behave) as url:
        threading.setprofile(hang)
        try:
            with pytest.raises(KeyboardInterrupt):
                stop(client_of(url, close_timeout=10 * PATIENCE))
            waited = time.monotonic() - interrupted[0]
        finally:
            threading.setprofile(None)
            let_go.set()
    assert 0.5 < waited < PATIENCE
