"""What the embedded server can do wrong on purpose, and when: plain values and their schedule.

A fault says what happens; `Faults.add` says when and to how many connections. Nothing here knows
a socket: the server tells the schedule how far a connection has come, the schedule answers with
the fault that is due, and `misbehaving` makes it happen. What decides is the audio and the
messages of the session, never a clock.
"""

from __future__ import annotations

import http
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Callable, ClassVar, Optional, Union

from speechmatics_sync.errors import ConfigurationError

from .record import SessionRecord

__all__ = [
    "Close",
    "Drop",
    "EndEarly",
    "Fault",
    "Faults",
    "Garbage",
    "Happened",
    "HoldAcknowledgements",
    "Moment",
    "Refuse",
    "Send",
    "SendError",
    "Silence",
    "StopReading",
    "Warn",
]


class Moment(str, Enum):
    """A place in the course of a connection. The value may stand for the member.

    Attributes:
        HANDSHAKE: The handshake came; in the place of its answer.
        CONNECTED: The handshake is done; before anything else.
        STARTING: StartRecognition came and is accepted; in the place of RecognitionStarted.
        AUDIO: From RecognitionStarted to the end of audio.
        ENDING: EndOfStream came, or the last EndOfChannel; before the last finals.
        ENDED: Every final was sent; in the place of EndOfTranscript.
    """

    HANDSHAKE = "handshake"
    CONNECTED = "connected"
    STARTING = "starting"
    AUDIO = "audio"
    ENDING = "ending"
    ENDED = "ended"


def _refused(owner: str, name: str, value: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(f"{owner}.{name} is {value!r}; allowed: {allowed}")


def _whole(owner: str, name: str, value: object, low: int = 0) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise _refused(owner, name, value, f"an integer of at least {low}")


def _seconds(owner: str, name: str, value: object) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value < 0
    ):
        raise _refused(owner, name, value, "a finite number of at least 0 seconds")


