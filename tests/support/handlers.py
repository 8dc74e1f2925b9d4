"""Handlers that note what they are called with."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

MESSAGE = {"message": "Info", "reason": "ready"}


class Event(str, Enum):
    """Of the shape of ServerMessageType: the member's name is not its value."""

    INFO = "Info"
    WARNING = "Warning"


class Calls(list[str]):
    """Makes handlers that note that they were called."""

    def by(self, name: str) -> Any:
        def handler(message: dict[str, Any]) -> None:
            self.append(name)

        return handler


@pytest.fixture
def calls() -> Calls:
    return Calls()
