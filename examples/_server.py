"""Where the examples connect: to the service with a key, without one to an embedded server."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, Callable, Optional


@contextlib.contextmanager
def server_url() -> Iterator[Optional[str]]:
    """Yield the URL for ``Client(url=…)``, or None for the client's default."""
    if os.environ.get("SPEECHMATICS_API_KEY") or os.environ.get("SPEECHMATICS_RT_URL"):
        yield None
        return
    from speechmatics_sync.local import LocalServer

    # A notebook shows standard error in red, and this is none.
    told = sys.stdout if "ipykernel" in sys.modules else sys.stderr
    with LocalServer() as server:
        print(f"No SPEECHMATICS_API_KEY: embedded server at {server.url}", file=told)
        yield server.url


def serve(create_app: Callable[[Optional[str]], Any], description: str) -> None:
    """Run a Flask application until Ctrl-C: what the web examples do when they are run."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=5000, help="default: 5000")
    arguments = parser.parse_args()
    with server_url() as url, contextlib.suppress(KeyboardInterrupt):
        create_app(url).run(port=arguments.port, threaded=True)  # returns on Ctrl-C
    sys.exit(130)
