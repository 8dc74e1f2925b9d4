"""Time limits, sizes and the way of a connection."""

import sys
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Optional
from urllib.parse import urlsplit

from .checks import InvalidValue, boolean, count, optional, time_limit
from .settings import Settings

if TYPE_CHECKING:
    from ssl import SSLContext
else:
    SSLContext = Any  # importing ssl would slow every start; see _ssl_context

__all__ = ["ConnectionConfig"]


_PROXY_SCHEMES = ("http", "socks4", "socks4a", "socks5", "socks5h")


def _proxy(value: Any) -> str:
    allowed = (
        '"http://user:password@host:port" or the same with '
        "socks4, socks4a, socks5 or socks5h (a proxy behind https:// is not supported)"
    )
    # The value itself is never shown: it may hold a password.
    invalid = InvalidValue("", allowed, shown="not a proxy that can be used")
    if not isinstance(value, str):
        raise invalid
    try:
        parts = urlsplit(value)
        usable = parts.scheme in _PROXY_SCHEMES and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise invalid
    return value


def _ssl_context(value: Any) -> Any:
    # Whoever holds a context has imported ssl.
    ssl_module = sys.modules.get("ssl")
    if ssl_module is None or not isinstance(value, ssl_module.SSLContext):
        raise InvalidValue(value, "an ssl.SSLContext")
    return value


@dataclass(eq=False, repr=False)
class ConnectionConfig(Settings):
    """Time limits and sizes of a connection. Seconds; None means no limit.

    Args:
        open_timeout: For connecting, TLS and the handshake.
        start_timeout: From StartRecognition to RecognitionStarted (15 s are usual with
            ``additional_vocab``).
        ping_interval: From one ping of ours to the next; None sends none.
        ping_timeout: Longest time without a byte from the server after a ping.
        close_timeout: For the closing handshake, and for `close()`.
        max_size: Bytes in the longest message taken from the server.
        max_unacked_chunks: Chunks of audio sent and not yet acknowledged; more must wait.
        ack_timeout: Longest silence of the server while it owes an answer.
        max_queue: Messages that may wait for handlers before reading pauses: 1024, some minutes of
            speech with partials. Once half as many wait, a partial takes the place of the one that
            it supersedes; nothing else is dropped.
        ssl_context: For TLS; None takes the system's authorities.
        proxy: URL of a proxy, ``http://user:password@host:port`` (also ``socks4``, ``socks4a``,
            ``socks5``, ``socks5h``); None takes the environment's. Never shown in a ``repr``.
        allow_insecure: Send a key in clear text (``ws://``) to another machine.
        read_limit: Deprecated, without effect.
        write_limit: Deprecated, without effect.

    Raises:
        ConfigurationError: A limit that is no positive number, a proxy that cannot be used.
    """

    open_timeout: Annotated[Optional[float], time_limit] = 10
    start_timeout: Annotated[Optional[float], time_limit] = 20
    ping_interval: Annotated[Optional[float], time_limit] = 20
    ping_timeout: Annotated[Optional[float], time_limit] = 60
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

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("read_limit", "write_limit"):
            if getattr(self, name) is not None:
                warnings.warn(f"{name} is deprecated and has no effect", DeprecationWarning, 3)

    def to_dict(self) -> dict[str, Any]:
        """The limits that are set; the context is no plain value, the proxy may hold a password."""
        plain = self._plain()
        hidden = ("ssl_context", "proxy")
        return {key: plain[key] for key in plain if plain[key] is not None and key not in hidden}
