"""Objects that belong to the process that made them."""

from __future__ import annotations

from typing import NoReturn, SupportsIndex

__all__ = ["OneProcess"]


class OneProcess:
    """The base of objects that hold locks, threads or connections: they cannot be copied."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse to be pickled or copied, in words that say what to do instead."""
        name = type(self).__name__
        raise TypeError(
            f"{name} cannot be pickled, as sending it to another process does, nor copied: it "
            "holds locks or connections of this process. Make another one where it is used, such "
            "as in the function that the worker runs"
        )
