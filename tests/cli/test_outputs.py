"""``-o``, ``--format`` and ``--resume``: what is written, and what is left when it cannot be."""

from __future__ import annotations

import json
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
from support.serving import Peer, final, serving

from speechmatics_sync import Transcript
from speechmatics_sync.local import CountedRecognizer, LocalServer, counted_audio

Call = Callable[..., Ran]
FORMATS = ("txt", "json", "jsonl", "srt", "vtt")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestFiles:
    def test_several_formats_at_once_in_a_folder(self, served: Place) -> None:
        served.talk()
        flags = ("-o", "out/", "--format", "txt,json", "--format", "jsonl,srt,vtt")
        ran = served.run("transcribe", "talk.wav", *flags)
        assert (ran.code, ran.out, ran.err) == (0, "", ""), ran
        out = served.path / "out"
        assert files(out) == sorted(f"talk.{format}" for format in FORMATS)
        read = {format: (out / f"talk.{format}").read_text() for format in FORMATS}
        assert read["txt"] == "w1 w2 w3.\n"
        assert Transcript.load(out / "talk.json").text == "w1 w2 w3."
        assert [json.loads(line)["text"] for line in read["jsonl"].splitlines()] == ["w1 w2 w3."]
        assert read["srt"].startswith("1\n00:00:00,000 --> 00:00:01,")
        assert read["vtt"].startswith("WEBVTT\n")
        for format in ("jsonl", "srt"):  # standard output gets the same
            ran = served.run("transcribe", "talk.wav", "--format", format)
            assert ran.out == read[format]

    def test_the_name_of_a_file_says_the_format(self, served: Place) -> None:
        served.talk()
        assert served.run("transcribe", "talk.wav", "-o", "talk.vtt").code == 0
        assert (served.path / "talk.vtt").read_text().startswith("WEBVTT\n")
        served.run("transcribe", "talk.wav", "-o", "other.txt", "--format", "txt,json")
        assert {"other.txt", "other.json"} <= set(files(served.path))

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["a.wav", "-o", "missing/a.txt"], "-o is in missing, which is not a folder"),
            (["a.wav", "-o", "a.doc"], "-o is 'a.doc', whose name ends in no format; allowed: txt"),
            (["a.wav", "-o", "a.txt", "--format", "srt"], "-o is 'a.txt', and --format is srt"),
            (["a.wav", "b.wav", "-o", "a.txt"], "-o is the file 'a.txt', and several files need"),
            (["a.wav", "x/a.wav", "-o", "out/"], "a.wav and x/a.wav would both be written to out"),
            (["a.wav", "--format", "txt,srt"], "several formats need -o"),
            (["a.wav", "b.wav", "--format", "srt"], "several files as srt need -o"),
            (["a.wav", "--resume"], "--resume needs -o"),
            (["a.wav", "--follow"], "--follow needs -o"),
            (["a.wav", "-o", "x/", "--follow", "--resume"], "--follow goes without --resume"),
            (["a.wav", "b.wav", "--save-audio", "c.wav"], "--save-audio is for one source"),
            (["a.wav", "--channels", "a,a"], "--channels has 'a' twice"),
            (["--channels", "a=a.wav,b"], "--channels has labels with a file and labels without"),
            (["-", "-"], "standard input (-) can be transcribed once"),
            (["a.wav", "--device", "x"], "--device needs --mic"),
        ],
    )
    def test_what_does_not_fit_together_is_told_before_anything_is_done(
        self, place: Place, call: Call, words: list[str], complaint: str
    ) -> None:
        ran = call("transcribe", *words, "--url", "ws://127.0.0.1:1")
        assert ran.code == 2, ran
        assert complaint in ran.err
        assert len(ran.err.splitlines()) == 1

    def test_an_extra_that_is_missing_is_told_before_anything_is_done(self, place: Place) -> None:
        place.talk()
        (place.path / "webvtt.py").write_text("raise ImportError")
        path = f"{place.path}{os.pathsep}{place.environment['PYTHONPATH']}"
        place.environment.update(PYTHONPATH=path, SPEECHMATICS_RT_URL="ws://127.0.0.1:1")
        ran = place.run("transcribe", "talk.wav", "-o", "talk.srt")
        assert (ran.code, "speechmatics-sync[captions]" in ran.err) == (2, True), ran

    @pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take UTF-8 alone")
    def test_a_name_that_is_not_utf_8_is_kept(self, served: Place) -> None:
        served.talk(b"caf\xe9.wav")
        assert served.run("transcribe", b"caf\xe9.wav", "-o", "out/").code == 0
        assert os.listdir(os.fsencode(served.path / "out")) == [b"caf\xe9.txt"]


