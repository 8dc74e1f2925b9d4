"""A program of the old package runs as it did: what its client does, and in which order."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from support.legacy.sessions import (
    AUDIO,
    CHUNKS,
    CONFIG,
    RAW,
    WORDS,
    AsyncAudio,
    audio,
    client_of,
    settings_of,
    texts_of,
    words_of,
)
from support.legacy.sessions import old_server as old_server
from support.serving import Peer, serving
from support.sessions import InThread

import speechmatics_sync.legacy as speechmatics
from speechmatics_sync.legacy.client import WebsocketClient
from speechmatics_sync.legacy.models import (
    AudioSettings,
    ClientMessageType,
    ServerMessageType,
    TranscriptionConfig,
)
from speechmatics_sync.local import LocalServer


def test_one_import_has_the_modules_and_the_names() -> None:
    assert speechmatics.client.WebsocketClient is speechmatics.WebsocketClient
    assert speechmatics.models.TranscriptionConfig is speechmatics.TranscriptionConfig
    assert speechmatics.exceptions.ForceEndSession is speechmatics.ForceEndSession
    assert speechmatics.adapters.get_speaker({}) is None


def test_a_file_is_transcribed_from_start_to_end(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    texts = texts_of(client)
    assert client.run_synchronously(audio(), CONFIG, RAW) is None  # type: ignore[func-returns-value]
    assert words_of(texts) == WORDS
    assert client.seq_no == {"single": CHUNKS}
    assert not client.session_running
    assert client.websocket is None
    pack = client.get_language_pack_info()
    assert pack is not None
    assert pack["word_delimiter"] == " "
    record = old_server.sessions[-1]
    assert (record.audio_chunks, record.last_seq_no) == (CHUNKS, CHUNKS)
    assert record.path == "/v2/en"
    assert record.query["sm-sdk"].startswith("python-")


def test_keywords_come_in_any_order(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    texts = texts_of(client)
    client.run_synchronously(
        extra_headers={"X-One": "1"},
        audio_settings=RAW,
        transcription_config=CONFIG,
        from_cli=True,
        stream=audio(),
    )
    assert words_of(texts) == WORDS
    record = old_server.sessions[-1]
    assert record.headers["x-one"] == "1"
    assert record.query["sm-sdk"].startswith("python-cli-")


def test_a_client_counts_each_session_from_the_start(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    for _ in range(2):
        client.run_synchronously(audio(), CONFIG, RAW)
        assert client.seq_no == {"single": CHUNKS}
    assert old_server.sessions[-1].last_seq_no == CHUNKS


def test_messages_are_handled_and_sent_in_the_order_of_the_old_package(
    old_server: LocalServer,
) -> None:
    client = client_of(old_server.url)
    seen: list[str] = []
    client.add_middleware(
        "all",
        lambda message, is_binary: seen.append("AddAudio" if is_binary else message["message"]),
    )
    client.add_event_handler("all", lambda message: seen.append(message["message"]))
    client.run_synchronously(audio(), CONFIG, RAW)
    assert seen[0] == "StartRecognition"
    assert seen.index("RecognitionStarted") < seen.index("AddAudio")
    assert seen.count("AddAudio") == seen.count("AudioAdded") == CHUNKS
    assert seen.index("EndOfStream") > max(at for at, name in enumerate(seen) if name == "AddAudio")
    assert seen[-1] == "EndOfTranscript"


def test_a_handler_gets_a_copy(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    texts: list[str] = []

    def spoil(message: dict[str, Any]) -> None:
        message["metadata"]["transcript"] = "spoilt"

    client.add_event_handler(ServerMessageType.AddTranscript, spoil)
    texts = texts_of(client)
    client.run_synchronously(audio(), CONFIG, RAW)
    assert "spoilt" not in texts


def test_a_middleware_changes_what_is_sent(old_server: LocalServer) -> None:
    client = client_of(old_server.url)

    def change(message: Any, is_binary: bool) -> None:
        assert not is_binary
        message["transcription_config"]["max_delay"] = 1.5
        message["audio_format"]["sample_rate"] = 16000

    client.add_middleware(ClientMessageType.StartRecognition, change)
    client.run_synchronously(audio(), CONFIG, AudioSettings("pcm_s16le", 8000))
    start = old_server.sessions[-1].start
    assert start is not None
    assert start["transcription_config"]["max_delay"] == 1.5
    assert start["audio_format"]["sample_rate"] == 16000


def test_a_middleware_changes_audio_in_a_bytearray(old_server: LocalServer) -> None:
    class Silence:
        left = 1

        def read(self, size: int) -> bytearray:
            self.left, more = self.left - 1, self.left > 0
            return bytearray(len(AUDIO) if more else 0)

    client = client_of(old_server.url)

    def speak(chunk: Any, is_binary: bool) -> None:
        chunk[:] = AUDIO

    client.add_middleware("AddAudio", speak)
    texts = texts_of(client)
    client.run_synchronously(Silence(), CONFIG, RAW)
    assert words_of(texts) == WORDS
    assert old_server.sessions[-1].audio_chunks == 1  # however much it is


@pytest.mark.parametrize("add", ["add_event_handler", "add_middleware"])
def test_there_is_no_handler_of_a_message_that_does_not_exist(add: str) -> None:
    with pytest.raises(ValueError, match="Nothing"):
        getattr(client_of("ws://localhost"), add)("Nothing", print)


def test_settings_that_the_api_would_refuse_go_out_as_they_are() -> None:
    given = {"max_delay": 10, "diarization": "channel", "additional_vocab": "x", "ctrl": {"a": 1}}

    def behave(peer: Peer) -> None:
        peer.start()
        peer.finish()
        started.append(peer.start_message)

    started: list[Any] = []
    with serving(behave) as url:
        client_of(url).run_synchronously(audio(), TranscriptionConfig("cmn", **given), RAW)
    assert started[0]["transcription_config"] == {"language": "cmn", **given}
    assert started[0]["audio_format"] == RAW.asdict()


def test_no_setting_goes_out_that_the_program_did_not_choose(old_server: LocalServer) -> None:
    client_of(old_server.url).run_synchronously(audio(), CONFIG, RAW)
    start = old_server.sessions[-1].start
    assert start is not None
    assert start["transcription_config"] == {"language": "en"}


def test_an_update_is_sent_before_the_next_chunk(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    seen: list[str] = []
    client.add_middleware(
        "all",
        lambda message, is_binary: seen.append("AddAudio" if is_binary else message["message"]),
    )
    changed = TranscriptionConfig("en", max_delay=2.0)
    client.add_event_handler(
        "RecognitionStarted", lambda _: client.update_transcription_config(changed)
    )
    client.run_synchronously(audio(), CONFIG, RAW)
    assert seen[:3] == ["StartRecognition", "SetRecognitionConfig", "AddAudio"]
    sent = [each for each in old_server.sessions[-1].messages if "Set" in each["message"]]
    assert [each["transcription_config"]["max_delay"] for each in sent] == [2.0]


def test_an_update_that_changes_nothing_is_not_sent(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    client.update_transcription_config(TranscriptionConfig("de"))  # run() has its own
    same = TranscriptionConfig("en")
    client.add_event_handler("AudioAdded", lambda _: client.update_transcription_config(same))
    client.run_synchronously(audio(), CONFIG, RAW)
    names = [each["message"] for each in old_server.sessions[-1].messages]
    assert names == ["StartRecognition", "EndOfStream"]


# -- sources --------------------------------------------------------------------------------------


def test_a_source_that_is_asynchronous_is_read(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    texts = texts_of(client)
    client.run_synchronously(AsyncAudio(), CONFIG, RAW)
    assert words_of(texts) == WORDS


def test_run_reads_an_asynchronous_source_in_the_loop_of_the_program(
    old_server: LocalServer,
) -> None:
    client = client_of(old_server.url)
    source = AsyncAudio()
    threads: set[int] = set()
    client.add_event_handler("all", lambda _: threads.add(threading.get_ident()))
    client.add_middleware("all", lambda *_: threads.add(threading.get_ident()))

    async def main() -> None:
        await client.run(source, CONFIG, RAW)
        assert source.loops == {asyncio.get_running_loop()}

    asyncio.run(main())
    assert threads == {threading.get_ident()}


def test_a_source_fed_by_another_task_of_the_program_is_read(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    texts = texts_of(client)

    async def main() -> None:
        queue: asyncio.Queue[bytes] = asyncio.Queue(1)

        class Fed:
            async def read(self, _: int) -> bytes:
                return await queue.get()

        async def feed() -> None:
            for at in range(0, len(AUDIO), 6400):
                await queue.put(AUDIO[at : at + 6400])
            await queue.put(b"")

        await asyncio.gather(feed(), client.run(Fed(), CONFIG, RAW))

    asyncio.run(main())
    assert words_of(texts) == WORDS


def test_run_synchronously_works_in_a_running_event_loop(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    texts = texts_of(client)

    async def main() -> None:
        client.run_synchronously(AsyncAudio(), CONFIG, RAW)

    asyncio.run(main())
    assert words_of(texts) == WORDS


def test_sessions_run_in_several_threads(old_server: LocalServer) -> None:
    def one() -> list[str]:
        client = client_of(old_server.url)
        texts = texts_of(client)
        client.run_synchronously(audio(), CONFIG, RAW)
        return words_of(texts)

    assert [call.result() for call in [InThread(one) for _ in range(4)]] == [WORDS] * 4


def test_many_sessions_run_in_one_event_loop(old_server: LocalServer) -> None:
    clients = [client_of(old_server.url) for _ in range(8)]
    texts = [texts_of(client) for client in clients]

    async def main() -> None:
        await asyncio.gather(*(client.run(AsyncAudio(), CONFIG, RAW) for client in clients))

    asyncio.run(main())
    assert [words_of(each) for each in texts] == [WORDS] * 8


def test_several_channels_are_transcribed(old_server: LocalServer, tmp_path: Any) -> None:
    path = tmp_path / "b.raw"
    path.write_bytes(AUDIO[:16000])
    config = TranscriptionConfig("en", diarization="channel", channel_diarization_labels=["a", "b"])
    client = client_of(old_server.url)
    seen: list[tuple[str, str]] = []
    sent: list[Any] = []
    client.add_event_handler(
        "AddTranscript", lambda message: seen.append((message["channel"], message["message"]))
    )
    client.add_middleware("EndOfChannel", lambda message, _: sent.append(message))
    client.add_middleware("AddChannelAudio", lambda message, _: sent.append(message["channel"]))
    client.run_synchronously({"a": AsyncAudio(), "b": str(path)}, config, RAW)
    assert {channel for channel, _ in seen} == {"a", "b"}
    assert sent.count("a") == client.seq_no["a"] == CHUNKS
    assert sent.count("b") == client.seq_no["b"] == 4
    ends = {each["channel"]: each["last_seq_no"] for each in sent if isinstance(each, dict)}
    assert ends == {"a": CHUNKS, "b": 4}
    record = old_server.sessions[-1]
    assert record.channels["b"].audio_bytes == 16000
    assert client.channel_stream_pairs is not None
    assert client.channel_stream_pairs["b"].closed


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "name", "words"),
    [
        (speechmatics, "asr_metrics", "metrics"),
        (speechmatics.client, "_get_temp_token", "JWTAuth"),
        (speechmatics.client, "httpx", "JWTAuth"),
        (client_of("ws://localhost"), "_buffer_semaphore", "message_buffer_size"),
        (client_of("ws://localhost"), "_producer", "middleware"),
        (speechmatics.cli, "batch_main", "speechmatics-batch"),
        (speechmatics.models, "BatchAnything", "speechmatics-batch"),
    ],
)
def test_a_name_that_is_gone_says_what_took_its_place(owner: Any, name: str, words: str) -> None:
    with pytest.raises(AttributeError, match=words):
        getattr(owner, name)


def test_setting_a_name_that_is_gone_says_what_took_its_place() -> None:
    client, name = client_of("ws://localhost"), "_session_needs_closing"
    with pytest.raises(AttributeError, match=r"use stop\(\)"):
        setattr(client, name, True)


def test_a_subclass_that_overrides_a_name_that_is_gone_is_refused() -> None:
    """Nothing would call it."""
    with pytest.raises(AttributeError, match="event handler"):
        type("Own", (WebsocketClient,), {"_consumer": print})
    assert type("Own", (WebsocketClient,), {"stop": print, "rt": 1})


def test_names_of_batch_can_be_imported_and_say_that_they_are_not_part_of_this() -> None:
    from speechmatics_sync.legacy.batch_client import BatchClient
    from speechmatics_sync.legacy.models import BatchTranscriptionConfig

    for name in (BatchClient, BatchTranscriptionConfig):
        with pytest.raises(NotImplementedError, match="batch"):
            name("en")


def test_send_message_needs_a_session(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    with pytest.raises(RuntimeError, match="No session"):
        asyncio.run(client.send_message("GetSpeakers"))

    async def main() -> None:
        async def ask() -> None:
            await client.send_message(ClientMessageType.GetSpeakers, {"final": True})

        asked: list[asyncio.Task[None]] = []
        client.add_event_handler(
            "RecognitionStarted", lambda _: asked.append(asyncio.create_task(ask()))
        )
        await client.run(AsyncAudio(), TranscriptionConfig("en", diarization="speaker"), RAW)
        await asked[0]

    asyncio.run(main())
    sent = [each for each in old_server.sessions[-1].messages if each["message"] == "GetSpeakers"]
    assert sent == [{"message": "GetSpeakers", "final": True}]


def test_the_settings_of_a_client_are_those_that_were_passed() -> None:
    settings = settings_of("ws://localhost/v2")
    assert WebsocketClient(settings).connection_settings is settings
