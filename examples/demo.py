"""Transcribe samples of speech as they are spoken, with no key and no network.

The first has one channel, the second is a call with a speaker on each of two channels. Run it
with ``make demo``, or ``python examples/demo.py [file.wav]``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

from speechmatics_sync import (
    Client,
    ConversationConfig,
    MultiChannelClient,
    ServerMessageType,
    SpeechmaticsError,
    Transcript,
    TranscriptionConfig,
    split_channels,
)
from speechmatics_sync.local import LocalServer

AUDIO = Path(__file__).parent / "audio"
SAMPLE = AUDIO / "demo.wav"
CALL = AUDIO / "call.wav"
CONFIG = TranscriptionConfig(
    language="en",
    enable_partials=True,
    max_delay=2,
    conversation_config=ConversationConfig(end_of_utterance_silence_trigger=0.5),
)


class Display:
    """Shows speech as it is recognised: finals stay, the partial after them is rewritten."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._line = ""

    def partial(self, message: dict[str, Any]) -> None:
        """Show what is being said; on a terminal, always on the same line."""
        text = self._line + message["metadata"]["transcript"]
        if self._live:
            width = shutil.get_terminal_size().columns - 3
            print(f"\r\033[K  {text[-width:]}", end="", flush=True)
        else:
            print(f"  … {text}", flush=True)

    def final(self, message: dict[str, Any]) -> None:
        """Show what will not change any more."""
        self._line += message["metadata"]["transcript"]
        self._rewrite("")

    def end_of_utterance(self, message: dict[str, Any]) -> None:
        """Start a new line after a pause."""
        if self._line:
            self._rewrite(f"  {self._line.strip()}\n")
            self._line = ""

    def _rewrite(self, text: str) -> None:
        print(f"\r\033[K{text}" if self._live else text, end="", flush=True)


def transcribe(url: str, audio: Path) -> Transcript:
    """Transcribe a file at the speed at which it was spoken, and show the results as they come."""
    display = Display()
    with Client(url=url) as client:
        client.on(ServerMessageType.ADD_PARTIAL_TRANSCRIPT, display.partial)
        client.on(ServerMessageType.ADD_TRANSCRIPT, display.final)
        client.on(ServerMessageType.END_OF_UTTERANCE, display.end_of_utterance)
        client.on(ServerMessageType.END_OF_TRANSCRIPT, display.end_of_utterance)
        return client.transcribe(audio, transcription_config=CONFIG, realtime=True)


def transcribe_call(url: str, audio: Path) -> Transcript:
    """Transcribe a call of two channels, and show who says what as it is spoken."""
    said: dict[str, str] = {}

    def final(message: dict[str, Any]) -> None:
        label = message["channel"]
        said[label] = said.get(label, "") + message["metadata"]["transcript"]

    def end_of_utterance(message: dict[str, Any]) -> None:
        label = message["channel"]
        if text := said.pop(label, "").strip():
            print(f"  {label:>8}: {text}", flush=True)

    with MultiChannelClient(url=url) as client:
        client.on(ServerMessageType.ADD_TRANSCRIPT, final)
        client.on(ServerMessageType.END_OF_UTTERANCE, end_of_utterance)
        sources = split_channels(audio, labels=["agent", "customer"])
        transcript = client.transcribe(sources, transcription_config=CONFIG, realtime=True)
    for label in list(said):
        end_of_utterance({"channel": label})
    return transcript


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
            if audio == SAMPLE:
                print(f"\nAnd {CALL.name}, a call with a speaker on each channel\n", flush=True)
                call = transcribe_call(server.url, CALL)
                print(f"\nThe call:\n\n{textwrap.indent(call.text, '  ')}")
    except SpeechmaticsError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
