"""What the threads of one session share: its protocol, its connection, and how it ended."""

from __future__ import annotations

import os
import threading
import time
import uuid
from types import TracebackType
from typing import Any, Callable, Optional

from .._auth.endpoint import request_id_in
from .._concurrency.deadlines import Deadline, interruptible
from .._concurrency.threads import Threads
from .._logs import SessionLogger
from .._model.config import (
    AudioFormat,
    ConnectionConfig,
    ReconnectPolicy,
)
from .._model.messages import ServerMessageType, SessionEvent
from .._model.results import LanguagePackInfo
from .._model.transcript import Transcript
from .._model.typing import Label, Message
from .._protocol.events import Started
from .._protocol.leg import State
from .._protocol.requests import Recognition
from .._protocol.session import Protocol
from .._transport.connection import Connection
from ..errors import ConfigurationError, SessionError, SpeechmaticsError, TimeoutError
from .connecting import ConnectAttempt
from .inbox import Inbox
from .meter import Meter
from .options import SessionOptions
from .reconnecting import Backoff

__all__ = ["SessionState"]

_WARNING = ServerMessageType.WARNING.value
_ERROR = ServerMessageType.ERROR.value

_LOOK_AGAIN = 0.25
"""Seconds after which whoever waits to connect again looks whether anybody still wants it."""


