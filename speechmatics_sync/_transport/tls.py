"""Which authorities verify a server's certificate: one rule for WebSocket and temporary keys."""

from __future__ import annotations

import contextlib
import os
import ssl
from typing import Any, Optional

from .._concurrency.exhaustion import exhausted
from ..errors import ConfigurationError

__all__ = ["AUTHORITIES_ADVICE", "tls_context"]

_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

AUTHORITIES_ADVICE = (
    "A private authority, such as that of a firewall that reads TLS, is made known with "
    f"ConnectionConfig(ssl_context=…) or a variable of the environment: {', '.join(_VARIABLES)}."
)

_cached: tuple[object, Optional[ssl.SSLContext]] = (None, None)


def tls_context(explicit: Optional[ssl.SSLContext]) -> ssl.SSLContext:
    """Return the context for a connection.

    Args:
        explicit: The user's own. Without it, the authorities are those that the environment's
            variables name, all of them, else those of the system. All connections share one such
            context, for each costs 20 ms and 0.8 MB, until the variables change, or their files, or
            the class of contexts (``truststore`` replaces it): in a notebook that is the next cell.

    Raises:
        ConfigurationError: A variable names what cannot be read.
        OSError: The authorities of the system cannot be read; a ConnectionError if those of a
            variable cannot, for want of a descriptor.
    """
    global _cached
    if explicit is not None:
        return explicit
    values = {name: os.environ.get(name, "").strip() for name in _VARIABLES}
    named = {name: value for name, value in values.items() if value}
    paths = list(named.values()) or [ssl.get_default_verify_paths().openssl_cafile]
    state = (ssl.SSLContext, named, [_changed_at(path) for path in paths])
    known, context = _cached
    if context is None or known != state:
        context = _made(named)
        _cached = (state, context)  # threads that come at the same time may each make one
    return context


def _changed_at(path: str) -> Optional[int]:
    try:
        return os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return None


def _made(named: dict[str, str]) -> ssl.SSLContext:
    context: Optional[ssl.SSLContext] = None
    for name, path in named.items():
        # SSL_CERT_DIR may list several directories, as OpenSSL takes them.
        is_directory = name == "SSL_CERT_DIR" or os.path.isdir(path)
        place: dict[str, Any] = {"capath" if is_directory else "cafile": path}
        try:
            if context is None:
                context = ssl.create_default_context(**place)
            else:
                context.load_verify_locations(**place)
        except (OSError, ValueError) as error:
            limit_met = exhausted(error)
            if limit_met is not None:
                raise limit_met from limit_met.__cause__
            reason = getattr(error, "strerror", None) or error
            raise ConfigurationError(
                f"{name} is {path!r}, from which no certificates can be read ({reason}): "
                "name a file that has some, or unset it."
            ) from None
    return context or _of_the_system()


def _of_the_system() -> ssl.SSLContext:
    context = ssl.create_default_context()
    file = ssl.get_default_verify_paths().cafile
    # OpenSSL hides that it cannot open a file, for want of a descriptor: this raises it.
    with contextlib.suppress(ssl.SSLError, NotImplementedError):  # an empty file; truststore
        if file is not None and not context.cert_store_stats()["x509"]:
            context.load_verify_locations(file)
    return context
