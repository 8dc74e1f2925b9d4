"""Whether a session that has lost its connection makes another, and after how long.

No clock: it is told what happened, and says how many seconds to wait.

What is tried again:

- After the first RecognitionStarted, whatever kept the session from a connection, save what no
  repetition can change: a refused key, a refused configuration.
- Before it, the loss of a connection that was open, a server that had no room (4005, 4013, 1011),
  and an answer of 429, 502, 503 or 504 in the handshake. A server that does not start the session
  in time is asked once more.
- What the user pays for in waiting is bounded: ``max_attempts`` without progress, and progress is
  settled audio.
"""

from __future__ import annotations

import random
from typing import Callable, Optional

from .._model.config import ReconnectPolicy
from .._transport.retry_after import seconds_to_wait
from ..errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    ProxyError,
    SpeechmaticsError,
    TimeoutError,
    TranscriptionError,
)

__all__ = ["Recovery", "given_up"]

_PASSING = frozenset({429, 502, 503, 504})
"""Statuses of a handshake that say to try later."""


class Recovery:
    """Counts the attempts of one session.

    Args:
        policy: The user's; None never tries again.
        spread: Takes the bounds of a random number, so that many clients that lost their server
            together come back apart.
    """

    def __init__(
        self,
        policy: Optional[ReconnectPolicy],
        *,
        spread: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._policy = policy
        self._spread = spread
        self.attempts = 0
        """Attempts since there was progress."""

    def progress(self) -> None:
        """Note that audio was settled."""
        self.attempts = 0

    def delay(
        self, error: SpeechmaticsError, *, opened: bool, begun: bool, busy: bool = False
    ) -> Optional[float]:
        """Return for how many seconds to wait before the next attempt; None if there is none.

        Args:
            error: What ended the last connection, or the attempt to make it.
            opened: Whether there was a connection.
            begun: Whether the session has ever started.
            busy: Whether the server had no room.
        """
        policy = self._policy
        if policy is None or not self._may_pass(error, opened=opened, begun=begun, busy=busy):
            return None
        if self.attempts >= policy.max_attempts:
            return None
        wait = 0.0
        if self.attempts or not opened or busy:
            doubled = policy.initial_delay * 2.0 ** min(max(0, self.attempts - 1), 60)
            wait = min(policy.max_delay, doubled) * self._spread(0.5, 1.0)
        if busy:
            wait = max(wait, policy.busy_delay)
        retry_after = getattr(error, "retry_after", None)
        if retry_after is not None:
            wanted = seconds_to_wait(retry_after)
            if wanted is not None:
                if wanted > max(policy.replay_seconds, policy.max_delay):
                    return None  # what waits to be sent could not be kept so long
                wait = max(wait, wanted)
        self.attempts += 1
        return wait

    def _may_pass(self, error: SpeechmaticsError, *, opened: bool, begun: bool, busy: bool) -> bool:
        if isinstance(error, ConfigurationError):
            return False
        if isinstance(error, AuthenticationError):
            # Without a status or type, a temporary key could not be fetched for want of a network.
            fetchable = error.status is None or error.status == 429 or error.status >= 500
            return begun and fetchable and error.type is None and error.close_code is None
        if begun or busy:
            return True
        if isinstance(error, TimeoutError):
            return opened and self.attempts == 0
        if isinstance(error, ConnectionError):
            passing = error.status in _PASSING and not isinstance(error, ProxyError)
            return opened or passing
        return isinstance(error, TranscriptionError) and opened


def given_up(error: SpeechmaticsError, attempts: int) -> SpeechmaticsError:
    """Return the error of a session that was not recovered, saying how often that was tried."""
    if attempts and isinstance(error, ConnectionError):
        times = "once" if attempts == 1 else f"{attempts} times"
        said = f"{error.message} Reconnecting was tried {times} without success."
        return ConnectionError(
            said,
            status=error.status,
            close_code=error.close_code,
            retry_after=error.retry_after,
        )
    return error
