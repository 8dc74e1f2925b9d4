"""Transcribe a radio station, or any other sound behind a URL, for as long as it plays.

    python examples/radio.py https://stream.live.vc.bbcmedia.co.uk/bbc_world_service
    python examples/radio.py                    # without a URL: a sample of speech

Any container and codec will do: mp3, aac, ogg, HLS playlists (.m3u8) …; it is decoded here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _server import server_url

from speechmatics_sync import Client, SpeechmaticsError, TranscriptionConfig, open_audio

SAMPLE = Path(__file__).parent / "audio" / "demo.wav"


def main() -> None:
    parser = argparse.ArgumentParser(description="Transcribe a radio station.")
    parser.add_argument("url", nargs="?", default=str(SAMPLE), help="default: a sample of speech")
    parser.add_argument("--language", default="en", metavar="CODE", help="default: en")
    arguments = parser.parse_args()

    with (
        server_url() as url,
        open_audio(arguments.url) as station,
        Client(url=url) as client,
        client.stream(
            station,
            transcription_config=TranscriptionConfig(language=arguments.language),
            collect=False,  # a station never ends
            on_interrupt="finish",  # Ctrl-C ends the audio; what was said is still transcribed
        ) as stream,
    ):
        for line in stream.lines():
            if line.is_final and line.text:
                print(f"{line.start_time:8.2f}  {line.text}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except SpeechmaticsError as error:
        sys.exit(f"Not transcribed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
