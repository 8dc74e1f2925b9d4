"""How sessions of the old client end, and what it lost in silence."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import threading
from typing import Any

import pytest
from support.legacy.sessions import (
    CONFIG,
    RAW,
    audio,
    client_of,
)
from support.legacy.sessions import old_server as old_server
from support.serving import PATIENCE, Peer, serving
from support.sessions import InThread, wait_for

from speechmatics_sync import AudioError
from speechmatics_sync.legacy import strict_errors
from speechmatics_sync.legacy.exceptions import ForceEndSession
from speechmatics_sync.legacy.models import AudioSettings, TranscriptionConfig
from speechmatics_sync.local import LocalServer


class Endless:
    """Speech without end, until it is told to wait."""

    def __init__(self) -> None:
        self.read_once = threading.Event()
        self.wait = threading.Event()
        self.wait.set()

    def read(self, size: int) -> bytes:
        self.reader = threading.current_thread()
        self.read_once.set()
        self.wait.wait()
        return bytes(size)


def test_stop_ends_the_audio_from_another_thread(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    source = Endless()
    call = InThread(client.run_synchronously, source, CONFIG, RAW)
    wait_for(source.read_once)
    client.stop()
    call.result()
    assert old_server.sessions[-1].messages[-1]["message"] == "EndOfStream"


def test_stop_does_not_wait_for_a_read_that_gives_nothing(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    source = Endless()
    source.wait.clear()
    call = InThread(client.run_synchronously, source, CONFIG, RAW)
    wait_for(source.read_once)
    client.stop()
    call.result()
    source.wait.set()
    source.reader.join(PATIENCE)
    assert client.seq_no == {}
    assert old_server.sessions[-1].last_seq_no == 0


def test_stop_before_the_audio_sends_none(
    old_server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(old_server.url)
    client.add_event_handler("RecognitionStarted", lambda _: client.stop())
    client.run_synchronously(audio(), CONFIG, RAW)
    assert [message for *_, message in caplog.record_tuples] == [
        "stop() was called before the first chunk: no audio is sent"
    ]
    record = old_server.sessions[-1]
    assert [each["message"] for each in record.messages] == ["StartRecognition", "EndOfStream"]
    assert record.audio_chunks == 0


@pytest.mark.parametrize("name", ["RecognitionStarted", "AudioAdded", "EndOfTranscript"])
def test_a_handler_may_force_the_end(old_server: LocalServer, name: str) -> None:
    client = client_of(old_server.url)

    def end(_: object) -> None:
        raise ForceEndSession

    client.add_event_handler(name, end)
    client.run_synchronously(Endless() if name == "AudioAdded" else audio(), CONFIG, RAW)
    assert not client.session_running


@pytest.mark.parametrize("name", ["AddAudio", "EndOfStream"])
def test_a_middleware_may_force_the_end(old_server: LocalServer, name: str) -> None:
    client = client_of(old_server.url)

    def end(*_: object) -> None:
        raise ForceEndSession

    client.add_middleware(name, end)
    client.run_synchronously(audio(), CONFIG, RAW)
    assert old_server.sessions[-1].last_seq_no is None


def test_a_handler_may_close_the_websocket(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    closing: list[asyncio.Task[None]] = []

    def close(_: object) -> None:
        with pytest.raises(AttributeError, match=r"ping.*send\(\) or close\(\)"):
            client.websocket.ping()
        closing.append(asyncio.create_task(client.websocket.close()))

    client.add_event_handler("RecognitionStarted", close)
    client.run_synchronously(Endless(), CONFIG, RAW)
    assert closing[0].done()


def test_a_session_that_is_ended_when_it_starts_reads_no_audio(old_server: LocalServer) -> None:
    def end(_: object) -> None:
        raise ForceEndSession

    client, source = client_of(old_server.url), Endless()
    client.add_event_handler("RecognitionStarted", end)
    client.run_synchronously(source, CONFIG, RAW)
    assert not source.read_once.is_set()


class Odd(Exception):
    pass


def raise_odd(*_: object) -> None:
    raise Odd


@pytest.mark.parametrize("name", ["RecognitionStarted", "AudioAdded", "AddTranscript"])
def test_what_a_handler_raises_comes_out_as_it_is(old_server: LocalServer, name: str) -> None:
    client = client_of(old_server.url)
    client.add_event_handler(name, raise_odd)
    with pytest.raises(Odd):
        client.run_synchronously(audio(), CONFIG, RAW)


@pytest.mark.parametrize("name", ["AddAudio", "EndOfStream"])
def test_what_a_middleware_raises_comes_out_as_it_is(old_server: LocalServer, name: str) -> None:
    client = client_of(old_server.url)
    client.add_middleware(name, raise_odd)
    with pytest.raises(Odd):
        client.run_synchronously(audio(), CONFIG, RAW)


def test_what_a_source_raises_comes_out_as_it_is(old_server: LocalServer) -> None:
    class Broken:
        def read(self, _: int) -> bytes:
            raise Odd

    class AsyncBroken:
        async def read(self, _: int) -> bytes:
            raise Odd

    for source in (Broken(), AsyncBroken()):
        with pytest.raises(Odd) as caught:
            client_of(old_server.url).run_synchronously(source, CONFIG, RAW)
        assert caught.value.__context__ is None  # which a traceback would show


def test_a_handler_that_exits_ends_the_program(old_server: LocalServer) -> None:
    client = client_of(old_server.url)

    def leave(_: object) -> None:
        raise SystemExit(3)

    client.add_event_handler("RecognitionStarted", leave)
    with pytest.raises(SystemExit):
        client.run_synchronously(audio(), CONFIG, RAW)


def test_a_time_limit_is_the_error_of_asyncio(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    for timeout in (0.0001, 0.3):
        with pytest.raises(asyncio.TimeoutError):
            client.run_synchronously(Endless(), CONFIG, RAW, timeout=timeout)
    assert not client.session_running


def test_ctrl_c_ends_a_session_inside_a_running_event_loop(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    client.add_event_handler("RecognitionStarted", lambda _: os.kill(os.getpid(), signal.SIGINT))

    async def main() -> None:
        client.run_synchronously(Endless(), CONFIG, RAW, timeout=PATIENCE)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert not client.session_running


def test_a_task_that_is_cancelled_ends_its_session(old_server: LocalServer) -> None:
    client = client_of(old_server.url)

    async def main() -> None:
        started = asyncio.Event()
        client.add_event_handler("RecognitionStarted", lambda _: started.set())

        class Never:
            async def read(self, _: int) -> bytes:
                await asyncio.Event().wait()
                return b""

        task = asyncio.create_task(client.run(Never(), CONFIG, RAW))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert client.websocket is None


def test_a_pipe_is_read_in_whole_chunks_and_never_waited_for_inside_its_buffer(
    old_server: LocalServer,
) -> None:
    """The interpreter needs that buffer's lock at exit, which may come first."""
    client = client_of(old_server.url)
    settings = AudioSettings("pcm_s16le", 16000, chunk_size=100_000)
    reader, writer = os.pipe()
    with open(reader, "rb") as pipe, open(writer, "wb", buffering=0) as feed:
        call = InThread(client.run_synchronously, pipe, CONFIG, settings)
        feed.write(bytes(1 << 16))
        feed.write(bytes(2))  # there is no room for more before the first bytes are taken
        assert InThread(pipe.readinto, bytearray()).result() == 0  # takes the lock
        feed.write(bytes(200_000 - (1 << 16) - 2))
        feed.close()
        call.result()
    assert client.seq_no == {"single": 2}


