"""Time limits of a call, real time, and progress."""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.hearing import hears
from support.serving import Peer, serving
from support.sessions import (
    RAW,
    Blocking,
    client_of,
    let_sources_go,
    speech,
    wait_for,
)

from speechmatics_sync import (
    AudioFormat,
    AuthBase,
    Client,
    ConfigurationError,
    ConnectionConfig,
    ReconnectPolicy,
    TimeoutError,
)

__all__ = ["let_sources_go"]

# -- limits of the call -------------------------------------------------------------------------


def _never_starts(peer: Peer) -> None:
    peer.wait_closed()


def _never_acknowledges(peer: Peer) -> None:
    peer.start()
    peer.take_audio(acknowledge=False)
    peer.wait_closed()


def _never_ends(peer: Peer) -> None:
    peer.start()
    peer.take_audio()
    peer.wait_closed()


@pytest.mark.parametrize("behave", [_never_starts, _never_acknowledges, _never_ends])
def test_timeout_covers_the_whole_call(behave: Any) -> None:
    with serving(behave) as url:
        client = client_of(url, max_unacked_chunks=4)
        with pytest.raises(TimeoutError, match=r"timeout \(0.3") as caught:
            client.transcribe(speech(2), audio_format=RAW, timeout=0.3)
    assert caught.value.request_id == client.request_id
    assert caught.value.transcript is client.transcript


def test_timeout_covers_connecting() -> None:
    class Slow(AuthBase):
        def get_auth_headers(self) -> dict[str, str]:
            wait_for(asked)
            return {}

    asked = threading.Event()
    with serving(_never_starts) as url, Client(Slow(), url=url) as client:
        with pytest.raises(TimeoutError):
            client.transcribe(speech(1), audio_format=RAW, timeout=0.2)
        asked.set()


def test_timeout_covers_a_source_that_gives_nothing() -> None:
    with serving(_never_ends) as url, client_of(url) as client, pytest.raises(TimeoutError):
        client.transcribe(Blocking(speech(0.1)), audio_format=RAW, timeout=0.2)


def test_timeout_covers_handlers_too() -> None:
    """All is transcribed, but handlers take longer than the call may."""
    late = threading.Event()
    with serving(hears(*"abc")) as url, client_of(url) as client:
        client.on("AddTranscript", lambda message: late.wait(0.2) and None)
        with pytest.raises(TimeoutError) as caught:
            client.transcribe(speech(0.1), audio_format=RAW, timeout=0.3)
    assert caught.value.transcript is not None
    assert caught.value.transcript.text == "a b c"


def test_numbers_of_any_type_work_in_a_whole_session() -> None:
    """Decimal is the type that calculates with no float."""
    raw = AudioFormat("pcm_s16le", Decimal(16000), chunk_size=Decimal(3200))  # type: ignore[arg-type]
    limits = {name: Decimal(5) for name in ("open_timeout", "start_timeout", "ping_interval")}
    policy = ReconnectPolicy(initial_delay=Decimal("0.5"), replay_seconds=Decimal(30))  # type: ignore[arg-type]
    ten: Any = Decimal(10)
    received: list[Any] = []

    def behave(peer: Peer) -> None:
        peer.start()
        while (message := peer.take_audio())["message"] != "EndOfStream":  # type: ignore[index]
            received.append(message)
            if message["message"] == "GetSpeakers":  # type: ignore[index]
                peer.send({"message": "SpeakersResult", "speakers": []})
        peer.send({"message": "EndOfTranscript"})

    with serving(behave) as url:
        config = ConnectionConfig(**limits, close_timeout=ten)  # type: ignore[arg-type]
        with Client(url=url, conn_config=config, reconnect=policy) as client:
            client.transcribe(speech(0.2), audio_format=raw, realtime=True, timeout=ten)
            client.start_session(audio_format=raw)
            client.send_audio(speech(0.1), timeout=ten)
            client.update_transcription_config(max_delay=Decimal("1.5"))  # type: ignore[arg-type]
            client.force_end_of_utterance(timestamp=Decimal("0.1"))
            client.get_speakers(timeout=ten)
            client.stop_session(timeout=ten)
    assert [message.get("timestamp") for message in received] == [None, 0.1, None]
    assert received[0]["transcription_config"]["max_delay"] == 1.5


def test_limits_that_were_changed_to_bad_ones_are_refused() -> None:
    config = ConnectionConfig()
    config.ping_interval = -1
    with pytest.raises(ConfigurationError, match="ping_interval is -1"):
        Client(url="ws://localhost:1", conn_config=config)


@pytest.mark.parametrize("timeout", [0, -1, True, "1", float("nan"), float("inf"), 1e30])
def test_a_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    with client_of("ws://localhost:1") as client:
        for call in (
            lambda: client.transcribe(b"ab", timeout=timeout),
            lambda: client.stream(b"ab", timeout=timeout),
            lambda: client.stop_session(timeout=timeout),
        ):
            with pytest.raises(ConfigurationError, match="timeout"):
                call()


def test_realtime_audio_does_not_arrive_before_it_is_spoken() -> None:
    arrived: list[tuple[float, int]] = []

    def behave(peer: Peer) -> None:
        begun = time.monotonic()
        peer.start()
        while isinstance(message := peer.receive(), bytes):
            peer.audio.append(message)
            arrived.append((time.monotonic() - begun, len(message)))
            peer.acknowledge()
        peer.send({"message": "EndOfTranscript"})

    with serving(behave) as url, client_of(url) as client:
        client.transcribe(speech(0.6), audio_format=RAW, realtime=True)
    spoken = 0.0
    for moment, size in arrived:
        spoken += size / 32000
        assert moment >= spoken
    assert spoken == pytest.approx(0.6)


