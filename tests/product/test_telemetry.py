"""Sessions as spans and metrics of OpenTelemetry, and nothing secret in them."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from support.forking import in_child
from support.places import ROOT
from support.reconnecting import POLICY, Legs, cut
from support.serving import Peer, final, serving
from support.sessions import RAW, client_of, speech

from speechmatics_sync import (
    Client,
    ConfigurationError,
    SpeechmaticsError,
    StaticKeyAuth,
    TranscriptionConfig,
    telemetry,
)

KEY = "sk-a-very-secret-key"
SAID = "whatwassaid"
PREFIX = "speechmatics.client."


class Collector:
    """OpenTelemetry's SDK, as a program sets it up, but that what it gets stays here."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracing = TracerProvider()
        self.tracing.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.metering = MeterProvider(metric_readers=[self.reader])

    def instrument(self) -> None:
        telemetry.instrument(tracer_provider=self.tracing, meter_provider=self.metering)

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def metrics(self) -> dict[str, Any]:
        """By name, without the beginning that all share."""
        data = self.reader.get_metrics_data()
        return {
            metric.name.replace(PREFIX, ""): metric
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def values(self) -> dict[str, Any]:
        """The sums of all metrics; of a histogram, how many values it has."""
        return {
            name: sum(getattr(point, "count", getattr(point, "value", 0)) for point in each)
            for name, each in (
                (name, metric.data.data_points) for name, metric in self.metrics().items()
            )
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    collector.instrument()
    yield collector
    telemetry.uninstrument()
    collector.tracing.shutdown()
    collector.metering.shutdown()


def finishes(peer: Peer) -> None:
    peer.start()
    peer.take_audio()
    peer.send(final(SAID), {"message": "EndOfTranscript"})


def is_lost(peer: Peer) -> None:
    peer.start()
    peer.receive()
    cut(peer)


def test_a_session_is_a_span_and_an_outage_one_within_it(collector: Collector) -> None:
    tracer = collector.tracing.get_tracer("application")
    with serving(Legs(is_lost, finishes)) as url, tracer.start_as_current_span("request"):
        client = client_of(url, reconnect=POLICY)
        client.transcribe(speech(0.5), audio_format=RAW)
    outage, session, request = collector.spans()
    assert [span.name for span in (outage, session)] == [
        "speechmatics.reconnect",
        "speechmatics.session",
    ]
    assert session.kind is SpanKind.CLIENT
    assert session.parent == request.context
    assert outage.parent == session.context
    assert session.status.status_code is StatusCode.UNSET
    attributes = session.attributes
    assert attributes is not None
    assert attributes["server.address"] == "localhost"
    assert attributes["network.protocol.name"] == "websocket"
    assert attributes["speechmatics.request_id"] == client.request_id
    assert attributes["speechmatics.session_id"] == "session-1"
    assert attributes["speechmatics.audio.sent"] == 0.5
    assert attributes["speechmatics.reconnects"] == 1
    assert outage.attributes is not None
    assert outage.attributes["speechmatics.reconnect.attempts"] == 1
    times = [session.start_time, outage.start_time, outage.end_time, session.end_time]
    assert times == sorted(times)  # type: ignore[type-var]
    values = collector.values()
    assert values["session.duration"] == values["start.duration"] == 1
    assert values["reconnect.duration"] == values["reconnects"] == values["final.latency"] == 1
    assert values["audio.sent"] == 0.5
    assert values["active_sessions"] == 0


def test_figures_of_a_session_that_runs_are_those_of_now(collector: Collector) -> None:
    with serving(finishes) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.5))
        values = collector.values()
        client.stop_session()
        ended = collector.values()
    assert (values["active_sessions"], values["audio.sent"]) == (1, 0.5)
    assert "session.duration" not in values
    assert (ended["active_sessions"], ended["session.duration"]) == (0, 1)


def test_a_session_that_fails_has_the_name_of_its_error(collector: Collector) -> None:
    def refuses(peer: Peer) -> None:
        peer.receive()
        peer.send({"message": "Error", "type": "not_authorised", "reason": "no more"})
        peer.connection.close(4001)

    with serving(Legs(is_lost, refuses)) as url, pytest.raises(SpeechmaticsError):
        client_of(url, reconnect=POLICY).transcribe(speech(0.5), audio_format=RAW)
    outage, session = collector.spans()
    for span in (outage, session):
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes is not None
        assert span.attributes["error.type"] == "not_authorised"
    (point,) = collector.metrics()["session.duration"].data.data_points
    assert point.attributes["error.type"] == "not_authorised"


