"""What the audio of a session is said to be, and what is said where it cannot be so."""

from __future__ import annotations

import copy
import dataclasses
import io
import logging
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from support.audio.sources import fmt_chunk, wav
from support.serving import Peer, serving
from support.sessions import RAW, client_of, let_sources_go, speech, wait_for

from speechmatics_sync import (
    AudioEncoding,
    AudioError,
    AudioFormat,
    ConfigurationError,
    MultiChannelClient,
    TranscriptionError,
)
from speechmatics_sync._model.audio_format import lacks_rate

__all__ = ["let_sources_go"]

UNNAMED = AudioFormat(AudioEncoding.PCM_S16LE)


def transcribes(peer: Peer) -> None:
    peer.start()
    peer.finish()


def transcribes_nothing(peer: Peer) -> None:
    peer.start()
    peer.wait_closed()


def refuses_the_audio(peer: Peer) -> None:
    peer.receive()
    peer.send({"message": "Error", "type": "invalid_audio_type", "reason": "unknown", "code": 1})
    peer.connection.close(1003, "")


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [
        record for record in caplog.records if "No sample_rate was named" in record.getMessage()
    ]


# -- a rate that nobody named -------------------------------------------------------------------


def test_a_rate_that_nobody_named_is_a_warning_when_a_session_starts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(transcribes) as url, client_of(url) as client:
        client.transcribe(speech(0.1), audio_format=UNNAMED, timeout=20)
        (record,) = warnings(caplog)
        assert record.levelno == logging.WARNING
        assert "44100 Hz" in record.getMessage()
        assert record.request_id == client.request_id  # type: ignore[attr-defined]
        caplog.clear()
        client.start_session(audio_format=UNNAMED)
        client.send_audio(speech(0.1))
        client.stop_session(timeout=20)
        assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("audio_format", [RAW, AudioFormat("pcm_s16le", 44100), AudioFormat()])
def test_a_rate_that_was_named_or_does_not_matter_is_none(
    audio_format: AudioFormat, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(transcribes) as url, client_of(url) as client:
        client.transcribe(speech(0.1), audio_format=audio_format, timeout=20)
        client.transcribe(wav(speech(0.1), fmt=fmt_chunk(rate=44100)), timeout=20)
    assert warnings(caplog) == []


def test_several_channels_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.wait_closed()

    with serving(behave) as url, MultiChannelClient(url=url, reconnect=None) as client:
        client.start_session(channels=["a", "b"], audio_format=UNNAMED)
    assert len(warnings(caplog)) == 1


def test_a_rate_that_nobody_named_is_a_number_like_any_other() -> None:
    for each in (UNNAMED, copy.deepcopy(UNNAMED), dataclasses.replace(UNNAMED, chunk_size=100)):
        assert lacks_rate(each)
        assert type(each.to_dict()["sample_rate"]) is int
    assert AudioFormat("pcm_s16le", 44100) == UNNAMED
    assert repr(UNNAMED) == repr(AudioFormat(AudioEncoding.PCM_S16LE, 44100))
    assert pickle.loads(pickle.dumps(UNNAMED)) == UNNAMED
    changed = copy.copy(UNNAMED)
    changed.sample_rate = 44100
    assert not lacks_rate(changed)


# -- audio that is not what it was said to be ---------------------------------------------------


def samples() -> Iterator[bytes]:
    yield speech(0.1)


def test_samples_without_a_format_are_told_what_to_pass() -> None:
    with serving(refuses_the_audio) as url, client_of(url) as client:
        with pytest.raises(TranscriptionError, match=r"AudioEncoding\.PCM_S16LE, sample_rate"):
            client.transcribe(samples(), timeout=20)
        with pytest.raises(TranscriptionError, match=r"AudioEncoding\.PCM_S16LE, sample_rate"):
            client.start_session()


def test_realtime_says_why_a_file_is_not_raw_audio_and_what_to_do(tmp_path: Path) -> None:
    """Other files are decoded for it, or the error names the extra: test_automatic_decoding."""
    path = tmp_path / "call.wav"
    path.write_bytes(wav(fmt=fmt_chunk(1, 20)))
    said = r"call\.wav' is a WAV file of 20-bit PCM.*convert"
    with serving(transcribes) as url, client_of(url) as client:
        with pytest.raises(ConfigurationError, match=said) as raised:
            client.transcribe(path, realtime=True, timeout=20)
        assert "pass an audio_format" not in str(raised.value)


def test_realtime_asks_for_the_format_of_what_may_be_samples() -> None:
    said = "pass an audio_format with an encoding"
    with serving(transcribes) as url, client_of(url) as client:  # noqa: SIM117
        with pytest.raises(ConfigurationError, match=said):
            client.transcribe(samples(), realtime=True, timeout=20)


def test_an_empty_file_says_that_it_was_not_rewound() -> None:
    file = io.BytesIO()
    file.write(speech(0.1))
    with serving(transcribes_nothing) as url, client_of(url) as client:
        for audio_format in (RAW, None):
            with pytest.raises(
                AudioError, match=r"BytesIO stood at its end, at byte 3200.*seek\(0\)"
            ):
                client.transcribe(file, audio_format=audio_format, timeout=20)
        with pytest.raises(AudioError) as raised:
            client.transcribe(io.BytesIO(), audio_format=RAW, timeout=20)
        assert "seek" not in str(raised.value)
        file.seek(-1, io.SEEK_END)  # half a sample
        with pytest.raises(AudioError, match="is empty") as raised:
            client.transcribe(file, audio_format=RAW, timeout=20)
        assert "seek" not in str(raised.value)


def test_channels_of_different_formats_are_told_the_ways_out() -> None:
    sources = {"agent": wav(speech(0.1)), "customer": wav(speech(0.1), fmt=fmt_chunk(rate=8000))}
    client = MultiChannelClient(url="ws://127.0.0.1:9", reconnect=None)
    with client, pytest.raises(ConfigurationError, match=r"16000 Hz.*8000 Hz") as raised:
        client.transcribe(sources, timeout=20)
    assert "audio_format=AudioFormat()" in str(raised.value)
    assert "open_audio" in str(raised.value)


def test_the_way_out_of_different_formats_is_one() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        assert peer.start_message is not None
        assert peer.start_message["audio_format"] == {"type": "file"}
        peer.wait_closed()

    sources = {"agent": wav(speech(0.1)), "customer": wav(speech(0.1), fmt=fmt_chunk(rate=8000))}
    with serving(behave) as url, MultiChannelClient(url=url, reconnect=None) as client:
        client.stream(sources, audio_format=AudioFormat(), timeout=20).close()


# -- sources that say what they are -------------------------------------------------------------


class Device:
    """A live source that says what it gives, as a microphone does."""

    def __init__(self, audio_format: object, *chunks: bytes) -> None:
        self.audio_format = audio_format
        self._chunks = chunks or (speech(0.1),)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)


