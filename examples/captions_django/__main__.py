"""Run the page on this machine: ``python -m captions_django`` in ``examples``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from _server import server_url


def main() -> int:
    parser = argparse.ArgumentParser(description="Serve a page to speak into, and to read along.")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000")
    arguments = parser.parse_args()
    gunicorn = [sys.executable, "-m", "gunicorn", "--threads", "100", "captions_django.wsgi"]
    gunicorn += ["--bind", f"127.0.0.1:{arguments.port}", "--graceful-timeout", "1"]
    with server_url() as url:
        environment = {**os.environ, **({"SPEECHMATICS_RT_URL": url} if url else {})}
        with subprocess.Popen(gunicorn, env=environment) as server:
            try:
                return server.wait()
            finally:
                server.terminate()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
