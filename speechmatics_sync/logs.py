"""The logger of this package, and records that say which session they are about."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any, Optional

__all__ = ["LOGGER_NAME", "SessionLogger", "logger", "writable"]

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
        shown = " ".join(f"{name}={_plain(value)}" for name, value in ids.items())
        return f"{msg} [{shown}]", kwargs


def writable(words: object) -> str:
    """Return what a server said as a log can hold it: half a character fits into no file."""
    return str(words).encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(identifier: Optional[str]) -> str:
    """Return an id as it stands in a record's text, of which "%" would begin a field."""
    return re.sub(r"[^\x21-\x24\x26-\x7e]", "?", str(identifier))
