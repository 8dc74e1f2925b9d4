"""What this client does, shown in half a minute with no key and no network: ``make demo``.

Speech becomes text while it is spoken. A call is transcribed with a speaker on each channel, its
connection is cut in the middle of a sentence, and no word is lost. In the end it has captions.
"""

from __future__ import annotations

# ruff: noqa: E402
import signal

# While modules load, Ctrl-C ends the program without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path
from textwrap import indent
from typing import Any, Optional, Union

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from speechmatics_sync import (
    Client,
    ConversationConfig,
    Line,
    MultiChannelClient,
    SessionEvent,
    SpeechmaticsError,
    Transcript,
    TranscriptionConfig,
    split_channels,
)
from speechmatics_sync.local import Drop, Faults, LocalServer, Refuse

AUDIO = Path(__file__).parent / "audio"
SPEECH = AUDIO / "demo.wav"  # 11 seconds, one channel
CALL = AUDIO / "call.wav"  # 10 seconds, a speaker on each of two channels
COLOURS = {"agent": "magenta", "customer": "green"}
CUT_AT = 4.5  # seconds; the customer is saying a number
FOLDER = Path("demo-output")
CONFIG = TranscriptionConfig(
    language="en",
    enable_partials=True,
    max_delay=2,
    conversation_config=ConversationConfig(end_of_utterance_silence_trigger=0.5),
)

# Escape sequences are for terminals, even if FORCE_COLOR is set.
console = Console(highlight=False, force_terminal=sys.stdout.isatty(), markup=False, emoji=False)


