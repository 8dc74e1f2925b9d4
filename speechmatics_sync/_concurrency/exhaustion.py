"""Descriptors, threads and memory that cannot be had, as an error that says which limit was met."""

from __future__ import annotations

import errno
from typing import Optional

from ..errors import ConnectionError

try:  # here, for without a descriptor nothing can be imported
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

__all__ = ["exhausted", "no_memory"]

_NO_THREAD = "can't start new thread"
"""What `threading.Thread.start` says; the type of its error says no more than RuntimeError."""

_CAUSES = 10
"""How many causes of causes to look at; they may go in a circle."""

_FEWER = "or run fewer sessions at a time."

_NO_MEMORY = (
    "No memory is left for this process. Raise its limit (ulimit -v, the container's memory), free "
    f"some, {_FEWER}"
)


def exhausted(error: Optional[BaseException]) -> Optional[ConnectionError]:
    """Return the error to raise if this one, or what it came from, means that a limit was met.

    Its cause comes without a traceback, whose frames may hold a key.

    Returns:
        None if the error means something else.
    """
    for _ in range(_CAUSES):
        if error is None:
            break
        said = _said(error)
        if said is not None:
            failure = ConnectionError(said)
            failure.__cause__ = error.with_traceback(None)
            return failure
        error = error.__cause__ or error.__context__
    return None


def no_memory(error: MemoryError) -> ConnectionError:
    """Return the error to raise for this one."""
    failure = ConnectionError(_NO_MEMORY)
    failure.__cause__ = error.with_traceback(None)
    return failure


def _said(error: BaseException) -> Optional[str]:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EMFILE:
        return (
            f"This process has no file descriptor left{_descriptor_limit()}. "
            f"Raise the limit (ulimit -n), close what is not needed, {_FEWER}"
        )
    if number == errno.ENFILE:
        return (
            "This machine has no file descriptor left, of all its processes. "
            f"Raise the limit (sysctl fs.file-max), {_FEWER}"
        )
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return (
            "No thread can be started: this process, its user or its container has as many as are "
            f"allowed, or no memory for one more. Raise the limit (ulimit -u, pids.max), {_FEWER}"
        )
    if isinstance(error, MemoryError) or number in (errno.ENOMEM, errno.ENOBUFS):
        return _NO_MEMORY
    return None


def _descriptor_limit() -> str:
    if resource is None:
        return ""
    return f": its limit is {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"
