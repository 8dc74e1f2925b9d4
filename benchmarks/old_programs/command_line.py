"""The command line and its configuration file."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from typing import Any

import speechmatics
import speechmatics.adapters
import speechmatics.cli
import speechmatics.client
import speechmatics.config
import speechmatics.constants
import speechmatics.helpers
from common import (
    AUDIO,
    URLS,
    pattern,
    raised,
)
from speechmatics.models import (
    ConnectionSettings,
    UsageMode,
)


def command(*arguments: str) -> tuple[str, str, Any]:
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            speechmatics.cli.main(vars(speechmatics.cli.parse_args(list(arguments))))
        except SystemExit as error:
            code = error.code
    return out.getvalue(), err.getvalue(), code


def transcribe(*arguments: str) -> tuple[str, str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".raw") as file:
        file.write(AUDIO)
        file.flush()
        return command(
            "rt", "transcribe", "--url", URLS["plain"], "--ssl-mode", "none",
            "--raw", "pcm_s16le", "--sample-rate", "16000", *arguments, file.name,
        )  # fmt: skip


@pattern
def the_command_line() -> Any:
    json_out, _, json_code = transcribe("--print-json")
    return [
        transcribe(),
        [(each["message"], each["metadata"]["transcript"]) for each in map(
            json.loads, json_out.splitlines()
        )],
        json_code,
        transcribe("--max-delay", "10")[2].partition(" must")[0],
        command("rt", "transcribe", "--url", URLS["plain"], "x.wav")[2].partition("'")[0],
        command("config", "unset", "--profile", "none", "--auth-token")[2].partition(" ")[0],
    ]  # fmt: skip


@pattern
def flags() -> Any:
    parsed = vars(
        speechmatics.cli.parse_args(
            [
                "-v", "--ctrl", "{}", "transcribe", "--url", "wss://host/v2", "--lang", "de",
                "--additional-vocab", "a", "b:c,d", "--replacement-words", "e:f",
                "--enable-transcription-partials", "--diarization", "speaker",
                "--speaker-diarization-max-speakers", "3", "--translation-langs", "de,fr",
                "--audio-events", "--event-types", "music,laughter", "--volume-threshold", "3.5",
                "--end-of-utterance-silence-trigger", "0.7", "--punctuation-permitted-marks", ". ,",
                "--extra-headers", "a=b", "c=d", "--remove-disfluencies", "--", "x.wav",
            ]
        )
    )  # fmt: skip
    config = speechmatics.cli.get_transcription_config(parsed)
    only_batch = ("langid_expected_languages",)
    return (
        {name: parsed[name] for name in sorted(parsed) if name not in only_batch},
        config.asdict(),
        config.as_config(),
    )


@pattern
def a_configuration_file() -> Any:
    said = [command("config", "set", "--auth-token", 'a"b\\c', "--rt-url", URLS["plain"])]
    said.append(command("config", "set", "--profile", "my own", "--generate-temp-token"))
    made = ConnectionSettings.create(UsageMode.RealTime)
    completed = ConnectionSettings(url="", ssl_context=None)
    completed.set_missing_values_from_config(UsageMode.RealTime)
    profile = speechmatics.config.read_config_from_home("my own")
    said.append(command("config", "unset", "--auth-token", "--rt-url"))
    left = speechmatics.config.read_config_from_home()
    return (
        said, made.url, made.auth_token, made.generate_temp_token, completed.url, profile, left,
        raised(lambda: speechmatics.client.WebsocketClient(None)).partition(":")[0],
    )  # fmt: skip
