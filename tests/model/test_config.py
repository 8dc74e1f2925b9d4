"""Bad settings raise where they are made, and the error names field, value and what is allowed."""

from __future__ import annotations

import dataclasses
import json
import math
import ssl
import subprocess
import sys
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from typing import Any, Callable

import pytest

from speechmatics_sync import (
    AdditionalVocab,
    AudioEncoding,
    AudioEventsConfig,
    AudioFilteringConfig,
    AudioFormat,
    ConnectionConfig,
    ConversationConfig,
    Diarization,
    MidSessionConfig,
    Model,
    OperatingPoint,
    PunctuationOverrides,
    ReconnectPolicy,
    SpeakerDiarizationConfig,
    SpeakerIdentifier,
    TranscriptFilteringConfig,
    TranscriptionConfig,
    TranslationConfig,
    WordReplacement,
)
from speechmatics_sync.errors import ConfigurationError


def voice(label: str, *identifiers: str) -> SpeakerIdentifier:
    return SpeakerIdentifier(label, list(identifiers or ("dm9pY2U=",)))


def only(cls: Callable[..., Any], field: str, value: Any) -> Any:
    return cls(**{field: value})


REFUSED: list[tuple[Callable[..., Any], str, Any, str]] = [
    (AudioFormat, "encoding", "pcm_s24le", "'pcm_s16le'"),
    (AudioFormat, "encoding", "", "'mulaw'"),
    (AudioFormat, "sample_rate", 1, "from 1000 to 384000 Hz"),
    (AudioFormat, "sample_rate", 1000000, "from 1000 to 384000 Hz"),
    (AudioFormat, "sample_rate", 16000.5, "an integer"),
    (AudioFormat, "sample_rate", Decimal("16000.5"), "an integer"),
    (AudioFormat, "sample_rate", math.inf, "an integer"),
    (AudioFormat, "sample_rate", 1j, "an integer"),
    (AudioFormat, "sample_rate", True, "an integer"),
    (AudioFormat, "sample_rate", None, "an integer"),
    (AudioFormat, "chunk_size", 0, "at least 1"),
    (AudioFormat, "chunk_size", "4096", "an integer"),
    (TranscriptionConfig, "language", "", "non-empty"),
    (TranscriptionConfig, "language", None, "non-empty"),
    (TranscriptionConfig, "model", "", "non-empty"),
    (TranscriptionConfig, "model", 2, "non-empty"),
    (TranscriptionConfig, "output_locale", "", "non-empty"),
    (TranscriptionConfig, "diarization", "speakers", "'channel_and_speaker'"),
    (TranscriptionConfig, "additional_vocab", "gnocchi", "a list"),
    (TranscriptionConfig, "additional_vocab", [""], "non-empty"),
    (TranscriptionConfig, "additional_vocab", [{"sounds_like": ["nyohki"]}], "non-empty"),
    (
        TranscriptionConfig,
        "additional_vocab",
        [3],
        "a non-empty string, AdditionalVocab, or a dict",
    ),
    (TranscriptionConfig, "punctuation_overrides", {"permitted_marks": ["..."]}, "single mark"),
    (TranscriptionConfig, "punctuation_overrides", {"sensitivity": 2}, "from 0 to 1"),
    (TranscriptionConfig, "punctuation_overrides", [], "PunctuationOverrides or a dict"),
    (TranscriptionConfig, "domain", 5, "non-empty"),
    (TranscriptionConfig, "enable_entities", 1, "True or False"),
    (TranscriptionConfig, "audio_filtering_config", {"volume_threshold": 101}, "from 0 to 100"),
    (TranscriptionConfig, "transcript_filtering_config", {"replacements": [{"from": "a"}]}, "str"),
    (TranscriptionConfig, "max_delay", 0.69, "from 0.7 to 4"),
    (TranscriptionConfig, "max_delay", 4.01, "from 0.7 to 4"),
    (TranscriptionConfig, "max_delay", True, "a finite number"),
    (TranscriptionConfig, "max_delay", "2", "a finite number"),
    (TranscriptionConfig, "max_delay", Decimal("NaN"), "a finite number"),
    (TranscriptionConfig, "max_delay", Decimal("sNaN"), "a finite number"),
    (TranscriptionConfig, "max_delay", Decimal(5), "from 0.7 to 4"),
    (TranscriptionConfig, "max_delay", math.nan, "a finite number"),
    (TranscriptionConfig, "max_delay", math.inf, "a finite number"),
    (TranscriptionConfig, "max_delay", 10**400, "a finite number"),
    (TranscriptionConfig, "max_delay_mode", "loose", "'flexible'"),
    (TranscriptionConfig, "enable_partials", "yes", "True or False"),
    (TranscriptionConfig, "speaker_diarization_config", ConversationConfig(), "or a dict"),
    (TranscriptionConfig, "streaming_mode", 0, "True or False"),
    (TranscriptionConfig, "ctrl", {1: 2}, "strings for keys"),
    (TranscriptionConfig, "channel_diarization_labels", ["a", "a"], "differ"),
    (TranscriptionConfig, "channel_diarization_labels", ["a", ""], "non-empty"),
    (TranscriptionConfig, "channel_diarization_labels", "ab", "a list"),
    (TranscriptionConfig, "language_hints", "en", "a list"),
    (TranscriptionConfig, "language_hints_strict", True, "together with language_hints"),
    (TranscriptionConfig, "extra", [("a", 1)], "a dict"),
    (MidSessionConfig, "max_delay", 5, "from 0.7 to 4"),
    (MidSessionConfig, "conversation_config", {"end_of_utterance_silence_trigger": 3}, "0 to 2"),
    (TranslationConfig, "target_languages", "fr", "a list"),
    (TranslationConfig, "target_languages", [""], "non-empty"),
    (TranslationConfig, "target_languages", None, "a list"),
    (AudioEventsConfig, "types", "music", "a list"),
    (ConversationConfig, "end_of_utterance_silence_trigger", 2.1, "from 0 to 2"),
    (ConversationConfig, "end_of_utterance_silence_trigger", -0.1, "from 0 to 2"),
    (AudioFilteringConfig, "volume_threshold", -1, "from 0 to 100"),
    (PunctuationOverrides, "permitted_marks", "all", "a list"),
    (SpeakerDiarizationConfig, "max_speakers", 1, "at least 2"),
    (SpeakerDiarizationConfig, "speaker_sensitivity", 2, "from 0 to 1"),
    (SpeakerDiarizationConfig, "prefer_current_speaker", "no", "True or False"),
    (SpeakerDiarizationConfig, "get_speakers", 1, "True or False"),
    (SpeakerDiarizationConfig, "speakers", [voice("Ada"), voice("Ada")], "differ"),
    (SpeakerDiarizationConfig, "speakers", [voice("S1")], "S1, UU"),
    (SpeakerDiarizationConfig, "speakers", [voice("UU")], "S1, UU"),
    (SpeakerDiarizationConfig, "speakers", [voice(" Ada")], "space"),
    (SpeakerDiarizationConfig, "speakers", [voice("Ada ")], "space"),
    (SpeakerDiarizationConfig, "speakers", [{"label": "Ada"}], "at least 1"),
    (SpeakerDiarizationConfig, "speakers", [{"speaker_identifiers": ["x"]}], "non-empty"),
    (SpeakerIdentifier, "label", "", "non-empty"),
    (ConnectionConfig, "open_timeout", 0, "above 0"),
    (ConnectionConfig, "close_timeout", math.inf, "above 0"),
    (ConnectionConfig, "max_size", 0, "at least 1"),
    (ConnectionConfig, "max_unacked_chunks", None, "at least 1"),
    (ConnectionConfig, "max_queue", 1.5, "an integer"),
    (ConnectionConfig, "ssl_context", "yes", "SSLContext"),
    (ConnectionConfig, "allow_insecure", None, "True or False"),
    (ReconnectPolicy, "max_attempts", 0, "at least 1"),
    (ReconnectPolicy, "initial_delay", -1, "from 0"),
    (ReconnectPolicy, "max_delay", 0.1, "initial_delay"),
    (ReconnectPolicy, "replay_seconds", math.nan, "a finite number"),
]


