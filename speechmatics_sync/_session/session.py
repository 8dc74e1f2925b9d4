"""One session: its parts, its threads, and what a client may do with it.

Nothing here decides about the protocol: values move between `protocol` and the connection.

- The *receiver* thread (`receiver`) connects, through a short-lived *opener* thread that can be
  cancelled, waits for the socket, and processes what arrives. Acknowledgements, answers and the end
  of the session take effect there, however busy the handlers are. When a connection is lost or
  nears its end, the receiver makes the next one.
- A *sender* thread (`sender`) for each source reads it and waits for room. In a pushed session the
  threads that call `Outbox.send_audio` are the senders.
- One thread waits for the connections of all sessions of a process, and sends paced audio that is
  in memory (`shared_thread`); receivers, and the senders of such audio, sleep meanwhile.
- Messages for handlers go through the `inbox` to the thread that runs handlers: the caller of
  ``transcribe``, the thread that iterates over the stream, or the *dispatcher* thread of a pushed
  session.

One lock, `Lifecycle.lock`, guards the state, the protocol, the inbox and the outbox.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Collection, Mapping
from typing import Any, Callable, Optional, Union

from .._auth.endpoint import Endpoint
from .._concurrency.deadlines import Deadline
from .._concurrency.exhaustion import exhausted
from .._concurrency.process_lock import STARTING
from .._concurrency.threads import Threads
from .._concurrency.weak_calls import weakly
from .._model.audio_format import AudioFormat
from .._model.connection_config import ConnectionConfig
from .._model.observed import Observers
from .._model.reconnect_policy import ReconnectPolicy
from .._model.session_info import SessionInfo
from .._model.stats import SessionStats
from .._model.typing import Label, Message
from .._protocol.requests import Recognition
from .._protocol.session import Protocol
from .._transcript.transcript import Transcript
from ..errors import ConnectionError, SessionError, SpeechmaticsError
from .audio_formats import FormatAgreement
from .connecting import Connector
from .delivery import Delivery
from .identity import Identity
from .inbox import Inbox
from .meter import Meter
from .observation import Observation
from .options import SessionOptions
from .outages import Outages
from .outbox import Outbox
from .receiver import Receiver
from .sender import Sender
from .state import Cause, Lifecycle, SessionState

__all__ = ["END", "End", "Session"]

_HANDLERS_GRACE = 1.0
"""Seconds for handlers to be given the messages that came before a session failed."""

_INTERRUPT_SECONDS = 0.5
"""Seconds that ending a session may take after Ctrl-C: the user is waiting."""

_ABORT_GRACE = 0.25
"""Seconds for the receiver to end after its connection was aborted."""


class End:
    """Comes out of `Session.next_message` after the last message."""


END = End()


class Session:
    """One session, from connecting to its end: makes its parts, and starts its threads.

    Args:
        endpoint: The server, and where its key comes from.
        options: What the caller wants.
        config: Limits, proxy and TLS settings of the connection.
        listened: The names of messages that have handlers, kept true by the client:
            acknowledgements without one are not queued.
        policy: What to do when the connection is lost; None gives up at once.
        request_id: The session's id, unless the user's headers have one; None makes a new one.
        observers: Are told what happens to the session.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        options: SessionOptions,
        config: ConnectionConfig,
        listened: Collection[str],
        policy: Optional[ReconnectPolicy] = None,
        request_id: Optional[str] = None,
        observers: Observers = (),
    ) -> None:
        # The parts never change; each says itself which thread or lock may touch it. None holds
        # the session: what holds audio and a transcript must not wait for the garbage collector.
        wake, at_rest = weakly(self._wake, otherwise=None), weakly(self._at_rest, otherwise=None)
        transcript = Transcript(transcription_config=options.transcription_config.to_dict())
        identity = Identity(options.ws_headers, transcript, request_id)
        self.options = options
        self.identity = identity
        self.log = log = identity.log
        self.meter = meter = Meter()
        self._config = config
        self._policy = policy
        self.life = life = Lifecycle(identity)
        self._threads = threads = Threads(identity.request_id[:8])
        log.in_background = threads.in_background
        self._inbox = inbox = Inbox(life.lock, config.max_queue, wake, at_rest)
        fail = weakly(self.fail, otherwise=None)
        self.outbox = outbox = Outbox(options, life, identity, inbox, meter, threads, fail)
        self._agreement = FormatAgreement(
            options.channels, life.lock, weakly(self._prepare, otherwise=None), log
        )
        self._delivery = Delivery(
            identity, inbox, meter, collect=options.collect, listened=listened
        )
        self._observation = observation = Observation(
            observers, options, endpoint, life, identity, inbox, outbox, meter
        )
        self._connector = Connector(
            endpoint, options.ws_headers, config,
            life=life, threads=threads, log=log, observation=observation,
        )  # fmt: skip
        self._receiver = Receiver(
            config,
            life=life,
            log=log,
            connector=self._connector,
            outbox=outbox,
            delivery=self._delivery,
            outages=Outages(policy, life, identity, outbox, inbox, meter, observation),
            fail=fail,
            request_close=weakly(self._request_close, otherwise=None),
        )
        for call in (inbox.close, threads.stop_workers):
            life.when_over(call)

        # Set by `start`, before any thread runs.
        self.pushed = True
        """Whether the user sends the audio, rather than sources giving it."""
        self._dispatcher: Optional[threading.Thread] = None

        # Set by the thread that runs handlers; any thread may read it.
        self.dispatched_by: Optional[int] = None
        """The thread that runs a handler now."""

    # -- starting -------------------------------------------------------------------------------

    def start(
        self,
        *,
        sources: Optional[Mapping[Label, object]] = None,
        realtime: bool = False,
        dispatch: Optional[Callable[[Message], None]] = None,
    ) -> None:
        """Start the session's threads, unless it is closed already.

        Args:
            sources: Each is read and sent by a sender; None for a pushed session.
            realtime: Whether to send raw audio no faster than it is spoken.
            dispatch: Called with every message, in the dispatcher thread; without it, call
                `next_message` for them.

        Raises:
            ConnectionError: There are not threads enough for it.
        """
        self.pushed = sources is None
        if self.pushed:
            self._agreement.agree(self.options.audio_format or AudioFormat())
        try:
            # With the lock, or a close() in between would join threads that have not been started.
            with STARTING.held(), self.life.lock:
                if self.life.state.over:
                    return
                self._observation.begin()
                self._threads.start("receiver", self._run, "receiver", self._receiver.run)
                for label, source in (sources or {}).items():
                    sender = Sender(
                        source,
                        label=label,
                        realtime=realtime,
                        options=self.options,
                        life=self.life,
                        agreement=self._agreement,
                        outbox=self.outbox,
                        delivery=self._delivery,
                        threads=self._threads,
                        log=self.log,
                    )
                    role = "sender" if label is None else f"sender-{label}"
                    self._threads.start(role, self._run, "sender", sender.run)
                if dispatch is not None:
                    run = self._dispatch_all
                    self._dispatcher = self._threads.start("dispatcher", run, dispatch)
        except ConnectionError as error:  # no thread is left
            self.fail(error)
            raise

    def wait_until_started(self, deadline: Deadline) -> SessionInfo:
        """Block until RecognitionStarted has come.

        Raises:
            SpeechmaticsError: The session ended before; what ends it later is not raised here.
            TimeoutError: ``deadline`` passed.
        """
        life, identity = self.life, self.identity
        with life.lock:
            while life.started_at is None and not life.state.over:
                life.wait_for_progress(deadline, "The session has not started")
            if life.started_at is None:
                life.raise_failure()
            protocol = self.outbox.protocol
            return SessionInfo(
                request_id=identity.request_id,
                session_id=identity.session_id,
                sequence_number=protocol.sent,
                is_running=not life.state.over and not protocol.audio_ended,
                language_pack_info=identity.language_pack_info,
                channels=list(self.options.labels),
            )

    def _prepare(self, audio_format: AudioFormat) -> None:
        """Make the protocol, now that the audio format is known: the receiver may connect."""
        options, life = self.options, self.life
        recognition = Recognition(
            options.transcription_config,
            audio_format,
            options.translation_config,
            options.audio_events_config,
        )
        with life.lock:
            self.outbox.prepare(
                Protocol(
                    recognition,
                    max_unacked_chunks=self._config.max_unacked_chunks,
                    labels=options.labels,
                    pushed=self.pushed,
                    replay_seconds=None if self._policy is None else self._policy.replay_seconds,
                )
            )
            if life.state is SessionState.PREPARING:
                life.move(Cause.PREPARED)

    def _run(self, role: str, run: Callable[[], None]) -> None:
        """Run a thread of the session; an error that comes out of it ends the session."""
        try:
            run()
        except SpeechmaticsError as error:  # in no variable: its frames hold the session
            self.fail(error.with_traceback(None))
        except BaseException as error:
            self.fail(exhausted(error) or error)
            if exhausted(error) is None:
                self.log.exception("The session's %s failed", role)
        finally:
            with self._threads.in_user_code():
                self.log.flush()

    # -- handling messages ----------------------------------------------------------------------

    def next_message(self, timeout: Optional[float]) -> Union[Message, End, None]:
        """Return the next message for handlers, None if none came in time, or END.

        Raises:
            BaseException: Whatever ended the session, after the last message before it.
        """
        self.identity.check_process()
        life = self.life
        with life.lock:
            message = self._inbox.get(timeout)
            if message is not None:
                return message
            life.raise_failure()
            if not life.state.over:
                return None
            if life.state is SessionState.TRANSCRIBED:
                life.move(Cause.HANDLED)
            return END

    def dispatch(self, call: Callable[..., None], *args: object) -> None:
        """Call handlers, and mark the calling thread as the one that runs them meanwhile."""
        before = self.dispatched_by
        try:
            self.dispatched_by = threading.get_ident()
            with self._threads.in_user_code():
                call(*args)
        finally:
            # Not in a method: a KeyboardInterrupt could come before its first line.
            self.dispatched_by = before

    @property
    def in_handler(self) -> bool:
        """Whether the calling thread is running one of this session's handlers."""
        return self.dispatched_by == threading.get_ident()

    def wait_until_handled(self, deadline: Deadline) -> None:
        """Block until the session has ended and the dispatcher has handled every message.

        Raises:
            BaseException: Whatever ended the session; a busy handler delays it only briefly.
            TimeoutError: ``deadline`` passed.
        """
        self.identity.check_process()
        life = self.life
        with life.lock:
            while life.state not in (SessionState.HANDLED, SessionState.FAILED):
                life.wait_for_progress(deadline, "Not everything is transcribed and handled")
        if life.failure is not None:
            self.let_handlers_finish()
        life.raise_failure()

    def let_handlers_finish(self) -> None:
        """Wait a moment for the dispatcher to pass on what came before the session failed."""
        if self._dispatcher is not None:
            self._dispatcher.join(_HANDLERS_GRACE)

    def _dispatch_all(self, dispatch: Callable[[Message], None]) -> None:
        """Run the handlers; runs in the dispatcher thread."""
        while True:
            try:
                message = self.next_message(None)
            except BaseException:
                return  # calls of the user raise it
            if isinstance(message, End):
                return
            if message is None:
                continue
            try:
                self.dispatch(dispatch, message)
            except BaseException as error:
                self.fail(error, discard=True)
                self.log.exception("A handler of %s raised", message.get("message"))

    # -- ending ---------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the session has ended; handlers may still be given its messages."""
        return self.life.state.over

    @property
    def unfinished(self) -> bool:
        """Whether the session, or a handler of its messages, still has something to do."""
        life = self.life
        if life.abandoned:
            return False
        if not life.state.over:
            return True
        return life.state is SessionState.TRANSCRIBED and (
            self.pushed or len(self._inbox) > 0 or self.dispatched_by is not None
        )

    def fail(self, error: BaseException, *, discard: bool = False) -> None:
        """End the session with an error, unless it has ended.

        Args:
            error: What every call raises from now on; after `close` a copy, without its frames.
            discard: Whether to drop the messages that no handler was given yet. Only then does a
                session that is transcribed, but not handled, end with the error.
        """
        if self.identity.forked:
            return
        life = self.life
        with life.lock:
            if not life.state.over:
                if self.outbox.prepared:
                    error = self.outbox.protocol.fail(error)
                life.finish(error)
            elif discard:
                life.give_up_handling(error)
            if discard:
                self._inbox.clear()
        self._connector.cancel()
        self._wake()

    def abandon(self) -> None:
        """Have the receiver end everything.

        Takes no lock: the garbage collector may call this in any thread, at any line.
        """
        if not self.identity.forked:
            self.life.abandoned = True
            self.life.forget_failure()
            self._wake()

    def end_with(self, owner: object) -> weakref.finalize[Any, Any]:
        """End the session when its owner, which no thread of it holds, or the interpreter ends."""
        return weakref.finalize(owner, self._end_without, weakref.ref(owner))

    def _end_without(self, owner: weakref.ref[object]) -> None:
        if owner() is None:
            self.abandon()
        else:
            # The finaliser runs while the owner lives: the interpreter ends. So does the session,
            # with its process: an error would only make daemon threads print a traceback.
            self.warn_of_rest("The interpreter ends, and with it a session that still runs")
            self._threads.join_background(Deadline(_INTERRUPT_SECONDS))
            self.log.flush()

    def _request_close(self) -> None:
        """End the session because nobody wants it any more. From any thread."""
        dropped = self.life.abandoned and not self.over
        self.fail(SessionError("close() was called: the session was ended."), discard=True)
        if dropped:
            self._warn_of_rest("Nobody holds this session any more, so it was ended")

    def warn_of_rest(self, why: str) -> None:
        """Log how much audio stays untranscribed if the session, which still runs, ends now."""
        if not self.over and not self.identity.forked:
            self._warn_of_rest(why)

    def _warn_of_rest(self, why: str) -> None:
        rest = self.meter.untranscribed(self.audio_seconds, self.audio_bytes)
        self.log.warning("%s: %s stay untranscribed", why, rest)

    def close(self, error: Optional[BaseException] = None) -> None:
        """End everything now and wait until it is gone, at most ``close_timeout`` seconds.

        Args:
            error: What ended the caller's use of the session, if anything did: after an interrupt
                or an exit the wait is short.
        """
        outbox, receiver = self.outbox, self._receiver
        if self.identity.forked:
            self.life.leave_to_parent()
            connection, outbox.connection = outbox.connection, None
            if connection is not None:
                connection.close_after_fork()
            return
        interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
        limit = _INTERRUPT_SECONDS if interrupted else self._config.close_timeout
        with self.life.lock:
            if receiver.closing_limit is None or interrupted:
                # The rest of the limit is for joining the threads.
                receiver.closing_limit = Deadline(None if limit is None else 0.9 * limit)
        connection = outbox.connection
        served_here = connection is not None and connection.is_served_here
        self._request_close()
        if served_here:
            return  # the garbage collector called this in the thread that join would wait for
        if not self._threads.join(Deadline(limit)):
            connection = outbox.connection
            if connection is not None:
                connection.abort()
            self._threads.join(Deadline(_ABORT_GRACE))
        self.log.flush()
        self.life.forget_failure()

    # -- the thread that receives ---------------------------------------------------------------

    def _wake(self) -> None:
        """Have the receiver check what there is to do. Takes no lock."""
        connection = self.outbox.connection
        if connection is not None:
            connection.wake()

    def _at_rest(self, call: Callable[[], None]) -> None:
        """Call something now; in a thread that many sessions share, when it rests."""
        connection = self.outbox.connection
        if connection is None or not connection.call_soon(call):
            call()

    # -- what it knows of itself ----------------------------------------------------------------

    @property
    def stats(self) -> SessionStats:
        """A snapshot of the session's figures."""
        self.identity.check_process()
        self.outbox.current_protocol()
        return self._observation.read_stats()

    @property
    def audio_bytes(self) -> int:
        """Bytes of audio taken from the user."""
        protocol = self.outbox.current_protocol()
        return 0 if protocol is None else protocol.bytes_taken

    @property
    def audio_seconds(self) -> Optional[float]:
        """Seconds of audio taken from the user, of the longest channel; None for ``file`` audio."""
        protocol = self.outbox.current_protocol()
        return 0.0 if protocol is None else protocol.seconds_taken

    @property
    def total_seconds(self) -> Optional[float]:
        """Seconds of the longest source, if the length of each is known."""
        known = [each for each in self.outbox.source_seconds.values() if each is not None]
        return max(known) if len(known) == len(self.options.channels) else None
