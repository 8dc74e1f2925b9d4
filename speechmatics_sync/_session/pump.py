"""Move messages between one connection and its leg, and watch the time limits.

Which thread waits for the bytes is another matter: `Pump.pump` never waits, and `Pump.rest` says
what to wait for until the next call.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Hashable
from typing import Callable, Optional, Union

from .._concurrency.deadlines import Deadline
from .._concurrency.poller import Poller
from .._model.connection_config import ConnectionConfig
from .._model.messages import ServerMessageType, WarningType
from .._model.typing import Message
from .._protocol.codec import acknowledged, decode
from .._protocol.events import (
    Acknowledged,
    Deliver,
    Ended,
    Event,
    Failed,
    LegEnded,
    Lost,
    Settled,
    Started,
)
from .._protocol.leg import Leg
from .._protocol.time_limits import Limits
from .._transport.connection import HIGH_WATER, Closed, Connection
from ..errors import TransportError
from .delivery import Delivery
from .outages import Outages
from .outbox import Outbox
from .state import Lifecycle

__all__ = ["Pump"]

_AUDIO_ADDED = ServerMessageType.AUDIO_ADDED.value
_CHANNEL_AUDIO_ADDED = ServerMessageType.CHANNEL_AUDIO_ADDED.value
_ERROR = ServerMessageType.ERROR.value
_WARNING = ServerMessageType.WARNING.value
_NEARS_ITS_END = WarningType.SESSION_TIMEOUT.value
_MINUTES_LEFT = re.compile(r"\bin ([0-9]+(?:\.[0-9]+)?) ?m")

_TURN = 0.005
"""Seconds of messages to process before others get the session's lock, and their turn."""

_FEW = 8
"""Messages that take less than that."""

_MOST_EARLY = 1000
_MOST_EARLY_BYTES = 16 << 20
"""Messages that may come before RecognitionStarted, while there may be nobody to take them, and
their bytes where a single message may have any number."""

_ERROR_GRACE = 0.25
"""Seconds to wait after an Error for the close frame, which has its code."""


