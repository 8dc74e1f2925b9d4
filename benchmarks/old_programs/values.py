"""Settings, messages and texts."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from typing import Any

import speechmatics
import speechmatics.adapters
import speechmatics.cli
import speechmatics.client
import speechmatics.config
import speechmatics.constants
import speechmatics.helpers
from common import (
    pattern,
)
from speechmatics.models import (
    AudioEventsConfig,
    AudioSettings,
    ClientMessageType,
    ConnectionSettings,
    RTConnectionSettings,
    RTTranslationConfig,
    ServerMessageType,
    TranscriptionConfig,
    UsageMode,
)


@pattern
def settings_as_they_are_sent() -> Any:
    config = TranscriptionConfig(
        "de",
        operating_point="enhanced",
        additional_vocab=["one", {"content": "two"}],
        enable_partials=False,
        enable_transcription_partials=True,
        ctrl={"a": None},
        domain=None,
    )
    return [
        config.asdict(),
        config.as_config(),
        config == TranscriptionConfig("de"),
        TranscriptionConfig().asdict(),
        AudioSettings().asdict(),
        dataclasses.asdict(AudioSettings()),
        RTTranslationConfig().asdict(),
        AudioEventsConfig().asdict(),
        AudioEventsConfig(["music"]).asdict(),
    ]


@pattern
def connection_settings() -> Any:
    settings = ConnectionSettings("wss://localhost")
    plain = {each.name: getattr(settings, each.name) for each in dataclasses.fields(settings)}
    plain["ssl_context"] = type(plain["ssl_context"]).__name__
    made = ConnectionSettings.create(UsageMode.RealTime, "a-key")
    return (
        plain,
        (made.url, made.auth_token, made.generate_temp_token),
        RTConnectionSettings.url,
        speechmatics.constants.RT_SELF_SERVICE_URL,
    )


@pattern
def messages() -> Any:
    return [[(each.name, each.value) for each in kind] for kind in (
        ServerMessageType, ClientMessageType, UsageMode,
    )]  # fmt: skip


@pattern
def texts() -> Any:
    results = [
        {"type": "word", "alternatives": [{"content": "Yes", "speaker": "S1"}]},
        {"type": "punctuation", "alternatives": [{"content": ",", "speaker": "S1"}]},
        {
            "type": "punctuation",
            "attaches_to": "next",
            "alternatives": [{"content": "*", "speaker": "S1"}],
        },
        {"type": "word", "alternatives": [{"content": "you", "speaker": "S1"}]},
        {
            "type": "punctuation",
            "attaches_to": "both",
            "alternatives": [{"content": "-", "speaker": "S1"}],
        },
        {"type": "word", "alternatives": [{"content": "know", "speaker": "S1"}]},
        {
            "type": "entity",
            "alternatives": [{"content": "2", "speaker": "S2"}],
            "written_form": [{"type": "word", "alternatives": [{"content": "$2"}]}],
        },
    ]
    translations = [
        {"content": "Ja.", "speaker": "S1"},
        {"content": ""},
        {"content": "Nein.", "speaker": "S2"},
        {"content": "Doch.", "speaker": "S2"},
    ]
    adapters = speechmatics.adapters
    return [
        adapters.convert_to_txt(results, "en"),
        adapters.convert_to_txt(results, "ja", speaker_labels=False),
        adapters.convert_to_txt(results, "en", {"word_delimiter": "_"}, channel="one"),
        adapters.convert_to_txt([], "en", channel="one"),
        adapters.group_tokens(results),
        adapters.join_tokens(results),
        adapters.get_txt_translation(translations),
        [adapters.get_speaker(each) for each in results],
        [adapters.get_language(each) for each in results],
        [adapters.get_content(each) for each in results],
    ]


@pattern
def helpers() -> Any:
    async def chunks() -> list[bytes]:
        return [
            chunk.decode() async for chunk in speechmatics.helpers.read_in_chunks(
                io.BytesIO(b"abcde"), 2
            )
        ]  # fmt: skip

    return [
        asyncio.run(chunks()),  # type: ignore[arg-type]
        speechmatics.helpers.json_utf8(lambda: {"a": [1]})(),
        speechmatics.helpers.del_none({"a": None, "b": {"c": None, "d": 0}}),
        speechmatics.cli.join_words(["a", "b"]),
        speechmatics.cli.join_words(["a", "b"], "ja"),
    ]
