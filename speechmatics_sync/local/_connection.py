"""A connection that refuses a message that is too large as the API does, with an Error."""

from __future__ import annotations

import json
from typing import Any, Optional

from websockets.frames import CloseCode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection

from ._validation import CLOSE_CODE, Refused

__all__ = ["Connection", "refused_by"]


class _Protocol(ServerProtocol):
    """Sends an Error and close code 1003 where `websockets` would close with 1009 alone."""

    refused: Optional[Refused] = None

    def fail(self, code: int, reason: str = "") -> None:
        if code == CloseCode.MESSAGE_TOO_BIG and self.state is State.OPEN:
            # Sent here, because nothing can be sent after `fail`. What the client still sends is
            # read and discarded, so that it gets the Error.
            refused = self.refused = Refused("protocol_error", f"a message is too large: {reason}")
            error = {"message": "Error", "type": refused.type, "reason": refused.reason}
            self.send_text(json.dumps(error).encode())
            code, reason = CLOSE_CODE[refused.type], ""
        super().fail(code, reason)


class Connection(ServerConnection):
    """A connection that sends an Error when a message is too large."""

    def __init__(self, sock: Any, protocol: ServerProtocol, *args: Any, **options: Any) -> None:
        # `serve` creates the protocol, and its class cannot be chosen. Replacing a method of the
        # object would make a reference cycle.
        protocol.__class__ = _Protocol
        super().__init__(sock, protocol, *args, **options)


def refused_by(connection: ServerConnection) -> Optional[Refused]:
    """Return what the connection itself has refused with an Error, or None."""
    protocol = connection.protocol
    return protocol.refused if isinstance(protocol, _Protocol) else None
