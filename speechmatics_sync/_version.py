"""The version: the only place that states it, which ``setup.cfg`` reads without an import."""

from __future__ import annotations

__version__ = "0.1.0"
