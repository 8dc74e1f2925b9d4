"""A Retry-After header is seconds or a date, and anything else says nothing."""

from __future__ import annotations

import email.utils
import time
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechmatics_sync._transport.retry_after import http_date, seconds_to_wait

NOON = "Sun, 06 Nov 1994 08:49:37 GMT"
NOON_SECONDS = 784111777.0


@pytest.mark.parametrize(("value", "seconds"), [("0", 0), ("120", 120), (" 7 ", 7), ("007", 7)])
def test_digits_are_seconds(value: str, seconds: float) -> None:
    assert seconds_to_wait(value) == seconds


@pytest.mark.parametrize("value", ["", "soon", "-1", "+1", "1.5", "1e3", "٣", "9" * 10, "nan"])
def test_what_is_neither_seconds_nor_a_date_says_nothing(value: str) -> None:
    assert seconds_to_wait(value) is None


def test_a_date_is_counted_from_the_servers_own_clock() -> None:
    assert seconds_to_wait(NOON, date=NOON_SECONDS - 30) == 30


def test_a_date_that_has_passed_is_now() -> None:
    assert seconds_to_wait(NOON, date=NOON_SECONDS + 30) == 0
    assert seconds_to_wait(NOON) == 0


def test_without_the_servers_clock_ours_counts() -> None:
    wait = seconds_to_wait(email.utils.formatdate(time.time() + 1000, usegmt=True))
    assert wait is not None
    assert 900 < wait <= 1000


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        (NOON, NOON_SECONDS),
        ("Sunday, 06-Nov-94 08:49:37 GMT", NOON_SECONDS),  # RFC 850, which RFC 9110 has us take
        (None, None),
        ("", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 9999999 08:49:37 GMT", None),
    ],
)
def test_an_http_date_is_a_moment(words: Optional[str], seconds: Optional[float]) -> None:
    assert http_date(words) == seconds


@given(st.text(max_size=40) | st.from_regex(r"\w{3}, \d{1,3} \w{3} \d{1,6} \d\d?:\d\d:\d\d( \S+)?"))
def test_whatever_a_server_writes_is_a_time_to_wait_or_nothing(value: str) -> None:
    wait = seconds_to_wait(value, date=0.0)
    assert wait is None or wait >= 0
