"""Channels and messages become one stream: nothing is lost, nothing overtakes what it must not."""

from __future__ import annotations

from typing import Any, Optional, Union

import hypothesis
from hypothesis import strategies as st

from speechmatics_sync._protocol.multiplexer import (
    END_OF_CHANNEL,
    EndOfChannel,
    Multiplexer,
    Placed,
)

LABELS = ["a", "b", "c"]


def always(label: Optional[str]) -> bool:
    return True


def taken(multiplexer: Multiplexer[str]) -> list[tuple[Optional[str], Any]]:
    """Everything that comes out when every channel may send; messages as they were added."""
    out: list[tuple[Optional[str], Any]] = []
    while True:
        item = multiplexer.next(always)
        if item is None:
            return out
        label, content = item
        out.append((label, content.message if isinstance(content, Placed) else content))


def test_one_channel_is_a_queue() -> None:
    multiplexer: Multiplexer[str] = Multiplexer([None])
    multiplexer.add_audio(None, b"one")
    multiplexer.add_message("between")
    multiplexer.add_audio(None, b"two")
    multiplexer.end_channel(None)
    *sent, (_, end) = taken(multiplexer)
    assert sent == [(None, b"one"), (None, "between"), (None, b"two")]
    assert isinstance(end, EndOfChannel)


def test_the_channel_that_sent_least_goes_first() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(LABELS)
    for _ in range(3):
        for label in LABELS:
            multiplexer.add_audio(label, b"xx")
    assert [label for label, _ in taken(multiplexer)] == LABELS * 3


def test_a_channel_that_may_not_send_holds_up_no_other() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(["a", "b"])
    multiplexer.add_audio("a", b"1")
    multiplexer.add_audio("b", b"2")
    assert multiplexer.next(lambda label: label != "a") == ("b", b"2")
    assert multiplexer.next(lambda label: label != "a") is None
    assert multiplexer.next(always) == ("a", b"1")


def test_a_message_waits_for_audio_that_may_not_be_sent() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(["a", "b"])
    multiplexer.add_audio("a", b"1")
    multiplexer.add_message("m")
    multiplexer.add_audio("b", b"2")
    assert multiplexer.next(lambda label: label != "a") is None
    assert taken(multiplexer) == [("a", b"1"), (None, "m"), ("b", b"2")]


def test_an_end_needs_no_room() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(["a"])
    multiplexer.end_channel("a")
    item = multiplexer.next(lambda label: False)
    assert item is not None
    assert item[0] == "a"


def test_audio_waits_until_it_came_out() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(["a", "b"])
    multiplexer.add_audio("a", b"1")
    assert multiplexer.audio_waits("a")
    assert not multiplexer.audio_waits("b")
    multiplexer.next(always)
    assert not multiplexer.audio_waits("a")


# -- places --------------------------------------------------------------------------------------


def test_a_position_is_the_bytes_that_came_out_and_the_end_is_none_of_them() -> None:
    multiplexer: Multiplexer[str] = Multiplexer([None])
    multiplexer.add_audio(None, b"123")
    multiplexer.add_audio(None, b"45")
    multiplexer.end_channel(None)
    seen = []
    while True:
        seen.append(
            (multiplexer.position(None), multiplexer.size(None), multiplexer.finished(None))
        )
        if multiplexer.next(always) is None:
            break
    assert seen == [(0, 5, False), (3, 2, False), (5, 0, False), (5, 0, True)]


def test_a_message_that_came_out_says_where_it_stood() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(["a", "b"])
    multiplexer.add_audio("a", b"12")
    multiplexer.end_channel("a")
    multiplexer.add_audio("b", b"123")
    multiplexer.add_message("m")
    for _ in range(3):
        multiplexer.next(always)
    item = multiplexer.next(always)
    assert item is not None
    assert isinstance(item[1], Placed)
    assert item[1].after == {"a": 3, "b": 3}  # the end of a channel takes up one


# -- sending again -------------------------------------------------------------------------------


def test_audio_put_back_comes_out_again_before_what_waits_and_its_end_after_it_all() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(["a"])
    for chunk in (b"1", b"2", b"3"):
        multiplexer.add_audio("a", chunk)
    multiplexer.end_channel("a")
    taken(multiplexer)
    multiplexer.put_back_audio("a", [b"2", b"3"])
    assert (multiplexer.position("a"), multiplexer.size("a")) == (1, 2)
    assert not multiplexer.finished("a")
    assert taken(multiplexer) == [("a", b"2"), ("a", b"3"), ("a", END_OF_CHANNEL)]
    assert multiplexer.position("a") == 3


