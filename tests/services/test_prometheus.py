"""The example that shows its metrics to Prometheus."""

from __future__ import annotations

import re
import urllib.request

from support.examples import environment, read_until, started

from speechmatics_sync.local import LocalServer, ScriptedRecognizer

__all__ = ["environment"]


def test_what_prometheus_reads_is_what_happened(environment: dict[str, str]) -> None:
    words = ScriptedRecognizer([("hello", 0.2, 0.5)])
    with LocalServer(recognizer=words) as server:
        environment = {**environment, "SPEECHMATICS_RT_URL": server.url}
        sample = "examples/audio/demo.wav"
        with started(
            "prometheus_metrics.py", "--port", "0", sample, sample, environment=environment
        ) as example:
            found = re.search(r"http://\S+", read_until(example, "Metrics at"))
            assert found is not None
            read_until(example, "All done")
            with urllib.request.urlopen(found[0], timeout=20) as answer:
                page = answer.read().decode()
            example.terminate()
            example.wait()
    values = dict(re.findall(r"^(speechmatics_\w+)\{.*\} (\S+)$", page, re.MULTILINE))
    assert float(values["speechmatics_client_session_duration_seconds_count"]) == 2
    assert float(values["speechmatics_client_audio_sent_seconds_total"]) > 20
    assert float(values["speechmatics_client_active_sessions"]) == 0
    assert 'server_address="127.0.0.1"' in page
