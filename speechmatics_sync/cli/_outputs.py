"""Where transcripts are written, and in which formats."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from speechmatics_sync import ConfigurationError, Transcript

from ._exits import OutputError, shown, written_to
from ._inputs import Input

if TYPE_CHECKING:
    from ._growing import Growing

__all__ = ["FORMATS", "Outputs"]

FORMATS = ("txt", "json", "jsonl", "srt", "vtt")
_ALLOWED = ", ".join(FORMATS)


class Outputs:
    """The files of each input, or standard output.

    Args:
        output: The argument of ``-o``: a file or a folder; None is standard output.
        formats: The arguments of ``--format``; None takes what the name of the file says.
        inputs: What is transcribed.
        resume: Whether what is there is not done again.
        follow: Whether files grow while they are made, all but JSON.

    Attributes:
        apart: Whether a part of a file's transcript gets another name than the whole.
        formats: What is written for each input.
        to_files: Whether it is written to files.
        whole: Whether the whole transcript is needed at the end, and not its lines alone.

    Raises:
        ConfigurationError: They do not fit together, or the folder is missing.
        OutputError: The folder cannot be written to.
    """

    def __init__(
        self,
        output: Optional[str],
        formats: Optional[Sequence[str]],
        inputs: Sequence[Input],
        *,
        resume: bool = False,
        follow: bool = False,
    ) -> None:
        self.formats = _formats(formats)
        self.to_files = output is not None
        self._file: Optional[Path] = None
        self._folder: Optional[Path] = None
        if output is None:
            self._check_standard_output(len(inputs))
        elif _is_folder(output, len(inputs)):
            self._folder = Path(output)
        else:
            self._file = self._check_file(Path(output))
        self.formats = self.formats or ["txt"]
        self._follow = follow
        if follow and resume:
            raise ConfigurationError("--follow goes without --resume: leave one out")
        if follow and output is None:
            raise ConfigurationError("--follow needs -o: name a file or a folder with it")
        self.whole = not set(self.formats) <= {"txt", "jsonl"}
        if self.to_files:
            self.whole = not follow or "json" in self.formats
        self._check_names(inputs)
        if {"srt", "vtt"} & set(self.formats):
            Transcript().to_srt()  # raises if their extra is missing
        if output is not None:
            self._check_folder()
        elif resume:
            raise ConfigurationError("--resume needs -o: name the folder that has the transcripts")
        self.apart = resume or self._folder is not None

    def paths(self, given: Input) -> list[Path]:
        """Return the files of an input, one for each format."""
        if self._file is not None:
            return [self._file.with_suffix(f".{format}") for format in self.formats]
        if self._folder is None:
            return []
        return [self._folder / f"{given.stem}.{format}" for format in self.formats]

    def are_there(self, given: Input) -> bool:
        """Return whether the files of an input exist already."""
        paths = self.paths(given)
        return bool(paths) and all(path.exists() for path in paths)

    def growing(self, given: Input) -> contextlib.AbstractContextManager[Optional[Growing]]:
        """Give what adds to the files of an input that grow; None if there are none.

        Raises:
            OutputError: A file cannot be written.
        """
        if not self._follow:
            return contextlib.nullcontext()
        from ._growing import growing

        return growing(path for path in self.paths(given) if not self._is_saved(path))

    def _is_saved(self, path: Path) -> bool:
        return not self._follow or path.suffix == ".json"

    def save(self, given: Input, transcript: Transcript, *, partial: bool = False) -> list[Path]:
        """Write the files of an input; return them.

        Args:
            given: The input.
            transcript: What was heard.
            partial: Whether to write files of another name (``talk.partial.txt``), which a later
                run with ``--resume`` does not take for the whole.

        Raises:
            OutputError: A file cannot be written.
        """
        paths = [path for path in self.paths(given) if self._is_saved(path)]
        if partial:
            paths = [path.with_name(f"{path.stem}.partial{path.suffix}") for path in paths]
        for path in paths:
            with written_to(path):
                transcript.save(path)
        return paths

    # -- inside -----------------------------------------------------------------------------------

    def _check_standard_output(self, count: int) -> None:
        if len(self.formats) > 1:
            raise ConfigurationError(
                "several formats need -o with a file or a folder: add it, as in -o transcripts/"
            )
        if count > 1 and not set(self.formats) <= {"txt", "jsonl"}:
            raise ConfigurationError(
                f"several files as {self.formats[0]} need -o with a folder: add it, as in "
                "-o transcripts/"
            )

    def _check_file(self, file: Path) -> Path:
        suffix = file.suffix[1:].lower()
        if suffix not in FORMATS:
            raise ConfigurationError(
                f"-o is {shown(file)!r}, whose name ends in no format; allowed: {_ALLOWED}, or a "
                "folder with / at its end"
            )
        if self.formats and suffix not in self.formats:
            raise ConfigurationError(
                f"-o is {shown(file)!r}, and --format is {','.join(self.formats)}: leave --format "
                f"out, or name a file that ends in .{self.formats[0]}"
            )
        self.formats = self.formats or [suffix]
        return file

    def _check_names(self, inputs: Sequence[Input]) -> None:
        taken: dict[Path, str] = {}
        for given in inputs:
            for path in self.paths(given):
                if path in taken:
                    raise ConfigurationError(
                        f"{taken[path]} and {given.name} would both be written to {shown(path)}: "
                        "transcribe one into another folder"
                    )
                taken[path] = given.name

    def _check_folder(self) -> None:
        """Find out that nothing can be written before anything is transcribed."""
        folder = self._folder
        if folder is None:
            assert self._file is not None  # noqa: S101
            folder = self._file.parent
            if not folder.is_dir():
                raise ConfigurationError(
                    f"-o is in {shown(folder)}, which is not a folder: make it, or name another"
                )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OutputError(f"{shown(folder)} cannot be written to: {error.strerror}") from None


def _formats(given: Optional[Sequence[str]]) -> list[str]:
    found: list[str] = []
    for format in ",".join(given or ()).replace(" ", ",").split(","):
        name = format.lower().lstrip(".")
        if name and name not in FORMATS:
            raise ConfigurationError(f"--format is {format!r}; allowed: {_ALLOWED}")
        if name and name not in found:
            found.append(name)
    return found


def _is_folder(output: str, count: int) -> bool:
    if os.path.isdir(output) or output.endswith(("/", os.sep)):
        return True
    if count > 1:
        if Path(output).suffix[1:].lower() in FORMATS:
            raise ConfigurationError(
                f"-o is the file {output!r}, and several files need a folder: name one, as in "
                "-o transcripts/"
            )
        return True
    return False
