"""The example that leaves in good order on SIGTERM, and goes on where another one has left."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

from support.examples import environment, started
from support.services import counted_files, counted_text
from support.sessions import wait_for

from speechmatics_sync.local import CountedRecognizer, Faults, LocalServer, Warn

__all__ = ["counted_files", "environment"]


def test_calls_end_or_are_handed_on_and_no_word_is_lost(
    environment: dict[str, str], counted_files: dict[str, str], tmp_path: Path
) -> None:
    one, _, three, *_, six = counted_files  # words, of half a second each
    amid = threading.Event()

    def note(record: Any) -> bool:
        amid.set()
        return False

    faults = Faults()
    faults.add(Warn("other", "never sent"), after_seconds=1.0, when=note)
    with LocalServer(recognizer=CountedRecognizer(), faults=faults) as server:
        environment = {**environment, "SPEECHMATICS_RT_URL": server.url}
        command = ("draining.py", str(tmp_path / "state"), three, six, one, "--calls", "2")
        with started(*command, "--grace", "1.2", environment=environment) as example:
            wait_for(amid)
            example.send_signal(signal.SIGTERM)
            said, warned = example.communicate(timeout=60)
        assert example.returncode == 0, warned
        assert f"3.wav: ended at 1.5 s: {counted_text(3)}" in said
        assert "6.wav: handed on at " in said
        assert len(server.sessions) == 2, "it took another call"
        with started(*command, environment=environment) as example:
            said, warned = example.communicate(timeout=60)
        assert example.returncode == 0, warned
        assert len(server.sessions) == 4, "a call that had ended was taken again"
    texts = dict(line.split(": ", 1) for line in said.splitlines())
    assert set(texts) == {"1.wav", "6.wav"}
    assert texts["6.wav"].startswith("ended at 3.0 s: ")
    heard = texts["6.wav"].partition(": ")[2].replace(".", "").split()
    # The word that was spoken just then: its first half is heard as all of it.
    assert [word for word in heard if word != "clipped"] == counted_text(6).rstrip(".").split()
