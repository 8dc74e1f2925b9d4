"""What is behind the captions page: audio taken exactly once, lines for all who follow."""

from __future__ import annotations

import concurrent.futures
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support.captions import CHUNK, PATIENCE, Closed, PageOfPython, served
from support.examples import EXAMPLES
from support.web_servers import until

from speechmatics_sync import AudioEncoding, AudioFormat
from speechmatics_sync.local import (
    CountedRecognizer,
    Faults,
    HoldAcknowledgements,
    LocalServer,
    counted_audio,
)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def local(faults: Faults) -> Iterator[LocalServer]:
    with LocalServer(recognizer=CountedRecognizer(), faults=faults) as server:
        yield server


@pytest.fixture
def talks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, with shorter times."""
    pytest.importorskip("flask_sock")
    monkeypatch.syspath_prepend(EXAMPLES)
    from captions_page import talks

    monkeypatch.setattr(talks, "GRACE", 0.5)
    monkeypatch.setattr(talks, "QUIET", 0.2)
    monkeypatch.setattr(talks, "ALIVE", 0.1)
    return talks


@pytest.fixture
def url(talks: Any, local: LocalServer) -> Iterator[str]:
    from captions_flask import create_app

    with served(create_app(local.url)) as url:
        yield url


def lines_of(messages: list[Any]) -> list[str]:
    return [line["text"] for message in messages for line in message["final"]]


def words(page: PageOfPython) -> list[str]:
    return " ".join(page.said).replace(".", "").split()


def test_a_page_that_comes_back_loses_no_word_and_says_none_twice(
    url: str, local: LocalServer
) -> None:
    audio = counted_audio(20)
    page = PageOfPython(url)
    page.connect()
    page.send(audio[: len(audio) // 2])  # more than is taken by the time of the loss
    page.receive_until(lambda: page.taken > CHUNK)
    page.vanish()
    page.connect()
    page.send(audio)
    page.stop()
    assert words(page) == [f"w{number}" for number in range(1, 21)]
    (session,) = local.sessions
    assert session.audio_bytes == len(audio)


def test_what_a_connection_gives_after_another_took_its_place_is_not_taken(talks: Any) -> None:
    """The page sends it again over the other one."""
    audio_format = AudioFormat(AudioEncoding.PCM_S16LE, sample_rate=16000)
    talk = talks.Talk("ws://127.0.0.1:9/v2", {}, 0)

    class Late:
        """Is replaced while its audio is on the way to the talk."""

        def receive(self, timeout: float) -> bytes:
            talk.attach(Last(), audio_format)
            return bytes(CHUNK)

        def close(self) -> None:
            pass

    class Last(Late):
        def receive(self, timeout: float) -> Any:
            return "stop"

    talk.attach(Late(), audio_format)
    messages = talk.follow("", quiet=PATIENCE, audio=True)
    last = next(message for message in messages if message["state"] == "idle")
    assert (last["taken"], last["error"]) == (0, "")


def test_a_page_goes_on_with_a_server_that_was_started_anew(url: str, local: LocalServer) -> None:
    from captions_flask import create_app

    audio = counted_audio(10)
    page = PageOfPython(url)
    page.connect()
    page.send(audio[: len(audio) // 2])
    page.receive_until(lambda: page.taken == len(audio) // 2)
    page.vanish()
    with served(create_app(local.url)) as another:
        page.move(another)
        page.connect()
        page.send(audio)
        page.stop()
        assert words(page) == [f"w{number}" for number in range(6, 11)]
    until(lambda: all(session.ended for session in local.sessions))


def test_a_page_that_is_gone_leaves_no_session_and_loses_no_word_that_came(
    url: str, local: LocalServer
) -> None:
    page = PageOfPython(url)
    page.connect()
    page.send(counted_audio(4))
    page.receive_until(lambda: page.taken == len(counted_audio(4)))
    talk = page.last["talk"]
    page.vanish()
    until(lambda: local.sessions[0].ended)
    assert local.sessions[0].close_code == 1000
    assert local.sessions[0].last_seq_no is not None, "it was ended, not cut off"
    with reading(url, talk) as events:
        first = next(events)
    assert [line["text"] for line in first["final"]] == ["w1 w2 w3 w4."]
    assert first["state"] == "idle"


def test_a_page_that_speaks_again_goes_on_with_its_lines(url: str, local: LocalServer) -> None:
    page = PageOfPython(url)
    for first in (1, 3):
        page.connect()
        page.send(bytes(page.taken) + counted_audio(2, first=first))
        page.stop()
    assert page.said == ["w1 w2.", "w3 w4."]
    assert len(local.sessions) == 2
    page.seen = ""  # as a page that is loaded anew
    page.said.clear()
    page.connect()
    page.stop()
    assert page.said == ["w1 w2.", "w3 w4."]
    assert len(local.sessions) == 2, "no audio, no session"


def test_several_talks_at_once_are_apart(url: str, local: LocalServer) -> None:
    def talk(number: int) -> list[str]:
        page = PageOfPython(url, key=f"{number}" * 48)
        page.connect()
        page.send(counted_audio(6, first=100 * number))
        page.stop()
        return words(page)

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        said = list(pool.map(talk, range(1, 6)))
    assert said == [[f"w{100 * number + word}" for word in range(6)] for number in range(1, 6)]


def test_audio_is_taken_no_faster_than_the_session_takes_it(
    url: str, talks: Any, local: LocalServer, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talks, "LAST_WORDS", 0.5)
    faults.add(HoldAcknowledgements())
    page = PageOfPython(url)
    page.connect()
    sent, signs = 0, 0
    while signs < 3:  # of life, one after the other, without any news
        while sent < page.taken // CHUNK + 100:
            page.socket.send_binary(bytes(CHUNK))
            sent += 1
        signs = 0 if page.receive() else signs + 1
    assert 512 <= page.taken // CHUNK < sent, "the window of the session's server is full"
    for _ in range(talks.MOST_WAITING + 10):
        page.socket.send_binary(bytes(CHUNK))
    with pytest.raises(Closed) as closed:
        page.receive_until(lambda: False)
    assert closed.value.args == (4000, "The page sends more than it was asked for.")
    until(lambda: local.sessions[0].ended)


def test_a_reader_that_joins_late_or_comes_back_gets_the_lines_it_lacks(url: str) -> None:
    page = PageOfPython(url)
    page.connect()
    page.send(counted_audio(2))
    page.stop()
    talk = page.last["talk"]
    with reading(url, talk) as events:
        late = next(events)
        assert [line["text"] for line in late["final"]] == ["w1 w2."]
        page.connect()
        page.send(bytes(page.taken) + counted_audio(2, first=3))
        told = [late]
        while not told[-1]["open"]:  # it grows before its eyes
            told.append(next(events))
        page.stop()
        while "w3 w4." not in lines_of(told):
            told.append(next(events))
    assert lines_of(told) == ["w1 w2.", "w3 w4."]
    with reading(url, talk, seen=late["seen"]) as events:
        assert [line["text"] for line in next(events)["final"]] == ["w3 w4."]
    with reading(url, talk, seen="another-process:7") as events:
        assert len(next(events)["final"]) == 2


def test_a_reader_who_does_not_read_holds_nobody_up(url: str, talks: Any) -> None:
    page = PageOfPython(url)
    page.connect()
    with reading(url, page.last["talk"]):
        page.send(counted_audio(200, period=0.2))
        page.stop()
    assert words(page) == [f"w{number}" for number in range(1, 201)]


def test_a_talk_that_is_not_there_is_over(url: str) -> None:
    with requests.get(f"{url}read", params={"talk": "none"}, timeout=20) as answer:
        assert answer.text == 'event: over\ndata: "This talk is over."\n\n'
        assert answer.headers["Cache-Control"] == "no-cache"


def test_an_unused_talk_is_forgotten_and_its_readers_are_told(
    url: str, talks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talks, "KEPT", 0.0)
    page = PageOfPython(url)
    page.connect()
    page.send(counted_audio(1))
    page.stop()
    with reading(url, page.last["talk"]) as events:
        next(events)
        other = PageOfPython(url, key="o" * 48)
        other.connect()
        assert next(events) == "This talk is over."
        other.stop()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"origin": "http://elsewhere.test"}, "Another site's page may not speak here."),
        ({"key": "short"}, "The key is too short."),
        ({"rate": -1}, "AudioFormat.sample_rate is -1;"),
    ],
)
def test_what_is_wrong_with_a_page_is_said(url: str, changes: Any, words: str) -> None:
    rate = changes.pop("rate", 16000)
    with pytest.raises(Closed) as closed:
        PageOfPython(url, **changes).connect(rate=rate)
    code, reason = closed.value.args
    assert code == 4000
    assert reason.startswith(words)


def test_there_is_a_limit_for_talks(url: str, talks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talks, "MOST_TALKS", 1)
    first, second = PageOfPython(url), PageOfPython(url, key="o" * 48)
    first.connect()
    with pytest.raises(Closed, match="Too many people"):
        second.connect()
    first.stop()
    second.connect()  # those that nobody uses make room
    second.stop()


class reading:
    """The events of a talk, one by one; a browser's reader, by `requests`."""

    def __init__(self, url: str, talk: str, seen: str = "") -> None:
        headers = {"Last-Event-ID": seen} if seen else {}
        self._answer = requests.get(
            f"{url}read", params={"talk": talk}, headers=headers, stream=True, timeout=20
        )

    def __enter__(self) -> Iterator[Any]:
        assert self._answer.headers["Content-Type"].startswith("text/event-stream")
        return self._events()

    def __exit__(self, *_: object) -> None:
        self._answer.close()

    def _events(self) -> Iterator[Any]:
        for line in self._answer.iter_lines():
            if line.startswith(b"data: "):
                yield json.loads(line[len(b"data: ") :])


def test_no_thread_is_left_of_a_page_that_stopped(url: str) -> None:
    page = PageOfPython(url)
    page.connect()
    page.send(counted_audio(1))
    page.stop()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "talk"])