@pytest.mark.parametrize(
    ("cls", "field", "value", "allowed"),
    REFUSED,
    ids=[f"{cls.__name__}.{field}-{index}" for index, (cls, field, _, _) in enumerate(REFUSED)],
)
def test_a_bad_value_is_refused_by_name_value_and_what_is_allowed(
    cls: Callable[..., Any], field: str, value: Any, allowed: str
) -> None:
    with pytest.raises(ConfigurationError, match=allowed) as caught:
        only(cls, field, value)
    assert f"{cls.__name__}.{field}" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_a_bad_value_is_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"max_delay is 5\.0; allowed"):
        TranscriptionConfig(max_delay=5.0)


def test_a_bad_value_deep_inside_is_named_by_its_path() -> None:
    config = {"speakers": [voice("Ada"), {"label": "Bob", "speaker_identifiers": ["x", "x"]}]}
    with pytest.raises(ConfigurationError) as caught:
        TranscriptionConfig(speaker_diarization_config=config)
    path = "TranscriptionConfig.speaker_diarization_config.speakers[1].speaker_identifiers[1]"
    assert str(caught.value).startswith(path + " is 'x'")


def test_more_than_fifty_identifiers_across_all_speakers_are_refused() -> None:
    fifty = [voice("Ada", *map(str, range(49))), voice("Bob")]
    assert SpeakerDiarizationConfig(speakers=fifty)
    with pytest.raises(ConfigurationError, match="at most 50"):
        SpeakerDiarizationConfig(speakers=[*fifty, voice("Eve")])


