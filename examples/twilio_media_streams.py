"""Telephone calls from Twilio (Media Streams): a line for whatever somebody has said.

    python examples/twilio_media_streams.py                      # waits for calls
    python examples/twilio_call.py ws://127.0.0.1:5000/media     # calls, as Twilio does

For real calls, run it where Twilio can reach it, ``gunicorn --chdir examples --threads 100
"twilio_media_streams:create_app()"``, behind TLS, and give the number this TwiML:

    <Response>
      <Start>
        <Stream url="wss://calls.example.com/media" track="both_tracks">
          <Parameter name="secret" value="what TWILIO_STREAM_SECRET says"/>
        </Stream>
      </Start>
      <Dial>+441234567890</Dial>
    </Response>

The messages are those of https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

from __future__ import annotations

import base64
import hmac
import json
import os
from collections.abc import Iterator
from typing import Any, Callable, Optional

from _server import serve
from flask import Flask
from flask_sock import Sock
from simple_websocket import ConnectionClosed, Server

from speechmatics_sync import (
    AudioEncoding,
    AudioFormat,
    LiveText,
    MultiChannelClient,
    SpeechmaticsError,
)

TELEPHONE = AudioFormat(AudioEncoding.MULAW, sample_rate=8000)
BYTES_PER_MS = 8
SILENCE = b"\xff"
JITTER_MS = 100  # by which audio may be late without that anything is missing
NAMES = {"inbound": "caller", "outbound": "agent"}
Show = Callable[[str, str], None]


def create_app(
    url: Optional[str] = None, show: Show = lambda who, what: print(f"{who}: {what}", flush=True)
) -> Flask:
    """Return the application.

    Args:
        url: The server for the client; None for the one in the environment.
        show: Called with each line: who has said it, and what.
    """
    app = Flask(__name__)
    app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 25, "max_message_size": 65536}

    @Sock(app).route("/media")
    def media(socket: Server) -> None:
        try:
            transcribe_call(socket, url, show)
        except SpeechmaticsError as error:
            app.logger.error("%s: %s", type(error).__name__, error)

    return app


def transcribe_call(socket: Server, url: Optional[str], show: Show) -> None:
    """Run the session of one call, from ``start`` to ``stop``, or until Twilio is gone."""
    with MultiChannelClient(url=url) as client:
        call: Optional[Call] = None
        for message in messages(socket):
            event = message["event"]
            if event == "start":
                if not is_ours(message["start"]):
                    return
                call = Call(client, message["start"]["tracks"], show)
            elif call is not None and event == "media":
                call.hear(message["media"])
            elif call is not None and event == "mark":
                call.end_utterance()
            elif event == "dtmf":
                show(NAMES["inbound"], f"[key {message['dtmf']['digit']}]")
        if call is not None:
            client.stop_session()  # the last lines come before it returns


def messages(socket: Server) -> Iterator[dict[str, Any]]:
    """What Twilio says, up to ``stop``."""
    while True:
        try:
            message = json.loads(socket.receive())
        except ConnectionClosed:
            return
        if message["event"] == "stop":
            return
        yield message


def is_ours(start: dict[str, Any]) -> bool:
    """Whether a stream knows the secret; without one, whoever finds the address may speak."""
    given = str(start.get("customParameters", {}).get("secret", ""))
    return hmac.compare_digest(given, os.environ.get("TWILIO_STREAM_SECRET", given))


class Call:
    """A call that is being transcribed, with a channel for each track."""

    def __init__(self, client: MultiChannelClient, tracks: list[str], show: Show) -> None:
        self._client = client
        self._show = show
        self._sent = dict.fromkeys(tracks, 0)
        self._live = LiveText()
        for name in LiveText.MESSAGES:
            client.on(name, self._add)  # runs in another thread, one message at a time
        client.start_session(channels=tracks, audio_format=TELEPHONE)

    def hear(self, media: dict[str, str]) -> None:
        """Send audio; where a track has none for a while, silence keeps its time right."""
        track, audio = media["track"], base64.b64decode(media["payload"])
        missing = int(media["timestamp"]) * BYTES_PER_MS - self._sent[track]
        if missing > JITTER_MS * BYTES_PER_MS:
            audio = SILENCE * missing + audio
        self._client.send_audio(track, audio)
        self._sent[track] += len(audio)

    def end_utterance(self) -> None:
        """What we have played is over (a mark says so): what the caller says now is an answer."""
        self._client.force_end_of_utterance(channel="inbound")

    def _add(self, message: dict[str, Any]) -> None:
        for line in self._live.add(message):
            if line.is_final and line.text:
                self._show(NAMES.get(line.channel or "", "?"), line.text)


if __name__ == "__main__":
    serve(create_app, "Serve the media streams of Twilio.")
