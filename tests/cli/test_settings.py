"""Flags, files, the environment, profiles and the old tool's file: what sets a setting."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import sys
from pathlib import Path
from typing import Callable

import pytest
from support.cli.commands import Place, Ran

from speechmatics_sync import (
    AudioEventsConfig,
    AudioFormat,
    ConnectionConfig,
    ReconnectPolicy,
    TranscriptionConfig,
    TranslationConfig,
)

Call = Callable[..., Ran]

OLD = """\
[default]
auth_token = "the-old-key"
realtime_url = "ws://127.0.0.1:1/old"
generate_temp_token = true  # of the old tool

[other]
auth_token = 'another-key'
"""


def told(call: Call, *flags: str) -> dict[str, str]:
    """What `-v` says of each setting: its value and what set it. Nothing is transcribed."""
    ran = call("transcribe", "-v", *flags, "none.wav")
    lines = [line.partition(": ")[2] for line in ran.err.splitlines()]
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


class TestFlags:
    def test_every_field_of_the_configuration_is_a_flag_with_its_help(
        self, place: Place, call: Call
    ) -> None:
        shown = " ".join(call("transcribe", "--help").out.split())
        of_prefix = {
            "": TranscriptionConfig,
            "translation-": TranslationConfig,
            "audio-events-": AudioEventsConfig,
            "audio-": AudioFormat,
            "connection-": ConnectionConfig,
            "reconnect-": ReconnectPolicy,
        }
        nested = [
            "punctuation_overrides",
            "audio_filtering_config",
            "transcript_filtering_config",
            "speaker_diarization_config",
            "conversation_config",
        ]
        without = [*nested, "ssl_context", "read_limit", "write_limit"]
        for prefix, cls in of_prefix.items():
            for field in dataclasses.fields(cls):
                if field.name not in without:
                    assert f"--{prefix}{field.name.replace('_', '-')}" in shown
        for flag in (
            "--punctuation-permitted-marks",
            "--speaker-diarization-speakers",
            "--transcript-filtering-replacements",
            "--conversation-end-of-utterance-silence-trigger",
        ):
            assert flag in shown
        assert "Longest time from the end of a word to its final" in shown

    @pytest.mark.parametrize(
        ("flags", "complaint"),
        [
            (["--max-delay", "9"], "--max-delay is 9; allowed: a finite number from 0.7 to 4"),
            (["--max-delay", "soon"], "argument --max-delay: 'soon' is not allowed; allowed: a n"),
            (["--volume-threshold", "101"], "--audio-filtering-volume-threshold is 101"),
            (["--diarization", "some"], "argument --diarization: invalid choice: 'some'"),
            (["--speaker-diarization-speakers", "S1:a"], "--speaker-diarization-speakers is 'S1'"),
            (["--ctrl", "[1]"], "argument --ctrl: '[1]' is not allowed; allowed: a JSON object"),
            (["--translation-enable-partials"], "--translation-enable-partials needs --translate"),
            (["--connection-open-timeout", "0"], "--connection-open-timeout is 0"),
            (["--reconnect-max-attempts", "1.5"], "--reconnect-max-attempts is 1.5"),
            (["--encoding", "mp3"], "argument --audio-encoding/--encoding: invalid choice"),
            (["--jobs", "0"], "--jobs is 0"),
            (["--timeout", "0"], "--timeout is 0"),
            (["--format", "doc"], "--format is 'doc'; allowed: txt, json, jsonl, srt, vtt"),
            (["--header", "secret"], "--header is NAME=VALUE"),
            (["--profile", "none"], "--profile is 'none'"),
            (["--url", "http://127.0.0.1"], "allowed: a URL that starts with wss:// or ws://"),
            (["--no-such-flag"], "unrecognized arguments: --no-such-flag"),
        ],
    )
    def test_a_wrong_value_names_its_flag(
        self,
        place: Place,
        call: Call,
        flags: list[str],
        complaint: str,
    ) -> None:
        place.talk()
        place.environment["SPEECHMATICS_RT_URL"] = "ws://127.0.0.1:1"
        ran = call("transcribe", "talk.wav", *flags)
        assert ran.code == 2, ran
        assert complaint in ran.err
        assert len(ran.err.splitlines()) == 1
        assert ran.out == ""

    def test_values_are_read_as_people_write_them(self, place: Place, call: Call) -> None:
        values = told(
            call,
            *("--additional-vocab", "gnocchi:nyohki,nokey", "--additional-vocab", "Ada"),
            *("--punctuation-permitted-marks", ".,?"),
            *("--transcript-filtering-replacements", "um:er"),
            *("--translate", "fr,de", "--no-enable-entities", "--max-delay", "1.5"),
            *("--connection-ping-interval", "none"),
            *("--extra", '{"new": [1]}'),
            *("--url", "ws://127.0.0.1:1/v2?jwt=secret"),
        )
        assert values["additional-vocab"] == (
            '[{"content": "gnocchi", "sounds_like": ["nyohki", "nokey"]}, {"content": "Ada"}] '
            "(--additional-vocab)"
        )
        assert values["punctuation-permitted-marks"].startswith('[".", ",", "?"]')
        assert values["transcript-filtering-replacements"].startswith('[{"from": "um", "to": "er"}')
        assert values["translation-target-languages"].startswith('["fr", "de"]')
        assert values["enable-entities"].startswith("false")
        assert values["max-delay"] == "1.5 (--max-delay)"
        assert values["connection-ping-interval"].startswith("null")
        assert values["extra"].startswith('{"new": [1]}')
        assert values["url"] == "ws://127.0.0.1:1/v2 (--url)"


class TestFile:
    def test_the_apis_json_is_taken_and_flags_go_before_it(self, served: Place) -> None:
        served.talk()
        config = {
            "message": "StartRecognition",
            "transcription_config": {
                "language": "en",
                "max_delay": 2,
                "punctuation_overrides": {"sensitivity": 0.4},
            },
            "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000},
        }
        (served.path / "c.json").write_text(json.dumps(config))
        ran = served.run("transcribe", "-v", "--config", "c.json", "--max-delay", "3", "talk.wav")
        assert ran.code == 0, ran
        assert "max-delay = 3 (--max-delay)" in ran.err
        assert "punctuation-sensitivity = 0.4 (c.json)" in ran.err

    def test_what_this_version_does_not_know_is_sent_as_it_is(self, served: Place) -> None:
        served.talk()
        for config in ({"punctuation_overrides": {"newer": 1}}, {"newer": 1}):
            (served.path / "c.json").write_text(json.dumps({"transcription_config": config}))
            ran = served.run("transcribe", "--config", "c.json", "talk.wav")
            assert ran.code == 1
            assert "newer is not a field of the API" in ran.err  # says the server

    def test_it_may_be_the_transcription_config_alone(self, place: Place, call: Call) -> None:
        (place.path / "c.json").write_text('{"language": "de", "max_delay": 9}')
        place.environment["SPEECHMATICS_RT_URL"] = "ws://127.0.0.1:1"
        ran = call("transcribe", "--config", "c.json", "none.wav")
        assert ran.code == 2
        assert "max-delay (c.json) is 9; allowed" in ran.err

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("{", "--config c.json is not JSON"),
            ("[]", "--config c.json is not a JSON object"),
            ('{"transcription_config": {}, "other": 1}', "--config c.json has 'other'"),
            ('{"transcription_config": 1}', "transcription_config (c.json) is not a JSON object"),
            (
                '{"transcription_config": {"punctuation_overrides": 5}}',
                "punctuation_overrides (c.json) is 5",
            ),
        ],
    )
    def test_a_file_that_is_wrong_is_named(
        self,
        place: Place,
        call: Call,
        text: str,
        complaint: str,
    ) -> None:
        (place.path / "c.json").write_text(text)
        place.environment["SPEECHMATICS_RT_URL"] = "ws://127.0.0.1:1"
        ran = call("transcribe", "--config", "c.json", "none.wav")
        assert (ran.code, complaint in ran.err) == (2, True), ran


class TestOrder:
    def test_flags_then_environment_then_profile_then_the_old_tool(
        self, place: Place, call: Call
    ) -> None:
        old = place.path / "home" / ".speechmatics"
        old.mkdir(parents=True)
        (old / "config").write_text(OLD)
        first = told(call)
        assert first["url"] == f"ws://127.0.0.1:1/old ({old / 'config'})"
        assert first["temporary-key"].startswith("true")
        assert first["api-key"] == f"<not shown> ({old / 'config'})"
        assert call("config", "set", "url", "ws://127.0.0.1:1/profile").code == 0
        assert told(call)["url"] == "ws://127.0.0.1:1/profile (profile 'default')"
        place.environment["SPEECHMATICS_RT_URL"] = "ws://127.0.0.1:1/variable"
        assert told(call)["url"] == "ws://127.0.0.1:1/variable (SPEECHMATICS_RT_URL)"
        flag = told(call, "--url", "ws://127.0.0.1:1/flag")
        assert flag["url"] == "ws://127.0.0.1:1/flag (--url)"

    def test_a_profile_is_chosen_by_a_flag_or_the_environment(
        self, place: Place, call: Call
    ) -> None:
        place.environment["SPEECHMATICS_RT_URL"] = "ws://127.0.0.1:1"
        assert call("config", "set", "language", "de", "--profile", "work").code == 0
        assert "language" not in told(call)
        assert told(call, "--profile", "work")["language"] == "de (profile 'work')"
        place.environment["SPEECHMATICS_PROFILE"] = "work"
        assert told(call)["language"] == "de (profile 'work')"


class TestConfig:
    def test_the_key_is_read_from_standard_input_and_never_shown(
        self, place: Place, call: Call
    ) -> None:
        ran = call("config", "set", "api-key", input="the-secret-key\n")
        assert (ran.code, ran.out, ran.err) == (0, "", "")
        shown = call("config", "show")
        assert "api-key  <not shown>  profile 'default'" in shown.out
        assert "the-secret-key" not in shown.out + shown.err
        if os.name == "posix":
            assert stat.S_IMODE(place.settings_file.stat().st_mode) == 0o600
        assert json.loads(place.settings_file.read_text())["default"]["api-key"] == "the-secret-key"

    def test_the_key_is_no_argument(self, place: Place, call: Call) -> None:
        ran = call("config", "set", "api-key", "the-secret-key")
        assert ran.code == 2
        assert "the-secret-key" not in ran.err
        assert not place.settings_file.exists()

    def test_what_no_key_can_be_is_refused_and_not_shown(self, place: Place, call: Call) -> None:
        ran = call("config", "set", "api-key", input="Bearer the-secret-key\n")
        assert ran.code == 2
        assert "the-secret-key" not in ran.err
        assert call("config", "set", "api-key", input="").code == 2

    def test_a_value_is_checked_when_it_is_set(self, place: Place, call: Call) -> None:
        for name, value in (("max-delay", "9"), ("max_delay", "x"), ("no-such", "1")):
            ran = call("config", "set", name, value)
            assert ran.code == 2, ran
        assert not place.settings_file.exists()

    def test_a_setting_is_forgotten_again(self, place: Place, call: Call) -> None:
        assert call("config", "set", "enable-entities", "yes").code == 0
        assert "enable-entities  true" in call("config", "show").out
        assert call("config", "unset", "enable-entities").code == 0
        assert "nothing is set" in call("config", "show").out
        assert call("config", "unset", "enable-entities").code == 2

    def test_a_file_that_is_no_file_of_profiles_is_named_and_not_shown(
        self, place: Place, call: Call
    ) -> None:
        place.settings_file.parent.mkdir(parents=True)
        place.settings_file.write_text('{"default": "the-secret-key"}')
        ran = call("config", "show")
        assert ran.code == 2
        assert str(place.settings_file) in ran.err
        assert "the-secret-key" not in ran.err
        assert call("config", "set", "language", "de").code == 2
        assert "the-secret-key" in place.settings_file.read_text()

    @pytest.mark.skipif(not Path("/proc").exists() or os.geteuid() != 0, reason="mounts nothing")
    def test_a_full_disk_leaves_the_old_file(self, place: Place, call: Call) -> None:
        assert call("config", "set", "language", "de").code == 0
        before = place.settings_file.read_text()
        limited = (
            "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
            "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            "from speechmatics_sync.cli import main; sys.exit(main(['config','set','model','x']))"
        )
        ran = place.run_python("-c", limited)
        assert ran.code == 2, ran
        assert "cannot be written" in ran.err
        assert place.settings_file.read_text() == before
        assert [path.name for path in place.settings_file.parent.iterdir()] == ["config.json"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there is no other reader to compare with")
def test_the_old_tools_file_is_read_the_same_without_a_reader_of_toml(place: Place) -> None:
    old = place.path / "home" / ".speechmatics"
    old.mkdir(parents=True)
    (old / "config").write_text(OLD)
    said = {}
    for name, before in (("with", ""), ("without", "sys.modules['tomllib'] = None; ")):
        code = (
            f"import sys; {before}from speechmatics_sync.cli import main; "
            "main(['config', 'show']); main(['config', 'show', '--profile', 'other'])"
        )
        said[name] = place.run_python("-c", code).out
    assert said["with"] == said["without"]
    assert "temporary-key  true" in said["with"]