def test_a_slow_source_does_not_shift_the_schedule() -> None:
    """A source that is late once catches up: pacing is by an absolute schedule.

    What was due meanwhile leaves at once; with a sleep for each chunk it would take 0.4 s, however
    often one tries. A busy machine may take as long now and then.
    """
    assert any(_seconds_to_catch_up() < 0.3 for _ in range(20))


def _seconds_to_catch_up() -> float:
    gaps: list[float] = []

    def source() -> Iterator[bytes]:
        yield speech(0.1)
        threading.Event().wait(0.6)  # late on purpose
        for _ in range(5):
            yield speech(0.1)

    def behave(peer: Peer) -> None:
        peer.start()
        while isinstance(message := peer.receive(), bytes):
            gaps.append(time.monotonic())
            peer.audio.append(message)
            peer.acknowledge()
        peer.send({"message": "EndOfTranscript"})

    audio_format = AudioFormat("pcm_s16le", 16000, chunk_size=3200)
    with serving(behave) as url, client_of(url) as client:
        client.transcribe(source(), audio_format=audio_format, realtime=True)
    assert len(gaps) == 6
    return gaps[5] - gaps[1]


def test_realtime_is_for_raw_audio() -> None:
    with serving(_never_starts) as url, client_of(url) as client:
        with pytest.raises(ConfigurationError, match="realtime"):
            client.transcribe(b"a file", audio_format=AudioFormat(), realtime=True)
        with pytest.raises(ConfigurationError, match="realtime"):
            client.transcribe(b"ID3 and so on", realtime=True)


# -- progress -----------------------------------------------------------------------------------


def test_progress_is_called_with_seconds_done_and_in_all() -> None:
    calls: list[tuple[float, Any]] = []
    with serving(hears("word")) as url, client_of(url) as client:
        client.transcribe(
            speech(1), audio_format=RAW, progress=lambda done, total: calls.append((done, total))
        )
        assert calls[-1] == (1.0, 1.0)
        assert [done for done, _ in calls] == sorted(done for done, _ in calls)
        calls.clear()
        client.transcribe(
            iter([speech(1)]), audio_format=RAW, progress=lambda *call: calls.append(call)
        )
        assert calls[-1] == (1.0, None)


def test_progress_draws_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(hears("word")) as url, client_of(url) as client:
        client.transcribe(speech(1), audio_format=RAW, progress=True)
    assert "1.0/1.0 s" in capsys.readouterr().err


@pytest.mark.parametrize("stderr", ["none", "closed", "broken"])
def test_a_bar_that_cannot_be_drawn_is_dropped(
    stderr: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As under pythonw, in a service, or behind a pipe whose reader has gone."""
    stream: Any = None
    if stderr != "none":
        stream = io.StringIO()
        stream.close()
    if stderr == "broken":
        stream = Broken()
    caplog.set_level(logging.DEBUG, logger="speechmatics_sync")
    monkeypatch.setattr(sys, "stderr", stream)
    with serving(hears("word")) as url, client_of(url) as client:
        transcript = client.transcribe(speech(1), audio_format=RAW, progress=True)
    assert transcript.text == "word"
    dropped = [each for each in caplog.records if "No progress bar" in each.getMessage()]
    assert len(dropped) == (stderr != "closed")  # tqdm itself disables a bar that is closed
    assert all(each.request_id == client.request_id for each in dropped)  # type: ignore[attr-defined]


def test_a_bar_that_cannot_be_imported_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a notebook with an old ipywidgets, of which tqdm warns, where warnings are errors."""
    (tmp_path / "ipywidgets.py").touch()
    (tmp_path / "tqdm").mkdir()
    (tmp_path / "tqdm" / "__init__.py").touch()
    (tmp_path / "tqdm" / "auto.py").write_text("raise UserWarning('IProgress not found')")
    for name in [each for each in sys.modules if each.partition(".")[0] == "tqdm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    caplog.set_level(logging.INFO, logger="speechmatics_sync")
    with serving(hears("word")) as url, client_of(url) as client:
        transcript = client.transcribe(speech(1), audio_format=RAW, progress=True)
    for name in ("tqdm", "tqdm.auto"):
        sys.modules.pop(name, None)
    assert transcript.text == "word"
    assert "No progress bar: UserWarning: IProgress not found" in caplog.text


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError("broken")


def test_an_error_of_progress_comes_out() -> None:
    def fail(done: float, total: Any) -> None:
        raise LookupError("progress")

    with serving(_never_ends) as url, client_of(url) as client:
        with pytest.raises(LookupError, match="progress"):
            client.transcribe(Blocking(speech(0.1)), audio_format=RAW, progress=fail)
        stream = client.stream(Blocking(speech(0.1)), audio_format=RAW, progress=fail)
        with pytest.raises(LookupError, match="progress"):
            next(stream)
        with pytest.raises(LookupError, match="progress"):
            next(stream)  # it has ended the session


@pytest.mark.parametrize("progress", ["yes", 1, 0.5])
def test_progress_is_a_bool_or_called(progress: Any) -> None:
    with client_of("ws://localhost:1") as client:
        with pytest.raises(ConfigurationError, match="progress"):
            client.transcribe(b"ab", progress=progress)
        assert client.session_id is None
