"""A KeyboardInterrupt can come anywhere in the calling thread.

The interpreter looks for signals where a function begins or is resumed, and there these come.
"""

from __future__ import annotations

import _thread
import itertools
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Callable

import pytest
from support.channel_server import ChannelServer
from support.places import ROOT
from support.serving import Peer, final, serving
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
    Client,
    ConfigurationError,
    MultiChannelClient,
    SessionError,
    StaticKeyAuth,
)

__all__ = ["let_sources_go"]

PACKAGE = ROOT / "speechmatics_sync"
WHERE = {
    str(PACKAGE / name)
    for name in (
        "_client/base.py",
        "_client/client.py",
        "_client/interrupts.py",
        "_client/stream.py",
        "_concurrency/threads.py",
        "_session/session.py",
    )
}


class Interrupt:
    """A Ctrl-C where the calling thread enters the n-th function of the client."""

    def __init__(self, number: int, come: Callable[[], None]) -> None:
        self._left = number
        self._come = come
        self.came = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" or frame.f_code.co_filename not in WHERE or self.came:
            return
        self._left -= 1
        if self._left < 0:
            self.came = True
            self._come()

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


def raising() -> None:
    raise KeyboardInterrupt


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


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
            interrupt = Interrupt(number, raising)
            interrupt.during(lambda: call(client))  # noqa: B023  (it is called at once)
            try:
                transcribed(client)
            except SessionError as error:
                pytest.fail(f"after an interrupt in function {number}: {error}")
            if not interrupt.came:
                break
        assert number > 10


# -- on_interrupt="finish" ------------------------------------------------------------------------


def hears(peer: Peer) -> None:
    """Says a word, and another one after the end of the audio."""
    peer.start()
    peer.send(final("said"))
    peer.take_audio()
    peer.send(final("last", 1, 2), END_OF_TRANSCRIPT)
    peer.wait_closed()


@pytest.fixture(autouse=True)
def sigint_is_as_it_was() -> Iterator[None]:
    # A shell's background has SIGINT ignored, which is inherited.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def test_the_first_ctrl_c_ends_the_audio_and_what_was_said_is_transcribed() -> None:
    with serving(hears) as url, client_of(url) as client:
        client.on("AddTranscript", lambda message: ctrl_c() if "said" in str(message) else None)
        transcript = client.transcribe(
            Blocking(speech(0.1)), audio_format=RAW, on_interrupt="finish"
        )
    assert transcript.text == "said last"


def test_ctrl_c_does_not_cut_the_loop_over_a_stream_either() -> None:
    heard = []
    with serving(hears) as url, client_of(url) as client:
        source = Blocking(speech(0.1))
        for message in client.stream(source, audio_format=RAW, on_interrupt="finish"):
            if message["message"] == "AddTranscript":
                if not heard:
                    ctrl_c()
                heard.append(message["metadata"]["transcript"])
    assert heard == ["said ", "last "]


def test_ctrl_c_while_nothing_comes_is_noticed() -> None:
    source = Blocking(speech(0.1))

    def interrupt() -> None:
        wait_for(source.blocked)
        _thread.interrupt_main()

    with serving(hears) as url, client_of(url) as client:
        interrupting = threading.Thread(target=interrupt)
        interrupting.start()
        transcript = client.transcribe(source, audio_format=RAW, on_interrupt="finish")
        interrupting.join()
    assert transcript.text == "said last"


def test_ctrl_c_ends_every_channel() -> None:
    server = ChannelServer()
    with serving(server) as url, MultiChannelClient(url=url) as client:
        client.on("RecognitionStarted", lambda message: ctrl_c())
        sources = {"a": Blocking(speech(0.1)), "b": Blocking(speech(0.1))}
        client.transcribe(sources, audio_format=RAW, on_interrupt="finish")
    assert set(server.ended) == {"a", "b"}


def test_a_second_ctrl_c_is_raised_at_once() -> None:
    def never_ends(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.send(final("said"))
        peer.wait_closed()

    with serving(never_ends) as url, client_of(url) as client:
        client.on("RecognitionStarted", lambda message: ctrl_c())
        client.on("AddTranscript", lambda message: ctrl_c())
        with pytest.raises(KeyboardInterrupt):
            client.transcribe(Blocking(speech(0.1)), audio_format=RAW, on_interrupt="finish")
        assert client.transcript.text == "said"


def test_ctrl_c_before_the_session_has_started_is_raised() -> None:
    class Impatient(StaticKeyAuth):
        def get_auth_headers(self) -> dict[str, str]:
            _thread.interrupt_main()
            return super().get_auth_headers()

    def silent(peer: Peer) -> None:
        peer.wait_closed()

    with serving(silent) as url, Client(Impatient(), url=url) as client:
        for call in (client.transcribe, client.stream):
            with pytest.raises(KeyboardInterrupt):
                call(speech(0.1), audio_format=RAW, on_interrupt="finish")


@pytest.mark.parametrize("pull", [False, True])
def test_ctrl_c_anywhere_cuts_nothing_off_once_the_session_has_started(pull: bool) -> None:
    """Before, it is raised; after, each message is handled once and the transcript is whole."""
    heard: list[str] = []
    finished = 0
    options: dict[str, Any] = {"audio_format": RAW, "on_interrupt": "finish"}

    def call() -> None:
        if not pull:
            heard.append(client.transcribe(speech(0.1), **options).text)
            return
        with client.stream(speech(0.1), **options) as stream:
            for _ in stream:
                pass
        heard.append(stream.transcript.text)

    with serving(hears) as url:
        for number in itertools.count():
            heard.clear()
            client = client_of(url, close_timeout=1)
            client.on("AddTranscript", lambda message: heard.append(message["message"]))
            interrupt = Interrupt(number, ctrl_c)
            interrupt.during(call)
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            if heard:
                assert heard[:2] == ["AddTranscript", "AddTranscript"]
                assert heard[2:] in (["said last"], [])  # it may come while this returns
                assert client.transcript.text == "said last"
                finished += 1
            transcribed(client)
            if not interrupt.came:
                break
    assert finished > 10


def test_a_stream_that_is_dropped_leaves_ctrl_c_as_it_was() -> None:
    with serving(hears) as url, client_of(url) as client:
        stream = client.stream(Blocking(speech(0.1)), audio_format=RAW, on_interrupt="finish")
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        del stream
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_stream_that_another_thread_closed_leaves_ctrl_c_as_it_was() -> None:
    with serving(hears) as url, client_of(url) as client:
        stream = client.stream(Blocking(speech(0.1)), audio_format=RAW, on_interrupt="finish")
        InThread(stream.close).result()
        with pytest.raises(KeyboardInterrupt):
            ctrl_c()


def test_another_thread_gets_no_ctrl_c_and_leaves_it_to_the_main_one() -> None:
    with serving(hears) as url, client_of(url) as client:
        options = {"audio_format": RAW, "on_interrupt": "finish"}
        assert InThread(client.transcribe, speech(0.1), **options).result().text == "said last"


def test_what_ctrl_c_does_is_one_of_two_things() -> None:
    with (
        client_of("ws://localhost:1") as client,
        pytest.raises(ConfigurationError, match="'finish'"),
    ):
        client.transcribe(b"ab", audio_format=RAW, on_interrupt="stop")
