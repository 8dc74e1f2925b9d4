"""Reads a program: which names of a package it uses, and where."""

from __future__ import annotations

import ast
import contextlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Callable, NamedTuple, Optional

__all__ = ["AS_IT_IS", "CHANGE", "DIFFERS", "OUTSIDE", "Finding", "Program"]

AS_IT_IS, CHANGE, DIFFERS, OUTSIDE = "as it is", "change", "differs", "outside"


_ROOT = "<root>"
"""The name for what ``import a.b`` makes known, which is ``a``."""


class Finding(NamedTuple):
    """What there is to say about a line.

    Args:
        line: Its number, from 1.
        kind: ``"as it is"``; ``"change"``, which says what to write; ``"differs"``, which says how
            it behaves now; or ``"outside"``, which is not part of this package.
        text: What is used, and what there is to say about it.
    """

    line: int
    kind: str
    text: str


class Program:
    """A program, and what it knows by which name.

    Args:
        source: Its text.
        package: The package whose names are looked for.
        without: Modules of it that are other packages.
        names_of: Returns what ``import *`` from a module of it makes known.

    Raises:
        SyntaxError: It is no program.
    """

    def __init__(
        self,
        source: str,
        package: str,
        *,
        without: Sequence[str] = (),
        names_of: Callable[[str], Iterable[str]] = lambda _: (),
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is not this program that is to be mended
            self.tree = ast.parse(source)
        self.package = package
        self._without = without
        self._names_of = names_of
        self.known: dict[str, str] = {}
        """By the program's own name: the package's."""
        self.imports: list[tuple[ast.stmt, str, list[ast.alias]]] = []
        """The imports of the package: the statement, the module, and the names."""
        self.coroutines = {
            node.name for node in ast.walk(self.tree) if isinstance(node, ast.AsyncFunctionDef)
        }
        for node in ast.walk(self.tree):
            self._note_import(node)
        self._made = sorted(self._objects())
        """By line: what an object of the package is assigned to or declared as, and its class."""

    def name_of(self, node: ast.AST) -> Optional[str]:
        """Return the package's name for an expression, such as ``client.WebsocketClient``."""
        if isinstance(node, ast.Name):
            return self.known.get(node.id)
        if isinstance(node, ast.Attribute):
            outer = self.name_of(node.value)
            if outer == _ROOT:
                rest = self.package.partition(".")[2]
                return "" if node.attr == rest else None if rest else node.attr
            if outer is not None:
                return f"{outer}.{node.attr}".lstrip(".")
        return None

    def class_of(self, node: ast.AST) -> Optional[str]:
        """Return the class of the package that an expression is an object of, if that is known."""
        name, line = ast.unparse(node), getattr(node, "lineno", 0)
        made = [each for each in self._made if each[1] == name]
        before = [each for each in made if each[0] <= line]
        return (before or made)[-1][2] if made else None

    def _note_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            mine = [each for each in node.names if self._place(each.name) is not None]
            if mine:
                self.imports.append((node, "", mine))
            for alias in mine:
                root = self.package.partition(".")[0]
                place = self._place(alias.name) or ""
                self.known[alias.asname or root] = place if alias.asname else _ROOT
        elif isinstance(node, ast.ImportFrom) and not node.level:
            places = {alias: self._place(f"{node.module}.{alias.name}") for alias in node.names}
            mine = [alias for alias in node.names if places[alias] is not None]
            if mine:
                self.imports.append((node, self._place(node.module or "") or "", mine))
            for alias in mine:
                place = places[alias] or ""
                self.known[alias.asname or alias.name] = place
                if alias.name == "*":
                    names = self._names_of(place.rpartition(".")[0])
                    self.known.update((name, place[:-1] + name) for name in names)

    def _place(self, name: str) -> Optional[str]:
        """Return the name of a module or of something in one without the package's; or None."""
        inside, _, rest = f"{name}.".partition(f"{self.package}.")
        if inside or not f"{name}.".startswith(f"{self.package}."):
            return None
        return None if rest.partition(".")[0] in self._without else rest.rstrip(".")

    def _objects(self) -> Iterator[tuple[int, str, str]]:
        for node in ast.walk(self.tree):
            targets: list[ast.AST] = []
            value: Optional[ast.AST] = None
            if isinstance(node, ast.Assign):
                targets, value = list(node.targets), node.value
            elif isinstance(node, ast.AnnAssign):
                targets, value = [node.target], node.value
                yield from self._declared(node.target, node.annotation)
            elif isinstance(node, ast.arg) and node.annotation is not None:
                yield from self._declared(ast.Name(node.arg), node.annotation)
            elif isinstance(node, (ast.With, ast.AsyncWith)):
                for item in node.items:
                    if item.optional_vars is not None:
                        yield from self._object(item.optional_vars, item.context_expr)
            for target in targets:
                if value is not None:
                    yield from self._object(target, value)

    def _declared(self, target: ast.AST, annotation: ast.AST) -> Iterator[tuple[int, str, str]]:
        """What an annotation says: a class, in ``Optional`` or in a string, too."""
        line = getattr(annotation, "lineno", 0)
        nodes = list(ast.walk(annotation))
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                with contextlib.suppress(SyntaxError):
                    nodes += ast.walk(ast.parse(node.value, mode="eval"))
            name = self.name_of(node)
            if name:
                yield line, ast.unparse(target), name.rpartition(".")[2]
                return

    def _object(self, target: ast.AST, value: ast.AST) -> Iterator[tuple[int, str, str]]:
        if isinstance(value, ast.Await):
            value = value.value
        if isinstance(value, ast.Call):
            name = self.name_of(value.func)
            if name:
                yield value.lineno, ast.unparse(target), name.rpartition(".")[2]
