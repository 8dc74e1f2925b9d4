"""Spans and metrics of sessions, through the API of OpenTelemetry (extra ``otel``).

`instrument` has each session that begins from then on make a span, each change of its connection a
span within that, and their figures become metrics. Where these go is up to the providers that the
program sets up with OpenTelemetry's SDK; the names are in ``docs/telemetry.rst``. Nothing that was
said, no audio and no key is in a name, an attribute or a status.

Example:
    >>> from speechmatics_sync import telemetry
    >>> telemetry.instrument()
    >>> telemetry.uninstrument()
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union

from . import ObservedSession, SessionChange, SessionStats, __version__, observe_sessions
from ._help import module_dir
from .errors import ConfigurationError, missing_extra

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
    from opentelemetry.trace import Span, Tracer, TracerProvider

__all__ = ["instrument", "uninstrument"]

__dir__ = module_dir(__name__)

_NAME = "speechmatics_sync"
_METRICS = "speechmatics.client."

_MOST_STALE = 0.5
"""Seconds for which figures that one instrument was given serve the others: a collection asks for
each instrument alone, and there may be a thousand sessions to go through."""

_LATENCIES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
_DURATIONS = (1.0, 5.0, 15.0, 30.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)


class _Figure(NamedTuple):
    """A metric that is read off the sessions' `SessionStats` when it is collected."""

    name: str
    unit: str
    description: str
    of: Callable[[SessionStats], Union[int, float, None]]


_COUNTED = (
    _Figure("audio.sent", "s", "Audio taken, not counting files.", lambda s: s.seconds_sent),
    _Figure("chunks.sent", "{chunk}", "Audio chunks sent.", lambda s: s.chunks_sent),
    _Figure(
        "messages.received",
        "{message}",
        "Messages of the server, acknowledgements included.",
        lambda s: s.messages_received,
    ),
    _Figure(
        "messages.superseded",
        "{message}",
        "Partials that no handler was given, as newer ones came.",
        lambda s: s.partials_superseded,
    ),
    _Figure(
        "reconnects",
        "{reconnect}",
        "Connections that have replaced another, lost or near its end.",
        lambda s: s.reconnects,
    ),
)
"""Of sessions that run and of those that have ended."""

_CURRENT = (
    _Figure("active_sessions", "{session}", "Sessions that run.", lambda s: 1),
    _Figure(
        "audio.unacknowledged",
        "s",
        "Audio taken that the server has not acknowledged, not counting files.",
        lambda s: s.seconds_unacknowledged,
    ),
    _Figure(
        "messages.waiting",
        "{message}",
        "Messages that wait for a handler or a pull.",
        lambda s: s.messages_waiting,
    ),
    _Figure(
        "network.waiting",
        "By",
        "Bytes that wait to be written to the network.",
        lambda s: s.bytes_waiting,
    ),
)
"""Of sessions that run."""

_AT_THE_END = (
    _Figure(
        "first_partial.latency",
        "s",
        "From the audio of the first word to a partial with it.",
        lambda s: s.first_partial_delay,
    ),
    _Figure(
        "final.latency",
        "s",
        "From the audio of a final's last word to that final: a session's median.",
        lambda s: s.final_latency_median,
    ),
)
"""Of sessions that have ended, one value each."""

_FIGURES = (*_COUNTED, *_CURRENT)
_Attributes = tuple[tuple[str, Union[str, int]], ...]


def instrument(
    *,
    tracer_provider: Optional[TracerProvider] = None,
    meter_provider: Optional[MeterProvider] = None,
) -> None:
    """Make spans and metrics of every session that begins from now on.

    Safe from any thread. Called again, it uses the providers of the last call, and no session is
    counted twice. What an exporter raises, or how long it takes, does not reach a session, save
    that the end of one waits for it up to a second.

    Args:
        tracer_provider: Where spans go; by default OpenTelemetry's global provider.
        meter_provider: Where metrics go; by default OpenTelemetry's global provider.

    Raises:
        ConfigurationError: OpenTelemetry's API is not installed, or a provider is none.

    Example:
        >>> from speechmatics_sync import telemetry, transcribe
        >>> telemetry.instrument()
        >>> transcript = transcribe("audio.wav")
        >>> telemetry.uninstrument()
    """
    try:
        from opentelemetry import metrics, trace
    except ImportError as error:
        raise missing_extra("telemetry.instrument", "opentelemetry-api", "otel") from error
    _check("tracer_provider", tracer_provider, trace.TracerProvider)
    _check("meter_provider", meter_provider, metrics.MeterProvider)
    tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
    with _switch.lock:
        kept: Any = _switch if meter_provider is None else meter_provider
        meters = _switch.meters.get(kept)
        if meters is None:
            meters = _Metrics(metrics.get_meter(_NAME, __version__, meter_provider))
            _switch.meters[kept] = meters
        _switch.off()
        _switch.off = observe_sessions(_Observer(tracer, meters).observe)


