"""What waits for handlers is bounded."""

from __future__ import annotations

import threading

from speechmatics_sync._session.inbox import Inbox


def test_endless_partials_that_nobody_handles_take_no_room() -> None:
    """They never fill the queue, so that reading goes on for ever: nor may they fill memory."""
    lock = threading.RLock()
    inbox = Inbox(lock, 8, lambda: None, lambda call: call())
    with lock:
        for number in range(100_000):
            inbox.put({"message": "AddPartialTranscript", "number": number, "results": []})
    assert len(inbox) == 5
    assert len(inbox._messages) == 5
    assert len(inbox._partials) == 1
