"""The logger of this package, and records that say which session they are about."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any, Optional

__all__ = ["LOGGER_NAME", "SessionLogger", "logger"]

LOGGER_NAME = "speechmatics_sync"

logger = logging.getLogger(LOGGER_NAME)
logger.addHandler(logging.NullHandler())


class SessionLogger(logging.LoggerAdapter):  # type: ignore[type-arg]  # not generic before 3.11
    """Logs for one session: its ids are attributes of every record, and stand in its text.

    Args:
        request_id: This client's id of the session.
    """

    def __init__(self, request_id: str) -> None:
        super().__init__(logger, {})
        self.request_id = request_id
        self.session_id: Optional[str] = None

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the ids to a record."""
        ids = {"request_id": self.request_id, "session_id": self.session_id}
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **ids}
        return f"{msg} [request_id={self.request_id} session_id={self.session_id}]", kwargs
