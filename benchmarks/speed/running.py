"""Runs a client in one process, on a core of its own, beside a server in another."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import trustme
from plan import Run, Step

__all__ = ["LEGACY_PACKAGES", "Bench", "environment"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LEGACY_PACKAGES = Path(sys.prefix) / "speechmatics-python"
"""Where `speechmatics-python` is, by itself: it and `speechmatics-rt` share the package's name, and
each would be slower to import and larger with the other beside it."""
PATIENCE = 40
"""Seconds beyond twice what it should take after which a client is given up."""


def environment(legacy: bool) -> dict[str, str]:
    """Return the environment of a client's process: its packages, and no key, endpoint or proxy."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SPEECHMATICS", "SM_", "PYTHON")) and "proxy" not in name.lower()
    }
    return {**kept, "PYTHONPATH": str(LEGACY_PACKAGES if legacy else ROOT)}


class Bench:
    """Two cores, and a certificate for both.

    Args:
        directory: Where the certificate is written.
    """

    def __init__(self, directory: Path) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.client_core: Optional[int] = cores[0] if len(cores) > 1 else None
        self.server_core: Optional[int] = cores[-1] if len(cores) > 1 else None
        self._authority = directory / "authority.pem"
        self._certificate = directory / "server.pem"
        # trustme's own two months would do, but for a machine whose clock is wrong.
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self._authority))
        expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)
        issued = authority.issue_cert("127.0.0.1", not_after=expires)
        issued.private_key_and_cert_chain_pem.write_to_path(str(self._certificate))
        # A thousand sessions have a thousand sockets.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def run(self, step: Step) -> Run:
        """Return what a client does with a workload."""
        patience = PATIENCE + 2 * step.seconds
        core = "-" if self.client_core is None else str(self.client_core)
        variables = environment(step.script == "legacy")
        if step.tls:  # elsewhere a TLS context is to hold, and weigh, what this machine trusts
            variables["SSL_CERT_FILE"] = str(self._authority)
        with self._server(step.tls) as (port, seen):
            url = f"{'wss' if step.tls else 'ws'}://127.0.0.1:{port}/v2"
            arguments = json.dumps(step.arguments)
            program = [sys.executable, "-W", "ignore", str(HERE / f"{step.script}.py")]
            try:
                ran = subprocess.run(
                    [*program, step.function, url, core, arguments],
                    env=variables,
                    capture_output=True,
                    text=True,
                    timeout=patience,
                )
            except subprocess.TimeoutExpired:
                return Run(step.workload, step.who, {}, f"given up after {patience:.0f} s")
        if ran.returncode:
            said = ran.stderr.strip().splitlines() or [f"status {ran.returncode}"]
            return Run(step.workload, step.who, {}, said[-1])
        return Run(step.workload, step.who, {**json.loads(ran.stdout.splitlines()[0]), **seen})

    @contextlib.contextmanager
    def _server(self, tls: bool) -> Iterator[tuple[int, dict[str, Any]]]:
        """Run a server; what it saw is there when it has ended."""
        seen: dict[str, Any] = {}
        program = [sys.executable, str(HERE / "server.py")]
        server = subprocess.Popen(
            [*program, str(self._certificate)] if tls else program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout is not None
        try:
            if self.server_core is not None:
                os.sched_setaffinity(server.pid, {self.server_core})
            port = server.stdout.readline()
            if not port:
                sys.exit(server.wait() or 1)  # it has said why
            yield int(port), seen
            seen.update(json.loads(server.communicate()[0]))
        finally:
            server.kill()
            server.wait()
            for pipe in (server.stdin, server.stdout):
                assert pipe is not None
                pipe.close()
