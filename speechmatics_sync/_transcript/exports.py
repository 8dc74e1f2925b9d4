"""What a transcript can be made into: captions, texts, tables and files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Optional, Union, cast

from ..errors import ConfigurationError
from .reading import Everything
from .speaker_names import SpeakerLabels
from .spoken import Delimiters
from .tables import Table

if TYPE_CHECKING:
    import matplotlib.figure  # type: ignore[import-not-found,unused-ignore]
    import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]

    from .._model.typing import Buffer, Source
    from .captions.captions import Captions
    from .saving import Path
    from .searching import Match
    from .transcript import Transcript
    from .turns import Turn
    from .views.player import Player
    from .words import Word

__all__ = ["Exports"]


class Exports:
    """The exports of a transcript. What they are made with is loaded when one is asked for."""

    _config: Optional[dict[str, Any]]

    if TYPE_CHECKING:

        @property
        def turns(self) -> list[Turn]: ...

        @property
        def words(self) -> list[Word]: ...

        def to_dict(self) -> dict[str, Any]: ...

        def _everything(self) -> Everything: ...

    def captions(
        self,
        *,
        max_line_length: int = 37,
        max_lines: int = 2,
        speaker_labels: SpeakerLabels = None,
    ) -> Captions:
        """The words as captions: a few at a time, while they are heard.

        A caption has at most ``max_lines`` lines, is shown for 5/6 of a second to 7 seconds, up to
        0.5 s longer than its words are heard, and not faster than 17 characters a second, where
        the words allow it (`Captions.report`). It ends where a sentence or a clause does, or at a
        pause; articles stay with their nouns. Another speaker begins a new one, unless that could
        not be read; then each has a line. No two are shown at once, also where channels overlap.

        Args:
            max_line_length: Columns of a line; a wide character, as in Chinese, takes two.
            max_lines: Lines of a caption.
            speaker_labels: None for a dash where the speaker changes, if several speak; True for
                their labels, False for nothing; a mapping of labels to names.

        Raises:
            ConfigurationError: An argument is not valid.

        Example:
            >>> transcript = client.transcribe("audio.wav")
            >>> for caption in transcript.captions():
            ...     print(caption.start_time, caption.end_time, caption.text)
            0.2 1.034 hello world.
        """
        from .captions.captions import captions_of

        now = self._everything()
        return captions_of(
            now.said[: now.until],
            Delimiters(now.delimiter, now.delimiters),
            (self._config or {}).get("language"),
            max_line_length=max_line_length,
            max_lines=max_lines,
            speaker_labels=speaker_labels,
        )

    def to_srt(
        self,
        *,
        max_line_length: int = 37,
        max_lines: int = 2,
        speaker_labels: SpeakerLabels = None,
    ) -> str:
        """The captions as a SubRip file; see `captions` and `Captions.to_srt`."""
        return self.captions(
            max_line_length=max_line_length, max_lines=max_lines, speaker_labels=speaker_labels
        ).to_srt()

    def to_vtt(
        self,
        *,
        max_line_length: int = 37,
        max_lines: int = 2,
        speaker_labels: SpeakerLabels = None,
    ) -> str:
        """The captions as a WebVTT file; see `captions` and `Captions.to_vtt`."""
        return self.captions(
            max_line_length=max_line_length, max_lines=max_lines, speaker_labels=speaker_labels
        ).to_vtt()

    def to_txt(self, *, speaker_labels: SpeakerLabels = None, timestamps: bool = False) -> str:
        """The transcript as text: a line for each turn; one line if one speaker said everything.

        Args:
            speaker_labels: None for labels if several speak, True for labels in any case, False
                for none; a mapping of labels to names.
            timestamps: Begin each line with its time, ``[hh:mm:ss]``, and each sentence with a
                line.

        Example:
            >>> print(client.transcribe("audio.wav").to_txt(timestamps=True))
            [00:00:00] hello world.
        """
        from .texts import text_of

        return text_of(
            self._everything(), self.turns, speaker_labels=speaker_labels, timestamps=timestamps
        )

    def to_json(self, *, indent: Optional[int] = None) -> str:
        """The transcript in the API's json-v2 format, which `load` and `from_dict` read."""
        import json

        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent)

    def to_jsonl(self) -> str:
        """What was said as JSON, an object on each line for each sentence or utterance.

        Each has ``speaker``, ``channel``, ``start_time``, ``end_time`` (seconds) and ``text``, and
        is what `Stream.lines` gives as a final `Line`.
        """
        from .texts import json_lines

        return json_lines(self._everything())

    def to_rows(self) -> list[dict[str, Any]]:
        """The words as plain dicts with the fields of `Word`, for any table.

        Example:
            >>> client.transcribe("audio.wav").to_rows()[0]["content"]
            'hello'
        """
        from .texts import rows_of

        return rows_of(self.words)

    def to_dataframe(self) -> pandas.DataFrame:
        """The words as a ``pandas.DataFrame``: a row for each, the fields of `Word` as columns.

        Raises:
            ConfigurationError: ``pandas`` is not installed.
        """
        from .texts import COLUMNS

        try:
            import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            raise ConfigurationError(
                "to_dataframe needs pandas: pip install pandas; to_rows() needs nothing"
            ) from None
        return pandas.DataFrame(self.to_rows(), columns=COLUMNS)

    def save(
        self,
        path: Path,
        *,
        max_line_length: int = 37,
        max_lines: int = 2,
        speaker_labels: SpeakerLabels = None,
        timestamps: bool = False,
    ) -> None:
        """Write the transcript to a file, in the format that its suffix names.

        ``.txt``, ``.json``, ``.jsonl``, ``.srt``, ``.vtt`` as the methods of these names make
        them, ``.csv`` the rows of `to_rows`; UTF-8. The file is there whole or not at all: a crash
        leaves the old one or the new one. It keeps the permissions that it had.

        Args:
            path: The file.
            max_line_length: Of captions; see `captions`.
            max_lines: Of captions.
            speaker_labels: Of captions and text.
            timestamps: Of text; see `to_txt`.

        Raises:
            ConfigurationError: The suffix is another one, or an extra is missing.
            FileNotFoundError: The folder does not exist.
            OSError: The file cannot be written; an old one is as it was.

        Example:
            >>> client.transcribe("audio.wav").save("audio.txt")
        """
        from .saving import save, suffix_of
        from .texts import csv_of

        suffix = suffix_of(path)
        if suffix == ".txt":
            text = self.to_txt(speaker_labels=speaker_labels, timestamps=timestamps) + "\n"
        elif suffix == ".json":
            text = self.to_json(indent=2) + "\n"
        elif suffix == ".jsonl":
            text = self.to_jsonl()
        elif suffix == ".csv":
            text = csv_of(self.words)
        elif suffix in (".srt", ".vtt"):
            captions = self.captions(
                max_line_length=max_line_length, max_lines=max_lines, speaker_labels=speaker_labels
            )
            text = captions.to_srt() if suffix == ".srt" else captions.to_vtt()
        else:
            raise ConfigurationError(
                f"a transcript cannot be saved as {suffix or 'a file without a suffix'}; allowed:"
                " .txt, .json, .jsonl, .srt, .vtt, .csv"
            )
        # Half of a surrogate pair has no UTF-8, but JSON has an escape for it.
        errors = "backslashreplace" if suffix.startswith(".json") else "replace"
        save(path, text.encode("utf-8", errors))

    def search(self, text: str, *, context: int = 6) -> list[Match]:
        """Find where words were said.

        They are found across finals, but not across speakers, whatever their case, punctuation and
        apostrophes. Only whole words are, except in scripts that do not part them.

        Args:
            text: One or more words.
            context: How many words around them a `Match` shows on either side.

        Raises:
            ConfigurationError: ``text`` is no text.

        Example:
            >>> match = client.transcribe("audio.wav").search("World")[0]
            >>> match.start_time, match.before, match.text
            (0.6, 'hello ', 'world.')
        """
        if not isinstance(text, str):
            raise ConfigurationError(f"text is {text!r}; allowed: a str, one or more words")
        from .searching import search

        now = self._everything()
        found = search(
            now.said[: now.until], Delimiters(now.delimiter, now.delimiters), text, context=context
        )
        return Table(found)

    def player(
        self,
        audio: Union[str, os.PathLike[str], Buffer],
        *,
        embed: bool = True,
        max_bytes: int = 20_000_000,
    ) -> Player:
        """A recording with its words: the one that is spoken is marked, a click plays from there.

        Plain HTML and a script, for a notebook's cell, or a page of your own (``html`` of the
        `Player`). The recording is a part of it, unless it is a URL.

        Args:
            audio: A path, an http(s) URL, or bytes, of what a browser plays: WAV, MP3, Ogg, FLAC,
                M4A, WebM.
            embed: False names the file by its path, for one that lies beside the notebook.
            max_bytes: The largest recording that is made part of it.

        Raises:
            AudioError: The file cannot be read, or is nothing that browsers play.
            ConfigurationError: The recording is larger than ``max_bytes``, or is of another type.

        Example:
            >>> player = client.transcribe("audio.wav").player("audio.wav")
            >>> "data:audio/wav;base64," in player.html
            True
        """
        from .views.player import player_of

        return player_of(cast("Transcript", self), audio, embed=embed, max_bytes=max_bytes)

    def plot(
        self,
        audio: Optional[Source] = None,
        *,
        start_time: Optional[float] = None,
        end_time: Optional[float] = None,
    ) -> matplotlib.figure.Figure:
        """A picture of who said what when, as a ``matplotlib.figure.Figure``.

        Each word is a box, lighter where it is less certain, in a row for each speaker; in a span
        of up to 30 seconds it is written there. Gaps are red. In a notebook the figure shows
        itself; elsewhere ``plot().savefig("call.png")``. ``pyplot`` does not keep it.

        Args:
            audio: What was said, to be drawn above: a path, a binary file object, bytes, or what
                `open_audio` returns. A WAV file needs no library, others the extra ``audio``.
            start_time: Where the picture begins, in seconds; by default at 0.
            end_time: Where it ends, in seconds; by default with the last word or sound.

        Raises:
            AudioError: The audio cannot be read.
            ConfigurationError: ``matplotlib`` is not installed, or there is nothing to plot.
        """
        from .views.plot import plot_of

        figure: matplotlib.figure.Figure = plot_of(
            cast("Transcript", self), audio, start_time, end_time
        )
        return figure

    def _repr_html_(self) -> str:
        from .views.page import transcript_html

        return transcript_html(cast("Transcript", self))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.to_txt(), "text/html": self._repr_html_()}
