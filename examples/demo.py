"""Transcribe samples of speech as they are spoken, with no key and no network.

The first has one channel, the second is a call with a speaker on each of two channels. Run it
with ``make demo``, or ``python examples/demo.py [file.wav]``.
"""

from __future__ import annotations

# ruff: noqa: E402
import signal

# While modules load, Ctrl-C ends the program without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import io
import os
import shutil
import sys
import textwrap
import wave
from pathlib import Path
from typing import Any, NamedTuple, Optional

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
MAX_DELAY = 2.0
CONFIG = TranscriptionConfig(
    language="en",
    enable_partials=True,
    max_delay=MAX_DELAY,
    conversation_config=ConversationConfig(end_of_utterance_silence_trigger=0.5),
)


class Utterance(NamedTuple):
    """What one channel said, from its first word to a pause."""

    start: float
    end: float
    channel: Optional[str]
    text: str


class Display:
    """Shows speech as it is recognised: utterances stay, what is being said is rewritten.

    Channels are recognised apart, so an utterance is shown when no other channel can still have an
    earlier one: it is `MAX_DELAY` old, and nothing that began before it goes on.
    """

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._open: dict[Optional[str], Utterance] = {}
        self._ended: list[Utterance] = []
        self._heard_until = 0.0

    def partial(self, message: dict[str, Any]) -> None:
        """Show what is being said; on a terminal, always on the same line."""
        self._show(self._extended(message))

    def final(self, message: dict[str, Any]) -> None:
        """Keep what will not change any more."""
        if message["results"]:
            utterance = self._extended(message)
            self._open[utterance.channel] = utterance
        self._show_ended()

    def end_of_utterance(self, message: dict[str, Any]) -> None:
        """End the utterance of a channel after a pause."""
        utterance = self._open.pop(message.get("channel"), None)
        if utterance is not None:
            self._ended.append(utterance)
        self._show_ended()

    def end_of_transcript(self, message: dict[str, Any]) -> None:
        """Show what is left."""
        self._ended += self._open.values()
        self._open.clear()
        self._show_ended(all_of_it=True)

    def _extended(self, message: dict[str, Any]) -> Utterance:
        """Return a channel's utterance with what a message adds to it."""
        metadata, channel = message["metadata"], message.get("channel")
        self._heard_until = max(self._heard_until, metadata["end_time"])
        start = min(
            (result["start_time"] for result in message["results"]), default=metadata["start_time"]
        )
        before = self._open.get(channel, Utterance(start, start, channel, ""))
        text = before.text + metadata["transcript"]
        return Utterance(before.start, metadata["end_time"], channel, text)

    def _show_ended(self, *, all_of_it: bool = False) -> None:
        self._ended.sort()
        while self._ended:
            first = self._ended[0]
            recent = self._heard_until < first.end + MAX_DELAY
            earlier = any(other.start < first.start for other in self._open.values())
            if first.channel is not None and not all_of_it and (recent or earlier):
                return
            self._ended.pop(0)
            print(f"{self._erased()}{indented(spoken(first))}", flush=True)

    def _show(self, utterance: Utterance) -> None:
        if self._live:
            # As many of the last words as the line holds.
            width = shutil.get_terminal_size().columns - 3
            said = spoken(utterance)
            shown = said if len(said) <= width else said[-width:].partition(" ")[2]
            print(f"{self._erased()}  {shown}", end="", flush=True)
        else:
            print(f"  … {spoken(utterance)}", flush=True)

    def _erased(self) -> str:
        return "\r\033[K" if self._live else ""


def spoken(utterance: Utterance) -> str:
    """Return an utterance as it is shown, with its channel if there are several."""
    text = utterance.text.strip()
    return text if utterance.channel is None else f"{utterance.channel:>8}: {text}"


def indented(text: str) -> str:
    """Return a text in lines that fit the terminal, broken between words."""
    width = shutil.get_terminal_size().columns - 1
    return textwrap.fill(
        text, width, initial_indent="  ", subsequent_indent="  ", break_long_words=False
    )


def watch(client: Client | MultiChannelClient) -> None:
    """Have a client's messages shown as they come."""
    display = Display()
    client.on(ServerMessageType.ADD_PARTIAL_TRANSCRIPT, display.partial)
    client.on(ServerMessageType.ADD_TRANSCRIPT, display.final)
    client.on(ServerMessageType.END_OF_UTTERANCE, display.end_of_utterance)
    client.on(ServerMessageType.END_OF_TRANSCRIPT, display.end_of_transcript)


def transcribe(url: str, audio: Path) -> Transcript:
    """Transcribe a file, at the speed at which it was spoken if it can be, and show the results."""
    realtime = goes_as_samples(audio)
    manner = " as it is spoken" if realtime else ""
    print(f"Transcribing {audio.name}{manner}, through {url}\n", flush=True)
    with Client(url=url) as client:
        watch(client)
        return client.transcribe(audio, transcription_config=CONFIG, realtime=realtime)


def goes_as_samples(audio: Path) -> bool:
    """Return whether the client sends the samples of a file, and knows when each was spoken.

    Other files, such as a WAV of two channels, are sent as they are and mixed by the server.
    """
    try:
        with wave.open(str(audio), "rb") as wav:
            return (wav.getnchannels(), wav.getsampwidth()) == (1, 2)
    except (wave.Error, EOFError):
        return False


def transcribe_call(url: str, audio: Path) -> Transcript:
    """Transcribe a call of two channels, and show who says what as it is spoken."""
    with MultiChannelClient(url=url) as client:
        watch(client)
        sources = split_channels(audio, labels=["agent", "customer"])
        return client.transcribe(sources, transcription_config=CONFIG, realtime=True)


def show(transcript: Transcript) -> None:
    """Print a transcript, and when each of its words was spoken, in columns that fit the screen."""
    print(f"\nTranscript:\n\n{indented(transcript.text)}\n")
    print("Word by word (seconds, confidence):\n")
    cells = [
        f"{word.start_time:6.2f} – {word.end_time:5.2f}  {word.confidence:4.2f}  {word.content}"
        for word in transcript.words
    ]
    width = max((len(cell) for cell in cells), default=1) + 4
    columns = max(1, (shutil.get_terminal_size().columns - 2) // width)
    rows = -(-len(cells) // columns)
    for row in range(rows):
        print("  " + "".join(f"{cell:<{width}}" for cell in cells[row::rows]).rstrip())


def main() -> int:
    """Run the demo; return the exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal and log can show "…"
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("audio", nargs="?", type=Path, default=SAMPLE, help="a WAV file")
    audio = parser.parse_args().audio
    try:
        if not audio.is_file():
            print(f"demo: there is no file {audio}", file=sys.stderr)
            return 1
        with LocalServer() as server:
            show(transcribe(server.url, audio))
            if audio == SAMPLE:
                print(f"\nAnd {CALL.name}, a call with a speaker on each channel\n", flush=True)
                call = transcribe_call(server.url, CALL)
                print("\nThe call:\n")
                for line in call.text.splitlines():
                    print(indented(line))
        python = os.path.relpath(sys.executable)
        print(
            f"\nNext: a recording of your own, recognised on this machine\n\n"
            f"  {python} examples/demo.py RECORDING.wav\n\n"
            f"or by the service, with a key\n\n"
            f"  SPEECHMATICS_API_KEY=… {python} examples/transcribe_file.py RECORDING.wav",
            flush=True,
        )
    except SpeechmaticsError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. Exiting must not flush into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
