"""Connecting can be ended from another thread at any point."""

from __future__ import annotations

import contextlib
import socket

import pytest
from support.proxying import full_port
from support.serving import PATIENCE
from support.sessions import InThread

from speechmatics_sync._concurrency.deadlines import Deadline
from speechmatics_sync._transport.tcp import connect


def test_a_socket_that_is_shut_down_when_it_is_shown_does_not_go_on_connecting() -> None:
    """A shutdown before connect() has no effect, so the callback is called once more after it."""

    def on_socket(opened: socket.socket) -> None:
        with contextlib.suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)

    with full_port() as port:
        connecting = InThread(connect, "127.0.0.1", port, Deadline(2 * PATIENCE), on_socket)
        with pytest.raises(OSError, match="reset"):
            connecting.result()
