"""The soak finds nothing wrong, and would say so if something were."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from typing import Any, Callable, Optional

import pytest
from support.fault_proxying import TRIGGER, Counted, Weather, Witness, left_over, open_sockets
from support.places import ROOT
from support.serving import PATIENCE

from speechmatics_sync import Client, SessionStats, Transcript
from speechmatics_sync.local import counted_word

BENCHMARKS = ROOT / "benchmarks"
SPOKEN = Counted(first=7, count=6)
Message = dict[str, Any]


# -- the whole of it, shortly -------------------------------------------------------------------


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a few seconds of it, as a program."""
    return subprocess.run(
        [sys.executable, "-c", program], cwd=BENCHMARKS, text=True, capture_output=True, timeout=170
    )


def figure(name: str, printed: str) -> str:
    found = re.search(rf"^{name} +(\S+)", printed, re.MULTILINE)
    assert found, printed
    return found[1]


@pytest.mark.once
@pytest.mark.timeout(180)
def test_nothing_is_lost_in_a_short_soak() -> None:
    soaked = run(
        "import calls, soak, sys; calls.WORDS = calls.PACED_WORDS = (4, 12);"
        "sys.argv += '--seconds 0.1 --sessions 8 --seed 3'.split();"
        "sys.exit(soak.main())"
    )
    assert soaked.returncode == 0, soaked.stdout + soaked.stderr
    assert "nothing is wrong" in soaked.stdout
    assert int(figure("connections lost", soaked.stdout)) > 0
    assert int(figure("outages that users were told of", soaked.stdout)) > 0
    assert int(figure("words", soaked.stdout)) > 0


@pytest.mark.once
@pytest.mark.timeout(180)
def test_a_soak_in_which_sessions_fail_ends_with_the_seed_to_repeat_it() -> None:
    """Here because no connection can be had."""
    soaked = run(
        "import calls, soak, sys, weather; weather.FIRST = weather.LATER = {'refuse': 1};"
        "calls.POLICY = calls.ReconnectPolicy(max_attempts=1, initial_delay=0.01);"
        "sys.exit(not soak.soak(seconds=0.1, sessions=4, seed=4, healthy=False))"
    )
    assert soaked.returncode == 1, soaked.stdout + soaked.stderr
    assert "ConnectionError" in soaked.stdout
    assert "things are wrong; again with: --seed 4" in soaked.stdout


# -- what would be seen: leftovers --------------------------------------------------------------


def test_a_thread_and_a_socket_that_are_left_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soak.SETTLING", 0.1)
    threads, sockets = set(threading.enumerate()), open_sockets()
    let_go = threading.Event()
    stray = threading.Thread(target=let_go.wait, args=(PATIENCE,), name="stray")
    stray.start()
    try:
        with socket.socket():
            left = left_over(threads, sockets)
    finally:
        let_go.set()
        stray.join()
    assert left[0] == ["stray"]
    assert len(left[1]) == 1
    assert left_over(threads, sockets) == ([], [])


def test_the_seed_alone_decides_what_happens_to_which_connection() -> None:
    def faults(seed: int) -> list[str]:
        weather = Weather(seed, healthy=False)
        weather.begin("12", 100_000, 30)
        for _ in range(20):
            weather.choose("/v2?call=12&sm-sdk=x")
        return weather.end("12")

    assert faults(1) == faults(1)
    assert faults(1) != faults(2)
    assert {fault.partition(" ")[0] for fault in faults(1)} > {"none", "reset"}


# -- what would be seen: words and times --------------------------------------------------------


def final(*words: tuple[str, float, float], name: str = "AddTranscript") -> Message:
    results = [
        {
            "type": "word",
            "start_time": start,
            "end_time": end,
            "alternatives": [{"content": content, "confidence": 1.0}],
        }
        for content, start, end in words
    ]
    return {
        "message": name,
        "metadata": {"transcript": "", "start_time": words[0][1], "end_time": words[-1][2]},
        "results": results,
    }


def spoken(number: int, *, later: float = 0.0) -> tuple[str, float, float]:
    """The word at this place of `SPOKEN`, from 0, at its time or later."""
    word = counted_word(SPOKEN.first + number)
    start, end = SPOKEN.words()[word]
    return word, start + later, end + later


def end_of_utterance(number: int, **changes: Any) -> Message:
    time = spoken(number)[2] + TRIGGER
    metadata = {"start_time": time, "end_time": time}
    return {"message": "EndOfUtterance", "metadata": metadata, **changes}


START: Message = {"message": "RecognitionStarted", "id": "one"}
END: Message = {"message": "EndOfTranscript"}
AWAY: Message = {"message": "SessionReconnecting"}
BACK: Message = {"message": "SessionReconnected", "seconds_lost": 0.0}


