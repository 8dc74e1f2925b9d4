"""A Realtime server on this machine: it speaks the API's protocol and recognises speech itself.

It needs no key and no network. Install it with ``pip install "speechmatics-sync[local]"``.

Example:
    >>> from speechmatics_sync import Client
    >>> from speechmatics_sync.local import LocalServer
    >>> with LocalServer() as server, Client(url=server.url) as client:
    ...     print(client.transcribe("audio.wav").text)

The server:
    LocalServer             a Realtime server, in threads of this process
    SessionRecord           one session, as the server saw it
    ChannelRecord           one channel of it
    serve                   serve until SIGINT or SIGTERM, as a program
    add_server_arguments    the flags of such a program

What it hears:
    PocketsphinxRecognizer  English speech
    ScriptedRecognizer      the same words in every session
    CountedRecognizer       the numbers in the audio that counted_audio makes
    counted_audio           audio with numbers in it
    counted_word            the word that is heard for a number
    Recognizer              the base of recognisers of your own
    Recognition             what such a one makes for each channel
    Hypothesis              what it has found so far
    Word                    a word of that

Faults, to see what a program does about them:
    Faults                  which happen, when, and to how many connections
    Moment                  when, in the course of a connection
    Happened                one that has happened
    Fault                   the base of those that follow
    Close Drop EndEarly Garbage HoldAcknowledgements Refuse Send SendError Silence StopReading
    Warn

Fixtures for pytest: speechmatics_sync.local.pytest_plugin
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from speechmatics_sync.errors import missing_extra

from .._help import module_dir

if TYPE_CHECKING:
    from ._command import add_server_arguments, serve
    from ._fault_schedule import Faults, Happened
    from ._faults import (
        Close,
        Drop,
        EndEarly,
        Fault,
        Garbage,
        HoldAcknowledgements,
        Moment,
        Refuse,
        Send,
        SendError,
        Silence,
        StopReading,
        Warn,
    )
    from ._recognizer import Hypothesis, Recognition, Recognizer, Word
    from ._record import ChannelRecord, SessionRecord
    from ._scripted import CountedRecognizer, ScriptedRecognizer, counted_audio, counted_word
    from ._server import LocalServer
    from ._sphinx import PocketsphinxRecognizer

__all__ = [
    "ChannelRecord",
    "Close",
    "CountedRecognizer",
    "Drop",
    "EndEarly",
    "Fault",
    "Faults",
    "Garbage",
    "Happened",
    "HoldAcknowledgements",
    "Hypothesis",
    "LocalServer",
    "Moment",
    "PocketsphinxRecognizer",
    "Recognition",
    "Recognizer",
    "Refuse",
    "ScriptedRecognizer",
    "Send",
    "SendError",
    "SessionRecord",
    "Silence",
    "StopReading",
    "Warn",
    "Word",
    "add_server_arguments",
    "counted_audio",
    "counted_word",
    "serve",
]

_MODULES = {
    "ChannelRecord": "_record",
    "Close": "_faults",
    "CountedRecognizer": "_scripted",
    "Drop": "_faults",
    "EndEarly": "_faults",
    "Fault": "_faults",
    "Faults": "_fault_schedule",
    "Garbage": "_faults",
    "Happened": "_fault_schedule",
    "HoldAcknowledgements": "_faults",
    "Hypothesis": "_recognizer",
    "LocalServer": "_server",
    "Moment": "_faults",
    "PocketsphinxRecognizer": "_sphinx",
    "Recognition": "_recognizer",
    "Recognizer": "_recognizer",
    "Refuse": "_faults",
    "ScriptedRecognizer": "_scripted",
    "Send": "_faults",
    "SendError": "_faults",
    "SessionRecord": "_record",
    "Silence": "_faults",
    "StopReading": "_faults",
    "Warn": "_faults",
    "Word": "_recognizer",
    "add_server_arguments": "_command",
    "counted_audio": "_scripted",
    "counted_word": "_scripted",
    "serve": "_command",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "speechmatics_sync":
            raise
        raise missing_extra(name, package, "local") from error
    # Tracebacks, help() and pickles name the place that users import from.
    for public, home in _MODULES.items():
        loaded = sys.modules.get(f"{__name__}.{home}")
        if hasattr(loaded, public):  # another thread may still be loading it
            getattr(loaded, public).__module__ = __name__
    return getattr(module, name)


__dir__ = module_dir(__name__, page=True)