@pytest.mark.parametrize("label", ["Ada", "S", "S1a", "UUU", "Ada Lovelace", "é"])
def test_labels_that_are_not_the_engines_own_are_taken(label: str) -> None:
    SpeakerDiarizationConfig(speakers=[voice(label)])


class Voltage:
    """A number of somebody's own."""

    def __float__(self) -> float:
        return 2.0


class Number(IntEnum):
    TWO = 2


@pytest.mark.parametrize("two", [2, 2.0, Decimal(2), Fraction(2), Number.TWO, Voltage()])
def test_whatever_acts_as_a_number_is_one_and_its_field_holds_it_plainly(two: Any) -> None:
    made: list[Any] = [
        TranscriptionConfig(max_delay=two),
        AudioFormat("mulaw", 8000, chunk_size=two),
        ConnectionConfig(open_timeout=two, max_queue=two),
        ReconnectPolicy(max_attempts=two, initial_delay=two),
        SpeakerDiarizationConfig(max_speakers=two),
        ConversationConfig(two),
    ]
    for settings in made:
        values = [value for value in vars(settings).values() if value == 2]
        values += [value for value in settings.to_dict().values() if value == 2]
        assert values
        assert {type(value) for value in values} <= {int, float}
    whole = (made[1].chunk_size, made[2].max_queue, made[3].max_attempts, made[4].max_speakers)
    assert {type(value) for value in whole} == {int}
    nested = TranscriptionConfig(conversation_config={"end_of_utterance_silence_trigger": two})
    assert json.loads(json.dumps(nested.to_dict())) == nested.to_dict()


def test_numbers_of_numpy_are_numbers_and_its_booleans_are_none() -> None:
    numpy = pytest.importorskip("numpy")
    for kind in (numpy.int16, numpy.uint64, numpy.float32, numpy.float64):
        audio_format = AudioFormat("pcm_s16le", kind(16000))
        assert type(audio_format.sample_rate) is int
        assert json.dumps(audio_format.to_dict())
        assert TranscriptionConfig(max_delay=kind(2)).to_dict()["max_delay"] == 2
    for wrong in (numpy.bool_(True), numpy.array([2]), numpy.float64("nan")):
        with pytest.raises(ConfigurationError):
            TranscriptionConfig(max_delay=wrong)
        with pytest.raises(ConfigurationError):
            AudioFormat("mulaw", wrong)


