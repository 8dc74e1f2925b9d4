"""Take pictures of examples/notebook.ipynb in JupyterLab, in a browser: ``make pictures``."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
PICTURES = Path(__file__).parent
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
WIDTH, HEIGHT = 900, 3400
PATIENCE = 120.0


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """Run JupyterLab in a folder, with nothing of this machine's settings; give its URL."""
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "IPYTHONDIR": "ipython"}
    settings = folder / "config" / "labconfig" / "page_config.json"
    settings.parent.mkdir(parents=True)
    news = "@jupyterlab/apputils-extension:announcements"
    settings.write_text(json.dumps({"disabledExtensions": {news: True}}), encoding="utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if "SPEECHMATICS" not in name},
        **{name: str(folder / place) for name, place in places.items()},
        "PYTHONPATH": str(ROOT),
    }
    options = ["--no-browser", "--allow-root", "--port=0", "--LabApp.expose_app_in_browser=True"]
    lab = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options],
        cwd=folder / "examples",
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert lab.stderr is not None
        said = ""
        for line in lab.stderr:
            said += line
            found = re.search(r"(http://127\.0\.0\.1:\d+/)lab\?token=(\w+)", line)
            if found:
                yield f"{found[1]}doc/tree/notebook.ipynb?token={found[2]}"
                return
        sys.exit(f"JupyterLab did not start: {said}")
    finally:
        lab.terminate()  # it ends its kernels
        lab.communicate(timeout=PATIENCE)


def commanded(page: Any, command: str, **arguments: str) -> None:
    """Have JupyterLab execute one of its commands."""
    page.evaluate(
        "([command, of]) => { window.jupyterapp.commands.execute(command, of) }",
        [command, arguments],
    )


def save(picture: bytes, name: str) -> None:
    """Write a picture in so few colours that it is small."""
    from PIL import Image

    Image.open(io.BytesIO(picture)).convert("RGB").quantize(220).save(
        PICTURES / name, optimize=True
    )


def take_pictures(page: Any, url: str) -> None:
    """Run the notebook, and take pictures of it while it runs and afterwards."""
    page.goto(url)
    page.wait_for_function("window.jupyterapp && document.querySelector('.jp-Notebook')")
    # Without a kernel the command would ask which one to start.
    page.wait_for_function("window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel")
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
    commanded(page, "notebook:run-all-cells")
    live = page.locator(".jp-Cell-outputArea").nth(0)
    growing = live.locator('div[dir="auto"]').nth(1).locator('span[style*="opacity:.55"]')
    growing.filter(has_text=re.compile("[a-z]+ [a-z]+")).wait_for()
    save(live.screenshot(), "notebook-live.png")
    last = page.locator(".jp-CodeCell").last
    last.locator(".jp-InputPrompt", has_text=re.compile(r"\[\d+\]")).wait_for()
    page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
    for name, theme in THEMES.items():
        commanded(page, "apputils:change-theme", theme=theme)
        page.wait_for_selector(f'body[data-jp-theme-name="{theme}"]', state="attached")
        page.wait_for_timeout(1000)  # what a theme loads has no event of its own
        save(page.locator(".jp-WindowedPanel-inner").screenshot(), f"notebook-{name}.png")


def main() -> None:
    """Take the pictures."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("needs chromium: no pictures of notebooks are taken.")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "examples", Path(folder, "examples"))
        with jupyter_lab(Path(folder)) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
            page.set_default_timeout(1000 * PATIENCE)
            take_pictures(page, url)
            browser.close()


if __name__ == "__main__":
    main()
