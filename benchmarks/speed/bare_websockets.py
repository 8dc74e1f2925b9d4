"""The workloads with a bare loop on `websockets.sync`."""

from __future__ import annotations

import contextlib
import ssl
from typing import Union

from bare import workloads
from websockets.sync.client import connect
from workload import main

TLS = ssl.create_default_context()


class Connection:
    """A WebSocket of `websockets.sync`, as it is by default."""

    def __init__(self, url: str) -> None:
        self._stack = contextlib.ExitStack()
        opening = connect(url, ssl=TLS if url.startswith("wss:") else None)
        self._socket = self._stack.enter_context(opening)

    def send(self, payload: Union[str, bytes]) -> None:
        self._socket.send(payload)

    def receive(self) -> Union[str, bytes]:
        received: Union[str, bytes] = self._socket.recv()
        return received

    def close(self) -> None:
        self._stack.close()


if __name__ == "__main__":
    main(workloads(Connection))
