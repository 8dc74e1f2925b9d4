"""A talk: what one person says into a page, and what others read along.

The page sends audio over a WebSocket. A thread of the talk runs the session and keeps its lines;
whoever follows (the page itself, and readers by server-sent events) gets what is new to them. So
nothing waits for a slow reader and nothing is queued for one: a follower that was busy gets
the newest state in one piece. `LineBroadcast` does the same for the lines of one session; a talk
has several, one after the other, and says besides how they stand.

A page whose connection is lost comes back with the same key and finds its talk, and its session
if that is not more than `GRACE` ago. It sends again what was not taken. Without it, the session
ends in good order.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import logging
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Optional
from urllib.parse import urlsplit

from simple_websocket import ConnectionClosed, Server

from speechmatics_sync import (
    AudioEncoding,
    AudioFormat,
    AuthenticationError,
    Client,
    ConfigurationError,
    ConnectionError,
    ErrorType,
    Line,
    SessionEvent,
    SpeechmaticsError,
    TimeoutError,
    TranscriptionConfig,
    TranscriptionError,
    server_sent_event,
)
from speechmatics_sync.errors import MissingKeyError

log = logging.getLogger(__name__)

SOCKET_OPTIONS: dict[str, Any] = {
    "ping_interval": 10,  # seconds; a browser that does not answer is gone
    "receive_bytes": 65536,
    "max_message_size": 65536,  # a chunk of the page has a tenth of a second: 19 kB at 96 kHz
}
GRACE = 5.0
"""Seconds for which a session waits for a page that has lost its connection."""
LAST_WORDS = 10.0
"""Seconds that a session without a page has to its end in good order."""
KEPT = 600.0
"""Seconds for which the lines of a talk stay when nobody speaks."""
REFUSED = 4000
"""The code with which a page is sent away; after any other it connects again."""
MOST_TALKS = 50
MOST_LINES = 5000
"""Of a talk; older ones are dropped."""
MOST_WAITING = 500
"""Chunks of audio that a page may be ahead of its session. Ours waits long before that."""
TOLD_EVERY = 20_000
"""Bytes of audio after which a page is told that they were taken; some 0.2 seconds."""
ALIVE = 1.0
"""Seconds after which a page that speaks is sent a sign of life: without it, it connects anew."""
QUIET = 15.0
"""Seconds after which readers are sent one, which finds those that are gone."""
CONFIG = TranscriptionConfig(language="en", enable_partials=True, max_delay=2.0)


class Talk:
    """The lines of one speaker, and the session that makes them while there is audio.

    Args:
        url: The server for `Client`.
        options: More arguments for `Client`.
        taken: Bytes of the page's audio that an earlier process has taken.
    """

    def __init__(self, url: Optional[str], options: dict[str, Any], taken: int) -> None:
        self._url, self._options, self._taken = url, options, taken
        self._born = secrets.token_hex(4)
        self._changed = threading.Condition()  # guards all that follows
        self._speaker: Optional[Server] = None
        self._format = AudioFormat()
        self._thread: Optional[threading.Thread] = None
        self._client: Optional[Client] = None
        self._sessions = 0  # that have ended
        self._state, self._error = "idle", ""
        self._lines: list[Line] = []
        self._dropped = 0  # lines before those
        self._open: dict[int, Line] = {}
        self._version = 0
        self._last_used = time.monotonic()
        self._over = False

    # -- the speaker ----------------------------------------------------------------------------

    def attach(self, speaker: Server, audio_format: AudioFormat) -> None:
        """Take audio from a page's WebSocket from now on, and no more from an earlier one."""
        with self._changed:
            before, self._speaker = self._speaker, speaker
            self._format, self._error = audio_format, ""
            if self._thread is None:
                self._state = "starting"
                self._thread = threading.Thread(target=self._run, name="talk", daemon=True)
                self._thread.start()
            self._tell()
        if before is not None:
            with contextlib.suppress(ConnectionClosed, OSError):
                before.close()

    def leave(self, speaker: Server) -> None:
        """Wait until a WebSocket that has closed has another in its place, or its session ended.

        The session ends by itself when no audio comes; if the service takes none, it is closed.
        """
        with self._changed:
            ended = self._changed.wait_for(
                lambda: self._thread is None or self._speaker not in (None, speaker),
                GRACE + LAST_WORDS,
            )
            client = self._client
        if not ended and client is not None:
            client.close()

    def _detach(self, speaker: Optional[Server]) -> None:
        with self._changed:
            if self._speaker is speaker:
                self._speaker = None
                self._tell()

    def _audio(self, session: int) -> Iterator[bytes]:
        """The audio of one session: the session asks for a chunk when it can take one."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._speaker or self._sessions != session, GRACE)
                speaker = self._speaker
                if self._sessions != session:
                    return  # it has failed, and another one may run
            if speaker is None:
                break
            try:
                chunk = speaker.receive(timeout=1.0)
            except ConnectionClosed:
                self._detach(speaker)
                continue
            if isinstance(chunk, str):  # "stop" is all that it says
                self._detach(speaker)
                break
            with self._changed:
                if self._speaker is not speaker:
                    continue  # the page has another connection, and sends this again
                self._taken += len(chunk or b"")
                self._changed.notify_all()
            if chunk:
                yield chunk
        self._set_state("finishing")

    # -- the session ----------------------------------------------------------------------------

    def _run(self) -> None:
        """Run sessions, one after the other, for as long as there is a speaker."""
        while True:
            error = self._run_session()
            with self._changed:
                self._sessions += 1
                self._open.clear()
                if error:
                    self._speaker, self._error = None, error
                if self._speaker is None:
                    self._state, self._thread = "idle", None
                    self._last_used = time.monotonic()
                self._tell()
                if self._thread is None:
                    return

    def _run_session(self) -> str:
        """Run a session to its end; return what is wrong, in words for the page's user."""
        self._set_state("starting")
        audio = self._audio(self._sessions)
        first = next(audio, None)
        if first is None:
            return ""
        try:
            with Client(url=self._url, **self._options) as client:
                self._client = client
                client.on(SessionEvent.RECONNECTING, lambda _: self._set_state("recovering"))
                client.on(SessionEvent.RECONNECTED, lambda _: self._set_state("listening"))
                with client.stream(
                    itertools.chain([first], audio),
                    audio_format=self._format,
                    transcription_config=CONFIG,
                    collect=False,
                ) as stream:
                    self._set_state("listening", after="starting")
                    for line in stream.lines():
                        self._add(line)
        except SpeechmaticsError as error:
            log.error("%s: %s", type(error).__name__, error)  # details are not for the user
            return words_for(error)
        except Exception:
            log.exception("The talk has failed.")
            return "Something is wrong with this server."
        return ""

    def _add(self, line: Line) -> None:
        with self._changed:
            self._open.pop(line.id, None)
            if not line.is_final:
                self._open[line.id] = line
            elif line.text:
                self._lines.append(line)
                if len(self._lines) > MOST_LINES:
                    del self._lines[0]
                    self._dropped += 1
            self._tell()

    def _set_state(self, state: str, after: Optional[str] = None) -> None:
        with self._changed:
            if after in (None, self._state):
                self._state = state
                self._tell()

    def _tell(self) -> None:
        """Wake the followers. Call it under the lock."""
        self._version += 1
        self._changed.notify_all()

    # -- followers ------------------------------------------------------------------------------

    def follow(
        self, seen: str, *, quiet: float, audio: bool = False
    ) -> Iterator[Optional[dict[str, Any]]]:
        """What there is to see, now and whenever it has changed; None after a quiet time.

        Args:
            seen: The mark ``seen`` of the last message that the follower has: it gets the lines
                after that one.
            quiet: Seconds without news.
            audio: Whether to tell how many bytes of audio were taken.
        """
        born, _, number = seen.partition(":")
        have = int(number) if born == self._born and number.isdecimal() else 0
        version, taken = -1, -1

        def news() -> bool:
            behind = self._taken - taken if audio else 0
            return self._version != version or behind >= TOLD_EVERY

        while True:
            message: Optional[dict[str, Any]] = None
            with self._changed:
                happened = self._changed.wait_for(news, quiet)
                if self._over:
                    return
                if happened or (audio and self._taken != taken):
                    version, taken = self._version, self._taken
                    final = self._lines[max(0, have - self._dropped) :]
                    still_open = list(self._open.values())
                    have = self._dropped + len(self._lines)
                    message = {
                        "state": self._state,
                        "error": self._error,
                        "final": [line.to_dict() for line in final],
                        "open": [line.to_dict() for line in still_open],
                        "seen": f"{self._born}:{have}",
                    }
                    if audio:
                        message["taken"] = taken
            yield message

    # -- its end --------------------------------------------------------------------------------

    def end_if_unused(self, seconds: float) -> bool:
        """End it for its followers, if nobody has spoken for so long."""
        with self._changed:
            unused = self._thread is None and time.monotonic() > self._last_used + seconds
            if unused:
                self._over = True
                self._tell()
            return unused


