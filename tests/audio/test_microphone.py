"""A microphone records what is spoken: tested with PulseAudio, whose loudspeaker it hears."""

from __future__ import annotations

import array
import contextlib
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
from support.audio.sound_server import (
    OTHER,
    SPOKEN,
    SoundServer,
    _module_server,
    sound_server,
    write_wav,
)
from support.examples import SENTENCES, assert_heard, recordings
from support.forking import in_child
from support.places import ROOT
from support.serving import PATIENCE, Peer, final, serving
from support.sessions import END_OF_TRANSCRIPT, InThread, client_of

from speechmatics_sync import (
    AudioError,
    Client,
    ConfigurationError,
    Microphone,
    MultiChannelClient,
    split_channels,
)
from speechmatics_sync.local import LocalServer, ScriptedRecognizer

__all__ = ["_module_server", "recordings", "sound_server"]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WAV file of `SPOKEN`, with silence around it."""
    path = tmp_path_factory.mktemp("spoken") / "spoken.wav"
    write_wav(path, SPOKEN)
    return path


def read_until_heard(microphone: Microphone) -> None:
    """Read until `SPOKEN` was heard, without a sample more or less."""
    heard = b""
    deadline = time.monotonic() + PATIENCE
    while SPOKEN not in heard:
        assert time.monotonic() < deadline, "it was not heard"
        heard += microphone.read(4096)


# -- what it gives --------------------------------------------------------------------------------


def test_every_sample_that_is_played_is_recorded(sound_server: SoundServer, spoken: Path) -> None:
    with Microphone() as microphone, sound_server.playing(spoken):
        read_until_heard(microphone)
        assert microphone.overflows == 0


def test_it_says_what_it_gives(sound_server: SoundServer) -> None:
    microphone = Microphone(sample_rate=8000)
    assert microphone.audio_format.to_dict() == {
        "type": "raw",
        "encoding": "pcm_s16le",
        "sample_rate": 8000,
    }


def test_it_gives_what_came_as_soon_as_it_came(sound_server: SoundServer) -> None:
    with Microphone() as microphone:
        assert 0 < len(microphone.read(1 << 20)) <= 16000


def test_it_gives_whole_samples(sound_server: SoundServer) -> None:
    with Microphone() as microphone:
        assert [len(microphone.read(size)) for size in (0, 1, 2, 3, 5)] == [0, 2, 2, 2, 4]


def test_what_is_said_before_it_is_read_is_not_lost(
    sound_server: SoundServer, spoken: Path
) -> None:
    with Microphone() as microphone:
        sound_server.play(spoken)
        read_until_heard(microphone)


def test_it_records_when_it_is_read_without_a_block(sound_server: SoundServer) -> None:
    microphone = Microphone()
    assert sound_server.recorders() == 0
    microphone.read(100)
    assert sound_server.recorders() == 1
    microphone.close()
    assert sound_server.recorders() == 0


# -- how it ends ----------------------------------------------------------------------------------


def test_stopping_it_in_another_thread_ends_the_session_in_good_order(
    sound_server: SoundServer,
) -> None:
    heard = threading.Event()

    def behave(peer: Peer) -> None:
        peer.start()
        peer.audio.append(peer.receive())  # type: ignore[arg-type]
        heard.set()
        peer.acknowledge()
        end = peer.take_audio()
        assert end == {"message": "EndOfStream", "last_seq_no": len(peer.audio)}
        peer.send(final("word"), END_OF_TRANSCRIPT)

    with serving(behave) as url, Microphone() as microphone, client_of(url) as client:
        call = InThread(client.transcribe, microphone)
        assert heard.wait(PATIENCE)
        microphone.stop()
        assert call.result().text == "word"
        assert microphone.read(100) == b""


def test_a_handler_may_stop_it(sound_server: SoundServer) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.audio.append(peer.receive())  # type: ignore[arg-type]
        peer.acknowledge()
        peer.send(final("stop"))
        peer.finish()

    with serving(behave) as url, Microphone() as microphone, client_of(url) as client:
        client.on("AddTranscript", lambda message: microphone.stop())
        assert client.transcribe(microphone).text == "stop"


def test_what_was_recorded_before_it_was_stopped_is_read(
    sound_server: SoundServer, spoken: Path
) -> None:
    with Microphone() as microphone:
        sound_server.play(spoken)
        microphone.stop()
        assert SPOKEN in microphone.read()


def test_reading_to_the_end_takes_whatever_comes(
    sound_server: SoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("speechmatics_sync._audio.microphone.KEPT_SECONDS", 0.1)
    with Microphone() as microphone:
        stopping = threading.Timer(0.5, microphone.stop)
        stopping.start()
        # More than is kept for a reader: how much comes in half a second, the machine decides.
        assert len(microphone.read()) > 2 * 16000 * 0.1
        assert microphone.overflows == 0
        stopping.join()


def test_one_session_after_another_may_read_it(sound_server: SoundServer) -> None:
    words = ScriptedRecognizer([("hello", 0.1, 0.2)])
    with LocalServer(recognizer=words) as server, Microphone() as microphone:
        for _ in range(2):
            with Client(url=server.url) as client:
                client.on("AddTranscript", lambda message, client=client: client.end_of_stream())
                assert client.transcribe(microphone).text == "hello."


def test_entering_its_block_again_loses_nothing(sound_server: SoundServer, spoken: Path) -> None:
    microphone = Microphone()
    microphone.read(2)
    sound_server.play(spoken)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(microphone)
        read_until_heard(microphone)
    with pytest.raises(AudioError, match="was stopped: make another"), microphone:
        pass


def test_dropping_it_releases_the_device(sound_server: SoundServer) -> None:
    microphone = Microphone()
    microphone.read(100)
    assert sound_server.recorders() == 1
    del microphone
    assert sound_server.recorders() == 0


def test_it_may_be_collected_in_the_thread_that_records(sound_server: SoundServer) -> None:
    """Closing waits for that thread, so that another one has to close."""
    collected_in: list[int] = []
    collected = threading.Lock()
    collected.acquire()

    def note() -> None:
        collected_in.append(threading.get_ident())
        collected.release()

    def in_a_circle() -> None:
        circle: list[Any] = [Microphone()]
        circle[0].read(100)
        circle.append(circle)
        weakref.finalize(circle[0], note)

    thresholds = gc.get_threshold()
    gc.disable()
    enable, acquire = gc.enable, collected.acquire
    try:
        in_a_circle()
        gc.set_threshold(1, 1, 1)
        enable()  # from here on, this thread makes no objects: it would collect them itself
        acquire(True, PATIENCE)
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()
    assert threading.get_ident() not in collected_in
    assert collected_in
    deadline = time.monotonic() + PATIENCE
    while sound_server.recorders():
        assert time.monotonic() < deadline, "the device is not released"


def test_closing_it_twice_and_stopping_it_after_that_is_no_error(
    sound_server: SoundServer,
) -> None:
    with Microphone() as microphone:
        microphone.close()
    microphone.stop()
    assert microphone.read()  # what was recorded until then
    assert microphone.read() == microphone.read(10) == b""


def test_one_that_was_stopped_before_it_was_used_says_so(sound_server: SoundServer) -> None:
    microphone = Microphone()
    microphone.close()
    with pytest.raises(AudioError, match="stopped before it was used"):
        microphone.read(100)


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_device_that_goes_away_is_an_error_after_what_it_recorded(
    sound_server: SoundServer,
) -> None:
    with Microphone() as microphone:
        microphone.read(100)
        sound_server.stop()
        assert microphone.read()
        with pytest.raises(AudioError, match="unplugged"):
            microphone.read(4096)


def test_a_source_that_is_removed_from_the_sound_server_is_an_error(
    sound_server: SoundServer,
) -> None:
    with Microphone() as microphone:
        microphone.read(100)
        sound_server.control("unload-module", "module-null-sink")
        microphone.read()
        with pytest.raises(AudioError, match="unplugged"):
            microphone.read(4096)
    sound_server.stop()


def test_unplugging_ends_a_session_with_an_error_that_has_the_transcript(
    sound_server: SoundServer,
) -> None:
    def behave(peer: Peer) -> None:
        peer.start()
        peer.receive()
        peer.send(final("before"))
        peer.take_audio(acknowledge=False)

    with serving(behave) as url, Microphone() as microphone, client_of(url) as client:
        client.on("AddTranscript", lambda message: sound_server.stop())
        with pytest.raises(AudioError, match="unplugged") as raised:
            client.transcribe(microphone)
    assert raised.value.transcript is not None
    assert raised.value.transcript.text == "before"


def test_sound_that_nobody_reads_is_lost_in_the_end_and_counted(
    sound_server: SoundServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("speechmatics_sync._audio.recording_devices.KEPT_SECONDS", 0.2)
    with Microphone() as microphone:
        deadline = time.monotonic() + PATIENCE
        while microphone.overflows < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)  # sound takes its time
        microphone.stop()
        assert len(microphone.read()) <= 2 * 16000 * 0.3
    (record,) = [each for each in caplog.records if "lost sound" in each.message]
    assert record.levelname == "WARNING"


def test_two_sessions_cannot_share_one(sound_server: SoundServer) -> None:
    with Microphone() as microphone:
        calls = [InThread(microphone.read) for _ in range(2)]
        with pytest.raises(AudioError, match="another thread"):
            calls[1].result()
        microphone.stop()
        assert calls[0].result()


# -- channels -------------------------------------------------------------------------------------


def test_each_channel_is_a_source_for_a_client_of_several(
    sound_server: SoundServer, tmp_path: Path
) -> None:
    sound_server.start(channels=2)
    write_wav(tmp_path / "call.wav", SPOKEN, OTHER)
    with Microphone(channels=2) as microphone:
        sources = split_channels(microphone, labels=["agent", "customer"])
        sound_server.play(tmp_path / "call.wav")
        microphone.stop()
        heard = {label: source.read() for label, source in sources.items()}
    assert SPOKEN in heard["agent"]
    assert OTHER in heard["customer"]
    with pytest.raises(AudioError, match="was split into its channels"):
        microphone.read(100)


def test_several_channels_are_mixed_for_a_client_of_one(
    sound_server: SoundServer, tmp_path: Path
) -> None:
    sound_server.start(channels=2)
    write_wav(tmp_path / "call.wav", SPOKEN, OTHER)
    with Microphone(channels=2) as microphone:
        sound_server.play(tmp_path / "call.wav")
        microphone.stop()
        heard = microphone.read()
    both = zip(memoryview(SPOKEN).cast("h"), memoryview(OTHER).cast("h"))
    assert array.array("h", [(one + other) // 2 for one, other in both]).tobytes() in heard


def test_a_session_of_several_channels_takes_a_microphone(sound_server: SoundServer) -> None:
    sound_server.start(channels=2)
    words = ScriptedRecognizer([("hello", 0.1, 0.3)])
    with LocalServer(recognizer=words, strict=True) as server, Microphone(channels=2) as microphone:
        client = MultiChannelClient(url=server.url)
        client.on("AddTranscript", lambda message: microphone.stop())
        with client:
            transcript = client.transcribe(split_channels(microphone))
    assert {turn.channel for turn in transcript.turns} <= {"1", "2"}
    assert "hello" in transcript.text.lower()


def test_more_channels_than_there_are_is_an_error(sound_server: SoundServer) -> None:
    many = Microphone.devices()[0].channels + 1
    with pytest.raises(AudioError, match=f"channels is {many}; allowed: 1 to {many - 1}"):
        Microphone(channels=many).read(100)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sample_rate": 10}, "sample_rate is 10"),
        ({"channels": 0}, "channels is 0"),
        (
            {"device": "no such device"},
            "device is 'no such device'; allowed: the index, or a part of",
        ),
        ({"device": 4711}, "device is 4711; allowed: the index, or .* of these: 0: "),
        ({"save": 5}, "save is 5; allowed: a path"),
        ({"save": True}, "save is True; allowed: a path"),
        ({"save": "x.mp3"}, "save is 'x.mp3'; allowed: a path that ends in .wav"),
        ({"device": " "}, "device is ' '; allowed: an index, a part of a name, or None"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(
    arguments: dict[str, Any], said: str, sound_server: SoundServer
) -> None:
    with pytest.raises((AudioError, ConfigurationError), match=said) as raised:
        Microphone(**arguments)
    assert isinstance(raised.value, ValueError)


# -- how loud it is -------------------------------------------------------------------------------


def test_the_level_tells_speech_from_silence(sound_server: SoundServer, spoken: Path) -> None:
    microphone = Microphone()
    assert (microphone.level.rms, microphone.level.peak) == (0.0, 0.0)
    with microphone:
        assert microphone.level.peak == 0.0
        with sound_server.playing(spoken):
            deadline = time.monotonic() + PATIENCE
            while microphone.level.peak < 0.1:
                assert time.monotonic() < deadline
                time.sleep(0.01)  # sound takes its time
            level = microphone.level
    assert 0.0 < level.rms < level.peak <= 1.0


# -- forks ----------------------------------------------------------------------------------------


def test_it_stays_in_the_process_that_opened_it(sound_server: SoundServer) -> None:
    with Microphone() as microphone:
        microphone.read(100)

        def child() -> None:
            with pytest.raises(AudioError, match="before a fork"):
                microphone.read(100)
            microphone.stop()
            microphone.close()

        in_child(child)
        assert microphone.read(100)


FORK = """
import os, sys
from speechmatics_sync import Microphone
microphone = Microphone()
microphone.read(100)
ended = set()
for _ in range(20):  # at one moment or another of the thread that records
    child = os.fork()
    if child == 0:
        sys.exit(7)  # with all that the interpreter does at its end
    _, status = os.waitpid(child, 0)
    ended.add(status)
print(*map(os.WEXITSTATUS, ended), len(microphone.read(100)))
"""


def test_a_child_that_ends_as_a_program_does_not_hang(sound_server: SoundServer) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ran.stdout.split() == ["7", "100"], ran.stderr


def test_it_cannot_be_sent_to_another_process(sound_server: SoundServer) -> None:
    with pytest.raises(TypeError, match="Microphone cannot be pickled"):
        pickle.dumps(Microphone())


@pytest.mark.speech
def test_what_is_said_into_it_is_transcribed(
    sound_server: SoundServer, recordings: list[Path]
) -> None:
    with LocalServer() as server, Client(url=server.url) as client, Microphone() as microphone:
        call = InThread(client.transcribe, microphone)
        sound_server.play(recordings[0])
        microphone.stop()
        heard = call.result().text
    assert_heard(heard, SENTENCES[0])
