"""Programs as users of speechmatics-python write them, each for one pattern.

``python all.py GIVEN``, where GIVEN is a JSON object of the addresses of servers and a file of
audio, runs all of them and prints what each said as JSON. They are run with that package, and with
`speechmatics_sync.legacy` under its name; both say the same.
"""

from __future__ import annotations

import json
import sys

import command_line
import ends
import sessions
import values
from common import PATTERNS

MODULES = (sessions, ends, values, command_line)

if __name__ == "__main__":
    said = {name: PATTERNS[name]() for name in sys.argv[2:] or PATTERNS}
    json.dump(said, sys.stdout, indent=1, sort_keys=True)
