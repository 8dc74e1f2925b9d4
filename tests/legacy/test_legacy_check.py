"""What becomes of old programs is said line by line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.places import ROOT

MARK = re.compile(r"#\s*(.*)$")


def run(*files: str, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "speechmatics_sync.legacy", "check", *files],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        text=True,
    )


def lines_of(said: str) -> dict[int, list[str]]:
    """What is said of each line."""
    found: dict[int, list[str]] = {}
    for line in said.splitlines()[:-1]:
        _, number, text = line.split(":", 2)
        found.setdefault(int(number), []).append(text.strip())
    return found


def expected(program: str) -> dict[int, list[str]]:
    """What the comments of a program say is said of their lines."""
    marks = {at: MARK.search(line) for at, line in enumerate(program.splitlines(), 1)}
    return {
        at: [part.strip() for part in mark[1].split(" | ")] for at, mark in marks.items() if mark
    }


OLD = """\
import speechmatics  # change: write: import speechmatics_sync.legacy as speechmatics
import speechmatics.models as m  # change: write: import speechmatics_sync.legacy.models as m
from speechmatics.client import (  # change: write: from speechmatics_sync.legacy.client import We
    WebsocketClient,
)
from speechmatics.batch_client import BatchClient  # change: write: from | outside: BatchClient:
import other
import httpx  # differs: httpx came with the old package: pip install 'speechmatics-sync[legacy]'
from websockets.exceptions import ConnectionClosedError  # differs: websockets came with the old
from speechmatics.helpers import check_tasks_exceptions  # outside: check_tasks_exceptions is gone
import speechmatics.asr_metrics as metrics  # outside: asr_metrics is gone

config = m.TranscriptionConfig("en", enable_partial=True)  # differs: enable_partial is no setting
config = m.TranscriptionConfig("en", max_delay=10)  # as it is: TranscriptionConfig
settings = m.ConnectionSettings("url")  # as it is: ConnectionSettings
settings = m.ConnectionSettings("url", generate_temp_token=True)  # differs: generate_temp_token:
client = WebsocketClient(settings)  # differs: WebsocketClient: a connection that is lost
WebsocketClient("key")  # differs: WebsocketClient: a connection | differs: WebsocketClient: a temp
WebsocketClient()  # differs: WebsocketClient: a connection | differs: WebsocketClient: a temp
WebsocketClient(KEY)  # differs: WebsocketClient: a connection | differs: WebsocketClient: if it is
m.ConnectionSettings.create(m.UsageMode.RealTime, KEY)  # differs: create: a temporary key needs
m.nothing.at_all()  # outside: there is no nothing
other.run()


async def shown(message):
    print(message)


def plain(message):
    print(message)


client.add_event_handler("AddTranscript", shown)  # differs: shown is a coroutine function
client.add_event_handler(event_name="AddTranscript", event_handler=plain)  # as it is: add_event
client.add_middleware("EndOfStream", print)  # differs: a change of last_seq_no is not sent
client.run_synchronously(open("x", "rb"), config)  # as it is: run_synchronously
client._producer()  # outside: _producer is gone
speechmatics.client.httpx.post()  # outside: httpx is gone


class Own(WebsocketClient):
    def _consumer(self, message):  # outside: _consumer is gone
        self._session_needs_closing = True  # outside: _session_needs_closing is gone: use stop()
        super()._consumer(message)  # outside: _consumer is gone

    def stop(self):
        self.httpx = None


def later(some: "Optional[WebsocketClient]" = None):
    some._buffer_semaphore.release()  # outside: _buffer_semaphore is gone
    some.stop()  # as it is: stop


client.websocket.close()
client.websocket.ping()  # outside: ping: websocket has send() and close()
with speechmatics.batch_client.BatchClient("key") as batch:  # outside: BatchClient:
    batch.list_jobs()
from speechmatics.models import *  # change: write: from speechmatics_sync.legacy.models import *
AudioSettings("pcm_s16le")  # as it is: AudioSettings
"""

RT = """\
import asyncio
from speechmatics.rt import AsyncClient, ServerMessageType  # change: write: from speechmatics_s
from speechmatics.rt import (  # change: write: from speechmatics_sync import MultiChannelClient as
    AsyncMultiChannelClient as Many,
)
from speechmatics.rt import AuthBase, ConnectionError, Microphone  # change: write:
from speechmatics.rt import TranscriptionConfig  # change: write:
from speechmatics.rt._models import Anything  # outside: there is no Anything
from speechmatics import rt  # change: write: import speechmatics_sync as rt


class Vault(AuthBase):
    async def get_auth_headers(self):  # change: write: def get_auth_headers(self)
        return {}


