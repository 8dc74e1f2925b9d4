"""Speak, and read along: live text in a terminal, from your microphone or a file.

    python examples/microphone.py                      # until Ctrl-C; what was said counts
    python examples/microphone.py --device headset --save call.wav
    python examples/microphone.py --devices            # lists them
    python examples/microphone.py FILE                 # a WAV file, as fast as it was spoken

What is final scrolls up like any output. Only what may still change is drawn anew.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Union

from _server import server_url
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from speechmatics_sync import Client, Line, Microphone, SpeechmaticsError, TranscriptionConfig


def shown(line: Line) -> Table:
    """Return a line with its time and speaker; what may still change is grey."""
    text = Text(line.text, style="italic bright_black")
    text.stylize("not italic default", 0, line.settled)
    if line.speaker:
        text = Text.assemble((f"{line.speaker}: ", "cyan"), text)
    row = Table.grid(padding=(0, 2))
    row.add_row(Text(f"{line.start_time:7.2f}", style="cyan"), text)
    return row


@contextlib.contextmanager
def source_of(arguments: argparse.Namespace) -> Iterator[Union[Microphone, Path]]:
    if arguments.file is not None:
        yield arguments.file
        return
    device = arguments.device
    if device is not None and device.isdecimal():
        device = int(device)
    with Microphone(device, save=arguments.save) as microphone:
        print(f"Listening to {microphone.name}; Ctrl-C ends it.", file=sys.stderr)
        yield microphone


def main() -> None:
    parser = argparse.ArgumentParser(description="Live text from a microphone.")
    parser.add_argument("file", nargs="?", type=Path, help="a WAV file in place of the microphone")
    parser.add_argument("--device", help="a part of the microphone's name, or its index")
    parser.add_argument("--devices", action="store_true", help="list the microphones")
    parser.add_argument("--save", metavar="FILE", help="keep the recording as a WAV file")
    arguments = parser.parse_args()
    if arguments.devices:
        for device in Microphone.devices():
            print("*" if device.is_default else " ", device)
        return

    console = Console(width=None if sys.stdout.isatty() else 10_000)  # a file has long lines
    unfinished: dict[int, Line] = {}
    with (
        server_url() as url,
        source_of(arguments) as source,
        Client(url=url) as client,
        Live(console=console, transient=True, auto_refresh=False) as live,
        client.stream(
            source,
            transcription_config=TranscriptionConfig(enable_partials=True, max_delay=2),
            realtime=arguments.file is not None,
            collect=False,  # it may go on for days
            on_interrupt="finish",  # Ctrl-C ends the audio; what was said is still transcribed
        ) as stream,
    ):
        for line in stream.lines():
            if line.is_final:
                unfinished.pop(line.id, None)
                if line.text:  # or what was heard turned out to be nothing
                    console.print(shown(line))
            else:
                unfinished[line.id] = line
            live.update(Group(*map(shown, unfinished.values())), refresh=True)


if __name__ == "__main__":
    try:
        main()
    except SpeechmaticsError as error:
        sys.exit(f"Not transcribed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
