"""``help()``, ``dir()`` and completion of the public modules show what is public, on a page."""

from __future__ import annotations

import importlib
import inspect
import pydoc
import re

import pytest

import speechmatics_sync

OF_LEGACY = (
    "adapters", "batch_client", "cli", "cli_parser", "client", "config", "constants", "exceptions",
    "helpers", "models",
)  # fmt: skip
MODULES = [
    "speechmatics_sync",
    *(f"speechmatics_sync.{name}" for name in ("cli", "errors", "legacy", "local", "telemetry")),
    "speechmatics_sync.local.pytest_plugin",
    *(f"speechmatics_sync.legacy.{name}" for name in OF_LEGACY),
]
PAGES = [
    *("speechmatics_sync", "speechmatics_sync.errors", "speechmatics_sync.local"),
    *("speechmatics_sync.legacy", "speechmatics_sync.legacy.models"),
]
MORE = {
    "speechmatics_sync": {"ConnectionError", "TimeoutError"},
    "speechmatics_sync.legacy": OF_LEGACY,
}
"""Public names that ``import *`` does not take: they hide built-ins, or are modules."""


@pytest.mark.parametrize("module", MODULES)
def test_dir_names_what_is_public_and_nothing_else(module: str) -> None:
    imported = importlib.import_module(module)
    names = {name for name in dir(imported) if not name.startswith("__")}
    assert names == {*imported.__all__, *MORE.get(module, ())} - {"__version__"}


@pytest.mark.parametrize("module", PAGES)
def test_help_is_a_page(module: str) -> None:
    page = pydoc.render_doc(module, renderer=pydoc.plaintext)
    assert page.count("\n") <= 150
    assert importlib.import_module(module).__doc__.splitlines()[0] in page
    assert "Method resolution order" not in page


@pytest.mark.parametrize("module", ["speechmatics_sync", "speechmatics_sync.local"])
def test_the_page_lists_each_public_name_once(module: str) -> None:
    imported = importlib.import_module(module)
    listed: list[str] = []
    for line in (imported.__doc__ or "").splitlines():
        name_and_text = re.fullmatch(r"    (\w+)(?:  +\S| [a-z]).*|    (\w+(?: \w+)*)", line)
        if name_and_text:
            listed += (name_and_text[1] or name_and_text[2]).split()
    assert sorted(listed) == sorted(set(dir(imported)) - {"__version__"})


@pytest.mark.parametrize("module", ["speechmatics_sync.legacy.models", "speechmatics_sync.errors"])
def test_the_page_names_all_that_help_leaves_out(module: str) -> None:
    imported = importlib.import_module(module)
    assert set(imported.__all__) <= set(re.findall(r"\w+", imported.__doc__ or ""))


def test_help_on_one_name_shows_all_of_it() -> None:
    for name in ("Client", "speechmatics_sync.local.LocalServer"):
        shown = getattr(speechmatics_sync, name, name)
        page = pydoc.render_doc(shown, renderer=pydoc.plaintext)
        assert "Methods defined here" in page


def test_who_reads_members_apart_from_help_gets_them_all() -> None:
    members = dict(inspect.getmembers(speechmatics_sync, inspect.isclass))
    assert {"Client", "Transcript", "TimeoutError"} <= members.keys()


def test_taking_every_name_takes_the_classes() -> None:
    taken: dict[str, object] = {}
    exec("from speechmatics_sync import *", taken)
    assert set(taken) - {"__builtins__"} == set(speechmatics_sync.__all__)
