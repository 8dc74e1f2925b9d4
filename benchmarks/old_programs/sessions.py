"""How a session is run, and what handlers and middlewares see of it."""

from __future__ import annotations

import asyncio
import io
import tempfile
import threading
from typing import Any

from common import (
    AUDIO,
    RAW,
    AsyncSource,
    client_of,
    finals_of,
    order_of,
    pattern,
    raised,
)
from speechmatics.models import (
    AudioEventsConfig,
    ClientMessageType,
    ConversationConfig,
    RTSpeakerDiarizationConfig,
    RTTranslationConfig,
    TranscriptionConfig,
)


@pattern
def from_start_to_end() -> Any:
    client = client_of()
    texts = finals_of(client)
    returned = client.run_synchronously(io.BytesIO(AUDIO), TranscriptionConfig("en"), RAW)
    return returned, texts, dict(client.seq_no), client.session_running, client.websocket


@pattern
def keywords_in_any_order() -> Any:
    client = client_of()
    texts = finals_of(client)
    client.run_synchronously(
        audio_settings=RAW,
        transcription_config=TranscriptionConfig(language="en"),
        stream=io.BytesIO(AUDIO),
        timeout=60,
    )
    return texts


@pattern
def an_async_source() -> Any:
    client = client_of()
    texts = finals_of(client)
    client.run_synchronously(AsyncSource(), TranscriptionConfig("en"), RAW)
    return texts


@pattern
def awaited_in_a_program_with_an_event_loop() -> Any:
    client = client_of()
    texts = finals_of(client)

    async def main() -> None:
        queue: asyncio.Queue[bytes] = asyncio.Queue()

        class Fed:
            async def read(self, _: int) -> bytes:
                return await queue.get()

        task = asyncio.create_task(client.run(Fed(), TranscriptionConfig("en"), RAW))
        for at in range(0, len(AUDIO), 8000):
            await queue.put(AUDIO[at : at + 8000])
        await queue.put(b"")
        await task

    asyncio.run(main())
    return texts


@pattern
def several_threads() -> Any:
    found: list[list[str]] = []

    def one() -> None:
        client = client_of()
        texts = finals_of(client)
        client.run_synchronously(io.BytesIO(AUDIO), TranscriptionConfig("en"), RAW)
        found.append(texts)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pattern
def a_source_of_bytearrays() -> Any:
    class Source:
        file = io.BytesIO(AUDIO)

        def read(self, size: int) -> bytearray:
            return bytearray(self.file.read(size))

    client = client_of()
    texts = finals_of(client)
    client.run_synchronously(Source(), TranscriptionConfig("en"), RAW)
    return texts


@pattern
def channels_of_files_and_streams() -> Any:
    with tempfile.NamedTemporaryFile() as file:
        file.write(AUDIO)
        file.flush()
        client = client_of()
        words: dict[str, list[str]] = {}
        ends = []
        client.add_middleware("EndOfChannel", lambda message, _: ends.append(message))
        client.add_event_handler(
            "AddTranscript",
            lambda msg: words.setdefault(msg["channel"], []).append(msg["metadata"]["transcript"]),
        )
        client.run_synchronously(
            {"one": file.name, "two": AsyncSource()},
            TranscriptionConfig(
                "en", diarization="channel", channel_diarization_labels=["one", "two"]
            ),
            RAW,
        )
    ends.sort(key=lambda message: message["channel"])
    return words, ends, dict(client.seq_no)


@pattern
def the_order_of_calls() -> Any:
    client = client_of()
    names = order_of(client)
    client.run_synchronously(io.BytesIO(AUDIO), TranscriptionConfig("en"), RAW)
    return [name for name in names if name not in ("Info", "AddTranscript", "AudioAdded")], sorted(
        names
    )


@pattern
def names_that_do_not_exist() -> Any:
    client = client_of()
    return [
        raised(lambda: client.add_event_handler("AddTranscripts", print)).partition(":")[0],
        raised(lambda: client.add_middleware("Audio", print)).partition(":")[0],
    ]


@pattern
def the_messages_that_are_sent() -> Any:
    client = client_of()
    sent: list[Any] = []
    client.add_middleware("all", lambda message, binary: binary or sent.append(dict(message)))
    config = TranscriptionConfig(
        "en",
        max_delay=2,
        enable_transcription_partials=True,
        enable_translation_partials=True,
        conversation_config=ConversationConfig(end_of_utterance_silence_trigger=0.5),
        speaker_diarization_config=RTSpeakerDiarizationConfig(max_speakers=3),
        translation_config=RTTranslationConfig(target_languages=["de"]),
        audio_events_config=AudioEventsConfig(types=["music"]),
        not_a_setting=1,
    )
    client.run_synchronously(io.BytesIO(AUDIO), config, RAW)
    return sent, [type(message["message"]).__name__ for message in sent]


@pattern
def channels_without_audio() -> Any:
    client = client_of()
    labels = ["one", "two"]
    config = TranscriptionConfig("en", diarization="channel", channel_diarization_labels=labels)
    client.run_synchronously({"one": AsyncSource(), "two": io.BytesIO()}, config, RAW)
    return dict(client.seq_no)


@pattern
def a_middleware_that_changes_the_start() -> Any:
    client = client_of()

    def change(message: Any, _: bool) -> None:
        message["transcription_config"]["max_delay"] = 1.5

    client.add_middleware(ClientMessageType.StartRecognition, change)
    texts = finals_of(client)
    client.run_synchronously(io.BytesIO(AUDIO), TranscriptionConfig("en"), RAW)
    return texts


@pattern
def new_settings_in_mid_session() -> Any:
    client = client_of()
    sent: list[Any] = []
    client.add_middleware("SetRecognitionConfig", lambda message, _: sent.append(message))
    client.add_event_handler(
        "RecognitionStarted",
        lambda _: client.update_transcription_config(TranscriptionConfig("en", max_delay=3)),
    )
    client.run_synchronously(io.BytesIO(AUDIO), TranscriptionConfig("en"), RAW)
    return sent


@pattern
def a_message_of_the_program() -> Any:
    client = client_of()
    results: list[str] = []
    client.add_event_handler("SpeakersResult", lambda msg: results.append(msg["message"]))

    async def main() -> str:
        tasks: list[Any] = []

        def ask(_: Any) -> None:
            tasks.append(
                asyncio.create_task(
                    client.send_message(ClientMessageType.GetSpeakers, {"final": True})
                )
            )

        client.add_event_handler("RecognitionStarted", ask)
        config = TranscriptionConfig("en", diarization="speaker")
        await client.run(AsyncSource(), config, RAW)
        await tasks[0]
        try:
            await client.send_message("GetSpeakers")
        except RuntimeError:
            return "RuntimeError"
        return "nothing"

    return asyncio.run(main()), results


@pattern
def the_language_pack() -> Any:
    client = client_of()
    before = client.get_language_pack_info()
    client.run_synchronously(io.BytesIO(AUDIO), TranscriptionConfig("en"), RAW)
    return before, client.get_language_pack_info()["word_delimiter"]
