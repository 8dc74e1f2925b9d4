"""Every error that this package raises says what to do."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from support.places import ROOT

from speechmatics_sync import (
    CaptionFile,
    Client,
    Ledger,
    Microphone,
    SpeechmaticsError,
    Transcript,
    TransportError,
    open_audio,
    split_channels,
)

PACKAGE = ROOT / "speechmatics_sync"

ERRORS = re.compile(
    "(ArgumentType|Attribute|Audio|Authentication|Configuration|Connection"
    "|EndOfTranscript|HandshakeCut|InvalidAudio|MissingKey|NameLookup|NotImplemented|Output|Proxy"
    "|Runtime|Session|Timeout|Transcription|Type|Value)Error|SystemExit|error"
)
"""What is called with a message; ``error`` is a method of parsers and of loggers."""
WHAT_TO_DO = re.compile(
    r"(.* )?(allowed|should (be|have)|must (be|match))\b|(or |in \w+ )?(add|ask|begin|call|change"
    r"|check|choose|close|connect|convert|copy|correct|decode|end it|give|have|install|leave|let"
    r"|look|make|name|open|pass|pip install|put|raise|read|redirect|remove|run|save|say|see|send"
    r"|set|split|start|stop|transcribe|try|type|use|wait|write)\b|(is|does|was it)\b.*\?"
    r"|(start|stop)\(\)",
    re.IGNORECASE,
)
"""How a part of a message begins that says what to do, or asks what leads there."""

ELSEWHERE = re.compile(
    r"…[^…]*(cure|CURE|hint|advice|ADVICE|BATCH|CHECK|RIGHT|JSON_V2|KINDS|BY_METHODS|NO_MEMORY"
    r"|BIG_ENDIAN|reason_of|\{reason\}|strerror|words_of|what_is_wrong|\.message|message\.)[^…]*…"
    r"|…(problem|words|said|text|message|header|step\.late|self\._failure|_failure|reason|str\(error\))…"
)
"""What is written elsewhere and says it, or what the system says: no such file, no permission."""

SAY_ENOUGH = {
    "%s; what is spoken is transcribed nevertheless": "a log: the file is at fault, as %s says",
    "the audio cannot be saved any more: %s; what is heard is transcribed nevertheless": "likewise",
    "The server sent an Error: %s": "a log: the session raises an error that says it",
    "a session failed": "a log, with the traceback of a recogniser",
    "there is more behind its end, at character …end…": "inside a TransportError",
    "…name… is not JSON": "likewise",
    "true, false": "said after “allowed:”",
    "a number": "likewise",
    "…allowed…": "likewise",
    "JSON, or …_object_metavar(cls)…": "likewise",
    "module …__name__… has no attribute …name…": "Python's own words",
    "transcribe_many() got an unexpected keyword argument …name…": "likewise",
    "unrecognized arguments: …' '.join(rest)…": "likewise, below the usage",
    "only a running leg can be ended": "no call of a user leads there",
    "unknown fault: …fault…": "likewise",
    "A middleware refused StartRecognition.": "the program gets what its middleware raised",
    "Interrupted.": "by Ctrl-C, and the command line says nothing more",
    "Not begun.": "likewise",
    "The request was cancelled.": "by the session, which has ended",
    "The temporary key is no longer needed.": "likewise",
    "…_ABORTED…": "likewise",
    "The connection …what… …when……said….": "a session reconnects, or says what to do",
    "The connection was lost: the server owed …what.value… and made no progress with it for"
    " ack_timeout (…config.ack_timeout… s).": "likewise",
    "The connection was lost: the server owed an answer and nothing arrived for …now -"
    " self._alive… s, not even the answer to a ping.": "likewise",
    "The connection was lost: no sign of life within ping_timeout (…config.ping_timeout… s) of a"
    " ping.": "likewise",
}


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file with an error's message, and the message with … for what varies."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        code = isinstance(node.args[0], ast.Constant) and not isinstance(node.args[0].value, str)
        if ERRORS.fullmatch(name) and not code:
            yield node.lineno, written(node.args[0])


def written(message: ast.expr) -> str:
    if isinstance(message, ast.Constant):
        return str(message.value)
    if isinstance(message, ast.JoinedStr):
        return "".join(map(written, message.values))
    if isinstance(message, ast.BinOp):
        return written(message.left) + written(message.right)
    return f"…{ast.unparse(message.value if isinstance(message, ast.FormattedValue) else message)}…"


def test_each_message_says_what_to_do() -> None:
    silent, seen = {}, set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for line, message in messages(path):
            parts = re.split(r"(?<=[.:;,?…]) |\(|: ", message)
            says = any(map(WHAT_TO_DO.match, parts)) or ELSEWHERE.search(message)
            seen.add(message)
            if not says and message not in SAY_ENOUGH:
                silent[f"{path.name}:{line}"] = message
    assert silent == {}
    assert SAY_ENOUGH.keys() <= seen


def test_an_error_of_the_protocol_has_its_advice_whatever_becomes_of_it() -> None:
    error = TransportError("The server sent nonsense.", close_code=1002)
    advised = "The server sent nonsense. Does a proxy answer in its place?"
    assert error.message.startswith(advised)
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (again.message, again.args, again.close_code) == (error.message, error.args, 1002)
    assert str(TransportError()) == ""


@pytest.mark.parametrize(
    "use",
    [
        lambda path: Client(url="ws://127.0.0.1:1").transcribe(path),
        lambda path: Transcript().player(path),
        lambda path: Transcript().save(path),
        lambda path: Transcript.load(path),
        Ledger,
        CaptionFile,
        open_audio,
        split_channels,
        lambda path: Microphone(save=path),
    ],
)
def test_what_no_file_can_be_called_is_an_error_of_this_package(
    use: Callable[[str], object],
) -> None:
    with pytest.raises(SpeechmaticsError, match=r"x00"):
        use("call\0.wav")
