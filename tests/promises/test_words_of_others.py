"""What a server says reaches errors and logs without keys and on one line; handlers get it raw."""

from __future__ import annotations

import logging
import re
from typing import Any, Callable

import pytest
from support.reconnecting import POLICY, Heard
from support.secrecy import KEY, all_said_by, everything_logged
from support.serving import Peer, final, listening, serving
from support.sessions import END_OF_TRANSCRIPT, RAW, client_of, speech

from speechmatics_sync import (
    Client,
    ConnectionConfig,
    ReconnectPolicy,
    SpeechmaticsError,
    TranscriptionError,
)

PASSWORD = "hidden-proxy-password"
TOKEN = "hidden-token-of-a-header"
SAID = f"no {KEY} {TOKEN}\nERROR root: forged\r\x1b[2Jcleared \u2028 \u202e end"


def refuses(peer: Peer) -> None:
    peer.receive()
    peer.send({"message": "Error", "type": SAID, "reason": SAID})
    peer.connection.close(4003, "no")


def fails_later(peer: Peer) -> None:
    peer.start(id=SAID)
    peer.take_audio()
    peer.send({"message": "Error", "type": "not_allowed", "reason": SAID})
    peer.connection.close(4003, "no")


def closes(peer: Peer) -> None:
    peer.receive()
    peer.connection.close(4003, f"{KEY}\nERROR root: forged \x1b[2J")


def closes_for_good(peer: Peer) -> None:
    peer.start()
    peer.connection.close(1011, f"{KEY}\nERROR root: forged \x1b[2J")


def sends_no_json(peer: Peer) -> None:
    peer.start()
    peer.send(f"{20 * 'x'} {KEY}\nERROR root: forged")


def warns_and_ends(peer: Peer) -> None:
    peer.start()
    peer.send({"message": "Warning", "type": "duration_limit_exceeded", "reason": SAID})
    peer.take_audio()
    peer.send(final("word"), END_OF_TRANSCRIPT)


def answers_for(channels: Any) -> Callable[[Peer], None]:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.send({"message": "ChannelAudioAdded", "channel": channels, "seq_no": 1})

    return behave


def client_with_secrets(url: str, **options: Any) -> Client:
    return Client(api_key=KEY, url=url, **options)


def assert_clean(shown: list[str]) -> None:
    text = "\n".join(shown)
    for secret in (KEY[:16], TOKEN, PASSWORD):
        assert secret not in text
    for unsafe in ("\x1b", "\r", "\u2028", "\u202e"):
        assert unsafe not in text
    assert not any(line.startswith("ERROR root") for line in text.splitlines())


@pytest.mark.parametrize(
    "behave",
    [
        refuses,
        fails_later,
        closes,
        closes_for_good,
        sends_no_json,
        warns_and_ends,
        answers_for(SAID),
    ],
)
@pytest.mark.parametrize("reconnect", [None, ReconnectPolicy(max_attempts=1, initial_delay=0.01)])
def test_no_error_and_no_record_repeats_a_secret_or_starts_a_line(
    behave: Callable[[Peer], None], reconnect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="speechmatics_sync")
    with serving(behave) as url:
        client = client_with_secrets(url, reconnect=reconnect)
        with pytest.raises(SpeechmaticsError) as caught:
            client.transcribe(speech(0.2), audio_format=RAW, ws_headers={"X-Token": TOKEN})
    shown = [all_said_by(caught.value), str(caught.value.session_id)]
    assert len(str(caught.value).splitlines()) == 1
    records = [each for each in caplog.records if each.name == "speechmatics_sync"]
    assert records
    assert_clean([*shown, *(each.getMessage() for each in records)])


def test_a_warning_is_logged_on_one_line_and_handlers_get_it_as_it_is() -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.send({"message": "Warning", "type": SAID, "reason": SAID})
        peer.finish()

    with everything_logged() as said, serving(behave) as url, client_with_secrets(url) as client:
        heard = Heard(client, "Warning")
        client.transcribe(speech(0.1), audio_format=RAW, ws_headers={"X-Token": TOKEN})
        logged = [each for each in said if "The server warns" in each]
    assert heard.one("Warning") == {"message": "Warning", "type": SAID, "reason": SAID}
    assert len(logged) == 1
    assert len(logged[0].splitlines()) == 1
    assert "forged" in logged[0]
    assert KEY not in logged[0] + TOKEN not in logged[0]


