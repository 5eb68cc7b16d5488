"""`julnet finetune`: a model for one actor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.errors import RedubCancelled, SettingsError
from trainer.verbs.train import add_training_options, overrides_from

if TYPE_CHECKING:
    import argparse


class Finetune:
    """Fine-tune a model on one actor's footage."""

    name = "finetune"
    help = "fine-tune a model on one actor, judged on seconds of them that it never saw"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "clips", nargs="+", type=Path, metavar="CLIP", help="the actor speaking: 30 s to 10 min in all"
        )
        parser.add_argument("--from", default="rt", dest="base", metavar="NAME|FILE", help="model to start from (rt)")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL", help="weights file to write")
        parser.add_argument("--recipe", default="finetune", metavar="NAME|FILE", help="another recipe")
        parser.add_argument("--workers", type=int, metavar="N", help="processes that prepare (at most one a clip)")
        add_training_options(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Fine-tune, and show the scores before and after."""
        if args.output.suffix.lower() != ".safetensors":
            msg = f"the model {args.output} has the suffix {args.output.suffix!r}; weights are .safetensors files"
            raise SettingsError(msg, key="output")
        from trainer.threads import calm_threads

        calm_threads(args.threads)
        from trainer.finetune import finetune
        from trainer.recipe import load_recipe

        recipe = load_recipe(args.recipe, overrides_from(args))
        files = len(args.clips) if all(clip.is_file() for clip in args.clips) else os.cpu_count() or 1
        workers = min(files, os.cpu_count() or 1) if args.workers is None else args.workers
        try:
            with args.console.cancellable():
                done = finetune(
                    args.clips,
                    args.output,
                    recipe,
                    args.manager,
                    base=args.base,
                    workers=0 if workers < 2 else workers,
                    plugins=not getattr(args, "no_plugins", False),
                    progress=args.console.progress,
                )
        except RedubCancelled as exc:
            msg = "stopped; the same command goes on"
            raise RedubCancelled(msg) from exc
        values = {
            "model": str(done.model),
            "report": str(done.report),
            "pictures": str(done.pictures),
            "before": done.before.to_json(),
            "after": done.after.to_json(),
            "minutes": round(done.minutes, 1),
        }
        args.console.result(values, f"{done.text()}\ntook   {done.minutes:.1f} minutes")
        return 0
