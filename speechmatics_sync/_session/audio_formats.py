"""The audio format of a session whose sources say themselves what they are."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Callable, Optional

from .._logs import SessionLogger
from .._model.audio_format import AudioFormat, described, lacks_rate
from .._model.typing import Label
from ..errors import ConfigurationError

__all__ = ["FormatAgreement"]


class FormatAgreement:
    """Finds the one format of all sources of a session, and calls back with it.

    Args:
        labels: The channels, one for each source; ``(None,)`` for a session without channels.
        lock: The session's lock.
        agreed: Called once, with the format.
        log: The session's logger.
    """

    def __init__(
        self,
        labels: Sequence[Label],
        lock: threading.RLock,
        agreed: Callable[[AudioFormat], None],
        log: SessionLogger,
    ) -> None:
        self._labels = labels
        self._lock = lock
        self._agreed = agreed
        self._log = log

        # Guarded by the lock.
        self._formats: dict[Label, Optional[AudioFormat]] = {}

        # Set by the thread that calls `agree`; any thread may read it.
        self.reached = False

    def agree(self, audio_format: AudioFormat) -> None:
        """Settle on a format."""
        if lacks_rate(audio_format):
            self._log.warning(
                "No sample_rate was named: the audio is taken for %d Hz, the default of the SDK."
                " Audio of another rate is heard too fast or too slow: pass AudioFormat(%r, rate)",
                audio_format.sample_rate,
                audio_format.to_dict()["encoding"],
            )
        self._agreed(audio_format)
        self.reached = True

    def propose(self, audio_format: Optional[AudioFormat], label: Label) -> None:
        """Say what the audio of a source is, None if it has none; agree once all sources have.

        Raises:
            ConfigurationError: The formats differ.
        """
        with self._lock:
            self._formats[label] = audio_format
            if not self.all_proposed:
                return
            formats = {name: self._formats[name] for name in self._labels}
        known = {name: each for name, each in formats.items() if each is not None}
        if not known:
            return
        first = next(iter(known.values()))
        if any(each.to_dict() != first.to_dict() for each in known.values()):
            found = ", ".join(f"{name!r} is {described(each)}" for name, each in known.items())
            raise ConfigurationError(
                f"All channels share one audio format, and the sources differ: {found}. Pass"
                " audio_format=AudioFormat(), which sends each as the file that it is, or convert"
                " them to one format, which open_audio(…, sample_rate=…) does."
            )
        self.agree(first)

    @property
    def all_proposed(self) -> bool:
        """Whether every source has been opened, or could not be."""
        return len(self._formats) == len(self._labels)
