"""`julnet ablate`: the paper's experiments on footage of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.errors import RedubCancelled, SettingsError

if TYPE_CHECKING:
    import argparse


class Ablate:
    """Train variants of one recipe and compare them."""

    name = "ablate"
    help = "the paper's ablation tables: variants of one recipe on the same data and budget"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder that `julnet prepare` wrote")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder; goes on in it")
        parser.add_argument("--plan", default="paper", metavar="NAME|FILE", help="what is compared (paper)")
        parser.add_argument("--tables", default="", metavar="3,4,5,dinet", help="only these tables of the plan")
        how = parser.add_argument_group("how")
        how.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of every variant (3)")
        how.add_argument("--max-steps", type=int, metavar="N", help="step budget of a run")
        how.add_argument("--minutes", type=float, metavar="M", help="time budget of a run")
        how.add_argument("--seconds", type=float, default=2.0, metavar="S", help="scored of each held-out clip (2)")
        how.add_argument("--threads", type=int, metavar="N", help="CPU threads of the network")
        how.add_argument("--device", metavar="auto|cpu|cuda", help="where the networks learn")
        how.add_argument(
            "--sync-loss", type=Path, metavar="FILE", help="SyncNet that rows with L_sync learn from; not the judge"
        )
        how.add_argument(
            "--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE", help="for every variant"
        )
        judges = parser.add_argument_group("who judges (without these, openly named substitutes)")
        judges.add_argument("--syncnet", type=Path, metavar="FILE", help="SyncNet for LSE; also JULNET_SYNCNET")
        judges.add_argument("--vgg19", metavar="FILE", help="VGG-19 weights; also JULNET_VGG19 or torch's cache")
        judges.add_argument("--lpips-backbone", type=Path, metavar="FILE", help="torchvision's VGG-16 or AlexNet")
        judges.add_argument("--lpips-heads", type=Path, metavar="FILE", help="LPIPS heads v0.1 that belong to it")
        judges.add_argument("--inception", type=Path, metavar="FILE", help="ONNX export of FID's Inception")

    def run(self, args: argparse.Namespace) -> int:
        """Run what is missing, and print the tables."""
        if args.seeds < 1:
            msg = f"--seeds is {args.seeds}, but at least one run of every variant is needed"
            raise SettingsError(msg, key="seeds")
        from trainer.threads import calm_threads

        calm_threads(args.threads)
        from trainer.ablation.plan import load_plan
        from trainer.ablation.run import AblationSettings, ablate
        from trainer.dataset import clip_paths, read_header
        from trainer.evaluate import load_judges
        from trainer.judge import find_syncnet

        judge = args.syncnet or find_syncnet()
        if args.sync_loss is not None and judge is not None and args.sync_loss.resolve() == judge.resolve():
            msg = f"{judge} cannot both teach and judge; give another SyncNet as --sync-loss or as --syncnet"
            raise SettingsError(msg, key="sync-loss")
        plan = load_plan(args.plan, [name.strip() for name in args.tables.split(",") if name.strip()])
        settings = AblationSettings(
            seeds=range(args.seeds), overrides=_overrides(args), sync_loss=args.sync_loss, seconds=args.seconds
        )
        args.no_landmarks = True
        features = read_header(clip_paths(args.dataset)[0]).features
        judges = load_judges(args, features)
        try:
            with args.console.cancellable():
                report = ablate(args.dataset, args.output, plan, settings, args.manager, judges, args.console.progress)
        except RedubCancelled as exc:
            msg = "stopped; the same command goes on"
            raise RedubCancelled(msg) from exc
        files = [args.output / "ablation.json", args.output / "ablation.md"]
        args.console.result({"report": str(files[0]), "files": [str(f) for f in files]}, report.markdown())
        return 0


def _overrides(args: argparse.Namespace) -> list[str]:
    found = []
    if args.max_steps is not None:
        found += [f"train.max_steps={args.max_steps}", "train.minutes=0"]
    if args.minutes is not None:
        found += [f"train.minutes={args.minutes}"] + ([] if args.max_steps is not None else ["train.max_steps=0"])
    if args.threads is not None:
        found.append(f"train.threads={args.threads}")
    if args.device is not None:
        found.append(f'train.device="{args.device}"')
    return [*found, *args.overrides]
