"""Audio that a server sends: files, radio and HLS, and what must not happen on the way."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import trustme
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from support.audio.encoded import FILES, encode, in_pieces, likeness, said
from support.places import ROOT
from support.secrecy import is_ours
from support.serving import PATIENCE, Peer, listening, read_request, refusing, serving
from support.sessions import client_of

from speechmatics_sync import AudioError, open_audio

mp3, radio = FILES["mp3"], FILES["mp3 of a stream"]
SECRET = "s3cret"


@functools.cache
def m4a() -> bytes:
    """Longer than what FFmpeg holds, within which it can go back."""
    return encode(said(11), "ipod", "aac")


def head(
    kind: str = "audio/mpeg", *more: str, version: str = "1.1", status: str = "200 OK"
) -> bytes:
    lines = [f"HTTP/{version} {status}", f"Content-Type: {kind}", "Connection: close", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def sending(*parts: bytes) -> Callable[[socket.socket], None]:
    """A server that answers any request with these bytes."""

    def behave(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            read_request(connection)
            for part in parts:
                connection.sendall(part)

    return behave


def sized(content: bytes) -> tuple[bytes, bytes]:
    return head("audio/mpeg", f"Content-Length: {len(content)}"), content


def chunked(content: bytes) -> tuple[bytes, bytes]:
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in in_pieces(content)]
    return head("audio/mpeg", "Transfer-Encoding: chunked"), b"".join([*chunks, b"0\r\n\r\n"])


def to_the_end(content: bytes) -> tuple[bytes, bytes]:
    return head(version="1.0"), content


def url_of(port: int, path: str = "file", scheme: str = "http", host: str = "127.0.0.1") -> str:
    return f"{scheme}://user:{SECRET}@{host}:{port}/{path}?key={SECRET}#{SECRET}"


@pytest.mark.parametrize("form", [sized, chunked, to_the_end])
def test_a_file_sounds_as_it_was_recorded_and_nothing_is_warned_of(
    form: Callable[[bytes], tuple[bytes, bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    with listening(sending(*form(mp3()))) as port, open_audio(url_of(port)) as audio:
        assert likeness(audio.read(), said()) > 0.95
        assert not audio.seekable()
        assert f"the URL 'http://127.0.0.1:{port}/file'" in repr(audio)
        assert SECRET not in repr(audio)
    assert not caplog.records


def test_the_protocol_may_be_in_capitals() -> None:
    with (
        listening(sending(*sized(mp3()))) as port,
        open_audio(url_of(port, scheme="HTTP")) as audio,
    ):
        assert audio.read()


def test_radio_is_heard_while_it_goes_on() -> None:
    """The station has sent one and a half seconds, and waits until they were heard."""
    heard = threading.Event()

    def station(connection: socket.socket) -> None:
        request = read_request(connection)
        assert b"icy-metadata: 1" in request.lower()
        # Every 8,000 bytes, the station says what it plays.
        title = b"StreamTitle='The address';"
        said_now = bytes([2]) + title.ljust(32, b"\0")
        with contextlib.suppress(OSError):
            connection.sendall(
                head("audio/mpeg", "icy-name: Radio", "icy-metaint: 8000", version="1.0")
            )
            connection.sendall(radio()[:5000])
            assert heard.wait(PATIENCE)
            connection.sendall(radio()[5000:8000] + said_now + radio()[8000:])

    with listening(station) as port, open_audio(url_of(port)) as audio:
        begin = audio.read(3200)
        assert begin
        heard.set()
        assert likeness(begin + audio.read(), said()) > 0.95


def test_a_station_is_let_go_before_its_end() -> None:
    gone = threading.Event()

    def endless(connection: socket.socket) -> None:
        read_request(connection)
        try:
            connection.sendall(head(version="1.0"))
            while True:
                connection.sendall(radio())
        except OSError:
            gone.set()

    with listening(endless) as port:
        with open_audio(url_of(port)) as audio:
            assert len(audio.read(32_000)) > 0
        assert gone.wait(PATIENCE)


def hls(
    segments: list[str], files: dict[str, bytes], more: str = ""
) -> Callable[[socket.socket], None]:
    playlist = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n"
    playlist += "".join(f"#EXTINF:2.0,\n{segment}\n" for segment in segments) + f"{more}\n"
    served = {**files, "list.m3u8": (playlist + "#EXT-X-ENDLIST\n").encode()}

    def behave(connection: socket.socket) -> None:
        name = re.split(rb"[ ?]", read_request(connection))[1].decode().lstrip("/")
        kind = "application/vnd.apple.mpegurl" if name.endswith("m3u8") else "video/mp2t"
        content = served.get(name, b"")
        status = "200 OK" if content else "404 Not Found"
        with contextlib.suppress(OSError):
            answer = head(kind, f"Content-Length: {len(content)}", status=status)
            connection.sendall(answer + content)

    return behave


def test_the_segments_of_hls_are_joined() -> None:
    halves = {
        "0.ts": encode(said()[:64_000], "mpegts", "mp2"),
        "1.ts": encode(said()[64_000:], "mpegts", "mp2"),
    }
    behave = hls([*halves], halves)
    with listening(behave) as port, open_audio(url_of(port, "list.m3u8")) as audio:
        assert audio.total_seconds == pytest.approx(4)
        heard = audio.read()
    assert 3.9 < len(heard) / 32_000 < 4.2
    assert likeness(heard[:64_000], said(2)) > 0.9


def test_encrypted_segments_are_decrypted() -> None:
    key, vector = bytes(range(16)), bytes(range(16, 32))
    cipher = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    padder = PKCS7(128).padder()
    plain = padder.update(encode(said(), "mpegts", "mp2")) + padder.finalize()
    files = {"0.ts": cipher.update(plain) + cipher.finalize(), "key.bin": key}
    with_key = f'#EXT-X-KEY:METHOD=AES-128,URI="key.bin",IV=0x{vector.hex()}\n#EXTINF:4.0,\n0.ts'
    behave = hls([], files, with_key)
    with listening(behave) as port, open_audio(url_of(port, "list.m3u8")) as audio:
        assert likeness(audio.read(), said()) > 0.9


def test_a_segment_that_is_missing_is_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    segment = encode(said(), "mpegts", "mp2")
    behave = hls(["0.ts", "missing.ts", "1.ts"], {"0.ts": segment, "1.ts": segment})
    with listening(behave) as port, open_audio(url_of(port, "list.m3u8")) as audio:
        assert len(audio.read()) / 32_000 > 7
    assert "404 Not Found" in caplog.text
    assert SECRET not in caplog.text
    assert capfd.readouterr() == ("", "")


def test_a_segment_from_a_host_that_nobody_vouches_for_is_not_asked_for() -> None:
    """FFmpeg checks the playlist's certificate, and none of what the playlist names."""
    with tls_server(trustme.CA(), "localhost") as secured:
        segment = url_of(secured, "0.ts?", scheme="https", host="localhost")
        behave = hls([segment], {})
        with listening(behave) as port, pytest.raises(AudioError):
            open_audio(url_of(port, "list.m3u8")).read()


