"""The workloads with a bare loop on `websocket-client`."""

from __future__ import annotations

import ssl
from typing import Union

import websocket
from bare import workloads
from workload import main

TLS = ssl.create_default_context()


class Connection:
    """A WebSocket of `websocket-client`, which validates UTF-8 in Python unless told not to."""

    def __init__(self, url: str) -> None:
        self._socket = websocket.create_connection(
            url, enable_multithread=True, skip_utf8_validation=True, sslopt={"context": TLS}
        )

    def send(self, payload: Union[str, bytes]) -> None:
        if isinstance(payload, str):
            self._socket.send(payload)
        else:
            self._socket.send_binary(payload)

    def receive(self) -> Union[str, bytes]:
        received: Union[str, bytes] = self._socket.recv()
        return received

    def close(self) -> None:
        self._socket.close()


if __name__ == "__main__":
    main(workloads(Connection))
