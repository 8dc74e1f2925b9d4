"""The thread that reads a source."""

from __future__ import annotations

import functools
from typing import Optional

from .._audio.sources import AudioSource, check_realtime, open_source
from .._concurrency.threads import Threads
from .._logs import SessionLogger
from .._model.typing import Label
from ..errors import AudioError
from .audio_formats import FormatAgreement
from .delivery import Delivery
from .options import SessionOptions
from .outbox import Outbox
from .reading import Reading
from .state import Lifecycle

__all__ = ["Sender"]

_ALL_EMPTY = "Every source is empty"
"""How an error begins for which no single channel is to blame."""


class Sender:
    """Opens one source, reads it from start to end, and closes it.

    Args:
        source: Anything that `open_source` takes.
        label: The channel of the source.
        realtime: Whether to send raw audio no faster than it is spoken.
        options: What the caller wants of the session.
        life: The session's state.
        agreement: Learns the format of the audio, unless the options have one.
        outbox: Takes the audio.
        delivery: Tells handlers of a source that failed, if the session goes on without it.
        threads: The session's threads.
        log: The session's logger.
    """

    def __init__(
        self,
        source: object,
        *,
        label: Label,
        realtime: bool,
        options: SessionOptions,
        life: Lifecycle,
        agreement: FormatAgreement,
        outbox: Outbox,
        delivery: Delivery,
        threads: Threads,
        log: SessionLogger,
    ) -> None:
        self._source = source
        self._label = label
        self._realtime = realtime
        self._options = options
        self._life = life
        self._agreement = agreement
        self._outbox = outbox
        self._delivery = delivery
        self._threads = threads
        self._log = log

    def run(self) -> None:
        """Send the source; runs in the sender thread.

        Raises:
            AudioError: The source cannot be read, and that ends the session; or all are empty.
            ConfigurationError: Its format does not fit.
        """
        if self._life.state.over:
            return
        try:
            self._send_source()
        except AudioError as error:
            # In no variable: what caused it holds this frame, and with it the session.
            if self._options.on_source_error != "end_channel":
                raise self._named(error) from error.__cause__
            with self._life.lock:
                self._delivery.report(self._named(error), self._label)
            if not self._agreement.reached:
                self._agreement.propose(None, self._label)
                if not self._agreement.reached and self._agreement.all_proposed:
                    raise
        if self._life.wait_until_started():
            self._end_channel(None, failed=True)

    def _send_source(self) -> None:
        opened: Optional[AudioSource] = None
        try:
            with self._threads.in_user_code():
                opened = open_source(
                    self._source,
                    self._options.audio_format,
                    realtime=self._realtime,
                    expected_bytes=self._options.expected_bytes.get(self._label),
                    logger=self._log,
                )
            if self._realtime:
                check_realtime(opened.audio_format, opened)
            self._agreement.propose(opened.audio_format, self._label)
            if self._life.wait_until_started():
                reading = Reading(
                    self._outbox,
                    opened,
                    life=self._life,
                    threads=self._threads,
                    label=self._label,
                    realtime=self._realtime,
                    end=functools.partial(self._end_channel, opened),
                )
                reading.run()
        finally:
            if opened is not None:
                with self._threads.in_user_code():
                    opened.close()

    def _end_channel(self, opened: Optional[AudioSource], *, failed: bool = False) -> None:
        """End the channel, unless it has ended; note whether audio is missing."""
        protocol = self._outbox.protocol
        channel = protocol.channels[self._label]
        with self._life.lock:
            if channel.refilling and failed:
                protocol.give_up_refill(self._label)
            if self._life.state.over or channel.ended:
                return
            shortfall = None if opened is None else opened.shortfall()
            others = [protocol.channels[name] for name in protocol.channels if name != self._label]
            if not protocol.bytes_taken and all(other.ended for other in others):
                what = _ALL_EMPTY if others else "The source is empty"
                hint = "" if opened is None else opened.why_empty()
                if shortfall is not None:
                    hint = f" {shortfall.message}."
                raise AudioError(f"{what}: there is no audio to transcribe.{hint}")
            if shortfall is not None:
                self._tell(shortfall)
            self._outbox.end_of_channel(self._label)

    def _tell(self, shortfall: AudioError) -> None:
        """Have the session end with an error once what came of the source is transcribed."""
        error = self._named(shortfall)
        error.__cause__ = shortfall.__cause__
        if self._options.on_source_error == "end_channel":
            self._delivery.report(error, self._label)
        else:
            self._life.fail_at_end(error)

    def _named(self, error: AudioError) -> AudioError:
        """Return an error that names the channel, if there are several."""
        if self._label is None or error.message.startswith(_ALL_EMPTY):
            return error
        return type(error)(f"The source of the channel {self._label!r} failed: {error.message}")
