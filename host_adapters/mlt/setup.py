"""Kdenlive, Shotcut and `melt` in `julnet hosts`: nothing is installed into them, JULNet edits their project files."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from host_adapters.mlt.session import MELT_VARIABLE, melt_program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from julnet_plugin.interfaces import ProjectFile

SUFFIXES = (".kdenlive", ".mlt")


class MltHost:
    """See `interfaces.HostEntry`; `open_project` is what it is there for."""

    name = "mlt"
    title = "Kdenlive, Shotcut and melt"

    def install(self, dry_run: bool) -> Sequence[Path]:
        """Nothing: the programs need no client."""
        return []

    def uninstall(self, dry_run: bool) -> Sequence[Path]:
        """Nothing."""
        return []

    def check(self) -> str:
        """What of it is on this machine."""
        programs = [path for path in (shutil.which("kdenlive"), shutil.which("shotcut"), melt_program()) if path]
        found = f"found {', '.join(programs)}" if programs else f"none found (melt may be named in {MELT_VARIABLE})"
        return f"needs no client: julnet redub --timeline edits .kdenlive and .mlt files; {found}"

    def open_project(self, path: Path) -> ProjectFile | None:
        """See `interfaces.ProjectFile`."""
        if path.suffix.lower() not in SUFFIXES:
            return None
        from host_adapters.mlt.command import MltProject

        return MltProject(path)


HOST = MltHost()