def main() -> int:
    """Run the demo; return the exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    faults = Faults()
    try:
        FOLDER.mkdir(exist_ok=True)
        with LocalServer(faults=faults) as server:
            return 0 if show(faults, server.url) else 1
    except (SpeechmaticsError, OSError) as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130


def show(faults: Faults, url: str) -> bool:
    """Show everything; return whether no word was lost."""
    heading("1  Live text", f"{SPEECH.name}, as it is spoken. Grey words may still change.")
    with Client(url=url) as client:
        read_along(client, SPEECH)

    heading("2  Two channels", f"{CALL.name}; after {CUT_AT} s the server cuts the connection.")
    faults.add(Drop(mid_frame=True), after_seconds=CUT_AT)
    faults.add(Refuse(503), skip=1)  # nor does the first attempt to connect again succeed
    with MultiChannelClient(url=url) as healed:
        read_along(healed, split_channels(CALL, labels=list(COLOURS)))

    heading("3  Proof", "The same call with no cut, as fast as it goes.")
    with console.status("transcribing", spinner="line"), MultiChannelClient(url=url) as uncut:
        uncut.transcribe(split_channels(CALL, labels=list(COLOURS)), transcription_config=CONFIG)
    same = nothing_was_lost(healed.transcript, uncut.transcript)

    heading("4  Captions", "The call, for players and web pages.")
    write_captions(healed.transcript)

    heading("Summary", "Final: how long after its last word a text no longer changed.")
    sum_up("speech", client)
    sum_up("call", healed)

    heading("Next", "No recording at hand? Take examples/audio/demo.wav.")
    python = sys.executable.replace(f"{Path.cwd()}{os.sep}", "", 1)
    console.print(
        f"  Your file  {python} -m speechmatics_sync transcribe --local talk.wav\n"
        "  Service    the same without --local, with SPEECHMATICS_API_KEY set\n"
        "  Program    README.rst; for each kind of application, one in examples/",
        soft_wrap=True,  # a command is not broken, so that it can be copied
    )
    return same


def read_along(client: Union[Client, MultiChannelClient], source: Any) -> None:
    """Transcribe a source as fast as it was spoken, and show what is said while it is said."""
    lines = LiveLines()
    client.on(SessionEvent.RECONNECTING, lines.lost)
    client.on(SessionEvent.RECONNECTED, lines.resumed)
    options = {"transcription_config": CONFIG, "realtime": True, "progress": lines.progress}
    with (
        client.stream(source, **options) as stream,
        Live(lines, console=console, transient=True, refresh_per_second=10),
    ):
        for line in stream.lines():
            lines.show(line)


def nothing_was_lost(healed: Transcript, uncut: Transcript) -> bool:
    """Print how the words of two transcripts differ; return whether they are the same."""
    with_cut, without = (
        Counter((word.channel, word.content) for word in transcript.words)
        for transcript in (healed, uncut)
    )
    lost, added = sum((without - with_cut).values()), sum((with_cut - without).values())
    console.print(
        f"  {len(healed.words)} words with the cut, {len(uncut.words)} without it: "
        f"{lost} lost, {added} added",
        style="bold red" if lost or added else "green",
    )
    return not lost and not added


def write_captions(call: Transcript) -> None:
    """Write captions, and print the first two."""
    for path in (FOLDER / "call.vtt", FOLDER / "call.srt"):
        call.save(path, speaker_labels=True)
        console.print(f"  {path}")
    first = path.read_text(encoding="utf-8").split("\n\n")[:2]
    console.print("", indent("\n\n".join(first), "    "), sep="\n", style="bright_black")


def sum_up(name: str, client: Union[Client, MultiChannelClient]) -> None:
    """Print what a client knows of its last session."""
    stats = client.stats
    console.print(
        f"  {name:<6}  {len(client.transcript.words)} words, "
        f"final after {stats.final_latency_median:.1f} s (median), "
        f"reconnects {stats.reconnects}, {client.audio_bytes_sent // 1000} kB of audio"
    )


def heading(title: str, about: str) -> None:
    console.print("", Rule(Text(title, style="bold"), style="cyan", align="left"))
    console.print(about, style="bright_black")


class LiveLines:
    """The lines of a session while they are spoken, and whether it is connected.

    A final line is printed. Those that may still change stand below in grey, and are drawn anew.
    """

    def __init__(self) -> None:
        self._open: dict[int, Line] = {}
        self._done = ProgressBar(total=1, width=24, complete_style="cyan", finished_style="cyan")
        self._connection = Text("connected", style="green")
        self._lost_at = 0.0

    def show(self, line: Line) -> None:
        """Take a line that has changed; print what is final, in the order in which it was said."""
        self._open[line.id] = line
        for first in self._in_order():
            if not first.is_final:
                break  # what began later waits for it
            del self._open[first.id]
            if first.text:  # else it turned out that nothing was said
                console.print(row(first))

    def progress(self, done: float, total: Optional[float]) -> None:
        """Take how many seconds of the audio are done."""
        self._done.update(completed=done, total=total)

    def lost(self, message: dict[str, Any]) -> None:
        """Show that the connection was lost."""
        self._lost_at = time.monotonic()
        self._connection = Text("connection lost", style="bold red")

    def resumed(self, message: dict[str, Any]) -> None:
        """Print how long there was no connection."""
        after, lost = time.monotonic() - self._lost_at, message["seconds_lost"]
        what = f"{lost:.1f} s of audio lost" if lost else "nothing lost"
        text = Text(f"connection lost, resumed after {after:.1f} s; {what}", style="yellow")
        console.print(Padding.indent(text, 8))
        self._connection = Text("connected", style="green")

    def __rich__(self) -> Group:
        """Return what stands below: `Live` asks for it ten times a second, in its own thread."""
        status = Table.grid(padding=(0, 2))
        status.add_row("", self._done, f"{self._done.completed:4.1f} s", self._connection)
        return Group(*map(row, self._in_order()), status)

    def _in_order(self) -> list[Line]:
        return sorted(self._open.copy().values(), key=lambda line: line.start_time)


def row(line: Line) -> Table:
    """Return a line with its time and channel; what may still change is grey."""
    text = Text(line.text, style="italic bright_black")
    text.stylize("not italic default", 0, line.settled)
    cells = [Text(f"{line.start_time:6.1f}", style="cyan")]
    if line.channel:
        cells.append(Text(f"{line.channel:<8}", style=f"bold {COLOURS[line.channel]}"))
    table = Table.grid(padding=(0, 2))
    table.add_row(*cells, text)
    return table


if __name__ == "__main__":
    sys.exit(main())
