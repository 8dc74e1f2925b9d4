"""What a program of speechmatics-rt becomes with `speechmatics_sync`."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from typing import Any, Optional

import speechmatics_sync

from ._reading import AS_IT_IS, CHANGE, DIFFERS, OUTSIDE, Finding, Program

__all__ = ["check_rt"]

_PACKAGE = "speechmatics.rt"
_NEW = "speechmatics_sync"

RENAMED = {"AsyncClient": "Client", "AsyncMultiChannelClient": "MultiChannelClient"}

_SENT_BY_METHODS = {
    "StartRecognition": "start_session sends it",
    "AddAudio": "use send_audio",
    "AddChannelAudio": "use send_audio",
    "EndOfStream": "use end_of_stream or stop_session",
    "EndOfChannel": "use end_of_channel",
}
_BY_METHOD = {
    "transcribe": (
        "returns the Transcript; an Error of the server is raised, not logged; a lost connection "
        "is replaced"
    ),
    "start_session": "handlers run in a thread of their own, one at a time",
    "stop_session": "returns the Transcript; an Error of the server is raised",
    "send_audio": "blocks while the server has not acknowledged max_unacked_chunks",
    "on": "what the handler raises ends the session and is raised; handler_errors='log' logs it",
    "once": "what the handler raises ends the session and is raised",
    "close": "a session that still runs is ended, with a WARNING of what stays untranscribed",
}
_WITH_TIMEOUT = ("send_audio", "stop_session", "transcribe")
_CHANNELS = (
    "a shorter channel does not end the others; labels name channels in the order of the dict, and "
    "are not sorted by key"
)
_BY_EXCEPTION = {
    "ConnectionError": "a key that is refused (401) is an AuthenticationError; lost connections "
    "are replaced first",
    "TransportError": "a lost connection is a ConnectionError",
    "TimeoutError": "also the built-in TimeoutError",
    "ConfigurationError": "also a ValueError; raised where a setting is made",
}


def check_rt(source: str) -> list[Finding]:
    """Return what there is to say about each line that uses speechmatics-rt.

    Raises:
        SyntaxError: The source is no program.
    """
    program = Program(source, _PACKAGE)
    if not program.imports:
        return []
    found = [
        *_imports(program),
        *_async(program),
        *_calls(program),
        *_excepts(program),
    ]
    return sorted(set(found))


def _new_name(name: str) -> str:
    return RENAMED.get(name, name)


def _imports(program: Program) -> Iterator[Finding]:
    for node, module, names in program.imports:
        if isinstance(node, ast.ImportFrom) and node.module != "speechmatics":
            inside = [each for each in names if hasattr(speechmatics_sync, _new_name(each.name))]
            if inside and not module:
                listed = ", ".join(
                    _new_name(each.name) + (f" as {each.asname}" if each.asname else "")
                    for each in inside
                )
                yield Finding(node.lineno, CHANGE, f"write: from {_NEW} import {listed}")
            for each in names:
                if module or each not in inside:
                    yield Finding(node.lineno, OUTSIDE, f"there is no {each.name}")
        else:
            name = names[0].asname or ("rt" if isinstance(node, ast.ImportFrom) else None)
            alias = f" as {name}" if name else ""
            yield Finding(node.lineno, CHANGE, f"write: import {_NEW}{alias}")


def _async(program: Program) -> Iterator[Finding]:
    """Where ``async`` and ``await`` go away."""
    plain = _plain_functions(program)
    inside_another = {
        inner
        for outer in ast.walk(program.tree)
        if _awaits(program, outer, plain)
        for inner in ast.walk(outer)
        if inner is not outer
    }
    for node in ast.walk(program.tree):
        if isinstance(node, ast.Await) and _awaits(program, node, plain):
            if node not in inside_another:  # what is to be written is said of the outer one
                plainly = ast.unparse(_WithoutAwait().visit(copy.deepcopy(node)))
                yield Finding(node.lineno, CHANGE, f"write: {plainly}")
        elif isinstance(node, ast.AsyncWith):
            for item in node.items:
                name = _class(program, item.context_expr)
                if name is not None:
                    yield Finding(node.lineno, CHANGE, f"write: with {_new_name(name)}(…)")
        elif isinstance(node, ast.AsyncFunctionDef) and node.name in plain:
            yield Finding(node.lineno, CHANGE, f"write: def {node.name}({ast.unparse(node.args)})")
            for left in _of_its_own(node):
                if left not in inside_another and _stays_async(program, left, plain):
                    text = f"{node.name} is a plain function now, in which this cannot be"
                    yield Finding(left.lineno, DIFFERS, f"{_async_part(left)}: {text}")
        elif isinstance(node, ast.Call):
            yield from _given_to_loop(program, node, plain)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.AsyncFunctionDef) and method.name == "get_auth_headers":
                    yield Finding(method.lineno, CHANGE, "write: def get_auth_headers(self)")


def _plain_functions(program: Program) -> set[str]:
    """The functions that await a call of a client, directly or in one another."""
    functions = [node for node in ast.walk(program.tree) if isinstance(node, ast.AsyncFunctionDef)]
    plain: set[str] = set()
    while True:
        more = {
            function.name
            for function in functions
            if function.name not in plain
            and any(_awaits(program, node, plain) for node in ast.walk(function))
        }
        if not more:
            return plain
        plain |= more


def _of_its_own(function: ast.AsyncFunctionDef) -> Iterator[Any]:
    """The nodes of a function, without those of functions inside it."""
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            left += ast.iter_child_nodes(node)


def _stays_async(program: Program, node: ast.AST, plain: set[str]) -> bool:
    if isinstance(node, ast.AsyncWith):
        return any(_class(program, item.context_expr) is None for item in node.items)
    if isinstance(node, ast.Await):
        called = node.value.func if isinstance(node.value, ast.Call) else None
        of_package = isinstance(called, ast.Attribute) and program.class_of(called.value)
        return not (of_package or _awaits(program, node, plain))
    return isinstance(node, ast.AsyncFor)


def _async_part(node: ast.AST) -> str:
    if not isinstance(node, ast.Await):
        return "async with" if isinstance(node, ast.AsyncWith) else "async for"
    called = node.value.func if isinstance(node.value, ast.Call) else node.value
    return f"await {ast.unparse(called)}"


def _given_to_loop(program: Program, node: ast.Call, plain: set[str]) -> Iterator[Finding]:
    """Calls that asyncio was to run, and that are plain now."""
    function = ast.unparse(node.func)
    last = function.rpartition(".")[2]
    if not (function.startswith("asyncio.") or last in ("create_task", "run_until_complete")):
        return
    for given in node.args:
        if not isinstance(given, ast.Call) or not _is_plain(program, given, plain):
            continue
        if last in ("run", "run_until_complete"):
            yield Finding(node.lineno, CHANGE, f"write: {ast.unparse(given)}")
            continue
        called = ast.unparse(given.func).rpartition(".")[2]
        use = "a thread can run it beside others"
        if last == "wait_for" and called in _WITH_TIMEOUT:
            use = "pass it timeout="
        yield Finding(node.lineno, DIFFERS, f"{called} is no coroutine for {last}: {use}")


class _WithoutAwait(ast.NodeTransformer):
    """Takes ``await`` away, in the arguments of a call too."""

    def visit_Await(self, node: ast.Await) -> ast.AST:
        awaited: ast.AST = self.visit(node.value)
        return awaited


def _awaits(program: Program, node: ast.AST, plain: set[str]) -> bool:
    """Return whether this awaits a call that is plain now."""
    return (
        isinstance(node, ast.Await)
        and isinstance(node.value, ast.Call)
        and _is_plain(program, node.value, plain)
    )


def _is_plain(program: Program, call: ast.Call, plain: set[str]) -> bool:
    """Return whether this calls a client, or a function of the program that is plain now."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in plain
    if not isinstance(function, ast.Attribute):
        return False
    return _client_of(program, function) is not None or (
        function.attr in plain and ast.unparse(function.value) == "self"
    )


