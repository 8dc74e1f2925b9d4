"""What the server says, on its way to the transcript, the log and the handlers."""

from __future__ import annotations

from collections.abc import Collection

from .._model.messages import ServerMessageType, SessionEvent
from .._model.typing import Label, Message
from .._protocol.events import Acknowledged
from ..errors import AudioError
from .identity import Identity
from .inbox import Inbox
from .meter import Meter

__all__ = ["Delivery"]

_WARNING = ServerMessageType.WARNING.value
_ERROR = ServerMessageType.ERROR.value


class Delivery:
    """Passes messages on. Every method needs the session's lock.

    Args:
        identity: Has the transcript and the log.
        inbox: Takes the messages for handlers.
        meter: Takes the session's figures.
        collect: Whether messages are added to the transcript.
        listened: The names of messages that have handlers.
    """

    def __init__(
        self,
        identity: Identity,
        inbox: Inbox,
        meter: Meter,
        *,
        collect: bool,
        listened: Collection[str],
    ) -> None:
        self.inbox = inbox
        self.meter = meter
        self._log = identity.log
        self._transcript = identity.transcript
        self._collect = collect
        self.listened = listened

    def deliver(self, message: Message) -> None:
        """Pass on a message of the server."""
        if self._collect:
            self._transcript.add(message)
        self.meter.delivered(message)
        name = message.get("message")
        if name == _WARNING:
            reason = message.get("reason")
            self._log.warning("The server warns: %s: %s", message.get("type"), reason)
        elif name == _ERROR:
            self._log.error("The server sent an Error: %s", message.get("type"))
        self.inbox.put(message)

    def acknowledge(self, event: Acknowledged) -> None:
        """Pass on an acknowledgement, if there is a handler for it."""
        label, number, message = event
        if self.meter.times_a_chunk:
            self.meter.acknowledged(label, number)
        if message["message"] in self.listened:
            self.inbox.put(message)

    def report(self, error: AudioError, label: Label) -> None:
        """Tell handlers that a channel ends because its source failed."""
        self._log.warning("%s The channel ends there.", error.message)
        self.inbox.put(
            {
                "message": SessionEvent.SOURCE_ERROR.value,
                "channel": label,
                "reason": self._log.words.clean(error.message),
                "error": error,
            }
        )
