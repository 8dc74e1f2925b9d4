"""The threads of one session, and how it ends them when a user's code does not return."""

from __future__ import annotations

import _thread
import queue
import threading
import time
import weakref
from typing import Any, Callable, Generic, Optional, TypeVar

from ..errors import ConnectionError
from .deadlines import Deadline, interruptible
from .exhaustion import exhausted

__all__ = ["Threads", "interruptible_call", "start_daemon", "start_thread"]

_T = TypeVar("_T")

_USER_CODE_GRACE = 0.25
"""Seconds for a thread to return from a user's read or handler before it is left alone."""

_INFORMING_GRACE = 1.0
"""Seconds for what only informs, such as a user's logging handler, before it is left alone."""


class _Call(Generic[_T]):
    """A call that a worker makes for another thread.

    Its own, not a `concurrent.futures.Future`: that costs more, and each sent chunk makes one.
    """

    def __init__(self, call: Callable[[], _T]) -> None:
        self._call = call
        self._returned: list[_T] = []
        self._raised: list[BaseException] = []
        self._done = threading.Lock()
        self._done.acquire()

    def make(self) -> None:
        try:
            self._returned.append(self._call())
        except BaseException as error:
            self._raised.append(error)

    def done(self) -> None:
        self._done.release()

    def run(self) -> None:
        self.make()
        self.done()

    def result(self) -> _T:
        """Wait until the call was made; return or raise what it did."""
        while not self._done.acquire(timeout=interruptible(None) or -1):
            pass
        if self._raised:
            try:
                raise self._raised[0]
            finally:
                self._raised.clear()  # or the error would hold itself, through this frame
        return self._returned[0]


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        ConnectionError: The system has none left.
    """
    try:
        _start(thread)
    except (RuntimeError, MemoryError) as error:
        raise exhausted(error) or error from None


def _start(thread: threading.Thread) -> None:
    """Start a thread; in the main thread, have another one start it.

    `Thread.start` waits with locks that the new thread needs. A KeyboardInterrupt between two steps
    of that leaves one released, and the new thread dies of it before it runs.
    """
    # Not `current_thread`: in a thread that C made, that leaves an object behind for good.
    if threading.get_ident() != threading.main_thread().ident:
        thread.start()
        return
    starts = _Call(thread.start)
    _thread.start_new_thread(starts.run, ())
    starts.result()


def start_daemon(call: Callable[[], None]) -> None:
    """Make a call of a user's code that only informs, in a thread that nobody waits for."""
    _start(threading.Thread(target=call, name="speechmatics-log", daemon=True))


