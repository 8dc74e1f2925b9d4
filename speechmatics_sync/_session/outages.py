"""Tell handlers when a session is without its connection, and when it goes on over another."""

from __future__ import annotations

from typing import Optional

from .._model.messages import SessionEvent
from .._model.reconnect_policy import ReconnectPolicy
from .._model.typing import Message
from .._protocol.events import Started
from .identity import Identity
from .inbox import Inbox
from .meter import Meter
from .observation import Observation
from .outbox import Outbox
from .reconnecting import Backoff
from .state import Cause, Lifecycle, SessionState

__all__ = ["Outages"]


class Outages:
    """Follows a session from one connection to the next.

    The receiver calls every method, holding the session's lock.

    Args:
        policy: What to do when the connection is lost; None gives up at once.
        life: The session's state.
        identity: Learns the server's session id.
        outbox: Sends over the connection.
        inbox: Gets a Reconnecting message when an outage begins, and Reconnected when it ends.
        meter: Counts them.
        observation: Tells of them.
    """

    def __init__(
        self,
        policy: Optional[ReconnectPolicy],
        life: Lifecycle,
        identity: Identity,
        outbox: Outbox,
        inbox: Inbox,
        meter: Meter,
        observation: Observation,
    ) -> None:
        self.policy = policy
        self.backoff = Backoff(policy)
        self._life = life
        self._identity = identity
        self._outbox = outbox
        self._inbox = inbox
        self._meter = meter
        self._observation = observation
        self._reason = ""
        """Why the session is RECONNECTING."""

    def lost(self, reason: str) -> None:
        """The connection is lost, and another is to be made."""
        self._outbox.connection = None
        self._outbox.protocol.succession.lose()
        self._meter.lost()
        self.begin(self._identity.words.clean(reason))

    def begin(self, reason: str) -> None:
        """Audio from here on goes over another connection, once there is one."""
        if self._life.state is not SessionState.RECONNECTING:
            self._reason = reason
            self._life.move(Cause.REPLACED)
            self._announce(SessionEvent.RECONNECTING, "reconnecting")
        self._life.progressed.notify_all()

    def end(self, event: Started) -> None:
        """Recognition has started, for the first time or on another connection."""
        identity = self._identity
        reconnected = self._life.state is SessionState.RECONNECTING
        identity.session_id = identity.log.session_id = event.session_id
        if event.first:
            identity.language_pack_info = event.language_pack_info
            identity.log.info("Recognition started")
            self._observation.tell("started")
        self._life.connected()
        if reconnected:
            self._meter.reconnects += 1
            for start, end in self._outbox.protocol.succession.replay.gaps:
                identity.transcript.add_gap(start, end)
                identity.log.warning("The audio from %.1f s to %.1f s is lost", start, end)
            self._announce(SessionEvent.RECONNECTED, "reconnected")
            identity.log.info("Reconnected; the session goes on")

    def _announce(self, event: SessionEvent, kind: str) -> None:
        replay = self._outbox.protocol.succession.replay
        facts: Message = {
            "attempt": self.backoff.attempts,
            "seconds_replayed": replay.seconds_replayed,
            "seconds_lost": replay.seconds_lost,
        }
        message: Message = {
            "message": event.value,
            "reason": self._reason,
            "audio_time": replay.audio_time,
            **facts,
        }
        if event is SessionEvent.RECONNECTED:
            message["session_id"] = self._identity.session_id
            if replay.labels_restart:
                message["labels_restart"] = True
        self._inbox.put(message)
        self._observation.tell(kind, **facts)
