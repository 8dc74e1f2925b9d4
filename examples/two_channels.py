"""Transcribe a call with a speaker on each channel, and print it as a conversation.

python examples/two_channels.py [FILE] [--labels LABEL …]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _server import server_url

from speechmatics_sync import MultiChannelClient, SpeechmaticsError, split_channels

SAMPLE = Path(__file__).parent / "audio" / "call.wav"


def main() -> None:
    parser = argparse.ArgumentParser(description="Transcribe a call, one speaker a channel.")
    parser.add_argument("file", nargs="?", default=SAMPLE, help="default: a sample of a call")
    parser.add_argument("--labels", nargs="+", help="labels of the channels, in the file's order")
    args = parser.parse_args()
    labels = args.labels or (["agent", "customer"] if args.file == SAMPLE else None)

    sources = split_channels(args.file, labels)
    with server_url() as url, MultiChannelClient(url=url) as client:
        transcript = client.transcribe(sources, progress=sys.stderr.isatty())

    for turn in transcript.turns:
        print(f"{turn.start_time:6.2f}  {turn.channel}: {turn.text}")


if __name__ == "__main__":
    try:
        main()
    except SpeechmaticsError as error:
        sys.exit(f"Not transcribed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
