"""The old command line: ``python -m speechmatics_sync.legacy.cli rt transcribe audio.wav``.

Programs import its parts too, to print a session as it did.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
import sys
from pathlib import Path
from typing import Any, NoReturn, Optional

from .._help import module_dir
from ._gone import module_getattr
from ._printing import Transcripts, add_printing_handlers, print_symbol
from .cli_parser import parse_args
from .client import WebsocketClient
from .config import read_config_from_home, read_profiles, write_profiles
from .constants import BATCH_SELF_SERVICE_URL, RT_SELF_SERVICE_URL
from .models import (
    AudioEventsConfig,
    AudioSettings,
    ConnectionSettings,
    RTSpeakerDiarizationConfig,
    RTTranslationConfig,
    TranscriptionConfig,
)

__all__ = [
    "Transcripts",
    "add_printing_handlers",
    "config_main",
    "get_audio_settings",
    "get_connection_settings",
    "get_log_level",
    "get_transcription_config",
    "join_words",
    "main",
    "parse_additional_vocab",
    "parse_args",
    "parse_multichannel_args",
    "parse_word_replacements",
    "print_symbol",
    "rt_main",
    "set_config",
    "unset_config",
]

__getattr__ = module_getattr(__name__)
__dir__ = module_dir(__name__)

LOGGER = logging.getLogger("speechmatics.cli")


# -- files and words ------------------------------------------------------------------------------


def parse_additional_vocab(additional_vocab_filepath: Any) -> list[Any]:
    """Return the words of a JSON file.

    Raises:
        SystemExit: It is not a JSON list.
    """
    return _json_list(additional_vocab_filepath, "Additional vocab", "objects/strings")


def parse_word_replacements(replacement_words_filepath: Any) -> list[dict[str, str]]:
    """Return the replacements of a JSON file.

    Raises:
        SystemExit: It is not a JSON list of objects with ``from`` and ``to``.
    """
    found = _json_list(replacement_words_filepath, "Word replacements", "objects")
    if not all(isinstance(item, dict) and {"from", "to"} <= item.keys() for item in found):
        raise SystemExit(
            f"Word replacements file at: {replacement_words_filepath} should have 'from' and 'to' "
            "keys."
        )
    return found


def _json_list(path: Any, what: str, of: str) -> list[Any]:
    with open(path, encoding="utf-8") as file:
        try:
            found = json.load(file)
        except json.JSONDecodeError as error:
            raise SystemExit(
                f"{what} at: {path} is not valid json. Correct it: {error}."
            ) from error
    if not isinstance(found, list):
        raise SystemExit(f"{what} file at: {path} should be a list of {of}.")
    if not found:
        LOGGER.warning("Provided %s at: %s is an empty list.", what[0].lower() + what[1:], path)
    return found


def parse_multichannel_args(multichannel_args: str) -> list[str]:
    """Return the labels of channels, given with commas between them."""
    return multichannel_args.split(",")


def join_words(words: list[str], language: str = "en") -> str:
    """Join words as their language is written.

    Example:
        >>> join_words(["hello", "world"])
        'hello world'
    """
    return ("" if language in ("ja", "cmn") else " ").join(words)


def get_log_level(verbosity: int) -> int:
    """Return the level of the log for a number of ``-v``.

    Raises:
        SystemExit: There are more than two.
    """
    levels = [logging.WARNING, logging.INFO, logging.DEBUG]
    if verbosity >= len(levels):
        asked = "v" * verbosity
        raise SystemExit(
            f"Only supports 2 log levels eg. -vv, you are asking for -{asked}: leave some out"
        )
    return levels[verbosity]


# -- settings from arguments ----------------------------------------------------------------------


def get_connection_settings(args: Any, lang: str = "en") -> ConnectionSettings:
    """Return where to connect: arguments go before the configuration file.

    Args:
        args: The arguments by their names, as ``vars(parse_args())`` gives them.
        lang: The language, which is a part of the service's URL.
    """
    stored = read_config_from_home(args.get("profile", "default")) or {}
    batch = args.get("mode") == "batch"
    url = args.get("url")
    if url is None:
        url = stored.get("batch_url" if batch else "realtime_url")
    if url is None:
        url = BATCH_SELF_SERVICE_URL if batch else f"{RT_SELF_SERVICE_URL}/{lang.strip()}"
    key, temporary = args.get("auth_token"), args.get("generate_temp_token")
    settings = ConnectionSettings(
        url,
        auth_token=stored.get("auth_token") if key is None else key,
        generate_temp_token=stored.get("generate_temp_token") if temporary is None else temporary,
    )
    if args.get("buffer_size") is not None:
        settings.message_buffer_size = args["buffer_size"]
    if args.get("ssl_mode") == "insecure" and settings.ssl_context is not None:
        settings.ssl_context.check_hostname = False
        settings.ssl_context.verify_mode = ssl.CERT_NONE
    elif args.get("ssl_mode") == "none":
        settings.ssl_context = None
    return settings


def get_audio_settings(args: Any) -> AudioSettings:
    """Return the format of the audio."""
    return AudioSettings(args["raw"], args["sample_rate"], args["chunk_size"])


_VALUES = (
    "language",
    "domain",
    "output_locale",
    "operating_point",
    "max_delay",
    "max_delay_mode",
    "diarization",
    "channel_diarization_labels",
)
_SWITCHES = ("streaming_mode", "enable_partials", "enable_entities")
_NESTED = {
    "end_of_utterance_silence_trigger": "conversation_config",
    "volume_threshold": "audio_filtering_config",
    "remove_disfluencies": "transcript_filtering_config",
}


def get_transcription_config(args: Any) -> TranscriptionConfig:
    """Return how to transcribe: arguments go before the file that they name.

    Args:
        args: The arguments by their names, as ``vars(parse_args())`` gives them.
    """
    config: dict[str, Any] = {"language": "en"}
    if args.get("config_file"):
        with open(args["config_file"], encoding="utf-8") as file:
            config = json.load(file)
    config.update(config.pop("transcription_config", None) or {})
    config.update({name: args[name] for name in _VALUES if args.get(name) is not None})
    config.update({name: True for name in _SWITCHES if args.get(name)})
    for name, outer in _NESTED.items():
        if args.get(name) is not None:
            config[outer] = {name: args[name]}
    if args.get("ctrl"):
        config["ctrl"] = json.loads(args["ctrl"])
    if args.get("multichannel"):
        config["channel_diarization_labels"] = parse_multichannel_args(args["multichannel"])
    _add_words(config, args)
    _add_punctuation(config, args)
    _add_speakers(config, args)
    _add_translation(config, args)
    events = config.get("audio_events_config")
    if events is not None or args.get("audio_events"):
        types = args.get("event_types")
        named = types.split(",") if types else (events or {}).get("types")
        config["audio_events_config"] = AudioEventsConfig(named or None)
    return TranscriptionConfig(**config)


def _add_words(config: dict[str, Any], args: Any) -> None:
    if args.get("additional_vocab_file"):
        config["additional_vocab"] = parse_additional_vocab(args["additional_vocab_file"])
    if args.get("additional_vocab"):
        config["additional_vocab"] = [
            *(config.get("additional_vocab") or []),
            *args["additional_vocab"],
        ]
    replacements = []
    if args.get("replacement_words_file") is not None:
        replacements += parse_word_replacements(args["replacement_words_file"])
    replacements += args.get("replacement_words") or []
    if replacements:
        filtering = config.setdefault("transcript_filtering_config", {})
        before = [] if args.get("replacement_words_file") else filtering.get("replacements", [])
        filtering["replacements"] = [*before, *replacements]


def _add_punctuation(config: dict[str, Any], args: Any) -> None:
    marks, sensitivity = (
        args.get("punctuation_permitted_marks"),
        args.get("punctuation_sensitivity"),
    )
    if marks is None and sensitivity is None:
        return
    config["punctuation_overrides"] = overrides = {}
    if marks is not None:
        overrides["permitted_marks"] = marks.split()
    if sensitivity is not None:
        overrides["sensitivity"] = sensitivity


def _add_speakers(config: dict[str, Any], args: Any) -> None:
    of_file = config.get("speaker_diarization_config") or {}
    if not of_file and args.get("diarization") != "speaker":
        return
    names = ("max_speakers", "sensitivity", "prefer_current_speaker")
    found = [args.get(f"speaker_diarization_{name}") for name in names]
    config["speaker_diarization_config"] = RTSpeakerDiarizationConfig(
        max_speakers=found[0] or of_file.get("max_speakers"),
        speaker_sensitivity=found[1] or of_file.get("speaker_sensitivity"),
        prefer_current_speaker=found[2] or of_file.get("prefer_current_speaker"),
    )


def _add_translation(config: dict[str, Any], args: Any) -> None:
    of_file = config.get("translation_config") or {}
    languages = args.get("translation_target_languages")
    if not of_file and not languages:
        return
    partials = args.get("enable_partials") or args.get("enable_translation_partials")
    config["translation_config"] = RTTranslationConfig(
        languages.split(",") if languages else of_file.get("target_languages"),
        enable_partials=bool(partials or of_file.get("enable_partials", False)),
    )


# -- commands -------------------------------------------------------------------------------------


def main(args: Optional[dict[str, Any]] = None) -> None:
    """Run a command.

    Args:
        args: The arguments by their names; None reads those of the process.

    Raises:
        SystemExit: It failed: 1 with the error on standard error, 2 if the arguments are wrong.
    """
    args = args or vars(parse_args())
    logging.basicConfig(level=get_log_level(args["verbose"]))
    if not args["verbose"]:
        # What it logs comes out of the session as an error as well, which is printed.
        logging.getLogger("speechmatics_sync").setLevel(logging.CRITICAL)
    mode = args["mode"]
    try:
        if mode in ("rt", "config"):
            if not args["command"]:
                parse_args([mode, "-h"])
            (rt_main if mode == "rt" else config_main)(args)
        else:
            raise SystemExit(
                f"Unknown mode: {mode}, mode must be one of 'rt' (realtime), 'batch' or 'config'"
            )
    except (KeyboardInterrupt, Exception) as error:
        LOGGER.info("%s", error, exc_info=True)
        _fail(error)


def _fail(error: BaseException) -> NoReturn:
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        sys.exit(f"FileNotFoundError: {error.strerror}: '{error.filename}'.")
    sys.exit(f"{type(error).__name__}: {error}")


def rt_main(args: dict[str, Any]) -> None:
    """Transcribe the files of the arguments, or standard input.

    Raises:
        SystemExit: The arguments do not fit together.
    """
    config = get_transcription_config(args)
    settings = get_connection_settings(args, lang=config.language)
    _check_tls(settings.url, args["ssl_mode"])
    api = WebsocketClient(settings)
    add_printing_handlers(
        api,
        Transcripts(text="", json=[]),
        enable_partials=args["enable_partials"],
        enable_transcription_partials=args["enable_transcription_partials"],
        enable_translation_partials=args["enable_translation_partials"],
        debug_handlers_too=args["debug"],
        print_json=args["print_json"],
        translation_config=config.translation_config,
    )

    def run(stream: Any) -> None:
        try:
            api.run_synchronously(
                stream,
                config,
                get_audio_settings(args),
                from_cli=True,
                extra_headers=args.get("extra_headers"),
            )
        except KeyboardInterrupt:
            LOGGER.warning("Keyboard interrupt received.")

    files, labels = args["files"], config.channel_diarization_labels
    if labels:
        _check_channels(files, labels, config.diarization)
        run(dict(zip(labels, files)))
    elif files[0] == "-":
        # Not sys.stdin: a thread that waits inside its buffer would abort the exit.
        with open(0, "rb", buffering=0, closefd=False) as standard_input:
            run(standard_input)
    else:
        for name in files:
            with open(name, "rb") as file:
                run(file)


def _check_tls(url: str, mode: str) -> None:
    scheme = url.lower().partition("://")[0]
    if scheme == "ws" and mode != "none":
        raise SystemExit(
            f"ssl_mode '{mode}' is incompatible with protocol 'ws'. Use 'wss' instead."
        )
    if scheme == "wss" and mode == "none":
        raise SystemExit("ssl_mode 'none' is incompatible with protocol 'wss': use 'ws'.")


def _check_channels(files: list[str], labels: list[str], diarization: Optional[str]) -> None:
    if files[0] == "-":
        raise SystemExit(
            "Channel diarization is not yet supported when reading from stdin. Name a file for "
            "each channel."
        )
    if diarization not in ("channel", "channel_and_speaker"):
        raise SystemExit("Multichannel DZ type must be 'channel' or 'channel_and_speaker'.")
    if len(files) != len(labels):
        raise SystemExit(
            f"Number of files: ({len(files)}) must match number of channels: ({len(labels)})."
        )


def config_main(args: dict[str, Any]) -> None:
    """Change the configuration file."""
    if args.get("command") == "set":
        set_config(args)
    elif args.get("command") == "unset":
        unset_config(args)


_STORED = ("auth_token", "generate_temp_token", "batch_url", "realtime_url")


def _config_path() -> Path:
    return Path(os.path.expanduser("~"), ".speechmatics", "config")


def set_config(args: dict[str, Any]) -> None:
    """Keep the settings that are given in a profile."""
    path = _config_path()
    profiles = read_profiles(path) if path.exists() else {"default": {}}
    settings = profiles.setdefault(args.get("profile", "default"), {})
    settings.update({name: args[name] for name in _STORED if args.get(name)})
    write_profiles(profiles, path)


def unset_config(args: dict[str, Any]) -> None:
    """Forget the settings that are named.

    Raises:
        SystemExit: There is no configuration file, or no such profile.
    """
    path, profile = _config_path(), args.get("profile", "default")
    if not path.exists():
        raise SystemExit(
            f"Unable to remove config. No config file stored found at {path}. Make one with "
            "config set."
        )
    profiles = read_profiles(path)
    if profile not in profiles:
        raise SystemExit(
            f"Cannot unset config for profile {profile}. Profile does not exist. Name another: "
            f"{', '.join(profiles)}."
        )
    for name in _STORED:
        if args.get(name):
            profiles[profile].pop(name, None)
    write_profiles(profiles, path)


if __name__ == "__main__":
    main()
