"""A channel's audio, counted from its start: what is kept of it, given up, and sent again."""

from __future__ import annotations

import gc
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechmatics_sync._protocol.channel import LEAD_SECONDS, Channel, LegChannel

RATE = 100
SIZE = 2
SECOND = RATE * SIZE
AUDIO = bytes(range(256)) * 8


def channel_of(replay_seconds: Optional[float] = 300.0, *, rereadable: bool = False) -> Channel:
    channel = Channel(SIZE, RATE, replay_seconds)
    channel.rereadable = rereadable
    return channel


def sent(channel: Channel, *sizes: int) -> int:
    """Take and send the next chunks of `AUDIO`; return where they end."""
    position = channel.bytes_filled
    for size in sizes:
        chunk = channel.take(AUDIO[position : position + size])
        channel.send(channel.next_number, position, chunk)
        position += size
    return position


# -- taking -------------------------------------------------------------------------------------


@given(pieces=st.lists(st.binary(max_size=9), max_size=12), size=st.sampled_from([1, 2, 4]))
def test_whole_samples_are_taken_and_half_ones_wait(pieces: list[bytes], size: int) -> None:
    channel = Channel(size, RATE)
    taken = b"".join(map(channel.take, pieces))
    whole = b"".join(pieces)
    assert taken == whole[: len(whole) // size * size]
    assert channel.bytes_taken == channel.bytes_filled == len(taken)
    assert channel.wanted == len(whole)
    assert channel.drop_half_sample() == len(whole) % size
    assert channel.wanted == len(taken)


def test_a_file_has_no_samples() -> None:
    channel = Channel(None, None)
    assert channel.take(b"123") == b"123"
    assert channel.seconds(3) is None
    assert channel.position_at(7.0) == 0


def test_audio_is_taken_without_a_connection_until_too_much_is_unacknowledged() -> None:
    channel = channel_of(1.0)
    assert channel.takes_more()
    sent(channel, SECOND - SIZE)
    assert channel.takes_more()
    position = sent(channel, SIZE)
    assert not channel.takes_more()
    channel.acknowledge(1, position - SIZE)
    assert channel.takes_more()


@pytest.mark.parametrize(
    "channel", [Channel(SIZE, RATE), Channel(None, None, 300.0)], ids=["nothing is kept", "a file"]
)
def test_audio_that_could_not_be_kept_is_not_taken_without_a_connection(channel: Channel) -> None:
    assert not channel.takes_more()


# -- acknowledgements ---------------------------------------------------------------------------


def test_an_acknowledgement_counts_up() -> None:
    channel = channel_of()
    sent(channel, 10, 10, 10)
    assert channel.acknowledge(2, 20)
    assert (channel.acknowledged, channel.bytes_acknowledged) == (2, 20)
    assert not channel.acknowledge(2, 20)
    assert not channel.acknowledge(1, 10)  # of audio that was sent again
    assert (channel.acknowledged, channel.bytes_acknowledged) == (2, 20)
    assert channel.acknowledge(3, 30)


# -- what is retained ---------------------------------------------------------------------------


def test_what_was_sent_comes_back_from_any_position() -> None:
    for position in range(0, 32, SIZE):
        channel = channel_of()
        sent(channel, 10, 2, 20)
        assert b"".join(channel.take_back(position)) == AUDIO[position:32]


def test_what_is_settled_is_given_up() -> None:
    channel = channel_of()
    sent(channel, 10, 10, 10)
    channel.release(10)
    assert channel.retained_from(0, 30) == 10
    channel.release(19)  # a chunk is given up as a whole
    assert channel.retained_from(0, 30) == 10
    channel.release(30)
    assert channel.retained_from(0, 30) == 30
    assert channel.take_back(30) == []


def test_what_is_retained_covers_what_is_wanted() -> None:
    channel = channel_of()
    sent(channel, 10, 10)
    channel.release(10)
    assert channel.retained_from(14, 20) == 14


def test_audio_is_sent_again_from_the_oldest_retained_or_from_wherever_it_can_be_read() -> None:
    channel = channel_of()
    sent(channel, 10, 10)
    channel.send(9, 20, AUDIO[20:30])  # numbered anew, so kept apart
    channel.release(10)
    assert channel.retained_from(0, 30) == 10
    channel.release(30)
    assert channel.retained_from(0, 30) == 30
    again = channel_of(rereadable=True)
    sent(again, 10, 10)
    again.release(20)
    assert again.retained_from(4, 20) == 4


@pytest.mark.parametrize(("settled", "left"), [(True, 30), (False, 0)])
def test_what_is_settled_is_given_up_when_the_rest_is_sent_again(settled: bool, left: int) -> None:
    channel = channel_of()
    sent(channel, 10, 10, 10)
    assert b"".join(channel.take_back(20, settled=settled)) == AUDIO[20:30]
    assert channel.retained_from(0, 30) == left
    channel.send(3, 20, AUDIO[20:30])
    assert b"".join(channel.take_back(0)) == AUDIO[min(left, 20) : 30]


def test_audio_is_taken_at_once_where_nothing_is_left_over_and_nothing_is_sent_again() -> None:
    channel = channel_of()
    assert channel.takes_at_once(2)
    assert not channel.takes_at_once(0)
    assert not channel.takes_at_once(3)
    channel.take(AUDIO[:3])
    assert not channel.takes_at_once(2)  # half a sample waits
    channel.take(AUDIO[3:4])
    assert channel.takes_at_once(2)
    channel.send(1, 0, AUDIO[:4])
    channel.take_back(0)
    assert not channel.takes_at_once(2)
    channel.behind = False
    assert channel.takes_at_once(2)
    channel.ended = True
    assert not channel.takes_at_once(2)
    again = channel_of(rereadable=True)
    sent(again, 10)
    again.take_back(0)
    again.behind = False
    assert not again.takes_at_once(2)  # it is read again


def test_a_legs_audio_is_counted_as_it_is_acknowledged() -> None:
    leg = LegChannel()
    for size in (10, 20, 30, 40):
        leg.send(bytes(size))
    told = []
    for number in (1, 2, 4):
        leg.acknowledge(number)
        told.append((leg.acknowledged_until, leg.sent_until, leg.unacknowledged))
    assert told == [(10, 100, 3), (30, 100, 2), (100, 100, 0)]


def test_no_more_is_retained_than_was_agreed_and_the_oldest_acknowledged_goes_first() -> None:
    channel = channel_of(0.5)
    for number in range(1, 11):
        position = sent(channel, SECOND // 10)
        channel.acknowledge(number, position)
    assert channel.retained_from(0, position) == position - SECOND // 2


def test_what_the_server_has_not_read_is_retained_whatever_was_agreed() -> None:
    channel = channel_of(0.5)
    position = sent(channel, *[SECOND // 10] * 10)
    assert channel.retained_from(0, position) == 0
    channel.acknowledge(3, 3 * SECOND // 10)
    position = sent(channel, SECOND // 10)
    assert channel.retained_from(0, position) == 3 * SECOND // 10


def test_replay_of_no_seconds_retains_what_is_unacknowledged() -> None:
    channel = channel_of(0)
    sent(channel, 10)
    channel.acknowledge(1, 10)
    sent(channel, 10)
    assert channel.retained_from(0, 20) == 10


@pytest.mark.parametrize("rereadable", [False, True])
def test_however_much_is_retained_the_garbage_collector_has_nothing_more_to_look_at(
    rereadable: bool,
) -> None:
    channel = channel_of(rereadable=rereadable)
    sent(channel, 2 * SIZE)
    channel.next_number = 7  # sent over another connection, so kept apart from the first
    sent(channel, SIZE)
    gc.collect()
    before = len(gc.get_objects())
    sent(channel, *[SIZE] * 100)
    gc.collect()
    assert len(gc.get_objects()) < before + 50
    assert channel.retained_from(0, 103 * SIZE) == 0


def test_chunks_of_different_sizes_are_found_by_their_places() -> None:
    channel = channel_of()
    position = sent(channel, 10, 20, 30)
    assert channel.chunk_start(29, position) == 10
    assert channel.chunk_start(30, position) == 30
    assert channel.take_back(30, settled=False) == [AUDIO[30:60]]
    assert channel.next_number == 3
    assert b"".join(channel.take_back(4)) == AUDIO[4:30]


def test_of_chunks_of_different_sizes_each_is_given_up_at_its_own_end() -> None:
    channel = channel_of()
    sent(channel, 10, 2)
    channel.release(4)
    assert channel.take_back(4) == [AUDIO[4:10], AUDIO[10:12]]
    channel = channel_of(rereadable=True)
    sent(channel, 4, 4, 2, 2)
    assert channel.chunk_start(10, 12) == 10


@pytest.mark.parametrize("rereadable", [True, False])
def test_what_was_given_up_once_is_not_given_up_again(rereadable: bool) -> None:
    channel = channel_of(rereadable=rereadable)
    sent(channel, 10, 10, 10)
    channel.release(20)
    channel.release(0)  # a language that is translated after all may settle less than before
    assert channel.chunk_start(0, 30) == 20


def test_without_recovery_nothing_is_retained() -> None:
    channel = channel_of(None)
    sent(channel, 10)
    assert channel.take_back(0) == []
    assert channel.retained_from(0, 10) == 10


def test_of_a_file_that_is_not_read_again_nothing_is_retained() -> None:
    channel = Channel(None, None, 300.0)
    channel.send(1, 0, channel.take(b"abc"))
    assert channel.take_back(0) == []


# -- sources that are read again ----------------------------------------------------------------


def test_of_a_source_that_is_read_again_only_places_are_retained() -> None:
    channel = channel_of(0.1, rereadable=True)
    for number in range(1, 1001):
        channel.acknowledge(number, sent(channel, 2))
    assert channel.retained_from(0, 2000) == 0
    assert channel.take_back(200) == []
    assert channel.next_number == 101


def test_a_source_that_is_read_again_gives_its_audio_from_the_position_on() -> None:
    channel = channel_of(rereadable=True)
    sent(channel, 20, 20)
    channel.take(b"\0")  # half a sample, which is read again as well
    channel.take_back(30)
    assert channel.refilling
    assert (channel.wanted, channel.bytes_taken) == (30, 40)
    assert sent(channel, 10) == 40
    assert not channel.refilling
    assert sent(channel, 10) == channel.bytes_taken == 50


def test_a_source_that_has_grown_since_ends_where_it_did() -> None:
    channel = channel_of(rereadable=True)
    sent(channel, 20)
    channel.ended = True
    channel.take_back(10)
    assert channel.take(AUDIO[10:30]) == AUDIO[10:20]
    assert channel.bytes_taken == 20
    assert channel.take(AUDIO[20:30]) == b""


def test_a_source_that_cannot_be_read_again_ends_where_it_came_to() -> None:
    channel = channel_of(rereadable=True)
    sent(channel, 20)
    channel.take_back(0)
    sent(channel, 8)
    channel.give_up_refill()
    assert channel.bytes_taken == 8
    assert not channel.refilling
    assert not channel.rereadable


# -- numbers ------------------------------------------------------------------------------------

SIZES = st.lists(st.integers(1, 4).map(lambda samples: samples * SIZE), min_size=1, max_size=30)


@given(sizes=SIZES, again=st.data(), rereadable=st.booleans())
def test_a_chunk_sent_again_has_the_number_it_had(
    sizes: list[int], again: st.DataObject, rereadable: bool
) -> None:
    channel = channel_of(rereadable=rereadable)
    end = sent(channel, *sizes)
    number_at = [number for number, size in enumerate(sizes, 1) for _ in range(size)]
    number_at.append(len(sizes) + 1)
    start = 0
    for _ in range(again.draw(st.integers(1, 3))):
        start = position = again.draw(st.integers(start // SIZE, end // SIZE)) * SIZE
        chunks = channel.take_back(start)
        assert channel.next_number == number_at[start]
        if rereadable:
            return  # it is read in other pieces, and they have numbers of their own
        for chunk in chunks:
            assert chunk == AUDIO[position : position + len(chunk)]
            channel.send(channel.next_number, position, chunk)
            position += len(chunk)
        assert position == end
        assert channel.sent == len(sizes)


@given(equal=st.integers(1, 50), settled=st.integers(0, 200), position=st.integers(0, 100))
def test_runs_of_equal_chunks_are_told_apart(equal: int, settled: int, position: int) -> None:
    channel = channel_of(rereadable=True)
    end = sent(channel, *[4] * equal, 2, *[4] * equal)
    wanted = min(max(position * SIZE, settled), end)
    channel.release(settled)
    channel.take_back(wanted)
    numbers = [*range(1, equal + 1)], equal + 1, [*range(equal + 2, 2 * equal + 2)]
    number_at = [n for n in numbers[0] for _ in range(4)] + [numbers[1]] * 2
    number_at += [n for n in numbers[2] for _ in range(4)] + [2 * equal + 2]
    assert channel.next_number == number_at[wanted]


def test_chunks_that_are_sent_again_are_not_counted_again() -> None:
    channel = channel_of()
    sent(channel, 10, 10, 10)
    for chunk in channel.take_back(10):
        channel.send(channel.next_number, 10, chunk)
        assert channel.sent == 3


def test_what_is_read_again_in_other_pieces_is_numbered_from_where_it_was_taken_back() -> None:
    channel = channel_of(rereadable=True)
    sent(channel, *[4] * 5)
    channel.take_back(8, settled=False)
    sent(channel, 2, 2, 2)
    assert channel.chunk_start(7, 14) == 4
    channel.take_back(12)
    assert channel.next_number == 5


def test_audio_from_before_what_is_retained_has_the_number_of_the_oldest_chunk() -> None:
    channel = channel_of(rereadable=True)
    sent(channel, *[4] * 5)
    channel.release(8)
    assert channel.chunk_start(3, 20) == 8
    channel.take_back(3)
    assert channel.next_number == 3


def test_a_loss_before_anything_was_sent_again_changes_no_number() -> None:
    channel = channel_of()
    sent(channel, 10, 10, 10)
    channel.take_back(10)
    assert channel.next_number == 2
    channel.take_back(10)
    assert channel.next_number == 2


def test_numbers_go_on_behind_what_is_settled() -> None:
    channel = channel_of()
    sent(channel, 10, 10)
    channel.release(20)
    channel.take_back(20)
    assert channel.next_number == 3


# -- where to begin again -----------------------------------------------------------------------


@given(steps=st.integers(0, 10**6), rate=st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000]))
def test_audio_begins_again_at_a_sample_and_at_the_very_moment(steps: int, rate: int) -> None:
    # Sessions begin anew at multiples of 0.2 s.
    channel = Channel(4, rate)
    position = channel.position_at(steps / 5)
    assert position % 4 == 0
    assert position * 5 == steps * rate * 4
    assert channel.seconds(position) == steps / 5


@given(seconds=st.floats(0, 10**5), rate=st.sampled_from([8000, 11025, 44100]))
def test_audio_begins_again_no_later_than_wanted(seconds: float, rate: int) -> None:
    channel = Channel(2, rate)
    begins = channel.seconds(channel.position_at(seconds))
    assert begins is not None
    assert seconds - 0.11 < begins <= seconds


# -- beside other channels ----------------------------------------------------------------------


def test_a_channel_leads_one_that_has_audio_and_none_that_has_not() -> None:
    ahead, behind = channel_of(), channel_of()
    ahead.take(bytes(3 * SECOND))
    assert ahead.lead(behind, now=100.0) == 3 * SECOND > ahead.most_lead
    assert behind.lead(ahead, now=100.0) < 0
    assert ahead.most_lead == LEAD_SECONDS * SECOND
    behind.read_since = 99.99
    assert ahead.lead(behind, now=100.0) > 0
    behind.read_since = 99.0  # a source that gives nothing is not waited for
    assert ahead.lead(behind, now=100.0) == 0


def test_channels_of_files_stay_together_as_well() -> None:
    ahead, behind = Channel(None, None), Channel(None, None)
    for size, is_far in ((32 * 1024, False), (100 * 1024, True)):
        ahead.take(bytes(size))
        assert (ahead.lead(behind, now=0.0) > ahead.most_lead) is is_far


def test_a_channel_that_has_ended_is_waited_for_only_while_it_is_read_again() -> None:
    ahead, behind = channel_of(), channel_of(rereadable=True)
    ahead.take(bytes(3 * SECOND))
    sent(behind, SECOND)
    behind.ended = True
    assert ahead.lead(behind, now=0.0) == 0
    behind.take_back(0)
    assert ahead.lead(behind, now=0.0) == 3 * SECOND
