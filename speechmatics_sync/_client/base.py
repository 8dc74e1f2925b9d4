"""What both clients share: one session at a time, and the calls on it.

The session's modules, and with them ``ssl`` and ``websocket``, take two thirds of the time to
import the package. They are imported when a session begins, before any lock is taken.
"""

from __future__ import annotations

import copy
import functools
import os
import threading
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Optional, TypeVar, Union

from .._auth.endpoint import Endpoint
from .._auth.keys import AuthBase, StaticKeyAuth
from .._concurrency.deadlines import Deadline
from .._concurrency.process_lock import STARTING
from .._concurrency.weak_calls import weakly
from .._model.connection_config import ConnectionConfig
from .._model.reconnect_policy import ReconnectPolicy
from .._model.secret import Secret
from .._model.session_info import LanguagePackInfo, SessionInfo
from .._model.speakers import SpeakerIdentifier
from .._model.stats import SessionStats
from .._model.transcription_config import (
    AudioFilteringConfig,
    ConversationConfig,
    MaxDelayMode,
    MidSessionConfig,
)
from .._model.typing import Label
from .._transcript.transcript import Transcript
from ..errors import (
    ConfigurationError,
    SessionError,
    SpeechmaticsError,
)
from .arguments import check_kind, checked_timeout
from .event_emitter import EventEmitter
from .observers import observers
from .progress import ProgressCallback, progress_report

if TYPE_CHECKING:
    from .._session.options import SessionOptions
    from .._session.session import Session
    from .display import SessionDisplay
    from .stream import Stream

__all__ = ["BaseClient"]

_SPEAKERS_TIMEOUT = 30.0
_Self = TypeVar("_Self", bound="BaseClient")