class Talks:
    """The talks of this process.

    Args:
        url: The server for `Client`; None for the one in the environment.
        options: More arguments for `Client`.
    """

    def __init__(self, url: Optional[str] = None, **options: Any) -> None:
        self._url, self._options = url, options
        self._lock = threading.Lock()  # guards the talks
        self._talks: dict[str, Talk] = {}

    def speak(self, speaker: Server, environ: dict[str, Any]) -> None:
        """Serve the WebSocket of a page that speaks, until it closes or the talk has ended.

        Its first message is a JSON object with ``key``, a secret of the page, by which it finds its
        talk again; ``rate``, the samples per second; ``taken``, the bytes of audio that were taken;
        and ``seen``, the mark of the last lines that it has. Audio follows, and ``stop``.
        """
        end_with_its_peer(speaker)
        why, talk = "", None
        try:
            if not _same_origin(environ):
                raise ValueError("Another site's page may not speak here.")
            first = json.loads(speaker.receive(timeout=10) or "{}")
            audio_format = AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=first["rate"])
            talk_id = _id_of(str(first["key"]))
            talk = self._talk(talk_id, int(first["taken"]))
            talk.attach(speaker, audio_format)
            for message in talk.follow(str(first["seen"]), quiet=ALIVE, audio=True):
                if not speaker.connected:
                    break
                if len(speaker.input_buffer) > MOST_WAITING:
                    why = "The page sends more than it was asked for."
                    break
                news = {**message, "talk": talk_id} if message else {}  # at least a sign of life
                speaker.send(json.dumps(news))
                if message and message["state"] == "idle":
                    break
        except (ConnectionClosed, OSError):
            pass
        except ConfigurationError as error:
            why = error.message
        except (KeyError, TypeError, ValueError) as error:
            why = str(error)
        close(speaker, REFUSED if why else 1000, why[:100])
        if talk is not None:
            talk.leave(speaker)

    def read(self, talk_id: str, seen: str) -> Iterator[str]:
        """The events of a talk for a page that reads along.

        Args:
            talk_id: The talk's id, which is no secret of the speaker.
            seen: The last mark of a page that had lost its connection: ``Last-Event-ID``, or
                ``seen`` in its address if the page itself has connected again.
        """
        with self._lock:
            talk = self._talks.get(talk_id)
        if talk is not None:
            for message in talk.follow(seen, quiet=QUIET):
                if message is None:
                    yield server_sent_event({})  # a sign of life
                else:
                    yield server_sent_event(message, id=message["seen"])
        yield server_sent_event("This talk is over.", event="over")

    def _talk(self, talk_id: str, taken: int) -> Talk:
        with self._lock:
            patience = KEPT if len(self._talks) < MOST_TALKS else 0.0
            for other in [id for id, talk in self._talks.items() if talk.end_if_unused(patience)]:
                del self._talks[other]
            if talk_id not in self._talks:
                if len(self._talks) >= MOST_TALKS:
                    raise ValueError("Too many people speak here at once. Try again in a while.")
                self._talks[talk_id] = Talk(self._url, self._options, taken)
            return self._talks[talk_id]


