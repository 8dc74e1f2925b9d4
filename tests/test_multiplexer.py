"""Channels and messages become one stream: nothing is lost, nothing overtakes what it must not."""

from __future__ import annotations

from typing import Any, Optional, Union

import hypothesis
from hypothesis import strategies as st

from speechmatics_sync.multiplexer import EndOfChannel, Multiplexer

LABELS = ["a", "b", "c"]
SENT = dict[Optional[str], list[bytes]]


def always(label: Optional[str]) -> bool:
    return True


def taken(multiplexer: Multiplexer[str]) -> list[tuple[Optional[str], Any]]:
    """Everything that comes out when every channel may send."""
    out = []
    while True:
        item = multiplexer.next(always)
        if item is None:
            return out
        out.append(item)


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
            text, before = content  # type: ignore[misc]
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
