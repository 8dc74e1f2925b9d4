"""What is done, kept in a file that several runs share."""

from __future__ import annotations

import contextlib
import enum
import io
import os
import pickle
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional, Union

from .._concurrency.processes import Process, this_process
from .._logs import logger
from .._model.checks import boolean, number
from .._model.secret import Secret
from .._model.settings import argument
from .._transcript.transcript import Transcript
from ..errors import ConfigurationError, SessionError
from .jobs import Job
from .sources import Identity, identity_of

__all__ = ["Claim", "Done", "Ledger", "OpenLedger"]

_VERSION = 1
"""Of the tables."""

_TABLES = """
CREATE TABLE IF NOT EXISTS done (
    source TEXT, settings TEXT, version TEXT, transcript BLOB, seconds REAL, finished_at TEXT,
    PRIMARY KEY (source, settings));
CREATE TABLE IF NOT EXISTS claims (
    source TEXT, settings TEXT, run INTEGER, PRIMARY KEY (source, settings));
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT, pid INTEGER, beats INTEGER);
"""

_BUSY = 60.0
"""Seconds to wait for another process that writes."""


class Ledger:
    """A file that keeps what is done, for `transcribe_many`.

    It is an SQLite database on a disk of this machine. A run that is given one does not transcribe
    again what is in it, and gives its transcript. Several runs may share one: each source is
    transcribed by one of them, and all give its transcript. What a run had begun that was killed,
    another one does.

    A source is known by its absolute path, its size and the time of its last change (bytes by their
    hash), and by what is asked for: with another language it is another one. One that has changed
    is transcribed again.

    Args:
        path: The file; the first run makes it.
        content: Tell by a hash of its content whether a file has changed, not by its size and time.
        lease: Seconds without a sign of life after which another run counts as ended. Where it ran
            on this machine, that is known at once.

    Raises:
        ConfigurationError: ``path`` is not a file, but a URL.

    Example:
        >>> ledger = Ledger("done.sqlite", content=True)
        >>> for job in transcribe_many(["agent.wav", "customer.wav"], ledger=ledger):
        ...     print(job.source, job.attempts)
        >>> len(list(ledger))
        2
    """

    __module__ = "speechmatics_sync"  # which loads this one only when it is needed

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        *,
        content: bool = False,
        lease: float = 30.0,
    ) -> None:
        given = Secret(path)
        del path  # tracebacks show arguments, and a URL may hold a password
        problem = _problem(given)
        if problem is not None:
            raise ConfigurationError(
                f"a ledger is {problem}; allowed: the path of a file, which is or will be an "
                "SQLite database"
            )
        self.path = os.fsdecode(given.reveal())
        self.content: bool = argument("content", content, boolean)
        self.lease: float = argument("lease", lease, number(above=0, unit="seconds"))

    def __repr__(self) -> str:
        return f"Ledger({self.path!r})"

    def __iter__(self) -> Iterator[Job]:
        """Give what is done: the name of each source and its transcript.

        Raises:
            ConfigurationError: The file is no ledger, or is not there.
        """
        if not os.path.exists(self.path):
            raise ConfigurationError(
                f"there is no ledger {self.path!r}: pass it to transcribe_many first"
            )
        with contextlib.closing(connect(self.path)) as connection:
            for name, transcript, seconds in connection.execute(
                "SELECT source, transcript, seconds FROM done ORDER BY finished_at, source"
            ):
                yield Job(name, _unpickled(transcript), None, seconds, 0)


def _problem(secret: Secret[Any]) -> Optional[str]:
    """Return what a path is that is none. Does not raise: it has the path in a variable."""
    path = secret.reveal()
    if not isinstance(path, (str, os.PathLike)):
        return f"of type {type(path).__name__}"
    name = os.fsdecode(path)
    url = re.match(r"([a-z][a-z0-9+.-]+):/", name, re.IGNORECASE)
    if url:
        return f"a URL of {url[1]}"
    return repr(name) if name in ("", ":memory:") or "\0" in name else None


def connect(path: str) -> Any:
    """Open a ledger's file, and make what is not there yet.

    Raises:
        ConfigurationError: It is no ledger, or cannot be opened.
    """
    try:
        import sqlite3
    except ImportError:
        raise ConfigurationError(
            "A ledger needs sqlite3, which this Python lacks: install one that has it."
        ) from None
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ConfigurationError(
            f"{path!r} cannot be a ledger: there is no folder {folder!r}. Make it first."
        )
    connection = None
    try:
        # Some builds of SQLite take a name that begins with "file:" for a URL, unlike a whole path.
        connection = sqlite3.connect(os.path.abspath(path), timeout=_BUSY, isolation_level=None)
        with connection:
            connection.execute("BEGIN")  # one look at both
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if version == 0 and not tables:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(
                f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={_VERSION}; COMMIT;"
            )
        elif version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"version {version} of its tables is not known")
        elif version == 0 or not {"done", "claims", "runs"} <= tables:
            raise sqlite3.DatabaseError("it is the database of something else")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise ConfigurationError(
            f"{path!r} cannot be a ledger: {error}. Name another file."
        ) from error
    return connection


class Claim(enum.Enum):
    """Who transcribes a source."""

    OURS = enum.auto()
    OTHERS = enum.auto()


class Done(NamedTuple):
    """A source that was transcribed before."""

    transcript: Transcript
    seconds: float


class _Seen(NamedTuple):
    """How often another run had given a sign of life, and since when it was no more often."""

    beats: int
    since: float


