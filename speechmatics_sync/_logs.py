"""The logger of this package, and one that adds the ids of a session to each record."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any, Optional

__all__ = ["LOGGER_NAME", "SessionLogger", "logger"]

LOGGER_NAME = "speechmatics_sync"


class _Writable(logging.Filter):
    """Makes each record encodable: a server's JSON may escape half of a surrogate pair."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Escape what cannot be encoded; let every record pass."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                arg.encode("utf-8", "backslashreplace").decode("utf-8")
                if isinstance(arg, str)
                else arg
                for arg in record.args
            )
        return True


logger = logging.getLogger(LOGGER_NAME)
logger.addHandler(logging.NullHandler())
logger.addFilter(_Writable())


class SessionLogger(logging.LoggerAdapter):  # type: ignore[type-arg]  # not generic before 3.11
    """Logs for one session: its ids are attributes of each record, and part of its text.

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
        """Add the ids to a record; called by `logging`."""
        ids = {"request_id": self.request_id, "session_id": self.session_id}
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **ids}
        shown = " ".join(f"{name}={_plain(value)}" for name, value in ids.items())
        return f"{msg} [{shown}]", kwargs


def _plain(identifier: Optional[str]) -> str:
    """Return an id that is safe in a format string and on one line of a log."""
    return re.sub(r"[^\x21-\x24\x26-\x7e]", "?", str(identifier))