class TestFifty:
    def test_some_are_broken_and_a_second_run_does_what_is_left(self, served: Place) -> None:
        names = [f"{number:02}.wav" for number in range(50)]
        broken = names[3::12]
        for number, name in enumerate(names):
            if name in broken:
                (served.path / name).write_bytes(b"")
            else:
                served.talk(name, 1, first=number + 1)
        flags = ("-o", "out/", "--jobs", "6")
        ran = served.run("transcribe", *names, *flags)
        assert ran.code == 5
        *failed, summary = ran.err.splitlines()
        assert [line.split(": ")[1] for line in failed] == broken
        assert summary == "speechmatics-sync: 46 of 50 transcribed, 4 failed"
        done = [name.replace("wav", "txt") for name in names if name not in broken]
        assert files(served.path / "out") == done
        assert (served.path / "out" / "49.txt").read_text() == "w50.\n"

        (served.path / "out" / "49.txt").write_text("kept")
        for name in broken:
            served.talk(name, 1)
        ran = served.run("transcribe", *names, *flags, "--resume")
        assert ran.code == 0, ran
        assert ran.err == "speechmatics-sync: 4 of 50 transcribed, 46 left out\n"
        assert (served.path / "out" / "49.txt").read_text() == "kept"
        assert len(files(served.path / "out")) == 50

    def test_a_key_that_is_refused_ends_the_run(self, place: Place) -> None:
        names = [place.talk(f"{number}.wav", 1).name for number in range(6)]
        with LocalServer(recognizer=CountedRecognizer(), api_keys="the-key") as server:
            place.environment["SPEECHMATICS_API_KEY"] = "another-key"
            ran = place.run("transcribe", *names, "--url", server.url)
        assert ran.code == 3
        summary = "speechmatics-sync: 0 of 6 transcribed, 1 failed, 5 not begun"
        assert ran.err.splitlines()[1:] == [summary]


class TestFollow:
    def test_files_grow_while_they_are_made(self, served: Place) -> None:
        words = ("transcribe", "-", "--encoding", "pcm_s16le", "--sample-rate", "16000", "-v")
        trigger = ("--end-of-utterance-silence-trigger", "0.5")
        follow = ("-o", "out/", "--format", "txt,jsonl,srt,vtt,json", "--follow")
        out = served.path / "out"
        with served.start(*words, *trigger, *follow) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            while b"Recognition started" not in process.stderr.readline():
                pass
            for number, expected in ((1, ["w1."]), (2, ["w1.", "w2."])):
                process.stdin.write(counted_audio(1, first=number) + bytes(16000 * 2 * 3))
                process.stdin.flush()
                deadline = time.monotonic() + PATIENCE
                grown = [out / f"stdin.{format}" for format in ("txt", "jsonl", "srt", "vtt")]
                while not all(expected[-1] in path.read_text() for path in grown):
                    assert time.monotonic() < deadline, [path.read_text() for path in grown]
                    time.sleep(0.01)  # the pace of the poll; what ends the wait is the files
                assert (out / "stdin.txt").read_text().splitlines() == expected
                assert not (out / "stdin.json").exists()
            process.stdin.close()
            process.stderr.read()
            assert process.wait(PATIENCE) == 0
        assert Transcript.load(out / "stdin.json").text == "w1. w2."
        assert (out / "stdin.srt").read_text().count(" --> ") == 2
        assert Transcript.load(out / "stdin.json").to_vtt() == (out / "stdin.vtt").read_text()

    def test_a_disk_that_is_full_ends_it(self, served: Place) -> None:
        served.talk()
        (served.path / "talk.txt").symlink_to("/dev/full")
        ran = served.run("transcribe", "talk.wav", "-o", "talk.txt", "--follow")
        assert ran.code == 1
        assert ran.err == (
            "speechmatics-sync: talk.txt cannot be written: No space left on device\n"
        )


