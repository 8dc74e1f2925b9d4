"""What editors, notebooks and ``help()`` show of the public names can be read."""

from __future__ import annotations

import builtins
import contextlib
import dis
import enum
import importlib
import inspect
import pydoc
import re
import types
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

from support.places import NOT_HERE

import speechmatics_sync

MODULES = [
    importlib.import_module(f"speechmatics_sync{name}")
    for name in ("", ".cli", ".errors", ".local", ".telemetry")
]


class Member(NamedTuple):
    """A public name, or a member of a public class that this package wrote."""

    name: str
    value: Any

    @property
    def function(self) -> Any:
        if isinstance(self.value, (classmethod, staticmethod)):
            return self.value.__func__
        return self.value.fget if isinstance(self.value, property) else self.value


def members() -> Iterator[Member]:
    for module in MODULES:
        for name in set(dir(module)) - {"Source", "__version__"} - NOT_HERE:
            public = getattr(module, name)
            yield Member(name, public)
            if not inspect.isclass(public):
                continue
            for own in public.__mro__:
                if own.__module__.startswith("speechmatics_sync"):
                    for inner, value in vars(own).items():
                        if not inner.startswith("_"):
                            yield Member(f"{name}.{inner}", value)


def signatures() -> Iterator[tuple[str, inspect.Signature]]:
    for member in members():
        if callable(member.function):
            with contextlib.suppress(ValueError):  # a type of dicts has none
                yield member.name, inspect.signature(member.function)


PRIVATE = re.compile(r"(?<![\w.])_\w+|\._\w+|~_\w+")


def test_no_signature_shows_what_only_this_package_knows() -> None:
    """No checks, no default without a value, no private name."""
    shown = dict(signatures())
    assert {"Client", "Client.transcribe", "SpeakerIdentifier.from_dict", "Warn"} <= shown.keys()
    for name, signature in shown.items():
        for part in ("Annotated[", "<", "ForwardRef"):
            assert part not in str(signature), f"{name}{signature}"
        assert not PRIVATE.findall(str(signature)), f"{name}{signature}"


OF_OTHERS = {
    "ArgumentParser", "DataFrame", "Executor", "Figure", "MeterProvider", "Namespace", "PathLike",
    "SSLContext", "TracerProvider", "Unpack", "abc", "argparse", "collections", "figure",
    "matplotlib", "os", "pandas", "speechmatics_sync", "ssl",
}  # fmt: skip
"""Names in signatures that other packages have."""
SHORT = {
    "AnyClient", "Buffer", "Call", "Handler", "Logger", "Options", "Path", "ProgressCallback",
    "Samples", "Self", "SpeakerLabels", "Timestamp",
}  # fmt: skip
"""Names for types that would be long, which say what they are, as the docstrings do."""


