"""The real-time half of the retired package ``speechmatics-python``, on this library's sessions.

Old programs change one line, or none with ``python -m speechmatics_sync.legacy run program.py``.

Example:
    >>> import speechmatics_sync.legacy as speechmatics
    >>> settings = speechmatics.models.ConnectionSettings(url, ssl_context=None)
    >>> client = speechmatics.client.WebsocketClient(settings)
    >>> with open("audio.wav", "rb") as audio:
    ...     client.run_synchronously(audio, speechmatics.models.TranscriptionConfig("en"))

Modules, with the names that they had: client (WebsocketClient, connect), models (settings and the
names of messages), exceptions, cli, cli_parser, adapters, config, constants, helpers, batch_client.
Names of the batch API are there, and say when they are used that it is not part of this package.

New: strict_errors decides whether what the old package lost in silence is reported.
"""

from __future__ import annotations

import importlib
from typing import Any

from .._help import module_dir
from . import client, constants, exceptions, models  # noqa: F401
from ._gone import raise_gone
from ._strict import strict_errors
from .client import *  # noqa: F403
from .client import WS_HEADERS_KEY  # noqa: F401
from .config import CONFIG_PATH, read_config_from_home  # noqa: F401
from .constants import BATCH_SELF_SERVICE_URL, RT_SELF_SERVICE_URL  # noqa: F401
from .exceptions import *  # noqa: F403
from .models import *  # noqa: F403

__all__ = ["strict_errors"]
__all__ += client.__all__
__all__ += exceptions.__all__
__all__ += models.__all__

MODULES = (
    "adapters",
    "batch_client",
    "cli",
    "cli_parser",
    "client",
    "config",
    "constants",
    "exceptions",
    "helpers",
    "models",
)
"""The modules that the old package had."""


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    return raise_gone(f"module {__name__!r}", name)


__dir__ = module_dir(__name__, *MODULES, page=True)