def interruptible_call(call: Callable[[], _T]) -> _T:
    """Make a call that may block in C, and return or raise what it does.

    In the main thread, a KeyboardInterrupt would wait for its end. So it is made in a thread of its
    own, which an interrupt leaves alone.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    made = _Call(call)
    start_thread(threading.Thread(target=made.run, name="speechmatics-call", daemon=True))
    return made.result()


class _InUserCode:
    """The context of `Threads.in_user_code`.

    Not a generator: each read of a source and each call of a handler enters it, and a generator
    takes four times as long.
    """

    __slots__ = ("_grace", "_marked", "_thread")

    def __init__(self, marked: dict[threading.Thread, float], grace: float) -> None:
        self._marked = marked
        self._grace = grace
        self._thread = threading.current_thread()

    def __enter__(self) -> None:
        self._marked[self._thread] = self._grace

    def __exit__(self, *exc: object) -> None:
        self._marked.pop(self._thread, None)


class Threads:
    """The threads of one session.

    A thread inside a user's code (a ``read``, a handler, an `AuthBase`) may never return. `join`
    waits for it only briefly, and the thread touches nothing when it does return.

    Args:
        name: The session's part of the threads' names.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._started: list[weakref.ref[threading.Thread]] = []
        """Weak, so that a session does not keep what the thread that connected it left."""
        self._background: list[threading.Thread] = []
        self._in_user_code: dict[threading.Thread, float] = {}
        self._joining_since: Optional[float] = None
        self._calls: queue.SimpleQueue[Optional[_Call[Any]]] = queue.SimpleQueue()
        self._workers = 0
        self._idle: list[None] = []  # one item for each worker that waits for a call
        self._stopping = False

    def start(self, role: str, run: Callable[..., None], *args: object) -> threading.Thread:
        """Start a thread and return it.

        Raises:
            ConnectionError: The system has none left.
        """
        thread = self._thread(role, run, *args)
        started = weakref.ref(thread)
        self._started.append(started)
        try:
            start_thread(thread)
        except Exception:  # an interrupt only ends the wait for its start
            self._started.remove(started)
            raise
        return thread

    def in_background(self, call: Callable[[], None]) -> None:
        """Make a call of a user's code that only informs, in a thread of its own.

        `join` waits for it last, so that it may tell how the other threads ended.

        Raises:
            RuntimeError: There are too many threads, or the interpreter ends.
        """

        def run() -> None:
            with self.in_user_code(_INFORMING_GRACE):
                call()

        thread = self._thread("log", run)
        self._background = [each for each in self._background if each.is_alive()]
        _start(thread)
        self._background.append(thread)

    def _thread(self, role: str, run: Callable[..., None], *args: object) -> threading.Thread:
        name = f"speechmatics-{self._name}-{role}"
        return threading.Thread(target=run, args=args, name=name, daemon=True)

    def shielded(self, call: Callable[[], _T]) -> _T:
        """Make a call that no signal can cut in two; return or raise what it does.

        Only the main thread receives signals, and a KeyboardInterrupt can come at any line of it.
        So its calls are made in a worker thread: an interrupt ends the wait for the call, and the
        call itself is still made whole.

        The worker is kept for the next call. One for each call would be slower, and would lose
        signals: what frees a `threading.Thread` runs as a weak reference's callback, often in the
        main thread, and a KeyboardInterrupt that comes inside it is ignored.
        """
        if self._stopping or threading.current_thread() is not threading.main_thread():
            return call()
        made = _Call(call)
        try:
            self._idle.pop()
        except IndexError:  # no worker yet, or an interrupted call still goes on
            try:
                self._add_worker()
            except ConnectionError:
                return call()  # without a thread there is no shield; interrupts are rare
        # An interrupt before the next line leaves a worker more than needed; `join` knows it.
        self._calls.put(made)
        if self._stopping:
            self._make_rest()  # the workers may have ended before they saw the call
        return made.result()

    def stop_workers(self) -> None:
        """End the threads of `shielded`, after the calls that they were given."""
        self._stopping = True
        for _ in range(self._workers):
            self._calls.put(None)

    def _add_worker(self) -> None:
        self._workers += 1
        if self._stopping:
            self._calls.put(None)
        try:
            self.start("call", self._work)
        except Exception:
            self._workers -= 1
            raise

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            if call is None:
                return
            call.make()
            self._idle.append(None)
            call.done()
            del call  # and with it what the call holds

    def _make_rest(self) -> None:
        """Have a thread of its own make the calls that no worker may see any more."""
        try:
            self.start("call", self._work_off)
        except ConnectionError:  # no thread is left
            self._work_off()

    def _work_off(self) -> None:
        """Make every call of the queue, and leave what ends the workers."""
        ends = 0
        while True:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                break
            if call is None:
                ends += 1
            else:
                call.run()
        for _ in range(ends):
            self._calls.put(None)

    def in_user_code(self, grace: float = _USER_CODE_GRACE) -> _InUserCode:
        """Mark the calling thread as inside a user's code, while the context lasts.

        Args:
            grace: Seconds that `join` waits for it nevertheless.
        """
        return _InUserCode(self._in_user_code, grace)

    def join(self, deadline: Deadline) -> bool:
        """Wait for every thread but the calling one; return whether all ended.

        A thread that is left inside a user's code counts as ended.
        """
        self.stop_workers()
        self._joining_since = self._joining_since or time.monotonic()
        started = [thread for each in self._started if (thread := each()) is not None]
        left = [thread for thread in started if not self._joined(thread, deadline)]
        return self.join_background(deadline) and not left

    def join_background(self, deadline: Deadline) -> bool:
        """Wait for what only informs; return whether it has ended, or is left in a user's code."""
        self._joining_since = self._joining_since or time.monotonic()
        left = [thread for thread in self._background if not self._joined(thread, deadline)]
        return not left

    def _joined(self, thread: threading.Thread, deadline: Deadline) -> bool:
        if thread is threading.current_thread():
            return True
        while thread.is_alive() and not deadline.passed():
            grace = self._in_user_code.get(thread)
            if grace is not None and time.monotonic() - (self._joining_since or 0.0) > grace:
                return True
            thread.join(deadline.remaining(at_most=0.05))
        return not thread.is_alive() or thread in self._in_user_code
