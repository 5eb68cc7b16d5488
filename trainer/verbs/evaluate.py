"""`julnet evaluate`: scores of a model on footage, or of any movie against its truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.errors import InputError

if TYPE_CHECKING:
    import argparse


class Evaluate:
    """Score a model on prepared footage, or a movie against its ground truth."""

    name = "evaluate"
    help = "score a model on prepared footage, or any movie against its ground truth"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("model", nargs="?", metavar="MODEL", help="shipped configuration, or a weights file")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder of the report")
        what = parser.add_argument_group("what to score")
        what.add_argument("--data", type=Path, nargs="+", metavar="DATASET", help="prepared clips, or folders of them")
        what.add_argument("--split", default="val", metavar="val|train|all", help="which clips of a folder")
        what.add_argument("--movie", type=Path, metavar="FILE", help="instead of a model: a movie that a system made")
        what.add_argument("--truth", type=Path, metavar="FILE", help="the movie's ground truth, the same frames")
        what.add_argument("--plate", type=Path, metavar="FILE", help="the plate that --movie was made from")
        what.add_argument("--dub", type=Path, metavar="FILE", help="the movie's new sound, unless it is its own")
        what.add_argument("--seconds", type=float, metavar="S", help="at most so much of each clip, from its middle")
        versus = parser.add_argument_group("what to compare with")
        versus.add_argument(
            "--no-audio-model", type=Path, metavar="FILE", help="the same network trained without audio"
        )
        versus.add_argument(
            "--versus", action="append", default=[], metavar="MODEL", help="another model; may be repeated"
        )
        judges = parser.add_argument_group("who judges (without these, openly named substitutes)")
        judges.add_argument(
            "--syncnet", type=Path, metavar="FILE", help="SyncNet weights, for LSE-D and LSE-C; also JULNET_SYNCNET"
        )
        judges.add_argument("--vgg19", metavar="FILE", help="VGG-19 weights; also JULNET_VGG19 or torch's cache")
        judges.add_argument("--lpips-backbone", type=Path, metavar="FILE", help="torchvision's VGG-16 or AlexNet")
        judges.add_argument("--lpips-heads", type=Path, metavar="FILE", help="LPIPS heads v0.1 that belong to it")
        judges.add_argument("--inception", type=Path, metavar="FILE", help="ONNX export of FID's Inception")
        how = parser.add_argument_group("how")
        how.add_argument(
            "--gap", type=float, default=1.0, metavar="S", help="least distance of references from a target"
        )
        how.add_argument(
            "--no-landmarks", action="store_true", help="skip the face mesh: no landmark distance, no dubbing"
        )
        how.add_argument("--no-dubbing", action="store_true", help="skip the dubbing protocol")
        how.add_argument("--device", default="auto", metavar="auto|cpu|cuda", help="where the network runs")

    def run(self, args: argparse.Namespace) -> int:
        """Score, write the report and say where it is."""
        _check(args)
        from trainer.evaluate import evaluate_model, evaluate_movie, evaluate_syncnet, is_syncnet

        with args.console.cancellable():
            if args.movie:
                report, files = evaluate_movie(args)
            elif is_syncnet(args.model):
                report, files = evaluate_syncnet(args)
            else:
                report, files = evaluate_model(args)
        args.console.result(
            {"report": str(files[0]), "files": [str(f) for f in files], "headline": report["headline"]},
            files[1].read_text("utf-8"),
        )
        return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse combinations that mean nothing, before anything heavy is loaded."""
    if bool(args.movie) != bool(args.truth or args.plate):
        msg = "a movie is scored against its truth or its plate; give --movie with --truth or --plate"
        raise InputError(msg)
    if bool(args.movie) == bool(args.model):
        msg = "nothing to score, or too much; give either MODEL with --data, or --movie with --truth or --plate"
        raise InputError(msg)
    if args.model and not args.data:
        msg = "a model is scored on prepared footage; give --data, a folder that `julnet prepare` wrote"
        raise InputError(msg)
    if args.split not in ("val", "train", "all"):
        msg = f"unknown split {args.split!r}; give val, train or all"
        raise InputError(msg)
