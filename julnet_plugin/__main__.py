"""`python -m julnet_plugin` is `julnet`."""

from __future__ import annotations

import sys

from julnet_plugin.cli import main

if __name__ == "__main__":
    sys.exit(main())