def _id_of(key: str) -> str:
    """The talk's id, for its readers. It does not let them speak, as the key would."""
    if len(key) < 32:
        raise ValueError("The key is too short.")
    return hashlib.sha256(key.encode()).hexdigest()[:24]


def _same_origin(environ: dict[str, Any]) -> bool:
    """Whether a WebSocket is from a page of this host: browsers let every page open one."""
    origin: str = environ.get("HTTP_ORIGIN", "")
    return urlsplit(origin).netloc == environ.get("HTTP_HOST")


def end_with_its_peer(speaker: Server) -> None:
    """Have the system end a connection whose peer has acknowledged nothing for 20 seconds.

    Without it, sending to a telephone that has left the network blocks for a quarter of an hour.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        speaker.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000)


def close(speaker: Server, code: int = 1000, reason: str = "") -> None:
    """Close a WebSocket for good: what the web server would still write is no part of it."""
    with contextlib.suppress(ConnectionClosed, OSError):
        speaker.close(code, reason)
    speaker.thread.join(2.0)  # until the page has answered
    with contextlib.suppress(OSError):
        speaker.sock.shutdown(socket.SHUT_RDWR)
    speaker.thread.join()


def words_for(error: SpeechmaticsError) -> str:
    """What is wrong, for people who cannot look into the log."""
    if isinstance(error, MissingKeyError):
        return "This server has no key for the speech service: SPEECHMATICS_API_KEY is not set."
    if isinstance(error, AuthenticationError):
        return "The speech service refuses this server's key. Whoever runs it must check the key."
    if isinstance(error, TranscriptionError) and error.type == ErrorType.QUOTA_EXCEEDED:
        return "The speech service is busy: too many sessions at once. Try again in a minute."
    if isinstance(error, (ConnectionError, TimeoutError)):
        return "The speech service cannot be reached. Try again in a minute."
    return "The speech service has ended the session. Try again."
