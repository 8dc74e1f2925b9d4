"""Transcribe a committed sample of speech in real time, with no key and no network.

Run it with ``make demo``, or ``python examples/demo.py [file.wav]``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from speechmatics_sync import (
    Client,
    ConversationConfig,
    ServerMessageType,
    SpeechmaticsError,
    Transcript,
    TranscriptionConfig,
)
from speechmatics_sync.local import LocalServer

SAMPLE = Path(__file__).parent / "audio" / "demo.wav"
CONFIG = TranscriptionConfig(
    language="en",
    enable_partials=True,
    max_delay=2,
    conversation_config=ConversationConfig(end_of_utterance_silence_trigger=0.5),
)


class Display:
    """Shows speech as it is recognised: finals stay, the partial behind them is rewritten."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._line = ""

    def partial(self, message: dict[str, Any]) -> None:
        """Show what is being said, on a terminal over and over on one line."""
        text = self._line + message["metadata"]["transcript"]
        if self._live:
            width = shutil.get_terminal_size().columns - 3
            print(f"\r\033[K  {text[-width:]}", end="", flush=True)
        else:
            print(f"  … {text}", flush=True)

    def final(self, message: dict[str, Any]) -> None:
        """Keep what will not change any more."""
        self._line += message["metadata"]["transcript"]
        self._rewrite("")

    def end_of_utterance(self, message: dict[str, Any]) -> None:
        """Begin a new line after a pause."""
        if self._line:
            self._rewrite(f"  {self._line.strip()}\n")
            self._line = ""

    def _rewrite(self, text: str) -> None:
        print(f"\r\033[K{text}" if self._live else text, end="", flush=True)


def transcribe(url: str, audio: Path) -> Transcript:
    """Transcribe a file at the speed at which it was spoken, showing it as it comes."""
    display = Display()
    with Client(url=url) as client:
        client.on(ServerMessageType.ADD_PARTIAL_TRANSCRIPT, display.partial)
        client.on(ServerMessageType.ADD_TRANSCRIPT, display.final)
        client.on(ServerMessageType.END_OF_UTTERANCE, display.end_of_utterance)
        client.on(ServerMessageType.END_OF_TRANSCRIPT, display.end_of_utterance)
        return client.transcribe(audio, transcription_config=CONFIG, realtime=True)


def show(transcript: Transcript) -> None:
    """Print a transcript, and when each of its words was spoken."""
    print(f"\nTranscript:\n\n  {transcript.text}\n\nWord by word (seconds, confidence):\n")
    for word in transcript.words:
        print(
            f"  {word.start_time:6.2f} – {word.end_time:5.2f}  {word.confidence:4.2f}"
            f"  {word.content}"
        )


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("audio", nargs="?", type=Path, default=SAMPLE, help="a mono WAV file")
    audio = parser.parse_args().audio
    try:
        with LocalServer() as server:
            print(f"Transcribing {audio.name} as it is spoken, through {server.url}\n", flush=True)
            show(transcribe(server.url, audio))
    except SpeechmaticsError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