class SessionState:
    """The state of one session. `lock` guards all of it, the protocol's and the inbox's too.

    The lock is reentrant, for the handler of a signal may close the session in a thread that
    holds it.

    Args:
        options: What the caller wants.
        config: Limits of the connection.
        listens: Whether anybody wants a message of this name.
        policy: What to do when the connection is lost; None gives up at once.
    """

    def __init__(
        self,
        options: SessionOptions,
        config: ConnectionConfig,
        listens: Callable[[str], bool],
        policy: Optional[ReconnectPolicy],
    ) -> None:
        self.request_id = request_id_in(options.ws_headers) or str(uuid.uuid4())
        self.session_id: Optional[str] = None
        self.language_pack_info: Optional[LanguagePackInfo] = None
        self.transcript = Transcript(transcription_config=options.transcription_config.to_dict())
        self.source_seconds: dict[Label, Optional[float]] = {}
        """How long the sources are, where that can be known."""
        self.options = options
        self.config = config
        self.policy = policy
        self.backoff = Backoff(policy)
        self.listens = listens
        self.log = SessionLogger(self.request_id)
        self.threads = Threads(self.request_id[:8])
        self.meter = Meter()
        self.lock = threading.RLock()
        self.room = threading.Condition(self.lock)
        """Is notified when there may be room for audio."""
        self.progressed = threading.Condition(self.lock)
        """Is notified when the session has started or ended, or a question was answered."""
        self.inbox = Inbox(self.lock, config.max_queue, self.wake, self.at_rest)
        self.attempt: Optional[ConnectAttempt] = None
        self.connection: Optional[Connection] = None
        self.abandoned = False
        self.pushed = True
        """Whether the user sends the audio, rather than sources giving it."""
        self.started_at: Optional[float] = None
        """When RecognitionStarted came: the beginning of the audio, for sources that are paced."""
        self._outage: Optional[str] = None
        """Why there is no connection that handlers know of; None while there is one."""
        self.over = False
        self.handled = False
        """Whether handlers have been given everything that a session that ended well said."""
        self._when_over: list[Callable[[], None]] = []
        self.failure: Optional[BaseException] = None
        self._failed_at: Optional[TracebackType] = None
        self._protocol: Optional[Protocol] = None
        self._formats: dict[Label, Optional[AudioFormat]] = {}
        self._process = os.getpid()

    # -- starting -------------------------------------------------------------------------------

    @property
    def protocol(self) -> Protocol:
        """The protocol's state, once the audio format is known."""
        if self._protocol is None:
            raise RuntimeError("the session has no protocol before its audio format is known")
        return self._protocol

    @property
    def prepared(self) -> bool:
        """Whether the audio format is known."""
        return self._protocol is not None

    @property
    def stage(self) -> State:
        """Where the session stands."""
        return State.CONNECTING if self._protocol is None else self._protocol.state

    def prepare(self, audio_format: AudioFormat) -> None:
        """Say what the audio is: the session can be started."""
        recognition = Recognition(
            self.options.transcription_config,
            audio_format,
            self.options.translation_config,
            self.options.audio_events_config,
        )
        with self.lock:
            self._protocol = Protocol(
                recognition,
                max_unacked_chunks=self.config.max_unacked_chunks,
                labels=self.options.labels,
                pushed=self.pushed,
                replay_seconds=None if self.policy is None else self.policy.replay_seconds,
            )
            self.progressed.notify_all()

    def propose(self, audio_format: Optional[AudioFormat], label: Label) -> None:
        """Say what the audio of a source is, None if it has none; once all have, prepare.

        Raises:
            ConfigurationError: They differ.
        """
        with self.lock:
            self._formats[label] = audio_format
            if not self.all_proposed:
                return
            found_by_label = {name: self._formats[name] for name in self.options.labels or (None,)}
            known = {name: found for name, found in found_by_label.items() if found is not None}
            if not known:
                return
            first = next(iter(known.values()))
        if any(found != first for found in known.values()):
            each = ", ".join(f"{name!r} is {_described(found)}" for name, found in known.items())
            raise ConfigurationError(
                f"All channels share one audio format, and the sources differ: {each}."
            )
        self.prepare(first)

    @property
    def all_proposed(self) -> bool:
        """Whether every source has been looked at."""
        return len(self._formats) == len(self.options.labels or (None,))

    def wait_until_prepared(self) -> bool:
        """Block until the audio format is known; False if the session ended before."""
        with self.lock:
            while not self.prepared and not self.over:
                self.progressed.wait()
            return not self.over

    def wait_until_running(self) -> bool:
        """Block until recognition has started; False if the session ended in its place."""
        with self.lock:
            while self.started_at is None and not self.over:
                self.progressed.wait()
            return not self.over

    def wait_for_progress(self, deadline: Deadline, missing: str) -> None:
        """Wait until the session has come further. Needs the lock.

        Args:
            deadline: Limits the wait.
            missing: What is waited for and has not happened, in words.

        Raises:
            TimeoutError: ``deadline`` had passed.
        """
        if deadline.passed():
            raise self.identified(TimeoutError(f"{missing} within timeout ({deadline.seconds} s)."))
        self.progressed.wait(interruptible(deadline.remaining()))

    @property
    def started(self) -> bool:
        """Whether recognition has ever started."""
        return self.started_at is not None

    def wait_until_over(self, deadline: Deadline) -> bool:
        """Block until the session is over or nobody wants it, or a moment; return whether it is."""
        with self.lock:
            while not (self.over or self.abandoned or deadline.passed()):
                self.progressed.wait(deadline.remaining(at_most=_LOOK_AGAIN))
        if self.abandoned:
            self.request_close()
        return self.over

    def wake(self) -> None:
        """Have the receiver look what there is to do. Takes no lock."""
        connection = self.connection
        if connection is not None:
            connection.wake()

    def at_rest(self, call: Callable[[], None]) -> None:
        """Call something when the calling thread rests, if many sessions share it, or at once."""
        connection = self.connection
        if connection is None or not connection.at_rest(call):
            call()

    @property
    def total_seconds(self) -> Optional[float]:
        """How long the audio is: the longest source, if that of each is known."""
        lengths = [seconds for seconds in self.source_seconds.values() if seconds is not None]
        if len(lengths) < len(self.options.labels or (None,)):
            return None
        return max(lengths)

    # -- what comes -----------------------------------------------------------------------------

    def deliver(self, message: Message) -> None:
        """Hand on a message of the server's. Needs the lock."""
        if self.options.collect:
            self.transcript.add(message)
        self.meter.delivered(message)
        name = message.get("message")
        if name == _WARNING:
            reason = message.get("reason")
            self.log.warning("The server warns: %s: %s", message.get("type"), reason)
        elif name == _ERROR:
            self.log.error("The server sent an Error: %s", message.get("type"))
        self.inbox.put(message)

    def connection_made(self, event: Started) -> None:
        """Take note that recognition has started on a connection. Needs the lock."""
        self.session_id = self.log.session_id = event.session_id
        if event.first:
            self.language_pack_info = event.language_pack_info
            self.started_at = time.monotonic()
            self.log.info("Recognition started")
        if self._outage is not None:
            self.meter.reconnects += 1
            replay = self.protocol.succession.replay
            for start, end in replay.gaps:
                self.transcript.add_gap(start, end)
                self.log.warning("The audio from %.1f s to %.1f s is lost", start, end)
            self._announce(SessionEvent.RECONNECTED, self._outage)
            self._outage = None
            self.log.info("Reconnected; the session goes on")
        self.progressed.notify_all()
        self.room.notify_all()

    def connection_lost(self, reason: str) -> None:
        """Take note that the connection is lost and another is to be made. Needs the lock."""
        self.connection = None
        self.protocol.succession.lose()
        self.meter.lost()
        self.replace_connection(reason)

    def replace_connection(self, reason: str) -> None:
        """Take note that another connection takes the audio from here. Needs the lock."""
        if self._outage is None:
            self._outage = reason
            self._announce(SessionEvent.RECONNECTING, reason)
        self.room.notify_all()

    def _announce(self, event: SessionEvent, reason: str) -> None:
        replay = self.protocol.succession.replay
        message: Message = {
            "message": event.value,
            "attempt": self.backoff.attempts,
            "reason": reason,
            "audio_time": replay.audio_time,
            "seconds_replayed": replay.seconds_replayed,
            "seconds_lost": replay.seconds_lost,
        }
        if event is SessionEvent.RECONNECTED:
            message["session_id"] = self.session_id
            if replay.labels_restart:
                message["labels_restart"] = True
        self.inbox.put(message)

    # -- ending ---------------------------------------------------------------------------------

    def fail(self, error: BaseException, *, discard: bool = False) -> None:
        """End the session with an error, unless it has ended.

        Args:
            error: What every call raises from now on.
            discard: Whether messages that nobody has handled yet are given up. A session of which
                everything is transcribed, but not yet handled, ends with an error only then.
        """
        if self.forked:
            return
        with self.lock:
            if not self.over:
                if self._protocol is not None:
                    error = self._protocol.fail(error)
                self.finish(error)
            elif discard and not self.handled and self.failure is None:
                self._fail_with(error)
            if discard:
                self.inbox.clear()
            attempt = self.attempt
        if attempt is not None:
            attempt.cancel()
        self.wake()

    def request_close(self) -> None:
        """End everything, without waiting until it is gone."""
        self.fail(SessionError("close() was called: the session was ended."), discard=True)

    def when_over(self, call: Callable[[], None]) -> None:
        """Have something that is quick called once the session has ended."""
        with self.lock:
            if not self.over:
                self._when_over.append(call)
                return
        call()

    def finish(self, failure: Optional[BaseException]) -> None:
        """End the session, once. Needs the lock."""
        if self.over:
            return
        self.over = True
        if failure is not None:
            self._fail_with(failure)
        self.inbox.close()
        for call in self._when_over:
            call()
        self._when_over.clear()
        self.threads.stop_workers()
        self.room.notify_all()
        self.progressed.notify_all()
        if failure is None:
            self.log.info("Session ended, everything transcribed")
        else:
            self.log.info("Session ended: %s", type(failure).__name__)

    def _fail_with(self, failure: BaseException) -> None:
        if isinstance(failure, SpeechmaticsError):
            self.identified(failure)
        self.failure, self._failed_at = failure, failure.__traceback__
        self.progressed.notify_all()

    def raise_failure(self) -> None:
        """Raise what ended the session, if it did not end well."""
        if self.failure is not None:
            # From where it came, or its traceback would grow each time it is raised.
            raise self.failure.with_traceback(self._failed_at)

    def settle(self) -> None:
        """Raise what ended the session, once that is known. Needs the lock."""
        while self.stage is State.FAILED and not self.over:
            self.progressed.wait(interruptible(None))  # for the code that the close frame adds
        self.raise_failure()

    def identified(self, error: SpeechmaticsError) -> Any:
        """Return an error that says which session it is about, unless that is another one."""
        if error.request_id is None:
            error.request_id, error.session_id = self.request_id, self.session_id
            error.transcript = self.transcript
        return error

    # -- a fork ---------------------------------------------------------------------------------

    @property
    def forked(self) -> bool:
        """Whether this is a copy in a child process, which has no threads."""
        return self._process != os.getpid()

    def check_process(self) -> None:
        """Raise SessionError in a child process."""
        if self.forked:
            raise self.identified(
                SessionError(
                    "This session was started before fork(), and its threads stayed in the parent "
                    "process: start one in each process."
                )
            )

    def leave_to_parent(self) -> None:
        """Free the child's hold on what the parent process goes on using."""
        # No lock: who held one when the process was forked is not here to release it.
        self.over = self.handled = True
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.forget()


def _described(audio_format: AudioFormat) -> str:
    plain = audio_format.to_dict()
    if "encoding" not in plain:
        return "a file"
    return f"{plain['encoding']} at {plain['sample_rate']} Hz"
