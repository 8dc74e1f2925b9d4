"""TLS sessions that later connections to the same server take up again.

A handshake that resumes needs no certificate: over TLS 1.3 it is shorter by some kilobytes and by
the check of a chain, over 1.2 by a round trip too. A server that does not want to resume
shakes hands in full, and nobody notices.
"""

from __future__ import annotations

import collections
import socket
import ssl
from typing import Optional
from urllib.parse import urlsplit

__all__ = ["encrypted", "remember"]

_ATTRIBUTE = "_speechmatics_sync_sessions"
_SERVERS_MOST = 16
_SESSIONS_MOST = 256
"""Of one server: as many connections can be lost at once and all resume. One takes 6 KB."""

_Server = tuple[str, ssl.VerifyMode, bool]
_Sessions = dict[_Server, "collections.deque[ssl.SSLSession]"]


def encrypted(opened: socket.socket, url: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a TLS socket that has not shaken hands yet, and may resume an earlier session."""
    host = urlsplit(url).hostname
    try:
        # For one connection only: used again, a ticket tells who watches that both are ours
        # (RFC 8446, C.4).
        session: Optional[ssl.SSLSession] = _sessions(context)[_server(url, context)].pop()
    except (KeyError, IndexError):
        session = None
    return context.wrap_socket(
        opened, server_hostname=host, do_handshake_on_connect=False, session=session
    )


def remember(opened: socket.socket, url: str) -> None:
    """Keep the TLS session of a connection, once something was received over it.

    Over TLS 1.3 its ticket comes behind the handshake, before whatever the server says first.
    """
    session = opened.session if isinstance(opened, ssl.SSLSocket) else None
    if session is None:
        return
    context = opened.context  # type: ignore[attr-defined]  # it is an SSLSocket
    kept, server = _sessions(context), _server(url, context)
    if server not in kept and len(kept) >= _SERVERS_MOST:
        kept.clear()
    # Nothing here takes a lock, which a fork might copy while it is held: each step is atomic.
    kept.setdefault(server, collections.deque(maxlen=_SESSIONS_MOST)).append(session)


def _sessions(context: ssl.SSLContext) -> _Sessions:
    # They hang on the context because each holds it: a dictionary of them, even one with weak
    # keys, would keep it for good.
    sessions: _Sessions = vars(context).setdefault(_ATTRIBUTE, {})
    return sessions


def _server(url: str, context: ssl.SSLContext) -> _Server:
    # Resuming checks no certificate again: what was not checked then must not count now.
    return urlsplit(url).netloc.lower(), context.verify_mode, context.check_hostname
