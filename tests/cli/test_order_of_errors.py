"""Errors name what the user named, and what costs nothing to look at comes first."""

from __future__ import annotations

import os
import signal
from typing import Callable

import pytest
from support.cli.commands import Place, Ran
from support.serving import Peer, final, serving

from speechmatics_sync.local import LocalServer

Call = Callable[..., Ran]


@pytest.mark.parametrize("words", [["none.wav"], ["--channels", "a=talk.wav,b=none.wav"]])
def test_a_missing_file_is_named_before_a_missing_key(
    words: list[str], place: Place, call: Call
) -> None:
    place.talk()
    ran = call("transcribe", *words)
    said = "speechmatics-sync: the file 'none.wav' cannot be read: No such file or directory"
    assert (ran.code, ran.err) == (5, f"{said} (looked for from {os.getcwd()!r})\n")
    assert call("transcribe", "talk.wav").code == 3


def test_channels_that_a_file_does_not_have(
    place: Place, call: Call, counting: LocalServer
) -> None:
    place.talk()
    ran = call("transcribe", "talk.wav", "--channels", "a,b", "--url", counting.url)
    said = "the file 'talk.wav' has one channel, and 2 were named (a, b): transcribe it without"
    assert (ran.code, f"{said} --channels\n" in ran.err) == (2, True), ran


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["-v.wav"], "-v.wav"),
        (["-q", "-vv.wav", "talk.wav"], "-vv.wav"),
        (["-x"], "-x"),
        (["talk.wav", "-o", "-v.txt"], "-v.txt"),
    ],
)
def test_a_name_that_is_taken_for_a_flag(
    words: list[str], name: str, place: Place, call: Call
) -> None:
    place.talk("-x")
    ran = call("transcribe", *words)
    assert f": {name} is taken for a flag: write ./{name} for" in ran.err, ran
    assert ran.code == 2


@pytest.mark.parametrize("words", [["-y"], ["talk.wav", "-vy"], ["a.wav", "--max-delay", "-0.5"]])
def test_what_is_no_name_is_not_taken_for_one(words: list[str], call: Call) -> None:
    ran = call("transcribe", *words)
    assert (ran.code, "taken for a flag" in ran.err) == (2, False), ran


def test_sigterm_ends_in_good_order(place: Place, call: Call) -> None:
    """What was said is transcribed and saved, as with Ctrl-C, under the name of a part."""

    def behave(peer: Peer) -> None:
        peer.start()
        peer.audio.append(peer.receive())  # the session has started for the client too
        peer.acknowledge()
        os.kill(os.getpid(), signal.SIGTERM)
        peer.take_audio()
        peer.send(final("said"), {"message": "EndOfTranscript"})

    place.talk()
    before = signal.getsignal(signal.SIGTERM)
    with serving(behave) as url:
        ran = call("transcribe", "talk.wav", "--realtime", "--url", url, "-o", "out/")
    assert (ran.code, ran.err) == (
        143,
        "speechmatics-sync: finishing; Ctrl-C again leaves at once\n",
    ), ran
    assert (place.path / "out" / "talk.partial.txt").read_text() == "said\n"
    assert signal.getsignal(signal.SIGTERM) is before
