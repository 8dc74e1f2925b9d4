"""What informs, or is used up, in the process does not keep a temporary key from being fetched."""

from __future__ import annotations

import functools
import logging
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from support.key_platform import CREATED, read_order
from support.places import ROOT
from support.serving import PATIENCE, Peer, listening, serving
from support.sessions import RAW, speech

from speechmatics_sync import AuthenticationError, Client, JWTAuth


def gives_a_key(connection: socket.socket) -> None:
    read_order(connection)
    connection.sendall(CREATED.replace(b"\r\n\r\n", b"\r\nno header\r\n\r\n", 1))


@pytest.fixture
def platform() -> Iterator[str]:
    with listening(gives_a_key) as port:
        yield f"http://127.0.0.1:{port}"


def raises(*_: Any, **__: Any) -> Any:
    raise RuntimeError("Working outside of request context.")


@pytest.fixture(params=["a filter of a handler", "a filter of urllib3's logger", "a factory"])
def fails_records_of_urllib3(
    request: pytest.FixtureRequest,
) -> Iterator[None]:
    """A program's logging that raises at each record of `urllib3`, which logs at DEBUG."""
    root, theirs = logging.getLogger(), logging.getLogger("urllib3.connectionpool")
    handler = logging.StreamHandler()
    level = theirs.level
    theirs.setLevel(logging.DEBUG)
    if request.param == "a factory":
        before = logging.getLogRecordFactory()

        def factory(name: str, *args: Any, **kwargs: Any) -> Any:
            return (raises if name.startswith("urllib3") else before)(name, *args, **kwargs)

        logging.setLogRecordFactory(factory)
        undo = functools.partial(logging.setLogRecordFactory, before)
    elif request.param == "a filter of a handler":
        handler.addFilter(lambda record: not record.name.startswith("urllib3") or raises())
        undo = functools.partial(root.removeHandler, handler)
        root.addHandler(handler)
    else:
        theirs.addFilter(raises)
        undo = functools.partial(theirs.removeFilter, raises)
    try:
        with pytest.raises(RuntimeError):
            theirs.debug("as a program would see it")
        yield
    finally:
        undo()
        theirs.setLevel(level)


@pytest.mark.usefixtures("fails_records_of_urllib3")
def test_a_programs_logging_of_urllib3_that_raises_fails_no_session(platform: str) -> None:
    with serving(lambda peer: (peer.start(), peer.finish())) as url:
        client = Client(JWTAuth("an-api-key", mp_url=platform), url=url, reconnect=None)
        client.transcribe(speech(0.1), audio_format=RAW)


def in_a_process(script: str, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


def test_with_warnings_as_errors_a_temporary_key_is_fetched(platform: str) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.finish()

    with serving(behave) as url:
        said = in_a_process(
            """
            import sys
            from speechmatics_sync import AudioFormat, Client, JWTAuth
            client = Client(JWTAuth("an-api-key", mp_url=sys.argv[1]), url=sys.argv[2])
            client.transcribe(bytes(3200), audio_format=AudioFormat("pcm_s16le", 16000))
            print("transcribed")
            """,
            platform,
            url,
        )
    assert said == "transcribed\n"


@pytest.mark.skipif(sys.platform != "linux", reason="what a limit counts differs")
@pytest.mark.parametrize("left", [0, 1])
def test_without_a_descriptor_a_fetch_says_which_limit_was_met(platform: str, left: int) -> None:
    said = in_a_process(
        """
        import os, resource, sys
        from speechmatics_sync import AuthenticationError, JWTAuth
        auth = JWTAuth("an-api-key", mp_url=sys.argv[1])
        auth.get_auth_headers()
        auth.invalidate()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        left = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + left if left else 3, hard))
        try:
            auth.get_auth_headers()
        except AuthenticationError as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        print(auth.get_auth_headers()["Authorization"])
        """,
        platform,
        str(left),
    )
    assert "This process has no file descriptor left: its limit is" in said
    assert "ulimit -n" in said
    assert "Too many open files" not in said
    assert said.endswith("Bearer a-token\n")


def test_a_host_that_is_not_known_is_named() -> None:
    auth = JWTAuth("an-api-key", mp_url="https://no-such-host.invalid")
    with pytest.raises(AuthenticationError, match=r"The host no-such-host\.invalid is not known"):
        auth.get_auth_headers()
