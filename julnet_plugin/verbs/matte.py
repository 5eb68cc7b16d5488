"""`julnet matte`: derive the uncertainty matte again, without the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.verbs.redub import add_settings_options, settings_from, show_take

if TYPE_CHECKING:
    import argparse


class Matte:
    """Derive the uncertainty matte of a take again."""

    name = "matte"
    help = "derive a take's uncertainty matte again, with other settings or painted strokes; no model run"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("take", type=Path, metavar="TAKE", help="take folder")
        parser.add_argument(
            "--strokes", type=Path, metavar="FILE", help="matte document to use instead of the take's own"
        )
        add_settings_options(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Derive the matte and deliver it again."""
        from julnet_plugin.recomp import rederive_matte

        with args.console.cancellable():
            take = rederive_matte(args.take, settings_from(args), args.console.progress, args.strokes, args.manager)
        show_take(take, args.console)
        return 0
