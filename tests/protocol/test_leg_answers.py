"""What a leg asked, and what the server owes it."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from support.protocol.legs import added, channel_added, running, sent, starting
from support.serving import STARTED, final

from speechmatics_sync._protocol.codec import encode
from speechmatics_sync._protocol.events import (
    Deliver,
    Queued,
    SpeakersAnswered,
    SpeakersQuestion,
)
from speechmatics_sync._protocol.leg import Due, Leg
from speechmatics_sync._protocol.multiplexer import Placed

SPEAKERS = {"message": "SpeakersResult", "speakers": [{"label": "A", "speaker_identifiers": ["x"]}]}


FORCED = {"message": "EndOfUtterance", "forced": True, "metadata": {}}


def ask(leg: Leg, message: dict[str, Any], question: Optional[SpeakersQuestion] = None) -> None:
    leg.request(Placed(Queued(message, encode(message), question), {}), message)


def ask_speakers(leg: Leg, *, own: bool = False) -> SpeakersQuestion:
    question = SpeakersQuestion(own=own)
    ask(leg, {"message": "GetSpeakers"}, question)
    return question


def test_answers_of_get_speakers_come_in_the_order_of_the_questions() -> None:
    leg = running()
    first, second = ask_speakers(leg), ask_speakers(leg)
    assert leg.receive(SPEAKERS) == [SpeakersAnswered(first, SPEAKERS)]
    assert leg.receive(SPEAKERS) == [SpeakersAnswered(second, SPEAKERS)]
    assert leg.receive(SPEAKERS) == [Deliver(SPEAKERS)]  # the one of the end is nobody's


def test_a_forced_end_of_utterance_answers_a_force_and_no_other_does() -> None:
    leg = running()
    ask(leg, {"message": "ForceEndOfUtterance"})
    question = ask_speakers(leg)
    plain = {**FORCED, "forced": False}
    assert leg.receive(plain) == [Deliver(plain)]
    assert len(leg.asked) == 2
    assert leg.receive(FORCED) == [Deliver(FORCED)]
    assert [placed.message.question for placed in leg.asked] == [question]


def test_a_forced_end_of_utterance_answers_the_force_of_its_channel() -> None:
    leg = running("a", "b")
    for label in ("a", "b"):
        ask(leg, {"message": "ForceEndOfUtterance", "channel": label})
    leg.receive({**FORCED, "channel": "b"})
    assert [placed.message.message["channel"] for placed in leg.asked] == ["a"]


def test_a_channel_that_has_answered_a_force_for_all_answers_the_next_one_with_its_second() -> None:
    leg = running("a", "b")
    for _ in range(2):
        ask(leg, {"message": "ForceEndOfUtterance"})
    for label in ("a", "a", "b"):
        leg.receive({**FORCED, "channel": label})
    assert len(leg.asked) == 1
    leg.receive({**FORCED, "channel": "b"})
    assert not leg.asked


def test_other_messages_await_no_answer() -> None:
    leg = running()
    ask(leg, {"message": "SetRecognitionConfig"})
    ask(leg, {"message": "GetSpeakers", "final": True})
    assert not leg.asked


def test_the_server_owes_what_it_has_not_answered() -> None:
    leg = starting()
    assert leg.owed() == {}  # the start has a limit of its own
    leg.receive(STARTED)
    assert leg.owed() == {}
    sent(leg, b"aa", b"aa")
    before = leg.owed()
    assert list(before) == [(Due.ACKNOWLEDGEMENT, None)]
    leg.receive(added(1))
    assert list(leg.owed()) == list(before)
    assert leg.owed() != before  # it got on
    leg.receive(added(2))
    assert leg.owed() == {}
    ask_speakers(leg, own=True)  # what the session asks for itself, it does not insist on
    assert leg.owed() == {}
    leg.receive(SPEAKERS)
    first, second = ask_speakers(leg), ask_speakers(leg)
    assert list(leg.owed()) == [(Due.ANSWER, first)]
    leg.receive(SPEAKERS)
    assert list(leg.owed()) == [(Due.ANSWER, second)]
    leg.receive(SPEAKERS)
    assert leg.owed() == {}
    leg.end(None)
    assert list(leg.owed()) == [(Due.END, None)]


def test_an_answer_is_owed_once_the_audio_before_its_question_is_acknowledged() -> None:
    leg = running()
    sent(leg, b"aa")
    question = SpeakersQuestion()
    message = {"message": "GetSpeakers"}
    leg.request(Placed(Queued(message, encode(message), question), {None: 2}), message)
    sent(leg, b"aa")
    assert list(leg.owed()) == [(Due.ACKNOWLEDGEMENT, None)]
    leg.receive(added(1))
    assert list(leg.owed()) == [(Due.ACKNOWLEDGEMENT, None), (Due.ANSWER, question)]


def test_channels_owe_their_acknowledgements_apart() -> None:
    leg = running("a", "b")
    for label in ("a", "b"):
        sent(leg, b"aa", b"aa", label=label)
    before = leg.owed()
    leg.receive(channel_added("a", 1))
    assert {what for what, progress in leg.owed().items() if progress == before[what]} == {
        (Due.ACKNOWLEDGEMENT, "b")
    }


@pytest.mark.parametrize(
    ("message", "nearer"),
    [
        (final("word"), True),
        ({**final("word"), "message": "AddTranslation"}, True),
        (added(1), True),
        (FORCED, True),
        ({**final("word"), "message": "AddPartialTranscript"}, False),
        ({"message": "Info", "type": "recognition_quality"}, False),
        ({"message": "Warning", "type": "duration_limit_exceeded"}, False),
        ({"message": "Novelty"}, False),
    ],
)
def test_what_settles_something_brings_the_end_nearer(
    message: dict[str, Any], nearer: bool
) -> None:
    leg = running()
    sent(leg, b"aa")
    leg.end(None)
    before = leg.owed()[Due.END, None]
    leg.receive(message)
    assert (leg.owed()[Due.END, None] != before) == nearer
