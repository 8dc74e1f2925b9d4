"""Modules as they are where the extra ``speed`` is not installed."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from unittest import mock

__all__ = ["plain_copy"]

COMPILED = ("orjson", "websockets.speedups")


def plain_copy(module: ModuleType) -> ModuleType:
    """Load a module once more, as if none of what is compiled could be imported."""
    assert module.__file__ is not None
    spec = importlib.util.spec_from_file_location(f"{module.__name__}_plain", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    copy.__package__ = module.__package__
    with mock.patch.dict(sys.modules, dict.fromkeys(COMPILED)):
        spec.loader.exec_module(copy)
    return copy
