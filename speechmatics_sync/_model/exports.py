"""What a transcript can be made into: captions and files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional, Union

from .reading import Everything
from .spoken import Delimiters

if TYPE_CHECKING:
    from .captions import Captions

__all__ = ["Exports"]


class Exports:
    """The exports of a transcript. What they are made with is loaded when one is asked for."""

    _config: Optional[dict[str, Any]]

    if TYPE_CHECKING:

        def _everything(self) -> Everything: ...

    def captions(
        self,
        *,
        max_line_length: int = 37,
        max_lines: int = 2,
        speaker_labels: Union[bool, Mapping[str, str], None] = None,
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
        from .captions import captions_of

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
        speaker_labels: Union[bool, Mapping[str, str], None] = None,
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
        speaker_labels: Union[bool, Mapping[str, str], None] = None,
    ) -> str:
        """The captions as a WebVTT file; see `captions` and `Captions.to_vtt`."""
        return self.captions(
            max_line_length=max_line_length, max_lines=max_lines, speaker_labels=speaker_labels
        ).to_vtt()
