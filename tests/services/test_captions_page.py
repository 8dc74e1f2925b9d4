"""The captions page in a browser: what it shows, and what it says when something is wrong."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import threading
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from support.captions import (
    INSECURE,
    browser,
    launched,
    opened,
    served,
    with_microphone,
)
from support.examples import EXAMPLES
from support.fault_proxying import UP, Fault, FaultProxy, after_frames
from support.web_servers import until

from speechmatics_sync.local import LocalServer, ScriptedRecognizer

WORDS = [(f"word{number}", 0.3 * number, 0.3 * number + 0.25) for number in range(200)]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of a faint tone: recognisers of these tests hear words by the clock."""
    path = tmp_path_factory.mktemp("microphone") / "tone.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16000)
        wav.writeframes(bytes(range(100)) * 160 * 120)
    return path


@pytest.fixture(scope="module")
def chromium(recording: Path) -> Iterator[Any]:
    with browser(*with_microphone(recording)) as chromium:
        yield chromium


@pytest.fixture
def local() -> Iterator[LocalServer]:
    with LocalServer(recognizer=ScriptedRecognizer(WORDS)) as server:
        yield server


@pytest.fixture
def flask(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example's module, with shorter times."""
    pytest.importorskip("flask_sock")
    monkeypatch.syspath_prepend(EXAMPLES)
    import captions_flask
    from captions_page import talks

    monkeypatch.setattr(talks, "GRACE", 1.0)
    monkeypatch.setattr(talks, "QUIET", 0.2)
    return captions_flask


@pytest.fixture
def url(flask: Any, local: LocalServer) -> Iterator[str]:
    with served(flask.create_app(local.url)) as url:
        yield url


def start(page: Any) -> None:
    page.click("text=Start speaking")
    page.wait_for_selector("[data-state=listening]")


def stop(page: Any) -> None:
    page.click("#speak:has-text('Stop')")
    page.wait_for_selector("[data-state=idle]")
    page.wait_for_selector("#speak[aria-disabled=false]:has-text('Start speaking')")


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"word(\d+)", text)]


def test_words_grow_and_only_settled_ones_are_read_out(chromium: Any, url: str) -> None:
    with opened(chromium, url) as page:
        start(page)
        page.wait_for_selector("#open .guess")
        # What a screen reader has: the log with the settled lines, and no growing line.
        log = page.get_by_role("log", name="What was said")
        assert log.get_attribute("aria-live") == "polite"
        assert numbers(page.inner_text("#open")) != []
        assert numbers(page.locator("body").aria_snapshot()) == []
        stop(page)
        said = numbers(log.inner_text())
        assert said == list(range(len(said))) != []
        assert numbers(page.locator("body").aria_snapshot()) == said
        assert page.inner_text("#open") == ""
        assert page.get_by_role("status").inner_text() == "Ready"
        start(page)  # again, in the same talk
        page.wait_for_selector("#open:has-text('word2')")
        stop(page)
        again = numbers(log.inner_text())[len(said) :]
        assert again[:1] == [0]


def test_readers_see_the_lines_as_they_grow_and_late_ones_see_all(chromium: Any, url: str) -> None:
    with contextlib.ExitStack() as pages:
        page = pages.enter_context(opened(chromium, url))
        start(page)
        link = page.get_by_role("link", name="Page to read along")
        address = url + link.get_attribute("href")
        reader = pages.enter_context(opened(chromium, address))
        reader.wait_for_selector("#open p")
        assert reader.get_by_role("status").inner_text() == "Live"
        assert reader.locator("#speak").count() == 0
        stop(page)
        reader.wait_for_selector("[data-state=idle]")
        late = pages.enter_context(opened(chromium, address))
        late.wait_for_selector("#said p")
        said = page.inner_text("#said")
        assert said == reader.inner_text("#said") == late.inner_text("#said") != ""
        assert late.get_by_role("status").inner_text() == "Nobody is speaking at the moment."


@contextlib.contextmanager
def opened_behind(
    chromium: Any, url: str, choose: Callable[[str], Optional[Fault]], path: str = ""
) -> Iterator[tuple[Any, FaultProxy]]:
    """Open the page through a proxy."""
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(url.replace("http", "ws"), choose))
        address = proxy.url.replace("ws", "http") + path
        yield stack.enter_context(opened(chromium, address)), proxy


