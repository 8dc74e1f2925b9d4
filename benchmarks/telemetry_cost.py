"""What `speechmatics_sync.telemetry` costs, in parts of what a session costs without it.

    $ PYTHONPATH=. python benchmarks/telemetry_cost.py
    $ PYTHONPATH=. python benchmarks/telemetry_cost.py --seconds 10 --rounds 400

Sessions of as many seconds of audio, sent at full speed, run one after another in this process;
the server of `benchmarks/speed` is another. Those with telemetry and those without take turns, and
the lowest deciles of their CPU times (user and system, all threads) are compared, for the rest of
the machine can only add to them. Nothing else should run all the same: threads that wake up on a
busy machine cost several times as much.

With telemetry stands for OpenTelemetry's SDK as programs set it up: spans go through a
`BatchSpanProcessor`, and their share of its work counts. Collecting the metrics, which happens four
times a minute or less, is measured by itself. At full speed a session is as cheap as it gets: a
live one takes several times the CPU for the same audio.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from speechmatics_sync import AudioEncoding, AudioFormat, Client, telemetry

FORMAT = AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=16000)


@contextmanager
def server() -> Iterator[str]:
    """Run the compiled server of the other benchmarks; give its URL."""
    script = Path(__file__).parent / "speed" / "server.py"
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield f"ws://127.0.0.1:{process.stdout.readline().strip()}/v2"
        process.communicate(timeout=30)


def session(url: str, audio: bytes) -> None:
    """Run a session."""
    with Client(url=url) as client:
        client.transcribe(audio, audio_format=FORMAT)


def cpu(call: Callable[[], object]) -> float:
    """Return the CPU time that a call takes this process, in seconds."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def lowest(times: list[float]) -> float:
    """Return the lowest decile."""
    return statistics.quantiles(times, n=10)[0]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=180, help="of audio in a session")
    parser.add_argument("--rounds", type=int, default=300, help="sessions of each kind")
    options = parser.parse_args()
    audio = bytes(int(options.seconds * 16000) * 2)
    tracing = TracerProvider()
    tracing.add_span_processor(
        BatchSpanProcessor(InMemorySpanExporter(), schedule_delay_millis=10**7)
    )
    reader = InMemoryMetricReader()
    metering = MeterProvider(metric_readers=[reader])

    def run() -> None:
        session(url, audio)

    without, with_it = [], []
    with server() as url:
        run()
        gc.disable()  # when it runs is chance
        for number in range(options.rounds):
            for traces in (False, True) if number % 2 else (True, False):
                if traces:
                    telemetry.instrument(tracer_provider=tracing, meter_provider=metering)
                    with_it.append(cpu(run))
                    telemetry.uninstrument()
                else:
                    without.append(cpu(run))
            gc.collect()
    exporting = cpu(tracing.force_flush) / options.rounds
    collecting = cpu(reader.get_metrics_data)
    tracing.shutdown()
    metering.shutdown()
    less, more = lowest(without), lowest(with_it) + exporting
    print(f"sessions of {options.seconds:g} s of audio at full speed, CPU time of the client")
    print(f"without telemetry  {less * 1e3:.2f} ms a session")
    print(f"telemetry          {(more - less) * 1e6:.0f} µs a session more")
    print(f"ratio              {more / less:.4f}")
    print(f"to collect once    {collecting * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
