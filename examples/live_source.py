"""Transcribe speech while it is spoken, from anything that ffmpeg or sox can record or read.

python examples/live_source.py                 # a sample, played as if it were live
python examples/live_source.py --microphone    # until Ctrl-C, the words before it included
python examples/live_source.py FILE [--fast]
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from _server import server_url

from speechmatics_sync import (
    AudioEncoding,
    AudioError,
    AudioFormat,
    Client,
    ServerMessageType,
    SpeechmaticsError,
    TranscriptionConfig,
)

SAMPLE = Path(__file__).parent / "audio" / "demo.wav"
RAW = AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=16000)
MICROPHONES = {
    "linux": ["-f", "alsa", "-i", "default"],
    "darwin": ["-f", "avfoundation", "-i", ":0"],
}


def recorder_command(file: Optional[str]) -> list[str]:
    """Return a command that writes a file or the microphone to its stdout, as raw samples."""
    if shutil.which("sox"):
        source = ["--default-device"] if file is None else [file]
        raw = ["-t", "raw", "-e", "signed", "-b", "16", "-L", "-c", "1", "-r", "16000", "-"]
        return ["sox", "-q", *source, *raw]
    if shutil.which("ffmpeg"):
        if file is None and sys.platform not in MICROPHONES:
            sys.exit("Install sox: ffmpeg does not find the microphone of this system by itself.")
        source = MICROPHONES[sys.platform] if file is None else ["-i", file]
        raw = ["-f", "s16le", "-ac", "1", "-ar", "16000", "-"]
        return ["ffmpeg", "-loglevel", "fatal", "-nostdin", *source, *raw]
    sys.exit("Neither sox nor ffmpeg is installed; install one with your system's package manager.")


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a recorder until the end of the block, out of reach of Ctrl-C."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as recorder:
        try:
            yield recorder
        finally:
            recorder.terminate()


def failed(recorder: subprocess.Popen[bytes]) -> bool:
    """Return whether a recorder that gives no more audio broke off."""
    try:
        return recorder.wait(timeout=1) != 0
    except subprocess.TimeoutExpired:
        return False  # it records on: Ctrl-C ended the audio


def show_partial(message: dict[str, Any]) -> None:
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 10
        print(f"\r\033[K      … {message['metadata']['transcript'][-width:]}", end="", flush=True)


def show_final(message: dict[str, Any]) -> None:
    new_line = "\r\033[K" if sys.stdout.isatty() else ""
    final = message["metadata"]
    print(f"{new_line}{final['start_time']:6.2f}  {final['transcript']}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Transcribe speech while it is spoken.")
    parser.add_argument("file", nargs="?", default=str(SAMPLE), help="default: a sample of speech")
    parser.add_argument("--microphone", action="store_true", help="record instead of FILE")
    parser.add_argument("--fast", action="store_true", help="play FILE faster than it was spoken")
    args = parser.parse_args()
    if not args.microphone and not Path(args.file).exists():
        sys.exit(f"No such file: {args.file}")
    command = recorder_command(None if args.microphone else args.file)

    with server_url() as url, running(command) as recorder, Client(url=url) as client:
        client.on(ServerMessageType.ADD_PARTIAL_TRANSCRIPT, show_partial)
        client.on(ServerMessageType.ADD_TRANSCRIPT, show_final)
        try:
            client.transcribe(
                recorder.stdout,
                audio_format=RAW,
                transcription_config=TranscriptionConfig(enable_partials=True, max_delay=2),
                realtime=not (args.microphone or args.fast),
                collect=False,  # a live source may never end
                on_interrupt="finish",  # Ctrl-C ends the audio; what was said is still transcribed
            )
        except AudioError:
            if not failed(recorder):
                raise
        if failed(recorder):
            sys.exit(f"{command[0]} failed; there is no more audio.")


if __name__ == "__main__":
    try:
        main()
    except SpeechmaticsError as error:
        sys.exit(f"Not transcribed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
