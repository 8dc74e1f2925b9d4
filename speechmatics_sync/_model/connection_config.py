"""Time limits, sizes, TLS and proxy of a connection."""

import functools
import importlib
import sys
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Optional, TypeVar

from .checks import InvalidValue, PlainSignature, boolean, count, optional, time_limit
from .proxy import ALLOWED_PROXIES, parsed_proxy
from .secret import Secret
from .settings import Settings

if TYPE_CHECKING:
    from ssl import SSLContext
else:
    SSLContext = Any  # importing ssl would slow every start; see _ssl_context

__all__ = ["ConnectionConfig"]

_Class = TypeVar("_Class", bound=type)


def _proxy(value: Any) -> Any:
    found = parsed_proxy(Secret(value))
    if isinstance(found, str):
        # The value itself is never shown: it may hold a password.
        raise InvalidValue("", ALLOWED_PROXIES, shown=found)
    return value


def _ssl_context(value: Any) -> Any:
    # A caller who has a context has imported ssl. Test for the base class, because truststore
    # replaces ssl.SSLContext, and contexts made before that are no instances of the replacement.
    ssl_module = sys.modules.get("ssl")
    if ssl_module is None or not isinstance(value, ssl_module._SSLContext):
        raise InvalidValue(value, "an ssl.SSLContext")
    return value


def _hiding_arguments(settings: _Class) -> _Class:
    """Keep the arguments out of tracebacks: ``__init__`` of a dataclass has them in variables."""
    made = settings.__init__  # type: ignore[misc]

    @functools.wraps(made)
    def __init__(self: Any, *args: Any, **fields: Any) -> None:
        given = Secret((args, fields))
        del args, fields
        try:
            made(self, *given.reveal()[0], **given.reveal()[1])
            return
        except Exception as error:
            failure = error.with_traceback(None)
        raise failure

    settings.__init__ = __init__  # type: ignore[misc]
    return settings


@_hiding_arguments
@dataclass(eq=False, repr=False)
class ConnectionConfig(Settings):
    """Time limits and sizes of a connection. Times are in seconds; None means no limit.

    Args:
        open_timeout: For connecting, TLS and the WebSocket handshake together. For the first
            connection, also how long a host name that cannot be looked up is tried again.
        ping_interval: Between two pings to the server; None sends no pings. While the server owes
            something and is silent, pings are sent sooner.
        ping_timeout: Longest time without a byte from the server after a ping. While it owes
            something, complete silence is a lost connection after 20 s already.
        start_timeout: From StartRecognition to RecognitionStarted, which may take 15 s with
            ``additional_vocab``.
        close_timeout: For the closing handshake, and for ``close()``.
        max_size: Largest message accepted from the server, in bytes.
        max_unacked_chunks: How many audio chunks may be unacknowledged before sending waits.
        ack_timeout: Longest time without progress with what the server owes: acknowledgements of
            audio, an answer, the end of the transcript. Each counts for itself.
        max_queue: How many messages may wait for handlers before reading from the server pauses.
            From half of that on, a new partial replaces the waiting one that it supersedes; no
            other message is dropped.
        ssl_context: The TLS settings, of `JWTAuth` too. None trusts the authorities that
            ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE`` name,
            or without these the system's.
        proxy: URL of a proxy, ``http://user:password@host:port`` (also ``socks4``, ``socks4a``,
            ``socks5``, ``socks5h``), where a password has ``%2F`` for ``/`` and ``%23`` for ``#``;
            None uses the proxy of the environment. Not in the ``repr``.
        allow_insecure: Allow sending a key unencrypted (``ws://``) to another machine.
        read_limit: Deprecated, has no effect.
        write_limit: Deprecated, has no effect.

    Raises:
        ConfigurationError: A value is not allowed; the message names the field.

    Example:
        >>> ConnectionConfig(open_timeout=5, ping_interval=None).open_timeout
        5
    """

    open_timeout: Annotated[Optional[float], time_limit] = 10
    ping_interval: Annotated[Optional[float], time_limit] = 20
    ping_timeout: Annotated[Optional[float], time_limit] = 60
    start_timeout: Annotated[Optional[float], time_limit] = 20
    close_timeout: Annotated[Optional[float], time_limit] = 5
    max_size: Annotated[Optional[int], optional(count)] = 16 * 1024 * 1024
    max_unacked_chunks: Annotated[int, count] = 512
    ack_timeout: Annotated[Optional[float], time_limit] = 120
    max_queue: Annotated[Optional[int], optional(count)] = 1024
    ssl_context: Annotated[Optional[SSLContext], _ssl_context] = None
    proxy: Annotated[Optional[str], _proxy] = field(default=None, repr=False)
    allow_insecure: Annotated[bool, boolean] = False
    read_limit: Annotated[Optional[int], count] = None
    write_limit: Annotated[Optional[int], count] = None

    __signature__ = PlainSignature(
        ssl_context=lambda: Optional[importlib.import_module("ssl").SSLContext]
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("read_limit", "write_limit"):
            if getattr(self, name) is not None:
                warnings.warn(f"{name} is deprecated and has no effect", DeprecationWarning, 4)

    def to_dict(self) -> dict[str, Any]:
        """The limits that are set, in plain values.

        Without ``ssl_context``, which is not plain, and ``proxy``, which may contain a password.
        """
        plain = self._plain()
        hidden = ("ssl_context", "proxy")
        return {key: plain[key] for key in plain if plain[key] is not None and key not in hidden}
