"""Every example does what it says, run as a user runs it, against the embedded server."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Union

import pytest
from support.examples import (
    EXAMPLES,
    PATIENCE,
    SAMPLE,
    SENTENCES,
    assert_heard,
    environment,
    read_until,
    recordings,
    run,
    started,
    words_of,
)
from support.places import ROOT
from support.programs import Program
from support.serving import answering, listening
from support.terminal import Terminal

from speechmatics_sync.local import LocalServer, ScriptedRecognizer

__all__ = ["environment", "recordings"]

pytestmark = pytest.mark.timeout(120)


CALL = EXAMPLES / "audio" / "call.wav"


CONVERSATION = [
    (label, text.strip())
    for label, _, text in (
        line.partition(":") for line in CALL.with_suffix(".txt").read_text().splitlines()
    )
]


SCRIPTS = [
    "transcribe_file.py",
    "live_source.py",
    "pull.py",
    "pushed_session.py",
    "jwt_auth.py",
    "two_channels.py",
]


OPTIONS = {"jwt_auth.py": ["--local"], "live_source.py": ["--fast"]}


recording = pytest.mark.skipif(
    not (shutil.which("sox") or shutil.which("ffmpeg")) and os.environ.get("CI") != "true",
    reason="needs sox or ffmpeg",
)


SCRIPT_PARAMETERS = [
    pytest.param(script, marks=[recording] if script == "live_source.py" else [])
    for script in SCRIPTS
]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let examples hear SIGINT where the tests themselves run in a shell's background.

    Such a shell has it ignored, which is inherited; a signal that is handled is not.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def assert_only_says_where(stderr: str) -> None:
    """Nothing but the line that names the server."""
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert "ws://" in lines[0]


# -- transcripts ----------------------------------------------------------------------------------


@pytest.mark.speech
def test_a_file_is_printed_with_the_times_of_its_words(environment: dict[str, str]) -> None:
    done = run("transcribe_file.py", environment=environment)
    assert done.returncode == 0, done.stderr
    assert_only_says_where(done.stderr)
    text, _, table = done.stdout.partition("\n\n")
    assert_heard(text, " ".join(SENTENCES))
    rows = [line.split() for line in table.splitlines()[1:]]
    assert words_of(" ".join(row[3] for row in rows)) == words_of(text)
    times = [(float(row[0]), float(row[2])) for row in rows]
    assert times == sorted(times)
    assert all(start < end for start, end in times)
    with wave.open(str(SAMPLE)) as sample:
        assert times[-1][1] <= sample.getnframes() / sample.getframerate()


@pytest.mark.speech
def test_a_terminal_is_shown_the_progress_of_a_file(
    environment: dict[str, str], recordings: list[Path]
) -> None:
    shown = run_in_terminal("transcribe_file.py", recordings[2], environment=environment)
    assert "100%" in shown
    assert_heard(shown.rpartition("\r\n\r\n")[0].rpartition("\r\n")[2], SENTENCES[2])


@pytest.mark.speech
@recording
def test_a_terminal_is_shown_partials_of_a_live_source_until_the_final_comes(
    environment: dict[str, str], recordings: list[Path]
) -> None:
    shown = run_in_terminal("live_source.py", "--fast", recordings[0], environment=environment)
    lines = [line.rpartition("\x1b[K")[2] for line in shown.splitlines()]
    finals = [line for line in lines if re.match(r" *\d+\.\d\d ", line)]
    assert_heard(" ".join(finals), SENTENCES[0])
    partials = [line for line in shown.split("\r\x1b[K") if line.startswith("      … ")]
    assert len(partials) > 1
    assert words_of(SENTENCES[0])[0] in words_of(partials[0])
    assert all("\n" not in partial for partial in partials), "each is rewritten in its place"


@pytest.mark.speech
@recording
def test_a_live_source_prints_only_finals_to_a_file(
    environment: dict[str, str], recordings: list[Path]
) -> None:
    done = run("live_source.py", "--fast", recordings[1], environment=environment)
    assert done.returncode == 0, done.stderr
    assert_only_says_where(done.stderr)
    assert_heard(done.stdout, SENTENCES[1])
    assert "\x1b" not in done.stdout


def test_ctrl_c_at_a_microphone_still_prints_what_was_said(
    environment: dict[str, str], interruptible: None, tmp_path: Path
) -> None:
    recorder = tmp_path / "sox"
    recorder.write_text(
        f"#!{sys.executable}\nimport sys, time\n"
        "sys.stdout.buffer.write(bytes(10 * 4096))\nsys.stdout.flush()\ntime.sleep(100)\n"
    )
    recorder.chmod(0o755)
    words = ScriptedRecognizer([("before", 0.2, 0.5), ("after", 0.9, 1.2)], delay=0.5)
    with LocalServer(recognizer=words) as server:
        example = Program(
            [sys.executable, EXAMPLES / "live_source.py", "--microphone"],
            env={
                **environment,
                "SPEECHMATICS_RT_URL": server.url,
                "PATH": f"{tmp_path}{os.pathsep}{environment['PATH']}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with example:
            assert example.stdout is not None
            printed = example.stdout.readline()
            os.killpg(example.pid, signal.SIGINT)  # as a terminal does
            rest, errors = example.communicate(timeout=PATIENCE)
    assert example.returncode == 0, errors
    assert words_of(printed + rest) == ["before", "after"]


@pytest.mark.speech
def test_pulling_prints_every_final_and_the_whole(
    environment: dict[str, str], recordings: list[Path]
) -> None:
    done = run("pull.py", recordings[1], environment=environment)
    assert done.returncode == 0, done.stderr
    assert_only_says_where(done.stderr)
    finals, _, text = done.stdout.partition("\n\n")
    assert_heard(text, SENTENCES[1])
    assert words_of(finals) == words_of(text)


@pytest.mark.speech
def test_pulling_stops_at_the_word_that_was_waited_for(environment: dict[str, str]) -> None:
    done = run("pull.py", "--until", "department", environment=environment)
    assert done.returncode == 0, done.stderr
    assert_only_says_where(done.stderr)
    assert "department" in words_of(done.stdout)
    assert "number" not in words_of(done.stdout)


@pytest.mark.speech
def test_a_pushed_session_prints_what_it_was_pushed(
    environment: dict[str, str], recordings: list[Path]
) -> None:
    done = run("pushed_session.py", recordings[0], environment=environment)
    assert done.returncode == 0, done.stderr
    assert_only_says_where(done.stderr)
    finals, text, count = done.stdout.split("\n\n")
    assert_heard(text, SENTENCES[0])
    assert words_of(finals) == words_of(text)
    seconds = (recordings[0].stat().st_size - 44) / 32000
    assert count.strip() == f"{len(words_of(text))} words in {seconds:.1f} s of audio"


@pytest.mark.speech
def test_two_sessions_share_a_temporary_key_of_the_local_service(
    environment: dict[str, str], recordings: list[Path]
) -> None:
    done = run("jwt_auth.py", "--local", recordings[2], environment=environment)
    assert done.returncode == 0, done.stderr
    assert_only_says_where(done.stderr)
    first, second = done.stdout.splitlines()
    assert_heard(first.partition(": ")[2], SENTENCES[2])
    assert_heard(second.partition(": ")[2], SENTENCES[2])


@pytest.mark.speech
def test_a_call_of_two_channels_is_printed_as_a_conversation(environment: dict[str, str]) -> None:
    assert_conversation(run("two_channels.py", environment=environment), CONVERSATION)


@pytest.mark.speech
def test_a_call_of_ones_own_has_the_labels_that_are_asked_for(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with wave.open(str(CALL)) as call, wave.open(str(tmp_path / "own.wav"), "wb") as own:
        own.setparams(call.getparams())
        own.writeframes(call.readframes(int(6.2 * call.getframerate())))
    arguments = [tmp_path / "own.wav", "--labels", "Ann", "Bob"]
    done = run("two_channels.py", *arguments, environment=environment)
    (_, question), (_, answer) = CONVERSATION[:2]
    assert_conversation(done, [("Ann", question), ("Bob", answer)])


def assert_conversation(
    done: subprocess.CompletedProcess[str], spoken: list[tuple[str, str]]
) -> None:
    assert done.returncode == 0, done.stderr
    assert_only_says_where(done.stderr)
    turns = [re.fullmatch(r" *(\d+\.\d\d)  (\w+): (.+)", line) for line in done.stdout.splitlines()]
    assert [turn and turn[2] for turn in turns] == [label for label, _ in spoken]
    for turn, (_, text) in zip(turns, spoken):
        assert turn is not None
        assert_heard(turn[3], text)
    times = [float(turn[1]) for turn in turns if turn is not None]
    assert times == sorted(set(times))


def test_the_notebook_is_kept_without_outputs_and_traces_of_a_machine() -> None:
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


# -- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.speech
@pytest.mark.parametrize("script", SCRIPT_PARAMETERS)
def test_a_file_that_is_not_there_is_one_clear_line(
    script: str, environment: dict[str, str]
) -> None:
    done = run(script, *OPTIONS.get(script, []), "not there.wav", environment=environment)
    assert done.returncode == 1
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if "ws://" not in line]
    assert "Traceback" not in done.stderr
    assert len(said) == 1, done.stderr
    assert said[0].count("not there.wav") == 1
    assert "No such file" in said[0]


@pytest.mark.speech
@pytest.mark.parametrize("script", [*SCRIPT_PARAMETERS, "flask_app.py"])
def test_ctrl_c_ends_it_without_a_traceback(
    script: str, environment: dict[str, str], interruptible: None
) -> None:
    options = {"flask_app.py": ["--port", "0"], "jwt_auth.py": ["--local"]}.get(script, [])
    with started(script, *options, environment=environment) as example:
        said = read_until(example, "Running on" if script == "flask_app.py" else "ws://")
        example.send_signal(signal.SIGINT)
        _, rest = example.communicate(timeout=PATIENCE)
    assert example.returncode == 130, said + rest
    assert "Traceback" not in said + rest
    assert "Exception" not in said + rest


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["README.rst"], "README.rst"),
        (["--labels", "a", "b", "c"], "2 channels, and 3 were named (a, b, c)"),
    ],
)
def test_a_call_that_cannot_be_taken_apart_is_one_clear_line(
    arguments: list[str], named: str, environment: dict[str, str]
) -> None:
    done = run("two_channels.py", *arguments, environment=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert named in done.stderr


def test_temporary_keys_without_a_key_name_both_ways_on(environment: dict[str, str]) -> None:
    done = run("jwt_auth.py", environment=environment)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "SPEECHMATICS_API_KEY" in done.stderr
    assert "--local" in done.stderr


def test_a_live_source_without_a_recorder_says_what_to_install(
    environment: dict[str, str], tmp_path: Path
) -> None:
    done = run("live_source.py", environment={**environment, "PATH": str(tmp_path)})
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Neither sox nor ffmpeg is installed" in done.stderr


@pytest.mark.parametrize(
    "script", ["transcribe_file.py", "pull.py", "pushed_session.py", "two_channels.py"]
)
def test_an_endpoint_of_ones_own_is_used_and_named_when_it_fails(
    script: str, environment: dict[str, str]
) -> None:
    with listening(answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as port:
        done = run(
            script,
            environment={**environment, "SPEECHMATICS_RT_URL": f"ws://127.0.0.1:{port}/v2"},
        )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "404" in done.stderr


def run_in_terminal(script: str, *arguments: Union[str, Path], environment: dict[str, str]) -> str:
    """Run an example in a terminal of its own; return everything that the terminal was sent."""
    words = [EXAMPLES / script, *arguments]
    with Terminal(words, cwd=ROOT, environment=environment) as terminal:
        assert terminal.until_over() == 0, terminal.raw
    return terminal.raw
