"""The threads of one session, the queue between them, and its time limits.

Nothing here decides about the protocol: values move between `protocol` and `transport`.

- The *receiver* thread connects (through a short-lived opener, so that it can give up whatever the
  connecting thread hangs in), waits for the socket, and settles what comes: acknowledgements,
  answers and the end take effect here, whatever handlers are doing.
- The *sender* thread reads the source and waits for room. In a pushed session the threads that
  call `send_audio` are the senders.
- Messages for handlers go through a queue to the thread that runs them: the caller of
  ``transcribe``, whoever pulls the stream, or in a pushed session the *dispatcher* thread.

`Session._lock` guards all state here and the protocol's. It is reentrant, for the handler of a
signal may call `close` in a thread that holds it.
"""

from __future__ import annotations

import collections
import contextlib
import os
import threading
import time
import uuid
from types import TracebackType
from typing import Any, Callable, NamedTuple, Optional, Union

from .config import (
    AudioEventsConfig,
    AudioFormat,
    ConnectionConfig,
    MidSessionConfig,
    SpeakerIdentifier,
    TranscriptionConfig,
    TranslationConfig,
)
from .deadlines import Deadline
from .endpoint import Endpoint, request_id_in
from .errors import (
    AudioError,
    ConfigurationError,
    ConnectionError,
    SessionError,
    SpeechmaticsError,
    TimeoutError,
    TransportError,
)
from .limits import Limits
from .logs import SessionLogger
from .messages import ServerMessageType, SessionInfo
from .opening import Opening
from .protocol import (
    Acknowledged,
    Deliver,
    Ended,
    Failed,
    Message,
    Protocol,
    Recognition,
    Started,
    State,
    decode,
)
from .results import LanguagePackInfo
from .sources import AudioSource, audio_view, open_source
from .stats import SessionStats
from .transcript import Transcript
from .transport import HIGH_WATER, Closed, Connection

__all__ = ["END", "End", "Session", "SessionOptions"]

_ERROR_GRACE = 0.25
"""Seconds for the close frame to follow an Error, whose code it adds."""

_END_GRACE = 1.0
"""Seconds for the closing handshake after EndOfTranscript, on which nothing depends any more."""

_LEAVING_GRACE = 0.25
"""Seconds for a thread to come out of a read or a handler of the user's before it is left alone."""

_UNDECIDED = (State.CONNECTING, State.STARTING, State.FAILED)
"""Neither started nor over: after an Error the close frame may still add its code."""


class SessionOptions(NamedTuple):
    """What a caller wants of one session.

    ``audio_format`` is None where the source is to be looked at.
    """

    transcription_config: TranscriptionConfig
    audio_format: Optional[AudioFormat] = None
    translation_config: Optional[TranslationConfig] = None
    audio_events_config: Optional[AudioEventsConfig] = None
    ws_headers: Optional[dict[str, str]] = None
    collect: bool = True


class End:
    """Comes out of `Session.next_message` when all has been said."""


END = End()


