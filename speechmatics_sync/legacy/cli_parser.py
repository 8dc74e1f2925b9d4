"""The flags of the old command line."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn, Optional, Union
from urllib.parse import urlsplit

from .._help import module_dir
from ._gone import BATCH, module_getattr

__all__ = [
    "additional_vocab_item",
    "get_arg_parser",
    "kvdictAppendAction",
    "parse_args",
    "replacement_words_item",
]

__getattr__ = module_getattr(__name__)
__dir__ = module_dir(__name__)


class kvdictAppendAction(argparse.Action):
    """Collects ``KEY=VALUE`` arguments in a dict."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: Optional[str] = None,
    ) -> None:
        found = dict(getattr(namespace, self.dest) or {})
        for pair in values:
            key, separator, value = pair.partition("=")
            if not separator:
                raise argparse.ArgumentError(self, "write KEY=VALUE")  # it may be a secret
            found[key] = value
        setattr(namespace, self.dest, found)


def replacement_words_item(to_parse: str) -> dict[str, str]:
    """Read a replacement.

    Example:
        >>> replacement_words_item("colour:color")
        {'from': 'colour', 'to': 'color'}
    """
    before, separator, after = str(to_parse).partition(":")
    if not before or not separator or ":" in after:
        raise argparse.ArgumentTypeError(f"{to_parse!r} is not a replacement; allowed: from:to")
    return {"from": before, "to": after}


def additional_vocab_item(to_parse: str) -> Union[str, dict[str, Any]]:
    """Read a word that the model may not know, with what it sounds like.

    Example:
        >>> additional_vocab_item("gnocchi:nokey,nochi")
        {'content': 'gnocchi', 'sounds_like': ['nokey', 'nochi']}
    """
    content, separator, sounds = str(to_parse).partition(":")
    if not content or ":" in sounds:
        raise argparse.ArgumentTypeError(f"{to_parse!r} is not a word; allowed: word:sound,sound")
    if not separator:
        return content
    sounds_like = [sound for sound in sounds.split(",") if sound]
    return {"content": content, **({"sounds_like": sounds_like} if sounds_like else {})}


_FLAG: dict[str, Any] = {"action": "store_true", "default": False}

_CONNECTION: dict[str, dict[str, Any]] = {
    "--url": {"help": "the server, such as wss://192.168.8.12:9000/v2"},
    "--auth-token": {"help": "the API key"},
    "--ssl-mode": {
        "default": "regular",
        "choices": ["regular", "insecure", "none"],
        "help": "whether the certificate is verified, is not, or TLS is not used",
    },
    "--generate-temp-token": {
        "action": "store_true",
        "default": None,
        "help": "connect with a temporary key",
    },
    "--profile": {"default": "default", "help": "the profile of the configuration file"},
    "--extra-headers": {
        "nargs": "+",
        "default": {},
        "action": kvdictAppendAction,
        "metavar": "KEY=VALUE",
        "help": "headers of the handshake",
    },
    "--buffer-size": {"type": int, "default": 512, "help": "chunks without acknowledgement"},
}

_AUDIO: dict[str, dict[str, Any]] = {
    "--raw": {"metavar": "ENCODING", "help": "the audio has no header, and this encoding"},
    "--sample-rate": {"type": int, "default": 44_100, "help": "of raw audio, in Hz"},
    "--chunk-size": {"type": int, "default": 4096, "help": "bytes of audio in a message"},
    "--print-json": {**_FLAG, "help": "print messages as JSON, in place of text"},
}

