"""The name of the batch client, for programs that import it beside the real-time one."""

from __future__ import annotations

from .._help import module_dir
from ._gone import BatchOnly, module_getattr

__all__ = ["BatchClient"]

__getattr__ = module_getattr(__name__)
__dir__ = module_dir(__name__)


class BatchClient(BatchOnly):
    """The batch API is not part of this package: making one is a NotImplementedError."""