def test_a_lost_connection_is_said_and_comes_back_without_a_lost_word(
    chromium: Any, url: str, local: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captions_page.talks.GRACE", 20.0)
    lost = iter([Fault("reset", after_frames(UP, 8)), *[Fault("refuse")] * 2])

    def choose(target: str) -> Optional[Fault]:
        return next(lost, None) if target.startswith("/speak") else None

    connections: list[tuple[list[Any], list[Any]]] = []

    def note(connection: Any) -> None:
        sent, received = [], []
        connections.append((sent, received))
        connection.on("framesent", lambda frame: sent.append(frame))
        connection.on("framereceived", lambda frame: received.append(frame))

    with opened_behind(chromium, url, choose) as (page, proxy):
        page.on("websocket", note)
        page.click("text=Start speaking")
        page.wait_for_selector("text=The connection is lost. Trying again; your words are kept.")
        page.wait_for_selector("text=Listening")
        before = numbers(page.inner_text("#said") + page.inner_text("#open"))
        page.wait_for_selector(f"text=word{max(before, default=0) + 3}")
        stop(page)
        said = numbers(page.inner_text("#said"))
    assert said == list(range(len(said))) != []
    assert proxy.happened == {"reset": 1, "refuse": 2}
    (before_it, _), *_, (after_it, told) = connections
    chunks, again = before_it[1:], after_it[1:]  # after what says who it is
    taken = json.loads(told[0])["taken"]
    ends = list(itertools.accumulate(map(len, chunks), initial=0))
    lost_chunks = chunks[ends.index(taken) :]
    assert again[: len(lost_chunks)] == lost_chunks != [], "exactly what was not taken"
    assert [session.close_code for session in local.sessions] == [1000], "it is one session"


def test_a_half_open_connection_is_noticed_by_the_page_and_by_the_server(
    chromium: Any, url: str, local: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from captions_page import talks

    monkeypatch.setitem(talks.SOCKET_OPTIONS, "ping_interval", 1.0)
    silent = iter([Fault("silence", after_frames(UP, 8))])

    def choose(target: str) -> Optional[Fault]:
        return next(silent, None) if target.startswith("/speak") else None

    with opened_behind(chromium, url, choose) as (page, _):
        page.clock.install()
        page.click("text=Start speaking")
        until(lambda: local.sessions and local.sessions[0].ended)  # by its pings
        page.clock.fast_forward(10_000)
        until(lambda: len(local.sessions) == 2)
        page.wait_for_selector("text=Listening")
        stop(page)


def test_a_reader_comes_back_after_an_error_of_a_proxy_and_has_each_line_once(
    chromium: Any, url: str
) -> None:
    begun = iter([Fault("cut"), Fault("busy")])

    def choose(target: str) -> Optional[Fault]:
        return next(begun, None) if target.startswith("/read") else None

    with opened(chromium, url) as page:
        start(page)
        page.wait_for_selector("#open:has-text('word3')")
        stop(page)
        address = page.get_by_role("link", name="Page to read along").get_attribute("href")
        with opened_behind(chromium, url, choose, address) as (reader, proxy):
            reader.wait_for_selector("#said p")
            until(lambda: proxy.happened["busy"])  # after which a browser gives up
            start(page)
            page.wait_for_selector("#open:has-text('word3')")
            stop(page)
            reader.wait_for_selector("#said p:nth-child(2)")
            assert reader.inner_text("#said") == page.inner_text("#said")


def test_a_page_that_answers_no_ping_in_time_comes_back(
    chromium: Any, url: str, local: LocalServer
) -> None:
    """As one on a telephone that was asleep."""
    closed = iter([Fault("close", after_frames(UP, 8), code=1008)])

    def choose(target: str) -> Optional[Fault]:
        return next(closed, None) if target.startswith("/speak") else None

    with opened_behind(chromium, url, choose) as (page, proxy):
        page.click("text=Start speaking")
        page.wait_for_selector("text=The connection is lost.")
        page.wait_for_selector("text=Listening")
        stop(page)
        assert page.get_by_role("alert").inner_text() == ""
    assert proxy.happened == {"close": 1}


def test_a_closed_page_leaves_no_session(chromium: Any, url: str, local: LocalServer) -> None:
    with opened(chromium, url) as page:
        start(page)
        until(lambda: local.sessions[0].audio_bytes)
    until(lambda: local.sessions[0].ended)
    assert local.sessions[0].close_code == 1000
    assert local.sessions[0].error is None


# -- what is wrong, in words ----------------------------------------------------------------------


def complaint(chromium: Any, url: str) -> str:
    """What the page says after the button was pressed."""
    with opened(chromium, url) as page:
        page.click("text=Start speaking")
        page.wait_for_selector("[role=alert]:not(:empty)")
        page.wait_for_selector("#speak[aria-disabled=false]:has-text('Start speaking')")
        return str(page.inner_text("[role=alert]"))


def test_the_server_has_no_key(chromium: Any, flask: Any) -> None:
    with served(flask.create_app()) as url:
        assert complaint(chromium, url) == (
            "This server has no key for the speech service: SPEECHMATICS_API_KEY is not set."
        )


def test_the_server_has_a_wrong_key(chromium: Any, flask: Any) -> None:
    local = LocalServer(api_keys="right", recognizer=ScriptedRecognizer([]))
    with local, served(flask.create_app(local.url, api_key="wrong")) as url:
        assert complaint(chromium, url) == (
            "The speech service refuses this server's key. Whoever runs it must check the key."
        )


def test_the_service_is_busy(chromium: Any, flask: Any, recording: Path) -> None:
    with LocalServer(max_sessions=1, recognizer=ScriptedRecognizer([])) as local:
        from speechmatics_sync import Client

        with (
            Client(url=local.url) as other,
            served(flask.create_app(local.url, reconnect=None)) as url,
        ):
            other.start_session()
            assert complaint(chromium, url) == (
                "The speech service is busy: too many sessions at once. Try again in a minute."
            )


def test_the_service_cannot_be_reached(chromium: Any, flask: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        service = f"ws://127.0.0.1:{unused.getsockname()[1]}/v2"
    with served(flask.create_app(service, reconnect=None)) as url:
        assert complaint(chromium, url) == (
            "The speech service cannot be reached. Try again in a minute."
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--use-fake-device-for-media-stream"], "The microphone is not allowed."),
        ([], "There is no microphone."),
    ],
)
def test_the_microphone_is_not_to_be_had(
    chromium: Any, url: str, arguments: list[str], words: str
) -> None:
    other = launched(chromium.browser_type, *arguments)
    assert complaint(other, url).startswith(words)
    other.close()


def test_a_microphone_that_is_taken_away_ends_the_talk_with_its_last_words(
    chromium: Any, url: str
) -> None:
    with opened(chromium, url) as page:
        page.evaluate(
            """() => {
                const devices = navigator.mediaDevices, get = devices.getUserMedia.bind(devices);
                devices.getUserMedia = async wanted => (window.microphone = await get(wanted));
            }"""
        )
        start(page)
        page.wait_for_selector("#open:has-text('word3')")
        page.evaluate("microphone.getAudioTracks()[0].dispatchEvent(new Event('ended'))")
        page.wait_for_selector("[data-state=idle]")
        page.wait_for_selector("[role=alert]:has-text('The microphone was taken away.')")
        assert numbers(page.inner_text("#said"))[:3] == [0, 1, 2]


def test_a_page_without_https_gets_no_microphone(chromium: Any, url: str) -> None:
    with opened(chromium, url.replace("127.0.0.1", INSECURE)) as page:
        alert = page.get_by_role("alert").inner_text()
    assert alert.startswith("Browsers give the microphone to pages with https only.")


def test_a_server_that_lets_no_websocket_through_is_named(
    chromium: Any, flask: Any, local: LocalServer
) -> None:
    waitress = pytest.importorskip("waitress.server")
    app = flask.create_app(local.url)
    with served(app) as speaking, opened(chromium, speaking) as page:
        start(page)
        talk = page.get_by_role("link", name="Page to read along").get_attribute("href")
        listener = socket.create_server(("127.0.0.1", 0))
        server = waitress.create_server(app, sockets=[listener], threads=4)
        thread = threading.Thread(target=server.run)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        try:
            with opened(chromium, url + talk) as reader:
                reader.wait_for_selector("#open p")
            assert complaint(chromium, url).startswith(
                "The server answers, but lets no WebSocket through."
            )
        finally:
            server.task_dispatcher.shutdown()
            server.close()
            thread.join()
            listener.close()
        stop(page)


# -- how it looks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 390])
def test_a_telephone_has_no_sideways_scrolling_and_buttons_for_thumbs(
    chromium: Any, url: str, width: int
) -> None:
    size = {"width": width, "height": 640}
    with opened(chromium, url, viewport=size, is_mobile=True, has_touch=True) as page:
        assert_fits(page)
        start(page)
        page.wait_for_selector("#open p")
        assert_fits(page)
        page.evaluate("document.getElementById('open').append('a'.repeat(200))")
        for _ in range(3):
            page.click("[aria-label='Larger text']")
        assert_fits(page)
        stop(page)


def assert_fits(page: Any) -> None:
    overflowing = page.evaluate(
        """() => [...document.querySelectorAll("html, body, main")]
            .filter(one => one.scrollWidth > one.clientWidth).map(one => one.tagName)"""
    )
    assert overflowing == []
    for button in page.get_by_role("button").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 36, button
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= page.viewport_size["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(chromium: Any, url: str, scheme: str) -> None:
    with opened(chromium, url, color_scheme=scheme) as page:
        start(page)
        shades = page.evaluate(
            """() => {
                document.querySelector("#open").innerHTML = "<p><span class=guess>a</span></p>";
                return [["#open .guess", "body"], ["#status", "body"], ["#speak-label", "footer"],
                      ["#link", "footer"], ["#speak svg", "#speak svg"]]
                .map(([text, ground]) => {
                    const style = getComputedStyle(document.querySelector(text));
                    return [text.endsWith("svg") ? style.fill : style.color,
                            getComputedStyle(document.querySelector(ground)).backgroundColor];
                });
            }"""
        )
        stop(page)
    for text, ground in shades:
        assert contrast(text, ground) >= 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    """As the Web Content Accessibility Guidelines measure it."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear))

    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_the_page_loads_nothing_from_elsewhere(chromium: Any, url: str) -> None:
    files = list((EXAMPLES / "captions_page" / "static").iterdir())
    found = itertools.chain.from_iterable(
        re.findall(r"https?://[^\s\"')]*", path.read_text("utf-8")) for path in files
    )
    assert {one for one in found if one not in ("http://www.w3.org/2000/svg", "https://,")} == set()
