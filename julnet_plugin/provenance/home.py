"""Where this machine keeps what JULNet remembers between runs: the local certificate and the credentials it issued."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def home() -> Path:
    """The folder; `JULNET_HOME` moves it. It need not exist yet."""
    moved = os.environ.get("JULNET_HOME")
    if moved:
        return Path(moved)
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "julnet"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "julnet"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "julnet"
