"""The lines of uploads as events, with greenlets in place of threads.

    python examples/gevent_server.py [--port 5000]

The same with gunicorn, which does the patching: ``gunicorn --chdir examples -k gevent
"events_flask:create_app()"``. Not with ``--preload``, which imports the application before.
"""

from gevent import monkey

monkey.patch_all()  # before anything else is imported: threads and sockets become gevent's

import argparse  # noqa: E402

from _server import server_url  # noqa: E402
from events_flask import create_app  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve with gevent.")
    parser.add_argument("--port", type=int, default=5000, help="default: 5000")
    arguments = parser.parse_args()
    with server_url() as url:
        server = WSGIServer(("127.0.0.1", arguments.port), create_app(url))
        server.start()
        print(f"Running on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
