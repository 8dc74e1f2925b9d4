"""What a session sends: audio and messages in order, as far as the window allows.

A call changes the protocol and the connection in several steps. A KeyboardInterrupt between two of
them would leave chunks counted but not sent, or send them twice: so each call is shielded from it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Callable, Optional, TypeVar, Union

from .._audio.buffers import audio_view
from .._audio.headers import PushedAudio
from .._concurrency.deadlines import Deadline, Later, interruptible
from .._concurrency.exhaustion import no_memory
from .._concurrency.threads import Threads
from .._model.audio_format import AudioFormat
from .._model.speakers import SpeakerIdentifier
from .._model.transcription_config import MidSessionConfig
from .._model.typing import Label, Timestamp
from .._protocol.leg import State
from .._protocol.session import Protocol
from .._transport.connection import HIGH_WATER, Connection
from ..errors import AudioError, SessionError, SpeechmaticsError, TimeoutError
from .identity import Identity
from .inbox import Inbox
from .left_audio import LeftAudio
from .meter import Meter
from .options import SessionOptions
from .state import Lifecycle, SessionState

__all__ = ["Outbox"]

_T = TypeVar("_T")

_NONE: frozenset[Label] = frozenset()

_OTHERS_INTERVAL = 0.02
"""How often a source of one channel checks whether the others still have audio, in seconds."""


class Outbox:
    """Takes audio and messages from callers and senders, and sends them over the connection.

    Args:
        options: What the caller wants of the session.
        life: The session's state.
        identity: Which session it is.
        inbox: Goes on reading while a handler waits for an answer.
        meter: Times chunks.
        threads: Shield calls from interrupts.
        fail: Ends the session with an error.
    """

    def __init__(
        self,
        options: SessionOptions,
        life: Lifecycle,
        identity: Identity,
        inbox: Inbox,
        meter: Meter,
        threads: Threads,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._options = options
        self._life = life
        self._identity = identity
        self._inbox = inbox
        self._meter = meter
        self._threads = threads
        self._fail = fail
        self._process = os.getpid()

        # Set once, by `prepare`; any thread may read them. Calls on the protocol need the lock.
        self.prepared = False
        self.protocol: Protocol

        # The connection that gets the audio now. Set by the receiver with the lock held, and by
        # `close` in a forked process. Any thread may read it without: it may then be closed.
        self.connection: Optional[Connection] = None

        # How long the sources are, where known. Each sender writes the entry of its channel.
        self.source_seconds: dict[Label, Optional[float]] = {}

        # Guarded by the lock: how many threads wait for room; what was pushed, by channel.
        self._waiting_for_room = 0
        self._pushed: dict[Label, PushedAudio] = {}
        self._plain: frozenset[Label] = _NONE
        """The channels of which all that is still to be pushed is audio."""

        # Audio that the main thread has left to any other. Added to without the lock.
        self._left = LeftAudio()

    def prepare(self, protocol: Protocol) -> None:
        """Set the protocol, which there is once the audio format is known. Needs the lock."""
        self.protocol = protocol
        self.prepared = True

    def send_at_once(self, payload: object, label: Label = None) -> bool:
        """Send audio in the steady state of a live session; return False if it is not in that.

        In the main thread an interrupt may come between any two steps. There a single step leaves
        the audio to another thread, and nothing waits for it to be sent.
        """
        connection, life = self.connection, self._life
        if (
            connection is None
            or life.state is not SessionState.RUNNING
            or type(payload) is not bytes
            or label not in self._plain
            or os.getpid() != self._process
        ):
            return False
        if threading.current_thread() is threading.main_thread():
            if not self.protocol.sends_at_once(len(payload), label, len(self._left)):
                return False
            self._left.append((payload, label))
            connection = self.connection  # the one above may be closed by now
            if connection is not None:
                connection.wake()
            if self.protocol.channels[label].ended:  # by another thread, since the check above
                self._threads.shielded(self.flush)
                return not self._left.forget_late((payload, label))
            return True
        try:
            with life.lock:
                sent = self._send_at_once(payload, label)
        except MemoryError as error:
            raise self._cut_in_two(error) from None
        if sent:
            connection.flush()
        return sent

    def _send_at_once(self, chunk: bytes, label: Label) -> bool:
        """Pass a chunk on if nothing is in its way; return whether that was so. Needs the lock."""
        connection, protocol = self.connection, self.protocol
        if (
            connection is None
            or self._left
            or self._life.state is not SessionState.RUNNING
            or connection.backlog >= HIGH_WATER
            or not protocol.sends_at_once(len(chunk), label)
        ):
            return False
        payload, number = protocol.send_at_once(chunk, label)
        self._meter.sent(protocol, label, number)
        connection.send(payload)
        return True

    def current_protocol(self) -> Optional[Protocol]:
        """Return the protocol, with all audio that was sent; None before it is there."""
        if self._left and os.getpid() == self._process:
            self._threads.shielded(self.flush)
        return self.protocol if self.prepared else None

    def _take_what_is_left(self) -> None:
        """Take audio that the main thread left; the pump was woken to write it. Needs the lock."""
        if self._left:
            self._left.pass_to(self.protocol)
            self._pass_on()

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
            AudioError: It is not bytes, or not of the session's audio format.
            ConnectionError: There is no memory left; unless for a copy of it, the session is ended.
            TimeoutError: There was no room within ``timeout``; nothing was taken.
        """
        identity = self._identity
        identity.check_process()
        audio_format = self._options.audio_format or AudioFormat()
        try:
            audio = bytes(audio_view(payload, audio_format))
        except AudioError as error:
            raise identity.attach_to(error) from None
        except MemoryError as error:
            raise identity.attach_to(no_memory(error)) from None
        deadline = Deadline(timeout)

        def take() -> None:
            with self._life.lock, self._inbox.awaiting_answers(in_handler):
                try:
                    protocol = self._started_protocol()
                    self._take_what_is_left()
                    while not protocol.has_room(label):
                        protocol.check_open(label)  # after the end there is never room again
                        if deadline.passed():
                            said = f"The window of unacknowledged audio stayed full for {timeout} s"
                            raise identity.attach_to(
                                TimeoutError(
                                    f"{said}; nothing of the payload was taken. Send it later."
                                )
                            )
                        self._wait(deadline.remaining())
                        self._raise_failure()
                    pushed = self._pushed.get(label) or PushedAudio(audio_format, identity.log)
                    self._pushed[label] = pushed
                    protocol.add_audio(pushed.samples_of(audio), label)
                    if pushed.is_plain:
                        self._plain |= {label}
                except AudioError as error:
                    raise identity.attach_to(error) from None
                except SessionError as error:
                    raise self._refusal(error) from None
            self.flush()

        self._make(take)

    def take_from_source(
        self,
        chunks: Sequence[bytes],
        position: int,
        due: Optional[float],
        label: Label = None,
        *,
        wait: bool = True,
    ) -> Union[int, Later, None]:
        """Take audio of a source as far as there is room.

        Args:
            chunks: The audio; empty at the end of the source.
            position: The position of its first byte in the source.
            due: When to send it at the earliest, by the monotonic clock. An absolute schedule does
                not drift, as a sleep after each chunk would.
            label: Its channel.
            wait: Whether to wait until there is room for all of it.

        Returns:
            The position to read from next, an earlier one for audio that is to be replayed;
            None if no more is wanted; or when to try again.
        """
        ended = not chunks
        left = list(chunks)
        begun = position
        while left or ended:
            with self._life.lock:
                if due is None or time.monotonic() >= due:
                    position += self._send_what_can_be(left, position, label)
                    if not (left or ended):
                        return position
                wanted, room = self._wanted(left, position, due, label)
                while wait and isinstance(wanted, Later):
                    self._wait(wanted.seconds)
                    wanted, room = self._wanted(left, position, due, label)
                if isinstance(wanted, Later) and position != begun:
                    return position  # some of it was taken
                if wanted != position:
                    return wanted
                # All that there is room for: the lock and the write cost as much as the rest.
                protocol = self.protocol
                for chunk in left[:room]:
                    protocol.refill(chunk, label)
                    position += len(chunk)
                del left[:room]
                self._pass_on()
                if label is not None:
                    self._life.progressed.notify_all()
                connection = self.connection
            if connection is not None:
                connection.flush()
        return position

    def _send_what_can_be(self, chunks: list[bytes], position: int, label: Label) -> int:
        """Take and send the first chunks of a list, if nothing is in their way; return their bytes.

        Needs the lock.
        """
        channels = self.protocol.channels
        if len(channels) > 1 or channels[label].bytes_filled != position:
            return 0  # one of several sources may have to wait for another
        size = 0
        while chunks and self._send_at_once(chunks[0], label):
            size += len(chunks.pop(0))
        if size and self.connection is not None:
            self.connection.flush()
        return size

    def _wanted(
        self, chunks: Sequence[bytes], position: int, due: Optional[float], label: Label
    ) -> tuple[Union[int, Later, None], int]:
        """Return the result of `take_from_source`, or its room in chunks. Needs the lock."""
        protocol = self.protocol
        channel = protocol.channels[label]
        if self._life.state.over:
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
            # No event tells that a source this one waits for has become slow: poll.
            return Later(_OTHERS_INTERVAL if label is not None else None), 0
        return position, room

    def _wait(self, timeout: Optional[float]) -> None:
        """Wait for room. Needs the lock."""
        self._waiting_for_room += 1
        try:
            self._life.progressed.wait(timeout)
        finally:
            self._waiting_for_room -= 1

    def send_message(self, message: Mapping[str, object]) -> None:
        """Send a user's own message, in order with the audio."""
        self._identity.check_process()
        self._change(lambda protocol: protocol.add_message(message))

    def configure(self, changes: MidSessionConfig) -> None:
        """Change the configuration of the running session."""
        self._identity.check_process()
        self._change(lambda protocol: protocol.configure(changes))

    def force_end_of_utterance(self, timestamp: Timestamp, label: Label = None) -> None:
        """Ask for finals up to ``timestamp`` (seconds), up to the audio sent, or of all."""
        self._identity.check_process()

        def force(protocol: Protocol) -> None:
            at = protocol.seconds_taken
            if label is not None:
                channel = protocol.channels[label]
                at = channel.seconds(channel.bytes_taken)
            if at is not None and timestamp != "now":
                at = timestamp
            protocol.force_end_of_utterance(at, label)

        self._change(force)

    def get_speakers(self, timeout: Optional[float]) -> list[SpeakerIdentifier]:
        """Ask for the speakers heard so far, and wait for the answer.

        Raises:
            TimeoutError: None came within ``timeout``.
        """
        life, identity = self._life, self._identity
        identity.check_process()
        deadline = Deadline(timeout)
        question = self._change(lambda protocol: protocol.ask_speakers())
        with life.lock, self._inbox.awaiting_answers():
            while question.answer is None:
                if life.state.over:
                    try:
                        self.protocol.check_open()
                    except SessionError as error:
                        raise self._refusal(error) from None
                life.wait_for_progress(deadline, "GetSpeakers was not answered")
            return question.answer

    def end_of_stream(self) -> None:
        """End the audio of every channel."""
        self._end(self._options.channels)

    def end_of_channel(self, label: Label) -> None:
        """End the audio of one channel."""
        self._end((label,))

    def flush(self) -> None:
        """Send what may be sent now, as far as the network takes it at once."""
        self.pass_on()
        connection = self.connection
        if connection is not None:
            connection.flush()

    @property
    def has_work(self) -> bool:
        """Whether `pass_on` may have something to do."""
        return bool(self._waiting_for_room or self._left or self.protocol.waits())

    def pass_on(self) -> None:
        """Pass what may be sent now to the connection, and say if there is room again."""
        if not self.has_work:
            return
        with self._life.lock:
            self._take_what_is_left()
            self._pass_on()
            if not self._waiting_for_room:
                return
            if self._options.labels or self.protocol.has_room():
                self._life.progressed.notify_all()

    def _pass_on(self) -> None:
        """Pass what may be sent now to the connection. Needs the lock."""
        connection, protocol = self.connection, self.protocol
        while connection is not None and protocol.waits() and connection.backlog < HIGH_WATER:
            outgoing = protocol.next_to_send()
            if outgoing is None:
                return
            connection.send(outgoing.payload)
            if outgoing.number:
                self._meter.sent(protocol, outgoing.label, outgoing.number)

    def _end(self, labels: Iterable[Label]) -> None:
        identity = self._identity
        identity.check_process()

        def end() -> dict[Label, int]:
            with self._life.lock:
                self._raise_failure()
                if self._life.started_at is None:
                    raise identity.attach_to(
                        SessionError("The session has not started: send its audio first.")
                    )
                self._take_what_is_left()
                dropped = {label: self._end_audio(label) for label in labels}
                self._life.progressed.notify_all()
            self.flush()
            return dropped

        dropped = self._make(end)
        for label, size in dropped.items():
            if size:
                where = "" if label is None else f" of the channel {label!r}"
                identity.log.warning(
                    "%d bytes of half a sample at the very end%s were dropped", size, where
                )

    def _end_audio(self, label: Label) -> int:
        pushed = self._pushed.pop(label, None)
        try:
            if pushed is not None and (held := pushed.end()):
                self.protocol.add_audio(held, label)
        except AudioError as error:
            raise self._identity.attach_to(error) from None
        return self.protocol.end_audio(label)

    def _change(self, change: Callable[[Protocol], _T]) -> _T:
        """Make a change to the protocol, and send what it brings about."""

        def call() -> _T:
            with self._life.lock:
                try:
                    protocol = self._started_protocol()
                    self._take_what_is_left()
                    result = change(protocol)
                except SessionError as error:
                    raise self._refusal(error) from None
            self.flush()
            return result

        return self._make(call)

    def _make(self, call: Callable[[], _T]) -> _T:
        """Make a call that no signal can cut in two; end the session if a lack of memory does."""
        try:
            return self._threads.shielded(call)
        except MemoryError as error:
            raise self._cut_in_two(error) from None

    def _cut_in_two(self, error: MemoryError) -> SpeechmaticsError:
        """End the session, which a lack of memory left half changed; return the error to raise."""
        failure = no_memory(error)
        self._fail(failure)
        identified: SpeechmaticsError = self._identity.attach_to(failure)
        return identified

    def _started_protocol(self) -> Protocol:
        """Return the protocol, which itself refuses what cannot be sent now. Needs the lock.

        Raises:
            BaseException: What ended the session.
            SessionError: The session has not started.
        """
        self._raise_failure()
        if not self.prepared:
            raise SessionError(
                "The session has not started: wait for start_session or RecognitionStarted."
            )
        return self.protocol

    def _refusal(self, error: SessionError) -> SessionError:
        """Return the error to raise when the protocol refuses to send. Needs the lock."""
        self._life.raise_failure()  # a signal handler may have closed the session just now
        identified: SessionError = self._identity.attach_to(error)
        return identified

    def _raise_failure(self) -> None:
        """Raise what ended the session, if anything. Needs the lock.

        After an Error this waits until the session is over: the close frame that follows has the
        code of the error.
        """
        life = self._life
        while not life.state.over and self.prepared and self.protocol.state is State.FAILED:
            life.progressed.wait(interruptible(None))
        life.raise_failure()
