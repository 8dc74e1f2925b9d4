"""What a person sees in a terminal, at each moment."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Callable

import pytest

if sys.platform == "win32":
    pytest.skip("needs pseudo-terminals", allow_module_level=True)

from support.cli.commands import Place
from support.serving import Peer, serving
from support.terminal import Terminal

from speechmatics_sync.local import LocalServer, ScriptedRecognizer, counted_audio

RAW = ("--encoding", "pcm_s16le", "--sample-rate", "16000")
LIVE = ("transcribe", "-", *RAW, "--end-of-utterance-silence-trigger", "0.5")
QUIET = bytes(16000 * 2 * 2)
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|9\d)(?:;\d+)*m")


@pytest.fixture
def live(served: Place) -> Iterator[Terminal]:
    with served.terminal(*LIVE, columns=40, rows=10, stdin=subprocess.PIPE) as terminal:
        yield terminal


def words(lines: list[str]) -> list[str]:
    return re.findall(r"\bw\d+\b", "\n".join(lines))


def shows(text: str) -> Callable[[list[str]], bool]:
    return lambda lines: any(text in line for line in lines)


def check_each_moment(terminal: Terminal) -> None:
    """Each word is shown once, in its order, whatever was redrawn; and one status at most."""
    for screen in terminal.seen:
        found = [int(word[1:]) for word in words(screen)]
        assert found == sorted(set(found)), screen
        assert sum("standard input" in line for line in screen) <= 1, screen


class TestLive:
    def test_a_partial_stands_below_until_it_is_final(self, live: Terminal) -> None:
        live.give(counted_audio(2))
        live.until(lambda lines: words(lines) == ["w1", "w2"])
        assert live.lines[0] == "w1 w2"  # without its mark: it may still change
        live.give(QUIET)
        live.until(shows("w1 w2."))
        live.give(counted_audio(2, first=3))
        live.until(lambda lines: lines[:2] == ["w1 w2.", "w3 w4"])
        live.process.stdin.close()  # type: ignore[union-attr]
        assert live.until_over() == 0
        assert live.lines == ["w1 w2.", "w3 w4."]
        check_each_moment(live)

    def test_the_cursor_is_hidden_while_it_runs_and_stands_below_at_the_end(
        self, live: Terminal
    ) -> None:
        live.give(counted_audio(1))
        live.until(lambda lines: words(lines) == ["w1"])
        assert live.screen.cursor.hidden
        live.process.stdin.close()  # type: ignore[union-attr]
        assert live.until_over() == 0
        assert not live.screen.cursor.hidden
        assert (live.screen.cursor.y, live.screen.cursor.x) == (1, 0)

    def test_what_is_redrawn_is_erased_from_where_it_begins(self, live: Terminal) -> None:
        """However a terminal wraps it anew when its window changes, nothing is left of it."""
        live.give(counted_audio(14))
        at_the_beginning = (0, 0)
        live.until(
            lambda lines: (
                len(words(lines)) == 14
                and len(lines) > 2  # it is wrapped
                and (live.screen.cursor.y, live.screen.cursor.x) == at_the_beginning
            )
        )
        # From the second column: tmux keeps what is erased from the first one of its first row.
        frames = re.split(r"\x1b\[\?25l", live.raw)[1:]
        assert all(frame.startswith("\r \x1b[J\r") for frame in frames)

    def test_words_are_not_torn_where_the_window_is_narrow(self, served: Place) -> None:
        with served.terminal(*LIVE, columns=12, rows=6, stdin=subprocess.PIPE) as terminal:
            terminal.give(counted_audio(9))
            terminal.until(lambda lines: "w9" in words(lines))
            terminal.give(QUIET)
            terminal.process.stdin.close()  # type: ignore[union-attr]
            assert terminal.until_over() == 0
            assert terminal.everything == ["w1 w2 w3 w4", "w5 w6 w7 w8", "w9."]
            check_each_moment(terminal)

    def test_a_window_that_changes_its_size_leaves_nothing_torn(self, live: Terminal) -> None:
        live.give(counted_audio(6))
        live.until(lambda lines: words(lines)[-1:] == ["w6"])
        live.resize(20, 8)
        live.give(counted_audio(4, first=7))
        live.until(lambda lines: words(lines)[-1:] == ["w10"])
        assert live.lines[:2] == ["w1 w2 w3 w4 w5 w6 w7", "w8 w9 w10"]
        live.resize(60, 12)
        live.give(counted_audio(2, first=11) + QUIET)
        live.until(shows("w12."))
        live.process.stdin.close()  # type: ignore[union-attr]
        assert live.until_over() == 0
        assert live.lines == ["w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12."]
        check_each_moment(live)

    def test_more_than_the_window_holds_scrolls_away_and_is_not_lost(self, served: Place) -> None:
        with served.terminal(*LIVE, columns=30, rows=4, stdin=subprocess.PIPE) as terminal:
            for number in range(1, 9):
                terminal.give(counted_audio(1, first=number) + QUIET)
                terminal.until(shows(f"w{number}."))
            terminal.process.stdin.close()  # type: ignore[union-attr]
            assert terminal.until_over() == 0
            assert terminal.everything == [f"w{number}." for number in range(1, 9)]
            check_each_moment(terminal)

    def test_characters_of_disputed_width_shift_nothing(self, place: Place) -> None:
        """Here pyte takes four columns for a flag that is two columns wide for rich."""
        place.talk(words=20)
        said = [(f"{number}🇩🇪", number / 2, number / 2 + 0.3) for number in range(9)]
        with LocalServer(recognizer=ScriptedRecognizer(said, delay=20)) as server:
            flags = ("transcribe", "talk.wav", "--url", server.url, "--realtime")
            with place.terminal(*flags, columns=20, rows=6) as terminal:
                terminal.until(lambda lines: lines and " 0:04/" in lines[-1])
                assert (terminal.screen.cursor.y, terminal.screen.cursor.x) == (0, 0)
                assert sum("0:04/" in line for line in terminal.lines) == 1

    def test_what_others_say_moves_no_cursor(self, place: Place) -> None:
        place.talk()
        said = [("a\x1b[2Jb\n", 0.1, 0.3), ("\x1b]0;title\x07c", 0.4, 0.6)]
        with LocalServer(recognizer=ScriptedRecognizer(said)) as server:
            with place.terminal("transcribe", "talk.wav", "--url", server.url) as terminal:
                assert terminal.until_over() == 0
                assert terminal.lines == ["a [2Jb  ]0;title c."]
            ran = place.run("transcribe", "talk.wav", "--url", server.url)
            assert ran.out == "a [2Jb  ]0;title c.\n"

    def test_ctrl_c_ends_in_good_order(self, live: Terminal) -> None:
        live.give(counted_audio(3))
        live.until(lambda lines: words(lines) == ["w1", "w2", "w3"])
        live.type("\x03")
        assert live.until_over() == 130
        assert live.lines == ["finishing; Ctrl-C again leaves at once", "w1 w2 w3."]
        assert not live.screen.cursor.hidden

    def test_a_second_ctrl_c_leaves_the_terminal_as_it_was(self, place: Place) -> None:
        def behave(peer: Peer) -> None:
            peer.start()
            peer.take_audio()
            peer.wait_closed()  # without an end of the transcript

        place.talk()
        with serving(behave) as url, place.terminal("transcribe", "talk.wav", "--url", url) as it:
            it.until(shows("━"))  # audio was sent; a session that only begins is closed at once
            it.type("\x03")
            it.until(shows("Ctrl-C again leaves at once"))
            it.type("\x03")
            assert it.until_over() == 130
            assert not it.screen.cursor.hidden
            assert it.lines == [
                "finishing; Ctrl-C again leaves at once",
                "speechmatics-sync: interrupted",
            ]


class TestFiles:
    def test_a_bar_shows_how_far_it_is_and_how_fast(self, served: Place) -> None:
        served.talk(words=4)
        with served.terminal("transcribe", "talk.wav", "--realtime", columns=50) as terminal:
            bar = re.compile("^talk.wav ━+─+ 0:01/0:02 ")
            terminal.until(lambda lines: lines and bar.match(lines[-1]))
            assert re.search(r" [01]\.\dx$", terminal.lines[-1])
            assert terminal.until_over() == 0
            assert terminal.lines == ["w1 w2 w3 w4."]

    def test_each_file_is_named_above_its_lines(self, served: Place) -> None:
        served.talk("a.wav", 1)
        served.talk("b.wav", 1, first=2)
        with served.terminal("transcribe", "a.wav", "b.wav") as terminal:
            assert terminal.until_over() == 0
            assert terminal.lines == [
                *("a.wav", "w1.", "b.wav", "w2."),
                "speechmatics-sync: 2 of 2 transcribed",
            ]

    def test_speakers_have_a_colour_each(self, place: Place) -> None:
        place.talk("a.wav")
        place.talk("b.wav")
        said = {"agent": [("hello", 0.1, 0.4)], "customer": [("hi", 0.5, 0.8)]}
        with LocalServer(recognizer=ScriptedRecognizer(said)) as server:
            flags = ("--channels", "agent=a.wav,customer=b.wav", "--url", server.url)
            with place.terminal("transcribe", *flags) as terminal:
                assert terminal.until_over() == 0
                assert sorted(terminal.lines) == ["agent: hello.", "customer: hi."]
                rows = terminal.screen.buffer
                colours = {rows[row][0].fg for row in range(2)}
                assert len(colours) == 2
                assert "default" not in colours


class TestPlain:
    def test_a_keyboard_is_no_source(self, served: Place) -> None:
        with served.terminal("transcribe", "-") as terminal:
            assert terminal.until_over() == 2
            assert "standard input (-) is a terminal" in " ".join(terminal.lines)

    def test_no_colour_where_none_is_wanted(self, served: Place) -> None:
        served.talk()
        with served.terminal("transcribe", "talk.wav", environment={"NO_COLOR": "1"}) as terminal:
            assert terminal.until_over() == 0
            assert COLOUR.search(terminal.raw) is None
            assert terminal.lines == ["w1 w2 w3."]
        with served.terminal("transcribe", "talk.wav", "--realtime") as terminal:
            assert terminal.until_over() == 0
            assert COLOUR.search(terminal.raw) is not None

    def test_a_dumb_terminal_gets_plain_lines(self, served: Place) -> None:
        served.talk()
        with served.terminal("transcribe", "talk.wav", environment={"TERM": "dumb"}) as terminal:
            assert terminal.until_over() == 0
            assert terminal.raw == "w1 w2 w3.\r\n"

    def test_quiet_shows_the_lines_alone(self, served: Place) -> None:
        served.talk()
        with served.terminal("transcribe", "talk.wav", "--quiet") as terminal:
            assert terminal.until_over() == 0
            assert terminal.raw == "w1 w2 w3.\r\n"

    def test_without_rich_it_shows_plain_lines(self, served: Place) -> None:
        served.talk()
        (served.path / "rich.py").write_text("raise ImportError")
        path = f"{served.path}:{served.environment['PYTHONPATH']}"
        with served.terminal(
            "transcribe", "talk.wav", environment={"PYTHONPATH": path}
        ) as terminal:
            assert terminal.until_over() == 0
            assert terminal.raw == "w1 w2 w3.\r\n"
