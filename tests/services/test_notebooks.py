"""The client in a notebook: a real kernel, and a server that says what it is told to."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.examples import EXAMPLES, PATIENCE, SENTENCES, assert_heard, environment

from speechmatics_sync.local import CountedRecognizer, LocalServer

pytest.importorskip("ipykernel")
from support.kernels import Cell, Kernel

__all__ = ["environment"]

BEGIN = """
from speechmatics_sync import *
from speechmatics_sync.local import counted_audio
RAW = AudioFormat("pcm_s16le", 16000)
client = Client()
"""
LIVE = "client.transcribe(counted_audio({words}), audio_format=RAW, realtime=True, display=True)"
TIMED = """
import time
try:
    {cell}
except KeyboardInterrupt:
    ended = time.time()
    raise
"""
LEFT = """
import os, threading
sockets = [os.readlink(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd")
           if os.path.exists(f"/proc/self/fd/{each}")]
print(sorted(t.name for t in threading.enumerate() if "speechmatics" in t.name.lower()),
      sum(each.startswith("socket") for each in sockets))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(recognizer=CountedRecognizer()) as server:
        yield server


@pytest.fixture(scope="module")
def kernel(server: LocalServer) -> Iterator[Kernel]:
    with Kernel(server.url) as kernel:
        kernel.run(BEGIN)
        yield kernel


def live_of(cell: Cell) -> list[tuple[Any, dict[str, str]]]:
    """The updates of the one output that is updated."""
    (updates,) = cell.updates.values()
    return updates


def shown(cell: Cell) -> str:
    shown = [data for updates in cell.updates.values() for _, data in updates[-1:]]
    return next((data["text/plain"] for data in shown if "text/html" in data), "")


def counted(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\bw(\d+)\b", text)]


def test_lines_grow_in_one_output_of_the_cell_at_most_ten_times_a_second(kernel: Kernel) -> None:
    cell = kernel.run(LIVE.format(words=6))
    updates = live_of(cell)
    texts = [data["text/plain"] for _, data in updates]
    assert [counted(text) for text in texts] == sorted(counted(text) for text in texts)
    assert len(set(texts)) > 3
    assert any("opacity:.55" in data["text/html"] for _, data in updates)  # partials are grey
    for at, _ in updates:
        assert sum(at <= other < at + timedelta(seconds=1) for other, _ in updates) <= 10
    live, value = cell.outputs
    assert counted(live["text/plain"]) == [1, 2, 3, 4, 5, 6]
    assert "opacity:.55" not in live["text/html"]
    assert counted(value["text/plain"]) == [1, 2, 3, 4, 5, 6]
    assert "6 words" in value["text/html"]


def test_interrupting_a_cell_ends_its_session_and_keeps_what_was_said(
    kernel: Kernel, server: LocalServer
) -> None:
    before = kernel.run(LEFT).text("stdout")
    timed = TIMED.format(cell=LIVE.format(words=100))
    cell = kernel.run(timed, until=lambda cell: len(counted(shown(cell))) > 2)
    assert cell.error == "KeyboardInterrupt"
    # Jupyter shows the traceback for longer than that.
    assert float(kernel.run("print(ended)").text("stdout")) - cell.interrupted_at < 1
    session = server.sessions[-1]
    assert session.close_code == 1000
    said = counted(kernel.run("print(client.transcript.text)").text("stdout"))
    assert said == list(range(1, len(said) + 1)) != []
    assert counted(cell.outputs[0]["text/plain"]) == said  # final text stays, and no guess
    assert kernel.run(LEFT).text("stdout") == before
    assert counted(kernel.run(LIVE.format(words=2)).outputs[0]["text/plain"]) == [1, 2]


def test_interrupting_a_loop_over_a_stream_ends_its_session(
    kernel: Kernel, server: LocalServer
) -> None:
    loop = LIVE.format(words=100).replace("transcribe", "stream")
    timed = TIMED.format(cell=f"for line in {loop}.lines(): pass")
    cell = kernel.run(timed, until=lambda cell: len(counted(shown(cell))) > 1)
    assert cell.error == "KeyboardInterrupt"
    assert float(kernel.run("print(ended)").text("stdout")) - cell.interrupted_at < 1
    assert server.sessions[-1].close_code is not None


def test_finishing_instead_keeps_what_was_said_until_then(kernel: Kernel) -> None:
    finish = LIVE.format(words=100).replace("display", "on_interrupt='finish', display")
    cell = kernel.run(finish, until=lambda cell: len(counted(shown(cell))) > 2)
    assert cell.error is None
    live, value = cell.outputs
    assert counted(value["text/plain"]) == counted(live["text/plain"]) != []


def test_handlers_of_another_thread_show_lines_in_the_cell_that_asked(kernel: Kernel) -> None:
    cell = kernel.run(
        "live = LiveText()\n"
        "live.display()\n"
        "for name in LiveText.MESSAGES:\n"
        "    client.on(name, live.add)\n"
        "client.start_session(audio_format=RAW)\n"
        "client.send_audio(counted_audio(4))\n"
        "client.stop_session()\n"
        "client.remove_all_listeners()\n"
        "print('done')"
    )
    assert counted(cell.outputs[0]["text/plain"]) == [1, 2, 3, 4]
    assert cell.text("stdout") == "done\n"


def test_a_line_has_the_direction_of_what_is_said(kernel: Kernel) -> None:
    cell = kernel.run(
        "live = LiveText()\n"
        "live.display()\n"
        "word = {'content': 'שלום', 'confidence': 1, 'speaker': 'S1'}\n"
        "result = {'type': 'word', 'start_time': 0, 'end_time': 1, 'alternatives': [word]}\n"
        "said = {'transcript': 'שלום', 'start_time': 0, 'end_time': 1}\n"
        "live.add({'message': 'AddTranscript', 'metadata': said, 'results': [result]})\n"
        "live.add({'message': 'EndOfTranscript'})\n"
        "del live"
    )
    (live,) = cell.outputs
    assert re.search(r'dir="auto"><small[^>]*>0:00</small> <bdi>.*</bdi> שלום<', live["text/html"])


def test_progress_in_a_cell_is_the_notebooks_bar(kernel: Kernel) -> None:
    pytest.importorskip("ipywidgets")
    cell = kernel.run(LIVE.format(words=2).replace("display=True", "progress=True"))
    assert "application/vnd.jupyter.widget-view+json" in cell.outputs[0]
    assert cell.text("stderr") == ""
    bar = kernel.run(
        "from ipywidgets.widgets.widget import _instances\n"
        "bar = [each for each in _instances.values() if hasattr(each, 'bar_style')][-1]\n"
        "print(bar.value, bar.max, bar.layout.width)"
    )
    assert bar.text("stdout") == "1.0 1.0 None\n"  # with its length known, it is wide
    beside = kernel.run(LIVE.format(words=2).replace("display=True", "progress=True, display=True"))
    assert counted(shown(beside)) == [1, 2]
    assert any("application/vnd.jupyter.widget-view+json" in each for each in beside.outputs)


def test_progress_without_widgets_is_text_and_no_warning(kernel: Kernel) -> None:
    hidden = (
        "import sys\n"
        "kept = {name: sys.modules.pop(name) for name in list(sys.modules)\n"
        "        if name.partition('.')[0] in ('tqdm', 'ipywidgets')}\n"
        "sys.modules['ipywidgets'] = None\n"
    )
    kernel.run(hidden)
    cell = kernel.run(LIVE.format(words=2).replace("display=True", "progress=True"))
    kernel.run("del sys.modules['ipywidgets']\nsys.modules.update(kept)")
    assert "transcribing: 100%" in cell.text("stderr")
    assert "Warning" not in cell.text("stderr")


def test_a_display_that_fails_ends_nothing(kernel: Kernel) -> None:
    kernel.run(
        "import IPython.display as shown\n"
        "kept, shown.display = shown.display, lambda *_, **__: 1 / 0"
    )
    cell = kernel.run(LIVE.format(words=2))
    kernel.run("shown.display = kept")
    assert cell.error is None
    assert counted(cell.outputs[-1]["text/plain"]) == [1, 2]


def test_words_and_turns_are_tables_and_a_plot_is_a_picture(kernel: Kernel) -> None:
    words = kernel.run("client.transcript.words").outputs[0]
    assert "<table>" in words["text/html"]
    assert words["text/plain"].splitlines()[0].split()[:3] == ["content", "start", "end"]
    assert "<table>" in kernel.run("client.transcript.turns[:1]").text("text/html")
    pytest.importorskip("matplotlib")
    assert kernel.run("client.transcript.plot()").outputs[0]["image/png"]


@pytest.mark.usefixtures("kernel")  # Jupyter keeps an event loop of the first one
def test_a_restart_in_the_middle_leaves_nothing(server: LocalServer) -> None:
    with Kernel(server.url) as kernel:
        kernel.run(BEGIN)
        cell = kernel.start(LIVE.format(words=100))
        while len(counted(shown(cell))) < 2:
            assert kernel.follow(cell)
        session = server.sessions[-1]
        assert not session.ended
        kernel.restart()
        deadline = time.monotonic() + PATIENCE
        while not session.ended:
            assert time.monotonic() < deadline
            time.sleep(0.01)  # the pace of the poll
        kernel.run(BEGIN)
        assert counted(kernel.run(LIVE.format(words=2)).outputs[0]["text/plain"]) == [1, 2]


def test_two_notebooks_at_once_and_one_run_again_share_nothing(
    kernel: Kernel, server: LocalServer
) -> None:
    with Kernel(server.url) as other:
        other.run(BEGIN)
        for _ in range(2):
            cells = [(each, each.start(LIVE.format(words=4))) for each in (kernel, other)]
            for each, cell in cells:
                while each.follow(cell):
                    pass
                assert counted(cell.outputs[0]["text/plain"]) == [1, 2, 3, 4]
                assert len(cell.updates) == 1


EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.stdin, as_version=4)
nbclient.NotebookClient(notebook, timeout=200).execute()
nbformat.write(notebook, sys.stdout)
"""


@pytest.mark.timeout(300)
@pytest.mark.speech
def test_the_example_shows_all_of_it(environment: dict[str, str]) -> None:
    # In a process of its own, for what Jupyter opens it leaves to the garbage collector.
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE],
        env=environment,
        cwd=EXAMPLES,
        input=(EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=2.5 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    cells = {cell["id"]: cell.get("outputs", []) for cell in json.loads(done.stdout)["cells"]}
    # What goes to standard error is shown in red, as errors are.
    streams = [out for outputs in cells.values() for out in outputs if "name" in out]
    assert {out["name"] for out in streams} == {"stdout"}, streams
    assert "".join(streams[0]["text"]).startswith(
        "No SPEECHMATICS_API_KEY: embedded server at ws://"
    )
    (live,) = (each for each in cells["live"] if "data" in each)
    spoken = " ".join(SENTENCES)
    assert_heard("".join(live["data"]["text/plain"]), spoken)
    assert_heard("".join(cells["transcript"][0]["data"]["text/plain"]), spoken)
    assert "<table>" in "".join(cells["words"][0]["data"]["text/html"])
    assert "data:audio/wav;base64," in "".join(cells["player"][0]["data"]["text/html"])
    assert cells["plot"][0]["data"]["image/png"]
    assert "agent" in "".join(cells["call"][-1]["data"]["text/html"])
    assert "customer" in "".join(cells["pushed"][0]["data"]["text/plain"])
