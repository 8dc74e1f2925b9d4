"""Push audio into a session as it arrives from elsewhere: a telephone call, a WebSocket, a device.

    python examples/pushed_session.py [FILE.wav]

Here the audio comes from a WAV file.
"""

from __future__ import annotations

import argparse
import sys
import wave
from pathlib import Path
from typing import Any

from _server import server_url

from speechmatics_sync import (
    AudioEncoding,
    AudioFormat,
    Client,
    ServerMessageType,
    SpeechmaticsError,
    Transcript,
)

SAMPLE = Path(__file__).parent / "audio" / "demo.wav"


def show_final(message: dict[str, Any]) -> None:
    print(f"{message['metadata']['start_time']:6.2f}  {message['metadata']['transcript']}")


def transcribe_call(client: Client, call: wave.Wave_read) -> Transcript:
    client.on(ServerMessageType.ADD_TRANSCRIPT, show_final)  # called in a thread of its own
    client.start_session(
        audio_format=AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=call.getframerate())
    )
    while samples := call.readframes(1600):
        client.send_audio(samples)  # waits while the server is behind
    return client.stop_session()  # waits until everything is transcribed


def main() -> None:
    parser = argparse.ArgumentParser(description="Push audio into a session.")
    parser.add_argument("file", nargs="?", default=SAMPLE, help="default: a sample of speech")
    args = parser.parse_args()

    try:
        call = wave.open(str(args.file))  # noqa: SIM115  (only errors of opening it)
    except (OSError, EOFError, wave.Error) as error:
        sys.exit(f"{args.file} cannot be read as a WAV file: {getattr(error, 'strerror', error)}")
    with call:
        if (call.getnchannels(), call.getsampwidth()) != (1, 2):
            sys.exit(f"{args.file} is not mono with 16 bits a sample")
        with server_url() as url, Client(url=url) as client:
            transcript = transcribe_call(client, call)
            seconds = client.audio_seconds_sent

    print(f"\n{transcript.text}\n\n{len(transcript.words)} words in {seconds:.1f} s of audio")


if __name__ == "__main__":
    try:
        main()
    except SpeechmaticsError as error:
        sys.exit(f"Not transcribed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