def test_the_reason_of_a_reconnect_holds_no_secret() -> None:
    legs: list[Peer] = []

    def behave(peer: Peer) -> None:
        legs.append(peer)
        peer.start()
        if len(legs) == 1:
            peer.connection.close(1011, f"{KEY}\nERROR root: forged")
        else:
            peer.finish()

    with serving(behave) as url, client_with_secrets(url, reconnect=POLICY) as client:
        heard = Heard(client, "SessionReconnecting")
        client.transcribe(speech(0.1), audio_format=RAW)
    reason = heard.one("SessionReconnecting")["reason"]
    assert "forged" in reason
    assert_clean([reason])


def test_a_traceback_in_a_log_holds_no_secret() -> None:
    """A user's handler may raise what the server said."""

    def behave(peer: Peer) -> None:
        peer.start()
        peer.send({"message": "Info", "type": "x", "reason": f"the key {KEY}"})
        peer.finish()

    def handle(message: Any) -> None:
        raise ValueError(message["reason"])

    with everything_logged() as said, serving(behave) as url:
        client = client_with_secrets(url, handler_errors="log")
        client.on("Info", handle)
        client.transcribe(speech(0.1), audio_format=RAW)
        failed = [each for each in said if "the handler" in each]
    assert len(failed) == 1
    assert "ValueError: the key ***" in failed[0]
    assert KEY not in failed[0]


SHORT = {"key": "s3kr", "header": "pa55wd", "query": "t0k-n"}


def test_short_secrets_are_hidden_where_they_stand_alone(caplog: pytest.LogCaptureFixture) -> None:
    """A local server's key may be of a few characters. Words that contain them stay whole."""
    repeated = " ".join(f"{each}, key='{each}' x_{each}\n" for each in SHORT.values())
    whole = "s3kret 2s3kr pa55wds spa55wd t0k-ns abc"

    def behave(peer: Peer) -> None:
        peer.receive()
        peer.send({"message": "Error", "type": "not_allowed", "reason": f"{repeated} {whole}"})

    caplog.set_level(logging.DEBUG, logger="speechmatics_sync")
    headers = {"X-Token": SHORT["header"], "X-Version": "abc"}
    with serving(behave) as url:
        client = Client(SHORT["key"], url=f"{url}?jwt={SHORT['query']}", reconnect=None)
        with pytest.raises(TranscriptionError) as caught:
            client.transcribe(speech(0.1), audio_format=RAW, ws_headers=headers)
    hidden = "***, key='***' x_*** " * 3
    assert f"{hidden}{whole}" in str(caught.value)
    shown = [all_said_by(caught.value), *(each.getMessage() for each in caplog.records)]
    assert not re.search(r"\b(s3kr|pa55wd|t0k-n)\b", "\n".join(shown))


def test_words_without_secrets_stay_as_they_are() -> None:
    reason = "Für „Ünïcode“  — the model  'en' 日本語 is not there"

    def behave(peer: Peer) -> None:
        peer.receive()
        peer.send({"message": "Error", "type": "invalid_model", "reason": reason})

    with serving(behave) as url, pytest.raises(TranscriptionError) as caught:
        client_with_secrets(url, reconnect=None).transcribe(speech(0.1), audio_format=RAW)
    assert caught.value.reason == reason
    assert reason in str(caught.value)


def test_a_text_without_end_is_cut() -> None:
    def behave(peer: Peer) -> None:
        peer.receive()
        peer.send({"message": "Error", "type": "invalid_model", "reason": 100_000 * "x"})

    with serving(behave) as url, pytest.raises(TranscriptionError) as caught:
        client_of(url).transcribe(speech(0.1), audio_format=RAW)
    assert len(str(caught.value)) < 3000


def test_a_refusal_of_the_handshake_repeats_no_password_of_a_proxy() -> None:
    """The proxy may answer in the server's place, and then it is the proxy's to repeat."""

    def behave(connection: Any) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        connection.recv(4096)
        body = f"{PASSWORD}\x1b[2J".encode()
        connection.sendall(b"HTTP/1.1 500 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with listening(behave) as port, everything_logged() as said:
        config = ConnectionConfig(proxy=f"http://user:{PASSWORD}@127.0.0.1:{port}")
        client = Client(url="ws://localhost:1", conn_config=config, reconnect=None)
        with pytest.raises(SpeechmaticsError) as caught:
            client.transcribe(speech(0.1), audio_format=RAW)
    assert "HTTP 500 in place of" in str(caught.value)
    assert_clean([str(caught.value), repr(vars(caught.value)), *said])
