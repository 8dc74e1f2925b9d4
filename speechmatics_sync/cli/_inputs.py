"""What is to be transcribed: files, URLs, standard input, a microphone, channels."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import sys
import wave
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional
from urllib.parse import urlsplit

from speechmatics_sync import (
    AudioError,
    AudioFormat,
    ConfigurationError,
    SpeechmaticsError,
    split_channels,
)

from ._exits import shown, written_to

__all__ = ["Heard", "Input", "inputs_of"]

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class Heard(NamedTuple):
    """A source that was opened.

    Args:
        source: What a client transcribes: a source, or sources by their labels.
        level: Returns how loud it is, from 0 to 1, for a microphone.
    """

    source: Any
    level: Optional[Callable[[], float]] = None


class Input(NamedTuple):
    """Something to transcribe.

    Args:
        name: What it is called.
        stem: The name of its files in a folder, without a suffix.
        live: Whether it has no end of its own, so that Ctrl-C is its end.
        opened: Opens it; a context manager that gives a `Heard`.
        multichannel: Whether its sources are channels.
        files: The files that it is made of.
    """

    name: str
    stem: str
    live: bool
    opened: Callable[[], contextlib.AbstractContextManager[Heard]]
    multichannel: bool = False
    files: Sequence[str] = ()

    def look(self) -> None:
        """Look whether its files are there, without a session.

        Raises:
            AudioError: One is not.
        """
        for file in self.files:
            with _read_from(file):
                os.stat(file)

    def seconds(self) -> Optional[float]:
        """Return how long a file is, or None if that cannot be told.

        For files that are sent as they are, of which only the server knows the inside.
        """
        if len(self.files) != 1 or not os.path.isfile(self.files[0]):
            return None
        try:
            from speechmatics_sync import open_audio

            with open_audio(self.files[0]) as audio:
                return audio.total_seconds
        except SpeechmaticsError:  # it is told when the file is transcribed
            return None


@contextlib.contextmanager
def _read_from(file: str) -> Iterator[None]:
    """Have an error say which file cannot be read.

    Raises:
        AudioError: That.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, FileNotFoundError) and not os.path.isabs(file):
            reason = f"{reason} (looked for from {os.getcwd()!r})"
        raise AudioError(f"the file {shown(file)!r} cannot be read: {reason}") from None


def inputs_of(arguments: Any, audio_format: Optional[AudioFormat]) -> list[Input]:
    """Return what the arguments name, in their order.

    Raises:
        ConfigurationError: They do not fit together.
    """
    names: list[str] = arguments.sources
    labels = _labels(arguments.channels)
    if arguments.mic:
        if names:
            raise ConfigurationError(
                f"--mic and {names[0]!r} both say what to transcribe: leave one out"
            )
        return [_microphone(arguments, audio_format, list(labels or ()))]
    if arguments.device is not None:
        raise ConfigurationError("--device needs --mic: add it, or leave --device out")
    files = {label: file for label, file in (labels or {}).items() if file}
    if files:
        if len(files) < len(labels or ()):
            raise ConfigurationError(
                "--channels has labels with a file and labels without one: give each a file, as in "
                "a=a.wav,b=b.wav"
            )
        if names:
            raise ConfigurationError(
                f"--channels and {names[0]!r} both say what to transcribe: leave {names[0]!r} "
                "out, or the files in --channels"
            )
        return [_channel_files(files)]
    if not names:
        raise ConfigurationError("there is nothing to transcribe: name a file, -, or --mic")
    if names.count("-") > 1:
        raise ConfigurationError("standard input (-) can be transcribed once: name it once")
    if "-" in names and sys.stdin is not None and sys.stdin.isatty():
        raise ConfigurationError("standard input (-) is a terminal: redirect audio to it")
    save = arguments.save_audio
    if save is not None and (len(names) > 1 or labels):
        raise ConfigurationError(
            "--save-audio is for one source, and for no channels of it: leave it out, or "
            "transcribe one source without --channels"
        )
    return [_input(name, list(labels or ()), audio_format, save) for name in names]


def _labels(channels: Optional[str]) -> Optional[dict[str, str]]:
    """Return the labels of ``--channels``, each with its file or ""."""
    if channels is None:
        return None
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in channels.split(","))):
        label, _, file = part.partition("=")
        if label in found:
            raise ConfigurationError(
                f"--channels has {label!r} twice: give each channel a label of its own"
            )
        found[label] = file
    if not found:
        raise ConfigurationError(f"--channels is {channels!r}; allowed: labels, such as a,b")
    return found


