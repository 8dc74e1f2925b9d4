"""The errors that `speechmatics.exceptions` had."""

from .._help import module_dir

__all__ = [
    "EndOfTranscriptException",
    "ForceEndSession",
    "JobNotFoundException",
    "TranscriptionError",
]

__dir__ = module_dir(__name__)


class TranscriptionError(Exception):
    """The server sent an Error. The text is its reason; ``__cause__`` has its type and code."""


class EndOfTranscriptException(Exception):
    """The session has ended. Never comes out of `WebsocketClient.run`."""


class ForceEndSession(Exception):
    """Raised by a handler or a middleware to end the session at once, without an error."""


class JobNotFoundException(Exception):
    """There is no batch job of that id. Batch is not part of this package."""
