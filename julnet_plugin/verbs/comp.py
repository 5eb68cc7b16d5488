"""`julnet comp`: composite a take again after its matte or strokes were edited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.verbs.redub import show_take

if TYPE_CHECKING:
    import argparse


class Comp:
    """Composite a take again."""

    name = "comp"
    help = "composite a take again after its matte or strokes were edited; no model run"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("take", type=Path, metavar="TAKE", help="take folder")

    def run(self, args: argparse.Namespace) -> int:
        """Composite and deliver again."""
        from julnet_plugin.recomp import recomposite

        with args.console.cancellable():
            take = recomposite(args.take, args.console.progress, args.manager)
        show_take(take, args.console)
        return 0