def test_a_number_that_is_set_later_is_made_plain_when_it_is_used() -> None:
    config = AudioFormat("mulaw")
    config.sample_rate = Decimal(8000)  # type: ignore[assignment]
    assert config.to_dict()["sample_rate"] == 8000
    assert type(config.sample_rate) is int


def test_a_field_keeps_its_value_where_extra_overrides_it_in_the_message() -> None:
    config = TranscriptionConfig(max_delay=Decimal(2), extra={"max_delay": 99})  # type: ignore[arg-type]
    assert (config.max_delay, config.to_dict()["max_delay"]) == (2.0, 99)


def test_the_ends_of_a_range_belong_to_it() -> None:
    for delay in (0.7, 4, 4.0):
        assert TranscriptionConfig(max_delay=delay).to_dict()["max_delay"] == delay
    assert SpeakerDiarizationConfig(max_speakers=2, speaker_sensitivity=0)
    assert AudioFilteringConfig(100).to_dict() == {"volume_threshold": 100}


def test_a_value_changed_after_making_is_refused_when_it_would_be_sent() -> None:
    config = TranscriptionConfig(conversation_config=ConversationConfig(0.5))
    assert isinstance(config.conversation_config, ConversationConfig)
    config.conversation_config.end_of_utterance_silence_trigger = 9
    with pytest.raises(ConfigurationError, match="end_of_utterance_silence_trigger is 9"):
        config.to_dict()
    audio = AudioFormat("pcm_s16le")
    audio.sample_rate = -1
    with pytest.raises(ConfigurationError, match="sample_rate"):
        audio.to_dict()


def test_defaults_send_the_language_and_the_model_alone() -> None:
    assert TranscriptionConfig().to_dict() == {"language": "en", "model": "enhanced"}
    assert AudioEventsConfig().to_dict() == {}
    assert MidSessionConfig().to_dict() == {}


def test_enums_and_their_values_are_the_same() -> None:
    by_member = TranscriptionConfig(model=Model.MELIA_1, diarization=Diarization.SPEAKER)
    by_value = TranscriptionConfig(model="melia-1", diarization="speaker")
    assert by_member.to_dict() == by_value.to_dict()
    assert all(type(value) is str for value in by_member.to_dict().values())
    assert f"{Model.ENHANCED}" == str(Model.ENHANCED) == "enhanced"


def test_enums_of_the_user_become_their_values() -> None:
    class Language(str, Enum):
        FRENCH = "fr"

    assert type(TranslationConfig([Language.FRENCH]).to_dict()["target_languages"][0]) is str


def test_a_value_too_long_to_be_shown_is_refused_all_the_same() -> None:
    with pytest.raises(ConfigurationError, match="max_delay"):
        TranscriptionConfig(max_delay=10**5000)
    with pytest.raises(ConfigurationError) as caught:
        AudioFormat("x" * 10_000)
    assert len(str(caught.value)) < 300


