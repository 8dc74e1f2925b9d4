"""The thread that reads a source."""

from __future__ import annotations

from typing import Optional

from .._audio.sources import AudioSource, check_realtime, open_source
from .._concurrency.shared_thread import read_to_end
from .._model.messages import SessionEvent
from .._model.typing import Label
from ..errors import AudioError, SpeechmaticsError
from .outbox import Outbox
from .reading import Reading
from .state import SessionState

__all__ = ["Sender"]


class Sender:
    """Reads one source from start to end.

    Args:
        state: The session's.
        outbox: Takes the audio.
        source: Anything that `open_source` takes.
        label: The channel that it is the audio of.
        realtime: Whether raw audio leaves at the speed it is spoken.
    """

    def __init__(
        self, state: SessionState, outbox: Outbox, source: object, *, label: Label, realtime: bool
    ) -> None:
        self._state = state
        self._outbox = outbox
        self._source = source
        self._label = label
        self._realtime = realtime

    def run(self) -> None:
        """Send all of it; the sender thread's whole life."""
        state = self._state
        try:
            if not state.over:
                self._send()
        except BaseException as error:
            if not isinstance(error, SpeechmaticsError):
                state.log.exception("The session's sender failed")
            state.fail(error)

    def _send(self) -> None:
        """Send all of it, or end its channel with what could be read, if that is wanted.

        Raises:
            AudioError: The source cannot be read, and that ends the session; or all are empty.
            ConfigurationError: Its format does not fit.
        """
        state = self._state
        try:
            self._send_source()
        except AudioError as error:
            if state.options.on_source_error != "end_channel":
                raise self._named(error) from error.__cause__
            self._report(self._named(error))
            if not state.prepared:
                state.propose(None, self._label)
                if not state.prepared and state.all_proposed:
                    raise
        if state.wait_until_running():
            self._end_channel(failed=True)

    def _send_source(self) -> None:
        state = self._state
        opened: Optional[AudioSource] = None
        try:
            with state.threads.in_user_code():
                opened = open_source(self._source, state.options.audio_format, logger=state.log)
            if state.options.audio_format is None:
                if self._realtime:
                    check_realtime(opened.audio_format)
                state.propose(opened.audio_format, self._label)
            if state.wait_until_running():
                self._send_chunks(opened)
        finally:
            if opened is not None:
                with state.threads.in_user_code():
                    opened.close()

    def _send_chunks(self, opened: AudioSource) -> None:
        state = self._state
        reading = Reading(
            state,
            self._outbox,
            opened,
            label=self._label,
            realtime=self._realtime,
            end=self._end_channel,
        )
        read_to_end(reading)

    def _end_channel(self, *, failed: bool = False) -> None:
        protocol = self._state.protocol
        channel = protocol.channels[self._label]
        with self._state.lock:
            if channel.refilling and failed:
                protocol.give_up_refill(self._label)
            if self._state.over or channel.ended:
                return
            others = [protocol.channels[name] for name in protocol.channels if name != self._label]
            if not protocol.bytes_taken and all(other.ended for other in others):
                what = "Every source is empty" if others else "The source is empty"
                raise AudioError(f"{what}: there is no audio to transcribe.")
            self._outbox.end_of_channel(self._label)

    def _named(self, error: AudioError) -> AudioError:
        """Return an error that says of which channel it is."""
        if self._label is None:
            return error
        return AudioError(f"The source of the channel {self._label!r} failed: {error.message}")

    def _report(self, error: AudioError) -> None:
        """Tell handlers that a channel ends here, for its source failed."""
        state = self._state
        state.log.warning("%s The channel ends there.", error.message)
        with state.lock:
            state.inbox.put(
                {
                    "message": SessionEvent.SOURCE_ERROR.value,
                    "channel": self._label,
                    "reason": error.message,
                    "error": error,
                }
            )
