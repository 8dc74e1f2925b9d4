"""The changes that ``.ci/mutants.py`` makes to a module, one at a time.

``tests/MUTANTS.rst`` names them.
"""

from __future__ import annotations

import ast
import copy
import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

SWAPPED: dict[type[ast.AST], list[type[ast.AST]]] = {
    ast.Lt: [ast.LtE, ast.GtE], ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE], ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.Is: [ast.IsNot], ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn], ast.NotIn: [ast.In], ast.And: [ast.Or], ast.Or: [ast.And],
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Div], ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Mult], ast.Mod: [ast.Mult],
}  # fmt: skip
DELETED = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Raise, ast.Continue, ast.Break, ast.Delete)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Mutant(NamedTuple):
    """A change, the module's code with it, and the functions that differ, before and after."""

    change: str
    code: CodeType
    functions: list[tuple[CodeType, CodeType]]


def is_prose(node: ast.AST) -> bool:
    """Whether a text is something that a person reads."""
    texts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return any(
        isinstance(text, ast.Constant) and isinstance(text.value, str)
        and re.search(r"\w\s|\s\w", text.value) for text in texts
    )  # fmt: skip


def is_left_out(node: ast.AST) -> bool:
    """Whether nothing in a node is changed: docstrings, and what only tools and readers see."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) in ("__all__", "__slots__")
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return is_prose(node)


def places(node: ast.AST, in_function: bool = False) -> Iterator[tuple[ast.AST, str, int, bool]]:
    """Yield where a node may be replaced: its parent, the field, the index or -1, in a function?"""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "ctx"):
            continue
        inside = in_function or (isinstance(node, FUNCTIONS) and field == "body")
        for index, child in enumerate(value) if isinstance(value, list) else [(-1, value)]:
            if isinstance(child, ast.AST) and not is_left_out(child):
                yield node, field, index, inside
                yield from places(child, inside)


def replacements(parent: ast.AST, field: str, node: ast.AST, in_function: bool) -> Iterator[Any]:
    """Yield what a node is replaced by, one after the other."""
    for other in SWAPPED.get(type(node), ()):
        yield other()
    if (field == "test" and isinstance(parent, (ast.If, ast.IfExp))) or field == "ifs":
        yield from (ast.Constant(True), ast.Constant(False))
    if field == "test" and isinstance(parent, ast.While):
        yield ast.Constant(False)
    if isinstance(node, ast.UnaryOp):
        yield copy.copy(node.operand)  # it gets the place of the whole
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, (int, float)):
            yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
        elif isinstance(node.value, (str, bytes)):
            more = "x" if isinstance(node.value, str) else b"x"
            yield ast.Constant(node.value + more)  # type: ignore[operator]
    if isinstance(node, ast.Return) and node.value and ast.unparse(node.value) != "None":
        yield ast.Return(ast.Constant(None))
    calls = isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Await))
    if in_function and (calls or isinstance(node, DELETED)):
        yield ast.Pass()


def short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) < 80 else f"{text[:79]}…"


def put(parent: ast.AST, field: str, index: int, node: ast.AST) -> None:
    if index >= 0:
        getattr(parent, field)[index] = node
    else:
        setattr(parent, field, node)


def differing(before: CodeType, after: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Yield the functions of a module and its classes that differ, before and after."""
    codes = ([c for c in code.co_consts if isinstance(c, CodeType)] for code in (before, after))
    for old, new in zip(*codes):
        if old != new:
            is_function = old.co_flags & inspect.CO_OPTIMIZED
            yield from [(old, new)] if is_function else differing(old, new)


def mutants(module: Path, every: int, first: int) -> Iterator[Mutant]:
    """Yield every so many of a module's mutants, from the one with the number `first` on."""
    source = module.read_text(encoding="utf-8")
    lines = source.splitlines()
    tree = ast.parse(source)
    before = compile(tree, module, "exec", dont_inherit=True)
    numbers = itertools.count(-first)
    for parent, field, index, in_function in list(places(tree)):
        old = getattr(parent, field)[index] if index >= 0 else getattr(parent, field)
        # An operator says nothing without what it stands between, and a part of a text neither.
        whole = isinstance(old, (ast.expr, ast.stmt)) and not isinstance(parent, ast.JoinedStr)
        was = ast.unparse(old if whole else parent)
        for new in replacements(parent, field, old, in_function):
            number = next(numbers)
            if number < 0 or number % every:
                continue
            put(parent, field, index, ast.fix_missing_locations(ast.copy_location(new, old)))
            now = ast.unparse(new if whole else parent)
            after = compile(tree, module, "exec", dont_inherit=True)
            put(parent, field, index, old)
            line = getattr(old, "lineno", 0) or parent.lineno  # type: ignore[attr-defined]
            if after != before:
                change = f"{module.name}:{line}: {short(was)} → {short(now)}"
                change += f"\n    {lines[line - 1].strip()}"
                yield Mutant(change, after, list(differing(before, after)))