def test_dicts_are_checked_and_sent_like_their_classes() -> None:
    as_objects = TranscriptionConfig(
        additional_vocab=["bigoli", AdditionalVocab("gnocchi", ["nyohki"])],
        punctuation_overrides=PunctuationOverrides([".", "all"], 0.4),
        audio_filtering_config=AudioFilteringConfig(3.5),
        transcript_filtering_config=TranscriptFilteringConfig(True, [WordReplacement("a", "b")]),
        speaker_diarization_config=SpeakerDiarizationConfig(speakers=[voice("Ada", "x")]),
        conversation_config=ConversationConfig(0.5),
    )
    as_dicts = TranscriptionConfig(
        additional_vocab=["bigoli", {"content": "gnocchi", "sounds_like": ["nyohki"]}],
        punctuation_overrides={"permitted_marks": [".", "all"], "sensitivity": 0.4},
        audio_filtering_config={"volume_threshold": 3.5},
        transcript_filtering_config={
            "remove_disfluencies": True,
            "replacements": [{"from": "a", "to": "b"}],
        },
        speaker_diarization_config={"speakers": [{"label": "Ada", "speaker_identifiers": ["x"]}]},
        conversation_config={"end_of_utterance_silence_trigger": 0.5},
    )
    assert as_objects.to_dict() == as_dicts.to_dict()
    assert json.loads(json.dumps(as_objects.to_dict())) == as_objects.to_dict()


def test_what_this_version_does_not_know_goes_through_unchecked_and_last() -> None:
    config = TranscriptionConfig(
        max_delay=2,
        speaker_diarization_config={"max_speakers": 3, "novel": 1},
        extra={"novel": [1], "max_delay": 99},
    )
    assert config.to_dict() == {
        "language": "en",
        "model": "enhanced",
        "max_delay": 99,
        "speaker_diarization_config": {"max_speakers": 3, "novel": 1},
        "novel": [1],
    }
    assert AudioFormat(extra={"novel": 1}).to_dict() == {"type": "file", "novel": 1}


def test_what_is_sent_can_be_changed_without_changing_the_configuration() -> None:
    config = TranscriptionConfig(model="melia-1", ctrl={"a": {"b": 1}}, language_hints=["en"])
    sent = config.to_dict()
    sent["ctrl"]["a"]["b"] = 2
    sent["language_hints"].append("de")
    assert config.to_dict()["ctrl"] == {"a": {"b": 1}}
    assert config.to_dict()["language_hints"] == ["en"]


def test_audio_is_a_file_unless_it_has_an_encoding() -> None:
    assert AudioFormat().to_dict() == {"type": "file"}
    raw = AudioFormat(AudioEncoding.MULAW, 8000).to_dict()
    assert raw == {"type": "raw", "encoding": "mulaw", "sample_rate": 8000}
    assert type(raw["encoding"]) is str


@pytest.mark.parametrize(("encoding", "size"), [("pcm_f32le", 4), ("pcm_s16le", 2), ("mulaw", 1)])
def test_the_size_of_a_sample_follows_from_the_encoding(encoding: str, size: int) -> None:
    assert AudioFormat(encoding).bytes_per_sample == size
    assert AudioFormat(AudioEncoding(encoding)).bytes_per_sample == size


def test_the_size_of_a_sample_in_a_file_is_not_known() -> None:
    with pytest.raises(ConfigurationError, match="encoding"):
        _ = AudioFormat().bytes_per_sample


def test_the_operating_point_is_deprecated_at_the_line_that_uses_it() -> None:
    with pytest.warns(DeprecationWarning, match="use model") as caught:
        config = TranscriptionConfig(operating_point=OperatingPoint.STANDARD)
    assert caught[0].filename == __file__
    assert config.to_dict() == {"language": "en", "operating_point": "standard"}


def test_a_model_and_an_operating_point_exclude_one_another() -> None:
    with pytest.raises(ConfigurationError, match="operating_point"):
        TranscriptionConfig(model="standard", operating_point="standard")


def test_a_model_of_any_name_is_sent_as_it_is() -> None:
    assert TranscriptionConfig(model="oak-1").to_dict()["model"] == "oak-1"


@pytest.mark.parametrize(
    ("model", "setting"),
    [
        ("melia-1", {"additional_vocab": ["bigoli"]}),
        (Model.STANDARD, {"language_hints": ["en", "de"]}),
        (None, {"language_hints": ["en", "de"]}),
    ],
)
def test_a_setting_that_its_model_is_known_not_to_take_is_a_warning_where_it_is_made(
    model: Any, setting: dict[str, Any]
) -> None:
    with pytest.warns(UserWarning, match=f"does not take {next(iter(setting))}") as caught:
        config = TranscriptionConfig(model=model, **setting)
    assert caught[0].filename == __file__
    assert setting.items() <= config.to_dict().items()


