"""A transcript's file is there whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from support.places import ROOT
from support.transcripts import final, mark, result, transcript

from speechmatics_sync import CaptionFile, ConfigurationError, Transcript


@pytest.fixture
def said() -> Transcript:
    return transcript(
        final(
            result("Hello", 0.5, 1.0, speaker="S1"),
            mark(",", 1.0, speaker="S1", attaches_to="previous"),
            result("天気", 1.0, 2.0, speaker="S2"),
        )
    )


class TestFormats:
    def test_the_suffix_says_which_one(self, said: Transcript, tmp_path: Path) -> None:
        for suffix, expected in {
            ".txt": said.to_txt() + "\n",
            ".jsonl": said.to_jsonl(),
            ".srt": said.to_srt(),
            ".VTT": said.to_vtt(),
        }.items():
            path = tmp_path / f"saved{suffix}"
            said.save(path)
            assert path.read_text(encoding="utf-8") == expected
        said.save(str(tmp_path / "saved.json"))
        assert json.loads((tmp_path / "saved.json").read_bytes()) == said.to_dict()
        said.save(tmp_path / "saved.csv")
        with open(tmp_path / "saved.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["content"] for row in rows] == ["Hello", "天気"]
        assert [float(row["end_time"]) for row in rows] == [1.0, 2.0]

    def test_arguments_reach_the_format(self, said: Transcript, tmp_path: Path) -> None:
        options: Any = {"max_line_length": 8, "max_lines": 1, "speaker_labels": {"S1": "Ada"}}
        said.save(tmp_path / "saved.srt", **options)
        assert (tmp_path / "saved.srt").read_text(encoding="utf-8") == said.to_srt(**options)
        said.save(tmp_path / "saved.txt", speaker_labels=False, timestamps=True)
        assert (tmp_path / "saved.txt").read_text(encoding="utf-8") == (
            "[00:00:00] Hello,\n[00:00:01] 天気\n"
        )

    @pytest.mark.parametrize(
        ("name", "shown"), [("saved.docx", ".docx"), ("saved", "a file without a suffix")]
    )
    def test_another_suffix_is_refused_with_those_that_are_not(
        self, name: str, shown: str, said: Transcript, tmp_path: Path
    ) -> None:
        with pytest.raises(ConfigurationError) as caught:
            said.save(tmp_path / name)
        assert str(caught.value) == (
            f"a transcript cannot be saved as {shown}; allowed: .txt, .json, .jsonl, .srt, .vtt,"
            " .csv"
        )
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("call", [Transcript().save, Transcript.load, CaptionFile])
    @pytest.mark.parametrize("path", [None, 5, b"saved.srt", "a\0.srt"])
    def test_what_is_no_path_is_named(self, call: Any, path: Any) -> None:
        with pytest.raises(ConfigurationError) as caught:
            call(path)
        assert str(caught.value) == f"path is {path!r}; allowed: a path, as a str or a Path"

    def test_half_of_a_surrogate_pair_is_no_reason_to_lose_the_rest(self, tmp_path: Path) -> None:
        said = transcript(final(result("a\ud83d", 0, 1)))
        said.save(tmp_path / "saved.txt")
        assert (tmp_path / "saved.txt").read_bytes() == b"a?\n"
        said.save(tmp_path / "saved.json")
        assert Transcript.load(tmp_path / "saved.json").words == said.words


class TestWhole:
    def test_a_missing_folder_is_named(self, said: Transcript, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="no such folder") as caught:
            said.save(tmp_path / "missing" / "saved.txt")
        assert caught.value.filename == str(tmp_path / "missing")

    def test_an_existing_file_keeps_its_permissions(self, said: Transcript, tmp_path: Path) -> None:
        path = tmp_path / "saved.txt"
        path.write_text("old")
        path.chmod(0o640)
        said.save(path)
        assert path.read_text(encoding="utf-8") == said.text + "\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def test_a_new_one_has_those_of_any_new_file(self, said: Transcript, tmp_path: Path) -> None:
        (tmp_path / "other").write_text("")
        said.save(tmp_path / "saved.txt")
        assert (tmp_path / "saved.txt").stat().st_mode == (tmp_path / "other").stat().st_mode

    def test_a_symbolic_link_stays_one(self, said: Transcript, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "link.txt").symlink_to(tmp_path / "folder" / "saved.txt")
        said.save(tmp_path / "link.txt")
        assert (tmp_path / "link.txt").is_symlink()
        assert (tmp_path / "folder" / "saved.txt").read_text(encoding="utf-8") == said.text + "\n"

    def test_a_pipe_is_written_to(self, said: Transcript, tmp_path: Path) -> None:
        path = tmp_path / "pipe.txt"
        os.mkfifo(path)
        writer = threading.Thread(target=said.save, args=(path,))
        writer.start()
        assert path.read_text(encoding="utf-8") == said.text + "\n"
        writer.join()
        assert stat.S_ISFIFO(path.stat().st_mode)

    def test_a_folder_of_that_name_is_an_error(self, said: Transcript, tmp_path: Path) -> None:
        (tmp_path / "saved.txt").mkdir()
        with pytest.raises(IsADirectoryError):
            said.save(tmp_path / "saved.txt")

    def test_a_name_as_long_as_one_may_be_is_saved(self, said: Transcript, tmp_path: Path) -> None:
        path = tmp_path / ("n" * 251 + ".txt")
        said.save(path)
        assert path.read_text(encoding="utf-8") == said.text + "\n"

    def test_a_full_disk_leaves_the_old_file_and_nothing_else(
        self, said: Transcript, tmp_path: Path
    ) -> None:
        path = tmp_path / "saved.json"
        path.write_text("old")
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                said.save(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.once
    @pytest.mark.parametrize("time", range(3))
    def test_a_process_that_is_killed_leaves_the_old_file_or_the_new_one(
        self, time: int, tmp_path: Path
    ) -> None:
        path = tmp_path / "saved.json"
        code = (
            "from support.speech import hour\n"
            "from support.transcripts import transcript\n"
            "said = transcript(hour(1))\n"
            f"said.save({str(path)!r})\n"
            "print('ready', flush=True)\n"
            f"while True: said.save({str(path)!r})\n"
        )
        places = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        writer = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": places},
            stdout=subprocess.PIPE,
        )
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            whole = path.read_bytes()
            while os.listdir(tmp_path) == [path.name] and path.stat().st_size == len(whole):
                pass  # until it is in the middle of writing
        finally:
            writer.kill()
            writer.wait()
            writer.stdout.close()
        assert path.read_bytes() == whole
