"""What can be sent again over another connection, and what a source notices of an outage."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from support.audio.sources import NO_SOUND, Slow, riff_chunk, sources_of, wav
from support.reconnecting import (
    POLICY,
    RECONNECTED,
    RECONNECTING,
    Heard,
    Legs,
    after,
    begins,
    cut,
    finishes,
    given,
    listen,
    loses,
    noise,
    pieces,
    refuses,
    served,
    spoken,
)
from support.serving import PATIENCE, Peer, final, listening
from support.sessions import (
    END_OF_TRANSCRIPT,
    RAW,
    InThread,
    client_of,
    receive_frame,
    send_frame,
    start_below,
    wait_for,
)

from speechmatics_sync import (
    AudioEncoding,
    AudioError,
    AudioFormat,
    Client,
    ConnectionError,
    TimeoutError,
)

WORD = ("settled", 0.6, 1.3)
"""After it, audio is sent again from 0.2 s on."""
FILE = AudioFormat()


def keeping(seconds: float) -> Any:
    """A policy that keeps so much audio."""
    return dataclasses.replace(POLICY, replay_seconds=seconds)


def takes(client: Client, chunk: bytes) -> bool:
    """Send a chunk if there is room."""
    try:
        client.send_audio(chunk, timeout=0.3)
    except TimeoutError:
        return False
    return True


# -- reading on during an outage ----------------------------------------------------------------


def test_audio_is_taken_during_an_outage_up_to_replay_seconds_and_then_waits() -> None:
    lost, back = threading.Event(), threading.Event()
    chunks = pieces(noise(6))
    legs = Legs(loses(5), after(back, finishes()))
    with served(legs) as url, client_of(url, reconnect=keeping(2)) as client:
        client.on(RECONNECTING, lambda message: lost.set())
        client.start_session(audio_format=RAW)
        for chunk in chunks[:5]:
            client.send_audio(chunk)
        wait_for(lost)
        taken = 5
        while taken < 40 and takes(client, chunks[taken]):
            taken += 1
        acknowledged = client.stats.chunks_acknowledged
        # The server has read as many as it acknowledged; two seconds more may wait.
        assert taken == acknowledged + 20
        sending = InThread(client.send_audio, chunks[taken])
        back.set()
        sending.result()
        for chunk in chunks[taken + 1 :]:
            client.send_audio(chunk, timeout=PATIENCE)
        transcript = client.stop_session(timeout=PATIENCE)
    assert b"".join(legs.peers[1].audio) == b"".join(chunks)
    assert transcript.gaps == []


def test_a_live_source_is_read_on_during_an_outage_and_nothing_is_dropped() -> None:
    lost, back = threading.Event(), threading.Event()
    chunks = pieces(noise(6))

    def live() -> Iterator[bytes]:
        yield from chunks[:30]
        wait_for(lost)
        yield from chunks[30:45]
        back.set()  # the server comes back when this was read, and it is not there yet
        yield from chunks[45:]

    # All 30 chunks are acknowledged, none is settled: they fill what is kept.
    legs = Legs(loses(30), after(back, finishes()))
    with served(legs) as url, client_of(url, reconnect=keeping(3)) as client:
        heard = Heard(client, RECONNECTED)
        client.on(RECONNECTING, lambda message: lost.set())
        transcript = client.transcribe(live(), audio_format=RAW, timeout=PATIENCE)
    assert b"".join(legs.peers[1].audio) == b"".join(chunks)
    assert heard.one(RECONNECTED)["seconds_lost"] == 0
    assert transcript.gaps == []


def test_a_source_that_is_read_on_while_audio_is_sent_again_leaves_no_hole() -> None:
    lost, caught_up = threading.Event(), threading.Event()
    chunks = pieces(noise(12))

    def live() -> Iterator[bytes]:
        yield from chunks[:30]
        wait_for(lost)
        yield from chunks[30:55]
        caught_up.set()
        yield from chunks[55:]

    def slow(peer: Peer) -> None:
        peer.start()
        listen(peer, 16, acknowledge=False)
        wait_for(caught_up)
        peer.acknowledge()
        finishing = peer.take_audio()
        assert finishing == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
        peer.send(END_OF_TRANSCRIPT)

    legs = Legs(loses(30), slow)
    with (
        served(legs) as url,
        client_of(url, reconnect=keeping(3), max_unacked_chunks=16) as client,
    ):
        client.on(RECONNECTED, lambda message: lost.set())
        transcript = client.transcribe(live(), audio_format=RAW, timeout=PATIENCE)
    assert b"".join(legs.peers[1].audio) == b"".join(chunks)
    assert transcript.gaps == []


@pytest.mark.parametrize("first", [refuses, loses(0)], ids=["before the start", "before audio"])
def test_nothing_kept_is_nothing_lost_before_there_was_audio(
    first: Callable[[Peer], None],
) -> None:
    found = threading.Event()
    audio = noise(2)

    def late() -> Iterator[bytes]:
        wait_for(found)
        yield from pieces(audio)

    legs = Legs(first, finishes())
    with served(legs) as url, client_of(url, reconnect=keeping(0)) as client:
        client.on(RECONNECTED, lambda message: found.set())
        transcript = client.transcribe(late(), audio_format=RAW, timeout=PATIENCE)
    assert b"".join(legs.peers[1].audio) == audio
    assert transcript.gaps == []


# -- reading again ------------------------------------------------------------------------------


def on_disk(audio: bytes, path: Path, stack: ExitStack) -> str:
    path.write_bytes(audio)
    return str(path)


REREAD: dict[str, Callable[[bytes, Path, ExitStack], Any]] = {
    "path": on_disk,
    "bytes": lambda audio, path, stack: audio,
    "bytearray": lambda audio, path, stack: bytearray(audio),
    "file": lambda audio, path, stack: stack.enter_context(
        Path(on_disk(audio, path, stack)).open("rb")  # noqa: SIM115
    ),
    "file in memory": lambda audio, path, stack: io.BytesIO(audio),
}


@pytest.mark.parametrize("kind", REREAD)
def test_what_can_be_read_again_has_no_gap_whatever_is_kept(kind: str, tmp_path: Path) -> None:
    audio = noise(6)
    legs = Legs(loses(20, WORD), loses(20), finishes(("last", 5.0, 5.5)))
    with ExitStack() as stack:
        source = REREAD[kind](audio, tmp_path / "audio.raw", stack)
        url = stack.enter_context(served(legs))
        client = stack.enter_context(client_of(url, reconnect=keeping(0)))
        heard = Heard(client, RECONNECTED)
        transcript = client.transcribe(source, audio_format=RAW, timeout=PATIENCE)
    assert [begins(peer, audio) for peer in legs.peers] == [0, 6400, 6400]
    assert b"".join(legs.peers[2].audio) == audio[6400:]
    assert [message["seconds_lost"] for message in heard.messages] == [0, 0]
    assert transcript.gaps == []
    assert spoken(transcript) == [WORD, ("last", 5.2, 5.7)]


def test_a_wav_file_is_read_again_behind_its_header(tmp_path: Path) -> None:
    audio = noise(4)
    path = tmp_path / "audio.wav"
    path.write_bytes(wav(audio, before=NO_SOUND, after=riff_chunk(b"LIST", b"the end")))
    legs = Legs(loses(15, WORD), finishes())
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        client.transcribe(path, timeout=PATIENCE)
    assert b"".join(legs.peers[1].audio) == audio[6400:]


def test_a_file_that_became_shorter_is_an_error_and_no_shorter_transcript(tmp_path: Path) -> None:
    audio = noise(4)
    path = tmp_path / "audio.raw"
    path.write_bytes(audio)
    shorter = threading.Event()

    def shorten(message: object) -> None:
        with open(path, "r+b") as file:
            file.truncate(9600)
        shorter.set()

    legs = Legs(loses(15, WORD), after(shorter, finishes()))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        client.on(RECONNECTING, shorten)
        with pytest.raises(AudioError, match="shorter") as raised:
            client.transcribe(path, audio_format=RAW, timeout=PATIENCE)
    assert spoken(raised.value.transcript) == [WORD]


def test_a_source_that_is_read_once_names_the_seconds_that_it_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    audio = noise(4)
    acknowledged, found = threading.Semaphore(0), threading.Event()

    def live() -> Iterator[bytes]:
        chunks = pieces(audio)
        for chunk in chunks[:20]:
            yield chunk
            assert acknowledged.acquire(timeout=PATIENCE)
        wait_for(found)
        yield from chunks[20:]

    caplog.set_level(logging.WARNING, "speechmatics_sync")
    legs = Legs(loses(20, ("early", 0.1, 0.3)), finishes(("late", 2.0, 2.5)))
    with served(legs) as url, client_of(url, reconnect=keeping(1)) as client:
        heard = Heard(client, RECONNECTED)
        client.on("AudioAdded", lambda message: acknowledged.release())
        client.on(RECONNECTED, lambda message: found.set())
        transcript = client.transcribe(live(), audio_format=RAW, timeout=PATIENCE)
    assert b"".join(legs.peers[1].audio) == audio[32000:]
    assert transcript.gaps == [(0.3, 1.0)]
    assert heard.one(RECONNECTED)["seconds_lost"] == pytest.approx(0.7)
    assert heard.one(RECONNECTED)["seconds_replayed"] == pytest.approx(1.0)
    assert spoken(transcript) == [("early", 0.1, 0.3), ("late", 3.0, 3.5)]
    assert any("from 0.3 s to 1.0 s is lost" in record.getMessage() for record in caplog.records)


def test_what_is_not_acknowledged_is_kept_however_little_is_to_be_kept() -> None:
    audio = noise(4)
    legs = Legs(loses(20, acknowledge=False), finishes())
    with served(legs) as url, client_of(url, reconnect=keeping(0)) as client:
        transcript = client.transcribe(given(pieces(audio)), audio_format=RAW, timeout=PATIENCE)
    assert b"".join(legs.peers[1].audio) == audio
    assert transcript.gaps == []


# -- places -------------------------------------------------------------------------------------

FORMATS = {
    "16-bit, 16 kHz": AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=16000),
    "mu-law, 8 kHz": AudioFormat(encoding=AudioEncoding.MULAW, sample_rate=8000),
    "float, 44.1 kHz": AudioFormat(encoding=AudioEncoding.PCM_F32LE, sample_rate=44100),
    "16-bit, 11.025 kHz": AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=11025),
}
SOURCES = {
    "read again": ("file", [4096]),
    "whole chunks": ("generator", [4096]),
    "half samples": ("generator", [1333, 2001, 7]),
    "one chunk": ("generator", [10**7]),
    "short reads": ("short reads", [1333]),
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("encoding", FORMATS)
def test_audio_goes_on_at_a_whole_sample_and_times_at_its_place(encoding: str, kind: str) -> None:
    audio_format = FORMATS[encoding]
    sample_size, rate = audio_format.bytes_per_sample, audio_format.sample_rate
    per_second = sample_size * rate
    audio = noise(1, bytes_per_second=3 * per_second + sample_size)
    settled = ("settled", 0.6, 1.3)

    def first(peer: Peer) -> None:
        peer.start()
        while sum(map(len, peer.audio)) < 1.4 * per_second:
            listen(peer, 1)
        peer.send(final(*settled))
        cut(peer)

    legs = Legs(first, finishes(("next", 1.2, 1.4)))
    of_kind, sizes = SOURCES[kind]
    half_a_sample = b"\1" * (sample_size - 1)
    source = sources_of[of_kind](audio + half_a_sample, sizes)
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        transcript = client.transcribe(source, audio_format=audio_format, timeout=PATIENCE)
    place = begins(legs.peers[1], audio)
    assert place % sample_size == 0
    assert place == pytest.approx(0.2 * per_second)
    assert b"".join(legs.peers[1].audio) == audio[place:]
    assert spoken(transcript) == [settled, ("next", 1.4, 1.6)]


def test_chunks_of_a_single_sample_go_on_at_their_place() -> None:
    mulaw = FORMATS["mu-law, 8 kHz"]
    audio = noise(1, bytes_per_second=14000)
    legs = Legs(loses(12000, WORD), finishes())
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        client.transcribe(given(pieces(audio, 1)), audio_format=mulaw, timeout=PATIENCE)
        assert client.stats.chunks_acknowledged == len(audio)
    assert b"".join(legs.peers[1].audio) == audio[1600:]


def test_a_chunk_that_was_half_sent_is_sent_again_whole() -> None:
    audio = noise(20)
    connections = itertools.count(1)
    heard = bytearray()

    def serve(connection: socket.socket) -> None:
        start_below(connection)
        if next(connections) == 1:
            connection.recv(1000)
            return
        count = 0
        while True:
            opcode, payload = receive_frame(connection)
            if opcode == 8:
                return
            if opcode == 2:
                heard.extend(payload)
                count += 1
                send_frame(connection, {"message": "AudioAdded", "seq_no": count})
            elif opcode == 1:
                assert json.loads(payload) == {"message": "EndOfStream", "last_seq_no": count}
                send_frame(connection, END_OF_TRANSCRIPT)

    with (
        listening(serve) as port,
        client_of(f"ws://localhost:{port}/v2", reconnect=POLICY) as client,
    ):
        client.start_session(audio_format=RAW)
        client.send_audio(audio)
        client.stop_session(timeout=PATIENCE)
    assert next(connections) == 3
    assert heard == audio


# -- files, which are transcribed from their start ----------------------------------------------


@pytest.mark.parametrize("kind", REREAD)
def test_a_file_is_sent_again_from_its_start_and_what_was_heard_is_not_repeated(
    kind: str, tmp_path: Path
) -> None:
    audio = noise(4)
    again = [WORD, ("more", 1.3, 1.8), ("last", 2.0, 2.5)]
    legs = Legs(loses(15, WORD), finishes(*again))
    with ExitStack() as stack:
        source = REREAD[kind](audio, tmp_path / "audio.mp3", stack)
        url = stack.enter_context(served(legs))
        client = stack.enter_context(client_of(url, reconnect=keeping(0)))
        heard = Heard(client)
        transcript = client.transcribe(source, audio_format=FILE, timeout=PATIENCE)
    assert b"".join(legs.peers[1].audio) == audio
    assert spoken(transcript) == again
    assert len(heard.of("AddTranscript")) == 3
    found = heard.one(RECONNECTED)
    assert (found["audio_time"], found["seconds_replayed"], found["seconds_lost"]) == (
        None,
        None,
        0,
    )
    numbers = [message["seq_no"] for message in heard.of("AudioAdded")]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == len(legs.peers[1].audio)


def test_a_file_that_is_read_once_cannot_go_on_and_says_why() -> None:
    legs = Legs(loses(15, WORD))
    with served(legs) as url, client_of(url, reconnect=POLICY) as client:
        with pytest.raises(ConnectionError, match="cannot be read again") as raised:
            client.transcribe(given(pieces(noise(4))), audio_format=FILE, timeout=PATIENCE)
        assert spoken(raised.value.transcript) == [WORD]
        assert spoken(client.transcript) == [WORD]


def test_a_file_whose_reader_cannot_go_back_cannot_go_on() -> None:
    with served(Legs(loses(15, WORD))) as url, client_of(url, reconnect=POLICY) as client:
        source = Slow(noise(4), 3200)
        with pytest.raises(ConnectionError, match="cannot be read again"):
            client.transcribe(source, audio_format=FILE, timeout=PATIENCE)


def test_a_file_that_is_pushed_cannot_go_on_and_says_why() -> None:
    lost: Optional[BaseException] = None
    with served(Legs(loses(15, WORD))) as url, client_of(url, reconnect=POLICY) as client:
        client.start_session(audio_format=FILE)
        for chunk in pieces(noise(4)):
            try:
                client.send_audio(chunk, timeout=PATIENCE)
            except ConnectionError as error:
                lost = error
                break
        with pytest.raises(ConnectionError, match="cannot be read again") as raised:
            client.stop_session(timeout=PATIENCE)
    assert lost is None or str(lost) == str(raised.value)
    assert spoken(raised.value.transcript) == [WORD]


def test_a_file_of_which_nothing_was_sent_goes_on_whatever_its_source() -> None:
    audio = noise(2)
    legs = Legs(refuses, finishes())
    with served(legs) as url, Client(url=url, reconnect=POLICY) as client:
        client.transcribe(given(pieces(audio)), audio_format=FILE, timeout=PATIENCE)
    assert b"".join(legs.peers[1].audio) == audio