def _choice(owner: str, name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise _refused(owner, name, value, ", ".join(map(repr, allowed)))


def _text(owner: str, name: str, value: object, *, empty: bool = True) -> None:
    if not isinstance(value, str) or not (value or empty):
        raise _refused(owner, name, value, "a string" if empty else "a string that is not empty")


def _close_code(owner: str, name: str, value: object) -> None:
    fits = isinstance(value, int) and not isinstance(value, bool) and 1000 <= value <= 4999
    if not fits or value in (1005, 1006, 1015):
        raise _refused(
            owner,
            name,
            value,
            "1000 to 4999 without 1005, 1006 and 1015, which no frame may bear (RFC 6455, 7.4.1): "
            "what they stand for is Close(None), or Drop()",
        )


class Fault:
    """What a server can do wrong. Immutable; `Faults.add` says when it happens."""

    default: ClassVar[Moment] = Moment.AUDIO
    at_handshake: ClassVar[bool] = False


@dataclass(frozen=True)
class Drop(Fault):
    """The connection is cut without a close frame.

    Args:
        how: ``"reset"``: a TCP reset, which also ends what the client is sending; ``"fin"``: the
            server's side ends in good order, and what the client still sends is read.
        mid_frame: Whether half of a message's frame goes out before.

    Raises:
        ConfigurationError: If `how` is neither.
    """

    how: str = "reset"
    mid_frame: bool = False
    at_handshake: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _choice("Drop", "how", self.how, ("reset", "fin"))
        if not isinstance(self.mid_frame, bool):
            raise _refused("Drop", "mid_frame", self.mid_frame, "True or False")


@dataclass(frozen=True)
class Refuse(Fault):
    """The handshake is answered with an HTTP status in place of 101.

    Args:
        status: The status, from 300 to 599.
        retry_after: The ``Retry-After`` header: seconds, or text that is sent as it is; None
            sends none.

    Raises:
        ConfigurationError: If there is no such status, or the header cannot be sent.
    """

    status: int = 503
    retry_after: Union[int, str, None] = None
    default: ClassVar[Moment] = Moment.HANDSHAKE
    at_handshake: ClassVar[bool] = True

    def __post_init__(self) -> None:
        known = {one.value for one in http.HTTPStatus}
        if isinstance(self.status, bool) or self.status not in known or self.status < 300:
            raise _refused("Refuse", "status", self.status, "an HTTP status from 300 to 599")
        if isinstance(self.retry_after, str):
            if not (self.retry_after.isascii() and self.retry_after.isprintable()):
                raise _refused("Refuse", "retry_after", self.retry_after, "printable ASCII")
        elif self.retry_after is not None:
            _whole("Refuse", "retry_after", self.retry_after)


@dataclass(frozen=True)
class Close(Fault):
    """The connection is closed with a close frame, and no Error before it.

    Args:
        code: The code of the close frame; None sends a frame without one.
        reason: What the frame says, at most 123 bytes.

    Raises:
        ConfigurationError: If no close frame may bear that.
    """

    code: Optional[int] = 1011
    reason: str = ""

    def __post_init__(self) -> None:
        if self.code is not None:
            _close_code("Close", "code", self.code)
        _text("Close", "reason", self.reason)
        if len(self.reason.encode()) > 123 or (self.code is None and self.reason):
            raise _refused("Close", "reason", self.reason, "at most 123 bytes, and a code with it")


@dataclass(frozen=True)
class SendError(Fault):
    """An Error, and then the close frame.

    Args:
        type: The type of the Error, such as ``"quota_exceeded"``; any text will do.
        reason: Its reason.
        code: Its code; None leaves it out.
        close_code: The code of the close frame; None takes the one that is documented for `type`,
            or 1011.

    Raises:
        ConfigurationError: If a value cannot be sent.
    """

    type: str = "unknown_error"
    reason: str = "on purpose"
    code: Optional[int] = None
    close_code: Optional[int] = None

    def __post_init__(self) -> None:
        _text("SendError", "type", self.type, empty=False)
        _text("SendError", "reason", self.reason)
        if self.code is not None:
            _whole("SendError", "code", self.code)
        if self.close_code is not None:
            _close_code("SendError", "close_code", self.close_code)


@dataclass(frozen=True)
class Warn(Fault):
    """A Warning; the session goes on.

    Args:
        type: The type of the Warning, such as ``"session_timeout"``; any text will do.
        reason: Its reason.
        fields: Any other fields, such as ``{"duration_limit": 60}``.

    Raises:
        ConfigurationError: If a value cannot be sent.
    """

    type: str
    reason: str = "on purpose"
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _text("Warn", "type", self.type, empty=False)
        _text("Warn", "reason", self.reason)
        if not isinstance(self.fields, Mapping):
            raise _refused("Warn", "fields", self.fields, "a dict")


@dataclass(frozen=True)
class EndEarly(Fault):
    """The session ends before the client's audio does: the last finals, then EndOfTranscript.

    With a Warning before it, this is how the API ends a session whose duration is limited:
    ``faults.add(Warn("duration_limit_exceeded"))`` and ``faults.add(EndEarly(ignored_chunks=5))``.

    Args:
        ignored_chunks: How many more chunks, of all channels, are acknowledged and not heard
            before the end. A client that ends first is answered as ever.

    Raises:
        ConfigurationError: If it is not a number of chunks.
    """

    ignored_chunks: int = 0

    def __post_init__(self) -> None:
        _whole("EndEarly", "ignored_chunks", self.ignored_chunks)


@dataclass(frozen=True)
class HoldAcknowledgements(Fault):
    """Acknowledgements are held back from here on; with no argument for good.

    Args:
        chunks: For how many more chunks of the channel each one is held. The end of audio
            releases them.
        seconds: For how long each one is held. EndOfTranscript waits for them.

    Raises:
        ConfigurationError: If a value is not possible, or both are given.
    """

    chunks: Optional[int] = None
    seconds: Optional[float] = None

    def __post_init__(self) -> None:
        if self.chunks is not None:
            _whole("HoldAcknowledgements", "chunks", self.chunks, 1)
        if self.seconds is not None:
            _seconds("HoldAcknowledgements", "seconds", self.seconds)
            if self.chunks is not None:
                raise _refused(
                    "HoldAcknowledgements", "seconds", self.seconds, "None where chunks is given"
                )


@dataclass(frozen=True)
class StopReading(Fault):
    """Nothing more is read, so that the client's audio piles up in the network.

    What was read before has been answered, the server's own pings go on, a client's are not
    answered. It lasts until the client closes the connection or the server stops.
    """


@dataclass(frozen=True)
class Silence(Fault):
    """Nothing more is sent, not even a pong: what a half-open connection looks like.

    It lasts until the client closes the connection or the server stops.

    Args:
        reads: Whether the client's messages still arrive, and vanish; otherwise they pile up in
            the network.

    Raises:
        ConfigurationError: If it is not a bool.
    """

    reads: bool = False
    at_handshake: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.reads, bool):
            raise _refused("Silence", "reads", self.reads, "True or False")


