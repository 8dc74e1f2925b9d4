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
_EXTRA = "pip install 'speechmatics-sync[legacy]'"
_TEMPORARY = f"a temporary key needs: {_EXTRA}"
_BROUGHT = {"httpx": _EXTRA, "toml": "pip install toml", "websockets": _EXTRA}
"""What was installed with the old package, and is not with this one."""
_MISSPELT = "is no setting: it is not sent, which is a WARNING in the log now"


def check_python(source: str) -> list[Finding]:
    """Return what there is to say about each line that uses speechmatics-python.

    Raises:
        SyntaxError: The source is no program.
    """
    program = Program(source, _PACKAGE, without=("batch", "rt"), names_of=_names_of)
    if not program.imports:
        return []
    found = [
        *_imports(program),
        *_imports_beside(program),
        *_overrides(program),
        *_uses(program),
        *_calls(program),
    ]
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
        here = []
        for alias in names:
            inside = alias.name[len(_PACKAGE) + 1 :]
            if isinstance(node, ast.ImportFrom):
                inside = module if alias.name == "*" else f"{module}.{alias.name}".lstrip(".")
            if not inside or _exists(inside):
                here.append(alias)
            else:
                yield Finding(line, OUTSIDE, _missing(inside))
        if isinstance(node, ast.ImportFrom):
            place = f"{_NEW}.{module}" if module else _NEW
            listed = ", ".join(map(ast.unparse, here))
            texts = [f"from {place} import {listed}"] if here else []
        else:
            texts = [_import(alias) for alias in here]
        for text in texts:
            yield Finding(line, CHANGE, f"write: {text}")


def _imports_beside(program: Program) -> Iterator[Finding]:
    """Imports of what came with the old package."""
    for node in ast.walk(program.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for name in {each.partition(".")[0] for each in names} & _BROUGHT.keys():
            yield Finding(
                node.lineno, DIFFERS, f"{name} came with the old package: {_BROUGHT[name]}"
            )


def _overrides(program: Program) -> Iterator[Finding]:
    """What a subclass of the client defines that nothing would call."""
    for client in _subclasses(program):
        for node in client.body:
            names = [node.name] if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else []
            if isinstance(node, ast.Assign):
                names = [each.id for each in node.targets if isinstance(each, ast.Name)]
            for name in names:
                if _gone.was_inside(name):
                    yield Finding(node.lineno, OUTSIDE, _missing(name))


def _subclasses(program: Program) -> list[ast.ClassDef]:
    return [
        node
        for node in ast.walk(program.tree)
        if isinstance(node, ast.ClassDef)
        and any((program.name_of(base) or "").endswith("WebsocketClient") for base in node.bases)
    ]


def _exists(name: str) -> bool:
    """Return whether this package has something of that name, from its root."""
    found: object = legacy
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            return False
    return True


def _missing(name: str) -> str:
    last = name.rpartition(".")[2]
    reason = _gone.took_its_place(last)
    return f"there is no {last}" if reason is None else f"{last} is gone: {reason}"


def _import(alias: ast.alias) -> str:
    if alias.asname:
        return f"import {_NEW}{alias.name[len(_PACKAGE) :]} as {alias.asname}"
    return f"import {_NEW} as {_PACKAGE}"


def _uses(program: Program) -> Iterator[Finding]:
    """Names that are gone, and names of the batch API."""
    own = {node for client in _subclasses(program) for node in ast.walk(client)}
    for node in ast.walk(program.tree):
        if not isinstance(node, (ast.Attribute, ast.Name)):
            continue
        name = program.name_of(node)
        last = (name or "").rpartition(".")[2]
        if last in _BATCH:
            yield Finding(node.lineno, OUTSIDE, f"{last}: {_gone.BATCH}")
        if isinstance(node, ast.Name):
            continue
        of_client = program.class_of(node.value) == "WebsocketClient" or (
            node in own and ast.unparse(node.value) in ("self", "super()")
        )
        if of_client and _gone.was_inside(node.attr):
            yield Finding(node.lineno, OUTSIDE, _missing(node.attr))
        elif name and not _exists(name) and _exists(name.rpartition(".")[0] or "client"):
            yield Finding(node.lineno, OUTSIDE, _missing(name))
        connection = node.value
        if (
            isinstance(connection, ast.Attribute)
            and connection.attr == "websocket"
            and program.class_of(connection.value) == "WebsocketClient"
            and node.attr not in ("close", "send")
        ):
            yield Finding(node.lineno, OUTSIDE, f"{node.attr}: websocket has send() and close()")


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
            if given is None or not _are_settings(program, given):
                known = given is None or isinstance(given, (ast.Constant, ast.JoinedStr))
                text = _TEMPORARY if known else f"if it is made of a key, {_TEMPORARY}"
                yield Finding(node.lineno, DIFFERS, f"WebsocketClient: {text}")
        elif (name or "").endswith("ConnectionSettings.create"):
            yield Finding(node.lineno, DIFFERS, f"create: {_TEMPORARY}")
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
        elif name and _exists(name) and _BATCH.isdisjoint(name.split(".")):
            yield Finding(node.lineno, AS_IT_IS, last)
        elif isinstance(node.func, ast.Attribute) and _is_client(program, node.func):
            yield from _method(program, node, node.func.attr)


def _are_settings(program: Program, given: ast.AST) -> bool:
    made = program.name_of(given.func) if isinstance(given, ast.Call) else program.class_of(given)
    return "ConnectionSettings" in (made or "")


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
