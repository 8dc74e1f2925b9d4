"""What a pump says of its next wait stays true when an event changes nothing else."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from support.serving import PATIENCE, Peer, serving
from support.sessions import RAW, client_of, wait_for

from speechmatics_sync._session.pump import Pump

CHUNK = bytes(256 * 1024)
CHUNKS = 40
"""Together more than the buffers of two sockets."""


def test_a_network_that_has_taken_all_is_not_reported_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A socket that can be written to is one always: it is not to be waited for."""
    stalled = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        wait_for(stalled)
        for _ in range(CHUNKS):
            received = peer.receive()
            assert isinstance(received, bytes)
            peer.audio.append(received)
        peer.acknowledge()
        for _ in range(10):
            peer.send({"message": "Info", "type": "other"})
            time.sleep(0.02)  # the pace of the server, in which a client that spins would be busy
        peer.finish()

    pumped: list[float] = []
    pump = Pump.pump

    def counted(self: Pump, **options: Any) -> bool:
        pumped.append(time.monotonic())
        return pump(self, **options)

    monkeypatch.setattr(Pump, "pump", counted)
    with serving(behave) as url, client_of(url) as client:
        infos: list[int] = []
        all_said = threading.Event()

        def note(message: dict[str, Any]) -> None:
            infos.append(len(pumped))
            if len(infos) == 10:
                all_said.set()

        client.on("Info", note)
        client.start_session(audio_format=RAW)
        for _ in range(CHUNKS):
            client.send_audio(CHUNK)
        given_up = time.monotonic() + PATIENCE
        while not client.stats.bytes_waiting:
            assert time.monotonic() < given_up
            time.sleep(0.01)  # the pace of the poll; what ends it is the state itself
        stalled.set()
        wait_for(all_said)
        client.stop_session(timeout=PATIENCE)
    assert infos[-1] - infos[0] < 100
