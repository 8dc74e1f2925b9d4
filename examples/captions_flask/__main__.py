"""Run the page on this machine: ``python -m captions_flask`` in ``examples``, ``make demo-web``."""

from __future__ import annotations

import argparse
import logging
import sys

from _server import server_url
from werkzeug.serving import make_server

from . import create_app


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a page to speak into, and to read along.")
    parser.add_argument("--port", type=int, default=5000, help="default: 5000")
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line for each request
    with server_url() as url:
        try:
            server = make_server("127.0.0.1", arguments.port, create_app(url), threaded=True)
        except SystemExit:  # it has said that another program has the port
            sys.exit("Choose another: make demo-web PORT=5001, or --port 5001.")
        print(f"Open http://127.0.0.1:{server.port} and speak; Ctrl-C ends it.", file=sys.stderr)
        server.serve_forever()  # returns on Ctrl-C
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