class BaseClient(EventEmitter):
    """What `Client` and `MultiChannelClient` share. A client runs one session at a time.

    Args:
        auth: Gives the key, or is the key; by default a `StaticKeyAuth` of ``api_key``.
        api_key: The API key; by default the environment variable ``SPEECHMATICS_API_KEY``.
        url: The server, ``wss://…``; by default the environment variable ``SPEECHMATICS_RT_URL``,
            else ``wss://eu.rt.speechmatics.com/v2``.
        conn_config: Limits, proxy and TLS settings of the connection.
        reconnect: When and how often to connect again after a lost connection; None: never.
        handler_errors: ``"raise"``: an exception in a handler ends the session, and the call that
            waits for the session raises it. ``"log"``: it is logged, and the session goes on.
        sdk_identifier: The name of this client for the service (``sm-sdk`` in the URL, and
            where a temporary key is asked for).

    Raises:
        ConfigurationError: A setting is not allowed, or the server needs a key and there is none.
    """

    def __init__(
        self,
        auth: Union[AuthBase, str, None] = None,
        *,
        api_key: Optional[str] = None,
        url: Optional[str] = None,
        conn_config: Optional[ConnectionConfig] = None,
        reconnect: Optional[ReconnectPolicy] = ReconnectPolicy(),  # noqa: B008  (it is immutable)
        handler_errors: Literal["raise", "log"] = "raise",
        sdk_identifier: Optional[str] = None,
    ) -> None:
        chosen, given, address = Secret[Any](auth), Secret[Any](api_key), Secret(url)
        del auth, api_key, url  # tracebacks show arguments
        super().__init__(handler_errors=handler_errors)
        if chosen.reveal() is not None and given.reveal() is not None:
            raise ConfigurationError("auth and api_key both say which key to use: pass one.")
        if isinstance(chosen.reveal(), str):
            chosen, given = Secret(None), chosen
        if chosen.reveal() is not None and not isinstance(chosen.reveal(), AuthBase):
            raise ConfigurationError(
                f"auth is of type {type(chosen.reveal()).__name__}; allowed: a key, or an AuthBase "
                "such as StaticKeyAuth or JWTAuth"
            )
        check_kind("conn_config", conn_config, ConnectionConfig)
        check_kind("reconnect", reconnect, ReconnectPolicy)
        self._conn_config = copy.copy(conn_config) or ConnectionConfig()
        self._conn_config.to_dict()  # its fields may have been changed since they were checked
        self._reconnect = reconnect
        self._endpoint = Endpoint(
            address,
            chosen.reveal() or StaticKeyAuth(given.reveal()),
            sdk_identifier=sdk_identifier,
            allow_insecure=self._conn_config.allow_insecure,
        )
        self._session: Optional[Session] = None
        self._stopped: Optional[Session] = None
        self._dropped: Optional[weakref.finalize[Any, Any]] = None
        self._session_lock = threading.Lock()
        self._process = os.getpid()
        self._request_ids: dict[int, str] = {}
        """By process: the id of the first session, for a client that was made before a fork."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint!r})"

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._close(exc)

    # -- the running session --------------------------------------------------------------------

    def send_message(self, message: Mapping[str, object]) -> None:
        """Send a message that this client has no method for, in order with the audio.

        Args:
            message: A JSON object with its name under ``"message"``. StartRecognition, audio and
                the messages that end a session or a channel are not allowed: use the methods.

        Raises:
            ConfigurationError: The message is not allowed, or is not a JSON object with a name.
            SessionError: No session is running, or its audio has ended.

        Example:
            >>> client.start_session(audio_format=audio_format)
            >>> client.send_message({"message": "GetSpeakers", "final": True})
            >>> transcript = client.stop_session()
        """
        self._running().outbox.send_message(message)

    def update_transcription_config(
        self,
        *,
        max_delay: Optional[float] = None,
        max_delay_mode: Union[MaxDelayMode, str, None] = None,
        enable_partials: Optional[bool] = None,
        audio_filtering_config: Union[AudioFilteringConfig, Mapping[str, object], None] = None,
        conversation_config: Union[ConversationConfig, Mapping[str, object], None] = None,
    ) -> None:
        """Change settings of the running session. Settings that are not passed stay as they are.

        Args:
            max_delay: Seconds from the end of a word to its final, 0.7 to 4.
            max_delay_mode: ``"flexible"`` or ``"fixed"``.
            enable_partials: Whether the server sends partials.
            audio_filtering_config: The volume below which audio is ignored.
            conversation_config: The silence that ends an utterance.

        Raises:
            ConfigurationError: The API does not allow a value, or no setting was passed.
            SessionError: No session is running, or its audio has ended.

        Example:
            >>> client.start_session(audio_format=audio_format)
            >>> client.update_transcription_config(max_delay=1.5)
            >>> transcript = client.stop_session()
        """
        changes = MidSessionConfig(
            max_delay=max_delay,
            max_delay_mode=max_delay_mode,
            enable_partials=enable_partials,
            audio_filtering_config=audio_filtering_config,
            conversation_config=conversation_config,
        )
        if not changes.to_dict():
            raise ConfigurationError(
                "update_transcription_config was given nothing to change: pass max_delay or "
                "another."
            )
        self._running().outbox.configure(changes)

    def get_speakers(
        self, *, final: bool = False, timeout: Optional[float] = _SPEAKERS_TIMEOUT
    ) -> list[SpeakerIdentifier]:
        """Return the speakers heard so far, with identifiers to recognise them in other sessions.

        Args:
            final: Have the server send the speakers at the end of the session: this returns ``[]``
                at once, and `Transcript.speakers` has the speakers when the session has ended.
            timeout: Seconds to wait for the answer; None: no limit.

        Raises:
            SessionError: No session is running, or its audio has ended.
            TimeoutError: No answer came in time.

        Example:
            >>> config = TranscriptionConfig(diarization="speaker")
            >>> client.start_session(transcription_config=config, audio_format=audio_format)
            >>> client.send_audio(samples)
            >>> for speaker in client.get_speakers():
            ...     print(speaker.label, speaker.speaker_identifiers)
            >>> transcript = client.stop_session()
        """
        timeout = checked_timeout(timeout, at_once=True)
        session = self._running()
        if final:
            session.outbox.send_message({"message": "GetSpeakers", "final": True})
            return []
        return session.outbox.get_speakers(timeout)

    def end_of_stream(self) -> None:
        """End the audio of the session, and return at once.

        Safe from any thread and in a handler. The finals of the audio sent before still come.

        Raises:
            SessionError: No session is running.
        """
        self._running().outbox.end_of_stream()

    def stop_session(self, *, timeout: Optional[float] = None) -> Transcript:
        """End the audio, wait until all of it is transcribed and handled, and close the session.

        Called again, it returns the same transcript.

        Args:
            timeout: Seconds to wait; None: no limit. When it passes, the session is ended.

        Returns:
            The complete transcript. All handlers have run.

        Raises:
            SessionError: There is no session, a handler called this, or the session reads its own
                source.
            SpeechmaticsError: The session failed; ``error.transcript`` has what was transcribed.
            TimeoutError: ``timeout`` passed.
        """
        timeout = checked_timeout(timeout)
        self._refuse_in_handler("stop_session")
        session = self._pushed()
        if self._stopped is session:
            return session.identity.transcript
        deadline = Deadline(timeout)
        try:
            if not session.over:
                session.outbox.end_of_stream()
            session.wait_until_handled(deadline)
            session.close()
        except BaseException as error:
            if isinstance(error, SpeechmaticsError):
                session.fail(error, discard=True)
            session.close(error)
            raise
        self._stopped = session
        return session.identity.transcript

    def close(self) -> None:
        """End the session now, without waiting for the transcript. Idempotent.

        Safe from any thread and in a handler. Audio that was sent and has no final is lost; a
        WARNING says how much. Waits at most ``ConnectionConfig.close_timeout`` seconds.
        """
        self._close(None)

    # -- the current or last session ------------------------------------------------------------

    @property
    def transcript(self) -> Transcript:
        """The transcript so far, of the current or last session."""
        return Transcript() if self._session is None else self._session.identity.transcript

    @property
    def audio_bytes_sent(self) -> int:
        """Bytes of audio passed to the current or last session, each counted once."""
        return 0 if self._session is None else self._session.audio_bytes

    @property
    def audio_seconds_sent(self) -> Optional[float]:
        """Seconds of audio passed to the current or last session; None for ``file`` audio."""
        return 0.0 if self._session is None else self._session.audio_seconds

    @property
    def request_id(self) -> str:
        """The id that this client gave the current or last session, or will give the first.

        A session whose ``ws_headers`` have an ``X-Request-Id`` has that one.
        """
        if self._session is not None:
            return self._session.identity.request_id
        import uuid

        return self._request_ids.setdefault(os.getpid(), str(uuid.uuid4()))

    @property
    def session_id(self) -> Optional[str]:
        """The id that the server gave the current or last session; None before it started."""
        return None if self._session is None else self._session.identity.session_id

    @property
    def language_pack_info(self) -> Optional[LanguagePackInfo]:
        """How the session's language is written; None before the session started."""
        return None if self._session is None else self._session.identity.language_pack_info

    @property
    def stats(self) -> SessionStats:
        """The figures of the current or last session, as they are now."""
        return SessionStats() if self._session is None else self._session.stats

    # -- inside ---------------------------------------------------------------------------------

    def _begin(self, call: str, options: SessionOptions) -> Session:
        """Make a session, and make it the client's current one.

        Raises:
            SessionError: The client runs a session, or a handler of one calls this.
        """
        self._refuse_in_handler(call)
        if self._process != os.getpid():
            # The lock may have been held by another thread when the process was forked.
            self._process, self._session_lock = os.getpid(), threading.Lock()
        from .._session.session import Session

        with self._session_lock:
            current = self._session
            if current is not None and current.unfinished:
                current.identity.check_process()
                raise current.identity.attach_to(
                    SessionError(
                        "This client runs a session already, and runs one at a time: "
                        "end it first, or make another client."
                    )
                )
            first_id = self.request_id if current is None else None
            with STARTING.held():
                session = Session(
                    self._endpoint,
                    options,
                    self._conn_config,
                    self._listened,
                    self._reconnect,
                    first_id,
                    observers(),
                )
            if self._dropped is not None:
                self._dropped.detach()
            self._session = session
            self._handler_logger = session.log
            return session

    def _close(self, error: Optional[BaseException]) -> None:
        session = self._session
        if session is None:
            return
        # An interrupt ends the session on purpose, and at once.
        interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
        if not interrupted:
            session.warn_of_rest("close() ends a session that still runs")
        session.close(error)

    def _running(self) -> Session:
        if self._session is None:
            raise SessionError(
                "There is no session yet: call start_session, transcribe or stream first."
            )
        return self._session

    def _pushed(self) -> Session:
        session = self._running()
        if not session.pushed:
            raise session.identity.attach_to(
                SessionError(
                    "The audio of this session comes from its source, and the session ends with "
                    "it: call end_of_stream() to end it sooner."
                )
            )
        return session

    def _refuse_in_handler(self, call: str) -> None:
        session = self._session
        if session is not None and session.in_handler:
            raise session.identity.attach_to(
                SessionError(
                    f"{call} would wait for the handler that calls it: call it after the handler, "
                    "or in another thread."
                )
            )

    def _dispatch(self, session: Session, message: dict[str, Any]) -> None:
        name = message.get("message")
        if isinstance(name, str) and self.has_listeners(name):
            session.dispatch(self.emit, name, message)

    def _push(self, options: SessionOptions) -> SessionInfo:
        """Start a session whose audio the caller sends; return when it has started."""
        session: Optional[Session] = None
        try:
            session = self._begin("start_session", options)
            self._dropped = session.end_with(self)
            dispatch = weakly(self._dispatch, otherwise=None)
            session.start(dispatch=functools.partial(dispatch, session))
            return session.wait_until_started(Deadline(None))
        except BaseException as error:
            if session is not None:
                if isinstance(error, SpeechmaticsError):
                    session.let_handlers_finish()
                session.close(error)
            raise

    def _stream(
        self,
        call: str,
        sources: Mapping[Label, object],
        timeout: Optional[float],
        realtime: bool,
        progress: Union[bool, ProgressCallback, None],
        display: Optional[bool],
        on_interrupt: Literal["raise", "finish"],
        options: SessionOptions,
    ) -> Stream:
        """Start a session that reads its sources; return the stream of its messages."""
        from .._audio.sources import check_realtime
        from .interrupts import Interrupts
        from .stream import Stream

        timeout = checked_timeout(timeout)
        if on_interrupt not in ("raise", "finish"):
            raise ConfigurationError(
                f"on_interrupt is {on_interrupt!r}; allowed: 'raise', 'finish'"
            )
        if realtime and options.audio_format is not None:
            check_realtime(options.audio_format)
        if display is not None and not isinstance(display, bool):
            raise ConfigurationError(f"display is {display!r}; allowed: True, False")
        report = progress_report(progress)
        if display and options.transcription_config.enable_partials is None:
            options.transcription_config.enable_partials = True
        session: Optional[Session] = None
        shown: Optional[SessionDisplay] = None
        interrupts: Optional[Interrupts] = None
        try:
            session = self._begin(call, options)
            if display:
                from .display import SessionDisplay

                shown = SessionDisplay(session.log, self._listened)
                report = (shown.report() if progress is True else None) or report
            if report is not None:
                report.log = session.log
            if on_interrupt == "finish":
                interrupts = Interrupts(session)
            stream = Stream(session, self._dispatch, Deadline(timeout), report, shown, interrupts)
            if interrupts is not None:
                interrupts.install(stream)
            session.start(sources=sources, realtime=realtime)
            return stream
        except BaseException as error:
            if session is not None:
                session.close(error)
            if shown is not None:
                shown.close()
            if interrupts is not None:
                interrupts.remove()
            raise
