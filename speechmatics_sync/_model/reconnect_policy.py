"""When and how often to connect again."""

from dataclasses import dataclass
from typing import Annotated, Any, Optional

from .checks import InvalidValue, count, duration, time_limit
from .settings import Settings

__all__ = ["ReconnectPolicy"]


@dataclass(frozen=True)
class ReconnectPolicy(Settings):
    """What to do when a connection is lost. Immutable; times in seconds.

    Args:
        max_attempts: Attempts to connect again, in one outage.
        initial_delay: Wait before the second attempt (the first is made at once); it doubles.
        max_delay: The wait grows no further than this.
        busy_delay: Shortest wait when the server had no room (4005, 4013, 1011).
        replay_seconds: How much unsettled audio is kept to be sent again.
        rollover_margin: How long before the end of the server's session another one takes over.
        session_limit: How long one session of the server's is used at most; None goes by what the
            server says, which ends them after 48 hours. More than ``rollover_margin``.
    """

    max_attempts: Annotated[int, count] = 10
    initial_delay: Annotated[float, duration] = 0.5
    max_delay: Annotated[float, duration] = 30.0
    busy_delay: Annotated[float, duration] = 5.0
    replay_seconds: Annotated[float, duration] = 300
    rollover_margin: Annotated[float, duration] = 10.0
    session_limit: Annotated[Optional[float], time_limit] = None

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
