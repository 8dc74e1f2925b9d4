"""Transcribe a file with a progress bar, and print its text and the times of its words.

python examples/transcribe_file.py [FILE] [--language CODE]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _server import server_url

from speechmatics_sync import Client, SpeechmaticsError, TranscriptionConfig

SAMPLE = Path(__file__).parent / "audio" / "demo.wav"


def main() -> None:
    parser = argparse.ArgumentParser(description="Transcribe a file.")
    parser.add_argument("file", nargs="?", default=SAMPLE, help="default: a sample of speech")
    parser.add_argument("--language", default="en", metavar="CODE", help="default: en")
    args = parser.parse_args()

    with server_url() as url, Client(url=url) as client:
        transcript = client.transcribe(
            args.file,
            transcription_config=TranscriptionConfig(language=args.language),
            progress=sys.stderr.isatty(),
        )

    print(transcript.text)
    print("\n start      end  word")
    for word in transcript.words:
        print(f"{word.start_time:6.2f} – {word.end_time:6.2f}  {word.content}")


if __name__ == "__main__":
    try:
        main()
    except SpeechmaticsError as error:
        sys.exit(f"Not transcribed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
