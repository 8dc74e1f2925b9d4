"""``key``, ``serve``, ``devices``, ``doctor``, completion in shells, and what starts them."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest
import trustme
from support.cli.commands import Place, Ran
from support.places import ROOT

from speechmatics_sync import Client, __version__
from speechmatics_sync.local import CountedRecognizer, LocalServer

Call = Callable[..., Ran]


class TestKey:
    def test_it_prints_a_temporary_key_and_nothing_else(self, place: Place, call: Call) -> None:
        with LocalServer(recognizer=CountedRecognizer(), api_keys="the-key") as server:
            place.environment["SM_MANAGEMENT_PLATFORM_URL"] = server.http_url
            place.environment["SPEECHMATICS_API_KEY"] = "the-key"
            ran = call("key", "--ttl", "90")
            assert (ran.code, ran.err) == (0, "")
            (key,) = ran.out.splitlines()
            assert key != "the-key"
            with Client(key, url=server.url) as client:
                client.start_session()
                client.close()

    def test_a_key_that_is_refused_or_missing(self, place: Place, call: Call) -> None:
        with LocalServer(recognizer=CountedRecognizer(), api_keys="the-key") as server:
            place.environment["SM_MANAGEMENT_PLATFORM_URL"] = server.http_url
            assert call("key").code == 3
            place.environment["SPEECHMATICS_API_KEY"] = "another-key"
            ran = call("key")
        assert (ran.code, ran.out) == (3, "")
        assert "another-key" not in ran.err

    def test_a_lifetime_that_is_not_allowed(self, place: Place, call: Call) -> None:
        place.environment["SPEECHMATICS_API_KEY"] = "the-key"
        ran = call("key", "--ttl", "5")
        assert (ran.code, "ttl is 5" in ran.err) == (2, True)


class TestServe:
    def test_it_serves_with_the_flags_of_the_embedded_server(self, place: Place) -> None:
        flags = ("--port", "0", "--recognizer", "counted")
        with place.start("serve", *flags) as process:
            assert process.stdout is not None
            url = process.stdout.readline().decode().split()[-1]
            place.talk()
            ran = place.run("transcribe", "talk.wav", "--url", url)
            process.terminate()
            assert process.wait(timeout=30) == 0
        assert ran.out == "w1 w2 w3.\n"

    def test_its_flags_are_those_of_the_module(self, place: Place) -> None:
        ours = set(re.findall(r"--[\w-]+", place.run("serve", "--help").out))
        theirs = place.run_python("-m", "speechmatics_sync.local", "--help").out
        assert ours == set(re.findall(r"--[\w-]+", theirs))


def test_a_file_in_place_of_a_command_says_what_to_write(place: Place, call: Call) -> None:
    place.talk("my talk.wav")
    ran = call("my talk.wav", "-o", "talk.srt")
    assert (ran.code, ran.out) == (2, "")
    assert "'my talk.wav' is a file, no command: write speechmatics-sync transcribe" in ran.err


class TestDoctor:
    def test_all_is_well(self, place: Place, call: Call) -> None:
        with LocalServer(recognizer=CountedRecognizer(), api_keys="the-key") as server:
            place.environment["SPEECHMATICS_API_KEY"] = "the-key"
            ran = call("doctor", "--url", server.url)
        assert ran.code == 0, ran
        assert "BAD" not in ran.out
        assert re.search(r"^ok +key +set \(SPEECHMATICS_API_KEY\)$", ran.out, re.MULTILINE)
        assert "the-key" not in ran.out + ran.err

    @pytest.mark.parametrize(
        ("words", "key", "found", "code"),
        [
            (["--url", "http://127.0.0.1"], "", "BAD address", 2),
            (["--url", "wss://no-such-host.invalid"], "the-key", "BAD connection", 4),
            (["--url", "ws://127.0.0.1:1"], "", "BAD connection", 4),
            (["--url", "wss://x.speechmatics.com", "--proxy", "x"], "the-key", "BAD address", 2),
        ],
    )
    def test_what_is_wrong_is_named(
        self, place: Place, call: Call, words: list[str], key: str, found: str, code: int
    ) -> None:
        place.environment["SPEECHMATICS_API_KEY"] = key
        ran = call("doctor", *words)
        assert ran.code == code, ran
        lines = ran.out.splitlines()
        bad = [number for number, line in enumerate(lines) if line.startswith("BAD")]
        assert lines[bad[0]].startswith(found)
        assert lines[bad[0] + 1].strip().startswith("→ ")

    def test_the_extras_are_those_that_the_readme_offers(self, call: Call) -> None:
        ran = call("doctor", "--url", "ws://127.0.0.1:1")
        named = re.findall(r"^(?:ok|--) +extra +([\w-]+)", ran.out, re.MULTILINE)
        table = (
            (ROOT / "README.rst")
            .read_text("utf-8")
            .partition("The extras are:")[2]
            .partition("``make demo``")
        )
        assert sorted(named) == re.findall(r"^``(\w+)`` ", table[0], re.MULTILINE)

    def test_a_key_that_is_refused(self, place: Place, call: Call) -> None:
        with LocalServer(recognizer=CountedRecognizer(), api_keys="the-key") as server:
            place.environment["SPEECHMATICS_API_KEY"] = "another-key"
            ran = call("doctor", "--url", server.url)
        assert ran.code == 3
        assert re.search(r"^ok +connection", ran.out, re.MULTILINE)
        assert re.search(r"^BAD +key", ran.out, re.MULTILINE)
        assert "another-key" not in ran.out

    def test_a_server_that_is_not_trusted(self, call: Call) -> None:
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(served)
        with LocalServer(recognizer=CountedRecognizer(), ssl_context=served) as server:
            ran = call("doctor", "--url", server.url)
        assert ran.code == 4
        assert re.search(r"^BAD TLS +the server is not trusted$", ran.out, re.MULTILINE)
        assert "SSL_CERT_FILE" in ran.out

    def test_a_proxys_password_is_not_shown(self, call: Call) -> None:
        ran = call("doctor", "--url", "ws://10.0.0.1:1", "--proxy", "http://me:secret@127.0.0.1:1")
        assert "secret" not in ran.out + ran.err
        assert re.search(r"^(ok|BAD) +proxy +http://\*\*\*@127.0.0.1:1", ran.out, re.MULTILINE)

    def test_a_file_that_others_can_read(self, place: Place, call: Call) -> None:
        assert call("config", "set", "url", "ws://127.0.0.1:1").code == 0
        place.settings_file.chmod(0o644)
        ran = call("doctor")
        assert re.search(r"^BAD settings +others can read the file$", ran.out, re.MULTILINE)
        assert f"chmod 600 {place.settings_file}" in ran.out


def test_devices_lists_them_or_says_what_is_missing(call: Call) -> None:
    ran = call("devices")
    assert (ran.code == 0) or ran.err.startswith("speechmatics-sync: "), ran
    assert len(ran.err.splitlines()) <= 1


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_complete_commands_and_flags(call: Call, shell: str) -> None:
    script = call("--print-completion", shell)
    assert script.code == 0, script
    for word in ("transcribe", "doctor", "--max-delay", "flexible"):
        assert word in script.out


def test_the_script_of_bash_completes(place: Place, tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(place.run("--print-completion", "bash").out)
    ask = (
        f"source {script}; COMP_WORDS=(speechmatics-sync transcribe --max-delay-m); COMP_CWORD=2; "
        "$(complete -p speechmatics-sync | sed 's/.*-F //; s/ .*//') 2>/dev/null; "
        'echo "${COMPREPLY[@]}"'
    )
    ran = subprocess.run(["bash", "-c", ask], capture_output=True, text=True)
    assert ran.stdout.split() == ["--max-delay-mode"]


@pytest.mark.parametrize(
    "words", [("transcribe", "--help"), ("doctor", "--url", "ws://127.0.0.1:1")]
)
def test_a_code_page_of_few_characters(place: Place, words: tuple[str, ...]) -> None:
    ran = place.run(*words, environment={"PYTHONIOENCODING": "ascii"})
    assert ran.code in (0, 4), ran
    assert "UnicodeEncodeError" not in ran.err


def test_the_version(call: Call) -> None:
    assert call("--version").out.split()[:2] == ["speechmatics-sync", __version__]


def test_the_entry_point_is_the_same_command() -> None:
    declared = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert "speechmatics-sync = speechmatics_sync.cli:main\n" in declared
    code = "import sys; from speechmatics_sync.cli import main; sys.exit(main(['--version']))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout.startswith("speechmatics-sync ")
