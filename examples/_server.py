"""Where the examples connect: to the service with a key, without one to an embedded server."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Optional


@contextlib.contextmanager
def server_url() -> Iterator[Optional[str]]:
    """Yield the URL for ``Client(url=…)``, or None for the client's default."""
    if os.environ.get("SPEECHMATICS_API_KEY") or os.environ.get("SPEECHMATICS_RT_URL"):
        yield None
        return
    from speechmatics_sync.local import LocalServer

    with LocalServer() as server:
        print(f"No SPEECHMATICS_API_KEY: embedded server at {server.url}", file=sys.stderr)
        yield server.url
