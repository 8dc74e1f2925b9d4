"""The addresses of the service, as the old package had them."""

from .._help import module_dir

__all__ = ["BATCH_SELF_SERVICE_URL", "RT_SELF_SERVICE_URL"]

__dir__ = module_dir(__name__)

BATCH_SELF_SERVICE_URL = "https://asr.api.speechmatics.com/v2"
"""Of the batch API, which is not part of this package."""

RT_SELF_SERVICE_URL = "wss://eu2.rt.speechmatics.com/v2"
"""Of the Realtime API; the language is appended when a session starts."""
