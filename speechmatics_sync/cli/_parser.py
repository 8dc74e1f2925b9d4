"""The commands and their flags."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, Optional

from speechmatics_sync import __version__
from speechmatics_sync.errors import missing_extra

from ._table import CLASSES, Setting, settings_table

__all__ = ["Parser", "flags_of", "parser"]

PROGRAM = "speechmatics-sync"

_CODES = """\
exit codes:
  0    everything was transcribed
  1    the server's error, or the output cannot be written
  2    usage or configuration
  3    the key
  4    no connection, or a time limit passed
  5    the audio
  130  interrupted; 143 by SIGTERM
With several files it is the worst of theirs.
"""

_EXAMPLES = """\
examples:
  %(prog)s --local talk.wav -o talk.srt
  %(prog)s *.wav -o transcripts/ --format txt,srt --jobs 4 --resume
  %(prog)s --mic --language de
  ffmpeg -i talk.mp4 -f wav - | %(prog)s -

"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence.

    Attributes:
        commands: The parsers of the commands, by their names.
        given: The words that are parsed, to say which of them is meant.
    """

    commands: dict[str, Parser]
    given: Sequence[str] = ()

    def __init__(self, prog: Optional[str] = None, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        options["allow_abbrev"] = False  # a flag that is added later changes the meaning of none
        super().__init__(prog, **options)

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        file = self._taken_for_a_flag(message)
        if file is not None:
            message = f"{file} is taken for a flag: write ./{file} for the file of this name"
        self.exit(2, f"{PROGRAM}: {message} (see {self.prog} --help)\n")

    def _taken_for_a_flag(self, message: str) -> Optional[str]:
        """Return the word that an error is about, if it is the name of a file."""
        said = re.fullmatch(
            r"unrecognized arguments: (?P<word>.*)"
            r"|argument .*: ignored explicit argument '(?P<end>.*)'"
            r"|argument (?P<flags>.*): expected (one|at least one) argument",
            message,
            re.DOTALL,
        )
        if said is None:
            return None
        for before, word in zip(("", *self.given), self.given):
            meant = (
                word == said["word"]
                # Newer Pythons take the flags off first, and name what is left of the word.
                or (said["word"] and word.endswith(said["word"].lstrip("-")) and "." in word)
                or (said["end"] and word.endswith(said["end"]))
                or (said["flags"] and before in said["flags"].split("/"))
            )
            named = re.fullmatch(r"-[^-].*\.[a-zA-Z]\w*", word) or os.path.exists(word)
            if meant and named and word.startswith("-"):
                return word
        return None


class _Output(argparse.Action):
    """Another ``-o`` would write nothing to the first."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: Optional[str] = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(
                "-o is given twice: leave one out; --format txt,srt writes several formats"
            )
        setattr(namespace, self.dest, values)


class _Version(argparse.Action):
    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "nargs": 0})

    def __call__(self, *_: Any) -> None:
        sys.stdout.write(f"{PROGRAM} {__version__} (Python {sys.version.split()[0]})\n")
        raise SystemExit(0)


def parser(*, completion: bool = False) -> Parser:
    """Return the parser of all commands.

    Args:
        completion: Whether to add ``--print-completion``, which loads shtab.

    Raises:
        ConfigurationError: ``completion`` needs shtab, which is not installed.
    """
    made = Parser(
        PROGRAM,
        description="Transcribe speech with the Speechmatics Realtime API.",
        epilog=_CODES,
    )
    made.add_argument("--version", action=_Version, help="show the version")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    made.commands = commands.choices
    _add_transcribe(commands)
    _add_serve(commands)
    _add_others(commands)
    if completion:
        try:
            import shtab
        except ImportError:
            raise missing_extra("--print-completion", "shtab", "cli") from None
        shtab.add_argument_to(made, ["--print-completion"])
        _complete_files(commands, shtab.FILE)
    return made


def _complete_files(commands: Any, complete: Any) -> None:
    for command in commands.choices.values():
        for action in command._actions:
            if action.metavar in ("FILE", "FILE|DIR", "SOURCE"):
                action.complete = complete


def _common() -> Parser:
    """Return what every command takes."""
    common = Parser(add_help=False)
    add = common.add_argument
    add("--profile", metavar="NAME", help="the settings to use (see config); default: default")
    add("-v", "--verbose", action="count", default=0, help="say what is done; twice: in detail")
    return common


