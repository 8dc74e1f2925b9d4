"""Transcribe live calls, and leave in good order on SIGTERM, as deployments do it.

    python examples/draining.py STATE FILE … [--grace 30]

Each WAV file stands for a call: it is played as fast as it was spoken. After SIGTERM no other call
is taken, and those that run have ``--grace`` seconds to end. What is left then is handed on: its
session ends with everything that was said until then, and the folder STATE keeps the transcript and
the second at which it stopped. Whoever is started with the same STATE, here or on another machine,
goes on from there. A word that is spoken just then is cut in two.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _server import server_url

from speechmatics_sync import AudioEncoding, AudioFormat, Client, SpeechmaticsError, Transcript

SAMPLE = Path(__file__).parent / "audio" / "demo.wav"
STEP = 0.1


def played(call: wave.Wave_read, over: threading.Event) -> Iterator[bytes]:
    """Give a call's audio when it is spoken, until it ends or is to be handed on."""
    begun, steps = time.monotonic(), 0
    while not over.wait(max(0.0, begun + steps * STEP - time.monotonic())):
        samples = call.readframes(int(STEP * call.getframerate()))
        if not samples:
            return
        yield samples
        steps += 1


def transcribe(file: Path, state: Path, over: threading.Event, url: str | None) -> None:
    """Transcribe a call, from where another worker has left it."""
    kept = state / f"{file.stem}.json"
    earlier = json.loads(kept.read_text()) if kept.exists() else {"seconds": 0.0, "parts": []}
    if earlier.get("finished"):
        return
    with wave.open(str(file)) as call, Client(url=url) as client:
        call.setpos(int(earlier["seconds"] * call.getframerate()))
        raw = AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=call.getframerate())
        transcript = client.transcribe(played(call, over), audio_format=raw)
        seconds = call.tell() / call.getframerate()
        finished = call.tell() == call.getnframes()
    parts = [*earlier["parts"], [earlier["seconds"], transcript.to_dict()]]
    kept.write_text(json.dumps({"seconds": seconds, "finished": finished, "parts": parts}))
    whole = Transcript.join(
        [Transcript.from_dict(part) for _, part in parts], offsets=[at for at, _ in parts]
    )
    print(f"{file.name}: {'ended' if finished else 'handed on'} at {seconds:.1f} s: {whole.text}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Transcribe calls; leave in good order.")
    parser.add_argument("state", type=Path, help="a folder that all workers see")
    parser.add_argument("files", nargs="*", type=Path, default=[SAMPLE], help="WAV files")
    parser.add_argument("--grace", type=float, default=30, help="seconds after SIGTERM")
    parser.add_argument("--calls", type=int, default=100, help="at a time")
    args = parser.parse_args()
    args.state.mkdir(exist_ok=True)
    leaving, over = threading.Event(), threading.Event()
    # The handler runs between two steps of the main thread, so it only sets a flag.
    signal.signal(signal.SIGTERM, lambda *_: leaving.set())

    with server_url() as url, ThreadPoolExecutor(args.calls) as pool:
        running = [
            pool.submit(transcribe, file, args.state, over, url)
            for file in args.files
            if not leaving.is_set()
        ]
        while not leaving.wait(STEP) and not all(call.done() for call in running):
            pass
        for call in running:
            call.cancel()  # those that wait for their turn are another worker's
        ending = time.monotonic() + args.grace
        while time.monotonic() < ending and not all(call.done() for call in running):
            time.sleep(STEP)
        over.set()
    for call in running:
        if not call.cancelled():
            call.result()


if __name__ == "__main__":
    try:
        main()
    except SpeechmaticsError as error:
        sys.exit(f"Not transcribed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