@dataclass(frozen=True)
class Send(Fault):
    """One frame of any content; the session goes on.

    Args:
        content: A dict goes as JSON, a string as a text frame, bytes as a binary one.

    Raises:
        ConfigurationError: If it is something else.
    """

    content: Union[Mapping[str, Any], str, bytes]

    def __post_init__(self) -> None:
        if not isinstance(self.content, (Mapping, str, bytes)):
            raise _refused("Send", "content", self.content, "a dict, a string or bytes")


@dataclass(frozen=True)
class Garbage(Fault):
    """One frame that no server should send; the session goes on.

    Args:
        kind: ``"not_json"``, ``"not_object"`` (JSON, but a list), ``"no_name"`` (an object without
            ``message``), ``"binary"``, ``"invalid_utf8"`` (in a text frame), or
            ``"unknown_message"``, which is none: clients are to pass it on.

    Raises:
        ConfigurationError: If there is no such kind.
    """

    kind: str = "not_json"
    KINDS: ClassVar[tuple[str, ...]] = (
        "not_json",
        "not_object",
        "no_name",
        "binary",
        "invalid_utf8",
        "unknown_message",
    )

    def __post_init__(self) -> None:
        _choice("Garbage", "kind", self.kind, self.KINDS)


@dataclass(frozen=True)
class Happened:
    """A fault that has happened.

    Args:
        fault: The fault.
        connection: To which connection: they are counted from 1, in the order of their handshakes.
        moment: When.
        chunks: How many chunks of audio the server had received on that connection.
    """

    fault: Fault
    connection: int
    moment: Moment
    chunks: int


@dataclass(frozen=True)
class Progress:
    """How far a connection has come.

    Args:
        connection: Its number, from 1.
        moment: Where it stands.
        record: What the server saw of it.
        seconds: The audio received, by channel; the label is None in a session of one stream.
    """

    connection: int
    moment: Moment
    record: SessionRecord
    seconds: Mapping[Optional[str], float]

    def chunks(self, channel: Optional[str]) -> int:
        if channel is None:
            return self.record.audio_chunks
        known = self.record.channels.get(channel)
        return 0 if known is None else known.audio_chunks

    def audio(self, channel: Optional[str]) -> float:
        if channel is None:
            return max(self.seconds.values(), default=0.0)
        return self.seconds.get(channel, 0.0)


class _Planned:
    """A fault, when it is due and how often still."""

    def __init__(
        self,
        fault: Fault,
        moment: Moment,
        chunks: int,
        seconds: float,
        channel: Optional[str],
        times: Optional[int],
        skip: int,
        when: Optional[Callable[[SessionRecord], bool]],
    ) -> None:
        self.fault = fault
        self.left = times
        self.skip = skip
        self.when = when
        self.passed: set[int] = set()
        self._moment = moment
        self._chunks = chunks
        self._seconds = seconds
        self._channel = channel

    def reached(self, progress: Progress) -> bool:
        return (
            progress.moment is self._moment
            and progress.connection not in self.passed
            and progress.chunks(self._channel) >= self._chunks
            # A chunk may end between two of the frames in which audio is counted.
            and progress.audio(self._channel) >= self._seconds - 1e-6
            and (self._channel is None or self._channel in progress.seconds)
        )


