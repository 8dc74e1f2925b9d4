"""``expected_bytes``: a source that ends early is an error that has what came."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import Any, Callable

import pytest
from support.audio.encoded import encode
from support.audio.sources import fmt_chunk, wav
from support.reconnecting import POLICY
from support.serving import Peer, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, client_of

import speechmatics_sync
from speechmatics_sync import (
    AudioError,
    AudioFormat,
    Client,
    ConfigurationError,
    MultiChannelClient,
    SessionEvent,
    open_audio,
    split_channels,
)
from speechmatics_sync.local import CountedRecognizer, Drop, Faults, LocalServer, counted_audio

SAMPLES = counted_audio(6)
RECORDING = wav(SAMPLES)
HALF = RECORDING[: len(RECORDING) // 2 + 22]
"""The first three of six words."""
SIZES = f"{len(HALF)} bytes came, and expected_bytes is {len(RECORDING)}"


class Gone(Exception):
    """A browser is."""


def pieces(audio: bytes, *, error: bool = False) -> Iterator[bytes]:
    for start in range(0, len(audio), 5000):
        yield audio[start : start + 5000]
    if error:
        raise Gone


class Body:
    """A request's body, as web servers give it."""

    def __init__(self, audio: bytes, *, error: bool = False) -> None:
        self._pieces = pieces(audio, error=error)

    def read(self, size: int) -> bytes:
        return next(self._pieces, b"")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with LocalServer(recognizer=CountedRecognizer(), strict=True) as server:
        yield server.url


@pytest.mark.parametrize(
    "source",
    [
        lambda: HALF,
        lambda: io.BytesIO(HALF),
        lambda: Body(HALF),
        lambda: pieces(HALF),
        lambda: pieces(HALF, error=True),
        lambda: Body(HALF, error=True),
        lambda: open_audio(Body(HALF)),
    ],
)
def test_what_came_of_a_source_that_ends_early_is_transcribed(
    url: str, source: Callable[[], Any]
) -> None:
    with client_of(url) as client:
        with pytest.raises(AudioError, match=SIZES) as caught:
            client.transcribe(source(), expected_bytes=len(RECORDING))
        assert caught.value.transcript is not None
        assert caught.value.transcript.text == client.transcript.text == "w1 w2 w3."
        assert isinstance(caught.value.__cause__, (Gone, type(None)))
        again = client.transcribe(RECORDING, expected_bytes=len(RECORDING))
        assert again.text == "w1 w2 w3 w4 w5 w6."


def test_why_reading_failed_is_kept(url: str) -> None:
    with client_of(url) as client, pytest.raises(AudioError) as caught:
        client.transcribe(pieces(HALF, error=True), expected_bytes=len(RECORDING))
    assert isinstance(caught.value.__cause__, Gone)
    with client_of(url) as client, pytest.raises(AudioError, match="cannot be read: Gone"):
        client.transcribe(pieces(HALF, error=True), expected_bytes=len(HALF))


def test_the_lines_come_before_the_error_and_are_final(url: str) -> None:
    lines: list[speechmatics_sync.Line] = []
    with client_of(url) as client:
        given = client.stream(Body(HALF), expected_bytes=len(RECORDING)).lines()
        with pytest.raises(AudioError, match=SIZES):
            lines.extend(given)
    assert (lines[-1].text, lines[-1].is_final) == ("w1 w2 w3.", True)


@pytest.mark.parametrize("size", [len(RECORDING), len(RECORDING) - 1000, 0, None])
def test_as_many_bytes_and_more_are_no_error(url: str, size: Any) -> None:
    for source in (RECORDING, Body(RECORDING)):
        heard = speechmatics_sync.transcribe(source, url=url, expected_bytes=size)
        assert heard.text == "w1 w2 w3 w4 w5 w6."


@pytest.mark.parametrize("kind", [bytes, Body])
def test_what_follows_the_audio_counts_too(url: str, kind: Callable[[bytes], Any]) -> None:
    whole = RECORDING + b"LIST\x04\0\0\0abcd" * 1000
    with client_of(url) as client:
        client.transcribe(kind(whole), expected_bytes=len(whole))
        client.transcribe(open_audio(kind(whole)), expected_bytes=len(whole))
        with pytest.raises(AudioError, match="is not complete") as caught:
            client.transcribe(kind(whole[:-1]), expected_bytes=len(whole))
    assert caught.value.transcript is not None
    assert caught.value.transcript.text == "w1 w2 w3 w4 w5 w6."


