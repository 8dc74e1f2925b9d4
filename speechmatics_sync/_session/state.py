"""Where a session stands, as a table of states and transitions, and how it ended.

`TRANSITIONS` is all that can happen to a session, and only `Lifecycle` makes it happen. What the
server says over one connection has a table of its own (`leg.TRANSITIONS`): a session goes from
RUNNING to RECONNECTING and back as one leg follows another.
"""

from __future__ import annotations

import contextlib
import copy
import enum
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Callable, Optional

from .._concurrency.deadlines import Deadline, interruptible
from ..errors import SessionError, SpeechmaticsError, TimeoutError
from .identity import Identity

__all__ = ["TRANSITIONS", "Cause", "Lifecycle", "SessionState"]


_PACKAGE = __name__.partition(".")[0]


class SessionState(enum.Enum):
    """Where a session stands: what it waits for, and whether it is over."""

    PREPARING = "the audio format", False
    CONNECTING = "the first RecognitionStarted", False
    RUNNING = "audio, and what the server says", False
    RECONNECTING = "RecognitionStarted on another connection", False
    TRANSCRIBED = "handlers to be given the last messages", True
    HANDLED = "nothing: it ended well", True
    FAILED = "nothing: it ended with an error", True
    LEFT = "nothing: it runs on in the process before the fork", True

    def __init__(self, _awaited: str, over: bool) -> None:
        # An attribute, not a property: it is read for every chunk.
        self.over = over


class Cause(enum.Enum):
    """What moves a session from one state to the next."""

    PREPARED = "the audio format is known"
    STARTED = "RecognitionStarted, and no earlier connection has more to say"
    REPLACED = "the connection is lost or near its end, and another is made"
    TRANSCRIBED = "EndOfTranscript, all audio acknowledged"
    HANDLED = "handlers were given every message"
    FAILURE = "an error, a limit, or close()"
    FORKED = "close() in a child process"


_ENDS = {Cause.FAILURE: SessionState.FAILED, Cause.FORKED: SessionState.LEFT}

TRANSITIONS: Mapping[SessionState, Mapping[Cause, SessionState]] = {
    SessionState.PREPARING: {Cause.PREPARED: SessionState.CONNECTING, **_ENDS},
    SessionState.CONNECTING: {
        Cause.STARTED: SessionState.RUNNING,
        Cause.REPLACED: SessionState.RECONNECTING,
        **_ENDS,
    },
    SessionState.RUNNING: {
        Cause.REPLACED: SessionState.RECONNECTING,
        Cause.TRANSCRIBED: SessionState.TRANSCRIBED,
        **_ENDS,
    },
    SessionState.RECONNECTING: {Cause.STARTED: SessionState.RUNNING, **_ENDS},
    SessionState.TRANSCRIBED: {Cause.HANDLED: SessionState.HANDLED, **_ENDS},
    SessionState.HANDLED: {},
    SessionState.FAILED: {},
    SessionState.LEFT: {},
}