def test_what_comes_through_a_pipe_after_the_session_is_left_there(
    old_server: LocalServer,
) -> None:
    client = client_of(old_server.url)
    added = threading.Event()
    client.add_event_handler("AudioAdded", lambda _: added.set())
    reader, writer = os.pipe()
    with open(reader, "rb") as pipe, open(writer, "wb", buffering=0) as feed:
        call = InThread(client.run_synchronously, pipe, CONFIG, RAW)
        feed.write(bytes(RAW.chunk_size))
        wait_for(added)
        client.stop()
        call.result()
        waiting = [each for each in threading.enumerate() if each.name.endswith("-sender")]
        feed.write(b"next")
        for thread in waiting:
            thread.join(PATIENCE)
        feed.close()
        assert pipe.read() == b"next"


def test_a_read_that_waits_ends_with_its_session(old_server: LocalServer) -> None:
    client = client_of(old_server.url)
    ended: list[str] = []

    class Never:
        async def read(self, _: int) -> bytes:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return b""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        client.add_event_handler("RecognitionStarted", lambda _: loop.call_later(0.05, client.stop))
        await client.run(Never(), CONFIG, RAW)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:  # it was told to end
            await asyncio.wait(left, timeout=5)
        assert ended == ["cancelled"]

    asyncio.run(main())


