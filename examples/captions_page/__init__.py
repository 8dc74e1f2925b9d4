"""What captions_flask and captions_django share: the page, and the talks behind it."""

from __future__ import annotations

from pathlib import Path

from .talks import SOCKET_OPTIONS, Talks

__all__ = ["SOCKET_OPTIONS", "STATIC", "STREAM_HEADERS", "Talks"]

STATIC = Path(__file__).parent / "static"
"""The page, ``page.html``, and what it loads. Nothing has to be built."""

STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Of server-sent events: neither browsers nor nginx keep them back."""
