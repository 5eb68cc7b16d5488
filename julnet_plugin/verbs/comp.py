"""`julnet comp`: composite a take again after its matte or strokes were edited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.verbs.matte_options import add_drive_options, add_matte_options, matte_settings_from
from julnet_plugin.verbs.redub import add_settings_options, settings_from, show_take

if TYPE_CHECKING:
    import argparse


class Comp:
    """Composite a take again."""

    name = "comp"
    help = "composite a take again with its matte and strokes, and with what the matte shall drive; no model run"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("take", type=Path, metavar="TAKE", help="take folder")
        add_matte_options(parser)
        add_drive_options(parser)
        add_settings_options(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Composite and deliver again."""
        from julnet_plugin.recomp import recomposite

        with args.console.cancellable():
            changes = settings_from(args) | matte_settings_from(args)
            take = recomposite(args.take, args.console.progress, args.manager, changes)
        show_take(take, args.console)
        return 0
