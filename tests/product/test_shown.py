"""What editors, notebooks and ``help()`` show of the public names can be read."""

from __future__ import annotations

import contextlib
import inspect
import pydoc

import speechmatics_sync


def test_types_are_shown_without_the_checks_of_their_values() -> None:
    public = [getattr(speechmatics_sync, name) for name in dir(speechmatics_sync)]
    for shown in filter(inspect.isclass, public):
        assert "Annotated[" not in pydoc.render_doc(shown, renderer=pydoc.plaintext)
        with contextlib.suppress(ValueError):  # a type of dicts has no signature
            assert "<function" not in str(inspect.signature(shown)), shown


def test_defaults_and_types_of_settings_are_shown() -> None:
    shown = str(inspect.signature(speechmatics_sync.TranscriptionConfig))
    assert shown.startswith(
        "(language: str = 'en', model: Union[speechmatics_sync.Model, str, None"
    )
    assert "max_delay: Optional[float] = None" in shown
    assert shown.endswith("extra: dict[str, typing.Any] = {})")
