"""The old command line under its own name: flags, output and exit codes."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.legacy.sessions import AUDIO
from support.legacy.sessions import old_server as old_server
from support.places import ROOT
from support.serving import PATIENCE, STARTED, Peer, final, serving
from support.sessions import wait_for

from speechmatics_sync.legacy import cli, config
from speechmatics_sync.legacy.cli import Transcripts, add_printing_handlers
from speechmatics_sync.legacy.cli_parser import parse_args
from speechmatics_sync.legacy.models import TranscriptionConfig, TranslationConfig
from speechmatics_sync.local import LocalServer


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(config, "CONFIG_PATH", tmp_path / ".speechmatics" / "config")
    logger = logging.getLogger("speechmatics_sync")
    level = logger.level
    yield tmp_path
    logger.setLevel(level)


@pytest.fixture
def audio_file(tmp_path: Path) -> str:
    path = tmp_path / "audio.raw"
    path.write_bytes(AUDIO)
    return str(path)


RAW = ("--ssl-mode", "none", "--raw", "pcm_s16le", "--sample-rate", "16000")


def command(*arguments: str) -> Any:
    """Run a command in this process; return what it exited with."""
    try:
        cli.main(vars(parse_args(list(arguments))))
    except SystemExit as error:
        return error.code
    return 0


def transcribe(url: str, *arguments: str) -> Any:
    return command("rt", "transcribe", "--url", url, *RAW, *arguments)


@pytest.fixture
def talkative() -> Iterator[str]:
    """A server with a message of every kind that is printed."""
    of_person = {"alternatives": [{"content": "hi", "speaker": "S1"}], "type": "word"}
    messages = [
        {**final("hell"), "message": "AddPartialTranscript"},
        {**final("hello"), "results": [of_person]},
        {"message": "EndOfUtterance", "metadata": {"start_time": 1, "end_time": 1}},
        {"message": "AudioEventStarted", "event": {"type": "music", "start_time": 1}},
        {"message": "AddPartialTranslation", "language": "de", "results": [{"content": "Hal"}]},
        {"message": "AddTranslation", "language": "fr", "results": [{"content": "Allo"}]},
        {"message": "AddTranslation", "language": "de", "results": [{"content": "Hallo"}]},
        {"message": "Warning", "type": "odd", "reason": "it is odd"},
    ]

    def behave(peer: Peer) -> None:
        peer.start(**STARTED)
        peer.take_audio()
        peer.send(*messages, {"message": "EndOfTranscript"})

    with serving(behave) as url:
        yield url


@pytest.mark.parametrize(
    ("flags", "out", "err"),
    [
        ([], "SPEAKER: S1\nhi\n[EndOfUtterance]\n[MUSIC]\n", ""),
        (
            ["--enable-partials"],
            "SPEAKER: S1\nhi\n[EndOfUtterance]\n[MUSIC]\n",
            "hell\r\n\n",
        ),
        (["--translation-langs", "de,fr"], "[EndOfUtterance]\n[MUSIC]\nHallo\n", ""),
        (
            ["--translation-langs", "de", "--enable-translation-partials"],
            "[EndOfUtterance]\n[MUSIC]\nHallo\n",
            "Hal\r",
        ),
    ],
)
def test_text_is_printed(
    talkative: str,
    audio_file: str,
    flags: list[str],
    out: str,
    err: str,
    home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert transcribe(talkative, *flags, audio_file) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == (out, err)


def test_messages_are_printed_as_json(
    talkative: str, audio_file: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--print-json", "--enable-partials", "--translation-langs", "de"]
    assert transcribe(talkative, *flags, audio_file) == 0
    names = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
    assert names == [
        "AddPartialTranscript",
        "AddTranscript",
        "EndOfUtterance",
        "AudioEventStarted",
        "AddPartialTranslation",
        "AddTranslation",
        "AddTranslation",
    ]


def test_symbols_of_messages_are_printed(
    old_server: LocalServer, audio_file: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["transcribe", "--url", old_server.url, *RAW, audio_file]
    assert command("--debug", *arguments) == 0
    symbols = capsys.readouterr().err
    assert (symbols.count("+"), symbols.count("-"), symbols.count("|")) == (8, 8, 3)


def test_files_are_transcribed_one_after_the_other(
    old_server: LocalServer, audio_file: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert transcribe(old_server.url, audio_file, audio_file) == 0
    assert capsys.readouterr().out == "w1\nw2\nw1\nw2\n"


def test_files_may_be_channels(
    old_server: LocalServer, audio_file: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--multichannel", "a,b", "--diarization", "channel"]
    assert transcribe(old_server.url, *flags, audio_file, audio_file) == 0
    lines = set(capsys.readouterr().out.splitlines())
    assert lines >= {"a: w1", "a: w2", "b: w1", "b: w2"}
    start = old_server.sessions[-1].start
    assert start is not None
    assert start["transcription_config"] == {
        "language": "en",
        "diarization": "channel",
        "channel_diarization_labels": ["a", "b"],
        "max_delay_mode": "flexible",
    }


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--multichannel", "a,b"], "Multichannel DZ type"),
        (["--multichannel", "a,b", "--diarization", "channel"], "Number of files: (1)"),
        (["--config-file", "nothing.json"], "FileNotFoundError: No such file or directory: 'noth"),
        (["--max-delay", "10"], "TranscriptionError: transcription_config.max_delay"),
        (["--ssl-mode", "regular"], "ssl_mode 'regular' is incompatible"),
    ],
)
def test_a_failure_says_its_type_and_its_reason(
    old_server: LocalServer, audio_file: str, home: Path, flags: list[str], words: str
) -> None:
    said = transcribe(old_server.url, *flags, audio_file)
    assert said.startswith(words)


@pytest.mark.parametrize(
    "arguments",
    [
        ["batch", "transcribe", "x.wav"],
        ["transcribe", "--url", "https://asr.api.speechmatics.com/v2", "x.wav"],
        ["rt", "transcribe", "--nothing", "x.wav"],
        ["rt", "transcribe", "--extra-headers", "secret", "--", "x.wav"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_args(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "secret" not in said
    assert ("speechmatics-batch" in said) == (arguments[0] != "rt")


def test_the_help_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--help") == 0
    listed = capsys.readouterr().out.partition("Mode:")[2]
    assert "keep settings" in listed
    assert "SUPPRESS" not in listed


def test_flags_go_before_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {
                "type": "transcription",
                "transcription_config": {
                    "language": "de",
                    "domain": "finance",
                    "speaker_diarization_config": {"max_speakers": 5},
                },
                "translation_config": {"target_languages": ["es"]},
                "summarization_config": {},
            }
        )
    )
    flags = ["--lang", "fr", "--speaker-diarization-max-speakers", "3"]
    parsed = parse_args(["rt", "transcribe", "--config-file", str(path), *flags, "x.wav"])
    found = cli.get_transcription_config(vars(parsed))
    assert found.as_config() == {
        "language": "fr",
        "domain": "finance",
        "speaker_diarization_config": {"max_speakers": 3},
        "max_delay_mode": "flexible",
    }
    assert found.translation_config is not None
    assert found.translation_config.asdict() == {
        "target_languages": ["es"],
        "enable_partials": False,
    }
    assert caplog.text == ""


def test_a_profile_is_kept_and_forgotten(home: Path) -> None:
    assert command("config", "set", "--auth-token", 'a"key', "--rt-url", "wss://host/v2") == 0
    path = home / ".speechmatics" / "config"
    assert path.stat().st_mode & 0o077 == 0
    settings = cli.get_connection_settings({"mode": "rt"})
    assert (settings.url, settings.auth_token) == ("wss://host/v2", 'a"key')
    assert command("config", "unset", "--auth-token", "--realtime-url") == 0
    settings = cli.get_connection_settings({"mode": "rt"}, lang="es")
    assert settings.url == "wss://eu2.rt.speechmatics.com/v2/es"
    assert settings.auth_token is None
    assert "no profile" in str(command("rt", "transcribe", "--profile", "other", "x.wav"))


def test_a_terminal_line_is_erased_before_it_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers: dict[str, Any] = {}

    class Api:
        transcription_config = TranscriptionConfig("en")

        def add_event_handler(self, name: str, handler: Any) -> None:
            handlers[name] = handler

        def get_language_pack_info(self) -> dict[str, Any]:
            return {}

    transcripts = Transcripts(text="", json=[])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    add_printing_handlers(Api(), transcripts)
    handlers["AddTranscript"](final("hello"))
    handlers["AddTranscript"]({**final(""), "results": []})
    assert capsys.readouterr().out == "\33[2Khello\n"
    assert (transcripts.text, len(transcripts.json)) == ("hello", 2)
    add_printing_handlers(Api(), transcripts, translation_config=TranslationConfig(["de"]))
    assert "AddTranslation" in handlers


def test_it_runs_under_its_own_name(old_server: LocalServer, audio_file: str, home: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        with open(audio_file, "rb") as stdin:
            return subprocess.run(
                [sys.executable, "-W", "error", "-m", "speechmatics_sync.legacy.cli", *arguments],
                stdin=stdin,
                cwd=ROOT,
                env={**os.environ, "HOME": str(home)},
                capture_output=True,
                text=True,
            )

    done = run("rt", "transcribe", "--url", old_server.url, *RAW, "-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "w1\nw2\n", "")
    failed = run("rt", "transcribe", "--url", old_server.url, *RAW, "--max-delay", "10", "-")
    assert failed.returncode == 1
    assert failed.stderr.startswith("TranscriptionError: transcription_config.max_delay")


def test_ctrl_c_ends_a_session_quietly(home: Path) -> None:
    spoken = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        peer.receive()
        spoken.set()
        peer.wait_closed()

    with serving(behave) as url:
        arguments = ["rt", "transcribe", "--url", url, *RAW, "-"]
        process = subprocess.Popen(
            [sys.executable, "-m", "speechmatics_sync.legacy.cli", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "HOME": str(home)},
        )
        assert process.stdin is not None
        process.stdin.write(AUDIO)
        process.stdin.flush()
        wait_for(spoken)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, b"")
    assert err == b"WARNING:speechmatics.cli:Keyboard interrupt received.\n"
