"""When and how often to reconnect."""

from dataclasses import dataclass
from typing import Annotated, Any, Optional

from .checks import InvalidValue, boolean, count, duration, time_limit
from .settings import Settings

__all__ = ["ReconnectPolicy"]


@dataclass(frozen=True)
class ReconnectPolicy(Settings):
    """How to reconnect when a connection is lost. Immutable; all times in seconds.

    Args:
        max_attempts: Number of attempts to reconnect in one outage.
        initial_delay: Delay before the second attempt; the first is immediate, unless it was the
            handshake that failed. It doubles with each further attempt; a random part of up to half
            is taken off.
        max_delay: Longest delay between attempts.
        busy_delay: Shortest delay after the server had no capacity (close codes 4005, 4013, 1011).
            After an HTTP status or a handshake that is cut, ``Retry-After`` or ``initial_delay``
            counts.
        replay_seconds: How much audio without finals is kept, to be sent again after a loss.
        rollover_margin: How long before the server ends a session to replace its connection.
        session_limit: Longest use of one session of the server, more than ``rollover_margin``;
            None relies on the server, which announces the end after 48 hours.
        retry_busy: Whether a session that has not begun waits for a server without capacity. False
            raises that error at once, for programs that have a queue of their own.

    Raises:
        ConfigurationError: A value is not allowed; the message names the field.

    Example:
        >>> ReconnectPolicy(max_attempts=3).max_attempts
        3
    """

    max_attempts: Annotated[int, count] = 10
    initial_delay: Annotated[float, duration] = 0.5
    max_delay: Annotated[float, duration] = 30.0
    busy_delay: Annotated[float, duration] = 5.0
    replay_seconds: Annotated[float, duration] = 300
    rollover_margin: Annotated[float, duration] = 10.0
    session_limit: Annotated[Optional[float], time_limit] = None
    retry_busy: Annotated[bool, boolean] = True

    @classmethod
    def _check_together(cls, plain: dict[str, Any]) -> None:
        if plain["max_delay"] < plain["initial_delay"]:
            raise InvalidValue(
                plain["max_delay"],
                f"no less than initial_delay, which is {plain['initial_delay']}",
                path="max_delay",
            )
        limit, margin = plain.get("session_limit"), plain["rollover_margin"]
        if limit is not None and limit <= margin:
            raise InvalidValue(
                limit, f"more than rollover_margin, which is {margin}", path="session_limit"
            )
