"""What fails in one of the sessions that share a thread costs no other."""

from __future__ import annotations

from typing import Any

import pytest
from support.serving import PATIENCE, serving
from support.sessions import RAW, client_of, speech
from support.sharing import (
    Speaking,
    others_go_on,
    pushed_beside,
)

from speechmatics_sync import ConnectionError


def full(message: Any) -> None:
    raise MemoryError


def test_what_one_session_has_no_memory_for_costs_no_other() -> None:
    """In the middle of a message, so that nobody knows what was made of it."""
    with serving(Speaking()) as url, pushed_beside(url), client_of(url) as client:
        client.start_session(audio_format=RAW)
        client.send_audio(speech(0.1))
        client.transcript.add = full  # type: ignore[method-assign]
        with pytest.raises(ConnectionError, match="No memory is left") as raised:
            client.stop_session(timeout=PATIENCE)
        assert raised.value.request_id == client.request_id
        others_go_on(url)
