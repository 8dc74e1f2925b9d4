"""What a connection says before it takes over is held back, and bounded like what handlers get."""

from __future__ import annotations

import select
import threading

from support.reconnecting import Legs, listen
from support.serving import PATIENCE, Peer, serving
from support.sessions import RAW, client_of, speech, wait_for

from speechmatics_sync import ReconnectPolicy

POLICY = ReconnectPolicy(initial_delay=0.01, max_delay=0.05, rollover_margin=1.2)
NEAR = {
    "message": "Warning",
    "type": "session_timeout",
    "reason": "Session will timeout in 0.001m due to max duration",
}
MANY = 20_000
"""Messages of 2 kB, more than the buffers of a connection take."""


def takes_more(peer: Peer) -> bool:
    """Whether the client reads on: it is given a second, in which pings and limits go on."""
    return bool(select.select([], [peer.connection.socket], [], 1.0)[1])


def test_reading_pauses_when_too_much_is_held_back_until_the_old_connection_has_ended() -> None:
    cut, end = threading.Event(), threading.Event()
    sent: list[int] = []
    received_while_held: list[int] = []

    def first(peer: Peer) -> None:
        peer.start()
        listen(peer, 1)
        peer.send(NEAR)
        message = peer.take_audio()
        assert message is not None
        assert message["message"] == "EndOfStream"
        cut.set()
        wait_for(end)
        peer.send({"message": "EndOfTranscript"})
        peer.wait_closed()

    def second(peer: Peer) -> None:
        peer.start(id="session-2")
        wait_for(cut)
        while len(sent) < MANY and takes_more(peer):
            peer.send({"message": "Novelty", "number": len(sent), "padding": " " * 2000})
            sent.append(len(sent))
        received_while_held.append(client.stats.messages_received)
        end.set()
        peer.finish()
        peer.wait_closed()

    limits = {"max_queue": 8, "ping_interval": 0.1, "ping_timeout": 0.5}
    seen: list[int] = []
    with serving(Legs(first, second)) as url, client_of(url, reconnect=POLICY, **limits) as client:
        client.on("Novelty", lambda message: seen.append(message["number"]))
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        wait_for(end)
        client.stop_session(timeout=PATIENCE)
        assert client.stats.reconnects == 1
    assert len(sent) < MANY, "everything was read"
    assert received_while_held[0] < 500
    assert seen == sent
