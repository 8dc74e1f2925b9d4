"""Decides which fault is due, from the progress of each connection.

Progress is measured in messages and audio, never in time, so that tests are repeatable. Nothing
here uses a socket.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable, Optional, Union

from ._faults import (
    Fault,
    Moment,
    check_choice,
    check_text,
    checked_integer,
    checked_seconds,
    not_allowed,
)
from ._record import SessionRecord

__all__ = ["Faults", "Happened", "Progress"]


@dataclass(frozen=True)
class Happened:
    """A fault that has happened.

    Args:
        fault: The fault.
        connection: The number of the connection, from 1 in the order of the handshakes.
        moment: When it happened.
        chunks: How many chunks of audio the server had received on that connection.

    Example:
        >>> faults = Faults()
        >>> for happened in faults.happened:
        ...     print(happened.fault, happened.connection, happened.moment, happened.chunks)
    """

    fault: Fault
    connection: int
    moment: Moment
    chunks: int


@dataclass(frozen=True)
class Progress:
    """The progress of a connection.

    Args:
        connection: Its number, from 1.
        moment: The moment it has reached.
        record: The server's record of it.
        seconds: Seconds of audio received, by channel; the only label is None in a session
            without channels.
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
    """A fault, when it is due, and how many more times."""

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
            # Seconds are computed from samples, so rounding may leave them slightly short.
            and progress.audio(self._channel) >= self._seconds - 1e-6
            and (self._channel is None or self._channel in progress.seconds)
        )


class Faults:
    """The faults of a `LocalServer`: which happen, when, and to how many connections.

    Faults can be added and removed while the server runs. Faults due at the same moment happen in
    the order they were added. A fault happens between two messages of the client, after
    everything that follows from the earlier one was sent.

    Example:
        >>> from speechmatics_sync.local import CountedRecognizer, Drop, Faults, LocalServer, Refuse
        >>> faults = Faults()
        >>> faults.add(Drop(), after_chunks=10)
        >>> faults.add(Refuse(503, retry_after=1), skip=1, times=2)
        >>> with LocalServer(recognizer=CountedRecognizer(), faults=faults) as server:
        ...     url = server.url  # for the application under test
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
        """Add a fault, which happens to the next connections to get this far, open ones included.

        Args:
            fault: What happens.
            at: When it happens: a `Moment` or its value. By default ``"handshake"`` for `Refuse`,
                and for all others ``"audio"``, as soon as the session has started.
            after_chunks: With ``"audio"``: wait until this many chunks were received, of all
                channels or of ``channel``.
            after_seconds: With ``"audio"``: wait until this many seconds of audio were received,
                of the channel with the most audio or of ``channel``.
            channel: The channel whose audio counts. Sessions without it are not affected.
            times: How many connections it happens to, once each; None for all until `clear`.
            skip: How many connections to let pass first.
            when: One more condition: called with the record of the session, in the session's
                thread, at every message and some 50 times a second in between.

        Raises:
            ConfigurationError: If a value is not valid, or the fault cannot happen at that moment.
        """
        if not isinstance(fault, Fault) or type(fault) is Fault:
            raise not_allowed("Faults.add", "fault", fault, "a fault such as Drop()")
        moment = self._moment(fault, at)
        after_chunks = checked_integer("Faults.add", "after_chunks", after_chunks)
        after_seconds = checked_seconds("Faults.add", "after_seconds", after_seconds)
        if moment is not Moment.AUDIO and (after_chunks or after_seconds or channel is not None):
            raise not_allowed(
                "Faults.add",
                "at",
                moment.value,
                "'audio', with after_chunks, after_seconds, channel",
            )
        if channel is not None:
            check_text("Faults.add", "channel", channel, empty=False)
        if times is not None:
            times = checked_integer("Faults.add", "times", times, 1)
        skip = checked_integer("Faults.add", "skip", skip)
        if when is not None and not callable(when):
            raise not_allowed("Faults.add", "when", when, "a callable, or None")
        planned = _Planned(fault, moment, after_chunks, after_seconds, channel, times, skip, when)
        with self._changed:
            self._planned.append(planned)

    @staticmethod
    def _moment(fault: Fault, at: Union[Moment, str, None]) -> Moment:
        if at is None:
            return fault._default
        possible = tuple(moment.value for moment in fault.moments())
        check_choice(f"Faults.add: {type(fault).__name__}", "at", at, possible)
        return Moment(at)

    def clear(self) -> None:
        """Remove the faults that have not happened yet. One that lasts, as `Silence`, goes on."""
        with self._changed:
            self._planned.clear()

    @property
    def pending(self) -> tuple[Fault, ...]:
        """The faults that have not happened yet, in the order they were added."""
        with self._changed:
            return tuple(planned.fault for planned in self._planned)

    @property
    def happened(self) -> tuple[Happened, ...]:
        """The faults that have happened, in order, to all connections.

        A fault is in here before a client can notice it.
        """
        with self._changed:
            return tuple(self._happened)

    def wait(self, timeout: Optional[float] = None, *, count: int = 1) -> bool:
        """Wait until this many faults have happened.

        Args:
            timeout: Seconds to wait at most; None for no limit.
            count: How many, counted from the start.

        Returns:
            Whether that many have happened.
        """
        with self._changed:
            return self._changed.wait_for(lambda: len(self._happened) >= count, timeout)

    def _connect(self) -> int:
        """Count one more connection, and return its number. The server calls this."""
        with self._changed:
            self._connections += 1
            return self._connections

    def _take(self, progress: Progress) -> Optional[Fault]:
        """Return a fault that is due and count it off, or None. The server calls this."""
        with self._changed:
            reached = [planned for planned in self._planned if planned.reached(progress)]
        for planned in reached:
            # Outside the lock: it is the user's code, and may use this object.
            if planned.when is not None and not planned.when(progress.record):
                continue
            with self._changed:
                if planned not in self._planned or progress.connection in planned.passed:
                    continue  # cleared, or taken by another connection
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

    def _note(self, fault: Fault, progress: Progress) -> None:
        """Note that a fault has happened, and wake `wait`. The server calls this."""
        happened = Happened(fault, progress.connection, progress.moment, progress.chunks(None))
        with self._changed:
            self._happened.append(happened)
            self._changed.notify_all()
