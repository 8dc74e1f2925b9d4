"""The captions examples behind gunicorn's threads: speech from a browser's microphone, heard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.captions import browser, opened, with_microphone
from support.examples import SENTENCES, assert_heard, recordings
from support.web_servers import GUNICORN, until, web_server

from speechmatics_sync.local import LocalServer, ScriptedRecognizer

__all__ = ["recordings"]

pytestmark = [pytest.mark.speech, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def chromium(recordings: list[Path]) -> Iterator[Any]:
    with browser(*with_microphone(recordings[1])) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, LocalServer]]:
    """One that hears what is spoken, and one that knows it by heart, which takes less time."""
    words = [(word, 0.1 * at, 0.1 * at + 0.05) for at, word in enumerate(SENTENCES[1].split())]
    scripted = ScriptedRecognizer(words)
    with LocalServer() as ears, LocalServer(recognizer=scripted) as script:
        yield {"ears": ears, "script": script}


@pytest.mark.parametrize(
    ("application", "arguments", "hearing"),
    [
        ("captions_flask:create_app()", [], "ears"),
        ("captions_flask:create_app()", ["--preload"], "script"),
        ("captions_django.wsgi", [], "script"),
        ("captions_django.wsgi", ["--preload"], "ears"),
    ],
)
def test_what_is_spoken_into_the_page_is_read_there_and_by_those_who_read_along(
    application: str,
    arguments: list[str],
    hearing: str,
    chromium: Any,
    services: dict[str, LocalServer],
) -> None:
    pytest.importorskip("flask_sock" if "flask" in application else "django")
    local = services[hearing]
    begun = len(local.sessions)
    threads = ("--threads", "20", "--graceful-timeout", "1")
    with web_server(*GUNICORN, *threads, *arguments, application, service=local.url) as server:
        url = f"http://127.0.0.1:{server.port}/"
        with opened(chromium, url) as page:
            page.click("text=Start speaking")
            address = url + page.get_attribute("#link[href]", "href")
            with opened(chromium, address) as reader:
                words = "#open:has-text('account'), #said:has-text('account')"
                page.wait_for_selector(
                    words, timeout=80_000
                )  # recognising is slow on a busy machine
                page.click("#speak:has-text('Stop')")
                page.wait_for_selector("[data-state=idle]")
                assert_heard(page.inner_text("#said"), SENTENCES[1])
                reader.wait_for_selector("[data-state=idle]")
                assert reader.inner_text("#said") == page.inner_text("#said")
        (session,) = local.sessions[begun:]
        until(lambda: session.ended)
        assert (session.error, session.close_code) == (None, 1000)
        assert session.start is not None
        assert session.start["audio_format"]["encoding"] == "pcm_s16le"