class Session:
    """One session, from connecting to its end.

    Args:
        endpoint: Where to connect.
        options: What the caller wants.
        config: Limits of the connection.
        listens: Whether anybody wants a message of this name: acknowledgements that nobody
            listens to are not queued.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        options: SessionOptions,
        config: ConnectionConfig,
        listens: Callable[[str], bool],
    ) -> None:
        self.request_id = request_id_in(options.ws_headers) or str(uuid.uuid4())
        self.session_id: Optional[str] = None
        self.language_pack_info: Optional[LanguagePackInfo] = None
        self.transcript = Transcript(transcription_config=options.transcription_config.to_dict())
        self.log = SessionLogger(self.request_id)
        self.total_seconds: Optional[float] = None
        """How long the source is, where that can be known."""
        self._endpoint = endpoint
        self._options = options
        self._config = config
        self._listens = listens
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)
        self._arrived = threading.Condition(self._lock)
        self._progressed = threading.Condition(self._lock)
        self._protocol: Optional[Protocol] = None
        self._opening: Optional[Opening] = None
        self._connection: Optional[Connection] = None
        self._inbox: collections.deque[Message] = collections.deque()
        self._paused = False
        self._over = False
        self._handled = False
        self._abandoned = False
        self._failure: Optional[BaseException] = None
        self._failed_at: Optional[TracebackType] = None
        self._closing = Deadline(None)
        self._leaving: Optional[Deadline] = None
        self._error_grace: Optional[Deadline] = None
        self._answers_awaited = 0
        self._dispatching: Optional[int] = None
        self._in_users_hands: set[threading.Thread] = set()
        self._opener: Optional[threading.Thread] = None
        self._receiver: Optional[threading.Thread] = None
        self._sender: Optional[threading.Thread] = None
        self._dispatcher: Optional[threading.Thread] = None
        self._messages_received = 0
        self._timed_chunk: Optional[tuple[int, float]] = None
        self._round_trip: Optional[float] = None
        self._final_end: Optional[float] = None

    # -- starting -------------------------------------------------------------------------------

    def start(
        self,
        *,
        source: Optional[object] = None,
        realtime: bool = False,
        dispatch: Optional[Callable[[Message], None]] = None,
    ) -> None:
        """Start the session's threads, unless it was closed already.

        Args:
            source: Read and sent whole by the sender; None for a pushed session.
            realtime: Whether raw audio leaves at the speed it is spoken.
            dispatch: Is given every message, in a thread of its own; without it `next_message`
                gives them.
        """
        if self._options.audio_format is not None:
            self._prepare(self._options.audio_format)
        with self._lock:
            if self._over:
                return
            self._receiver = self._thread("receiver", self._run_receiver)
            if source is not None:
                self._sender = self._thread("sender", self._run_sender, source, realtime)
            if dispatch is not None:
                self._dispatcher = self._thread("dispatcher", self._run_dispatcher, dispatch)
            for thread in (self._receiver, self._sender, self._dispatcher):
                if thread is not None:
                    thread.start()

    def wait_until_started(self, deadline: Deadline) -> SessionInfo:
        """Block until RecognitionStarted has come.

        Raises:
            SpeechmaticsError: The session ended in its place.
            TimeoutError: ``deadline`` passed.
        """
        with self._lock:
            while not self._over and self._state in _UNDECIDED:
                self._wait(self._progressed, deadline)
            self._raise_failure()
            return self.info

    @property
    def info(self) -> SessionInfo:
        """What is known of the session."""
        with self._lock:
            sent = self._protocol.channel.sent if self._protocol else 0
            return SessionInfo(
                request_id=self.request_id,
                session_id=self.session_id,
                sequence_number=sent,
                is_running=not self._over and self._state is State.RUNNING,
                language_pack_info=self.language_pack_info,
            )

    # -- sending --------------------------------------------------------------------------------

    def send_audio(self, payload: object, timeout: Optional[float]) -> None:
        """Take audio as soon as there is room.

        Raises:
            AudioError: It is not bytes.
            TimeoutError: There was no room within ``timeout``; nothing was taken.
        """
        self.check_process()
        try:
            audio = bytes(audio_view(payload, self._options.audio_format))
        except AudioError as error:
            raise self.identified(error) from None
        deadline = Deadline(timeout)
        with self._lock, self._awaiting_answers(self.in_handler):
            protocol = self._sending()
            while not protocol.has_room:
                if deadline.passed():
                    raise self.identified(
                        TimeoutError(
                            f"The window of unacknowledged audio stayed full for {timeout} s; "
                            "nothing of the payload was taken."
                        )
                    )
                self._room.wait(deadline.remaining())
                self._sending()
            protocol.add_audio(audio)
        self._flush()

    def send_message(self, message: dict[str, Any]) -> None:
        """Send a message of the user's, in order with the audio."""
        self.check_process()
        with self._lock:
            self._sending().add_message(message)
        self._flush()

    def configure(self, changes: MidSessionConfig) -> None:
        """Change the configuration of the running session."""
        self.check_process()
        with self._lock:
            self._sending().configure(changes)
        self._flush()

    def force_end_of_utterance(self, timestamp: Union[float, End, None]) -> None:
        """Ask for finals now: at ``timestamp``, without one, or (END) at the audio sent so far."""
        self.check_process()
        with self._lock:
            protocol = self._sending()
            at = protocol.seconds_taken
            if at is not None and not isinstance(timestamp, End):
                at = timestamp
            protocol.force_end_of_utterance(at)
        self._flush()

    def get_speakers(self, timeout: Optional[float]) -> list[SpeakerIdentifier]:
        """Ask for the speakers heard so far, and wait for the answer.

        Raises:
            TimeoutError: None came within ``timeout``.
        """
        self.check_process()
        deadline = Deadline(timeout)
        with self._lock, self._awaiting_answers(True):
            question = self._sending().ask_speakers()
            self._flush()
            while question.answer is None:
                if self._over:
                    self._sending()
                if deadline.passed():
                    raise self.identified(
                        TimeoutError(f"GetSpeakers was not answered within timeout ({timeout} s).")
                    )
                self._progressed.wait(deadline.remaining())
            return question.answer

    def end_of_stream(self) -> None:
        """Say that there is no more audio."""
        self.check_process()
        with self._lock:
            self._settle()
            if self._protocol is None or self._state in (State.CONNECTING, State.STARTING):
                raise self.identified(
                    SessionError("The session has not started: there is no audio to end.")
                )
            dropped = self._protocol.end_audio()
            self._room.notify_all()
        if dropped:
            self.log.warning("%d bytes of half a sample at the very end were dropped", dropped)
        self._flush()

    # -- receiving ------------------------------------------------------------------------------

    def next_message(self, timeout: Optional[float]) -> Union[Message, End, None]:
        """Return the next message for handlers, None if none came in time, or END.

        Raises:
            BaseException: Whatever ended the session, once all that came before it was given out.
        """
        self.check_process()
        with self._lock:
            if not self._inbox and not self._over:
                self._arrived.wait(timeout)
            if self._inbox:
                message = self._inbox.popleft()
                if self._paused and not self._too_many_wait():
                    self._wake()
                return message
            self._raise_failure()
            if not self._over:
                return None
            self._handled = True
            self._progressed.notify_all()
            return END

    def wait_until_handled(self, deadline: Deadline) -> None:
        """Block until the session has ended and the dispatcher has handled every message.

        Raises:
            BaseException: Whatever ended the session; handlers that are busy delay it only briefly.
            TimeoutError: ``deadline`` passed.
        """
        self.check_process()
        with self._lock:
            while not (self._over and (self._handled or self._failure is not None)):
                self._wait(self._progressed, deadline)
        if self._failure is not None:
            self.let_handlers_finish()
        self._raise_failure()

    def let_handlers_finish(self) -> None:
        """Give the dispatcher of a session that has failed a moment to hand out what came."""
        if self._dispatcher is not None:
            self._dispatcher.join(_END_GRACE)

    # -- ending ---------------------------------------------------------------------------------

    @property
    def pushed(self) -> bool:
        """Whether the user sends the audio, rather than a source giving it."""
        return self._dispatcher is not None

    @property
    def forked(self) -> bool:
        """Whether this is a copy in a child process, which has no threads."""
        return self._process != os.getpid()

    @property
    def in_handler(self) -> bool:
        """Whether the calling thread is running one of this session's handlers."""
        return self._dispatching == threading.get_ident()

    @property
    def over(self) -> bool:
        """Whether the session has ended, well or not."""
        return self._over

    @property
    def unfinished(self) -> bool:
        """Whether the session, or a handler of its messages, still has something to do."""
        if self._abandoned:
            return False
        if not self._over:
            return True
        return (
            self._failure is None
            and not self._handled
            and (self.pushed or bool(self._inbox) or self._dispatching is not None)
        )

    @property
    def seconds_untranscribed(self) -> float:
        """Seconds of audio that were sent and have no final."""
        sent = (self._protocol.seconds_taken if self._protocol else None) or 0.0
        return max(0.0, sent - (self._final_end or 0.0))

    def fail(self, error: BaseException, *, discard: bool = False) -> None:
        """End the session with an error, unless it has ended.

        Args:
            error: What every call raises from now on.
            discard: Whether messages that nobody has handled yet are given up. A session of which
                everything is transcribed, but not yet handled, ends with an error only then.
        """
        if self.forked:
            return
        with self._lock:
            if not self._over:
                if self._protocol is not None:
                    error = self._protocol.fail(error)
                self._finish(error)
            elif discard and not self._handled and self._failure is None:
                self._fail_with(error)
            if discard:
                self._inbox.clear()
            opening = self._opening
        if opening is not None:
            opening.cancel()
        self._wake()

    def abandon(self) -> None:
        """Have the receiver end everything.

        Takes no lock: the garbage collector may call this in any thread, at any line.
        """
        if not self.forked:
            self._abandoned = True
            self._wake()

    def _request_close(self) -> None:
        self.fail(SessionError("close() was called: the session was ended."), discard=True)

    def close(self, *, within: Optional[float] = None) -> None:
        """End everything now and wait until it is gone, at most ``close_timeout`` seconds.

        Args:
            within: Another limit, in seconds.
        """
        if self.forked:
            # No lock: who held one when the process was forked is not here to release it.
            self._over = self._handled = True
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.forget()
            return
        limit = self._config.close_timeout if within is None else within
        with self._lock:
            if self._closing.seconds is None or within is not None:
                # The rest of the limit is for freeing what is left.
                self._closing = Deadline(None if limit is None else 0.9 * limit)
            self._leaving = self._leaving or Deadline(_LEAVING_GRACE)
        self._request_close()
        deadline = Deadline(limit)
        for thread in (self._sender, self._dispatcher, self._opener, self._receiver):
            self._join(thread, deadline)
        if self._receiver is not None and self._receiver.is_alive():
            # It hangs in a closing handshake: now without one.
            connection = self._connection
            if connection is not None and self._receiver is not threading.current_thread():
                connection.abort()
                self._receiver.join(_LEAVING_GRACE)

    @property
    def stats(self) -> SessionStats:
        """A snapshot of what the session knows of itself."""
        self.check_process()
        with self._lock:
            if self._protocol is None:
                return SessionStats()
            channel = self._protocol.channel
            sent = self._protocol.seconds_taken
            final_delay = None
            if sent is not None and self._final_end is not None:
                final_delay = max(0.0, sent - self._final_end)
            return SessionStats(
                chunks_sent=channel.sent,
                chunks_acknowledged=channel.acknowledged,
                seconds_sent=sent,
                seconds_acknowledged=channel.seconds(channel.bytes_acknowledged),
                messages_received=self._messages_received,
                messages_waiting=len(self._inbox),
                bytes_waiting=self._connection.backlog if self._connection else 0,
                round_trip=self._round_trip,
                final_delay=final_delay,
            )

    @property
    def audio_bytes(self) -> int:
        """Bytes of audio taken from the user."""
        return self._protocol.channel.bytes_taken if self._protocol else 0

    @property
    def audio_seconds(self) -> Optional[float]:
        """Seconds of audio taken from the user; None for ``file`` audio."""
        return self._protocol.seconds_taken if self._protocol else 0.0

    @property
    def final_end(self) -> Optional[float]:
        """Where the last final ends, in seconds of the audio."""
        return self._final_end

    @contextlib.contextmanager
    def dispatching(self) -> Any:
        """Mark the calling thread as the one that runs handlers."""
        thread = threading.current_thread()
        before, self._dispatching = self._dispatching, thread.ident
        self._in_users_hands.add(thread)
        try:
            yield
        finally:
            self._dispatching = before
            self._in_users_hands.discard(thread)

    # -- the receiver ---------------------------------------------------------------------------

    def _run_receiver(self) -> None:
        connection = None
        try:
            with self._lock:
                while self._protocol is None and not self._over:
                    self._progressed.wait()
            connection = self._connect()
            if connection is not None:
                self._receive_from(connection)
                self._say_goodbye(connection)
        except SpeechmaticsError as error:
            self.fail(error)
        except RecursionError:
            self.fail(TransportError("The server sent a message that is nested too deeply."))
        except BaseException as error:
            self.log.exception("The session's receiver failed")
            self.fail(error)
        finally:
            if connection is not None:
                with self._lock:
                    self._connection = None
                connection.close()

    def _connect(self) -> Optional[Connection]:
        """Return an open connection, or None if the session ended before there was one."""
        opening = Opening(self._endpoint, self._options.ws_headers, self._config, self.log)
        with self._lock:
            if self._over:
                return None
            self._opening = opening
            self._opener = self._thread("opener", opening.run)
            # An `AuthBase` of the user's, and a name look-up that nothing can interrupt.
            self._in_users_hands.add(self._opener)
            self._opener.start()
        connection = opening.result()
        if connection is None:
            return None
        with self._lock:
            self._opening = None
            if not self._over:
                connection.send(self._running_protocol.connected())
                self._connection = connection
        if self._connection is None:
            connection.close()
            return None
        connection.flush()
        self.log.debug("Connected; the session starts")
        return connection

    def _receive_from(self, connection: Connection) -> None:
        """Take in what comes until the session is over."""
        now = time.monotonic()
        limits = Limits(self._config, now)
        while not self._over:
            if self._abandoned:
                self._request_close()
                return
            paused = self._reading_pauses() and not connection.broken
            connection.wait(self._patience(limits, now), read=not paused)
            spoke = False
            if paused:
                connection.flush()
            else:
                for received in connection.receive():
                    spoke = True
                    if isinstance(received, Closed):
                        self._closed(received)
                        return
                    self._take_in(received)
            self._flush()
            now = time.monotonic()
            if paused:
                limits.restart(now)
            self._check_limits(connection, limits, now, spoke=spoke)

    def _patience(self, limits: Limits, now: float) -> Optional[float]:
        if self._error_grace is not None:
            return self._error_grace.remaining()
        return limits.patience(now, self._state)

    def _check_limits(
        self, connection: Connection, limits: Limits, now: float, *, spoke: bool
    ) -> None:
        if self._error_grace is not None:
            if self._error_grace.passed():
                self._closed(Closed(None, ""))
            return
        with self._lock:
            owes = self._running_protocol.owes_answer
        limits.note(now, heard=connection.last_heard, spoke=spoke, owes=owes)
        passed = limits.passed(now, self._state)
        if passed is not None:
            self.fail(passed)
        elif limits.ping_is_due(now):
            connection.ping()

    def _take_in(self, payload: bytes) -> None:
        message = decode(payload)
        with self._lock:
            if self._over:
                return
            self._messages_received += 1
            for event in self._running_protocol.receive(message):
                if isinstance(event, Acknowledged):
                    self._acknowledged(event)
                elif isinstance(event, Deliver):
                    self._deliver(event.message)
                elif isinstance(event, Started):
                    self.session_id = self.log.session_id = event.session_id
                    self.language_pack_info = event.language_pack_info
                    self.log.info("Recognition started")
                    self._progressed.notify_all()
                elif isinstance(event, Ended):
                    self._finish(None)
                elif isinstance(event, Failed):
                    if message.get("message") == ServerMessageType.ERROR.value:
                        self._error_grace = Deadline(_ERROR_GRACE)
                    else:
                        self._finish(event.error)
                else:
                    self._progressed.notify_all()

    def _acknowledged(self, event: Acknowledged) -> None:
        if self._timed_chunk is not None and event.chunks >= self._timed_chunk[0]:
            self._round_trip = time.monotonic() - self._timed_chunk[1]
            self._timed_chunk = None
        if self._listens(ServerMessageType.AUDIO_ADDED.value):
            self._queue(event.message)

    def _deliver(self, message: Message) -> None:
        if self._options.collect:
            self.transcript.add(message)
        name = message.get("message")
        if name == ServerMessageType.ADD_TRANSCRIPT.value:
            metadata = message.get("metadata")
            end = metadata.get("end_time") if isinstance(metadata, dict) else None
            if isinstance(end, (int, float)):
                self._final_end = max(end, self._final_end or 0.0)
        elif name == ServerMessageType.WARNING.value:
            self.log.warning("The server warns: %s: %s", message.get("type"), message.get("reason"))
        elif name == ServerMessageType.ERROR.value:
            self.log.error("The server sent an Error: %s", message.get("type"))
        self._queue(message)

    def _queue(self, message: Message) -> None:
        self._inbox.append(message)
        self._arrived.notify()

    def _closed(self, closed: Closed) -> None:
        with self._lock:
            self._finish(self._running_protocol.closed(closed.code, closed.reason))

    def _reading_pauses(self) -> bool:
        """Return whether the queue of handlers is so full that reading must wait."""
        with self._lock:
            self._paused = self._too_many_wait() and not self._answers_awaited
            return self._paused

    def _too_many_wait(self) -> bool:
        """Return whether handlers are behind; once they are, until half of it is handled."""
        limit = self._config.max_queue
        return limit is not None and len(self._inbox) > (limit // 2 if self._paused else limit)

    def _say_goodbye(self, connection: Connection) -> None:
        """Shake hands at the end, for as long as it is worth."""
        if self._failure is None:
            deadline = Deadline(_END_GRACE)
        elif isinstance(self._failure, (ConnectionError, TransportError)):
            deadline = Deadline(0)  # there is nobody to shake hands with
        elif self._closing.seconds is not None:
            deadline = self._closing
        else:
            deadline = Deadline(0)
        connection.start_closing()
        with contextlib.suppress(SpeechmaticsError):
            while True:
                for received in connection.receive():
                    if isinstance(received, Closed):
                        return
                if deadline.passed():
                    return
                connection.wait(deadline.remaining(at_most=0.1))
                if self._closing.passed():
                    return

    # -- the sender -----------------------------------------------------------------------------

    def _run_sender(self, source: object, realtime: bool) -> None:
        opened: Optional[AudioSource] = None
        try:
            if self._over:
                return
            with self._users_hands():
                opened = open_source(source, self._options.audio_format, logger=self.log)
            if self._options.audio_format is None:
                if realtime and opened.audio_format.encoding is None:
                    raise ConfigurationError(
                        "realtime=True paces raw audio, and this source goes as a file: "
                        "pass an audio_format with an encoding, or leave realtime out."
                    )
                self._prepare(opened.audio_format)
            self._send_all(opened, realtime)
        except BaseException as error:
            if not isinstance(error, SpeechmaticsError):
                self.log.exception("The session's sender failed")
            self.fail(error)
        finally:
            if opened is not None:
                with self._users_hands():
                    opened.close()

    def _send_all(self, source: AudioSource, realtime: bool) -> None:
        with self._lock:
            while not self._over and self._state in _UNDECIDED:
                self._progressed.wait()
            if self._over:
                return
        protocol = self._running_protocol
        chunks = iter(source)
        begun = time.monotonic()
        while not self._over:
            with self._users_hands():
                chunk = next(chunks, b"")
            self.total_seconds = source.total_seconds
            if not chunk:
                break
            with self._lock:
                if realtime:
                    spoken = protocol.channel.seconds(protocol.channel.bytes_taken + len(chunk))
                    self._sleep_until(begun + (spoken or 0.0))
                while not (self._over or protocol.audio_ended) and (
                    self._state is State.FAILED or not protocol.has_room
                ):
                    self._room.wait()
                if self._over or protocol.audio_ended:
                    return
                protocol.add_audio(chunk)
            self._flush()
        if self._over:
            return
        if not protocol.channel.bytes_taken:
            raise AudioError("The source is empty: there is no audio to transcribe.")
        self.end_of_stream()

    def _sleep_until(self, moment: float) -> None:
        """Wait on an absolute schedule, which does not drift as a sleep for each chunk would."""
        while not self._over:
            left = moment - time.monotonic()
            if left <= 0:
                return
            self._room.wait(left)

    # -- the dispatcher -------------------------------------------------------------------------

    def _run_dispatcher(self, dispatch: Callable[[Message], None]) -> None:
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
                with self.dispatching():
                    dispatch(message)
            except BaseException as error:
                self.log.exception("A handler of %s raised", message.get("message"))
                self.fail(error, discard=True)

    # -- shared ---------------------------------------------------------------------------------

    @property
    def _state(self) -> State:
        return State.CONNECTING if self._protocol is None else self._protocol.state

    def _prepare(self, audio_format: AudioFormat) -> None:
        recognition = Recognition(
            self._options.transcription_config,
            audio_format,
            self._options.translation_config,
            self._options.audio_events_config,
        )
        with self._lock:
            self._protocol = Protocol(
                recognition, max_unacked_chunks=self._config.max_unacked_chunks
            )
            self._progressed.notify_all()

    def _flush(self) -> None:
        """Hand on what may be sent now."""
        with self._lock:
            connection, protocol = self._connection, self._protocol
            if connection is None or protocol is None:
                return
            while connection.backlog < HIGH_WATER:
                outgoing = protocol.next_to_send()
                if outgoing is None:
                    break
                connection.send(outgoing)
                if self._timed_chunk is None and isinstance(outgoing, bytes):
                    self._timed_chunk = (protocol.channel.sent, time.monotonic())
            if protocol.has_room:
                self._room.notify()
        connection.flush()

    def _finish(self, failure: Optional[BaseException]) -> None:
        """End the session, once. Needs the lock."""
        if self._over:
            return
        self._over = True
        if failure is not None:
            self._fail_with(failure)
        for condition in (self._room, self._arrived, self._progressed):
            condition.notify_all()
        if failure is None:
            self.log.info("Session ended, everything transcribed")
        else:
            self.log.info("Session ended: %s", type(failure).__name__)

    def _fail_with(self, failure: BaseException) -> None:
        if isinstance(failure, SpeechmaticsError):
            self.identified(failure)
        self._failure, self._failed_at = failure, failure.__traceback__
        self._arrived.notify_all()
        self._progressed.notify_all()

    def _raise_failure(self) -> None:
        """Raise what ended the session, if it did not end well."""
        if self._failure is not None:
            # From where it came, or its traceback would grow each time it is raised.
            raise self._failure.with_traceback(self._failed_at)

    def identified(self, error: SpeechmaticsError) -> Any:
        """Return an error that says which session it is about, unless that is another one."""
        if error.request_id is None:
            error.request_id, error.session_id = self.request_id, self.session_id
            error.transcript = self.transcript
        return error

    def _settle(self) -> None:
        """Raise what ended the session, once that is known. Needs the lock."""
        while self._state is State.FAILED and not self._over:
            self._progressed.wait()  # for the code that the close frame adds
        self._raise_failure()

    def _sending(self) -> Protocol:
        """Return the protocol if something can be sent. Needs the lock.

        Raises:
            BaseException: What ended the session.
            SessionError: The audio has ended.
        """
        self._settle()
        if self._protocol is None:
            raise self.identified(SessionError("The session has not started."))
        try:
            self._protocol.check_open()
        except SessionError as error:
            raise self.identified(error) from None
        return self._protocol

    def _wait(self, condition: threading.Condition, deadline: Deadline) -> None:
        """Wait for a condition.

        Raises:
            TimeoutError: ``deadline`` had passed.
        """
        if deadline.passed():
            raise self._late(deadline)
        condition.wait(deadline.remaining())

    def _late(self, deadline: Deadline) -> TimeoutError:
        error: TimeoutError = self.identified(
            TimeoutError(f"The session did not get there within timeout ({deadline.seconds} s).")
        )
        return error

    @contextlib.contextmanager
    def _awaiting_answers(self, waits: bool) -> Any:
        """Keep reading although handlers are behind: they may be what waits. Needs the lock."""
        self._answers_awaited += waits
        if waits and self._paused:
            self._wake()
        try:
            yield
        finally:
            self._answers_awaited -= waits

    @contextlib.contextmanager
    def _users_hands(self) -> Any:
        """Mark the calling thread as inside code of the user's, which may never return."""
        thread = threading.current_thread()
        self._in_users_hands.add(thread)
        try:
            yield
        finally:
            self._in_users_hands.discard(thread)

    def _join(self, thread: Optional[threading.Thread], deadline: Deadline) -> None:
        """Wait for a thread, unless it is in the user's hands or is the caller itself."""
        if thread is None or thread is threading.current_thread() or thread.ident is None:
            return
        while thread.is_alive() and not deadline.passed():
            if thread in self._in_users_hands and self._leaving and self._leaving.passed():
                return
            thread.join(deadline.remaining(at_most=0.05))

    @property
    def _running_protocol(self) -> Protocol:
        if self._protocol is None:
            raise RuntimeError("the session has no protocol before its audio format is known")
        return self._protocol

    def _wake(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.wake()

    def _thread(self, role: str, run: Callable[..., None], *args: object) -> threading.Thread:
        name = f"speechmatics-{self.request_id[:8]}-{role}"
        return threading.Thread(target=run, args=args, name=name, daemon=True)

    def check_process(self) -> None:
        """Raise SessionError in a child process."""
        if self.forked:
            raise self.identified(
                SessionError(
                    "This session was started before fork(), and its threads stayed in the parent "
                    "process: start one in each process."
                )
            )