class Lifecycle:
    """The state of one session, how it ended, and the lock of all that its threads share.

    The lock is reentrant: a signal handler may close the session in a thread that holds it.

    Args:
        identity: Which session it is.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self.lock = threading.RLock()
        self.progressed = threading.Condition(self.lock)
        """Notified when the state changes, a question is answered, or audio may have room."""

        # Written with the lock held, except in a forked process; any thread may read it without.
        self.state = SessionState.PREPARING

        # Set once, at the first RecognitionStarted, with the lock held; any thread may read it.
        # The start of the audio, by the monotonic clock, for sources that are paced.
        self.started_at: Optional[float] = None

        # Written with the lock held, and before the state becomes FAILED: a thread that sees that
        # state may read them without.
        self.failure: Optional[BaseException] = None
        self._failed_at: Optional[TracebackType] = None

        # Guarded by the lock.
        self._shortfall: Optional[BaseException] = None
        self._when_over: list[Callable[[], None]] = []

        # Set without the lock, for the garbage collector may do it in any thread, at any line. So
        # it is no state: the receiver turns it into one.
        self.abandoned = False

    # -- transitions ----------------------------------------------------------------------------

    def move(self, cause: Cause) -> None:
        """Go to the state that the table says. Needs the lock."""
        self.state = TRANSITIONS[self.state][cause]
        self.progressed.notify_all()

    def connected(self) -> None:
        """Recognition has started, on the first or another connection. Needs the lock."""
        if self.started_at is None:
            self.started_at = time.monotonic()
        self.move(Cause.STARTED)

    def finish(self, failure: Optional[BaseException] = None) -> None:
        """End the session, well if there is no failure, unless it is over. Needs the lock."""
        if self.state.over:
            return
        failure = failure or self._shortfall
        if failure is None:
            self.move(Cause.TRANSCRIBED)
        else:
            self._fail(failure)
        with contextlib.ExitStack() as calls:  # each is made, even if another one fails
            for call in self._when_over:
                calls.callback(call)
            self._when_over.clear()
            # First, or the next session's records could come before it: these calls let waiters go.
            calls.callback(self._log_end, failure)

    def _log_end(self, failure: Optional[BaseException]) -> None:
        if failure is None:
            self._identity.log.info("Session ended, everything transcribed")
        else:
            self._identity.log.info("Session ended: %s", type(failure).__name__)

    def fail_at_end(self, failure: BaseException) -> None:
        """Have the session end with an error when all is transcribed. Needs the lock."""
        self._shortfall = self._shortfall or failure

    def give_up_handling(self, failure: BaseException) -> None:
        """End with an error what is transcribed and not handled to its end. Needs the lock."""
        if self.state is SessionState.TRANSCRIBED:
            self._fail(failure)

    def leave_to_parent(self) -> None:
        """End the copy of the session that a fork made in this process.

        Takes no lock: the thread that held it at the fork does not exist here.
        """
        if Cause.FORKED in TRANSITIONS[self.state]:
            self.state = TRANSITIONS[self.state][Cause.FORKED]

    def when_over(self, call: Callable[[], None]) -> None:
        """Call something, which must not block, once the session is over."""
        with self.lock:
            if not self.state.over:
                self._when_over.append(call)
                return
        call()

    def _fail(self, failure: BaseException) -> None:
        if isinstance(failure, SpeechmaticsError):
            self._identity.attach_to(failure)
        self.failure, self._failed_at = failure, failure.__traceback__
        _release_frames(self._failed_at)
        self.move(Cause.FAILURE)

    def forget_failure(self) -> None:
        """Keep only what later calls say of what ended the session, which was closed.

        The error itself holds the frames that it came through, and they hold the session. Takes no
        lock: the garbage collector may call this in any thread, at any line.
        """
        if self.failure is not None:
            kept = self._copy_of(self.failure)
            kept.__cause__ = None
            self.failure, self._failed_at = kept, None

    # -- waiting --------------------------------------------------------------------------------

    def raise_failure(self) -> None:
        """Raise what ended the session, unless it ended well or still runs."""
        if self.failure is not None:
            # With its first traceback, or that would grow each time it is raised.
            raise self._to_raise(self.failure).with_traceback(self._failed_at)

    def _to_raise(self, failure: BaseException) -> BaseException:
        """Return what was raised before as it is, anything else as a copy.

        An error that is raised holds the frames of its callers, and they hold the session: if the
        session held that error, it would be freed by the garbage collector alone.
        """
        return failure if self._failed_at is not None else self._copy_of(failure)

    def _copy_of(self, failure: BaseException) -> BaseException:
        copied: Optional[BaseException] = None
        with contextlib.suppress(Exception):  # of a user's class, which may not allow it
            copied = copy.copy(failure)
        if copied is None or type(copied) is not type(failure) or copied.args != failure.args:
            ended = SessionError(
                f"The session was ended by {type(failure).__name__}: see where that was raised."
            )
            return self._identity.attach_to(ended)  # type: ignore[no-any-return]
        copied.__cause__ = failure.__cause__
        return copied

    def wait_until_prepared(self) -> bool:
        """Block until the audio format is known; return False if the session is over."""
        with self.lock:
            while self.state is SessionState.PREPARING:
                self.progressed.wait()
            return not self.state.over

    def wait_until_started(self) -> bool:
        """Block until recognition has ever started; return False if the session is over."""
        with self.lock:
            while self.started_at is None and not self.state.over:
                self.progressed.wait()
            return not self.state.over

    def wait_for_progress(self, deadline: Deadline, missing: str) -> None:
        """Wait for `progressed`. Needs the lock.

        Args:
            deadline: Limits the wait.
            missing: What has not happened yet, for the error.

        Raises:
            TimeoutError: ``deadline`` had passed.
        """
        if deadline.passed():
            raise self._identity.attach_to(
                TimeoutError(
                    f"{missing} within timeout ({deadline.seconds} s): pass a larger one, or None."
                )
            )
        self.progressed.wait(interruptible(deadline.remaining()))


def _release_frames(traceback: Optional[TracebackType]) -> None:
    """Empty those frames of ours that have ended, or an error that is kept would keep a client."""
    while traceback is not None:
        frame = traceback.tb_frame
        if str(frame.f_globals.get("__name__")).startswith(f"{_PACKAGE}."):
            with contextlib.suppress(RuntimeError):  # it has not ended
                frame.clear()
        traceback = traceback.tb_next