def _input(
    name: str, labels: Sequence[str], audio_format: Optional[AudioFormat], save: Optional[str]
) -> Input:
    live, stem = False, Path(name).stem
    if name == "-":
        live, stem = True, "stdin"
    elif _URL.match(name):
        stem = Path(urlsplit(name).path).stem or urlsplit(name).hostname or "url"

    @contextlib.contextmanager
    def opened() -> Iterator[Heard]:
        with contextlib.ExitStack() as stack:
            source: Any = name
            if name == "-" and sys.stdin is None:
                raise AudioError("standard input is closed: redirect audio to it, or name a file")
            if name == "-":
                # Not sys.stdin: a thread that waits inside its buffer would abort the exit.
                source = stack.enter_context(open(0, "rb", buffering=0, closefd=False))
            elif _URL.match(name):
                from speechmatics_sync import open_audio

                source = stack.enter_context(open_audio(name))
            if labels:
                channels: Mapping[str, Any] = split_channels(source, list(labels))
                yield Heard(channels)
                return
            if save is not None:
                source = stack.enter_context(_keeping(source, save, audio_format))
            yield Heard(source)

    files = () if name == "-" or _URL.match(name) else (name,)
    return Input(_shown(name), stem, live, opened, bool(labels), files)


def _shown(name: str) -> str:
    if name == "-":
        return "standard input"
    if _URL.match(name):
        parts = urlsplit(name)
        return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    return shown(name)


def _channel_files(files: Mapping[str, str]) -> Input:
    @contextlib.contextmanager
    def opened() -> Iterator[Heard]:
        yield Heard(files)

    first = next(iter(files.values()))
    name = ", ".join(map(_shown, files.values()))
    return Input(name, Path(first).stem, False, opened, True, list(files.values()))


def _microphone(
    arguments: Any, audio_format: Optional[AudioFormat], labels: Sequence[str]
) -> Input:
    device = arguments.device
    if device is not None and device.isdecimal():
        device = int(device)

    @contextlib.contextmanager
    def opened() -> Iterator[Heard]:
        from speechmatics_sync import Microphone

        options: dict[str, Any] = {"channels": len(labels)} if labels else {}
        if audio_format is not None:
            options["sample_rate"] = audio_format.sample_rate
        with Microphone(device, save=arguments.save_audio, **options) as microphone:
            source = split_channels(microphone, list(labels)) if labels else microphone
            yield Heard(source, lambda: microphone.level.rms)

    return Input("microphone", "microphone", True, opened, bool(labels))


@contextlib.contextmanager
def _keeping(source: Any, path: str, audio_format: Optional[AudioFormat]) -> Iterator[Any]:
    """Give a source that keeps what is read from it in a file.

    16-bit samples become a WAV file; anything else is kept byte for byte.

    Raises:
        OutputError: The file cannot be written.
    """
    given = audio_format or getattr(source, "audio_format", None)
    with contextlib.ExitStack() as stack:
        if isinstance(source, str):
            with _read_from(source):
                source = stack.enter_context(open(source, "rb"))
            if os.path.exists(path) and os.path.samefile(source.fileno(), path):
                raise ConfigurationError(
                    f"--save-audio is the file {path!r}, which is transcribed: name another"
                )
        with written_to(path):
            file = open(path, "wb")  # noqa: SIM115  (`_Tee` closes it)
        yield stack.enter_context(_Tee(source, file, given))


class _Tee:
    """A source that hands on what is read from it, and keeps it in a file, which it closes.

    As with `Microphone(save=…)`, where the file cannot be written any more, what is heard goes on.
    """

    def __init__(self, source: Any, file: Any, audio_format: Optional[AudioFormat]) -> None:
        self._source = source
        self._lost = False
        self._files = [file]
        self._write: Callable[[bytes], object] = file.write
        if audio_format is not None:
            self.audio_format = audio_format
            if audio_format.encoding == "pcm_s16le":
                samples = wave.open(file, "wb")  # noqa: SIM115
                samples.setparams((1, 2, int(audio_format.sample_rate), 0, "NONE", ""))
                self._files.insert(0, samples)
                self._write = samples.writeframesraw

    def __enter__(self) -> _Tee:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            self._keep(file.close)

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._source.read(size)
        if not self._lost:
            self._keep(functools.partial(self._write, data))
        return data

    def _keep(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            if not self._lost:
                logging.getLogger("speechmatics_sync").error(
                    "the audio cannot be saved any more: %s; what is heard is transcribed "
                    "nevertheless",
                    error.strerror,
                )
            self._lost = True