def uninterrupted() -> list[Message]:
    """What a session gives: every word in a final of its own, each the end of an utterance."""
    messages = [START]
    for number in range(SPOKEN.count):
        messages += [final(spoken(number)), end_of_utterance(number)]
    return [*messages, END]


def witnessed(messages: list[Message], *, reconnects: int = 0, gap: bool = False) -> Witness:
    """A witness who has heard these messages, and judged."""
    client = Client(url="ws://localhost:1")
    witness = Witness(client, {None: SPOKEN}, utterances=True)
    transcript = Transcript()
    for message in messages:
        transcript.add(message)
        client.emit(message["message"], message)
    if gap:
        transcript.add_gap(1.0, 2.0)
    witness.problems(transcript, SessionStats(reconnects=reconnects))
    return witness


def test_an_uninterrupted_session_has_no_problems() -> None:
    assert witnessed(uninterrupted()).said == []
    interrupted = [*uninterrupted()[:5], AWAY, BACK, *uninterrupted()[5:]]
    assert witnessed(interrupted, reconnects=1).said == []


def without(at: int) -> Callable[[list[Message]], list[Message]]:
    return lambda messages: messages[:at] + messages[at + 1 :]


def insert(at: int, *more: Message) -> Callable[[list[Message]], list[Message]]:
    return lambda messages: [*messages[:at], *more, *messages[at:]]


def instead(at: int, *more: Message) -> Callable[[list[Message]], list[Message]]:
    return lambda messages: [*messages[:at], *more, *messages[at + 1 :]]


WRONG: dict[str, tuple[Callable[[list[Message]], list[Message]], str]] = {
    "a word lost": (without(3), "words lost: w8"),
    "a word repeated": (insert(4, final(spoken(1))), "words repeated: w8"),
    "a word of another session": (insert(13, final(("w99", 3.0, 3.4))), "never said: w99"),
    "a clipped word": (instead(3, final(("clipped", 0.6, 0.9))), "never said: clipped"),
    "a word too late": (instead(3, final(spoken(1, later=0.01))), "at another time: w8"),
    "words out of order": (instead(3, final(spoken(2), spoken(1))), "time goes back"),
    "a partial before a final": (
        insert(6, final(spoken(1), name="AddPartialTranscript")),
        "time goes back",
    ),
    "an utterance's end lost": (without(4), "utterance ends missing: 0.98"),
    "an utterance's end repeated": (insert(5, end_of_utterance(1)), "too many: 0.98"),
    "an utterance's end too early": (insert(8, end_of_utterance(1)), "time goes back"),
    "a forced end nobody asked for": (
        insert(5, end_of_utterance(1, forced=True)),
        "ended by force",
    ),
    "a start delivered again": (insert(5, START), "2 RecognitionStarted"),
    "no end": (without(13), "0 EndOfTranscript"),
    "an Error": (insert(5, {"message": "Error", "type": "x"}), "an Error was delivered"),
    "away and not back": (insert(5, AWAY), "1 outages, 0 recoveries"),
    "away twice": (insert(5, AWAY, AWAY, BACK), "without a SessionReconnected"),
    "back and never away": (insert(5, BACK), "without a SessionReconnecting"),
    "audio lost": (insert(5, AWAY, {**BACK, "seconds_lost": 0.5}), "seconds were lost"),
    "a chunk acknowledged twice": (
        insert(5, *[{"message": "AudioAdded", "seq_no": 3}] * 2),
        "chunk 3 acknowledged",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said(wrong: str) -> None:
    spoil, said = WRONG[wrong]
    assert said in "\n".join(witnessed(spoil(uninterrupted())).said)


def test_lost_and_repeated_words_are_counted() -> None:
    witness = witnessed(insert(8, final(spoken(2)), final(spoken(3)))(without(3)(uninterrupted())))
    assert (witness.lost, witness.repeated) == (1, 2)


def test_a_gap_and_reconnects_that_were_not_told_are_said() -> None:
    assert "gaps: [(1.0, 2.0)]" in witnessed(uninterrupted(), gap=True).said
    assert "stats.reconnects is 2" in str(witnessed(uninterrupted(), reconnects=2).said)


@pytest.mark.parametrize("labels", [["S1", "S2"], ["S1", "S1"], [None, "S2"]])
def test_a_label_that_stands_for_two_voices_is_said(labels: list[Optional[str]]) -> None:
    client = Client(url="ws://localhost:1")
    witness = Witness(client, {None: Counted(first=1, count=10)}, speakers=True)
    transcript = Transcript()
    for number in range(10):
        message = final((counted_word(number + 1), number * 0.5, number * 0.5 + 0.4))
        message["results"][0]["alternatives"][0]["speaker"] = labels[number // 5]
        transcript.add(message)
        client.emit("AddTranscript", message)
    said = [
        problem for problem in witness.problems(transcript, SessionStats()) if "label" in problem
    ]
    assert bool(said) == (labels != ["S1", "S2"])
