"""One thread for each channel of a session.

The connection's own thread receives. In a session by channel it only queues what it receives; the
channel's thread recognises it and sends the results, acknowledgements included. So a channel that
is slow to recognise delays no other.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import Optional

from websockets.exceptions import ConnectionClosed

from ._sender import Sender, SessionOver
from ._session import Work

__all__ = ["ChannelThreads"]

_MAX_QUEUED_BYTES = 1 << 20
_MAX_QUEUED_ITEMS = 1024
"""Limits of one channel's queue. When it is full, nothing more is received, and TCP slows the
client down. A client that limits its unacknowledged chunks hardly ever fills it."""


class _Channel:
    """The thread of one channel, and the work it has not started."""

    def __init__(self, thread: threading.Thread, lock: threading.Lock) -> None:
        self.thread = thread
        self.queue: deque[Work] = deque()
        self.queued_bytes = 0
        self.busy = False
        self.added = threading.Condition(lock)


class ChannelThreads:
    """The threads in which the channels of one session do their work."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._lock = threading.Lock()  # guards all of this
        self._progress = threading.Condition(self._lock)  # some work was started or done
        self._channels: dict[str, _Channel] = {}
        self._closed = False

    def add(self, work: Work) -> None:
        """Queue work for a channel; wait while its queue is full."""
        with self._lock:
            channel = self._channels.get(work.channel) or self._start(work.channel)
            while not self._closed and (
                channel.queued_bytes >= _MAX_QUEUED_BYTES or len(channel.queue) >= _MAX_QUEUED_ITEMS
            ):
                self._progress.wait()
            if not self._closed:
                channel.queue.append(work)
                channel.queued_bytes += work.size
                channel.added.notify()

    def wait(self) -> None:
        """Wait until every channel has done its work, or the session is over."""
        with self._lock:
            while not self._closed and any(
                channel.queue or channel.busy for channel in self._channels.values()
            ):
                self._progress.wait()

    def close(self) -> None:
        """End the threads after the work they are doing; discard what is queued."""
        self._discard()
        for channel in self._channels.values():
            channel.thread.join()

    def runs_in(self, thread: threading.Thread) -> bool:
        """Whether a thread is one of these."""
        with self._lock:
            return any(channel.thread is thread for channel in self._channels.values())

    def _start(self, label: str) -> _Channel:
        thread = threading.Thread(
            target=self._run, args=(label,), name="speechmatics-local-channel", daemon=True
        )
        channel = _Channel(thread, self._lock)
        thread.start()  # may raise; it looks for its channel once the lock is free
        self._channels[label] = channel
        return channel

    def _run(self, label: str) -> None:
        with self._lock:
            channel = self._channels[label]
        while (work := self._next(channel)) is not None:
            try:
                self._sender.send(work.messages)
            except (ConnectionClosed, SessionOver):
                self._discard()
            except Exception as error:
                with contextlib.suppress(ConnectionClosed):
                    self._sender.fail(error)
                self._discard()
                self._sender.close_connection()

    def _next(self, channel: _Channel) -> Optional[Work]:
        with self._lock:
            channel.busy = False
            self._progress.notify()
            while not self._closed and not channel.queue:
                channel.added.wait()
            if self._closed:
                return None
            work = channel.queue.popleft()
            channel.queued_bytes -= work.size
            channel.busy = True
            self._progress.notify()
            return work

    def _discard(self) -> None:
        with self._lock:
            self._closed = True
            self._progress.notify()
            for channel in self._channels.values():
                channel.added.notify()
