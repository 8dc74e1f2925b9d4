"""Whether to reconnect after an error, and after how many seconds.

Has no clock: it is told what happened, and returns a delay.

What is retried:

- After the first RecognitionStarted: every error except those that a retry cannot change, a refused
  key and a refused configuration.
- Before it: the loss of an open connection, a server without capacity (4005, 4013, 1011), HTTP 429,
  502, 503 and 504 in the handshake, a connection that is cut before the answer to it, and, within
  ``open_timeout``, a host name that cannot be looked up for now. A server that does not send
  RecognitionStarted in time is tried once more.
- At most ``max_attempts`` times in a row; settled audio resets the count.
- Before it, with ``retry_busy=False``: not where the server has no room, as `lacks_room` tells.
"""

from __future__ import annotations

import random
from typing import Callable, Optional

from .._model.reconnect_policy import ReconnectPolicy
from .._protocol.server_errors import is_busy
from .._transport.retry_after import seconds_to_wait
from ..errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    HandshakeCutError,
    NameLookupError,
    ProxyError,
    SpeechmaticsError,
    TimeoutError,
    TranscriptionError,
)

__all__ = ["Backoff", "given_up", "lacks_room"]

_PASSING = frozenset({429, 502, 503, 504})
"""HTTP statuses of the handshake that mean: try again later."""


class Backoff:
    """Counts the attempts of one session, and says how long to wait before the next.

    Not safe for threads: the session's lock guards it.

    Args:
        policy: The user's settings; None never reconnects.
        spread: Returns a random number between two bounds, so that clients that lost a server at
            the same time do not all reconnect at the same time.
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
        """Attempts since audio was last settled."""

    def progress(self) -> None:
        """Audio was settled: start counting anew."""
        self.attempts = 0

    def delay(
        self,
        error: SpeechmaticsError,
        *,
        opened: bool,
        begun: bool,
        busy: bool = False,
        time_left: Optional[float] = None,
    ) -> Optional[float]:
        """Return the seconds to wait before the next attempt; None to give up.

        Args:
            error: Why the connection was lost, or could not be made.
            opened: Whether the handshake had succeeded.
            begun: Whether RecognitionStarted has ever come in this session.
            busy: Whether the server said that it has no capacity.
            time_left: Seconds until the session's ``open_timeout`` passes; None: it has none.
        """
        policy = self._policy
        if policy is None or not self._may_pass(error, opened=opened, begun=begun, busy=busy):
            return None
        if self.attempts >= policy.max_attempts:
            return None
        if not begun and not policy.retry_busy and (busy or lacks_room(error)):
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
                    return None  # the audio could not be kept for replay that long
                wait = max(wait, wanted)
        offline = isinstance(error, NameLookupError) and not begun
        if offline and time_left is not None and wait > time_left:
            return None  # without a network, the first connection is not waited for as long
        self.attempts += 1
        return wait

    def _may_pass(self, error: SpeechmaticsError, *, opened: bool, begun: bool, busy: bool) -> bool:
        if isinstance(error, ConfigurationError):
            return False
        if isinstance(error, AuthenticationError):
            # Without status, type and close code, the network failed while a temporary key was
            # fetched.
            fetchable = error.status is None or error.status == 429 or error.status >= 500
            return begun and fetchable and error.type is None and error.close_code is None
        if begun or busy:
            return True
        if isinstance(error, TimeoutError):
            return opened and self.attempts == 0
        if isinstance(error, ConnectionError):
            passing = error.status in _PASSING and not isinstance(error, ProxyError)
            return opened or passing or isinstance(error, (HandshakeCutError, NameLookupError))
        return isinstance(error, TranscriptionError) and opened


def lacks_room(error: BaseException) -> bool:
    """Return whether an error that came before a session had begun says: too many sessions."""
    if isinstance(error, TranscriptionError):
        return is_busy(error.type)
    if isinstance(error, ConnectionError) and not isinstance(error, ProxyError):
        return error.status in _PASSING or isinstance(error, HandshakeCutError)
    return False


def given_up(error: SpeechmaticsError, attempts: int, *, lost: bool) -> SpeechmaticsError:
    """Return the error with which the session ends.

    It says how often reconnecting was tried, and what to do if an open connection was ``lost``.
    """
    if isinstance(error, ConnectionError) and (attempts or lost):
        times = "once" if attempts == 1 else f"{attempts} times"
        tried = f" Reconnecting was tried {times} without success." if attempts else ""
        advice = " Check the network, or try again later." if lost else ""
        ended = ConnectionError(
            f"{error.message}{tried}{advice}",
            status=error.status,
            close_code=error.close_code,
            retry_after=error.retry_after,
        )
        ended.__cause__ = error.__cause__
        return ended
    return error
