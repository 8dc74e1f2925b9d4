"""Lines as server-sent events: for the one response of a session, and for those who read along."""

from __future__ import annotations

import functools
import itertools
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.live import partial
from support.serving import Peer, final, serving
from support.sessions import (
    END_OF_TRANSCRIPT,
    RAW,
    Blocking,
    InThread,
    client_of,
    let_sources_go,
    speech,
    wait_for,
)
from support.transcripts import result

from speechmatics_sync import (
    ConfigurationError,
    Line,
    LineBroadcast,
    SessionError,
    TranscriptionError,
    server_sent_event,
)

__all__ = ["let_sources_go"]


class EventSource:
    """A browser's reader, by the rules of the standard."""

    def __init__(self) -> None:
        self.last_event_id = ""
        self.events: list[tuple[str, Any]] = []
        self.comments = 0
        self._fields: dict[str, list[str]] = {}

    def read(self, text: str) -> None:
        assert text.endswith("\n\n"), "an event ends with an empty line"
        for row in text.split("\n")[:-1]:
            if not row:
                self._dispatch()
            elif row.startswith(":"):
                self.comments += 1
            else:
                name, _, value = row.partition(":")
                self._fields.setdefault(name, []).append(value.removeprefix(" "))

    def _dispatch(self) -> None:
        fields, self._fields = self._fields, {}
        self.last_event_id = fields.get("id", [self.last_event_id])[-1]
        if "data" in fields:
            name = fields.get("event", ["message"])[-1]
            self.events.append((name, json.loads("\n".join(fields["data"]))))


def line(id: int, text: str, *, is_final: bool = True) -> Line:
    return Line(id, text, len(text) if is_final else 0, None, None, float(id), id + 0.5, is_final)


def test_an_event_is_one_whatever_is_in_it() -> None:
    reader = EventSource()
    said = {"text": "one\ntwo\r\nthree\u2028 é", "n": 1.5}
    reader.read(server_sent_event(said, event="failed", id=7))
    reader.read(server_sent_event("plain"))
    assert reader.events == [("failed", said), ("message", "plain")]
    assert reader.last_event_id == "7"
    server_sent_event({"text": "half a \ud800 pair"}).encode()  # as a web server does


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"data": 1, "event": "a\nb"}, "event is 'a\\\\nb'; allowed: one line"),
        ({"data": 1, "id": "1\r"}, "id is '1\\\\r'; allowed: one line"),
        ({"data": 1, "event": "error"}, "event is 'error', a browser's own"),
        ({"data": b"1"}, "data is no JSON"),
        ({"data": float("nan")}, "data is no JSON"),
        (
            {"data": functools.reduce(lambda inner, _: [inner], range(99_999), [])},
            "data is no JSON",
        ),
    ],
)
def test_what_would_be_no_event_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        server_sent_event(**wrong)