def starts_with(wanted: dict[str, object]) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        peer.start()
        assert peer.start_message is not None
        assert peer.start_message["audio_format"] == wanted
        peer.finish()

    return behave


def test_a_source_that_says_what_it_is_needs_no_audio_format() -> None:
    with serving(starts_with(RAW.to_dict())) as url, client_of(url) as client:
        for passed in (None, RAW):
            client.transcribe(Device(RAW), audio_format=passed, timeout=20)
        client.transcribe(Device(RAW), realtime=True, timeout=20)


def test_a_source_that_says_that_it_is_a_file_goes_whole() -> None:
    with serving(starts_with({"type": "file"})) as url, client_of(url) as client:
        client.transcribe(Device(AudioFormat(), wav(speech(0.1))), timeout=20)


def test_a_source_that_says_nothing_is_looked_at() -> None:
    with serving(starts_with(RAW.to_dict())) as url, client_of(url) as client:
        client.transcribe(Device(None, wav(speech(0.1))), timeout=20)


def test_channels_say_what_they_are() -> None:
    large = AudioFormat(RAW.encoding, RAW.sample_rate, chunk_size=6400)

    def behave(peer: Peer) -> None:
        peer.start()
        assert peer.start_message is not None
        assert peer.start_message["audio_format"] == RAW.to_dict()
        peer.wait_closed()

    with serving(behave) as url, MultiChannelClient(url=url, reconnect=None) as client:
        client.stream({"agent": Device(RAW), "customer": Device(large)}, timeout=20).close()
        other = AudioFormat("mulaw", 8000)
        with pytest.raises(ConfigurationError, match=r"16000 Hz.*mulaw at 8000 Hz"):
            client.transcribe({"agent": Device(RAW), "customer": Device(other)}, timeout=20)


def test_a_source_is_held_to_what_it_says() -> None:
    with serving(transcribes_nothing) as url, client_of(url) as client:
        with pytest.raises(AudioError, match="FLAC"):
            client.transcribe(Device(RAW, b"fLaC\0\0\0\x22" + bytes(99)), timeout=20)
        with pytest.raises(AudioError, match=r"16000.*8000.*leave audio_format out"):
            client.transcribe(Device(RAW), audio_format=AudioFormat("pcm_s16le", 8000), timeout=20)


def test_a_source_that_says_something_else_is_refused_before_a_session_opens() -> None:
    client = client_of("ws://127.0.0.1:9")
    with pytest.raises(AudioError, match="audio_format of Device is of type str"):
        client.transcribe(Device("pcm_s16le"), timeout=20)
    changed = Device(AudioFormat("pcm_s16le", 16000))
    changed.audio_format.sample_rate = 1  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match="sample_rate"):
        client.transcribe(changed, timeout=20)


# -- when the beginning of the audio is checked -------------------------------------------------


def test_chunks_that_are_there_are_looked_at_before_a_session_opens() -> None:
    def behave(peer: Peer) -> None:
        pytest.fail("connected")

    flac = [b"fLaC\0\0\0\x22" + bytes(99)]
    with serving(behave) as url, client_of(url) as client:  # noqa: SIM117
        with pytest.raises(AudioError, match="FLAC"):
            client.transcribe(flac, audio_format=RAW, timeout=20)


def test_a_live_source_is_looked_at_when_it_gives_something_and_ends_its_session() -> None:
    """With a format nothing is waited for before the session opens; none of it is sent."""
    peers: list[Peer] = []

    def behave(peer: Peer) -> None:
        peers.append(peer)
        peer.start()
        started.set()
        peer.wait_closed()

    def live() -> Iterator[bytes]:
        wait_for(started)
        yield b"fLaC\0\0\0\x22" + bytes(99)

    started = threading.Event()
    with serving(behave) as url, client_of(url) as client:
        with pytest.raises(AudioError, match="FLAC") as raised:
            client.transcribe(live(), audio_format=RAW, timeout=20)
        assert raised.value.session_id == "session-1"
        assert raised.value.transcript is not None
        assert client.audio_bytes_sent == 0
    (peer,) = peers
    assert not peer.audio
