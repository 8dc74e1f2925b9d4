"""Take pictures of the captions page while somebody speaks, into captions-*.png: ``make pictures``.

The microphone of the browser plays the sample, and the embedded server hears it.
"""

from __future__ import annotations

import shutil
import sys
import threading
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from speechmatics_sync.local import LocalServer

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
sys.path.insert(0, str(EXAMPLES))

from captions_flask import create_app  # noqa: E402

SAMPLE = EXAMPLES / "audio" / "demo.wav"
UNTIL = "can you tell"  # the beginning of its last sentence
DESKTOP = {"viewport": {"width": 1000, "height": 600}}
TELEPHONE = {"viewport": {"width": 390, "height": 760}, "is_mobile": True, "has_touch": True}


class Quiet(WSGIRequestHandler):
    """Says nothing of requests."""

    def log(self, *_: Any) -> None:
        pass


def take(browser: Any, url: str, name: str, options: dict[str, Any]) -> None:
    """Speak the sample into a page, and take its picture in the middle of the last sentence."""
    context = browser.new_context(device_scale_factor=2, **options)
    page = context.new_page()
    page.goto(url)
    page.click("#speak")
    page.wait_for_selector(f"#open:has-text('{UNTIL}')")
    page.screenshot(path=Path(__file__).with_name(f"captions-{name}.png"))
    page.click("#speak")
    page.wait_for_selector("[data-state=idle]")
    context.close()


def main() -> None:
    """Take the pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("needs chromium: no picture of the page is taken.")
    arguments = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={SAMPLE}%noloop",
    ]
    with LocalServer() as local, sync_playwright() as playwright:
        server = make_server(
            "127.0.0.1", 0, create_app(local.url), threaded=True, request_handler=Quiet
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        url = f"http://127.0.0.1:{server.port}/"
        take(browser, url, "desktop", DESKTOP)
        take(browser, url, "telephone", TELEPHONE)
        take(browser, url, "dark", {**DESKTOP, "color_scheme": "dark"})
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