_CONFIG: dict[str, dict[str, Any]] = {
    "--config-file": {"help": "a JSON file of settings; flags override it"},
    "--lang --language": {"dest": "language", "help": "the spoken language, such as en"},
    "--operating-point": {"choices": ["standard", "enhanced"], "help": "the model"},
    "--domain": {"help": "the domain of the model, such as finance"},
    "--output-locale": {"metavar": "LOCALE", "help": "the spelling, such as en-GB"},
    "--additional-vocab": {
        "nargs": "*",
        "type": additional_vocab_item,
        "metavar": "WORD[:SOUND,…]",
        "help": "words that the model may not know",
    },
    "--additional-vocab-file": {"metavar": "FILE", "help": "the same, as JSON"},
    "--punctuation-permitted-marks": {"metavar": "MARKS", "help": "marks between spaces"},
    "--punctuation-sensitivity": {"type": float, "help": "0 to 1"},
    "--enable-entities": {**_FLAG, "help": "report dates, numbers and other entities"},
    "--enable-partials": {**_FLAG, "help": "partial transcripts and translations"},
    "--enable-transcription-partials": {**_FLAG, "help": "partial transcripts"},
    "--enable-translation-partials": {**_FLAG, "help": "partial translations"},
    "--max-delay": {"type": float, "help": "seconds from a word's end to its final"},
    "--max-delay-mode": {
        "default": "flexible",
        "choices": ["fixed", "flexible"],
        "help": "whether an entity may take longer",
    },
    "--diarization": {
        "choices": ["none", "speaker", "channel"],
        "help": "how speakers are told apart",
    },
    "--speaker-diarization-max-speakers": {"type": int, "help": "the most speakers there are"},
    "--speaker-diarization-sensitivity": {"type": float, "help": "0 to 1"},
    "--speaker-diarization-prefer-current-speaker": {**_FLAG, "help": "change speakers less"},
    "--multichannel": {"metavar": "A,B,…", "help": "the files are channels with these labels"},
    "--translation-langs --translation-languages": {
        "dest": "translation_target_languages",
        "metavar": "L,…",
        "help": "languages to translate into; the text of the first is printed",
    },
    "--audio-events": {**_FLAG, "help": "report sounds, such as [MUSIC]"},
    "--event-types": {"metavar": "T,…", "help": "which sounds"},
    "--end-of-utterance-silence-trigger": {"type": float, "help": "seconds, at most 2"},
    "--volume-threshold": {"type": float, "help": "leave out what is quieter, 0 to 100"},
    "--remove-disfluencies": {
        "action": "store_true",
        "default": None,
        "help": "leave out um and the like",
    },
    "--replacement-words": {
        "nargs": "*",
        "type": replacement_words_item,
        "metavar": "FROM:TO",
        "help": "words to replace; /FROM/ is a regular expression",
    },
    "--replacement-words-file": {"metavar": "FILE", "help": "the same, as JSON"},
    "--streaming-mode": {**_FLAG, "help": "internal"},
}


def get_arg_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="speechmatics",
        description="The command line of speechmatics-python, for scripts that were written for "
        "it. New ones use speechmatics-sync.",
    )
    parser.add_argument(
        "-v", dest="verbose", action="count", default=0, help="log more; -vv: in detail"
    )
    parser.add_argument("--debug", **_FLAG, help="print a symbol for each message")
    parser.add_argument("--ctrl", metavar="JSON", help="internal")
    modes = parser.add_subparsers(title="Mode", dest="mode")
    for_real_time = "transcribe files, one after the other, or standard input (-)"
    rt = modes.add_parser("rt", help="real time").add_subparsers(title="Commands", dest="command")
    _add_transcribe(rt.add_parser("transcribe", help=for_real_time))
    _add_transcribe(modes.add_parser("transcribe", help=for_real_time))
    modes.add_parser("batch", add_help=False)  # named, to say that it is gone
    _add_config(modes.add_parser("config", help="keep settings in the configuration file"))
    return parser


def _add_transcribe(command: argparse.ArgumentParser) -> None:
    for title, flags in (("server", _CONNECTION), ("audio", _AUDIO), ("settings", _CONFIG)):
        _add(command.add_argument_group(title), flags)
    command.add_argument("files", metavar="FILE", nargs="+", help="what to transcribe")


def _add_config(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(title="Commands", dest="command")
    for action, setting in (("set", {}), ("unset", {"action": "store_true"})):
        _add(
            actions.add_parser(action, help=f"{action} settings"),
            {
                "--auth-token": {**setting, "help": "the API key"},
                "--generate-temp-token": {**_FLAG, "help": "connect with a temporary key"},
                "--realtime-url --rt-url": {**setting, "dest": "realtime_url", "help": "a server"},
                "--batch-url": {**setting, "help": "not used here"},
                "--profile": {"default": "default", "help": "the profile"},
            },
        )


def _add(parser: Any, flags: dict[str, dict[str, Any]]) -> None:
    for names, options in flags.items():
        parser.add_argument(*names.split(), **options)


def parse_args(args: Optional[list[str]] = None) -> argparse.Namespace:
    """Read the arguments; None reads those of the process.

    Raises:
        SystemExit: They are wrong, or ask for help.
    """
    parser = get_arg_parser()
    parsed, rest = parser.parse_known_args(args)
    if parsed.mode == "batch":
        _refuse_batch(parser)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if parsed.mode == "transcribe":
        if parsed.url is not None and urlsplit(parsed.url).scheme not in ("ws", "wss"):
            _refuse_batch(parser)
        parsed.mode, parsed.command = "rt", "transcribe"
    return parsed


def _refuse_batch(parser: argparse.ArgumentParser) -> NoReturn:
    parser.error(BATCH)
