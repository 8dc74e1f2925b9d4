"""``speechmatics-sync transcribe`` as it is used: in pipes, with many files, with what is wrong."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable

import pytest
from support.cli.commands import PATIENCE, Place, Ran
from support.places import ROOT
from support.serving import Peer, serving

from speechmatics_sync.local import (
    CountedRecognizer,
    LocalServer,
    ScriptedRecognizer,
    counted_audio,
)

SENTENCES = [("one", 0.1, 0.3), ("two", 0.4, 0.6)]


TWICE = ["transcribe", "a.wav", "-o", "a.txt", "-o", "a.srt"]


class TestPipe:
    def test_a_pipe_gets_each_final_line_and_nothing_else(self, served: Place) -> None:
        served.talk()
        ran = served.run("transcribe", "talk.wav")
        assert (ran.code, ran.out, ran.err) == (0, "w1 w2 w3.\n", "")

    def test_lines_come_when_they_are_final(self, served: Place) -> None:
        """Standard input goes on: the line is there before its end."""
        quiet = bytes(16000 * 2 * 4)
        words = ("transcribe", "-", "--encoding", "pcm_s16le", "--sample-rate", "16000")
        trigger = ("--end-of-utterance-silence-trigger", "0.5")
        with served.start(*words, *trigger) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(counted_audio(2) + quiet)
            process.stdin.flush()
            assert process.stdout.readline() == b"w1 w2.\n"
            assert process.poll() is None
            process.stdin.write(counted_audio(1, first=7))
            process.stdin.close()
            assert process.stdout.read() == b"w7.\n"
            assert process.wait() == 0

    def test_jsonl_gives_each_line_as_an_object(self, served: Place) -> None:
        served.talk()
        ran = served.run("transcribe", "talk.wav", "--format", "jsonl")
        assert ran.out == (
            '{"speaker": null, "channel": null, "start_time": 0.0, "end_time": 1.4, '
            '"text": "w1 w2 w3."}\n'
        )

    def test_a_reader_that_has_enough_is_no_error(self, served: Place) -> None:
        with served.start(
            *("transcribe", "-", "--encoding", "pcm_s16le", "--sample-rate", "16000"),
            *("--end-of-utterance-silence-trigger", "0.5"),
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            said = counted_audio(1) + bytes(16000 * 2 * 2)
            process.stdin.write(said)
            process.stdin.flush()
            assert process.stdout.readline() == b"w1.\n"
            process.stdout.close()
            while process.poll() is None:
                try:
                    process.stdin.write(said)
                    process.stdin.flush()
                except BrokenPipeError:
                    break
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            assert process.stderr.read() == b""
            assert process.wait() == 0

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_full_disk_behind_standard_output_is_one_sentence(self, served: Place) -> None:
        served.talk()
        with open("/dev/full", "wb") as full:
            ran = served.run("transcribe", "talk.wav", stdout=full)
        assert ran.code == 1
        assert ran.err == (
            "speechmatics-sync: standard output cannot be written to: No space left on device\n"
        )

    def test_files_come_one_after_the_other_however_many_run_at_a_time(self, served: Place) -> None:
        names = [served.talk(f"{n}.wav", 1, first=n).name for n in range(1, 9)]
        ran = served.run("transcribe", *names, "--jobs", "4")
        assert ran.out.splitlines() == [f"w{n}." for n in range(1, 9)]
        assert ran.err == "speechmatics-sync: 8 of 8 transcribed\n"

    def test_files_wait_their_turn_where_the_account_has_no_room(
        self, place: Place, call: Callable[..., Ran]
    ) -> None:
        names = [place.talk(f"{n}.wav", 1, first=n).name for n in range(1, 7)]
        with LocalServer(recognizer=CountedRecognizer(), max_sessions=1) as server:
            few = ("--reconnect-max-attempts", "1", "--reconnect-busy-delay", "0.1")
            ran = call("transcribe", *names, "--jobs", "3", "--url", server.url, *few)
        assert ran.out.splitlines() == [f"w{n}." for n in range(1, 7)], ran
        assert ran.code == 0


class TestExitCodes:
    def test_the_key_that_is_missing(self, place: Place) -> None:
        place.talk()
        ran = place.run("transcribe", "talk.wav")
        assert ran.code == 3
        assert "config set api-key" in ran.err

    def test_the_key_that_is_refused(self, place: Place) -> None:
        place.talk()
        with LocalServer(recognizer=ScriptedRecognizer(SENTENCES), api_keys="right-key") as server:
            place.environment["SPEECHMATICS_API_KEY"] = "wrong-key"
            ran = place.run("transcribe", "talk.wav", "--url", server.url)
        assert ran.code == 3
        assert "wrong-key" not in ran.err

    def test_no_connection(self, place: Place) -> None:
        place.talk()
        ran = place.run("transcribe", "talk.wav", "--url", "ws://127.0.0.1:1", "--no-reconnect")
        assert ran.code == 4
        assert len(ran.err.splitlines()) == 1

    def test_audio_that_is_not_there(self, served: Place) -> None:
        ran = served.run("transcribe", "none.wav")
        assert ran.code == 5
        assert "'none.wav'" in ran.err
        assert len(ran.err.splitlines()) == 1

    def test_a_setting_that_the_server_refuses(self, served: Place) -> None:
        served.talk()
        ran = served.run("transcribe", "talk.wav", "--model", "no-such-model")
        assert ran.code == 1
        assert "no-such-model" in ran.err

    def test_with_several_files_the_worst_and_a_summary(self, served: Place) -> None:
        served.talk("good.wav", 1)
        (served.path / "empty.wav").write_bytes(b"")
        ran = served.run("transcribe", "good.wav", "none.wav", "empty.wav", "good.wav")
        assert ran.code == 5
        assert ran.out == "w1.\nw1.\n"
        lines = ran.err.splitlines()
        assert lines[0].startswith("speechmatics-sync: none.wav: ")
        assert lines[1].startswith("speechmatics-sync: empty.wav: ")
        assert lines[2:] == ["speechmatics-sync: 2 of 4 transcribed, 2 failed"]

    def test_the_servers_error_is_told_once(self, served: Place) -> None:
        (served.path / "words.mp3").write_bytes(b"no audio at all" * 100)
        ran = served.run("transcribe", "words.mp3")
        assert ran.code in (1, 5)
        assert len(ran.err.splitlines()) == 1

    @pytest.mark.skipif(os.name != "posix", reason="needs a shell")
    def test_streams_that_are_closed(self, served: Place) -> None:
        served.talk()
        command = f"{sys.executable} -m speechmatics_sync transcribe"
        for line, code, said in (
            (f"{command} - <&-", 5, b"standard input is closed"),
            (f"{command} talk.wav >&-", 1, b"standard output is closed: name a file with -o"),
            (f"{command} none.wav 2>&-", 5, b""),
            (f"{command} talk.wav -o talk.txt <&- >&- 2>&-", 0, b""),
        ):
            ran = subprocess.run(
                ["sh", "-c", line], cwd=served.path, env=served.environment, capture_output=True
            )
            assert (ran.returncode, ran.stdout) == (code, b""), ran
            assert said in ran.stderr
        assert (served.path / "talk.txt").read_text() == "w1 w2 w3.\n"

    def test_usage(self, place: Place) -> None:
        for words in (
            [],
            ["transcribe"],
            ["transcribe", "--mic", "a.wav"],
            TWICE,
            ["no-such-command"],
        ):
            ran = place.run(*words)
            assert (ran.code, len(ran.err.splitlines()), ran.out) == (2, 1, ""), ran

    def test_the_advice_names_flags_and_no_python(self, served: Place) -> None:
        (served.path / "bare.wav").write_bytes(bytes(range(256)) * 40)
        ran = served.run("transcribe", "bare.wav")
        assert (ran.code, "AudioFormat" in ran.err) == (5, False), ran
        assert "--encoding pcm_s16le --sample-rate" in ran.err
        served.talk()
        served.environment["SPEECHMATICS_API_KEY"] = "a-key"
        for words, flag in (
            (["--url", "ws://192.0.2.1:9", "talk.wav"], "or say --allow-insecure"),
            (["--diarization", "channel", "talk.wav"], "use --channels"),
        ):
            ran = served.run("transcribe", *words)
            assert (ran.code, flag in ran.err) == (2, True), ran

    def test_an_error_can_be_found_in_the_documentation(self, served: Place) -> None:
        served.talk()
        for words, page, section in (
            (["none.wav"], "errors", "AudioError"),
            (["none.wav", "talk.wav"], "errors", "AudioError"),
            (["talk.wav", "--jobs", "0"], "errors", "ConfigurationError"),
            (["talk.wav", "-o", "talk.wav/talk/"], "command-line", "Exit codes"),
        ):
            address = f"(see reference/{page}.html#{section.lower().replace(' ', '-')})"
            assert f"{address}\n" in served.run("transcribe", "-v", *words).err
            assert address not in served.run("transcribe", *words).err
            text = (ROOT / "docs" / "reference" / f"{page}.rst").read_text(encoding="utf-8")
            assert f"\n{section}\n---" in text

    def test_two_servers_are_one_too_many(self, place: Place) -> None:
        place.talk()
        ran = place.run("transcribe", "--local", "--url", "ws://127.0.0.1:1", "talk.wav")
        assert ran.code == 2, ran
        assert "--local and --url" in ran.err

    def test_a_traceback_only_where_it_is_asked_for(self, served: Place) -> None:
        assert "Traceback" not in served.run("transcribe", "-v", "none.wav").err
        assert "Traceback" in served.run("transcribe", "-vv", "none.wav").err


class TestNames:
    def test_a_name_that_begins_with_a_dash(self, served: Place) -> None:
        served.talk("-v.wav")
        for words in (["--", "-v.wav"], ["./-v.wav"], ["--format", "txt", "--", "-v.wav"]):
            ran = served.run("transcribe", *words)
            assert (ran.code, ran.out) == (0, "w1 w2 w3.\n"), ran

    @pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take UTF-8 alone")
    def test_a_name_that_is_not_utf_8(self, served: Place) -> None:
        name = b"caf\xe9.wav"
        served.talk(name)
        ran = served.run("transcribe", name)
        assert (ran.code, ran.out) == (0, "w1 w2 w3.\n"), ran
        ran = served.run("transcribe", name, b"\xff.wav")
        assert "speechmatics-sync: \\xff.wav: " in ran.err

    def test_files_may_stand_between_flags(self, served: Place) -> None:
        served.talk("a.wav", 1)
        served.talk("b.wav", 1, first=2)
        ran = served.run("transcribe", "a.wav", "--format", "txt", "b.wav", "-q")
        assert (ran.code, ran.out, ran.err) == (0, "w1.\nw2.\n", ""), ran


class TestInterrupts:
    def endless(self, served: Place, counting: LocalServer) -> subprocess.Popen[bytes]:
        """Transcribe a standard input that goes on; what it gave was sent."""
        started = served.start(
            *("transcribe", "-", "--encoding", "pcm_s16le", "--sample-rate", "16000"),
            *("--end-of-utterance-silence-trigger", "0.5"),
        )
        assert started.stdin is not None
        audio = counted_audio(1) + bytes(16000 * 2 * 2) + counted_audio(1, first=2)
        started.stdin.write(audio)
        started.stdin.flush()
        assert started.stdout is not None
        assert started.stdout.readline() == b"w1.\n"
        deadline = time.monotonic() + PATIENCE
        while counting.sessions[0].audio_bytes < len(audio):
            assert time.monotonic() < deadline, "it is not sent"
            time.sleep(0.001)  # the pace of the poll; what ends the wait is the state itself
        return started

    def test_ctrl_c_ends_in_good_order(self, served: Place, counting: LocalServer) -> None:
        """What was said is transcribed to its end, though standard input never ends."""
        with self.endless(served, counting) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.send_signal(signal.SIGINT)
            assert process.stdout.read() == b"w2.\n"
            assert process.stderr.read() == (
                b"speechmatics-sync: finishing; Ctrl-C again leaves at once\n"
            )
            assert process.wait() == 130

    def test_a_second_one_leaves_at_once(self, place: Place) -> None:
        ended = threading.Event()

        def behave(peer: Peer) -> None:
            peer.start()
            peer.take_audio()
            ended.set()  # and never says that the transcript has ended
            peer.wait_closed()

        place.talk()
        with serving(behave) as url, place.start("transcribe", "talk.wav", "--url", url) as process:
            assert process.stderr is not None
            assert ended.wait(PATIENCE)
            process.send_signal(signal.SIGINT)
            assert b"again leaves at once" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 143
            assert process.stderr.read() == b"speechmatics-sync: interrupted\n"


@pytest.mark.skipif("coverage" in sys.modules, reason="coverage imports some of it")
def test_it_starts_quickly() -> None:
    """What takes the time is loaded when it is needed: sockets, TLS, rich, the server."""
    code = (
        "import sys; from speechmatics_sync.cli import main\n"
        "try: main(['transcribe', '--help'])\n"
        "except SystemExit: pass\n"
        "slow = ('ssl', 'socket', 'websocket', 'websockets', 'rich', 'numpy', 'asyncio', 'av')\n"
        "sys.exit(', '.join(name for name in slow if name in sys.modules) or 0)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
