"""The thread that reads a source."""

from __future__ import annotations

import time
from typing import Optional

from .config import AudioFormat
from .errors import AudioError, ConfigurationError, SpeechmaticsError
from .outbox import Outbox
from .sources import AudioSource, open_source
from .state import SessionState

__all__ = ["Sender"]


class Sender:
    """Reads one source from start to end.

    Args:
        state: The session's.
        outbox: Takes the audio.
        source: Anything that `open_source` takes.
        realtime: Whether raw audio leaves at the speed it is spoken.
    """

    def __init__(self, state: SessionState, outbox: Outbox, source: object, realtime: bool) -> None:
        self._state = state
        self._outbox = outbox
        self._source = source
        self._realtime = realtime

    def run(self) -> None:
        """Send all of it; the sender thread's whole life."""
        state = self._state
        opened: Optional[AudioSource] = None
        try:
            with state.threads.in_users_hands():
                opened = open_source(self._source, state.options.audio_format, logger=state.log)
            if state.options.audio_format is None:
                self._check_pace(opened.audio_format)
                state.prepare(opened.audio_format)
            if state.wait_until_running():
                self._send_all(opened)
        except BaseException as error:
            if not isinstance(error, SpeechmaticsError):
                state.log.exception("The session's sender failed")
            state.fail(error)
        finally:
            if opened is not None:
                with state.threads.in_users_hands():
                    opened.close()

    def _check_pace(self, audio_format: AudioFormat) -> None:
        if self._realtime and audio_format.encoding is None:
            raise ConfigurationError(
                "realtime=True paces raw audio, and this source goes as a file: "
                "pass an audio_format with an encoding, or leave realtime out."
            )

    def _send_all(self, opened: AudioSource) -> None:
        state = self._state
        channel = state.protocol.channel
        begun = time.monotonic()
        chunks = iter(opened)
        while not state.over:
            with state.threads.in_users_hands():
                chunk = next(chunks, b"")
            state.total_seconds = opened.total_seconds
            if not chunk:
                break
            spoken = channel.seconds(channel.bytes_taken + len(chunk)) or 0.0
            if not self._outbox.take_from_source(chunk, begun + spoken if self._realtime else None):
                return
        if state.over:
            return
        if not channel.bytes_taken:
            raise AudioError("The source is empty: there is no audio to transcribe.")
        self._outbox.end_of_stream()
