"""A KeyboardInterrupt can come anywhere in the calling thread.

The interpreter looks for signals where a function begins or is resumed, and there these come.
"""

from __future__ import annotations

import itertools
import sys
from types import FrameType
from typing import Any, Callable

import pytest
from support.places import ROOT
from support.serving import Peer, serving
from support.sessions import RAW, client_of, speech

from speechmatics_sync import Client, SessionError

PACKAGE = ROOT / "speechmatics_sync"
WHERE = {
    str(PACKAGE / name)
    for name in (
        "_client/base.py",
        "_client/client.py",
        "_client/stream.py",
        "_concurrency/threads.py",
        "_session/session.py",
    )
}


class Interrupt:
    """Raises KeyboardInterrupt where the calling thread enters the n-th function of the client."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.came = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" or frame.f_code.co_filename not in WHERE or self.came:
            return
        self._left -= 1
        if self._left < 0:
            self.came = True
            raise KeyboardInterrupt

    def during(self, call: Callable[[], object]) -> None:
        """Make the call; it ends with the interrupt if that came."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            call()
        except KeyboardInterrupt:
            assert self.came
        finally:
            sys.settrace(before)


def answers(peer: Peer) -> None:
    peer.start()
    peer.finish()
    peer.wait_closed()


def pushed(client: Client) -> None:
    with client:  # between two calls the session is the user's, and goes on
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        client.stop_session()


def streamed(client: Client) -> None:
    with client.stream(speech(0.1), audio_format=RAW) as stream:
        for _ in stream:
            pass


def transcribed(client: Client) -> None:
    client.transcribe(speech(0.1), audio_format=RAW)


@pytest.mark.parametrize("call", [transcribed, streamed, pushed])
def test_an_interrupt_anywhere_leaves_a_client_that_works(call: Callable[[Client], None]) -> None:
    with serving(answers) as url:
        for number in itertools.count():
            client = client_of(url, close_timeout=1)
            client.on("RecognitionStarted", str)
            interrupt = Interrupt(number)
            interrupt.during(lambda: call(client))  # noqa: B023  (it is called at once)
            try:
                transcribed(client)
            except SessionError as error:
                pytest.fail(f"after an interrupt in function {number}: {error}")
            if not interrupt.came:
                break
        assert number > 10