def test_a_stream_gives_its_lines_as_events_and_says_when_there_are_no_more() -> None:
    def serve(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.send(partial(result("won", 0, 1)), final("one"), END_OF_TRANSCRIPT)

    reader = EventSource()
    with serving(serve) as url, client_of(url) as client:
        for text in client.stream(speech(0.1), audio_format=RAW).events():
            reader.read(text)
        assert client.transcript.text == "one"
    (_, won), (_, one), (_, ended), last = reader.events
    assert (won["text"], won["is_final"]) == ("won", False)
    assert (one["id"], one["text"], one["is_final"]) == (won["id"], "one", False)
    assert (ended["text"], ended["is_final"]) == ("one", True)
    assert last == ("end", None)
    assert reader.last_event_id == str(won["id"])


def test_an_error_comes_out_of_the_events() -> None:
    def serve(peer: Peer) -> None:
        peer.start()
        peer.take_audio()
        peer.send(final("one"), {"message": "Error", "type": "job_error", "reason": "broken"})

    told: list[str] = []
    with serving(serve) as url, client_of(url) as client:
        with pytest.raises(TranscriptionError) as caught:
            told.extend(client.stream(speech(0.1), audio_format=RAW).events())
        assert len(told) == 1
        assert caught.value.transcript is not None
        assert caught.value.transcript.text == "one"


def test_a_response_that_is_closed_ends_its_session() -> None:
    gone = threading.Event()

    def serve(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.send(final("one"))
        peer.wait_closed()
        gone.set()

    source = Blocking(speech(0.1))
    with serving(serve) as url, client_of(url) as client:
        stream = client.stream(source, audio_format=RAW)
        events = stream.events(keep_alive=0.02)
        assert "one" in next(event for event in events if event != ":\n\n")
        assert next(events) == ":\n\n", "nothing was said: the comment finds out who is gone"
        events.close()  # type: ignore[attr-defined]  # a web server does, once a write fails
        wait_for(gone)
        source.released.set()
        assert client.transcript.text == "one"
        with pytest.raises(SessionError, match="close\\(\\) was called"):
            next(stream)


def test_a_response_that_is_closed_before_its_first_line_ends_its_session() -> None:
    gone = threading.Event()

    def serve(peer: Peer) -> None:
        peer.start()
        peer.wait_closed()
        gone.set()

    source = Blocking(b"")
    with serving(serve) as url, client_of(url) as client:
        stream = client.stream(source, audio_format=RAW)
        stream.events().close()  # type: ignore[attr-defined]  # the browser was gone at once
        wait_for(gone)
        source.released.set()
        with pytest.raises(SessionError, match="close\\(\\) was called"):
            next(stream)


def test_a_generator_of_ones_own_that_is_closed_ends_its_session() -> None:
    gone = threading.Event()

    def serve(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.send(final("one"))
        peer.wait_closed()
        gone.set()

    with serving(serve) as url:

        def body() -> Iterator[str]:
            with client_of(url) as client, client.stream(source, audio_format=RAW) as stream:
                for line in stream.lines():
                    yield line.text

        source = Blocking(speech(0.1))
        response = body()
        assert next(response) == "one"
        response.close()  # type: ignore[attr-defined]
        wait_for(gone)


@pytest.mark.parametrize("keep_alive", [0, -1, 3601, "15", None])
def test_a_wrong_time_is_refused_before_anything_is_read(keep_alive: Any) -> None:
    with pytest.raises(ConfigurationError, match="keep_alive is "):
        LineBroadcast().events(keep_alive=keep_alive)


def test_readers_get_the_lines_kept_and_then_those_to_come() -> None:
    broadcast = LineBroadcast()
    broadcast.send(line(1, "he", is_final=False))
    broadcast.send(line(1, "hello."))
    early, begun = EventSource(), threading.Event()

    def follow() -> None:
        for text in broadcast.events():
            early.read(text)
            begun.set()

    following = InThread(follow)
    wait_for(begun)
    broadcast.send(line(2, "it"))
    broadcast.close()
    following.result()
    late = EventSource()
    for text in broadcast.events():
        late.read(text)
    texts = [told and told["text"] for _, told in early.events]
    assert texts == ["hello.", "it", None]
    assert late.events == early.events
    assert early.events[-1] == ("end", None)
    with pytest.raises(SessionError, match="was closed"):
        broadcast.send(line(3, "late"))


def test_a_slow_reader_gets_each_line_as_it_is_by_then() -> None:
    broadcast = LineBroadcast()
    broadcast.send(line(1, "h", is_final=False))
    reader, events = EventSource(), broadcast.events()
    reader.read(next(events))
    for text in ("he", "hel", "hell"):
        broadcast.send(line(1, text, is_final=False))
    broadcast.send(line(2, "so", is_final=False))
    broadcast.send(line(1, "hello."))
    broadcast.close()
    for text in events:
        reader.read(text)
    assert [told and told["text"] for _, told in reader.events] == ["h", "so", "hello.", None]


@pytest.mark.parametrize(
    ("last_event_id", "ids"),
    [
        ("3", [3, 4]),
        ("9", []),
        (None, [2, 3, 4]),
        ("", [2, 3, 4]),
        ("no line", [2, 3, 4]),
        ("9" * 5000, [2, 3, 4]),
    ],
)
def test_a_reader_that_comes_back_gets_what_it_lacks(last_event_id: Any, ids: list[int]) -> None:
    broadcast = LineBroadcast(keep=3)
    for number in range(1, 5):
        broadcast.send(line(number, "word"))
    broadcast.close()
    reader = EventSource()
    for text in broadcast.events(last_event_id):
        reader.read(text)
    assert [told["id"] for name, told in reader.events if name == "message"] == ids


def test_what_is_no_line_is_not_sent() -> None:
    with pytest.raises(ConfigurationError, match="line is of type dict; allowed: a Line"):
        LineBroadcast().send(line(1, "one").to_dict())  # type: ignore[arg-type]


def test_a_quiet_reader_is_kept_alive() -> None:
    broadcast = LineBroadcast()
    assert list(itertools.islice(broadcast.events(keep_alive=0.01), 2)) == [":\n\n"] * 2
