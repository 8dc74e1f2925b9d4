"""What a signal cuts off in the main thread leaves the session whole."""

from __future__ import annotations

import contextlib
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from speechmatics_sync import AudioEncoding, AudioFormat, Client
from speechmatics_sync.local import CountedRecognizer, LocalServer, counted_audio

RAW = AudioFormat(AudioEncoding.PCM_S16LE, 16000)


@pytest.fixture(scope="module")
def audio() -> bytes:
    """More than is sent before the signal comes."""
    return counted_audio(1000)


@pytest.fixture
def nothing_is_freed() -> Iterator[None]:
    """What other tests left is not freed in the main thread meanwhile.

    A signal that comes while a weak reference's callback runs is lost, and freeing a thread runs
    one.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("nothing_is_freed")
@pytest.mark.parametrize("trial", range(30))
def test_sending_until_ctrl_c_and_stopping_then_transcribes_what_was_sent(
    trial: int, audio: bytes
) -> None:
    with LocalServer(recognizer=CountedRecognizer(), strict=True) as server:  # noqa: SIM117
        with Client(url=server.url) as client:
            client.start_session(audio_format=RAW)
            timer = threading.Timer(0.0003 * trial, _interrupt)
            with contextlib.suppress(KeyboardInterrupt):
                timer.start()
                for start in range(0, len(audio), 640):
                    client.send_audio(audio[start : start + 640])
                timer.join()
            transcript = client.stop_session(timeout=60)
            sent = int(client.audio_seconds_sent or 0)
    heard = [word.content for word in transcript.words]
    whole = [word for word in heard if word != "clipped"]
    assert whole == [f"w{number + 1}" for number in range(len(whole))]
    assert len(whole) >= 2 * sent


def _interrupt() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_calls_of_the_main_thread_are_made_by_one_other_thread() -> None:
    # To free a thread for each of them would run a callback in which a signal is lost.
    with LocalServer(recognizer=CountedRecognizer(), strict=True) as server:  # noqa: SIM117
        with Client(url=server.url) as client:
            client.start_session(audio_format=RAW)
            for _ in range(20):
                client.send_audio(counted_audio(1))
            client.force_end_of_utterance()
            makers = {
                thread
                for thread in threading.enumerate()
                if thread.name.startswith("speechmatics-") and thread.name.endswith("-call")
            }
            client.stop_session(timeout=60)
    assert len(makers) == 1
    assert not any(thread.is_alive() for thread in makers)


def test_an_exit_while_standard_input_gives_nothing_is_no_crash() -> None:
    program = (
        "import sys; from speechmatics_sync import *\n"
        "raw = AudioFormat(AudioEncoding.PCM_S16LE, 16000)\n"
        "try: Client(url=sys.argv[1]).transcribe("
        "sys.stdin.buffer, audio_format=raw, timeout=0.5)\n"
        "except TimeoutError: print('in time')\n"
    )
    with LocalServer(recognizer=CountedRecognizer(), strict=True) as server:  # noqa: SIM117
        with subprocess.Popen(
            [sys.executable, "-c", program, server.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as ran:
            assert ran.stdin is not None
            said = ran.stdout.read() if ran.stdout else ""  # standard input stays open meanwhile
            errors = ran.stderr.read() if ran.stderr else ""
            assert ran.wait(20) == 0, errors
    assert (said, errors) == ("in time\n", "")


class SoftTimeLimit(Exception):
    """As a task queue raises it."""


def test_a_signals_exception_inside_a_handler_ends_the_session_though_handlers_are_logged() -> None:
    def over_time(number: int, frame: object) -> None:
        raise SoftTimeLimit

    before = signal.signal(signal.SIGUSR1, over_time)
    try:
        with LocalServer(recognizer=CountedRecognizer()) as server:
            client = Client(url=server.url, handler_errors="log")
            client.on("AddTranscript", lambda _: signal.raise_signal(signal.SIGUSR1))
            with pytest.raises(SoftTimeLimit):
                client.transcribe(counted_audio(2), audio_format=RAW)
            assert client.transcript.words
    finally:
        signal.signal(signal.SIGUSR1, before)
