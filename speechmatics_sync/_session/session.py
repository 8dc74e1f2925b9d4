"""One session: its threads, and what a client may do with it.

Nothing here decides about the protocol: values move between `protocol` and the connection.

- The *receiver* thread (`receiver`) connects, through a short-lived *opener* so that it can give up
  whatever that hangs in, waits for the socket, and settles what comes: acknowledgements, answers
  and the end take effect there, whatever handlers are doing. When a connection is lost or near its
  end, it makes the next one.
- The *sender* thread (`sender`), one for each source, reads it and waits for room. In a pushed
  session the threads that call `Outbox.send_audio` are the senders.
- While many sessions run in a process, one thread does the waiting, and the reading of paced
  sources, for all of them; these two sleep meanwhile (`shared_thread`).
- Messages for handlers go through the `inbox` to the thread that runs them: the caller of
  ``transcribe``, whoever pulls the stream, or in a pushed session the *dispatcher* thread.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Callable, Optional, Union

from .._auth.endpoint import Endpoint
from .._concurrency.deadlines import Deadline
from .._model.config import ConnectionConfig, ReconnectPolicy
from .._model.messages import SessionInfo
from .._model.stats import SessionStats
from .._model.typing import Label, Message
from .options import SessionOptions
from .outbox import Outbox
from .receiver import Receiver
from .sender import Sender
from .state import SessionState

__all__ = ["END", "End", "Session"]

_HANDLERS_GRACE = 1.0
"""Seconds for the handlers of a session that has failed to be given what came before."""

_INTERRUPT_SECONDS = 0.5
"""Seconds that ending a session may take after Ctrl-C: the user is waiting."""

_ABORT_GRACE = 0.25
"""Seconds for the receiver to free the connection once it was aborted."""


class End:
    """Comes out of `Session.next_message` when all has been said."""


END = End()


class Session(SessionState):
    """One session, from connecting to its end: its state, and the threads that share it.

    Args:
        endpoint: Where to connect.
        options: What the caller wants.
        config: Limits of the connection.
        listens: Whether anybody wants a message of this name: acknowledgements that nobody
            listens to are not queued.
        policy: What to do when the connection is lost; None gives up at once.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        options: SessionOptions,
        config: ConnectionConfig,
        listens: Callable[[str], bool],
        policy: Optional[ReconnectPolicy] = None,
    ) -> None:
        super().__init__(options, config, listens, policy)
        self.outbox = Outbox(self)
        self._receiver = Receiver(self, self.outbox, endpoint)
        self._dispatcher: Optional[threading.Thread] = None
        self.dispatched_by: Optional[int] = None
        """The thread that runs handlers now."""
        self._closing = False

    # -- starting -------------------------------------------------------------------------------

    def start(
        self,
        *,
        sources: Optional[Mapping[Label, object]] = None,
        realtime: bool = False,
        dispatch: Optional[Callable[[Message], None]] = None,
    ) -> None:
        """Start the session's threads, unless it was closed already.

        Args:
            sources: Each read and sent whole by a sender; None for a pushed session.
            realtime: Whether raw audio leaves at the speed it is spoken.
            dispatch: Is given every message, in a thread of its own; without it `next_message`
                gives them.
        """
        self.pushed = sources is None
        if self.options.audio_format is not None:
            self.prepare(self.options.audio_format)
        with self.lock:  # or close() could come between, and join threads that are still to start
            if self.over:
                return
            self.threads.start("receiver", self._receiver.run)
            for label, source in (sources or {}).items():
                role = "sender" if label is None else f"sender-{label}"
                sender = Sender(self, self.outbox, source, label=label, realtime=realtime)
                self.threads.start(role, sender.run)
            if dispatch is not None:
                self._dispatcher = self.threads.start("dispatcher", self._dispatch_all, dispatch)

    def wait_until_started(self, deadline: Deadline) -> SessionInfo:
        """Block until RecognitionStarted has come.

        Raises:
            SpeechmaticsError: The session ended in its place. (What ends it later is raised later.)
            TimeoutError: ``deadline`` passed.
        """
        with self.lock:
            while self.started_at is None and not self.over:
                self.wait_for_progress(deadline, "The session has not started")
            if self.started_at is None:
                self.raise_failure()
            return SessionInfo(
                request_id=self.request_id,
                session_id=self.session_id,
                sequence_number=self.protocol.sent,
                is_running=not self.over and not self.protocol.audio_ended,
                language_pack_info=self.language_pack_info,
                channels=list(self.options.labels),
            )

    # -- handling messages ----------------------------------------------------------------------

    def next_message(self, timeout: Optional[float]) -> Union[Message, End, None]:
        """Return the next message for handlers, None if none came in time, or END.

        Raises:
            BaseException: Whatever ended the session, once all that came before it was given out.
        """
        self.check_process()
        with self.lock:
            message = self.inbox.get(timeout)
            if message is not None:
                return message
            self.raise_failure()
            if not self.over:
                return None
            self.handled = True
            self.progressed.notify_all()
            return END

    def dispatch(self, call: Callable[..., None], *args: object) -> None:
        """Call handlers in the calling thread, which is marked as the one that runs them."""
        before = self.dispatched_by
        try:
            self.dispatched_by = threading.get_ident()
            with self.threads.in_user_code():
                call(*args)
        finally:
            # Here, and in no call, which an interrupt might come before.
            self.dispatched_by = before

    @property
    def in_handler(self) -> bool:
        """Whether the calling thread is running one of this session's handlers."""
        return self.dispatched_by == threading.get_ident()

    def wait_until_handled(self, deadline: Deadline) -> None:
        """Block until the session has ended and the dispatcher has handled every message.

        Raises:
            BaseException: Whatever ended the session; handlers that are busy delay it only briefly.
            TimeoutError: ``deadline`` passed.
        """
        self.check_process()
        with self.lock:
            while not (self.over and (self.handled or self.failure is not None)):
                self.wait_for_progress(deadline, "Not everything is transcribed and handled")
        if self.failure is not None:
            self.let_handlers_finish()
        self.raise_failure()

    def let_handlers_finish(self) -> None:
        """Give the dispatcher of a session that has failed a moment to hand out what came."""
        if self._dispatcher is not None:
            self._dispatcher.join(_HANDLERS_GRACE)

    def _dispatch_all(self, dispatch: Callable[[Message], None]) -> None:
        """Run the handlers; the dispatcher thread's whole life."""
        while True:
            try:
                message = self.next_message(None)
            except BaseException:
                return  # whoever uses the session raises it
            if isinstance(message, End):
                return
            if message is None:
                continue
            try:
                self.dispatch(dispatch, message)
            except BaseException as error:
                self.log.exception("A handler of %s raised", message.get("message"))
                self.fail(error, discard=True)

    # -- ending ---------------------------------------------------------------------------------

    @property
    def unfinished(self) -> bool:
        """Whether the session, or a handler of its messages, still has something to do."""
        if self.abandoned:
            return False
        if not self.over:
            return True
        return (
            self.failure is None
            and not self.handled
            and (self.pushed or len(self.inbox) > 0 or self.dispatched_by is not None)
        )

    def abandon(self) -> None:
        """Have the receiver end everything.

        Takes no lock: the garbage collector may call this in any thread, at any line.
        """
        if not self.forked:
            self.abandoned = True
            self.wake()

    def close(self, error: Optional[BaseException] = None) -> None:
        """End everything now and wait until it is gone, at most ``close_timeout`` seconds.

        Args:
            error: What ended the caller's use of the session, if anything did: after an interrupt
                or an exit the wait is short.
        """
        if self.forked:
            self.leave_to_parent()
            return
        interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
        limit = _INTERRUPT_SECONDS if interrupted else self.config.close_timeout
        with self.lock:
            if not self._closing or interrupted:
                self._closing = True
                # The rest of the limit is for freeing what is left.
                self._receiver.hurry(Deadline(None if limit is None else 0.9 * limit))
        connection = self.connection
        served_here = connection is not None and connection.is_served_here
        self.request_close()
        if served_here:
            return  # the garbage collector called this in the very thread that it would wait for
        if not self.threads.join(Deadline(limit)):
            self._receiver.abort()
            self.threads.join(Deadline(_ABORT_GRACE))

    # -- what it knows of itself ----------------------------------------------------------------

    @property
    def stats(self) -> SessionStats:
        """A snapshot of what the session knows of itself."""
        self.check_process()
        with self.lock:
            if not self.prepared:
                return SessionStats()
            backlog = self.connection.backlog if self.connection else 0
            return self.meter.snapshot(self.protocol, waiting=len(self.inbox), backlog=backlog)

    @property
    def audio_bytes(self) -> int:
        """Bytes of audio taken from the user."""
        return self.protocol.bytes_taken if self.prepared else 0

    @property
    def audio_seconds(self) -> Optional[float]:
        """Seconds of audio taken from the user, of the longest channel; None for ``file`` audio."""
        return self.protocol.seconds_taken if self.prepared else 0.0

    @property
    def untranscribed(self) -> str:
        """How much audio was sent and has no final, in words."""
        seconds = self.audio_seconds
        if seconds is not None:
            return f"{max(0.0, seconds - (self.meter.final_end or 0.0)):.1f} s of audio"
        if self.meter.final_end is None:
            return f"{self.audio_bytes} bytes of a file"
        return f"of {self.audio_bytes} bytes of a file, those after {self.meter.final_end:.1f} s"