def _check(name: str, provider: object, kind: type) -> None:
    if provider is not None and not isinstance(provider, kind):
        raise ConfigurationError(
            f"{name} is of type {type(provider).__name__}; allowed: OpenTelemetry's {kind.__name__}"
        )


def uninstrument() -> None:
    """Leave alone the sessions that begin from now on. Idempotent; safe from any thread.

    Spans and metrics of sessions that run go on to their end.

    Example:
        >>> from speechmatics_sync import telemetry
        >>> telemetry.instrument()
        >>> telemetry.uninstrument()
    """
    with _switch.lock:
        _switch.off()
        _switch.off = _nothing


def _nothing() -> None:
    """What there is to stop before `instrument`."""


class _Switch:
    """What `instrument` leaves behind for the next call of it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.off: Callable[[], None] = _nothing
        # By provider, for OpenTelemetry has no way to take an instrument back. Under this object
        # itself stand those of the global provider, which may be set later.
        self.meters: weakref.WeakKeyDictionary[Any, _Metrics] = weakref.WeakKeyDictionary()


class _Metrics:
    """The instruments of one provider, and the figures of all sessions that they show."""

    def __init__(self, meter: Meter) -> None:
        self._forget()
        if hasattr(os, "register_at_fork"):
            # What the parent counted is the parent's, and another thread may have held the lock.
            forget = weakref.WeakMethod(self._forget)
            os.register_at_fork(after_in_child=lambda: (forget() or _nothing)())

        for at, figure in enumerate(_FIGURES):
            counted = at < len(_COUNTED)
            create = (
                meter.create_observable_counter
                if counted
                else meter.create_observable_up_down_counter
            )
            create(
                f"{_METRICS}{figure.name}",
                [_reading(self, at)],
                unit=figure.unit,
                description=figure.description,
            )

        def histogram(name: str, description: str, bounds: tuple[float, ...]) -> Any:
            return meter.create_histogram(
                f"{_METRICS}{name}",
                unit="s",
                description=description,
                explicit_bucket_boundaries_advisory=bounds,
            )

        self.session = histogram("session.duration", "From the call to its end.", _DURATIONS)
        self.start = histogram("start.duration", "Until recognition has started.", _LATENCIES)
        self.reconnect = histogram(
            "reconnect.duration", "Until recognition goes on over another connection.", _LATENCIES
        )
        self._at_the_end = [
            (histogram(figure.name, figure.description, _LATENCIES), figure)
            for figure in _AT_THE_END
        ]

    def _forget(self) -> None:
        self._lock = threading.Lock()
        # The lock guards these.
        self._running: dict[ObservedSession, _Attributes] = {}
        self._ended: dict[_Attributes, list[float]] = {}
        self._now: dict[_Attributes, list[float]] = {}
        self._fresh_until = 0.0

    def begin(self, session: ObservedSession, attributes: _Attributes) -> None:
        """A session has begun."""
        with self._lock:
            self._running[session] = attributes
            self._fresh_until = 0.0

    def end(self, session: ObservedSession) -> None:
        """A session has ended."""
        stats = session.stats
        with self._lock:
            attributes = self._running.pop(session)
            totals = self._ended.setdefault(attributes, [0.0] * len(_COUNTED))
            for at, figure in enumerate(_COUNTED):
                totals[at] += figure.of(stats) or 0.0
            self._fresh_until = 0.0
        for instrument, figure in self._at_the_end:
            value = figure.of(stats)
            if value is not None:
                instrument.record(value, dict(attributes))

    def read(self, at: int) -> list[tuple[float, _Attributes]]:
        """Return one figure, for each combination of attributes."""
        with self._lock:
            if time.monotonic() > self._fresh_until:
                rest = [0.0] * len(_CURRENT)
                now = {attributes: [*totals, *rest] for attributes, totals in self._ended.items()}
                for session, attributes in self._running.items():
                    values = now.setdefault(attributes, [0.0] * len(_FIGURES))
                    stats = session.stats
                    for place, figure in enumerate(_FIGURES):
                        values[place] += figure.of(stats) or 0.0
                self._now, self._fresh_until = now, time.monotonic() + _MOST_STALE
            return [(values[at], attributes) for attributes, values in self._now.items()]


def _reading(meters: _Metrics, at: int) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """Return what reads one figure when it is collected."""
    from opentelemetry.metrics import Observation

    def read(options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, dict(attributes)) for value, attributes in meters.read(at)]

    return read


class _Told:
    """What a session has told so far."""

    def __init__(self, begun: SessionChange, attributes: _Attributes) -> None:
        self.begun = begun
        self.attributes = attributes
        self.started: Optional[float] = None
        self.lost_at = 0.0
        self.span: Optional[Span] = None
        self.reconnect: Optional[Span] = None


class _Observer:
    """Makes spans and metrics of what sessions tell."""

    def __init__(self, tracer: Tracer, meters: _Metrics) -> None:
        from opentelemetry import trace

        self._trace = trace
        self._tracer = tracer
        self._metrics = meters
        # One step adds, reads or removes, and each session tells its changes one at a time.
        self._told: dict[ObservedSession, _Told] = {}

    def observe(self, change: SessionChange) -> None:
        """A session tells what happened to it."""
        session = change.session
        if change.kind == "begun":
            attributes: _Attributes = (
                ("server.address", session.server_address),
                ("server.port", session.server_port),
                ("speechmatics.language", session.language),
            )
            self._told[session] = _Told(change, attributes)
            self._metrics.begin(session, attributes)
            return
        told = self._told[session]
        if change.kind == "started":
            told.started = change.elapsed
            self._metrics.start.record(change.elapsed, dict(told.attributes))
        elif change.kind == "reconnecting":
            told.lost_at = change.elapsed
            told.reconnect = self._begin_reconnect(change, told)
        elif change.kind == "reconnected":
            took = change.elapsed - told.lost_at
            self._metrics.reconnect.record(took, dict(told.attributes))
            self._end_reconnect(change, told)
        else:
            del self._told[session]
            failed = () if change.error is None else (("error.type", change.error),)
            self._metrics.end(session)
            self._metrics.session.record(change.elapsed, dict((*told.attributes, *failed)))
            self._end_reconnect(change, told)
            self._end_session(change, told)

    def _begin(self, told: _Told, figures: Mapping[str, Any]) -> Span:
        """Begin the span of a session.

        As late as can be: it then takes all attributes at once, and nobody sees a span before its
        end.
        """
        told.span = self._tracer.start_span(
            "speechmatics.session",
            kind=self._trace.SpanKind.CLIENT,
            attributes={
                **dict(told.attributes),
                "network.protocol.name": "websocket",
                "speechmatics.request_id": told.begun.session.request_id,
                **figures,
            },
            start_time=_nanoseconds(told.begun),
        )
        return told.span

    def _begin_reconnect(self, change: SessionChange, told: _Told) -> Span:
        session = told.span or self._begin(told, {})
        return self._tracer.start_span(
            "speechmatics.reconnect",
            context=self._trace.set_span_in_context(session),
            kind=self._trace.SpanKind.CLIENT,
            start_time=_nanoseconds(change),
        )

    def _end_reconnect(self, change: SessionChange, told: _Told) -> None:
        span, told.reconnect = told.reconnect, None
        if span is None:
            return
        if change.error is None:
            figures: Mapping[str, Any] = {
                "speechmatics.reconnect.attempts": change.attempt,
                "speechmatics.reconnect.seconds_replayed": change.seconds_replayed,
                "speechmatics.reconnect.seconds_lost": change.seconds_lost,
            }
        else:
            figures = {"error.type": change.error}
        span.set_attributes(figures)
        self._end(span, change)

    def _end_session(self, change: SessionChange, told: _Told) -> None:
        stats = change.session.stats
        figures = {
            "error.type": change.error,
            "speechmatics.session_id": change.session.session_id,
            "speechmatics.start.duration": told.started,
            "speechmatics.audio.sent": stats.seconds_sent,
            "speechmatics.chunks.sent": stats.chunks_sent,
            "speechmatics.messages.received": stats.messages_received,
            "speechmatics.reconnects": stats.reconnects,
            "speechmatics.first_partial.latency": stats.first_partial_delay,
            "speechmatics.final.latency": stats.final_latency_median,
        }
        known = {name: value for name, value in figures.items() if value is not None}
        span = told.span
        if span is None:
            span = self._begin(told, known)
        else:
            span.set_attributes(known)
        self._end(span, change)

    def _end(self, span: Span, change: SessionChange) -> None:
        """End a span. An error's message may repeat what the server said, so its name will do."""
        if change.error is not None:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(_nanoseconds(change))


def _nanoseconds(change: SessionChange) -> int:
    return int(change.time * 1e9)


_switch = _Switch()
