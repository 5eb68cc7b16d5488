"""New deliveries of a finished take, made beside the old ones and swapped in when all are whole."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from julnet_plugin.pipeline.workfolder import WORK

if TYPE_CHECKING:
    from pathlib import Path


class Staging:
    """A folder inside the take in which new files grow; use as a context manager, what is left in it goes away.

    Attributes:
        root: laid out like the take.
        work: for what only the writers need.
    """

    def __init__(self, take_dir: Path) -> None:
        self.take_dir = take_dir
        self.base = take_dir / WORK
        self.root, self.work = self.base / "new", self.base / "deliver"

    def __enter__(self) -> Staging:
        shutil.rmtree(self.base, ignore_errors=True)  # of an edit that was killed
        for folder in (self.root, self.work):
            folder.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.base, ignore_errors=True)

    def swap_in(self) -> None:
        """Put every new file in the place of the old one of its name.

        Folders are merged file by file: what has no new version stays.
        """
        for new in sorted(path for path in self.root.rglob("*") if path.is_file()):
            target = self.take_dir / new.relative_to(self.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            new.replace(target)