class Faults:
    """What goes wrong at a `LocalServer`, when, and for how many connections.

    Faults can be added and taken back while the server runs. Of those that are due at the same
    moment, the one that was added first happens first. A fault happens between two messages of
    the client, when everything that follows from the earlier one was sent.

    Example:
        >>> from speechmatics_sync.local import CountedRecognizer, Drop, Faults, LocalServer, Refuse
        >>> faults = Faults()
        >>> faults.add(Drop(), after_chunks=10)
        >>> faults.add(Refuse(503, retry_after=1), skip=1, times=2)
        >>> with LocalServer(recognizer=CountedRecognizer(), faults=faults) as server:
        ...     url = server.url  # for the application that is tested
        >>> faults.clear()
        >>> faults.happened
        ()
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards all of this
        self._planned: list[_Planned] = []
        self._happened: list[Happened] = []
        self._connections = 0

    def __repr__(self) -> str:
        return f"Faults(pending={list(self.pending)!r}, happened={list(self.happened)!r})"

    def add(
        self,
        fault: Fault,
        *,
        at: Union[Moment, str, None] = None,
        after_chunks: int = 0,
        after_seconds: float = 0.0,
        channel: Optional[str] = None,
        times: Optional[int] = 1,
        skip: int = 0,
        when: Optional[Callable[[SessionRecord], bool]] = None,
    ) -> None:
        """Have a fault happen to the next connection that comes so far, or to one that is there.

        Args:
            fault: What is to happen.
            at: When: a `Moment` or its value. By default ``"handshake"`` for `Refuse` and
                ``"audio"``, as soon as the session has started, for all others.
            after_chunks: With ``"audio"``: not before so many chunks were received, of all
                channels or of `channel`.
            after_seconds: With ``"audio"``: not before the chunk in which so many seconds of
                audio were received, of the channel that is furthest on or of `channel`.
            channel: The channel whose audio counts, and which the session must have.
            times: To how many connections it happens, once to each; None for every one until
                `clear`.
            skip: How many connections that come so far are spared first.
            when: A condition beside all that: called with what the server saw of the connection,
                in the session's thread, at every message and some 50 times a second between them.

        Raises:
            ConfigurationError: If a value is not possible, or the fault is not at that moment.
        """
        if not isinstance(fault, Fault) or type(fault) is Fault:
            raise _refused("Faults.add", "fault", fault, "a fault such as Drop()")
        moment = self._moment(fault, at)
        _whole("Faults.add", "after_chunks", after_chunks)
        _seconds("Faults.add", "after_seconds", after_seconds)
        if moment is not Moment.AUDIO and (after_chunks or after_seconds or channel is not None):
            raise _refused(
                "Faults.add",
                "at",
                moment.value,
                "'audio' with after_chunks, after_seconds, channel",
            )
        if channel is not None:
            _text("Faults.add", "channel", channel, empty=False)
        if times is not None:
            _whole("Faults.add", "times", times, 1)
        _whole("Faults.add", "skip", skip)
        if when is not None and not callable(when):
            raise _refused("Faults.add", "when", when, "a callable, or None")
        planned = _Planned(fault, moment, after_chunks, after_seconds, channel, times, skip, when)
        with self._changed:
            self._planned.append(planned)

    @staticmethod
    def _moment(fault: Fault, at: Union[Moment, str, None]) -> Moment:
        if at is None:
            return fault.default
        possible: list[Moment] = [moment for moment in Moment if moment is not Moment.HANDSHAKE]
        if isinstance(fault, Refuse):
            possible = [Moment.HANDSHAKE]
        elif fault.at_handshake and not (isinstance(fault, Drop) and fault.mid_frame):
            possible.append(Moment.HANDSHAKE)
        _choice("Faults.add", "at", at, tuple(moment.value for moment in possible))
        return Moment(at)

    def clear(self) -> None:
        """Take back what has not happened yet. What lasts, as a silence does, is not ended."""
        with self._changed:
            self._planned.clear()

    @property
    def pending(self) -> tuple[Fault, ...]:
        """The faults that are still to happen, in the order they were added."""
        with self._changed:
            return tuple(planned.fault for planned in self._planned)

    @property
    def happened(self) -> tuple[Happened, ...]:
        """What has happened, in order; also that of connections that are over."""
        with self._changed:
            return tuple(self._happened)

    def wait(self, timeout: Optional[float] = None, *, count: int = 1) -> bool:
        """Wait until faults have happened.

        Args:
            timeout: Seconds to wait at most; None for no limit.
            count: How many, in all.

        Returns:
            Whether so many have happened.
        """
        with self._changed:
            return self._changed.wait_for(lambda: len(self._happened) >= count, timeout)

    def connect(self) -> int:
        """Count one more connection, and return its number. The server calls this."""
        with self._changed:
            self._connections += 1
            return self._connections

    def take(self, progress: Progress) -> Optional[Fault]:
        """Return a fault that is due, which then is no more, or None. The server calls this."""
        with self._changed:
            reached = [planned for planned in self._planned if planned.reached(progress)]
        for planned in reached:
            # Outside the lock, for it is the user's and may well ask this object.
            if planned.when is not None and not planned.when(progress.record):
                continue
            with self._changed:
                if planned not in self._planned or progress.connection in planned.passed:
                    continue  # cleared, or another connection took it
                planned.passed.add(progress.connection)
                if planned.skip:
                    planned.skip -= 1
                    continue
                if planned.left is not None:
                    planned.left -= 1
                    if not planned.left:
                        self._planned.remove(planned)
                return planned.fault
        return None

    def note(self, fault: Fault, progress: Progress) -> None:
        """Tell those who wait that a fault has happened. The server calls this."""
        happened = Happened(fault, progress.connection, progress.moment, progress.chunks(None))
        with self._changed:
            self._happened.append(happened)
            self._changed.notify_all()
