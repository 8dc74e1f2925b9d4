"""What leaves: audio and messages in their order, through the window, to the connection.

What callers ask for changes the protocol and the connection in several steps, which an interrupt
must not cut in two: chunks would be counted and not sent, or sent twice. So each call is shielded.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Callable, Optional, TypeVar, Union

from .._audio.sources import audio_view
from .._concurrency.deadlines import Deadline, interruptible
from .._concurrency.shared_thread import Later
from .._model.config import MidSessionConfig, SpeakerIdentifier
from .._model.typing import Label, Now
from .._protocol.session import Protocol
from .._transport.connection import HIGH_WATER
from ..errors import AudioError, SessionError, TimeoutError
from .state import SessionState

__all__ = ["Outbox"]

_T = TypeVar("_T")

_LOOK_AGAIN = 0.02
"""Seconds after which a source looks whether others that it waits for still have audio."""


class Outbox:
    """What callers and the sender send in one session.

    Args:
        state: The session's.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._wait_for_room = 0
        """Threads that wait until there is room, or something else to do."""

    def send_audio(
        self,
        payload: object,
        timeout: Optional[float],
        *,
        in_handler: bool,
        label: Label = None,
    ) -> None:
        """Take audio of a channel as soon as there is room.

        Raises:
            AudioError: It is not bytes.
            TimeoutError: There was no room within ``timeout``; nothing was taken.
        """
        state = self._state
        state.check_process()
        try:
            audio = bytes(audio_view(payload, state.options.audio_format))
        except AudioError as error:
            raise state.identified(error) from None
        deadline = Deadline(timeout)

        def take() -> None:
            with state.lock, state.inbox.awaiting_answers(in_handler):
                protocol = self._prepared()
                try:
                    while not protocol.has_room(label):
                        protocol.check_open(label)  # nothing will make room in one that has ended
                        if deadline.passed():
                            raise state.identified(
                                TimeoutError(
                                    f"The window of unacknowledged audio stayed full for {timeout} "
                                    "s; nothing of the payload was taken."
                                )
                            )
                        self._wait(deadline.remaining())
                        state.settle()
                    protocol.add_audio(audio, label)
                except SessionError as error:
                    raise self._refusal(error) from None
            self.flush()

        state.threads.shielded(take)

    def take_from_source(
        self,
        chunks: Sequence[bytes],
        position: int,
        due: Optional[float],
        label: Label = None,
        *,
        wait: bool = True,
    ) -> Union[int, Later, None]:
        """Take audio of a source as there is room.

        Args:
            chunks: The audio; none at the end of the source.
            position: Where in the source it lies, in bytes.
            due: The moment before which it does not leave: on an absolute schedule, which does not
                drift as a sleep for each chunk would.
            label: Its channel.
            wait: Whether to wait until there is room for all. Without it some may be taken.

        Returns:
            The position of what is wanted next, which may be audio that was taken before; None
            if no more is wanted; or when to try again.
        """
        state = self._state
        ended = not chunks
        left = list(chunks)
        begun = position
        while left or ended:
            with state.lock:
                wanted, room = self._wanted(left, position, due, label)
                while wait and isinstance(wanted, Later):
                    self._wait(wanted.seconds)
                    wanted, room = self._wanted(left, position, due, label)
                if isinstance(wanted, Later) and position != begun:
                    return position  # there was room for some of it
                if wanted != position:
                    return wanted
                # All that there is room for under one lock and in one write, which is the
                # better part of what a chunk costs.
                protocol = state.protocol
                for chunk in left[:room]:
                    protocol.refill(chunk, label)
                    position += len(chunk)
                del left[:room]
                self._hand_on()
                if label is not None:
                    state.room.notify_all()
                connection = state.connection
            if connection is not None:
                connection.flush()
        return position

    def _wanted(
        self, chunks: Sequence[bytes], position: int, due: Optional[float], label: Label
    ) -> tuple[Union[int, Later, None], int]:
        """Return what is wanted of a source that has come to a position. Needs the lock.

        Returns:
            What `take_from_source` returns; and how many of the chunks there is room for.
        """
        state = self._state
        protocol = state.protocol
        channel = protocol.channels[label]
        if state.over:
            return None, 0
        now = time.monotonic()
        if channel.rereadable and channel.wanted != position:
            return channel.wanted, 0
        if not chunks or not protocol.takes_audio(label):
            return (Later(None) if channel.rereadable else None), 0
        if due is not None and now < due:
            return Later(due - now), 0
        room = 0 if protocol.over else protocol.room_for(chunks, label, now)
        if not room:
            # A source that is waited for becomes one that gives nothing without a sign.
            return Later(_LOOK_AGAIN if label is not None else None), 0
        return position, room

    def _wait(self, timeout: Optional[float]) -> None:
        """Wait until there may be room, or something else to do. Needs the lock."""
        self._wait_for_room += 1
        try:
            self._state.room.wait(timeout)
        finally:
            self._wait_for_room -= 1

    def send_message(self, message: dict[str, Any]) -> None:
        """Send a message of the user's, in order with the audio."""
        self._state.check_process()
        self._change(lambda protocol: protocol.add_message(message))

    def configure(self, changes: MidSessionConfig) -> None:
        """Change the configuration of the running session."""
        self._state.check_process()
        self._change(lambda protocol: protocol.configure(changes))

    def force_end_of_utterance(
        self, timestamp: Union[float, Now, None], label: Label = None
    ) -> None:
        """Ask for finals now: at ``timestamp`` in seconds, NOW, or without saying when."""
        self._state.check_process()

        def force(protocol: Protocol) -> None:
            at = protocol.seconds_taken
            if label is not None:
                channel = protocol.channels[label]
                at = channel.seconds(channel.bytes_taken)
            if at is not None and not isinstance(timestamp, Now):
                at = timestamp
            protocol.force_end_of_utterance(at, label)

        self._change(force)

    def get_speakers(self, timeout: Optional[float]) -> list[SpeakerIdentifier]:
        """Ask for the speakers heard so far, and wait for the answer.

        Raises:
            TimeoutError: None came within ``timeout``.
        """
        state = self._state
        state.check_process()
        deadline = Deadline(timeout)
        question = self._change(lambda protocol: protocol.ask_speakers())
        with state.lock, state.inbox.awaiting_answers():
            while question.answer is None:
                if state.over:
                    try:
                        state.protocol.check_open()
                    except SessionError as error:
                        raise self._refusal(error) from None
                if deadline.passed():
                    raise state.identified(
                        TimeoutError(f"GetSpeakers was not answered within timeout ({timeout} s).")
                    )
                state.progressed.wait(interruptible(deadline.remaining()))
            return question.answer

    def end_of_stream(self) -> None:
        """Say that there is no more audio, in any channel."""
        self._end(self._state.options.labels or (None,))

    def end_of_channel(self, label: Label) -> None:
        """Say that there is no more audio in one channel."""
        self._end((label,))

    def flush(self) -> None:
        """Hand on what may be sent now, and move what the network takes at once."""
        self.hand_on()
        connection = self._state.connection
        if connection is not None:
            connection.flush()

    def hand_on(self) -> None:
        """Hand what may be sent now to the connection, and say so if there is room again."""
        state = self._state
        if not (self._wait_for_room or state.protocol.waits):
            return
        with state.lock:
            self._hand_on()
            if not self._wait_for_room:
                return
            if state.options.labels:
                state.room.notify_all()
            elif state.protocol.has_room():
                state.room.notify()

    def _hand_on(self) -> None:
        """Hand what may be sent now to the connection. Needs the lock."""
        state = self._state
        connection, protocol = state.connection, state.protocol
        while connection is not None and protocol.waits and connection.backlog < HIGH_WATER:
            outgoing = protocol.next_to_send()
            if outgoing is None:
                return
            connection.send(outgoing.payload)
            if outgoing.number:
                state.meter.sent(outgoing.label, outgoing.number)

    def _end(self, labels: Iterable[Label]) -> None:
        state = self._state
        state.check_process()

        def end() -> dict[Label, int]:
            with state.lock:
                state.settle()
                if state.started_at is None:
                    raise state.identified(
                        SessionError("The session has not started: there is no audio to end.")
                    )
                dropped = {label: state.protocol.end_audio(label) for label in labels}
                state.room.notify_all()
            self.flush()
            return dropped

        dropped = state.threads.shielded(end)
        for label, size in dropped.items():
            if size:
                where = "" if label is None else f" of the channel {label!r}"
                state.log.warning(
                    "%d bytes of half a sample at the very end%s were dropped", size, where
                )

    def _change(self, change: Callable[[Protocol], _T]) -> _T:
        """Tell the protocol something, and send what may be sent then."""

        def call() -> _T:
            with self._state.lock:
                try:
                    result = change(self._prepared())
                except SessionError as error:
                    raise self._refusal(error) from None
            self.flush()
            return result

        return self._state.threads.shielded(call)

    def _prepared(self) -> Protocol:
        """Return the protocol, which itself refuses what cannot be sent now. Needs the lock.

        Raises:
            BaseException: What ended the session.
            SessionError: The session has not started.
        """
        state = self._state
        state.settle()
        if not state.prepared:
            raise state.identified(SessionError("The session has not started."))
        return state.protocol

    def _refusal(self, error: SessionError) -> SessionError:
        """Return the error to raise when the protocol refuses to send."""
        self._state.raise_failure()  # a signal's handler may have closed the session just now
        identified: SessionError = self._state.identified(error)
        return identified
