"""Processes that are spawned: what the standard library keeps for them."""

from __future__ import annotations

from multiprocessing import resource_tracker

import pytest


@pytest.fixture(scope="module", autouse=True)
def keeps_a_resource_tracker() -> None:
    """Start what the first spawned process starts, and the end of the interpreter ends."""
    resource_tracker.ensure_running()
