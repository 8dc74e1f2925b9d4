"""What a worker does: one session, in whatever thread or process it is asked to.

A `Work` is pickled with each task. It may hold a key, which is in no ``repr``: the executor of a
cluster logs what it was given.
"""

from __future__ import annotations

import dataclasses
import pickle
import time
import traceback
from typing import Any, Callable, NamedTuple, Optional, Union

from .._client.client import Client
from .._client.multichannel import MultiChannelClient
from .._model.reconnect_policy import ReconnectPolicy
from .._model.secret import Secret
from .._session.reconnecting import lacks_room
from .._transcript.transcript import Transcript
from .._transport.retry_after import seconds_to_wait
from ..errors import ConfigurationError, SpeechmaticsError
from .leaving import Leaving

__all__ = ["Call", "Outcome", "Work", "transcribe_one"]

AnyClient = Union[Client, MultiChannelClient]
Call = Callable[..., Transcript]
"""Called with a client, a source and the options of the session."""


class Outcome(NamedTuple):
    """What came of a session.

    Args:
        transcript: What was heard.
        error: Why it failed.
        seconds: How long it took.
        refused: Whether the server had no room for it.
        wait: Seconds after which the server wants to be asked again.
        trace: Where an error was raised that is none of this package.
    """

    transcript: Optional[Transcript]
    error: Optional[Exception]
    seconds: float
    refused: bool = False
    wait: float = 0.0
    trace: str = ""


class Work(NamedTuple):
    """What is the same for all sessions of a run.

    Args:
        kind: The class of the clients.
        call: What to do with a client and a source; None transcribes it.
        client: The arguments of the client, without ``reconnect``.
        reconnect: That one.
        options: The arguments of the call.
    """

    kind: type[AnyClient]
    call: Optional[Call]
    client: Secret[dict[str, Any]]
    reconnect: Optional[ReconnectPolicy]
    options: Secret[dict[str, Any]]


def transcribe_one(
    work: Work,
    source: Any,
    leaving: Leaving,
    *,
    patient: bool,
    portable: bool,
    number: tuple[int, int],
) -> Outcome:
    """Transcribe a source; raises no error, but returns it.

    Args:
        work: How.
        source: The source.
        leaving: Ends the session when its run ends.
        patient: Whether the session waits itself where the server has no room: its source can be
            read once only.
        portable: Whether the outcome goes to another process.
        number: The source's place, and which attempt this is. Dask takes calls with the same
            arguments for one, and would give the outcome of the first.
    """
    begun = time.monotonic()
    client: Optional[AnyClient] = None
    try:
        reconnect = work.reconnect
        if reconnect is not None and not patient:
            reconnect = dataclasses.replace(reconnect, retry_busy=False)
        call: Any = work.call or work.kind.transcribe
        client = work.kind(**work.client.reveal(), reconnect=reconnect)
        with client, leaving.watching(client):
            transcript = call(client, source, **work.options.reveal())
        if not isinstance(transcript, Transcript):
            raise ConfigurationError(
                f"call=… returned an object of type {type(transcript).__name__}; "
                "allowed: a Transcript"
            )
        return Outcome(transcript, None, time.monotonic() - begun)
    except Exception as error:
        begun_session = client is not None and client.session_id is not None
        refused = not patient and not begun_session and lacks_room(error)
        wait = seconds_to_wait(getattr(error, "retry_after", None) or "") if refused else None
        trace = ""
        if portable:
            if not isinstance(error, SpeechmaticsError):
                trace = traceback.format_exc()
            error = _portable(error)
        seconds = time.monotonic() - begun
        return Outcome(None, error, seconds, refused, wait or 0.0, trace)


def _portable(error: Exception) -> Exception:
    """Return the error, or if it would not reach another process whole, one that says the same."""
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):  # noqa: S301  (our own)
            return error
    except Exception:  # whatever a class of a user's raises there
        pass
    return SpeechmaticsError(f"{type(error).__name__}: {error}")