class TestParts:
    def test_ctrl_c_saves_what_was_said_of_live_audio(self, served: Place) -> None:
        words = ("transcribe", "-", "--encoding", "pcm_s16le", "--sample-rate", "16000")
        with served.start(*words, "-o", "said.txt", "-v") as process:
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(counted_audio(2))
            process.stdin.flush()
            while b"Recognition started" not in process.stderr.readline():
                pass
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 130
        assert (served.path / "said.txt").read_text() in ("w1 w2.\n", "w1.\n", "\n")

    def cut(self, served: Place, *flags: str) -> None:
        """Have Ctrl-C cut a file short, after its first word."""
        served.talk(words=60)
        with served.start("transcribe", "talk.wav", "--realtime", "-v", *flags) as process:
            assert process.stderr is not None
            while b"Recognition started" not in process.stderr.readline():
                pass
            process.send_signal(signal.SIGINT)
            self.summary = process.stderr.read().decode().splitlines()[-1]
            assert process.wait(PATIENCE) == 130

    def test_ctrl_c_saves_what_there_is_of_a_file(self, served: Place) -> None:
        self.cut(served, "-o", "talk.txt")
        assert "w60" not in (served.path / "talk.txt").read_text()

    def test_a_part_is_not_taken_for_the_whole_later(self, served: Place) -> None:
        self.cut(served, "-o", "out/")
        assert files(served.path / "out") == ["talk.partial.txt"]
        ran = served.run("transcribe", "talk.wav", "-o", "out/", "--resume")
        assert (ran.code, ran.err) == (0, "")
        assert (served.path / "out" / "talk.txt").read_text().endswith("w60.\n")

    def test_a_summary_says_what_ctrl_c_left(self, served: Place) -> None:
        served.talk("next.wav", 1)
        self.cut(served, "-o", "out/", "next.wav")
        assert files(served.path / "out") == ["talk.partial.txt"]
        assert self.summary == "speechmatics-sync: 0 of 2 transcribed, 1 cut short, 1 not begun"

    def test_what_came_before_an_error_is_kept_under_another_name(self, place: Place) -> None:
        def behave(peer: Peer) -> None:
            peer.start()
            peer.take_audio()
            peer.send(final("before"))
            peer.send({"message": "Error", "type": "job_error", "reason": "the engine broke"})

        place.talk()
        with serving(behave) as url:
            flags = ("--url", url, "--no-reconnect", "-o", "talk.txt")
            ran = place.run("transcribe", "talk.wav", *flags)
        assert ran.code == 1
        assert "the engine broke" in ran.err
        assert "saved as talk.partial.txt" in ran.err
        assert not (place.path / "talk.txt").exists()
        assert (place.path / "talk.partial.txt").read_text().strip() == "before"


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk")
class TestFullDisk:
    @pytest.fixture
    def disk(self, served: Place) -> object:
        folder = served.path / "disk"
        folder.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder])
        if mounted.returncode:
            pytest.skip("may not mount")
        yield folder
        subprocess.run(["umount", folder], check=True)

    def test_a_disk_that_is_full_at_the_end_loses_nothing(self, served: Place, disk: Path) -> None:
        served.talk()
        (disk / "talk.txt").write_text("the old one\n")
        full = threading.Event()

        def behave(peer: Peer) -> None:
            peer.start()
            peer.take_audio()
            with open(disk / "big", "wb", buffering=0) as big:
                try:
                    while big.write(bytes(4096)):
                        pass
                except OSError:
                    full.set()
            peer.send(final("hello"), {"message": "EndOfTranscript"})

        with serving(behave) as url:
            ran = served.run("transcribe", "talk.wav", "-o", "disk/talk.txt", "--url", url)
        assert full.is_set()
        assert ran.code == 1
        assert ran.err == (
            "speechmatics-sync: disk/talk.txt cannot be written: No space left on device\n"
        )
        assert ran.out == "hello\n"  # it is nowhere else
        assert (disk / "talk.txt").read_text() == "the old one\n"
        assert files(disk) == ["big", "talk.txt"]
