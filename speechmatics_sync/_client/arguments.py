"""Checks of the arguments that both clients take."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional, Union

from .._auth.headers import checked_headers
from .._concurrency.importing import import_modules
from .._model.audio_format import AudioFormat
from .._model.checks import number, optional
from .._model.secret import Secret
from .._model.settings import argument, settings_of
from .._model.transcription_config import AudioEventsConfig, TranscriptionConfig, TranslationConfig
from .._model.typing import Label
from .._transcript.transcript import Transcript
from ..errors import AudioError, ConfigurationError

if TYPE_CHECKING:
    from .._session.options import SessionOptions

__all__ = ["check_kind", "checked_sizes", "checked_source", "checked_timeout", "session_options"]


_SESSION_MODULES = (
    "speechmatics_sync._session.session",
    "speechmatics_sync._client.stream",
    "speechmatics_sync._client.interrupts",
)

_size = number(0, whole=True, unit="(a number of bytes)")
_timeout = optional(number(above=0, high=threading.TIMEOUT_MAX, unit="seconds"))
_timeout_or_now = optional(number(0, threading.TIMEOUT_MAX, unit="seconds"))


def checked_timeout(timeout: Any, *, at_once: bool = False) -> Optional[float]:
    """Return a time limit in seconds; 0 is one if ``at_once`` is set."""
    plain: Optional[float] = argument("timeout", timeout, _timeout_or_now if at_once else _timeout)
    return plain


def checked_sizes(sizes: Mapping[Any, Any]) -> dict[Label, int]:
    """Return the ``expected_bytes`` that are known, by channel."""
    known = {label: size for label, size in sizes.items() if size is not None}
    return {label: argument("expected_bytes", size, _size) for label, size in known.items()}


def _import_session() -> None:
    """Import what a session is made of, with all that it needs."""
    import_modules(*_SESSION_MODULES)


def checked_source(source: object) -> None:
    """Raise AudioError, with an empty transcript, for what cannot be a source."""
    _import_session()
    from .._audio.sources import check_source

    try:
        check_source(source)
    except AudioError as error:
        error.transcript = Transcript()
        raise


def session_options(
    transcription_config: Union[TranscriptionConfig, Mapping[str, object], None],
    audio_format: Union[AudioFormat, Mapping[str, object], None],
    translation_config: Union[TranslationConfig, Mapping[str, object], None],
    audio_events_config: Union[AudioEventsConfig, Mapping[str, object], None],
    ws_headers: Secret[Any],
    collect: bool,
) -> SessionOptions:
    """Return the options of a session, checked and copied: the caller may change its objects."""
    _import_session()
    from .._session.options import SessionOptions

    config = settings_of(TranscriptionConfig, "transcription_config", transcription_config)
    return SessionOptions(
        config or TranscriptionConfig(),
        settings_of(AudioFormat, "audio_format", audio_format),
        settings_of(TranslationConfig, "translation_config", translation_config),
        settings_of(AudioEventsConfig, "audio_events_config", audio_events_config),
        checked_headers(ws_headers, "ws_headers"),
        collect,
    )


def check_kind(name: str, value: object, kind: type) -> None:
    """Refuse a value of another type; None is of any."""
    if value is not None and not isinstance(value, kind):
        raise ConfigurationError(
            f"{name} is of type {type(value).__name__}; allowed: {kind.__name__}"
        )
