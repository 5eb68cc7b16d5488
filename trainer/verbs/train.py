"""`julnet train`: a dataset to a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.errors import RedubCancelled

if TYPE_CHECKING:
    import argparse

    from trainer.recipe import Recipe
    from trainer.team import Team


class Train:
    """Train a model from prepared footage."""

    name = "train"
    help = "train a model from prepared footage"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder that `julnet prepare` wrote")
        parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN", help="folder of the run")
        parser.add_argument(
            "--recipe",
            default="rt",
            metavar="NAME|FILE",
            help="rt, paper, wav2lip, uncertainty, syncnet, cover, or a TOML file",
        )
        parser.add_argument(
            "--from", dest="base", metavar="NAME|FILE", help="weights to go on from, such as rt or a weights file"
        )
        parser.add_argument("--resume", action="store_true", help="continue a run that was stopped or killed")
        add_training_options(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Train, and say where the model is and what it scores; as one of several processes under `torchrun`."""
        from trainer.threads import calm_threads

        calm_threads(args.threads)
        from trainer.recipe import load_recipe
        from trainer.team import joined_team

        recipe = load_recipe(args.recipe, [*_base_from(args), *overrides_from(args)])
        learnt = {"syncnet": _train_syncnet, "cover": _train_cover}.get(recipe.train.architecture, _train_generator)
        with joined_team(recipe.train.device) as team:
            try:
                with args.console.cancellable():
                    values, text = learnt(args, recipe, team)
            except RedubCancelled as exc:
                msg = f"stopped; the same command with --resume goes on in {args.output}"
                raise RedubCancelled(msg) from exc
            if team.leads:
                args.console.result(values, text)
        return 0


def _train_generator(args: argparse.Namespace, recipe: Recipe, team: Team) -> tuple[dict[str, object], str]:
    from trainer.runs import train_run

    progress = args.console.progress if team.leads else None
    done = train_run(args.dataset, args.output, recipe, args.manager, resume=args.resume, team=team, progress=progress)
    scores = done.scores.to_json() if done.scores is not None else {}
    shown = ", ".join(f"{name} {value:g}" for name, value in scores.items())
    on = f"held-out speakers: {shown}" if shown else "not scored: the dataset holds out no speaker"
    values = {"model": str(done.model), "steps": done.step, "scores": scores}
    return values, f"{done.step} steps\n{on}\nmodel  {done.model}"


def _train_syncnet(args: argparse.Namespace, recipe: Recipe, team: Team) -> tuple[dict[str, object], str]:
    from trainer.syncnet.run import train_syncnet

    progress = args.console.progress if team.leads else None
    done = train_syncnet(
        args.dataset, args.output, recipe, args.manager, resume=args.resume, team=team, progress=progress
    )
    on = "not scored: the dataset holds out no speaker with clips of two seconds"
    if done.accuracy is not None:
        on = f"on held-out speakers\n{done.accuracy.text()}"
    values = {"model": str(done.model), "steps": done.step, "scores": done.scores()}
    return values, f"{done.step} steps\n{on}\nmodel  {done.model}"


def _train_cover(args: argparse.Namespace, recipe: Recipe, team: Team) -> tuple[dict[str, object], str]:
    from trainer.cover.run import train_cover

    progress = args.console.progress if team.leads else None
    done = train_cover(args.dataset, args.output, recipe, resume=args.resume, team=team, progress=progress)
    on = "not scored: the dataset holds out no speaker"
    if done.scores is not None:
        on = f"things drawn in front of held-out speakers\n{done.scores.text()}"
    values = {
        "model": str(done.model),
        "steps": done.step,
        "scores": {} if done.scores is None else done.scores.to_json(),
    }
    return values, f"{done.step} steps\n{on}\nmodel  {done.model}"


def _base_from(args: argparse.Namespace) -> list[str]:
    return [] if args.base is None else [f"train.base={json.dumps(args.base)}"]


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Options that `train` and `finetune` share."""
    how = parser.add_argument_group("how")
    how.add_argument("--minutes", type=float, metavar="M", help="time budget")
    how.add_argument(
        "--max-steps", type=int, metavar="N", help="step budget; without --minutes the run is repeatable to the bit"
    )
    how.add_argument("--seed", type=int, metavar="N", help="of everything random")
    how.add_argument("--threads", type=int, metavar="N", help="CPU threads of the network")
    how.add_argument("--device", metavar="auto|cpu|cuda", help="where the network learns")
    how.add_argument("--tensorboard", action="store_true", help="also write scalars and pictures for TensorBoard")
    how.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="one setting of the recipe, such as optim.learning_rate=1e-4; may be repeated",
    )


def overrides_from(args: argparse.Namespace) -> list[str]:
    """The options of `add_training_options` as overrides of a recipe; `--set` comes last and wins."""
    found = []
    if args.max_steps is not None:
        found.append(f"train.max_steps={args.max_steps}")
        if args.minutes is None:
            found.append("train.minutes=0")
    for name in ("minutes", "seed", "threads"):
        if getattr(args, name) is not None:
            found.append(f"train.{name}={getattr(args, name)}")
    if args.device is not None:
        found.append(f'train.device="{args.device}"')
    if args.tensorboard:
        found.append("train.tensorboard=true")
    return [*found, *args.overrides]
