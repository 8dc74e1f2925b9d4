"""How sessions that run are ended when nobody wants their transcripts any more."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from typing import Protocol

from .._client.base import BaseClient
from .._concurrency.executors import start_named
from .._concurrency.processes import Process, this_process

__all__ = ["Leaving", "OverProcesses", "OverThreads"]

_LOOK = 0.25
"""Seconds between two looks of a worker at whether its run goes on."""


class Leaving(Protocol):
    """Ends the sessions of a run."""

    def watching(self, client: BaseClient) -> contextlib.AbstractContextManager[None]:
        """Have the client's session ended with the run, while the context lasts."""
        ...

    def end(self) -> None:
        """End the sessions; called again and again until none is left."""


class OverThreads:
    """Ends sessions of this process."""

    def __init__(self) -> None:
        self._clients: set[BaseClient] = set()

    @contextlib.contextmanager
    def watching(self, client: BaseClient) -> Iterator[None]:
        self._clients.add(client)
        try:
            yield
        finally:
            self._clients.discard(client)

    def end(self) -> None:
        for client in list(self._clients):
            client.close()


class OverProcesses:
    """Ends sessions of other processes of this machine, also after this one has died.

    Nothing but a task reaches a worker of an executor. So each task names a file, and the worker
    ends its session when the file has gone, or the process that made it. A worker of another
    machine does not see them, and goes on to the end of its session.
    """

    def __init__(self) -> None:
        number, self._path = tempfile.mkstemp(prefix="speechmatics-", suffix=".run")
        os.close(number)
        self._run: Process = this_process()

    @contextlib.contextmanager
    def watching(self, client: BaseClient) -> Iterator[None]:
        if not self._run.is_near:
            yield
            return
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_LOOK):
                if self._run.has_ended or not os.path.exists(self._path):
                    client.close()

        thread = start_named("watch", watch)
        try:
            yield
        finally:
            done.set()
            thread.join()

    def end(self) -> None:
        if self._run.pid == os.getpid():  # a forked process may drop its copy of the run
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
