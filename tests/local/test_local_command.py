"""``python -m speechmatics_sync.local`` runs the server on its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest
import trustme
from support.local_wire import Wire, run, run_channels, start_message, words
from support.places import ROOT
from support.programs import Program

from speechmatics_sync.local import counted_audio

pytestmark = pytest.mark.usefixtures("programs")

COUNTED = ("--port", "0", "--recognizer", "counted", "--strict")


class Command:
    """The command, running; `url` is what it printed."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = Program(
            [sys.executable, "-m", "speechmatics_sync.local", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )

    def __enter__(self) -> Command:
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.search(r"wss?://\S+", self.line)
        self.url = found.group() if found else ""
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_ends_in_good_order(number: signal.Signals) -> None:
    with Command(*COUNTED) as command:
        assert words(run(command.url, counted_audio(2)).received) == ["w1", "w2"]
        with Wire(command.url) as wire:
            wire.start()
            command.process.send_signal(number)
            wire.rest()
            assert wire.close_code == 1001
        assert command.process.wait(timeout=30) == 0
        assert command.process.stderr is not None
        assert command.process.stderr.read() == ""


def test_it_takes_a_key_from_its_environment() -> None:
    with Command(*COUNTED, SPEECHMATICS_LOCAL_API_KEY="the-key") as command:
        run(f"{command.url}?jwt=the-key", counted_audio(1))
        with pytest.raises(Exception, match="401"), Wire(command.url):
            pass


def test_it_lets_web_pages_in_that_it_is_told_of() -> None:
    page = "http://localhost:8000"
    with Command(*COUNTED, "--allowed-origin", page) as command:
        with Wire(command.url, origin=page) as wire:
            wire.start()
        with pytest.raises(Exception, match="403"), Wire(command.url, origin=f"{page}0"):
            pass


def test_it_serves_as_many_channels_as_it_is_told() -> None:
    with Command(*COUNTED, "--max-channels", "2") as command:
        wire = run_channels(command.url, {"a": counted_audio(1), "b": b""})
        assert words(wire.received) == ["w1"]
        with Wire(command.url) as wire:
            labels = ["a", "b", "c"]
            wire.send(start_message(diarization="channel", channel_diarization_labels=labels))
            wire.rest()
    assert wire.received[-1]["type"] == "invalid_config"


def test_it_serves_tls(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    with Command(*COUNTED, "--tls-cert", str(tmp_path / "server.pem")) as command:
        assert command.url.startswith("wss://127.0.0.1:")


def test_what_it_cannot_do_it_says_with_status_2() -> None:
    with Command(*COUNTED, "--host", "0.0.0.0") as command:
        assert command.process.wait(timeout=30) == 2
        assert command.process.stderr is not None
        assert "allowed without --api-key or SPEECHMATICS_LOCAL_" in command.process.stderr.read()


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_certificate_that_cannot_be_read_is_named(
    tmp_path: Path, content: Optional[bytes]
) -> None:
    path = tmp_path / "server.pem"
    if content is not None:
        path.write_bytes(content)
    with Command(*COUNTED, "--tls-cert", str(path)) as command:
        assert command.process.wait(timeout=30) == 2
        assert command.process.stderr is not None
        (line,) = command.process.stderr.read().splitlines()
        assert line.startswith("cannot serve: ")
        assert f"from {path}: " in line


def test_without_its_extra_it_says_what_to_install_in_one_line() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from speechmatics_sync.local.__main__ import main; sys.exit(main(['--port', '0']))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.startswith("cannot serve: ")
    assert "speechmatics-sync[local]" in ran.stderr