# -- what was lost in silence ---------------------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["strict", "silent"])
def strict(request: pytest.FixtureRequest) -> Any:
    strict_errors(request.param)
    yield request.param
    strict_errors()


def test_a_key_error_in_a_handler_is_lost_only_in_silence(
    old_server: LocalServer, strict: bool
) -> None:
    client = client_of(old_server.url)
    client.add_event_handler("AddTranscript", lambda message: message["nothing"])
    if not strict:
        client.run_synchronously(audio(), CONFIG, RAW)
        return
    with pytest.raises(KeyError, match="nothing"):
        client.run_synchronously(audio(), CONFIG, RAW)


def test_a_coroutine_function_is_no_handler(old_server: LocalServer, strict: bool) -> None:
    async def handle(_: object) -> None:
        raise AssertionError("never runs")

    client = client_of(old_server.url)
    client.add_event_handler("RecognitionStarted", handle)
    if not strict:
        client.run_synchronously(audio(), CONFIG, RAW)
        return
    with pytest.raises(TypeError, match="coroutine function"):
        client.run_synchronously(audio(), CONFIG, RAW)


def test_a_source_without_audio_is_reported(
    old_server: LocalServer, strict: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client_of(old_server.url).run_synchronously(io.BytesIO(), CONFIG, RAW)
    assert old_server.sessions[-1].last_seq_no == 0
    assert ("gave no audio" in caplog.text) == strict


def test_what_a_middleware_changes_in_vain_is_reported(
    old_server: LocalServer, strict: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(old_server.url)
    client.add_middleware("EndOfStream", lambda message, _: message.update(last_seq_no=99))
    client.run_synchronously(audio(), CONFIG, RAW)
    assert old_server.sessions[-1].last_seq_no == client.seq_no["single"]
    assert ("A middleware changed EndOfStream" in caplog.text) == strict


def test_settings_that_come_too_late_are_reported(
    old_server: LocalServer, strict: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(old_server.url)
    late = TranscriptionConfig("en", max_delay=2)
    client.add_event_handler("EndOfTranscript", lambda _: client.update_transcription_config(late))
    client.run_synchronously(audio(), CONFIG, RAW)
    assert ("after the last chunk" in caplog.text) == strict


def test_a_stream_of_text_is_named_as_such(old_server: LocalServer) -> None:
    with pytest.raises(AudioError, match="the Stream gave str, not bytes"):
        client_of(old_server.url).run_synchronously(io.StringIO("audio"), CONFIG, RAW)


def test_a_setting_that_does_not_exist_is_reported(
    strict: bool, caplog: pytest.LogCaptureFixture
) -> None:
    config = TranscriptionConfig("en", enable_partial=True, max_delay=2)
    assert config.as_config() == {"language": "en", "max_delay": 2}
    assert ("enable_partial" in caplog.text) == strict


def test_warnings_of_the_server_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.send({"message": "Warning", "type": "odd", "reason": "it is odd"})
        peer.finish()

    with serving(behave) as url:
        client_of(url).run_synchronously(audio(), CONFIG, RAW)
    assert ("speechmatics.client", logging.WARNING, "it is odd") in caplog.record_tuples
