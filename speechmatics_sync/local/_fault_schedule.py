"""When which fault happens: told how far connections have come, it answers what is due.

Nothing here knows a socket. What decides is the audio and the messages of the session, never a
clock.
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
    check_integer,
    check_seconds,
    check_text,
    not_allowed,
)
from ._record import SessionRecord

__all__ = ["Faults", "Happened", "Progress"]


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
            raise not_allowed("Faults.add", "fault", fault, "a fault such as Drop()")
        moment = self._moment(fault, at)
        check_integer("Faults.add", "after_chunks", after_chunks)
        check_seconds("Faults.add", "after_seconds", after_seconds)
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
            check_integer("Faults.add", "times", times, 1)
        check_integer("Faults.add", "skip", skip)
        if when is not None and not callable(when):
            raise not_allowed("Faults.add", "when", when, "a callable, or None")
        planned = _Planned(fault, moment, after_chunks, after_seconds, channel, times, skip, when)
        with self._changed:
            self._planned.append(planned)

    @staticmethod
    def _moment(fault: Fault, at: Union[Moment, str, None]) -> Moment:
        if at is None:
            return fault.default
        possible = tuple(moment.value for moment in fault.moments())
        check_choice(f"Faults.add: {type(fault).__name__}", "at", at, possible)
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
        """What has happened, in order, to every connection.

        What a client can see of a fault is in here before the client sees it.
        """
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