class Pump:
    """Pumps one open connection.

    Belongs to the thread that pumps it: the receiver, or the shared thread meanwhile.

    Args:
        connection: The connection, open, StartRecognition sent.
        leg: What the protocol says over it.
        config: Has the time limits.
        life: The session's state.
        outbox: Sends over the connection whenever that takes more.
        delivery: Gets what the server says.
        outages: Learns when recognition starts.
        request_close: Called if the session was abandoned.
    """

    def __init__(
        self,
        connection: Connection,
        leg: Leg,
        *,
        config: ConnectionConfig,
        life: Lifecycle,
        outbox: Outbox,
        delivery: Delivery,
        outages: Outages,
        request_close: Callable[[], None],
    ) -> None:
        self.connection = connection
        self.leg = leg
        self.lost: Optional[Lost] = None
        """Why the connection ended before the session was over."""
        self.started: Optional[Started] = None
        """RecognitionStarted, once it has come."""
        self.ends_at: Optional[float] = None
        """When the server, or the user's policy, ends the connection for its age, if known."""
        self.ended = False
        """Whether the audio went on elsewhere, and the server has sent its last message here."""
        self.successor: Optional[Pump] = None
        """The pump of the connection that took over the audio."""
        self._life = life
        self._outbox = outbox
        self._protocol = outbox.protocol
        self._delivery = delivery
        self._inbox = delivery.inbox
        self._outages = outages
        self._request_close = request_close
        self._limits = Limits(config, time.monotonic())
        self._check_at = 0.0
        """When to check the limits at the latest, by the monotonic clock."""
        self._due: Optional[float] = 0.0
        """When the next limit can pass."""
        self._checked_state = leg.state
        self._error_grace: Optional[Deadline] = None
        """After an Error: until when to wait for the close frame."""
        self._paused = False
        """Whether reading pauses because handlers, or the connection before, are behind."""
        self._unprocessed: list[Union[bytes, Closed]] = []
        """What was received and is still to be processed, the last first."""
        self._early = self._early_bytes = 0
        """How many messages came before the session's first RecognitionStarted, and their size."""
        self._most_early_bytes = _MOST_EARLY_BYTES if config.max_size is None else config.max_size

    def rest(self, poller: Poller, owner: Hashable) -> Optional[float]:
        """Have the poller report the owner when there is something to pump.

        Args:
            poller: Waits for the connection.
            owner: What it reports.

        Returns:
            The seconds after which to pump in any case; None for no limit.
        """
        with self._life.lock:
            inbox, held = self._inbox, self._protocol.succession.held(self.leg)
            # Before the start there may be no thread yet that empties the inbox.
            pauses = inbox.reading_pauses() and self._life.started_at is not None
            # A connection that is held back is checked again here: no event tells when to go on.
            pauses = pauses or (held > 0 and not inbox.has_room_for(held))
        self._paused = pauses and not self.connection.send_failed
        if self.connection.register(poller, owner, read=not self._paused):
            return 0.0
        if self._life.abandoned:  # perhaps before there was a connection to wake
            return 0.0
        if self._unprocessed and not self._paused:
            return 0.0
        if self._error_grace is not None:
            return self._error_grace.remaining()
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def pump(self, *, read: bool = True, event: bool = False) -> bool:
        """Process what has arrived, send what may be sent, check the limits. Never waits.

        Args:
            read: Whether there may be something to read.
            event: Whether something happened at the connection, rather than that time has passed.

        Returns:
            Whether `rest` is to be asked again. Most often an event was a message or two, all of
            it was processed, and what `rest` said still holds.

        Raises:
            TransportError: The server broke the protocol.
        """
        if self._life.abandoned:
            self._request_close()
            return True
        connection, unprocessed = self.connection, self._unprocessed
        behind = bool(unprocessed)
        if not self._paused:
            if not behind and (read or connection.send_failed):
                unprocessed = self._unprocessed = connection.receive()
                unprocessed.reverse()
            if unprocessed and not self._process():
                return True
        if connection.backlog or self._outbox.has_work:
            self._send()
        if self._error_grace is None:
            now = time.monotonic()
            if now < self._check_at and self.leg.state is self._checked_state:
                return bool(
                    not event
                    or self._life.state.over
                    or unprocessed
                    or self._paused
                    or self._inbox.overfull
                    or connection.wants_registering
                )
            # The peer is not silent while we process what it sent, and do not read.
            self._check_limits(now, heard=now if behind else connection.last_heard)
        elif self._error_grace.passed():
            self._closed(None, "")
        return True

    def _send(self) -> None:
        """Send what the network takes, and go on if only a full backlog stopped the outbox."""
        connection = self.connection
        full = True
        while full:
            self._outbox.pass_on()
            full = connection.backlog >= HIGH_WATER
            if connection.backlog:
                connection.flush()
            full = full and connection.backlog < HIGH_WATER

    def _check_limits(self, now: float, *, heard: float) -> None:
        lock, leg_state = self._life.lock, self.leg.state
        with lock:
            owed = self.leg.owed()
        if self._paused:
            self._limits.restart(now)
        unblocked = self.connection.last_unblocked
        self._limits.note(now, heard=heard, owed=owed, unblocked=unblocked)
        passed = self._limits.passed(now, leg_state)
        if passed is not None:
            with lock:
                self.lost = self.leg.limit_passed(passed)
        elif self._limits.ping_is_due(now):
            self.connection.ping()
        # A check costs as much as a chunk, so do not repeat it before a limit can pass.
        patience = self._limits.patience(now, leg_state)
        self._due = None if patience is None else now + patience
        self._check_at = now + self._limits.accuracy
        if self._due is not None:
            self._check_at = min(self._check_at, self._due)
        self._checked_state = leg_state

    def _process(self) -> bool:
        """Process what was received, for one turn; return whether the connection goes on."""
        life, protocol, unprocessed = self._life, self._protocol, self._unprocessed
        delivery = self._delivery
        meter, listened = delivery.meter, _AUDIO_ADDED in delivery.listened
        with life.lock:
            until = time.monotonic() + _TURN if len(unprocessed) > _FEW else math.inf
            while unprocessed:
                each = unprocessed.pop()
                if isinstance(each, Closed):
                    self._closed(each.code, each.reason)
                    return False
                number = 0 if listened else acknowledged(each)
                if number and protocol.acknowledge_at_once(self.leg, None, number):
                    meter.received += 1
                    if meter.times_a_chunk:
                        meter.acknowledged(None, number + self.leg.channels[None].before)
                    continue
                if life.started_at is None:
                    self._count_early(len(each))
                message = decode(each)
                if life.state.over:
                    continue
                meter.received += 1
                if not self._acknowledge(message):
                    self._note(message)
                    for event in protocol.receive(self.leg, message):
                        self._apply(event)
                    if self.lost is not None:
                        return False
                if until < math.inf and time.monotonic() > until:
                    break
        return True

    def _acknowledge(self, message: Message) -> bool:
        """Take an acknowledgement that nobody listens to; return whether that was all."""
        name, delivery, label = message.get("message"), self._delivery, None
        if name == _CHANNEL_AUDIO_ADDED:
            label = message.get("channel")
            if not isinstance(label, str):
                return False
        elif name != _AUDIO_ADDED:
            return False
        if name in delivery.listened:
            return False
        number = self._protocol.acknowledge_at_once(self.leg, label, message.get("seq_no"))
        if number and delivery.meter.times_a_chunk:
            delivery.meter.acknowledged(label, number)
        return number > 0

    def _count_early(self, size: int) -> None:
        """Refuse what comes before RecognitionStarted without end."""
        self._early += 1
        self._early_bytes += size
        if self._early > _MOST_EARLY or self._early_bytes > self._most_early_bytes:
            raise TransportError(
                f"The server broke the protocol: it sent {self._early} messages "
                f"({self._early_bytes} bytes) and no RecognitionStarted."
            )

    def _note(self, message: Message) -> None:
        """Note that an Error has come, or when the server will end the connection."""
        name = message.get("message")
        if name == _ERROR:
            self._error_grace = self._error_grace or Deadline(_ERROR_GRACE)
        elif name == _WARNING and message.get("type") == _NEARS_ITS_END:
            left = _MINUTES_LEFT.search(str(message.get("reason")))
            if left is not None:
                self.ends_at = time.monotonic() + 60.0 * float(left[1])
                self._check_at = 0.0  # what `rest` said does not hold any more

    def _apply(self, event: Event) -> None:
        """Apply an event of the protocol to the session. Needs the lock."""
        if isinstance(event, Acknowledged):
            self._delivery.acknowledge(event)
        elif isinstance(event, Deliver):
            self._delivery.deliver(event.message)
        elif isinstance(event, Started):
            self.started = event
            policy = self._outages.policy
            if policy is not None and policy.session_limit is not None:
                self.ends_at = time.monotonic() + policy.session_limit
            if self.leg is self._protocol.leg:
                self._outages.end(event)
        elif isinstance(event, Settled):
            self._outages.backoff.progress()
        elif isinstance(event, LegEnded):
            self.ended = True
            if self.successor is not None and self.successor.started is not None:
                self._outages.end(self.successor.started)
        elif isinstance(event, Ended):
            self._life.finish()
        elif isinstance(event, Lost):
            self.lost = event
        elif isinstance(event, Failed):
            if self._error_grace is None:
                self._life.finish(event.error)
        else:
            self._life.progressed.notify_all()

    def _closed(self, code: Optional[int], reason: str) -> None:
        with self._life.lock:
            event = self._protocol.closed(self.leg, code, reason)
            if isinstance(event, Lost):
                self.lost = event
            elif event is not None:
                self._life.finish(event.error)
