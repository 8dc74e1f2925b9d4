"""Tell whether another process still runs."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import NamedTuple

__all__ = ["Process", "this_process"]


class Process(NamedTuple):
    """A process, and where its number means something.

    Args:
        host: The machine, and on Linux what it shares of process numbers and files: a container
            has its own.
        pid: Its number.
    """

    host: str
    pid: int

    @property
    def is_near(self) -> bool:
        """Whether it runs, or ran, where this process does."""
        return self.host == this_process().host

    @property
    def has_ended(self) -> bool:
        """Whether it is known to have ended; of one elsewhere, and on Windows, that is not known.

        False as well if another process has its number by now.
        """
        if os.name != "posix" or not self.is_near:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # it belongs to somebody else
            pass
        return False


def this_process() -> Process:
    """Return the process that calls."""
    parts = [socket.gethostname()]
    for place in ("pid", "mnt"):
        with contextlib.suppress(OSError):
            parts.append(os.readlink(f"/proc/self/ns/{place}"))
    return Process(" ".join(parts), os.getpid())
