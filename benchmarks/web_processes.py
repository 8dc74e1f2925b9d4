"""The processes of `soak_web`: the service, and the application in its web server."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["THREADS", "Service", "Worker", "application", "service"]

HERE = Path(__file__).parent
THREADS = 100
"""Of the web server: how many it serves at once."""


class Service:
    """The service, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._line()

    def ask(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._line())
        return told

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextlib.contextmanager
def service() -> Iterator[Service]:
    command = [sys.executable, str(HERE / "web_processes.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Service(process)
        assert process.stdin is not None
        process.stdin.close()


class Worker:
    """The gunicorn worker, as the system sees it."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self._place = Path(f"/proc/{pid}")

    def memory(self) -> int:
        """Return the bytes of resident memory."""
        return int(self._status("VmRSS")) * 1024

    def threads(self) -> int:
        return int(self._status("Threads"))

    def sockets(self) -> int:
        links = [os.readlink(link) for link in (self._place / "fd").iterdir()]
        return sum(link.startswith("socket:") for link in links)

    def cpu_seconds(self) -> float:
        fields = (self._place / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> str:
        status = (self._place / "status").read_text()
        return re.findall(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[0]  # type: ignore[no-any-return]


@contextlib.contextmanager
def application(url: str, core: int, log: Path) -> Iterator[Worker]:
    """Run the application with one worker on one core."""
    command = [sys.executable, "-m", "gunicorn", "--chdir", str(HERE), "--bind", "127.0.0.1:0"]
    command += ["--threads", str(THREADS), "--workers", "1", "--log-level", "warning"]
    command += ["--config", str(HERE / "web_app.py"), "web_app:create_app()"]
    reads, writes = os.pipe()
    environment = {
        **os.environ,
        "SPEECHMATICS_RT_URL": url,
        "SPEECHMATICS_API_KEY": "a-key",
        "MALLOC_ARENA_MAX": "2",  # glibc has eight for each core, and each keeps what was freed
        "SOAK_WEB_PIPE": str(writes),
        "SOAK_WEB_CORE": str(core),
    }
    with log.open("wb") as output, open(reads, encoding="ascii") as told:
        process = subprocess.Popen(
            command, env=environment, pass_fds=[writes], stdout=output, stderr=output
        )
        os.close(writes)
        try:
            line = told.readline()
            if not line:
                raise RuntimeError(f"gunicorn does not start: {log.read_text()}")
            yield Worker(*map(int, line.split()))
        finally:
            process.terminate()
            process.wait()


def serve() -> None:
    """Be the service: print the URL; for each line of input say how many sessions there are."""
    from speechmatics_sync.local import CountedRecognizer, LocalServer

    recognizer = CountedRecognizer(delay=0.5, service_finals=False)
    with LocalServer(recognizer=recognizer, strict=True, max_sessions=500) as server:
        print(server.url, flush=True)
        for _ in sys.stdin:
            errors = [record.error for record in server.sessions if record.error is not None]
            open_ones = sum(not record.ended for record in server.sessions)
            print(json.dumps({"open": open_ones, "errors": errors}), flush=True)


if __name__ == "__main__":
    serve()
