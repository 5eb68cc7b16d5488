"""`julnet demo`: re-dub a clip that the project makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.types import RedubRequest
from julnet_plugin.verbs.redub import render, show_take

if TYPE_CHECKING:
    import argparse


class Demo:
    """Re-dub the project's own clip, offline."""

    name = "demo"
    help = "re-dub a clip that is made on the spot, without any download"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("-o", "--output", type=Path, default=Path("demo"), metavar="DIR", help="where to (./demo)")
        parser.add_argument(
            "--model", default="rt", metavar="NAME|FILE", help="shipped configuration, or a weights file"
        )
        parser.add_argument("--device", default="auto", metavar="auto|cpu|cuda", help="where the network runs")

    def run(self, args: argparse.Namespace) -> int:
        """Make the clip, re-dub it into the first free folder, and say where to look."""
        from julnet_plugin.demo import make_demo

        args.console.note("making a plate and a line to say …")
        plate, dub = make_demo(args.output)
        request = RedubRequest(
            plate=plate, dub=dub, take_dir=free_take(args.output), model=args.model, device=args.device
        )
        take = render(request, args.manager, args.console)
        show_take(take, args.console)
        for name, what in (("dub.mov", "the shot with the new line"), ("report.png", "plate, dub and σ at a glance")):
            if (take.path / name).exists():
                args.console.note(f"look at {take.path / name}: {what}")
        return 0


def free_take(folder: Path) -> Path:
    """The first of take_1, take_2 … that is not there yet, finished or not."""
    number = 1
    while any((folder / name).exists() for name in (f"take_{number}", f".take_{number}.partial")):
        number += 1
    return folder / f"take_{number}"