class OpenLedger:
    """A ledger in use by one run. A context manager: one thread enters it and calls the rest.

    Args:
        ledger: The ledger.
        settings: What is asked for.
        any_kind: Whether sources may be of any kind.
    """

    def __init__(self, ledger: Ledger, settings: str, *, any_kind: bool) -> None:
        self._ledger = ledger
        self._settings = settings
        self._any_kind = any_kind
        self._seen: dict[int, _Seen] = {}
        self._beat_at = 0.0
        self._run = 0
        self._connection: Any = None

    def identity_of(self, source: object) -> Identity:
        """Return how a source is known again; in any thread.

        Raises:
            AudioError: It cannot be read.
            ConfigurationError: It cannot be known again.
        """
        return identity_of(source, content=self._ledger.content, any_kind=self._any_kind)

    def __enter__(self) -> OpenLedger:
        self._connection = connect(self._ledger.path)
        me = this_process()
        try:
            with self._writing():
                self._run = self._connection.execute(
                    "INSERT INTO runs (host, pid, beats) VALUES (?, ?, 0)", me
                ).lastrowid
        except BaseException:
            self._connection.close()
            raise
        self._beat_at = time.monotonic()
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            with self._writing():
                self._forget(self._run)
        except SessionError as error:
            logger.warning("%s; what this run had begun is free when it has ended", error)
        finally:
            self._connection.close()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        import sqlite3

        try:
            yield
        except sqlite3.Error as error:
            raise SessionError(
                f"The ledger {self._ledger.path!r} failed: {error}. What is done is in it: begin "
                "again with it."
            ) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction."""
        with self._reading():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def next_beat(self) -> float:
        """Give a sign of life if it is time, and return the seconds until the next."""
        every = self._ledger.lease / 6
        if time.monotonic() - self._beat_at >= every:
            with self._writing():
                # Inserted anew if another run took this one for dead: the machine may have slept.
                self._connection.execute(
                    "INSERT INTO runs (id, host, pid, beats) VALUES (?, ?, ?, 1) "
                    "ON CONFLICT (id) DO UPDATE SET beats = beats + 1",
                    (self._run, *this_process()),
                )
            self._beat_at = time.monotonic()
        return max(0.0, self._beat_at + every - time.monotonic())

    def claim(self, identity: Identity) -> Union[Claim, Done]:
        """Take a source, if it is not done and nobody has it.

        Raises:
            ConfigurationError: What the file holds is no transcript.
            SessionError: The file cannot be written.
        """
        key = (identity.name, self._settings)
        with self._reading():
            done = self._done(key, identity.version)
        if done is not None:
            return done
        with self._writing():
            done = self._done(key, identity.version)
            if done is not None:
                return done
            holder = self._connection.execute(
                "SELECT run FROM claims WHERE source = ? AND settings = ?", key
            ).fetchone()
            if holder is not None:
                # This run itself has it if it was given the source twice.
                if holder[0] == self._run or self._is_alive(holder[0]):
                    return Claim.OTHERS
                self._forget(holder[0])
            self._connection.execute("INSERT INTO claims VALUES (?, ?, ?)", (*key, self._run))
        return Claim.OURS

    def _done(self, key: tuple[str, str], version: str) -> Optional[Done]:
        row = self._connection.execute(
            "SELECT transcript, seconds FROM done "
            "WHERE source = ? AND settings = ? AND version = ?",
            (*key, version),
        ).fetchone()
        return None if row is None else Done(_unpickled(row[0]), row[1])

    def settle(self, identity: Identity, transcript: Optional[Transcript], seconds: float) -> None:
        """Keep what was transcribed, or without a transcript leave the source to others."""
        key = (identity.name, self._settings)
        with self._writing():
            if transcript is not None:
                self._connection.execute(
                    "INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?, datetime('now'))",
                    (*key, identity.version, pickle.dumps(transcript, 4), seconds),
                )
            self._connection.execute(
                "DELETE FROM claims WHERE source = ? AND settings = ? AND run = ?",
                (*key, self._run),
            )

    def _is_alive(self, run: int) -> bool:
        row = self._connection.execute(
            "SELECT host, pid, beats FROM runs WHERE id = ?", (run,)
        ).fetchone()
        if row is None or Process(row[0], row[1]).has_ended:
            return False
        now = time.monotonic()
        seen = self._seen.get(run)
        if seen is None or seen.beats != row[2]:
            self._seen[run] = _Seen(row[2], now)
            return True
        return now - seen.since < self._ledger.lease

    def _forget(self, run: int) -> None:
        self._connection.execute("DELETE FROM claims WHERE run = ?", (run,))
        self._connection.execute("DELETE FROM runs WHERE id = ?", (run,))


class _Transcripts(pickle.Unpickler):
    """Loads transcripts: a file that others may write can make nothing else of this process."""

    def find_class(self, module: str, name: str) -> Any:
        if module != "speechmatics_sync" or name not in _PICKLED:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a transcript")
        return super().find_class(module, name)


_PICKLED = {"AudioEvent", "LanguagePackInfo", "SpeakerIdentifier", "Transcript"}


def _unpickled(data: bytes) -> Transcript:
    try:
        transcript = _Transcripts(io.BytesIO(data)).load()
    except Exception as error:  # pickle raises anything for what it cannot read
        raise ConfigurationError(
            f"The ledger holds no transcript: {error}. Remove the file, or name another."
        ) from error
    if not isinstance(transcript, Transcript):
        raise ConfigurationError(
            "The ledger holds no transcript: remove the file, or name another."
        )
    return transcript
