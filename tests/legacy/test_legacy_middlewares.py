"""What a middleware changes is sent or reported, and what it raises comes as it did."""

from __future__ import annotations

import threading
from typing import Any, Callable

import pytest
from support.legacy.sessions import CONFIG, RAW, audio, client_of, settings_of
from support.serving import Peer, refusing, serving
from websockets.exceptions import ConnectionClosed

from speechmatics_sync.legacy.client import WebsocketClient
from speechmatics_sync.legacy.exceptions import ForceEndSession
from speechmatics_sync.legacy.models import AudioSettings, TranscriptionConfig

Change = Callable[[dict[str, Any]], object]


def started_with(change: Change) -> dict[str, Any]:
    """Return the StartRecognition that is sent after a middleware has changed it."""
    sent: list[Any] = []

    def behave(peer: Peer) -> None:
        peer.start()
        sent.append(peer.start_message)
        peer.finish()

    with serving(behave) as url:
        client = client_of(url)
        client.add_middleware("StartRecognition", lambda message, _: change(message))
        client.run_synchronously(audio(), CONFIG, RAW)
    started: dict[str, Any] = sent[0]
    return started


@pytest.mark.parametrize(
    "change",
    [{"encoding": "pcm_x"}, {"sample_rate": "16000"}, {"type": "file"}, {"new": [1]}],
    ids=lambda change: next(iter(change)),
)
def test_a_middleware_makes_any_audio_format(
    change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    sent = started_with(lambda message: message["audio_format"].update(change))
    assert sent["audio_format"] == {**RAW.asdict(), **change}
    assert "is not sent" not in caplog.text


def test_audio_settings_that_the_api_would_refuse_go_out_as_they_are() -> None:
    seen: list[Any] = []

    def behave(peer: Peer) -> None:
        seen.append(peer.receive())
        peer.send({"message": "Error", "type": "invalid_audio_type", "reason": "odd"})

    with serving(behave) as url, pytest.raises(Exception, match="odd"):
        client_of(url).run_synchronously(audio(), CONFIG, AudioSettings("pcm_u8", 16000))
    assert seen[0]["audio_format"] == AudioSettings("pcm_u8", 16000).asdict()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda message: message.update(new=1), "new"),
        (lambda message: message.update(message="New"), "message"),
        (lambda message: message.pop("transcription_config"), "transcription_config"),
    ],
    ids=["field", "name", "no-settings"],
)
def test_a_change_that_is_not_sent_is_reported(
    change: Change, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent = started_with(change)
    assert sent["transcription_config"] == CONFIG.as_config()
    assert "new" not in sent
    assert f"A middleware changed StartRecognition.{field}: this is not sent" in caplog.text


def test_a_middleware_cannot_send_a_chunk_to_another_channel(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        chunk, end = peer.receive(), None
        assert isinstance(chunk, dict)
        assert chunk["channel"] == "a"
        peer.send({"message": "ChannelAudioAdded", "channel": "a", "seq_no": 1})
        end = peer.receive()
        assert end == {"message": "EndOfChannel", "channel": "a", "last_seq_no": 1}
        peer.send({"message": "EndOfTranscript"})

    labels = ["a"]
    config = TranscriptionConfig("en", diarization="channel", channel_diarization_labels=labels)
    with serving(behave) as url:
        client = client_of(url)
        client.add_middleware("AddChannelAudio", lambda message, _: message.update(channel="b"))
        client.run_synchronously({"a": audio()}, config, AudioSettings("pcm_s16le", 16000, 1 << 20))
    assert "A middleware changed AddChannelAudio.channel: this is not sent" in caplog.text


# -- what a middleware of StartRecognition raises --------------------------------------------------


def raising(error: BaseException, url: str) -> WebsocketClient:
    def refuse(*_: object) -> None:
        raise error

    client = WebsocketClient(settings_of(url))
    client.add_middleware("StartRecognition", refuse)
    return client


@pytest.mark.parametrize("error", [ForceEndSession(), KeyError("mine")], ids=["quiet", "loud"])
def test_what_the_first_middleware_raises_comes_on_a_connection_without_a_message(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    closed = threading.Event()

    def behave(peer: Peer) -> None:
        with pytest.raises(ConnectionClosed):
            peer.receive()
        closed.set()

    with serving(behave) as url:
        client = raising(error, url)
        if isinstance(error, ForceEndSession):
            client.run_synchronously(audio(), CONFIG, RAW)
        else:
            with pytest.raises(KeyError) as caught:
                client.run_synchronously(audio(), CONFIG, RAW)
            assert caught.value is error
        assert closed.wait(20)
    assert not [each for each in caplog.records if each.name == "speechmatics_sync"]


def test_without_a_connection_the_first_middleware_raises_in_vain() -> None:
    with refusing() as port:
        client = raising(ForceEndSession(), f"ws://127.0.0.1:{port}/v2")
        client.reconnect = None
        with pytest.raises(ConnectionRefusedError):
            client.run_synchronously(audio(), CONFIG, RAW)
