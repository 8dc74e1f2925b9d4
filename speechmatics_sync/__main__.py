"""The command line: ``python -m speechmatics_sync``, or ``speechmatics-sync``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