def test_strict_language_hints_come_with_hints() -> None:
    config = TranscriptionConfig(
        model="melia-1", language_hints=["en", "de"], language_hints_strict=True
    )
    assert config.to_dict()["language_hints_strict"] is True


def test_limits_can_be_lifted() -> None:
    lifted = ConnectionConfig(
        open_timeout=None,
        start_timeout=None,
        ping_interval=None,
        ping_timeout=None,
        close_timeout=None,
        max_size=None,
        ack_timeout=None,
        max_queue=None,
    )
    assert lifted.to_dict() == {"max_unacked_chunks": 512, "allow_insecure": False}


def test_the_documented_limits_are_the_defaults() -> None:
    assert ConnectionConfig().to_dict() == {
        "open_timeout": 10,
        "start_timeout": 20,
        "ping_interval": 20,
        "ping_timeout": 60,
        "close_timeout": 5,
        "max_size": 16 * 1024 * 1024,
        "max_unacked_chunks": 512,
        "ack_timeout": 120,
        "max_queue": 1024,
        "allow_insecure": False,
    }


@pytest.mark.parametrize("name", ["read_limit", "write_limit"])
def test_limits_of_the_former_transport_are_deprecated(name: str) -> None:
    with pytest.warns(DeprecationWarning, match=name) as caught:
        only(ConnectionConfig, name, 65536)
    assert caught[0].filename == __file__  # where the class was called


@pytest.mark.parametrize("scheme", ["http", "socks4", "socks4a", "socks5", "socks5h"])
def test_the_proxy_is_a_url_and_its_password_is_never_shown(scheme: str) -> None:
    config = ConnectionConfig(proxy=f"{scheme}://ada:s3cret@proxy.example:3128")
    assert config.proxy == f"{scheme}://ada:s3cret@proxy.example:3128"
    assert "s3cret" not in f"{config!r} {config} {config.to_dict()}"


@pytest.mark.parametrize(
    "proxy",
    [
        "https://ada:s3cret@proxy.example:3128",
        "ftp://ada:s3cret@proxy.example",
        "ada:s3cret@proxy.example:3128",
        "http://ada:s3cret@",
        "http://ada:s3cret@proxy.example:port",
        "http://ada:s3cret@proxy.example:99999",
        "http://[s3cret",
        b"http://ada:s3cret@proxy.example:3128",
        "",
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(proxy: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"ConnectionConfig\.proxy.*https:// is not") as e:
        ConnectionConfig(proxy=proxy)
    assert "s3cret" not in f"{e.value!r} {e.value}"


def test_a_tls_context_is_taken_as_it_is() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert ConnectionConfig(ssl_context=context).ssl_context is context


def test_a_reconnect_policy_cannot_change_under_the_clients_that_share_it() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ReconnectPolicy().max_attempts = 3  # type: ignore[misc]
    assert dataclasses.replace(ReconnectPolicy(), max_attempts=3).max_attempts == 3


def test_configuring_imports_neither_tls_nor_anything_of_others() -> None:
    code = (
        "import importlib.util, sys, types;"
        "package = types.ModuleType('speechmatics_sync');"  # its own __init__ imports the clients
        "spec = importlib.util.find_spec('speechmatics_sync');"
        "package.__path__ = list(spec.submodule_search_locations);"
        "sys.modules['speechmatics_sync'] = package; before = set(sys.modules);"
        "from speechmatics_sync._model import connection_config, reconnect_policy;"
        "from speechmatics_sync._model import audio_format, speakers, transcription_config;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "known = set(getattr(sys, 'stdlib_module_names', new)) | {'speechmatics_sync'};"
        "print(sorted(new - known | new & {'ssl', '_ssl', 'socket', 'threading'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