def _add_transcribe(commands: Any) -> None:
    command = commands.add_parser(
        "transcribe",
        parents=[_common()],
        usage="%(prog)s [FLAG …] SOURCE… | %(prog)s [FLAG …] --mic",
        help="transcribe files, a URL, standard input or a microphone",
        description="Transcribe files, a URL, standard input (-) or a microphone (--mic).",
        epilog=_EXAMPLES + _CODES,
    )
    add = command.add_argument
    add("sources", nargs="*", metavar="SOURCE", help="a file, a URL, or - for standard input")
    add("--mic", action="store_true", help="transcribe a microphone until Ctrl-C")
    add("--device", metavar="NAME", help="the microphone: its number, or a part of its name")
    add(
        "--channels",
        metavar="A,B,…",
        help="split each file into its channels, with these labels; or LABEL=FILE,… for files "
        "that are a channel each",
    )
    add("--local", action="store_true", help="recognise on this machine, with no key and network")
    add("--realtime", action="store_true", help="send audio no faster than it is spoken")
    add("--timeout", type=float, metavar="SECONDS", help="the longest that a file may take")
    add("--save-audio", metavar="FILE", help="keep what was heard, as it was sent")
    output = command.add_argument_group("output")
    add = output.add_argument
    add(
        "--format",
        action="append",
        metavar="F,…",
        help="txt, json, jsonl, srt, vtt; default: by the name of -o, else txt",
    )
    where = "write to a file, or to files in a folder"
    add("-o", "--output", action=_Output, metavar="FILE|DIR", help=where)
    add("--jobs", type=int, default=1, metavar="N", help="how many files at a time; default: 1")
    add("--resume", action="store_true", help="leave out what is there in the output")
    add("--follow", action="store_true", help="have the files grow while they are made")
    add("-q", "--quiet", action="store_true", help="show no progress and no warnings")
    add = command.add_argument
    add("--config", metavar="FILE", help="settings as the API's JSON; flags go before them")
    add("--header", action="append", metavar="NAME=VALUE", help="a header of the handshake")
    add("--no-reconnect", action="store_true", help="fail when the connection is lost")
    add("--audio-events", action="store_true", help="report sounds such as music and applause")
    for group, title in [("client", "server and key"), *((k, c.title) for k, c in CLASSES.items())]:
        place = command.add_argument_group(title)
        for setting in settings_table().values():
            if setting.group == group:
                _add_setting(place, setting)


def _add_setting(place: Any, setting: Setting) -> None:
    options: dict[str, Any] = {
        "dest": f"setting:{setting.name}",
        "default": argparse.SUPPRESS,
        "help": setting.help.replace("%", "%%"),
    }
    if not setting.metavar and not setting.choices:
        place.add_argument(*setting.flags, action=argparse.BooleanOptionalAction, **options)
        return

    def read(text: str) -> Any:
        try:
            return setting.read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: {error}") from None

    if setting.choices:
        options["choices"] = setting.choices
    else:
        options["metavar"] = setting.metavar
    many = setting.metavar.endswith(("…", "]", "MARKS"))
    place.add_argument(*setting.flags, type=read, action="extend" if many else "store", **options)


def flags_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given as flags, by their names."""
    return {
        name.partition(":")[2]: value
        for name, value in vars(arguments).items()
        if name.startswith("setting:")
    }


def _add_serve(commands: Any) -> None:
    command = commands.add_parser(
        "serve",
        help="run the embedded server",
        description="Run a Realtime server on this machine, with no key and no network.",
    )
    from speechmatics_sync.local import add_server_arguments

    add_server_arguments(command)


def _add_others(commands: Any) -> None:
    def command(name: str, text: str, **options: Any) -> Any:
        description = text[0].upper() + text[1:] + "."
        return commands.add_parser(
            name, parents=[_common()], help=text, description=description, **options
        )

    devices = command("devices", "list the microphones")
    devices.add_argument("--json", action="store_true", help="as JSON")
    key = command("key", "print a temporary key, for a browser")
    key.add_argument("--ttl", type=int, default=60, metavar="SECONDS", help="how long it lives")
    key.add_argument("--client-ref", metavar="TEXT", help="a reference of your own")
    doctor = command("doctor", "check the address, the proxy, TLS, the key, extras, a microphone")
    for name in ("url", "connection-proxy", "temporary-key"):
        _add_setting(doctor, settings_table()[name])
    config = command("config", "keep settings, such as the key, in a profile")
    actions = config.add_subparsers(dest="action", metavar="ACTION", required=True)
    common = _common()
    config_set = actions.add_parser(
        "set", parents=[common], help="keep a setting", description="Keep a setting."
    )
    config_set.add_argument("name", metavar="NAME", help="api-key, or the name of a flag")
    config_set.add_argument(
        "value", nargs="?", help="the value; the key is asked for, or read from standard input"
    )
    actions.add_parser(
        "show",
        parents=[common],
        help="show every setting and what sets it",
        description="Show every setting and what sets it. The key is not shown.",
    )
    unset = actions.add_parser(
        "unset", parents=[common], help="forget a setting", description="Forget a setting."
    )
    unset.add_argument("name", metavar="NAME", help="api-key, or the name of a flag")


def parsed(argv: Optional[list[str]]) -> argparse.Namespace:
    """Parse the arguments.

    Raises:
        ConfigurationError: A completion script is wanted, and shtab is not installed.
        SystemExit: They are wrong, or ask for help.
    """
    given = sys.argv[1:] if argv is None else argv
    made = parser(completion=any(word.startswith("--print-completion") for word in given))
    if given[:1] == ["transcribe"]:
        # Files may stand between flags, which argparse allows without commands alone; then it takes
        # no notice of "--", after which everything is a file.
        end = given.index("--") if "--" in given else len(given)
        command = made.commands["transcribe"]
        command.given = given[1:end]
        arguments = command.parse_intermixed_args(given[1:end])
        arguments.sources += given[end + 1 :]
        arguments.command = "transcribe"
        return arguments
    if given and given[0] not in made.commands and os.path.isfile(given[0]):
        file = shlex.quote(given[0])
        made.error(f"{file} is a file, no command: write {PROGRAM} transcribe {file}")
    arguments = made.parse_args(given)
    if arguments.command is None:
        made.error("there is no command: choose one, such as transcribe")
    return arguments
