"""Temporary keys that many threads ask for, and secrets that nothing shows."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import socket
import threading
import time
from typing import Any

import pytest
import requests
import responses
from support.auth.temporary_keys import (
    KEY,
    PLATFORM,
    URL,
    answer_once,
    bearer,
    offer,
    platform,
    token,
    waits,
    waits_of,
)
from support.key_platform import CREATED, read_order
from support.secrecy import variables_of
from support.serving import listening

from speechmatics_sync._auth.jwt import JWTAuth
from speechmatics_sync._concurrency.cancellation import Cancellation
from speechmatics_sync.errors import AuthenticationError

__all__ = ["platform"]


class TestThreads:
    def test_fifty_threads_at_once_make_one_request(self) -> None:
        asked = threading.Event()
        answer = threading.Event()

        def slowly(request: Any) -> tuple[int, dict[str, str], str]:
            asked.set()
            answer.wait()
            return 201, {}, json.dumps({"key_value": token(1)})

        with responses.RequestsMock() as mock:
            mock.add_callback("POST", URL, callback=slowly)
            got, failed = run_threads(JWTAuth(KEY), asked, answer)
            assert len(mock.calls) == 1
        assert len(got) == 50
        assert len(set(got)) == 1
        assert failed == []

    def test_fifty_threads_share_a_failure(self) -> None:
        asked = threading.Event()
        answer = threading.Event()

        def slowly(request: Any) -> tuple[int, dict[str, str], str]:
            asked.set()
            answer.wait()
            return 401, {}, ""

        with responses.RequestsMock() as mock:
            mock.add_callback("POST", URL, callback=slowly)
            got, failed = run_threads(JWTAuth(KEY), asked, answer)
            assert len(mock.calls) == 1
        assert got == []
        assert [error.status for error in failed] == [401] * 50
        assert len({id(error) for error in failed}) == 50  # a session writes into its own

    def test_an_interrupted_fetch_is_taken_over(self) -> None:
        asked = threading.Event()
        answer = threading.Event()
        auth = JWTAuth(KEY)

        def interrupted(request: Any) -> Any:
            if not asked.is_set():
                asked.set()
                answer.wait()
                raise KeyboardInterrupt
            return 201, {}, json.dumps({"key_value": token(1)})

        with responses.RequestsMock() as mock:
            mock.add_callback("POST", URL, callback=interrupted)
            got, failed = run_threads(auth, asked, answer, count=5)
        assert len(got) == 4
        assert [type(error) for error in failed] == [KeyboardInterrupt]

    def test_a_fetch_that_is_given_up_is_taken_over_by_another_thread(self) -> None:
        """Sessions share a key, and the one whose thread fetches it is closed."""
        asked, served = threading.Event(), threading.Event()

        def behave(connection: socket.socket) -> None:
            read_order(connection)
            if not asked.is_set():
                asked.set()
                assert connection.recv(1) == b"", "the request was given up"
                return
            connection.sendall(CREATED)
            served.set()

        def fetch() -> None:
            with cancellation.active(), pytest.raises(AuthenticationError, match="no longer"):
                auth.get_auth_headers()

        cancellation = Cancellation(logging.getLogger("test"))
        with listening(behave) as port:
            auth = JWTAuth(KEY, mp_url=f"http://127.0.0.1:{port}")
            fetching = threading.Thread(target=fetch)
            fetching.start()
            asked.wait()
            got: list[str] = []
            waiting = threading.Thread(target=lambda: got.append(bearer(auth)))
            waiting.start()
            while not waits(waiting):
                time.sleep(0.001)
            cancellation.cancel()
            fetching.join()
            waiting.join()
        assert got == ["a-token"]
        assert served.is_set()

    def test_a_cancelled_thread_asks_for_nothing(self, platform: responses.RequestsMock) -> None:
        cancellation = Cancellation(logging.getLogger("test"))
        cancellation.cancel()
        with cancellation.active(), pytest.raises(AuthenticationError):
            JWTAuth(KEY).get_auth_headers()
        assert len(platform.calls) == 0

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_fork_during_a_fetch_does_not_hang_the_child(self) -> None:
        asked = threading.Event()
        answer = threading.Event()
        auth = JWTAuth(KEY)
        parent = os.getpid()

        def slowly(request: Any) -> tuple[int, dict[str, str], str]:
            asked.set()
            if os.getpid() == parent:
                answer.wait()
            return 201, {}, json.dumps({"key_value": token(1)})

        with responses.RequestsMock() as mock:
            mock.add_callback("POST", URL, callback=slowly)
            thread = threading.Thread(target=auth.get_auth_headers)
            thread.start()
            asked.wait()
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                status = 1
                try:
                    # Not the mock's lock: the other thread may hold it.
                    auth._platform._attempt = lambda *_: _created()
                    status = 0 if bearer(auth) == "of-the-child" else 2
                finally:
                    os._exit(status)
            answer.set()
            thread.join()
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _created() -> Any:
    from speechmatics_sync._auth.management_platform import _Answer

    return _Answer(201, None, None, b'{"key_value": "of-the-child"}')


def run_threads(
    auth: JWTAuth, asked: threading.Event, answer: threading.Event, count: int = 50
) -> tuple[list[str], list[Any]]:
    """Ask from many threads; the platform answers once all of them wait."""
    got: list[str] = []
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            got.append(bearer(auth))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    asked.wait()
    # One is in the request; the others hold a frame inside the wait for its result.
    while sum(waits(thread) for thread in threads) < count - 1:
        time.sleep(0.001)
    answer.set()
    for thread in threads:
        thread.join()
    return got, failed


class TestSecrets:
    TOKEN = "eyJtoken.of-the-service.c2ln"

    def test_repr_shows_neither_key(self, platform: responses.RequestsMock) -> None:
        offer(platform, self.TOKEN)
        auth = JWTAuth(KEY, mp_url=PLATFORM)
        auth.get_auth_headers()
        shown = repr(auth) + repr(vars(auth)) + repr(vars(auth._platform))
        assert "JWTAuth(<key>, ttl=60" in shown
        assert KEY not in shown
        assert self.TOKEN not in shown

    @pytest.mark.parametrize(
        "failure",
        [
            {"status": 401, "body": f"no such key: {KEY}"},
            {"status": 503, "body": f"Bearer {KEY}" + "x" * 500},
            {"status": 201, "json": {"token": TOKEN}},
            {"status": 302, "headers": {"Location": f"https://elsewhere.example/?key={KEY}"}},
            {"body": requests.ConnectionError(f"Authorization: Bearer {KEY}")},
            {"body": requests.exceptions.InvalidProxyURL(f"http://user:{KEY}@proxy")},
        ],
        ids=["401", "503", "201", "302", "network", "proxy"],
    )
    def test_no_error_carries_a_key(
        self,
        platform: responses.RequestsMock,
        caplog: pytest.LogCaptureFixture,
        failure: dict[str, Any],
    ) -> None:
        caplog.set_level(logging.DEBUG)
        for _ in range(3):
            platform.post(URL, **failure)
        auth = JWTAuth(KEY)
        waits_of(auth)
        with pytest.raises(AuthenticationError) as caught:
            auth.get_auth_headers()
        error = caught.value
        assert error.__cause__ is None
        assert error.__context__ is None
        shown = [repr(error), str(error), str(vars(error)), caplog.text, variables_of(error)]
        assert KEY not in "".join(shown)
        assert self.TOKEN not in "".join(shown)
        assert "temporary key" in str(error)

    def test_no_log_carries_a_key(self) -> None:
        """With a real connection, for urllib3 might log as well."""
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            with socket.create_server(("127.0.0.1", 0)) as server:
                heard: list[bytes] = []
                thread = threading.Thread(target=answer_once, args=(server, heard))
                thread.start()
                auth = JWTAuth(KEY, mp_url=f"http://127.0.0.1:{server.getsockname()[1]}")
                assert bearer(auth) == "a-token"
                thread.join()
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
        logs = stream.getvalue()
        assert "received one" in logs
        assert KEY.encode() in heard[0]
        assert KEY not in logs
        assert "a-token" not in logs