async def main():  # change: write: def main()
    async with AsyncClient() as client:  # change: write: with Client(…)
        client.on(ServerMessageType.ADD_TRANSCRIPT, print)  # differs: on: what the handler raises
        try:
            await client.transcribe(a)  # change: write: client.transcribe(a) | differs: transcribe:
        except ConnectionError:  # differs: ConnectionError: a key that is refused (401)
            pass
        await client.send_message({"message": "EndOfStream"})  # change: | differs: EndOfStr
        await client.send_message({"message": kind.END_OF_STREAM})  # change: | differs: EndOfStr
        await client.send_audio(await mic.read())  # change: write: client.send_audio(m | differs
    async with Many() as client:  # change: write: with MultiChannelClient(…)
        await client.transcribe({})  # change: | differs: transcribe: a | differs: transcribe:
    TranscriptionConfig(max_delay=10)  # differs: max_delay is from 0.7 to 4
    TranscriptionConfig("de")  # as it is: TranscriptionConfig
    Microphone()  # differs: Microphone is a context manager


class App:
    def __init__(self):
        self.client = rt.AsyncClient()  # change: write: Client(…)

    async def send(self):  # change: write: def send(self)
        await self.client.send_audio(b"")  # change: write: self.client.send | differs: send_audio:
        await asyncio.sleep(1)  # differs: await asyncio.sleep: send is a plain function now
        async with anything():  # differs: async with: send is a plain function now
            pass

        async def inside():
            await something()

    async def go(self):  # change: write: def go(self)
        await self.send()  # change: write: self.send()
        asyncio.wait_for(self.client.close(), 1)  # differs: close is no | differs: close: a session
        task = asyncio.create_task(main())  # differs: main is no coroutine for create_task
        rt.TranscriptResult.from_message({})  # as it is: from_message


asyncio.get_event_loop().run_until_complete(main())  # change: write: main()
asyncio.run(main())  # change: write: main()
"""


@pytest.mark.parametrize("program", [OLD, RT], ids=["speechmatics-python", "speechmatics-rt"])
def test_every_line_that_has_something_to_it_is_told(program: str, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(program)
    done = run(str(path))
    assert done.stderr == ""
    found, wanted = lines_of(done.stdout), expected(program)
    assert list(found) == list(wanted)
    for line, texts in wanted.items():
        assert len(found[line]) == len(texts), found[line]
        for said, text in zip(found[line], texts):
            assert said.startswith(text), line
    assert done.returncode == 1  # something is outside


def test_a_program_that_uses_neither_package_has_nothing_said_of_it(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text("import speechmatics_other\nclient.run_synchronously()\n")
    done = run(str(path))
    assert (done.returncode, done.stdout) == (0, "0 as it is, 0 change, 0 differs, 0 outside\n")


def test_a_file_that_is_no_program_does_not_end_the_check(tmp_path: Path) -> None:
    broken, deep, fine = (tmp_path / f"{name}.py" for name in ("broken", "deep", "fine"))
    broken.write_text("def")
    deep.write_text("x = " + "-" * 50_000 + "1")
    fine.write_text(
        "from speechmatics.rt import AsyncClient\n"
        "async def main():\n"
        "    async with AsyncClient():\n"  # what is said of it has a character that ASCII lacks
        "        '\\d'\n"  # warns from Python 3.12 on
    )
    absent = [str(tmp_path / name) for name in ("none.py", "a.ipynb")]
    done = run(str(broken), str(deep), *absent, str(fine), encoding="ascii")
    assert done.returncode == 2
    assert "broken.py:1: cannot be read: invalid syntax" in done.stderr
    assert "deep.py: cannot be read: it is nested too deeply" in done.stderr
    assert (
        "a.ipynb: cannot be read: make a program of this notebook with jupyter nbconvert"
        in done.stderr
    )
    assert "none.py: cannot be read: No such file or directory" in done.stderr
    assert "fine.py:3: change: write: with Client(" in done.stdout


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text(OLD)
    words = ["-m", "speechmatics_sync.legacy", "check", str(tmp_path / "old.py")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, *words], cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_program_runs_unchanged(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("NAME = 'beside'\n")
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import sys
            import beside
            import speechmatics
            import speechmatics.adapters
            from speechmatics.client import WebsocketClient
            from speechmatics import models
            if __name__ == "__main__":
                print(WebsocketClient is speechmatics.WebsocketClient, models.__name__)
                print(sys.argv[1:], beside.NAME)
                sys.exit(3)
            """
        )
    )

    def start(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "speechmatics_sync.legacy", "run", *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )

    done = start("nothing.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no file 'nothing.py'" in done.stderr.splitlines()[-1]
    for way in (["program.py"], [str(program)], ["-m", "program"]):
        done = start(*way, "a", "-b")
        assert done.returncode == 3, done.stderr
        assert done.stdout == "True speechmatics_sync.legacy.models\n['a', '-b'] beside\n"
