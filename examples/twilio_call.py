"""Call an application as Twilio does: a recorded call, 20 milliseconds at a time.

python examples/twilio_call.py ws://127.0.0.1:5000/media [--fast]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simple_websocket import Client, ConnectionClosed

AUDIO = Path(__file__).parent / "audio"
TRACKS = {track: (AUDIO / f"call-{track}.ulaw").read_bytes() for track in ("inbound", "outbound")}
PACKET_MS = 20
PACKET = 160
"""Bytes of a packet: mu-law at 8 kHz."""


def call(tracks: dict[str, bytes], **parameters: str) -> Iterator[dict[str, Any]]:
    """The messages of a call, in Twilio's order."""
    stream = {"streamSid": "MZ18ad3ab5a668481ce02b83e7395059f0"}
    yield {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    start = {
        **stream,
        "accountSid": "AC123",
        "callSid": "CA123",
        "tracks": list(tracks),
        "customParameters": parameters,
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    yield {"event": "start", "sequenceNumber": "1", "start": start, **stream}
    number = 1
    for at in range(0, max(map(len, tracks.values())), PACKET):
        for track, audio in tracks.items():
            packet = audio[at : at + PACKET]
            if not packet:
                continue
            number += 1
            media = {
                "track": track,
                "chunk": str(at // PACKET + 1),
                "timestamp": str(at // PACKET * PACKET_MS),
                "payload": base64.b64encode(packet).decode("ascii"),
            }
            yield {"event": "media", "sequenceNumber": str(number), "media": media, **stream}
    stop = {"accountSid": "AC123", "callSid": "CA123"}
    yield {"event": "stop", "sequenceNumber": str(number + 1), "stop": stop, **stream}


def main() -> None:
    parser = argparse.ArgumentParser(description="Call an application as Twilio does.")
    parser.add_argument("url", help="of the application, ws://…/media")
    parser.add_argument("--fast", action="store_true", help="do not wait between packets")
    arguments = parser.parse_args()
    socket = Client.connect(arguments.url)
    begun = time.monotonic()
    for message in call(TRACKS, secret=os.environ.get("TWILIO_STREAM_SECRET", "")):
        if message["event"] == "media" and not arguments.fast:
            due = begun + int(message["media"]["timestamp"]) / 1000
            time.sleep(max(0.0, due - time.monotonic()))
        socket.send(json.dumps(message))
    while True:  # until the application has hung up
        socket.receive()


if __name__ == "__main__":
    try:
        main()
    except (ConnectionClosed, KeyboardInterrupt):
        sys.exit(0)