def test_nothing_is_counted_twice_and_nothing_after_it_ends(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    collector.instrument()
    with serving(finishes) as url:
        with client_of(url) as client:
            client.start_session(audio_format=RAW)
            telemetry.uninstrument()
            telemetry.uninstrument()
            client_of(url).transcribe(speech(0.1), audio_format=RAW)
            assert collector.values()["active_sessions"] == 1
            client.stop_session()
        assert len(collector.spans()) == 1
        assert collector.values()["session.duration"] == 1
        collector.instrument()
        client_of(url).transcribe(speech(0.1), audio_format=RAW)
    assert len(collector.spans()) == 2
    assert collector.values()["session.duration"] == 2
    assert not caplog.records


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"speechmatics-sync\[otel\]"):
        telemetry.instrument()
    telemetry.uninstrument()


@pytest.mark.parametrize("name", ["tracer_provider", "meter_provider"])
def test_what_is_no_provider_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is of type dict; allowed: .*Provider"):
        telemetry.instrument(**{name: {}})


class Vault(StaticKeyAuth):
    def get_auth_headers(self) -> dict[str, str]:
        return {**super().get_auth_headers(), "X-Vault": KEY}


def test_no_key_no_transcript_and_no_audio_is_in_anything(collector: Collector) -> None:
    """Whatever the server repeats, where it can: in ids, types, reasons, close frames."""
    spoken = {"message": "Error", "type": f"{SAID} {KEY}", "reason": f"{SAID} {KEY}"}

    def repeats(peer: Peer) -> None:
        peer.start(id=f"session {KEY}")
        peer.take_audio()
        peer.send(final(SAID), spoken)
        peer.connection.close(4000, f"{SAID} {KEY}")

    def is_lost_and_says_why(peer: Peer) -> None:
        peer.start()
        peer.send(final(SAID))
        peer.receive()
        peer.connection.close(1011, f"{SAID} {KEY}")

    def raises(message: Any) -> None:
        raise LookupError(f"{message} {KEY}")

    config = TranscriptionConfig(additional_vocab=[SAID])
    options: Any = {
        "audio_format": RAW,
        "transcription_config": config,
        "ws_headers": {"X-Key": KEY},
    }
    audio = SAID.encode() * 100
    with serving(Legs(is_lost_and_says_why, repeats, finishes)) as url:
        client = Client(Vault(KEY), url=f"{url}?jwt={KEY}", reconnect=POLICY)
        with pytest.raises(SpeechmaticsError):
            client.transcribe(audio, **options)
        client.on("AddTranscript", raises)
        with pytest.raises(LookupError):
            client.transcribe(audio, **options)
    data = collector.reader.get_metrics_data()
    told = "".join(span.to_json() for span in collector.spans()) + str(data and data.to_json())
    names = [json.loads(span.to_json())["name"] for span in collector.spans()]
    assert names == ["speechmatics.reconnect", "speechmatics.session", "speechmatics.session"]
    assert "TranscriptionError" in told
    assert SAID not in told
    assert "secret" not in told


def test_an_exporter_that_raises_ends_nothing(collector: Collector) -> None:
    class Raises(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            raise LookupError("from an exporter")

        def on_end(self, span: ReadableSpan) -> None:
            raise LookupError("from an exporter")

    collector.tracing.add_span_processor(Raises())
    with serving(finishes) as url:
        for _ in range(2):
            client_of(url).transcribe(speech(0.1), audio_format=RAW)
    values = collector.values()
    assert (values["active_sessions"], values["chunks.sent"]) == (0, 2)


def test_a_forked_process_counts_its_own_sessions(collector: Collector) -> None:
    def counts() -> None:
        assert "active_sessions" not in collector.values()
        with serving(finishes) as url:
            client_of(url).transcribe(speech(0.1), audio_format=RAW)
        assert collector.values()["chunks.sent"] == 1

    with serving(finishes) as url, client_of(url) as client:
        client.start_session(audio_format=RAW)
        in_child(counts)
        client.stop_session()


def test_the_guide_names_every_metric_and_its_unit(collector: Collector) -> None:
    with serving(Legs(is_lost, finishes)) as url:
        client_of(url, reconnect=POLICY).transcribe(speech(0.5), audio_format=RAW)
    found = {(PREFIX + name, metric.unit) for name, metric in collector.metrics().items()}
    guide = (ROOT / "docs" / "telemetry.rst").read_text(encoding="utf-8")
    named = set(
        re.findall(r"^``(speechmatics\.client\.[\w.]+)`` +``([^`]+)``", guide, re.MULTILINE)
    )
    assert named - found == {(f"{PREFIX}first_partial.latency", "s")}  # of sessions with partials
    assert found <= named
