"""The embedded server as a command: its flags, and what it does."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Optional

from speechmatics_sync import ConfigurationError

if TYPE_CHECKING:
    import ssl

    from . import Recognizer

__all__ = ["add_server_arguments", "serve"]

KEY_VARIABLE = "SPEECHMATICS_LOCAL_API_KEY"


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the embedded server to a parser, for `serve`.

    Example:
        >>> import argparse
        >>> parser = argparse.ArgumentParser()
        >>> add_server_arguments(parser)
        >>> parser.parse_args(["--port", "9000"]).port
        9000
    """
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen at; any but loopback requires a key")
    add(
        "--port", type=int, default=9000, help="TCP port; 0 takes a free one (default: %(default)s)"
    )
    add(
        "--api-key",
        action="append",
        metavar="KEY",
        help="accept only this key (may be repeated); it shows in the list of processes, "
        f"unlike the variable {KEY_VARIABLE}",
    )
    add("--strict", action="store_true", help="answer a wrong last_seq_no with protocol_error")
    add("--tls-cert", metavar="FILE", help="certificate chain (PEM), to serve wss://")
    add("--tls-key", metavar="FILE", help="private key (PEM), unless it is in --tls-cert")
    add("--max-sessions", type=int, default=50, metavar="N")
    add("--max-channels", type=int, default=16, metavar="N", help="in one session")
    add("--max-message-size", type=int, default=16 * 1024 * 1024, metavar="BYTES")
    add("--max-session-seconds", type=float, default=48 * 3600.0, metavar="SECONDS")
    add("--idle-timeout", type=float, default=3600.0, metavar="SECONDS")
    add("--start-timeout", type=float, default=10.0, metavar="SECONDS")
    add(
        "--allowed-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let web pages of this origin in, such as http://localhost:8000 (may be repeated)",
    )
    add(
        "--recognizer",
        choices=("pocketsphinx", "counted"),
        default="pocketsphinx",
        help="counted needs no model, and hears the words of counted_audio (default: %(default)s)",
    )
    add("--log-level", default="WARNING", choices=("DEBUG", "INFO", "WARNING", "ERROR"))


def _recognizer(name: str) -> Recognizer:
    if name == "counted":
        from . import CountedRecognizer

        return CountedRecognizer()
    from . import PocketsphinxRecognizer

    return PocketsphinxRecognizer()


def _tls(certificate: str, key: Optional[str]) -> ssl.SSLContext:
    import ssl  # the flags alone do not need it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # it names no file
        files = certificate if key is None else f"{certificate} and {key}"
        raise ConfigurationError(
            f"no certificate with its private key (PEM) can be read from {files}: {error}. Name "
            "files that have them"
        ) from error
    return context


def serve(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status.

    Args:
        arguments: What a parser made of the flags of `add_server_arguments`.
    """
    logging.basicConfig(
        level=arguments.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    keys = [*(arguments.api_key or []), *filter(None, [os.environ.get(KEY_VARIABLE)])]
    context = None
    ended = threading.Event()
    try:
        from . import LocalServer

        if arguments.tls_cert:
            context = _tls(arguments.tls_cert, arguments.tls_key)
        server = LocalServer(
            arguments.host,
            arguments.port,
            recognizer=_recognizer(arguments.recognizer),
            api_keys=keys or None,
            ssl_context=context,
            strict=arguments.strict,
            max_sessions=arguments.max_sessions,
            max_channels=arguments.max_channels,
            max_message_size=arguments.max_message_size,
            max_session_seconds=arguments.max_session_seconds,
            idle_timeout=arguments.idle_timeout,
            start_timeout=arguments.start_timeout,
            allowed_origins=arguments.allowed_origin,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        server.start()
    except (ConfigurationError, OSError) as error:
        said = str(error).replace("without api_keys", f"without --api-key or {KEY_VARIABLE}")
        print(f"cannot serve: {said}", file=sys.stderr)  # noqa: T201
        return 2
    print(f"Listening at {server.url}", flush=True)  # noqa: T201  (a command)
    ended.wait()
    server.stop()
    return 0