def test_an_end_that_still_waits_comes_once() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(["a"])
    multiplexer.add_audio("a", b"1")
    multiplexer.end_channel("a")
    multiplexer.next(always)
    multiplexer.put_back_audio("a", [b"1"])
    assert taken(multiplexer) == [("a", b"1"), ("a", END_OF_CHANNEL)]


def test_a_channel_begun_anew_counts_from_its_position() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(["a"])
    multiplexer.add_audio("a", b"1234")
    multiplexer.end_channel("a")
    taken(multiplexer)
    multiplexer.rewind("a", 2)
    assert multiplexer.position("a") == 2
    assert not multiplexer.audio_waits("a")
    assert not multiplexer.finished("a")
    multiplexer.add_audio("a", b"34")
    multiplexer.end_channel("a")
    assert taken(multiplexer) == [("a", b"34"), ("a", END_OF_CHANNEL)]
    assert multiplexer.position("a") == 4


def test_a_message_put_back_waits_for_its_audio_again() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(["a"])
    multiplexer.add_audio("a", b"1")
    multiplexer.add_message("first")
    multiplexer.add_audio("a", b"2")
    multiplexer.next(always)
    placed = multiplexer.next(always)
    assert placed is not None
    assert isinstance(placed[1], Placed)
    multiplexer.next(always)
    multiplexer.add_message("second")
    multiplexer.put_back_audio("a", [b"1", b"2"])
    multiplexer.put_back_messages([placed[1]])
    assert taken(multiplexer) == [("a", b"1"), (None, "first"), ("a", b"2"), (None, "second")]


def test_a_channel_begun_anew_is_awaited_by_the_message_behind_its_audio() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(["a", "b"])
    multiplexer.add_audio("a", b"1234")
    multiplexer.add_message("m")
    assert not multiplexer.is_awaited("a")
    multiplexer.rewind("a", 0)
    assert multiplexer.is_awaited("a")
    assert not multiplexer.is_awaited("b")
    multiplexer.add_audio("a", b"123")
    assert multiplexer.is_awaited("a")
    multiplexer.add_audio("a", b"4")
    assert not multiplexer.is_awaited("a")
    taken(multiplexer)
    multiplexer.rewind("a", 0)
    assert not multiplexer.is_awaited("a")


def test_a_message_waits_for_no_audio_that_will_never_come() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(["a", "b"])
    multiplexer.add_audio("a", b"1234")
    multiplexer.end_channel("a")
    multiplexer.add_message("m")
    taken_before = multiplexer.next(always), multiplexer.next(always)
    assert taken_before == (("a", b"1234"), ("a", END_OF_CHANNEL))
    multiplexer.rewind("a", 0)  # the source is to be read again, and proves shorter
    multiplexer.add_audio("a", b"12")
    multiplexer.end_channel("a")
    multiplexer.add_audio("b", b"5")
    assert taken(multiplexer) == [
        ("a", b"12"),
        ("a", END_OF_CHANNEL),
        (None, "m"),
        ("b", b"5"),
    ]


@hypothesis.given(data=st.data())
def test_what_is_put_back_keeps_its_place(data: st.DataObject) -> None:
    multiplexer: Multiplexer[int] = Multiplexer(LABELS)
    chunks: dict[str, list[bytes]] = {label: [] for label in LABELS}
    for number in range(data.draw(st.integers(0, 12), label="how much is added")):
        for label in data.draw(st.sets(st.sampled_from(LABELS)), label="audio of"):
            chunks[label].append(bytes([number]) * data.draw(st.integers(1, 3)))
            multiplexer.add_audio(label, chunks[label][-1])
        if data.draw(st.booleans(), label="a message"):
            multiplexer.add_message(number)
    for label in data.draw(st.sets(st.sampled_from(LABELS)), label="ended"):
        multiplexer.end_channel(label)

    came: dict[str, list[bytes]] = {label: [] for label in LABELS}
    said: list[Placed[int]] = []

    def take() -> bool:
        item = multiplexer.next(always)
        if item is None:
            return False
        label, content = item
        if isinstance(content, Placed):
            assert {name: multiplexer.position(name) for name in LABELS} == {
                # A channel's end takes up one, and is no audio.
                name: min(place, sum(map(len, chunks[name])))
                for name, place in content.after.items()
            }
            said.append(content)
        elif isinstance(content, bytes):
            assert label is not None
            came[label].append(content)
        return True

    for _ in range(data.draw(st.integers(0, 3), label="losses")):
        for _ in range(data.draw(st.integers(0, 40), label="comes out before the loss")):
            take()
        # Everything is put back to where each message stood, or to the start.
        keep = data.draw(st.integers(0, len(said)), label="messages that were answered")
        places = dict.fromkeys(LABELS, 0) if keep == 0 else dict(said[keep - 1].after)
        for label in LABELS:
            back: list[bytes] = []
            while came[label] and sum(map(len, came[label][:-1])) >= places[label]:
                back.insert(0, came[label].pop())
            multiplexer.put_back_audio(label, back)
        multiplexer.put_back_messages(said[keep:])
        del said[keep:]
    while take():
        pass
    assert came == chunks
    assert [placed.message for placed in said] == sorted(placed.message for placed in said)
    assert not any(multiplexer.audio_waits(label) for label in LABELS)


