"""The audio of a session: what is given up, and what another connection is sent again."""

from __future__ import annotations

from typing import Any

import pytest
from support.protocol.session_legs import (
    SECOND,
    added,
    channel_final,
    delivered,
    hear,
    leg_of,
    push,
    read,
    replaced,
    replay,
    second,
    sent,
    session,
)
from support.serving import STARTED, final

from speechmatics_sync import AudioFormat
from speechmatics_sync._protocol.events import Settled
from speechmatics_sync._protocol.session import Protocol
from speechmatics_sync._protocol.timeline import Replay

FILE = AudioFormat()


def test_before_any_audio_nothing_is_sent_again() -> None:
    protocol = session()
    assert protocol.succession.replay == replay(0.0, 0.0)
    replaced(protocol)
    assert protocol.succession.replay == replay(0.0, 0.0)


def test_of_a_file_nobody_knows_how_many_seconds_are_sent_again() -> None:
    protocol = session(audio_format=FILE, pushed=False)
    protocol.channels[None].rereadable = True
    protocol.refill(b"a file")
    sent(protocol)
    replaced(protocol)
    assert protocol.succession.replay == Replay(None, None)


def test_audio_that_finals_cover_is_given_up_and_that_is_told() -> None:
    protocol = session()
    push(protocol, *range(9))
    read(protocol)
    channel = protocol.channels[None]
    assert channel.retained_from(0, 9 * SECOND) == 0
    assert Settled() in hear(protocol, final("word", 6.0, 7.0))
    assert channel.retained_from(0, 9 * SECOND) > 4 * SECOND
    assert Settled() not in hear(protocol, final("word", 6.0, 7.0))


@pytest.mark.parametrize(("languages", "starts"), [([], [7, 1]), (["de"], [1, 1])])
def test_with_translation_all_channels_begin_again_at_one_time(
    languages: list[str], starts: list[int]
) -> None:
    protocol = session("a", "b", languages=languages)
    for label in ("a", "b"):
        push(protocol, *range(9), label=label)
    read(protocol)
    hear(protocol, channel_final("a", "word", 7.5, 8.0))
    hear(protocol, channel_final("b", "word", 1.5, 2.0))
    sentence = {"content": "Wort", "start_time": 7.5, "end_time": 8.0}
    hear(protocol, {"message": "AddTranslation", "language": "de", "results": [sentence]})
    leg = replaced(protocol)
    assert [channel.start // SECOND for channel in leg.channels.values()] == starts


def cut_soon(protocol: Protocol) -> tuple[Any, Any]:
    """The connection that is ended in the middle of a word, and the next one."""
    protocol.succession.seek_cut()
    old, new = leg_of(protocol), protocol.succession.new_leg()
    new.connected()
    protocol.receive(new, STARTED)
    protocol.succession.end_leg()
    protocol.succession.enter(new)
    return old, new


def test_a_connection_that_is_cut_soon_leaves_all_of_its_audio_to_the_next() -> None:
    protocol = session()
    replaced(protocol)
    chunk = second(0)[: SECOND // 2]
    protocol.add_audio(chunk)
    sent(protocol)
    old, new = cut_soon(protocol)
    assert new.channels[None].start == 0
    assert sent(protocol)[-1] == chunk
    hear(protocol, added(1), old)
    assert delivered(hear(protocol, final("word", 0.1, 0.3), old)) == []