def test_raw_audio_and_files_are_counted_alike() -> None:
    def serve(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.send(END_OF_TRANSCRIPT)

    with serving(serve) as url, client_of(url) as client:
        for audio_format in (RAW, AudioFormat()):
            with pytest.raises(AudioError, match="999 bytes came, and expected_bytes is 1000"):
                client.transcribe(b"\1" * 999, audio_format=audio_format, expected_bytes=1000)
            assert client.audio_bytes_sent in (998, 999)


def test_what_is_decoded_here_is_counted_as_it_came() -> None:
    def serve(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.send(END_OF_TRANSCRIPT)

    webm = encode(bytes(32000), "webm", "libopus")
    aiff = encode(bytes(32000), "aiff", "pcm_s16be") + b"ANNO\0\3\0\0" + bytes(3 << 16)
    with serving(serve) as url, client_of(url) as client:
        for source in (Body(webm), open_audio(Body(webm)), pieces(webm)):
            client.transcribe(source, expected_bytes=len(webm))
        for source in (Body(aiff), pieces(aiff)):  # sound ends before the file does
            client.transcribe(source, expected_bytes=len(aiff))
        for source in (Body(webm[:-50]), open_audio(Body(webm[:-50]))):
            with pytest.raises(AudioError, match=f"{len(webm) - 50} bytes came"):
                client.transcribe(source, expected_bytes=len(webm))


def test_of_a_source_that_is_empty_it_is_said_what_was_expected(url: str) -> None:
    with client_of(url) as client, pytest.raises(AudioError, match=r"empty: .* 0 bytes came, and"):
        client.transcribe(Body(b""), expected_bytes=len(RECORDING))


@pytest.mark.parametrize("wrong", [-1, 1.5, "1000", b"1", True, float("nan"), [1000]])
def test_what_is_no_number_of_bytes_is_refused_before_anything_is_read(wrong: Any) -> None:
    client = Client(url="ws://127.0.0.1:9")
    for call in (client.transcribe, client.stream):
        with pytest.raises(ConfigurationError, match="expected_bytes is "):
            call(pieces(b""), expected_bytes=wrong)


def test_a_connection_that_drops_meanwhile_changes_nothing() -> None:
    faults = Faults()
    with (
        LocalServer(recognizer=CountedRecognizer(), faults=faults) as server,
        Client(url=server.url, reconnect=POLICY) as client,
    ):
        for source in (HALF, Body(HALF)):
            faults.add(Drop(), after_chunks=6)
            with pytest.raises(AudioError, match=SIZES) as caught:
                client.transcribe(source, expected_bytes=len(RECORDING))
            assert caught.value.transcript is not None
            assert caught.value.transcript.text == "w1 w2 w3."
            assert client.stats.reconnects == 1


def test_the_channels_of_a_session_are_counted_each_for_itself(url: str) -> None:
    config = speechmatics_sync.TranscriptionConfig(channel_diarization_labels=["one", "two"])
    sizes = {"b": len(RECORDING)}
    with MultiChannelClient(url=url) as client:
        sources = {"a": HALF, "b": Body(HALF)}
        with pytest.raises(AudioError, match=f"channel 'two' failed: .* {SIZES}") as caught:
            client.transcribe(sources, transcription_config=config, expected_bytes=sizes)
        assert caught.value.transcript is not None
        heard = {name: part.text for name, part in caught.value.transcript.channels.items()}
        assert heard == {"one": "w1 w2 w3.", "two": "w1 w2 w3."}
        told: list[Any] = []
        client.on(SessionEvent.SOURCE_ERROR, told.append)
        client.transcribe(
            {"a": RECORDING, "b": HALF}, expected_bytes=sizes, on_source_error="end_channel"
        )
        assert [message["channel"] for message in told] == ["b"]
        assert SIZES in told[0]["reason"]


@pytest.mark.parametrize("wrong", [1000, {"c": 1000}, [1000, 1000], {"a": "1000"}])
def test_what_names_no_channel_is_refused(wrong: Any) -> None:
    client = MultiChannelClient(url="ws://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="expected_bytes is "):
        client.transcribe({"a": b"", "b": b""}, expected_bytes=wrong)


def test_what_is_taken_apart_here_has_no_number_of_bytes(url: str) -> None:
    stereo = wav(SAMPLES, fmt=fmt_chunk(channels=2))
    with MultiChannelClient(url=url) as client:
        for recording in (stereo, pieces(stereo)):
            with pytest.raises(ConfigurationError, match="is made here of something else"):
                client.transcribe(split_channels(recording), expected_bytes={"1": len(stereo)})


def test_who_closes_the_session_gets_no_other_error(url: str) -> None:
    released = threading.Event()

    def body() -> Iterator[bytes]:
        yield SAMPLES[:32000]
        released.wait()

    with client_of(url) as client:
        stream = client.stream(body(), audio_format=RAW, expected_bytes=len(SAMPLES))
        stream.close()
        released.set()
        with pytest.raises(speechmatics_sync.SessionError, match="close"):
            next(stream)