@pytest.mark.parametrize("trick", ["file://{}", "{}", "concat:{}", "data:video/mp2t;base64,AAAA"])
def test_a_playlist_of_a_server_opens_no_file(trick: str, tmp_path: Path) -> None:
    path = tmp_path / "private.ts"
    path.write_bytes(encode(said(2), "mpegts", "mp2"))
    behave = hls([trick.format(path)], {str(path).lstrip("/"): b""})
    with listening(behave) as port, pytest.raises(AudioError):
        open_audio(url_of(port, "list.m3u8")).read()


def test_a_playlist_in_a_file_connects_to_nothing(tmp_path: Path) -> None:
    asked = threading.Event()

    def behave(connection: socket.socket) -> None:
        asked.set()

    with listening(behave) as port:
        path = tmp_path / "list.m3u8"
        path.write_text(f"#EXTM3U\n#EXTINF:2.0,\nhttp://127.0.0.1:{port}/0.ts\n#EXT-X-ENDLIST\n")
        for source in (path, path.read_bytes()):
            with pytest.raises(AudioError, match="playlist"):
                open_audio(source)
    assert not asked.is_set()


@pytest.mark.parametrize("after_it", [b"", bytes(range(256)) * 8], ids=["text", "binary"])
@pytest.mark.parametrize(
    "playlist",
    [
        b"ffconcat version 1.0\nfile private.ts\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    ],
    ids=["concat", "sdp"],
)
def test_a_playlist_in_a_file_opens_no_other_file_and_no_port(
    playlist: bytes, after_it: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg would: it knows these by how they begin, whatever follows."""
    monkeypatch.chdir(tmp_path)
    Path("private.ts").write_bytes(encode(said(2), "mpegts", "mp2"))
    with pytest.raises(AudioError, match=r"is no (sound|audio)"):
        open_audio(playlist + after_it)


@pytest.mark.parametrize(
    ("answer", "said_of_it"),
    [
        (lambda: [head(status="404 Not Found")], "404"),
        (lambda: [head(status="401 Unauthorized")], "401"),
        (lambda: [head(status="503 Busy")], "5XX"),
        (lambda: sized(b"<!doctype html><body>Sign in</body></html>" * 20), "no audio or video"),
        (lambda: [b""], "ended the connection without any audio|End of file"),
        (lambda: sized(m4a()), "index.*at its end"),
        (lambda: chunked(m4a()), "index.*at its end"),
        (lambda: to_the_end(m4a()), "index.*at its end"),
    ],
)
def test_what_is_wrong_is_an_error_and_no_key_is_in_it(
    answer: Any, said_of_it: str, caplog: pytest.LogCaptureFixture
) -> None:
    behave = sending(*answer())
    with listening(behave) as port, pytest.raises(AudioError, match=said_of_it) as raised:
        open_audio(url_of(port)).read()
    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    of_ours = [frame for frame in shown.stack if is_ours(frame.filename)]
    assert SECRET not in str(raised.value)
    assert SECRET not in str([frame.locals for frame in of_ours])
    assert raised.value.__cause__ is None
    assert SECRET not in repr(raised.value.__context__)
    assert not [record for record in caplog.records if SECRET in record.getMessage()]


def test_a_server_that_is_not_there_is_an_error() -> None:
    cannot = r"'http://127\.0\.0\.1:\d+/file' cannot be opened"
    with refusing() as port, pytest.raises(AudioError, match=cannot):
        open_audio(url_of(port))


@pytest.mark.parametrize("rest", [b"", b"\0" * 40_000])
def test_a_body_that_ends_before_its_length_gives_a_warning_with_the_second(
    rest: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    behave = sending(sized(mp3() + rest)[0], mp3()[: len(mp3()) // 2])
    with listening(behave) as port, open_audio(url_of(port)) as audio:
        heard = audio.read()
    assert likeness(heard, said(len(heard) / 32_000)) > 0.95
    (record,) = caplog.records
    assert re.search(r"breaks off at second (1\.\d|2\.0)", record.getMessage())
    assert SECRET not in record.getMessage()


# -- TLS -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def tls_server(authority: trustme.CA, name: str) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            sending(*sized(mp3()))(secured)

    with listening(behave) as port:
        yield port


PROGRAM = """
import sys
from speechmatics_sync import AudioError, open_audio
try:
    print(open_audio(sys.argv[1]).codec)
except AudioError as error:
    print(error)
"""


def opened_in_a_process(url: str, authorities: Optional[Path]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if authorities is not None:
        environment["SSL_CERT_FILE"] = str(authorities)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, url],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert not ran.stderr
    return ran.stdout


def test_a_certificate_has_to_be_trusted_and_of_that_host(tmp_path: Path) -> None:
    authority = trustme.CA()
    authorities = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(str(authorities))
    with tls_server(authority, "localhost") as port:
        url = url_of(port, scheme="https", host="localhost")
        assert opened_in_a_process(url, authorities).startswith("mp3")
        assert "certificate" in opened_in_a_process(url, None)
    with tls_server(authority, "elsewhere.example") as port:
        url = url_of(port, scheme="https", host="localhost")
        assert "certificate" in opened_in_a_process(url, authorities)


# -- what blocks -----------------------------------------------------------------------------------

BLOCKED = """
import sys, threading, time
from speechmatics_sync import open_audio
def read():
    audio = open_audio(sys.argv[1])
    print("opened", flush=True)
    while audio.read(3200):
        pass
threading.Thread(target=read, daemon=True).start()
sys.stdin.readline()
"""


@contextlib.contextmanager
def silent_server(*parts: bytes) -> Iterator[tuple[int, threading.Event]]:
    """A server that sends this and then nothing, until the test ends."""
    connected, ended = threading.Event(), threading.Event()

    def behave(connection: socket.socket) -> None:
        sending(*parts)(connection)
        connected.set()
        ended.wait(PATIENCE)

    with listening(behave) as port:
        try:
            yield port, connected
        finally:
            ended.set()


def test_a_program_ends_while_a_thread_waits_for_a_server() -> None:
    with silent_server(head(version="1.0"), radio()) as (port, _):
        process = subprocess.Popen(
            [sys.executable, "-c", BLOCKED, url_of(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"opened\n"
            _, errors = process.communicate(b"\n", timeout=PATIENCE)
    assert (process.returncode, errors) == (0, b"")


@pytest.mark.leaves_threads(reason="one that waits for a server is let go")
def test_a_session_is_closed_while_its_radio_is_silent() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.wait_closed()

    with silent_server(head(version="1.0"), radio()[:12_000]) as (port, _):
        with serving(behave) as url, client_of(url) as client:
            stream = client.stream(open_audio(url_of(port)), timeout=PATIENCE)
            begun = time.monotonic()
            stream.close()
        assert time.monotonic() - begun < 10


def test_control_c_ends_the_wait_for_a_server() -> None:
    program = "import sys; from speechmatics_sync import open_audio; open_audio(sys.argv[1])"
    with silent_server() as (port, connected):
        process = subprocess.Popen(
            [sys.executable, "-c", program, url_of(port)], stderr=subprocess.PIPE, cwd=ROOT
        )
        with process:
            assert connected.wait(PATIENCE)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE)
    assert b"KeyboardInterrupt" in errors
    assert process.returncode != 0
