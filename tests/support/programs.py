"""Python programs in processes of their own, which need not start an interpreter each.

To start one and import the package takes a fifth of a second of a processor. Here one process has
done so, and forks for each program: the children have descriptors, signals, a terminal and an end
of their own. Programs that are about what is imported when are to be run by `subprocess`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import types
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Optional

__all__ = ["Program", "forking", "run_program"]

_PRELOADED = (
    "speechmatics_sync.cli._transcribe",
    "speechmatics_sync.cli._views",
    "speechmatics_sync.cli._growing",
    "speechmatics_sync.local",
    "speechmatics_sync._client.stream",
    "speechmatics_sync._session.session",
    "speechmatics_sync._transport.connection",
    "http.client",
    "subprocess",
)


class Program(subprocess.Popen[Any]):
    """A Python program, as `subprocess.Popen` runs it.

    Its arguments are an interpreter's: perhaps ``-W`` and its value, then ``-c`` and code, ``-m``
    and a module, or a path. Where its streams are a terminal, that is the one that controls it.
    """

    _status: socket.socket

    def _execute_child(self, args: Any, *rest: Any) -> None:
        # All that differs from Popen is how the child comes to be and how its end is heard of.
        (_, _, _, _, cwd, env, _, _, _, *pipes), (session, *_) = rest[:15], rest[20:]
        told = {
            "arguments": [os.fsencode(word).hex() for word in args[1:]],
            "cwd": os.fsdecode(cwd or os.getcwd()),
            "environment": dict(os.environ if env is None else env),
            "session": session,
        }
        theirs = [pipes[0], pipes[3], pipes[5]]
        streams = [number if pipe == -1 else pipe for number, pipe in enumerate(theirs)]
        assert _forker is not None, "the test needs the fixture `programs`"
        self._status = _forker.fork(told, streams)
        self.pid = int(self._status.recv(20))
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _try_wait(self, flags: int) -> tuple[int, int]:
        if flags & os.WNOHANG and not select.select([self._status], [], [], 0)[0]:
            return 0, 0
        with self._status:
            return self.pid, int(self._status.recv(20))

    def _internal_poll(self, *_: Any, **__: Any) -> Optional[int]:
        if self.returncode is None and self._status.fileno() != -1:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def run_program(
    words: Sequence[Any], *, timeout: float, input: Any = None, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end, as `subprocess.run` does, with its output captured."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with Program([sys.executable, *words], **{**streams, **options}) as program:
        try:
            out, err = program.communicate(input, timeout=timeout)
        except BaseException:
            program.kill()
            raise
    return subprocess.CompletedProcess(program.args, program.returncode, out, err)


class _Forker:
    """The process that forks, as the tests see it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        code = "import sys; from support.programs import serve; serve(int(sys.argv[1]))"
        path = os.pathsep.join(sys.path)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": path},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def fork(self, told: dict[str, Any], streams: list[int]) -> socket.socket:
        # Of messages: the program may have ended before its number is read, and bytes would join.
        status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._socket, [json.dumps(told).encode()], [*streams, theirs.fileno()])
        return status

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


_forker: Optional[_Forker] = None


@contextlib.contextmanager
def forking() -> Iterator[None]:
    """Keep the process that forks, for `Program`."""
    global _forker
    _forker = _Forker()
    try:
        yield
    finally:
        _forker.close()
        _forker = None


# -- in the process that forks ------------------------------------------------------------------


def serve(number: int) -> None:
    """Fork for each request on this socket, and tell how each child ended."""
    import gc
    import importlib

    for name in _PRELOADED:
        importlib.import_module(name)
    filters = list(warnings.filters)
    gc.collect()
    gc.freeze()
    woken, waking = socket.socketpair()
    waking.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    control = socket.socket(fileno=number)
    children: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            woken.recv(100)
            _tell_ends(children)
        if control in ready:
            told, descriptors, _, _ = socket.recv_fds(control, 1 << 20, 4)
            if not told:
                return
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                for held in (control, woken, waking, *children.values()):
                    held.close()
                _become(json.loads(told), descriptors, filters)
                return
            for descriptor in descriptors[:3]:
                os.close(descriptor)
            children[child] = socket.socket(fileno=descriptors[3])
            children[child].send(b"%d" % child)


def _tell_ends(children: dict[int, socket.socket]) -> None:
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        with children.pop(child) as teller, contextlib.suppress(OSError):
            teller.send(b"%d" % status)


def _become(told: dict[str, Any], descriptors: list[int], filters: list[Any]) -> None:
    """Be the program, as if its interpreter had just started."""
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if told["session"]:
        _lead_a_session()
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["environment"])
    words = [os.fsdecode(bytes.fromhex(word)) for word in told["arguments"]]
    warned = [option for option in os.environ.get("PYTHONWARNINGS", "").split(",") if option]
    while words[0] == "-W":
        warned.append(words[1])
        del words[:2]
    sys.warnoptions[:] = warned
    warnings.filters[:] = filters  # type: ignore[index]
    for action in warned:
        warnings.simplefilter(action)  # type: ignore[arg-type]
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    _open_streams()
    _run(words)


def _lead_a_session() -> None:
    import fcntl
    import termios

    os.setsid()
    with contextlib.suppress(OSError):  # it is no terminal
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)


def _open_streams() -> None:
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "utf-8").partition(":")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        binary = open(number, "wb" if number else "rb", closefd=False)  # noqa: SIM115
        stream = io.TextIOWrapper(
            binary,
            encoding=encoding,
            errors="backslashreplace" if number == 2 else errors or "strict",
            line_buffering=number == 2 or binary.isatty(),
            write_through=bool(number and os.environ.get("PYTHONUNBUFFERED")),
        )
        stream.mode = "w" if number else "r"  # type: ignore[misc]
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _run(words: list[str]) -> None:
    kind = words[0]
    if kind == "-m":
        sys.argv[:] = words[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv[:] = ["-c", *words[2:]]
        sys.path.insert(0, "")
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(words[1], "<string>", "exec"), main.__dict__)
    else:
        sys.argv[:] = words
        sys.path.insert(0, os.path.dirname(os.path.abspath(kind)))
        runpy.run_path(kind, run_name="__main__")
