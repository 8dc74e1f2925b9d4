"""The types of public values can be read by tools, under the name that users import them by."""

from __future__ import annotations

import dataclasses
import typing

import pytest

import speechmatics_sync as api

PUBLIC = [getattr(api, name) for name in api.__all__]
VALUES = [value for value in PUBLIC if dataclasses.is_dataclass(value)]


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)
def test_the_types_of_the_fields_need_no_name_of_a_private_module(
    cls: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    for base in cls.__mro__[:-1]:
        monkeypatch.setattr(base, "__module__", api.__name__)
    hints = typing.get_type_hints(cls)
    assert {field.name for field in dataclasses.fields(cls)} <= set(hints)
    assert not any(isinstance(hint, (str, typing.ForwardRef)) for hint in hints.values())
