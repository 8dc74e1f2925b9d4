"""What editors, notebooks and ``help()`` show of the public names can be read."""

from __future__ import annotations

import contextlib
import inspect
import pydoc

import pytest

import speechmatics_sync


@pytest.mark.parametrize(
    "name",
    [name for name in dir(speechmatics_sync) if inspect.isclass(getattr(speechmatics_sync, name))],
)
def test_types_are_shown_without_the_checks_of_their_values(name: str) -> None:
    public = getattr(speechmatics_sync, name)
    assert "Annotated[" not in pydoc.render_doc(public, renderer=pydoc.plaintext)
    with contextlib.suppress(ValueError):  # a type of dicts has no signature
        assert "<function" not in str(inspect.signature(public))


def test_defaults_and_types_of_settings_are_shown() -> None:
    shown = str(inspect.signature(speechmatics_sync.TranscriptionConfig))
    assert shown.startswith(
        "(language: str = 'en', model: Union[speechmatics_sync.Model, str, None"
    )
    assert "max_delay: Optional[float] = None" in shown
    assert shown.endswith("extra: dict[str, typing.Any] = {})")
