"""A WAV whose bytes are pushed, in pieces of any size: its samples go out, and nothing else."""

from __future__ import annotations

import logging

import pytest
from support.audio.sources import NO_SOUND, SOUND, fmt_chunk, riff_chunk, wav
from support.serving import PATIENCE
from support.sessions import RAW, client_of

from speechmatics_sync import AudioError, AudioFormat
from speechmatics_sync._audio.headers import PushedAudio
from speechmatics_sync._logs import logger
from speechmatics_sync.local import CountedRecognizer, LocalServer

S16, MULAW = AudioFormat("pcm_s16le", 16000), AudioFormat("mulaw", 16000)
PIECES = [1, 2, 7, 100, 1000, 1 << 20]


def pushed(content: bytes, size: int, audio_format: AudioFormat = S16) -> bytes:
    """What is sent of a WAV."""
    audio = PushedAudio(audio_format, logger)
    # Its first four bytes are one piece, as Python's module `wave` writes them.
    cuts = [0, *range(max(4, size), len(content), size), len(content)]
    sound = b"".join(audio.samples_of(content[one:two]) for one, two in zip(cuts, cuts[1:]))
    return sound + audio.end() + audio.end()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("size", PIECES)
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(wav(data_size=1000), id="samples, as after a crash"),
        pytest.param(wav(SOUND[:1000], after=riff_chunk(b"data", SOUND)), id="a second data chunk"),
        pytest.param(
            wav(SOUND[:1000], after=NO_SOUND + riff_chunk(b"data", SOUND)),
            id="a second data chunk behind another",
        ),
        pytest.param(wav(SOUND[:1000], after=b"LIST\xff\0\0\0short"), id="half a chunk"),
    ],
)
def test_what_follows_the_audio_that_the_header_names_is_a_warning_and_is_not_sent(
    content: bytes, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert pushed(content, size) == SOUND[:1000]
    (said,) = warnings(caplog)
    assert "the audio goes on after the 1000 bytes" in said


@pytest.mark.parametrize("size", PIECES)
@pytest.mark.parametrize("after", [b"", NO_SOUND, NO_SOUND + riff_chunk(b"id3 ", b"odd")])
def test_chunks_that_are_no_audio_are_not_sent_and_no_warning(
    after: bytes, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert pushed(wav(after=after), size) == SOUND
    odd = wav(SOUND[:999], fmt=fmt_chunk(7, 8), after=after)
    assert pushed(odd, size, MULAW) == SOUND[:999]
    assert warnings(caplog) == []


@pytest.mark.parametrize("placeholder", [0, 0x7FFF0000, 0xFFFFFFFF])
def test_a_header_that_does_not_know_the_size_ends_nothing(
    placeholder: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert pushed(wav(data_size=placeholder), 100) == SOUND
    assert warnings(caplog) == []


@pytest.mark.parametrize("size", PIECES)
def test_a_header_of_another_format_is_an_error_in_whatever_pieces_it_comes(size: int) -> None:
    for content in (wav(fmt=fmt_chunk(1, 16, channels=2)), wav(fmt=fmt_chunk(1, 16, rate=48000))):
        with pytest.raises(AudioError, match=r"a WAV file of 16-bit PCM, .* says bare samples"):
            pushed(content, size)


@pytest.mark.parametrize("beginning", [b"RIFF", b"RIFFab", b"OggS\1"])
def test_samples_that_begin_like_a_file_are_held_back_no_longer_than_it_takes_to_tell(
    beginning: bytes,
) -> None:
    audio = PushedAudio(S16, logger)
    assert audio.samples_of(beginning) == b""
    assert audio.samples_of(SOUND) == beginning + SOUND
    short = PushedAudio(S16, logger)
    assert short.samples_of(beginning) == b""
    assert (short.end(), short.end()) == (beginning, b"")


def test_audio_that_was_held_back_is_sent_when_the_audio_ends() -> None:
    with LocalServer(recognizer=CountedRecognizer(), strict=True) as server:
        with client_of(server.url) as client:
            client.start_session(audio_format=RAW)
            client.send_audio(b"RIFF", timeout=PATIENCE)
            client.end_of_stream()
            client.stop_session(timeout=PATIENCE)
        (session,) = server.sessions
    assert session.audio_bytes == 4


def test_audio_without_a_header_goes_as_it_is() -> None:
    audio = PushedAudio(S16, logger)
    for payload in (b"", SOUND, wav(), SOUND):
        assert audio.samples_of(payload) == payload


def test_the_server_is_sent_the_samples_alone(caplog: pytest.LogCaptureFixture) -> None:
    content = wav(data_size=1000)
    with LocalServer(recognizer=CountedRecognizer(), strict=True) as server:
        with client_of(server.url) as client:
            client.start_session(audio_format=RAW)
            for at in range(0, len(content), 500):
                client.send_audio(content[at : at + 500], timeout=PATIENCE)
            client.stop_session(timeout=PATIENCE)
            assert client.audio_bytes_sent == 1000
        (session,) = server.sessions
    assert session.audio_bytes == 1000
    assert [said for said in warnings(caplog) if "goes on after the 1000 bytes" in said]
