"""Where things lie in the project."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLES = ROOT / "examples" / "audio"

NOT_HERE = set() if importlib.util.find_spec("pocketsphinx") else {"PocketsphinxRecognizer"}
"""Public names of the embedded server that cannot be had: pocketsphinx has no wheel for 3.9."""