def _calls(program: Program) -> Iterator[Finding]:
    entered = {
        item.context_expr
        for node in ast.walk(program.tree)
        if isinstance(node, ast.AsyncWith)
        for item in node.items
    }
    for node in ast.walk(program.tree):
        if not isinstance(node, ast.Call):
            continue
        name = _class(program, node)
        if name in RENAMED and node in entered:
            continue  # said there
        if name in RENAMED:
            yield Finding(node.lineno, CHANGE, f"write: {RENAMED[name]}(…)")
        elif name == "Microphone":
            yield Finding(
                node.lineno,
                DIFFERS,
                "Microphone is a context manager and a source of transcribe, without start()",
            )
        elif name is not None:
            yield from _settings(node, program.name_of(node.func) or name)
        elif isinstance(node.func, ast.Attribute):
            yield from _method(program, node, node.func)


def _settings(node: ast.Call, name: str) -> Iterator[Finding]:
    given = {each.arg: each.value for each in node.keywords if each.arg}
    delay = given.get("max_delay")
    seconds = delay.value if isinstance(delay, ast.Constant) else None
    if isinstance(seconds, (int, float)) and not 0.7 <= seconds <= 4:
        yield Finding(node.lineno, DIFFERS, "max_delay is from 0.7 to 4: a ConfigurationError")
        return
    for limit in ("read_limit", "write_limit"):
        if limit in given:
            yield Finding(node.lineno, DIFFERS, f"{limit} has no effect")
            return
    found: Any = speechmatics_sync
    for part in name.split("."):
        found = getattr(found, part, None)
    yield Finding(node.lineno, OUTSIDE if found is None else AS_IT_IS, name.rpartition(".")[2])


def _method(program: Program, node: ast.Call, method: ast.Attribute) -> Iterator[Finding]:
    client = _client_of(program, method)
    if client is None:
        return
    if method.attr == "send_message" and node.args:
        said = ast.unparse(node.args[0])
        for message, use in _SENT_BY_METHODS.items():
            member = re.sub("(?<=[a-z])(?=[A-Z])", "_", message).upper()
            if f"'{message}'" in said or f".{member}" in said:
                yield Finding(node.lineno, DIFFERS, f"{message} is not sent as a message: {use}")
                return
    if client == "AsyncMultiChannelClient" and method.attr == "transcribe":
        yield Finding(node.lineno, DIFFERS, f"transcribe: {_CHANNELS}")
    text = _BY_METHOD.get(method.attr)
    if text is not None:
        yield Finding(node.lineno, DIFFERS, f"{method.attr}: {text}")
    elif hasattr(speechmatics_sync.Client, method.attr):
        yield Finding(node.lineno, AS_IT_IS, method.attr)


def _excepts(program: Program) -> Iterator[Finding]:
    for node in ast.walk(program.tree):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            for kind in kinds:
                name = (program.name_of(kind) or "").rpartition(".")[2]
                if name in _BY_EXCEPTION:
                    yield Finding(kind.lineno, DIFFERS, f"{name}: {_BY_EXCEPTION[name]}")


def _class(program: Program, node: ast.AST) -> Optional[str]:
    """Return the name of the package's class that an expression makes an object of."""
    if not isinstance(node, ast.Call):
        return None
    name = program.name_of(node.func)
    return name.rpartition(".")[2] if name else None


def _client_of(program: Program, method: ast.Attribute) -> Optional[str]:
    found = program.class_of(method.value)
    return found if found in RENAMED else None
