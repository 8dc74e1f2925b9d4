"""A Realtime server on this machine: the protocol of the API, with recognition of its own.

It needs no key and no network. Install it with ``pip install "speechmatics-sync[local]"``.

Example:
    >>> from speechmatics_sync import Client
    >>> from speechmatics_sync.local import LocalServer
    >>> with LocalServer() as server, Client(url=server.url) as client:
    ...     print(client.transcribe("audio.wav").text)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from speechmatics_sync.errors import missing_extra

if TYPE_CHECKING:
    from .faults import (
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
    from .recognizer import Hypothesis, Recognition, Recognizer, Word
    from .record import ChannelRecord, SessionRecord
    from .schedule import Faults, Happened
    from .scripted import CountedRecognizer, ScriptedRecognizer, counted_audio, counted_word
    from .server import LocalServer
    from .sphinx import PocketsphinxRecognizer

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
    "counted_audio",
    "counted_word",
]

_MODULES = {
    "ChannelRecord": "record",
    "Close": "faults",
    "CountedRecognizer": "scripted",
    "Drop": "faults",
    "EndEarly": "faults",
    "Fault": "faults",
    "Faults": "schedule",
    "Garbage": "faults",
    "Happened": "schedule",
    "HoldAcknowledgements": "faults",
    "Hypothesis": "recognizer",
    "LocalServer": "server",
    "Moment": "faults",
    "PocketsphinxRecognizer": "sphinx",
    "Recognition": "recognizer",
    "Recognizer": "recognizer",
    "Refuse": "faults",
    "ScriptedRecognizer": "scripted",
    "Send": "faults",
    "SendError": "faults",
    "SessionRecord": "record",
    "Silence": "faults",
    "StopReading": "faults",
    "Warn": "faults",
    "Word": "recognizer",
    "counted_audio": "scripted",
    "counted_word": "scripted",
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
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
