"""Names of the old package that no longer exist, and what took their place."""

from __future__ import annotations

from typing import Any, Callable, NoReturn, Optional

__all__ = [
    "BATCH",
    "BatchOnly",
    "module_getattr",
    "raise_gone",
    "took_its_place",
    "was_inside",
]

BATCH = (
    "the batch API is not part of speechmatics_sync, which is for real time: "
    "pip install speechmatics-batch"
)

_SESSION = "the session is run by speechmatics_sync.Client"
_BY_NAME = {
    "_get_temp_token": "speechmatics_sync.JWTAuth fetches temporary keys",
    "_init_synchronization_primitives": _SESSION + ", without an event loop's primitives",
    "_buffer_semaphore": _SESSION + "; ConnectionSettings.message_buffer_size is its window",
    "_recognition_started": _SESSION + "; add a handler of RecognitionStarted",
    "_flag_recognition_started": _SESSION + "; add a handler of RecognitionStarted",
    "_language_pack_info": "use get_language_pack_info()",
    "_set_language_pack_info": "use get_language_pack_info()",
    "_producer": _SESSION + "; add a middleware of AddAudio",
    "_producer_handler": _SESSION + "; add a middleware of AddAudio",
    "_process_single_stream": _SESSION + "; add a middleware of AddAudio",
    "_process_multichannel_streams": _SESSION + "; add a middleware of AddChannelAudio",
    "_stream_channel": _SESSION + "; add a middleware of AddChannelAudio",
    "_communicate": _SESSION,
    "_consumer": _SESSION + "; add an event handler",
    "_consumer_handler": _SESSION + "; add an event handler",
    "_call_middleware": _SESSION + ", which calls them",
    "_start_recognition": _SESSION + "; add a middleware of StartRecognition",
    "_set_recognition_config": "use update_transcription_config()",
    "_end_of_stream": _SESSION + "; add a middleware of EndOfStream",
    "_end_of_channel": _SESSION + "; add a middleware of EndOfChannel",
    "_transcription_config_needs_update": "use update_transcription_config()",
    "_session_needs_closing": "use stop()",
    "_stream_exits": _SESSION + ", which closes what it opened",
    "check_tasks_exceptions": _SESSION + ", in threads and not in tasks",
    "_process_status_errors": "the command line prints HTTP errors itself",
    "httpx": "HTTP requests are made by speechmatics_sync.JWTAuth",
    "websockets": _SESSION + ", on websocket-client",
    "toml": "use speechmatics_sync.legacy.config",
    "batch_main": BATCH,
    "rt": "that is the package speechmatics-rt; see docs/from-speechmatics-rt.rst",
    "asr_metrics": "pip install speechmatics-python for its metrics",
}


def raise_gone(owner: str, name: str) -> NoReturn:
    """Raise the AttributeError for a name that does not exist.

    Raises:
        AttributeError: Always; for a name that the old package had, it says what took its place.
    """
    reason = took_its_place(name)
    raise AttributeError(f"{owner} has no attribute {name!r}" + (f": {reason}" if reason else ""))


def took_its_place(name: str) -> Optional[str]:
    """Return what took the place of a name; None for one that the old package did not have."""
    return BATCH if name.startswith("Batch") else _BY_NAME.get(name)


def was_inside(name: str) -> Optional[str]:
    """Return what took the place of an attribute inside the old client; None for other names."""
    return took_its_place(name) if name.startswith("_") else None


def module_getattr(module: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module."""

    def __getattr__(name: str) -> Any:
        raise_gone(f"module {module!r}", name)

    return __getattr__


class BatchOnly:
    """What all names of the batch API are: using one says that it is not part of this package."""

    def __init__(self, *_: object, **__: object) -> None:
        raise NotImplementedError(f"{type(self).__name__} cannot be used: {BATCH}.")
