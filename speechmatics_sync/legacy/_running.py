"""Runs a program of the old package that cannot be changed: the old name means this package."""

from __future__ import annotations

import importlib
import os
import runpy
import sys

from . import MODULES

__all__ = ["install", "run"]

_NAME = "speechmatics"


def install() -> None:
    """Have ``import speechmatics``, and its modules, give this package in this process."""
    package = __package__ or ""
    sys.modules[_NAME] = sys.modules[package]
    for module in MODULES:
        sys.modules[f"{_NAME}.{module}"] = importlib.import_module(f"{package}.{module}")


def run(program: str, arguments: list[str], *, is_module: bool = False) -> None:
    """Run a program as Python would, with the old name for this package.

    Args:
        program: A path, or the name of a module.
        arguments: Those of the program.
        is_module: Whether it is a module.
    """
    install()
    sys.argv = [program, *arguments]
    # Where Python looks first: beside the program, or in the working directory.
    sys.path[0] = "" if is_module else os.path.dirname(os.path.abspath(program))
    if is_module:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(program, run_name="__main__")