def test_signatures_name_no_class_that_a_program_does_not_see() -> None:
    public = {name for module in MODULES for name in dir(module)}
    known = {*public, *dir(builtins), *typing.__all__, *OF_OTHERS, *SHORT, "NoneType", "typing"}
    for name, signature in signatures():
        parts = [each.annotation for each in signature.parameters.values()]
        for part in (*parts, signature.return_annotation):
            if part is not signature.empty:
                written = part if isinstance(part, str) else inspect.formatannotation(part)
                words = set(re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", written)))
                assert words - known == set(), f"{name}{signature}"


def test_help_shows_no_checks() -> None:
    for member in members():
        if inspect.isclass(member.value) and "." not in member.name:
            page = pydoc.render_doc(member.value, renderer=pydoc.plaintext)
            for part in ("Annotated[", "<factory>"):
                assert part not in page, f"{member.name}: {page}"


def test_defaults_and_types_of_settings_are_shown() -> None:
    shown = str(inspect.signature(speechmatics_sync.TranscriptionConfig))
    assert shown.startswith(
        "(language: str = 'en', model: Union[speechmatics_sync.Model, str, None"
    )
    assert "max_delay: Optional[float] = None" in shown
    assert shown.endswith("extra: dict[str, typing.Any] = {})")
    shown = str(inspect.signature(speechmatics_sync.ConnectionConfig))
    assert "ssl_context: Optional[ssl.SSLContext] = None" in shown
    shown = str(inspect.signature(speechmatics_sync.Client.force_end_of_utterance))
    assert """timestamp: 'Timestamp' = 'now'""" in shown


# -- docstrings -----------------------------------------------------------------------------------

RUN_A_PROGRAM = {"main", "serve"}


def test_every_public_name_shows_an_example() -> None:
    without = {
        member.name
        for member in members()
        if "." not in member.name and ">>> " not in (inspect.getdoc(member.value) or "")
    }
    assert without == RUN_A_PROGRAM


def set_on_self(function: types.FunctionType) -> Iterator[str]:
    """The attributes that a method sets."""
    before = None
    for step in dis.get_instructions(function):
        if step.opname == "STORE_ATTR" and before is not None and "self" in str(before.argval):
            yield step.argval
        before = step


def attributes(public: type) -> Iterator[tuple[str, Any]]:
    """The public attributes of a class and of its objects; None for those that objects set."""
    for own in public.__mro__:
        if own.__module__.startswith("speechmatics_sync"):
            for name, value in vars(own).items():
                yield name, value
                function = Member(name, value).function
                if isinstance(function, types.FunctionType):
                    yield from ((set_too, None) for set_too in set_on_self(function))
            yield from ((name, None) for name in vars(own).get("__annotations__", ()))


def test_what_completion_offers_of_an_object_is_documented() -> None:
    """A method and a property by themselves, another attribute by its class."""
    found = 0
    for member in members():
        public = member.value
        if not inspect.isclass(public) or issubclass(public, (dict, enum.Enum)):
            continue
        described = "\n".join(inspect.getdoc(own) or "" for own in public.__mro__)
        for name, value in attributes(public):
            if name.startswith("_"):
                continue
            found += 1
            if callable(Member(name, value).function):
                assert inspect.getdoc(value), f"{member.name}.{name}"
            elif not isinstance(inspect.getattr_static(public, name, None), property):
                assert re.search(rf"^    {name}: ", described, re.MULTILINE), (
                    f"{member.name}.{name}"
                )
    assert found > 500


def test_the_members_of_what_handlers_are_added_for_are_documented() -> None:
    for events in (speechmatics_sync.ServerMessageType, speechmatics_sync.SessionEvent):
        described = set(re.findall(r"^    (\w+): ", inspect.getdoc(events) or "", re.MULTILINE))
        assert described == set(events.__members__)


def test_the_keys_of_a_message_are_described() -> None:
    for member in members():
        if hasattr(member.value, "__required_keys__"):
            doc = inspect.getdoc(member.value) or ""
            named = re.findall(r"^    ([\w, ]+): ", doc, re.MULTILINE)
            keys = {key for names in named for key in names.split(", ")}
            assert keys == member.value.__required_keys__ | member.value.__optional_keys__


# -- types ----------------------------------------------------------------------------------------


JSON = "JSON of the server's, or for it: its values have whatever type it gives them"
ANYTHING = {
    "extra": JSON,
    "to_dict()": JSON,
    "Client.emit(message)": JSON,
    "Client.listeners()": JSON + "; handlers get it",
    "MultiChannelClient.emit(message)": JSON,
    "MultiChannelClient.listeners()": JSON + "; handlers get it",
    "EventEmitter.emit(message)": JSON,
    "EventEmitter.listeners()": JSON + "; handlers get it",
    "Transcript.to_rows()": "rows for a table, whose columns have types of their own",
    "Job.source": "what the program passed, whatever that is, given back",
    "read_toml()": "what a file holds",
}
"""Where ``Any`` may be, and why: a name, or that of a member wherever it is."""


class Unknown(type):
    """The class of names that only type checkers import."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls

    def __getitem__(cls, _: object) -> type:
        return cls


class Names(dict[str, Any]):
    """Where names in annotations are looked up."""

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)
        return Unknown(name, (), {})


def is_any(annotation: Any, names: Names) -> bool:
    """Whether a type is, or has in it, ``Any``."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        annotation = eval(annotation, {}, names)
    if typing.get_origin(annotation) is typing.Annotated:
        return is_any(typing.get_args(annotation)[0], names)
    if isinstance(annotation, list):  # the arguments of a Callable
        return any(is_any(part, names) for part in annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return False
    return annotation is Any or any(is_any(part, names) for part in typing.get_args(annotation))


def annotated() -> Iterator[tuple[str, Any, Names]]:
    """What the public names take and give, and the fields of the public classes."""
    public = {name: getattr(speechmatics_sync, name) for name in dir(speechmatics_sync)}
    for member in members():
        function = inspect.unwrap(member.function) if callable(member.function) else None
        defined = getattr(function, "__globals__", {})
        names = Names({**vars(typing), **public, **defined})
        if inspect.isclass(member.value):
            for own in member.value.__mro__:
                if own.__module__.startswith("speechmatics_sync"):
                    for field, annotation in vars(own).get("__annotations__", {}).items():
                        if not field.startswith("_"):
                            yield f"{member.name}.{field}", annotation, names
        elif isinstance(member.function, types.FunctionType):
            for parameter in inspect.signature(member.function).parameters.values():
                if parameter.annotation is not parameter.empty:
                    yield f"{member.name}({parameter.name})", parameter.annotation, names
            yield f"{member.name}()", inspect.signature(member.function).return_annotation, names


def test_no_value_that_a_program_passes_or_gets_is_of_any_type() -> None:
    seen = list(annotated())
    assert len(seen) > 500
    unclear = {name for name, annotation, names in seen if is_any(annotation, names)}
    listed = {name for name in unclear if {name, name.rpartition(".")[2]} & ANYTHING.keys()}
    assert unclear - listed == set()
    used = {key for name in listed for key in (name, name.rpartition(".")[2])}
    assert ANYTHING.keys() <= used
