"""display=True: what a person sees of a session while it runs."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import pytest
from support.forking import in_child
from support.hearing import hears
from support.live import partial
from support.serving import Peer, final, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, client_of, speech
from support.transcripts import result

import speechmatics_sync
from speechmatics_sync import (
    ConfigurationError,
    LiveText,
    MultiChannelClient,
    TranscriptionConfig,
    TransportError,
)
from speechmatics_sync.local import LocalServer, ScriptedRecognizer

if sys.platform == "win32":
    pytest.skip("needs pseudo-terminals", allow_module_level=True)

import pty

import pyte


def two_words(peer: Peer) -> None:
    peer.start()
    peer.take_audio()
    peer.send(final("one"), partial(result("tow", 1, 2)), final("two", 1, 2), END_OF_TRANSCRIPT)


class Screen:
    """What a terminal showed, after each drawing."""

    def __init__(self) -> None:
        self._ours, its = pty.openpty()
        self.stream = os.fdopen(its, "w")
        self.screen = pyte.Screen(40, 10)
        self.frames: list[list[str]] = []

    def show(self, behave: Any, *handlers: Any, pulled: bool = False, **options: Any) -> str:
        """Run a session with this terminal as stdout; return what was written."""
        with serving(behave) as url, client_of(url) as client, redirect_stdout(self.stream):
            for handler in handlers:
                client.on("AddTranscript", handler)
            if pulled:
                for message in client.stream(speech(0.1), audio_format=RAW, display=True):
                    print("pulled", message["message"])
            else:
                client.transcribe(speech(0.1), audio_format=RAW, display=True, **options)
        return self.read()

    def read(self) -> str:
        # The system brings what is written to the other end in its own time, and perhaps in parts.
        self.stream.write("\0")
        self.stream.flush()
        written = b""
        while not written.endswith(b"\0"):
            written += os.read(self._ours, 100_000)
        raw = written[:-1].decode()
        writes = pyte.Stream(self.screen)
        for drawing in raw.replace("\x1b[?25h", "\x1b[?25h\x1b[?2026l").split("\x1b[?2026l"):
            writes.feed(drawing)
            rows = [row.rstrip() for row in self.screen.display]
            self.frames.append([row for row in rows if row])
        return raw

    def close(self) -> None:
        self.stream.close()
        os.close(self._ours)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    made = Screen()
    monkeypatch.setenv("TERM", "xterm")
    yield made
    made.close()


def test_in_a_terminal_the_line_grows_until_it_is_final(screen: Screen) -> None:
    screen.show(two_words)
    shown = [frame for frame in screen.frames if frame]
    assert shown[0] == ["one"]
    assert ["one tow"] in shown
    assert shown[-1] == ["one two"]
    assert not screen.screen.cursor.hidden
    assert (screen.screen.cursor.y, screen.screen.cursor.x) == (1, 0)


def test_what_may_still_change_is_dim(screen: Screen) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.send(final("one"), partial(result("tow", 1, 2)))
        peer.connection.close(1002)

    with pytest.raises(TransportError):
        screen.show(behave)
    assert "one \x1b[2mtow\x1b[0m" in screen.read()
    assert screen.frames[-1] == ["one"]


def test_handlers_and_loops_print_between_the_lines(screen: Screen) -> None:
    screen.show(two_words, lambda message: print("handled"), pulled=True)
    assert screen.frames[-1] == [
        "pulled RecognitionStarted",
        "handled",
        "pulled AddTranscript",
        "pulled AddPartialTranscript",
        "handled",
        "pulled AddTranscript",
        "one two",
        "pulled EndOfTranscript",
    ]


def test_what_a_handler_prints_takes_the_place_of_what_stands_below(screen: Screen) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.send(partial(result("a", 0, 1), result("guess", 1, 2)), final("one"))
        peer.send(END_OF_TRANSCRIPT)

    screen.show(behave, lambda message: print("h"))
    assert ["a guess"] in screen.frames
    assert screen.frames[-1] == ["h", "one"]


def test_progress_stands_below_the_lines_of_a_terminal(
    screen: Screen, capfd: pytest.CaptureFixture[str]
) -> None:
    screen.show(two_words, progress=True)
    assert any("of 0.1 s" in frame[-1] for frame in screen.frames if frame)
    assert screen.frames[-1] == ["one two"]
    assert capfd.readouterr().err == ""


def test_elsewhere_final_lines_are_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(two_words) as url:
        speechmatics_sync.transcribe(speech(0.1), url=url, audio_format=RAW, display=True)
        with client_of(url) as client:
            for _ in client.stream(speech(0.1), audio_format=RAW, display=True):
                pass
    assert capsys.readouterr().out == "one two\none two\n"


def test_several_channels_have_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    words = [("one", 0.0, 0.5)]
    sources = {"agent": speech(1), "customer": speech(1)}
    recognizer = ScriptedRecognizer(words)
    with LocalServer(recognizer=recognizer) as server, MultiChannelClient(url=server.url) as client:
        client.transcribe(sources, audio_format=RAW, display=True)
    assert sorted(capsys.readouterr().out.splitlines()) == ["agent: one.", "customer: one."]


def test_a_line_of_others_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(hears("a\x1b[2Jb\nc")) as url, client_of(url) as client:
        client.transcribe(speech(0.1), audio_format=RAW, display=True)
    assert capsys.readouterr().out == "a\\x1b[2Jb c\n"


@pytest.mark.parametrize("asked", [None, False])
def test_partials_are_turned_on_unless_they_were_turned_off(asked: Any) -> None:
    sent: list[Any] = []

    def behave(peer: Peer) -> None:
        peer.start()
        sent.append(peer.start_message["transcription_config"].get("enable_partials"))
        peer.take_audio()
        peer.send(END_OF_TRANSCRIPT)

    with serving(behave) as url, client_of(url) as client:
        config = TranscriptionConfig(enable_partials=asked)
        client.transcribe(speech(0.1), audio_format=RAW, transcription_config=config, display=True)
    assert sent == [asked is None]
    assert config.enable_partials is asked


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError("broken")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stdout", [None, closed(), Broken()], ids=["none", "closed", "broken"])
def test_lines_that_cannot_be_shown_end_nothing(
    stdout: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="speechmatics_sync")
    monkeypatch.setattr(sys, "stdout", stdout)
    with serving(two_words) as url, client_of(url) as client:
        transcript = client.transcribe(speech(0.1), audio_format=RAW, display=True)
    assert transcript.text == "one two"
    assert caplog.text.count("No live lines") == 1


@pytest.mark.parametrize("display", [5, 1, "yes", print])
def test_display_is_a_bool(display: Any) -> None:
    with client_of("ws://localhost:1") as client:
        for call in (client.transcribe, client.stream):
            with pytest.raises(ConfigurationError, match="display"):
                call(b"ab", display=display)
        assert client.session_id is None


def test_an_interrupt_leaves_what_is_settled(capsys: pytest.CaptureFixture[str]) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.send(final("one"), partial(result("tow", 1, 2)))
        peer.wait_closed()

    def interrupt(message: Any) -> None:
        raise KeyboardInterrupt

    with serving(behave) as url, client_of(url) as client:
        client.on("AddPartialTranscript", interrupt)
        with pytest.raises(KeyboardInterrupt):
            client.transcribe(speech(0.1), audio_format=RAW, display=True)
        assert client.transcript.text == "one"
        assert capsys.readouterr().out == "one\n"


def test_live_text_that_is_dropped_leaves_a_terminal_in_order(screen: Screen) -> None:
    kept = [LiveText()]
    with redirect_stdout(screen.stream):
        kept[0].display()
    kept[0].add(final("one"))
    kept[0].add(partial(result("tow", 1, 2)))
    screen.read()
    in_child(kept.clear)
    assert screen.read() == "", "it is not the child's"
    assert screen.screen.cursor.hidden
    kept.clear()  # as the end of the interpreter does, and that of a session which failed
    screen.read()
    assert not screen.screen.cursor.hidden
    assert screen.frames[-1] == ["one"]


def test_live_text_shows_what_handlers_give_it(capsys: pytest.CaptureFixture[str]) -> None:
    threads: set[int] = set()
    live = LiveText()
    live.display()
    with serving(two_words) as url, client_of(url) as client:
        for name in LiveText.MESSAGES:
            client.on(name, live.add)
        client.on("AddTranscript", lambda message: threads.add(threading.get_ident()))
        for _ in range(2):
            client.start_session(audio_format=RAW)
            client.send_audio(speech(0.1))
            client.stop_session()
    assert threading.get_ident() not in threads
    assert capsys.readouterr().out == "one two\none two\n"
