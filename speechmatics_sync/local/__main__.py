"""Run the embedded server on its own: ``python -m speechmatics_sync.local --port 9000``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Optional

from . import add_server_arguments, serve


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m speechmatics_sync.local",
        description="A Speechmatics Realtime server on this machine, with no key and no network.",
    )
    add_server_arguments(parser)
    return serve(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
