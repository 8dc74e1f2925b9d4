"""A notebook's kernel, driven as a notebook does."""

from __future__ import annotations

import os
import time
from datetime import datetime
from typing import Any, Callable, Optional

from jupyter_client.manager import KernelManager  # type: ignore[import-not-found,unused-ignore]

from support.places import ROOT

__all__ = ["Cell", "Kernel"]

PATIENCE = 30.0


class Cell:
    """What a cell shows, as a notebook keeps it.

    Attributes:
        outputs: The outputs, in order: ``data`` by MIME type, or ``stdout`` and ``stderr``.
        updates: When the output of each display id was shown or updated, and with what.
        error: The name of the exception that it ended with.
        interrupted_at: When it was interrupted, in seconds since 1970.
    """

    def __init__(self) -> None:
        self.outputs: list[dict[str, str]] = []
        self.updates: dict[str, list[tuple[datetime, dict[str, str]]]] = {}
        self.error: Optional[str] = None
        self.interrupted_at = 0.0
        self._places: dict[str, int] = {}

    def text(self, kind: str) -> str:
        """What was written to a stream, or the data of this MIME type of all outputs."""
        return "".join(output.get(kind, "") for output in self.outputs)

    def see(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            self.outputs.append({content["name"]: content["text"]})
        elif kind == "error":
            self.error = content["ename"]
        elif kind in ("display_data", "execute_result", "update_display_data"):
            shown_as = content.get("transient", {}).get("display_id")
            if shown_as is not None:
                shown = self.updates.setdefault(shown_as, [])
                shown.append((message["header"]["date"], content["data"]))
            if kind == "update_display_data":
                self.outputs[self._places[shown_as]] = content["data"]
                return
            if shown_as is not None:
                self._places[shown_as] = len(self.outputs)
            self.outputs.append(content["data"])


class Kernel:
    """A kernel that runs cells.

    Args:
        url: Where its clients connect.
    """

    def __init__(self, url: str) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._environment = {"SPEECHMATICS_RT_URL": url, "PYTHONPATH": str(ROOT)}
        self._client: Any = None

    def __enter__(self) -> Kernel:
        self._manager.start_kernel(env={**os.environ, **self._environment}, cwd=str(ROOT))
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._client.context.destroy()
        self._manager.context.destroy()

    def restart(self) -> None:
        """Restart it now, whatever runs."""
        self._manager.restart_kernel(now=True)
        self._client.wait_for_ready(timeout=PATIENCE)

    def run(self, code: str, *, until: Optional[Callable[[Cell], bool]] = None) -> Cell:
        """Run a cell to its end; interrupt it once something is shown."""
        cell, asked = self.start(code), until
        while self.follow(cell):
            if asked is not None and asked(cell):
                cell.interrupted_at, asked = time.time(), None
                self._manager.interrupt_kernel()
        assert asked is None, "it ended before it could be interrupted"
        return cell

    def start(self, code: str) -> Cell:
        """Begin to run a cell."""
        self._client.execute(code)
        return Cell()

    def follow(self, cell: Cell) -> bool:
        """Take one more message of a cell; return whether it still runs."""
        message = self._client.get_iopub_msg(timeout=PATIENCE)
        cell.see(message)
        idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
        return not (idle and message["parent_header"].get("msg_type") == "execute_request")
