"""What a program of speechmatics-python does with `speechmatics_sync.legacy`."""

from __future__ import annotations

import ast
import dataclasses
import importlib
from collections.abc import Iterator
from typing import Optional

from speechmatics_sync import legacy

from . import _gone, batch_client, models
from ._gone import BatchOnly
from ._reading import AS_IT_IS, CHANGE, DIFFERS, OUTSIDE, Finding, Program

__all__ = ["check_python"]

_PACKAGE = "speechmatics"
_NEW = "speechmatics_sync.legacy"

_BATCH = {
    name
    for module in (models, batch_client)
    for name in module.__all__
    if isinstance(getattr(module, name), type) and issubclass(getattr(module, name), BatchOnly)
}
_SETTINGS = {each.name for each in dataclasses.fields(models.TranscriptionConfig)}
_METHODS = {
    "add_event_handler",
    "add_middleware",
    "get_language_pack_info",
    "run",
    "run_synchronously",
    "send_message",
    "stop",
    "update_transcription_config",
}
_RECONNECTS = (
    "a connection that is lost is replaced, and a server without room is tried again; for the old "
    "errors set its reconnect to None"
)
_TEMPORARY = "a temporary key needs: pip install 'speechmatics-sync[legacy]'"
_MISSPELT = "is no setting: it is not sent, which is a WARNING in the log now"


def check_python(source: str) -> list[Finding]:
    """Return what there is to say about each line that uses speechmatics-python.

    Raises:
        SyntaxError: The source is no program.
    """
    program = Program(source, _PACKAGE, without=("batch", "rt"), names_of=_names_of)
    if not program.imports:
        return []
    found = [*_imports(program), *_uses(program), *_calls(program)]
    return sorted(set(found))


def _names_of(module: str) -> list[str]:
    if module and module not in legacy.MODULES:
        return []
    names: list[str] = importlib.import_module(f"{_NEW}.{module}".rstrip(".")).__all__
    return names


def _imports(program: Program) -> Iterator[Finding]:
    for node, module, names in program.imports:
        line = node.lineno
        for alias in names:
            if alias.name in _BATCH or module == "batch_client":
                yield Finding(line, OUTSIDE, f"{alias.name}: {_gone.BATCH}")
        if isinstance(node, ast.ImportFrom):
            place = f"{_NEW}.{module}" if module else _NEW
            listed = ", ".join(ast.unparse(alias) for alias in names)
            yield Finding(line, CHANGE, f"write: from {place} import {listed}")
        else:
            for alias in names:
                yield Finding(line, CHANGE, f"write: {_import(alias)}")


def _import(alias: ast.alias) -> str:
    if alias.asname:
        return f"import {_NEW}{alias.name[len(_PACKAGE) :]} as {alias.asname}"
    return f"import {_NEW} as {_PACKAGE}"


def _uses(program: Program) -> Iterator[Finding]:
    """Names that are gone, and names of the batch API."""
    for node in ast.walk(program.tree):
        if not isinstance(node, (ast.Attribute, ast.Name)):
            continue
        name = program.name_of(node)
        last = (name or "").rpartition(".")[2]
        if last in _BATCH:
            yield Finding(node.lineno, OUTSIDE, f"{last}: {_gone.BATCH}")
        if isinstance(node, ast.Name):
            continue
        of_client = program.class_of(node.value) == "WebsocketClient"
        if of_client or name is not None:
            reason = _gone.took_its_place(node.attr)
            if reason is not None and node.attr not in _BATCH:
                yield Finding(node.lineno, OUTSIDE, f"{node.attr} is gone: {reason}")
        if of_client and node.attr == "websocket":
            yield Finding(node.lineno, DIFFERS, "websocket has send() alone")


def _calls(program: Program) -> Iterator[Finding]:
    for node in ast.walk(program.tree):
        if not isinstance(node, ast.Call):
            continue
        name = program.name_of(node.func)
        last = (name or "").rpartition(".")[2]
        if last == "WebsocketClient":
            yield Finding(node.lineno, DIFFERS, f"WebsocketClient: {_RECONNECTS}")
            given: Optional[ast.AST] = node.args[0] if node.args else None
            given = given or _keyword(node, "connection_settings_or_auth_token")
            if given is None or isinstance(given, ast.Constant):
                yield Finding(node.lineno, DIFFERS, f"WebsocketClient: {_TEMPORARY}")
        elif last == "ConnectionSettings":
            temporary = _keyword(node, "generate_temp_token")
            if isinstance(temporary, ast.Constant) and temporary.value:
                yield Finding(node.lineno, DIFFERS, f"generate_temp_token: {_TEMPORARY}")
            else:
                yield Finding(node.lineno, AS_IT_IS, "ConnectionSettings")
        elif last == "TranscriptionConfig":
            unknown = [each.arg for each in node.keywords if each.arg and each.arg not in _SETTINGS]
            for setting in unknown:
                yield Finding(node.lineno, DIFFERS, f"{setting} {_MISSPELT}")
            if not unknown:
                yield Finding(node.lineno, AS_IT_IS, "TranscriptionConfig")
        elif name and not any(_is_gone(part) for part in name.split(".")):
            yield Finding(node.lineno, AS_IT_IS, last)
        elif isinstance(node.func, ast.Attribute) and _is_client(program, node.func):
            yield from _method(program, node, node.func.attr)


def _is_gone(name: str) -> bool:
    return name in _BATCH or _gone.took_its_place(name) is not None


def _is_client(program: Program, method: ast.Attribute) -> bool:
    known = program.class_of(method.value)
    if known is not None:
        return known == "WebsocketClient"
    # Names that nothing else has: the client may come from anywhere.
    return method.attr in ("add_event_handler", "add_middleware", "run_synchronously")


def _method(program: Program, node: ast.Call, method: str) -> Iterator[Finding]:
    function = node.args[1] if len(node.args) > 1 else _keyword(node, "event_handler")
    if method == "add_event_handler" and (
        isinstance(function, (ast.Name, ast.Attribute))
        and ast.unparse(function).rpartition(".")[2] in program.coroutines
    ):
        yield Finding(
            node.lineno,
            DIFFERS,
            f"{ast.unparse(function)} is a coroutine function, which never ran: a TypeError now",
        )
    elif method == "add_middleware" and "EndOf" in ast.unparse(node.args[0] if node.args else node):
        yield Finding(node.lineno, DIFFERS, "a change of last_seq_no is not sent")
    elif method in _METHODS:
        yield Finding(node.lineno, AS_IT_IS, method)


def _keyword(node: ast.Call, name: str) -> Optional[ast.AST]:
    return next((each.value for each in node.keywords if each.arg == name), None)
