"""Runs a part of a test in a forked child."""

from __future__ import annotations

import faulthandler
import os
import traceback
import warnings
from typing import Any, Callable

__all__ = ["in_child"]

TIME_LIMIT = 60
"""Seconds after which a child that hangs is ended."""


def in_child(do: Callable[[], Any]) -> None:
    """Run something in a forked child; raise here if it fails or hangs there."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        # From 3.12 on: forking with threads may deadlock. That it does not is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            faulthandler.dump_traceback_later(TIME_LIMIT, exit=True, file=write)
            do()
            status = 0
        except BaseException:
            os.write(write, traceback.format_exc().encode()[-60_000:])
        finally:
            os._exit(status)
    os.close(write)
    with open(read, "rb") as report:
        said = report.read().decode()
    _, status = os.waitpid(child, 0)
    assert status == 0, said or f"the child hung or died: {status}"
