"""The version, here and nowhere else; ``setup.cfg`` reads it without importing the package."""

from __future__ import annotations

__version__ = "0.1.0"
