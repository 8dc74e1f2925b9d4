"""Speaker labels as the API describes them."""

from __future__ import annotations

import re

__all__ = ["ENGINES_OWN"]

ENGINES_OWN = re.compile(r"^(S\d+|UU|\s+.*|\S+.*\s+)$")
"""What a label that is enrolled must not match, as the API's description has it."""
