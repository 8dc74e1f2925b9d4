"""Transcribe files, and let Prometheus see how that goes, until Ctrl-C.

    python examples/prometheus_metrics.py [FILE …] [--port 9464]
    curl http://127.0.0.1:9464/metrics

It needs ``pip install "speechmatics-sync[otel]" opentelemetry-exporter-prometheus``.
"""

from __future__ import annotations

import argparse
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _server import server_url
from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server

from speechmatics_sync import Client, SpeechmaticsError, telemetry

SAMPLE = Path(__file__).parent / "audio" / "demo.wav"


def main() -> None:
    parser = argparse.ArgumentParser(description="Transcribe files, with metrics for Prometheus.")
    parser.add_argument("files", nargs="*", default=[SAMPLE], help="default: a sample of speech")
    parser.add_argument("--port", type=int, default=9464, help="of the metrics; 0: any")
    args = parser.parse_args()

    metrics.set_meter_provider(MeterProvider(metric_readers=[PrometheusMetricReader()]))
    telemetry.instrument()
    server, _ = start_http_server(args.port, addr="127.0.0.1")
    print(f"Metrics at http://127.0.0.1:{server.server_port}/metrics", file=sys.stderr, flush=True)

    with server_url() as url, ThreadPoolExecutor(4) as pool:

        def transcribe(file: Path) -> str:
            with Client(url=url) as client:
                return client.transcribe(file).text

        for file, text in zip(args.files, pool.map(transcribe, args.files)):
            print(f"{file}: {text}", flush=True)
        print("All done; Ctrl-C ends the metrics.", file=sys.stderr, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except SpeechmaticsError as error:
        sys.exit(f"Not transcribed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
