"""The protocol of the embedded server, as a client sees it on the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest
import yaml
from support.described import complaints
from support.local_sessions import CONFIG, server
from support.local_wire import Message, Wire, chunks, named, run, start_message, words

from speechmatics_sync.local import (
    CountedRecognizer,
    LocalServer,
    ScriptedRecognizer,
    Word,
    counted_audio,
)

__all__ = ["server"]


def silence(seconds: float) -> bytes:
    return bytes(2 * round(16000 * seconds))


def test_a_session_goes_from_info_to_end_of_transcript_and_a_normal_close(
    server: LocalServer,
) -> None:
    wire = run(server.url, counted_audio(4))
    names = [message["message"] for message in wire.received]
    assert names[0] == "Info"
    assert wire.received[0]["type"] == "concurrent_session_usage"
    assert names.index("RecognitionStarted") < names.index("AudioAdded")
    assert names[-1] == "EndOfTranscript"
    assert wire.close_code == 1000
    assert words(wire.received) == ["w1", "w2", "w3", "w4"]


def test_every_chunk_is_acknowledged_by_its_number_from_one(server: LocalServer) -> None:
    wire = run(server.url, counted_audio(4), size=1001)
    numbers = [message["seq_no"] for message in named(wire.received, "AudioAdded")]
    assert numbers == list(range(1, -(-len(counted_audio(4)) // 1001) + 1))


def test_what_is_heard_depends_on_the_audio_and_not_on_its_chunks(server: LocalServer) -> None:
    def heard(size: int) -> list[Message]:
        wire = run(
            server.url,
            counted_audio(6) + silence(1) + counted_audio(6, first=7),
            size=size,
            enable_partials=True,
            conversation_config={"end_of_utterance_silence_trigger": 0.6},
        )
        skipped = ("AudioAdded", "Info", "RecognitionStarted")
        return [message for message in wire.received if message["message"] not in skipped]

    assert heard(333) == heard(64000)


def test_words_have_the_times_of_the_audio(server: LocalServer) -> None:
    wire = run(server.url, silence(0.5) + counted_audio(3))
    results = [
        result
        for message in named(wire.received, "AddTranscript")
        for result in message["results"]
        if result["type"] == "word"
    ]
    assert [(result["start_time"], result["end_time"]) for result in results] == [
        (0.5, 0.9),
        (1.0, 1.4),
        (1.5, 1.9),
    ]


def test_transcripts_join_to_a_text_with_its_full_stop_in_place(server: LocalServer) -> None:
    wire = run(server.url, counted_audio(3))
    text = "".join(
        message["metadata"]["transcript"] for message in named(wire.received, "AddTranscript")
    )
    assert text == "w1 w2 w3. "
    last = named(wire.received, "AddTranscript")[-1]["results"][-1]
    assert (last["type"], last["attaches_to"], last["is_eos"]) == ("punctuation", "previous", True)


def transcripts(messages: list[Message]) -> list[str]:
    return [message["metadata"]["transcript"] for message in named(messages, "AddTranscript")]


def test_as_from_the_service_a_mark_comes_alone_and_finals_come_without_results() -> None:
    audio = counted_audio(1) + silence(2) + counted_audio(1, first=2) + silence(0.5)
    trigger = {"end_of_utterance_silence_trigger": 1}
    with LocalServer(recognizer=CountedRecognizer(service_finals=True), strict=True) as server:
        wire = run(server.url, audio, conversation_config=trigger)
        assert transcripts(wire.received) == ["w1 ", ". ", "w2 ", ". "]
        (mark,) = named(wire.received, "AddTranscript")[1]["results"]
        assert (mark["type"], mark["attaches_to"], mark["start_time"]) == (
            "punctuation",
            "previous",
            0.4,
        )
        with Wire(server.url) as wire:
            wire.start()
            wire.send(counted_audio(1), {"message": "ForceEndOfUtterance"}, silence(1))
            wire.send({"message": "ForceEndOfUtterance"})
            empty = named(wire.end(2), "AddTranscript")[2]
    assert transcripts(wire.received) == ["w1 ", ". ", ""]
    assert empty == {
        "message": "AddTranscript",
        "format": "2.1",
        "metadata": {"start_time": 0.4, "end_time": 1.5, "transcript": ""},
        "results": [],
        "forced": True,
    }


@pytest.mark.parametrize("timestamp", [None, 2.2])
def test_a_final_without_results_does_not_cover_a_word_that_is_not_final(
    timestamp: Optional[float],
) -> None:
    force: Message = {"message": "ForceEndOfUtterance"}
    if timestamp is not None:
        force["timestamp"] = timestamp
    audio = counted_audio(5, period=0.5)
    now = round(32000 * (2.2 if timestamp is None else 2.45))  # the fifth word lies at 2.0 to 2.4
    recognizer = CountedRecognizer(delay=0.3)
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        wire.start()
        wire.send(audio[:now], force, force, audio[now:])
        wire.end(2)
    finals = named(wire.received, "AddTranscript")
    ends = [0.0] + [final["metadata"]["end_time"] for final in finals]
    assert all(final["metadata"]["start_time"] >= end for final, end in zip(finals, ends))
    assert transcripts(finals)[-1].startswith("w5")


def test_as_from_the_service_finals_come_whose_words_are_all_filtered_out() -> None:
    script = [("uh", 0.1, 0.2), ("hello", 0.5, 0.8)]
    filtering = {"remove_disfluencies": True}
    for chosen, expected in ((True, ["", "hello ", ". "]), (False, ["hello "])):
        recognizer = ScriptedRecognizer(script, service_finals=chosen)
        with LocalServer(recognizer=recognizer, strict=True) as server:
            wire = run(server.url, silence(1), transcript_filtering_config=filtering)
        assert transcripts(wire.received) == expected


def test_the_end_of_an_utterance_has_a_format(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start()
        wire.send({"message": "ForceEndOfUtterance"})
        assert wire.until("EndOfUtterance")["format"] == "2.1"
        wire.end(0)


def test_only_permitted_marks_are_set(server: LocalServer) -> None:
    wire = run(server.url, counted_audio(2), punctuation_overrides={"permitted_marks": [","]})
    assert named(wire.received, "AddTranscript")[-1]["metadata"]["transcript"] == "w2 "


def test_partials_come_only_when_they_are_wanted_and_before_their_final(
    server: LocalServer,
) -> None:
    assert not named(run(server.url, counted_audio(4)).received, "AddPartialTranscript")
    wire = run(server.url, counted_audio(4), enable_partials=True)
    first_partial = wire.received.index(named(wire.received, "AddPartialTranscript")[0])
    first_final = wire.received.index(named(wire.received, "AddTranscript")[0])
    assert first_partial < first_final
    assert words(wire.received) == ["w1", "w2", "w3", "w4"]


def test_a_word_is_final_within_max_delay() -> None:
    recognizer = ScriptedRecognizer([("late", 0.2, 0.5)], delay=4.0)
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        wire.start(max_delay=1.0)
        wire.send(silence(1.5))
        wire.until("AddTranscript")
        wire.end(1)


def test_silence_ends_an_utterance_where_the_trigger_says(server: LocalServer) -> None:
    wire = run(
        server.url,
        counted_audio(2) + silence(1.5) + counted_audio(1, first=3) + silence(1.5),
        conversation_config={"end_of_utterance_silence_trigger": 0.7},
    )
    ends = [message["metadata"]["end_time"] for message in named(wire.received, "EndOfUtterance")]
    assert ends == [pytest.approx(0.9 + 0.7), pytest.approx(2.9 + 0.7)]
    names = [message["message"] for message in wire.received]
    assert names.index("AddTranscript") < names.index("EndOfUtterance")


def test_without_a_trigger_silence_ends_nothing(server: LocalServer) -> None:
    wire = run(server.url, counted_audio(2) + silence(3))
    assert not named(wire.received, "EndOfUtterance")


def test_a_forced_end_of_utterance_brings_the_finals_at_once() -> None:
    recognizer = CountedRecognizer(delay=3.0)
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        wire.start()
        wire.send(counted_audio(2))
        wire.send({"message": "ForceEndOfUtterance"})
        final = wire.until("AddTranscript")
        assert (final["metadata"]["transcript"], final["forced"]) == ("w1 w2. ", True)
        end = wire.until("EndOfUtterance")
        assert (end["metadata"]["end_time"], end["forced"]) == (1.0, True)
        wire.send(counted_audio(1, first=3))
        assert words(wire.end(2)) == ["w1", "w2", "w3"]
        assert "forced" not in named(wire.received, "AddTranscript")[-1]


def test_an_utterance_that_was_forced_to_end_does_not_end_again(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start(conversation_config={"end_of_utterance_silence_trigger": 0.5})
        wire.send(counted_audio(2), {"message": "ForceEndOfUtterance"}, silence(2))
        ends = named(wire.end(2), "EndOfUtterance")
    assert [end.get("forced") for end in ends] == [True]


def test_a_forced_end_of_utterance_goes_to_its_timestamp() -> None:
    recognizer = CountedRecognizer(delay=3.0)
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        wire.start()
        wire.send(counted_audio(4))
        wire.send({"message": "ForceEndOfUtterance", "timestamp": 1.0})
        assert wire.until("AddTranscript")["metadata"]["transcript"] == "w1 w2. "
        assert wire.until("EndOfUtterance")["metadata"]["end_time"] == 1.0
        assert words(wire.end(1)) == ["w1", "w2", "w3", "w4"]


def test_a_timestamp_ahead_of_the_audio_waits_for_it() -> None:
    recognizer = CountedRecognizer(delay=3.0)
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        wire.start()
        audio = list(chunks(counted_audio(4), 16000))
        wire.send(audio[0], {"message": "ForceEndOfUtterance", "timestamp": 1.5}, *audio[1:])
        assert wire.until("AddTranscript")["metadata"]["transcript"] == "w1 w2 w3. "
        wire.end(4)


def test_a_session_can_be_configured_anew() -> None:
    recognizer = CountedRecognizer(delay=3.0)
    with LocalServer(recognizer=recognizer, strict=True) as server, Wire(server.url) as wire:
        wire.start(max_delay=4)
        wire.send(
            {
                "message": "SetRecognitionConfig",
                "transcription_config": {
                    "language": "en",
                    "enable_partials": True,
                    "max_delay": 0.7,
                    "conversation_config": {"end_of_utterance_silence_trigger": 1},
                },
            },
            counted_audio(3) + silence(1.5),
        )
        wire.until("AddPartialTranscript")
        assert wire.until("AddTranscript")["results"][0]["alternatives"][0]["content"] == "w1"
        wire.until("EndOfUtterance")
        wire.end(1)


def test_fields_that_cannot_change_may_be_repeated_and_bring_a_warning(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start(diarization="speaker", domain="finance", max_delay=2)
        config = {"language": "en", "max_delay": 2}
        wire.send({"message": "SetRecognitionConfig", CONFIG: config})
        wire.send({"message": "SetRecognitionConfig", CONFIG: {**config, "diarization": "speaker"}})
        warning = wire.until("Warning")
        wire.send({"message": "SetRecognitionConfig", CONFIG: {"domain": "medical"}})
        wire.rest()
    assert "diarization" in warning["reason"]
    assert len(named(wire.received, "Warning")) == 1
    assert (wire.received[-1]["type"], wire.close_code) == ("invalid_config", 1003)


def test_speakers_are_labelled_in_the_order_in_which_they_speak(server: LocalServer) -> None:
    wire = run(server.url, counted_audio(5, first=3), diarization="speaker")
    labels = [
        result["alternatives"][0]["speaker"]
        for message in named(wire.received, "AddTranscript")
        for result in message["results"]
        if result["type"] == "word"
    ]
    assert labels == ["S1", "S1", "S2", "S2", "S1"]


def test_without_diarization_words_have_no_speaker(server: LocalServer) -> None:
    wire = run(server.url, counted_audio(2))
    results = named(wire.received, "AddTranscript")[0]["results"]
    assert "speaker" not in results[0]["alternatives"][0]


def test_speakers_can_be_asked_for_and_enrolled_in_the_next_session(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start(diarization="speaker")
        wire.send(counted_audio(6), {"message": "GetSpeakers"})
        speakers = wire.until("SpeakersResult")["speakers"]
        assert [speaker["label"] for speaker in speakers] == ["S1", "S2"]
        wire.end(1)
    enrolled = [{**speakers[1], "label": "Bob"}]
    wire = run(
        server.url,
        counted_audio(4),
        diarization="speaker",
        speaker_diarization_config={"speakers": enrolled, "get_speakers": True},
    )
    last = wire.received[-2:]
    assert [message["message"] for message in last] == ["SpeakersResult", "EndOfTranscript"]
    assert [speaker["label"] for speaker in last[0]["speakers"]] == ["S1", "Bob"]


def test_speakers_asked_for_at_the_end_come_once_and_at_the_end(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start(diarization="speaker")
        for _ in range(2):
            wire.send({"message": "GetSpeakers", "final": True})
        wire.send(counted_audio(4))
        received = wire.end(1)
    assert len(named(received, "SpeakersResult")) == 1
    assert received[-2]["message"] == "SpeakersResult"


def test_without_diarization_asking_for_speakers_gets_none_and_a_warning(
    server: LocalServer,
) -> None:
    with Wire(server.url) as wire:
        wire.start()
        wire.send({"message": "GetSpeakers"})
        assert wire.until("Warning")["type"] == "speaker_id"
        assert wire.until("SpeakersResult")["speakers"] == []
        wire.end(0)


def test_translation_is_declined_and_the_session_goes_on(server: LocalServer) -> None:
    start = {**start_message(), "translation_config": {"target_languages": ["de", "fr"]}}
    wire = run(server.url, counted_audio(2), start=start)
    assert [warning["type"] for warning in named(wire.received, "Warning")] == [
        "unsupported_translation_pair",
        "unsupported_translation_pair",
        "empty_translation_target_list",
    ]
    assert words(wire.received) == ["w1", "w2"]


def test_disfluencies_and_replacements_follow_the_configuration() -> None:
    script = [("uh", 0.1, 0.2), ("hello", 0.3, 0.6), ("there", 0.7, 0.9)]
    with LocalServer(recognizer=ScriptedRecognizer(script), strict=True) as server:
        plain = run(server.url, silence(1))
        filtered = run(
            server.url,
            silence(1),
            transcript_filtering_config={
                "remove_disfluencies": True,
                "replacements": [{"from": "hello", "to": "hi"}],
            },
        )
    first = named(plain.received, "AddTranscript")[0]["results"][0]["alternatives"][0]
    assert (first["content"], first["tags"]) == ("uh", ["disfluency"])
    assert words(filtered.received) == ["hi", "there"]


def test_audio_after_end_of_stream_is_ignored_with_a_warning(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start()
        wire.send(counted_audio(2))
        # In one write, so that the server receives the audio with EndOfStream, before it answers.
        with wire.connection.protocol_mutex:
            wire.connection.protocol.send_text(b'{"message":"EndOfStream","last_seq_no":1}')
            wire.connection.protocol.send_binary(counted_audio(1, first=3))
            wire.connection.socket.sendall(b"".join(wire.connection.protocol.data_to_send()))
        wire.rest()
    assert named(wire.received, "Warning")[0]["type"] == "add_audio_after_eos"
    assert words(wire.received) == ["w1", "w2"]
    assert (wire.received[-1]["message"], wire.close_code) == ("EndOfTranscript", 1000)


def test_a_session_without_audio_ends_like_any_other(server: LocalServer) -> None:
    with Wire(server.url) as wire:
        wire.start()
        assert wire.end(0)[-1]["message"] == "EndOfTranscript"
    assert wire.close_code == 1000


def test_everything_the_server_sends_fits_the_description_of_the_api(
    shared: Path, server: LocalServer
) -> None:
    text = (shared / "spec" / "realtime.yaml").read_text(encoding="utf-8")
    schemas = yaml.safe_load(text)["components"]["schemas"]
    received = run(
        server.url,
        counted_audio(6) + silence(2) + counted_audio(4, first=7),
        start={
            **start_message(
                enable_partials=True,
                diarization="speaker",
                speaker_diarization_config={"get_speakers": True},
                conversation_config={"end_of_utterance_silence_trigger": 0.5},
            ),
            "translation_config": {"target_languages": ["de"]},
        },
    ).received
    script = [Word("uh", 0.1, 0.3, 0.25), Word("hello", 0.4, 0.8, 1.0)]
    recognizer = ScriptedRecognizer(script, delay=1.0)
    with LocalServer(recognizer=recognizer, strict=True) as other, Wire(other.url) as wire:
        wire.start()
        wire.send(silence(1), {"message": "ForceEndOfUtterance"}, {"message": "GetSpeakers"})
        received += wire.end(1)
    with Wire(server.url) as wire:
        wire.send({"message": "MakeTea"})
        received += wire.rest()
    assert {message["message"] for message in received} == {
        "AddPartialTranscript",
        "AddTranscript",
        "AudioAdded",
        "EndOfTranscript",
        "EndOfUtterance",
        "Error",
        "Info",
        "RecognitionStarted",
        "SpeakersResult",
        "Warning",
    }
    known = {
        name: set(schemas[name]["properties"]) for name in schemas if "properties" in schemas[name]
    }
    by_name: dict[str, list[Message]] = {}
    for message in received:
        name = message["message"]
        by_name.setdefault(name, []).append(message)
        undescribed = {"format"} if name == "EndOfUtterance" else set()
        assert set(message) - undescribed <= known[name], message
    for name, messages in by_name.items():
        assert complaints(schemas, name, messages) == [], name
