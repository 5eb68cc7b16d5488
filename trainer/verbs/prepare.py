"""`julnet prepare`: footage to a dataset."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.errors import RedubCancelled, SettingsError

if TYPE_CHECKING:
    import argparse


class Prepare:
    """Turn footage into a dataset to train on."""

    name = "prepare"
    help = "turn footage into a dataset: track, judge, crop, split, correct the sound's offset"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("footage", nargs="+", type=Path, metavar="FOOTAGE", help="movies, and folders of them")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="DATASET", help="folder; may exist")
        parser.add_argument(
            "--index", type=Path, metavar="FILE", help="TSV or CSV with the columns file, speaker, split"
        )
        parser.add_argument(
            "--val-fraction", type=float, default=0.1, metavar="X", help="share of the speakers to hold out (0.1)"
        )
        parser.add_argument("--features", default="whisper-96", metavar="NAME", help="audio features (whisper-96)")
        parser.add_argument("--workers", type=int, metavar="N", help="processes (one a core); 0 works in this one")
        parser.add_argument("--no-sync", action="store_true", help="do not measure and correct offsets of the sound")
        parser.add_argument(
            "--model", default="rt", metavar="NAME|FILE", help="listens where footage is too little (rt)"
        )

    def run(self, args: argparse.Namespace) -> int:
        """Prepare, and print the table's summary."""
        if not 0 <= args.val_fraction < 1:
            msg = f"--val-fraction is {args.val_fraction:g}, but it must lie between 0 and 1"
            raise SettingsError(msg, key="val-fraction")
        workers = (os.cpu_count() or 1) if args.workers is None else args.workers
        if workers < 0:
            msg = f"--workers is {workers}, but it must be 0 or more"
            raise SettingsError(msg, key="workers")
        from trainer.threads import calm_threads

        calm_threads()
        from trainer.cutting import CuttingSettings
        from trainer.prepare import PrepareSettings, prepare

        settings = PrepareSettings(
            cutting=CuttingSettings(features=args.features),
            val_fraction=args.val_fraction,
            workers=workers,
            sync=not args.no_sync,
            model=args.model,
            plugins=not getattr(args, "no_plugins", False),
        )
        try:
            with args.console.cancellable():
                done = prepare(
                    args.footage,
                    args.output,
                    settings,
                    args.manager,
                    index=args.index,
                    progress=args.console.progress,
                )
        except RedubCancelled as exc:
            msg = f"stopped; what is prepared stays in {args.output}, and the same command goes on"
            raise RedubCancelled(msg) from exc
        values = {"dataset": str(done.folder), "table": str(done.table), "kept": len(done.kept), "rows": len(done.rows)}
        args.console.result(values, done.text())
        return 0
