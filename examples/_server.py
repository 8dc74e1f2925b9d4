"""Where the examples connect: the real service if you have a key, else a server on this machine."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Optional


@contextlib.contextmanager
def server_url() -> Iterator[Optional[str]]:
    """Give the URL for ``Client(url=…)``; None is the one that ``Client()`` takes by itself."""
    if os.environ.get("SPEECHMATICS_API_KEY") or os.environ.get("SPEECHMATICS_RT_URL"):
        yield None
        return
    from speechmatics_sync.local import LocalServer

    with LocalServer() as server:
        print(f"No SPEECHMATICS_API_KEY: recognising here, at {server.url}", file=sys.stderr)
        yield server.url
