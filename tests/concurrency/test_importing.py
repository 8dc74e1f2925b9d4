"""Imports that many threads need at once, and one that fails."""

from __future__ import annotations

import errno
import importlib.abc
import importlib.machinery
import sys
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from support.serving import PATIENCE
from support.sessions import InThread, wait_for

from speechmatics_sync._concurrency.importing import import_modules
from speechmatics_sync.errors import ConnectionError

LATE = "a_module_that_is_imported_late"
USERS = [f"one_of_its_users_{number}" for number in range(6)]


class Importer(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module whose code blocks and then fails the first time, and modules that use it."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.failed = False

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        return importlib.machinery.ModuleSpec(name, self) if name in (LATE, *USERS) else None

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ in USERS:
            exec(f"from {LATE} import name_in_it", vars(module))
        elif self.failed:
            module.name_in_it = 1  # type: ignore[attr-defined]
        else:
            self.failed = True
            self.begun.set()
            assert self.go_on.wait(PATIENCE)
            raise OSError(errno.EMFILE, "Too many open files")


@pytest.fixture
def importer() -> Iterator[Importer]:
    importer = Importer()
    sys.meta_path.insert(0, importer)
    try:
        yield importer
    finally:
        importer.go_on.set()
        sys.meta_path.remove(importer)
        for name in (LATE, *USERS):
            sys.modules.pop(name, None)


def waits_for_an_import(call: InThread) -> bool:
    """Whether a thread has come to a lock, of ours or of the module."""
    frame = sys._current_frames().get(call.thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_name in ("acquire", "_lock_unlock_module", "import_modules"):
            return True
        frame = frame.f_back
    return False


def test_an_import_that_fails_in_one_thread_fails_in_no_other(importer: Importer) -> None:
    first = InThread(import_modules, USERS[0])
    wait_for(importer.begun)
    others = [InThread(import_modules, name) for name in USERS[1:]]
    while not all(waits_for_an_import(call) for call in others):
        time.sleep(0.001)
    importer.go_on.set()
    with pytest.raises(ConnectionError, match="no file descriptor left"):
        first.result()
    for call in others:
        call.result()  # raises nothing