Step = Union[tuple[str, bytes], str, None]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(LABELS), st.binary(min_size=1, max_size=9)),
        st.text(min_size=1, max_size=3),
        st.none(),  # something is taken out
    ),
    max_size=60,
)


@hypothesis.given(steps=STEPS, blocked=st.lists(st.sets(st.sampled_from(LABELS)), max_size=60))
def test_everything_comes_out_once_and_in_order(steps: list[Step], blocked: list[set[str]]) -> None:
    multiplexer: Multiplexer[tuple[str, dict[str, int]]] = Multiplexer(LABELS)
    added: dict[str, list[bytes]] = {label: [] for label in LABELS}
    messages: list[str] = []
    came: dict[str, list[bytes]] = {label: [] for label in LABELS}
    said: list[str] = []

    def take(held: set[str]) -> bool:
        item = multiplexer.next(lambda label: label not in held)
        if item is None:
            return False
        label, content = item
        if label is None:
            assert isinstance(content, Placed)
            text, before = content.message
            said.append(text)
            # All audio that was added before it, and none that was added after it.
            assert {name: len(chunks) for name, chunks in came.items()} == before
        else:
            assert isinstance(content, bytes)
            assert label not in held
            came[label].append(content)
        return True

    holds = iter(blocked)
    for step in steps:
        if step is None:
            take(next(holds, set()))
        elif isinstance(step, str):
            messages.append(step)
            multiplexer.add_message((step, {name: len(chunks) for name, chunks in added.items()}))
        else:
            added[step[0]].append(step[1])
            multiplexer.add_audio(*step)
    while take(set()):
        pass
    assert came == added
    assert said == messages


@hypothesis.given(
    sizes=st.dictionaries(
        st.sampled_from(LABELS),
        st.lists(st.integers(1, 50), min_size=1, max_size=20),
        min_size=2,
    )
)
def test_no_channel_gets_ahead_by_more_than_a_chunk(sizes: dict[str, list[int]]) -> None:
    multiplexer: Multiplexer[str] = Multiplexer(sizes)
    left = {label: sum(chunks) for label, chunks in sizes.items()}
    for label, chunks in sizes.items():
        for size in chunks:
            multiplexer.add_audio(label, bytes(size))
    sent = dict.fromkeys(sizes, 0)
    for label, chunk in taken(multiplexer):
        assert label is not None
        ready = [other for other in sizes if left[other] > sent[other]]
        assert sent[label] == min(sent[other] for other in ready)
        sent[label] += len(chunk)
    assert sent == left


def test_it_says_whether_anything_waits_be_it_a_message_alone() -> None:
    multiplexer: Multiplexer[str] = Multiplexer(LABELS)
    assert not multiplexer.any_waits()
    multiplexer.add_message("alone")
    assert multiplexer.any_waits()
    assert taken(multiplexer) == [(None, "alone")]
    multiplexer.add_audio("c", b"x")
    assert multiplexer.any_waits()
    assert taken(multiplexer) == [("c", b"x")]
    assert not multiplexer.any_waits()


def test_messages_that_are_put_back_come_before_all_that_wait() -> None:
    multiplexer: Multiplexer[str] = Multiplexer([None])
    for message in ("first", "second", "third"):
        multiplexer.add_message(message)
    _, first = multiplexer.next(always) or (None, None)
    assert isinstance(first, Placed)
    multiplexer.put_back_messages([first])
    assert taken(multiplexer) == [(None, "first"), (None, "second"), (None, "third")]
