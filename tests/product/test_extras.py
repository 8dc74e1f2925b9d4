"""What is declared in ``setup.cfg`` is what is imported."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.places import ROOT

PACKAGE = ROOT / "speechmatics_sync"


def required_by(name: str, extra: str) -> list[str]:
    """What a package declares; this one for one of its extras, others for all of theirs."""
    if name == "speechmatics-sync":
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg", encoding="utf-8")
        declared = setup.get("options.extras_require", extra, fallback="")
        return (declared + setup.get("options", "install_requires")).strip().splitlines()
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def installed_by(extra: str) -> set[str]:
    """The names of all packages that an extra installs, with what those need."""
    seen: set[tuple[str, str]] = set()
    wanted = [("speechmatics-sync", extra)]
    while wanted:
        name, extra = wanted.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for requirement in map(Requirement, required_by(name, extra)):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                extras = {"", *requirement.extras}
                wanted += [(canonicalize_name(requirement.name), each) for each in extras]
    return {name for name, _ in seen}


def imported() -> set[str]:
    """The top-level names of other packages that type checkers look into."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            if modules and "type: ignore" not in lines[node.lineno - 1]:
                names.update(module.partition(".")[0] for module in modules)
    return names - set(sys.stdlib_module_names) - {PACKAGE.name}  # type: ignore[attr-defined, unused-ignore]


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="knows all modules of Python, and of each the package"
)
def test_lint_installs_all_that_the_package_imports() -> None:
    packages = importlib.metadata.packages_distributions()  # type: ignore[attr-defined, unused-ignore]
    found = installed_by("lint")
    assert {"av", "websockets"} <= imported()
    missing = {
        module
        for module in imported()
        if not {canonicalize_name(name) for name in packages.get(module, [module])} & found
    }
    assert missing == set()
