"""Several channels in one session: every byte of every channel, once and in order."""

from __future__ import annotations

import socket
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from support.channel_server import ChannelServer
from support.channels import SECOND, client_of, counted, in_pieces, raw
from support.serving import STARTED, Peer, serving
from support.sessions import RAW, Blocking, InThread, let_sources_go, wait_for  # noqa: F401  (a fixture)

from speechmatics_sync import (
    AudioError,
    ConfigurationError,
    SessionEvent,
    TimeoutError,
    TranscriptionConfig,
    TransportError,
)
from speechmatics_sync._protocol.channel import LEAD_SECONDS

# -- every source whole ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 16])
@pytest.mark.parametrize("chunk_size", [1, 2, 1001, 4096, 1 << 20])
def test_every_byte_of_every_channel_arrives_once_and_in_order(count: int, chunk_size: int) -> None:
    longest = min(300 * max(chunk_size, 2), 3 << 20) // count & ~1
    lengths = [longest * index // max(1, count - 1) & ~1 for index in range(count)]
    lengths[-1] = longest
    audio = {f"channel-{index}": counted(str(index), size) for index, size in enumerate(lengths)}
    server = ChannelServer()
    with serving(server, max_size=None) as url, client_of(url) as client:
        transcript = client.transcribe(audio, audio_format=raw(chunk_size))
        assert client.stats.chunks_acknowledged == client.stats.chunks_sent
    assert {label: bytes(server.audio[label]) for label in audio} == audio
    assert server.labels == list(audio)
    assert server.ended == {label: len(server.sizes[label]) for label in audio}
    assert set(transcript.channels) == set(audio)
    assert client.audio_bytes_sent == sum(lengths)
    assert client.audio_seconds_sent == longest / SECOND


def test_a_channel_that_ends_is_ended_then_and_the_others_go_on() -> None:
    server = ChannelServer()
    long = Blocking(counted("long", 4096))
    with serving(server) as url, client_of(url) as client:
        call = InThread(
            client.transcribe,
            {"short": counted("short", 10), "empty": b"", "long": long},
            audio_format=raw(),
        )
        wait_for(server.end_of["short"])
        wait_for(server.end_of["empty"])
        assert server.ended == {"short": 1, "empty": 0}
        long.released.set()
        call.result()
    assert server.ended["long"] == 1


def test_the_last_words_are_waited_for() -> None:
    with serving(ChannelServer()) as url, client_of(url) as client:
        transcript = client.transcribe({"a": b"12" * 9, "b": b"34" * 900}, audio_format=raw())
    assert sorted(word.content for word in transcript.words) == ["end-of-a", "end-of-b"]


def test_half_samples_are_made_whole_channel_by_channel() -> None:
    audio = {"a": counted("a", 1001), "b": counted("b", 999)}
    sources = {label: in_pieces(content, 7) for label, content in audio.items()}
    server = ChannelServer()
    with serving(server) as url, client_of(url) as client:
        client.transcribe(sources, audio_format=raw())
    assert {label: bytes(found) for label, found in server.audio.items()} == {
        label: content[:-1] for label, content in audio.items()
    }
    assert all(size % 2 == 0 for sizes in server.sizes.values() for size in sizes)


def test_sources_that_trickle_block_and_give_all_at_once_arrive_whole() -> None:
    reader, writer = socket.socketpair()
    trickled = counted("trickle", 600)

    def trickle() -> None:
        with writer:
            for byte in trickled:
                writer.send(bytes([byte]))

    server = ChannelServer()
    with reader, reader.makefile("rb", buffering=0) as file, serving(server) as url:
        thread = threading.Thread(target=trickle)
        thread.start()
        with client_of(url) as client:
            client.transcribe({"trickle": file, "all": counted("all", 1 << 20)}, audio_format=raw())
        thread.join()
    assert bytes(server.audio["trickle"]) == trickled
    assert bytes(server.audio["all"]) == counted("all", 1 << 20)


# -- fair and bounded -----------------------------------------------------------------------------


def test_no_channel_gets_far_ahead_while_all_have_audio() -> None:
    chunk = 3200
    server = ChannelServer()
    audio = {label: counted(label, 40 * SECOND) for label in "abc"}
    with serving(server) as url, client_of(url) as client:
        client.transcribe(audio, audio_format=raw(chunk))
    taken = dict.fromkeys(audio, 0)
    for label, size in server.log:
        taken[label] += size
        unfinished = [other for other in audio if taken[other] < len(audio[other])]
        lead = max(taken[label] - taken[other] for other in [label, *unfinished])
        assert lead <= LEAD_SECONDS * SECOND + 2 * chunk


def test_a_source_that_gives_nothing_holds_up_no_other() -> None:
    server = ChannelServer()
    silent = Blocking()
    with serving(server) as url, client_of(url) as client:
        audio = counted("talks", 20 * SECOND)
        call = InThread(client.transcribe, {"silent": silent, "talks": audio}, audio_format=raw())
        wait_for(server.end_of["talks"])
        assert bytes(server.audio["talks"]) == audio
        silent.released.set()
        call.result()


def test_the_window_is_shared_out() -> None:
    server = ChannelServer(slow=("slow",))
    slow, quick = Blocking(counted("slow", 100 * 4096)), counted("quick", 10 * 4096)
    with serving(server) as url, client_of(url, max_unacked_chunks=8) as client:
        client.start_session(channels=["slow", "quick"], audio_format=raw())
        with pytest.raises(TimeoutError):  # noqa: PT012
            for _ in range(100):
                client.send_audio("slow", slow.read(4096), timeout=0)
        assert client.stats.chunks_sent == 4
        for chunk in in_pieces(quick, 4096):
            client.send_audio("quick", chunk)
        client.end_of_channel("quick")
        wait_for(server.end_of["quick"])
        server.let_go.set()
        client.close()
    assert bytes(server.audio["quick"]) == quick


def test_realtime_paces_all_channels_on_one_clock() -> None:
    """What is due at one moment leaves together, where no busy machine lets one go first."""
    orders = (_order_of_two_that_are_paced() for _ in range(10))
    assert any(
        all(set(order[start : start + 2]) == {"a", "b"} for start in range(0, 6, 2))
        for order in orders
    )


def _order_of_two_that_are_paced() -> list[str]:
    arrived: list[tuple[str, float]] = []

    class Timed(ChannelServer):
        def _take(self, peer: Peer, message: dict[str, Any]) -> None:
            if message["message"] == "AddChannelAudio":
                arrived.append((message["channel"], time.monotonic()))
            super()._take(peer, message)

    # Half a second apart: a busy machine may be late with one, and more than that leaves together.
    audio = {label: counted(label, SECOND * 3 // 2) for label in ("a", "b")}
    with serving(Timed()) as url, client_of(url) as client:
        begun = time.monotonic()
        client.transcribe(audio, audio_format=raw(SECOND // 2), realtime=True)
    for label in audio:
        moments = [moment for name, moment in arrived if name == label]
        assert len(moments) == 3
        for index, moment in enumerate(moments):
            assert moment - begun >= 0.5 * (index + 1)
    return [label for label, _ in arrived]


# -- labels ---------------------------------------------------------------------------------------


def start_message(client_call: Any) -> dict[str, Any]:
    server = ChannelServer()
    with serving(server) as url, client_of(url) as client:
        client_call(client)
    assert server.start_message is not None
    return server.start_message["transcription_config"] | {"audio": server.audio}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (None, {"a": b"1111", "b": b"2222"}),
        (["b", "a"], {"b": b"2222", "a": b"1111"}),
        (["x", "y"], {"x": b"1111", "y": b"2222"}),
    ],
)
def test_labels_choose_by_name_or_rename_by_position(
    labels: Optional[list[str]], expected: dict[str, bytes]
) -> None:
    config = TranscriptionConfig(channel_diarization_labels=labels)
    said = start_message(
        lambda client: client.transcribe(
            {"a": b"1111", "b": b"2222"}, transcription_config=config, audio_format=RAW
        )
    )
    assert said["diarization"] == "channel"
    assert said["channel_diarization_labels"] == list(expected)
    assert {label: bytes(audio) for label, audio in said["audio"].items()} == expected
    assert config.channel_diarization_labels == labels  # the caller's own is left alone


def test_channel_and_speaker_is_passed_on() -> None:
    config = TranscriptionConfig(diarization="channel_and_speaker")
    said = start_message(
        lambda client: client.transcribe(
            {"a": b"11"}, transcription_config=config, audio_format=RAW
        )
    )
    assert said["diarization"] == "channel_and_speaker"


@pytest.mark.parametrize("labels", [["a"], ["a", "b", "c"], ["a", "x"]])
def test_labels_that_fit_nothing_are_refused(labels: list[str]) -> None:
    client = client_of("ws://localhost:1/v2")
    config = TranscriptionConfig(channel_diarization_labels=labels)
    with pytest.raises(ConfigurationError, match="channel_diarization_labels"):
        client.transcribe({"a": b"11", "b": b"22"}, transcription_config=config)


@pytest.mark.parametrize("sources", [{}, {"": b"11"}, {1: b"11"}, b"11", ["a.wav"], "a.wav"])
def test_sources_that_are_none_are_refused(sources: Any) -> None:
    client = client_of("ws://localhost:1/v2")
    with pytest.raises(ConfigurationError):
        client.transcribe(sources, audio_format=RAW)


@pytest.mark.parametrize("diarization", ["none", "speaker"])
def test_another_diarization_is_refused(diarization: str) -> None:
    client = client_of("ws://localhost:1/v2")
    config = TranscriptionConfig(diarization=diarization)
    with pytest.raises(ConfigurationError, match="diarization"):
        client.transcribe({"a": b"11"}, transcription_config=config)


@pytest.mark.parametrize("field", ["channels", "channel_ids"])
def test_channels_that_were_not_asked_for_are_refused(field: str) -> None:
    def behave(peer: Peer) -> None:
        peer.start(**{field: ["a", "other"]})
        peer.wait_closed()

    with serving(behave) as url, client_of(url) as client:  # noqa: SIM117
        with pytest.raises(TransportError, match="other"):
            client.transcribe({"a": b"11", "b": b"22"}, audio_format=RAW)


@pytest.mark.parametrize("field", ["channels", "channel_ids"])
def test_channels_that_were_asked_for_are_taken_in_any_order(field: str) -> None:
    class Naming(ChannelServer):
        def __call__(self, peer: Peer) -> None:
            started = dict(STARTED)
            STARTED[field] = ["b", "a"]
            try:
                super().__call__(peer)
            finally:
                STARTED.clear()
                STARTED.update(started)

    with serving(Naming()) as url, client_of(url) as client:
        client.transcribe({"a": b"11", "b": b"22"}, audio_format=RAW)


# -- sources that fail ----------------------------------------------------------------------------


def breaking(audio: bytes) -> Iterator[bytes]:
    yield audio
    raise OSError("the line is cut")


def test_a_source_that_fails_ends_the_session_and_is_named() -> None:
    with serving(ChannelServer()) as url, client_of(url) as client:  # noqa: SIM117
        with pytest.raises(AudioError, match=r"'b'.*the line is cut") as caught:
            client.transcribe({"a": Blocking(b"11"), "b": breaking(b"22")}, audio_format=RAW)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.transcript is client.transcript


def test_a_source_that_fails_can_end_its_channel_only() -> None:
    server = ChannelServer()
    errors: list[dict[str, Any]] = []
    with serving(server) as url, client_of(url) as client:
        client.on(SessionEvent.SOURCE_ERROR, errors.append)
        audio = counted("a", 50 * 4096)
        transcript = client.transcribe(
            {"a": audio, "b": breaking(b"22")}, audio_format=RAW, on_source_error="end_channel"
        )
    assert bytes(server.audio["a"]) == audio
    assert bytes(server.audio["b"]) == b"22"
    assert [(error["channel"], type(error["error"])) for error in errors] == [("b", AudioError)]
    assert "the line is cut" in errors[0]["reason"]
    assert set(transcript.channels) == {"a", "b"}


def test_a_stream_hands_out_the_failure_of_a_source() -> None:
    with serving(ChannelServer()) as url, client_of(url) as client:
        sources = {"a": b"11", "b": breaking(b"22")}
        with client.stream(sources, audio_format=RAW, on_source_error="end_channel") as stream:
            names = [message["message"] for message in stream]
    assert "SourceError" in names
    assert names[-1] == "EndOfTranscript"


def test_a_channel_whose_source_cannot_be_opened_ends_without_audio(tmp_path: Path) -> None:
    server = ChannelServer()
    with serving(server) as url, client_of(url) as client:
        client.transcribe(
            {"a": breaking(b""), "b": wav(tmp_path / "b.wav", 8000)}, on_source_error="end_channel"
        )
    assert server.ended == {"a": 0, "b": 1}


@pytest.mark.parametrize("on_source_error", ["raise", "end_channel"])
def test_sources_that_are_all_empty_are_an_error(on_source_error: str) -> None:
    with serving(ChannelServer()) as url, client_of(url) as client:  # noqa: SIM117
        with pytest.raises(AudioError, match=r"^Every source is empty"):
            client.transcribe(
                {"a": b"", "b": iter([])}, audio_format=RAW, on_source_error=on_source_error
            )


def test_when_every_source_fails_the_session_does() -> None:
    with serving(ChannelServer()) as url, client_of(url) as client, pytest.raises(AudioError):
        client.transcribe({"a": breaking(b""), "b": breaking(b"")}, on_source_error="end_channel")


def wav(path: Path, rate: int, size: int = 400) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(counted(path.name, size))
    return path


def test_sources_of_different_formats_are_refused_by_name(tmp_path: Path) -> None:
    sources = {"a": wav(tmp_path / "a.wav", 8000), "b": wav(tmp_path / "b.wav", 16000)}
    with serving(ChannelServer()) as url, client_of(url) as client:  # noqa: SIM117
        with pytest.raises(ConfigurationError, match=r"'a' is pcm_s16le at 8000 Hz.*'b'.*16000"):
            client.transcribe(sources)


def test_a_missing_path_is_refused_before_any_is_opened(tmp_path: Path) -> None:
    client = client_of("ws://localhost:1/v2")
    with pytest.raises(AudioError, match="missing"):
        client.transcribe({"a": wav(tmp_path / "a.wav", 8000), "b": tmp_path / "missing.wav"})


def test_paths_are_read_with_their_own_rate_and_closed(tmp_path: Path) -> None:
    sources = {"a": wav(tmp_path / "a.wav", 8000), "b": wav(tmp_path / "b.wav", 8000, 9000)}
    server = ChannelServer()
    with serving(server) as url, client_of(url) as client:
        client.transcribe(sources)
    assert bytes(server.audio["b"]) == counted("b.wav", 9000)
    assert server.start_message is not None
    assert server.start_message["audio_format"]["sample_rate"] == 8000


def test_a_wrong_way_to_handle_failures_is_refused() -> None:
    client = client_of("ws://localhost:1/v2")
    with pytest.raises(ConfigurationError, match="on_source_error"):
        client.transcribe({"a": b"11"}, on_source_error="ignore")
