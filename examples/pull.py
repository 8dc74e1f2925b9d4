"""Pull the messages of a session in a loop of your own, and leave it whenever you like.

python examples/pull.py [FILE] [--until WORD]
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from _server import server_url

from speechmatics_sync import Client, ServerMessageType, SpeechmaticsError, TranscriptResult

SAMPLE = Path(__file__).parent / "audio" / "demo.wav"


def main() -> None:
    parser = argparse.ArgumentParser(description="Transcribe a file, message by message.")
    parser.add_argument("file", nargs="?", default=SAMPLE, help="default: a sample of speech")
    parser.add_argument(
        "--until", metavar="WORD", type=str.lower, help="stop when this word is heard"
    )
    args = parser.parse_args()

    with server_url() as url, Client(url=url) as client, client.stream(args.file) as stream:
        for message in stream:
            if message["message"] == ServerMessageType.ADD_TRANSCRIPT:
                final = TranscriptResult.from_message(message).metadata
                print(f"{final.start_time:6.2f} – {final.end_time:6.2f}  {final.transcript}")
                if args.until and args.until in re.findall(r"[\w']+", final.transcript.lower()):
                    break  # leaving the stream ends the session
            elif message["message"] == ServerMessageType.WARNING:
                print(f"Warning: {message['reason']}", file=sys.stderr)

    print(f"\n{stream.transcript.text}")


if __name__ == "__main__":
    try:
        main()
    except SpeechmaticsError as error:
        sys.exit(f"Not transcribed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
