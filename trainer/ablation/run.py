"""The runs of an ablation: every variant with every seed, trained and scored once; what is done is kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from julnet_plugin.errors import InputError, ModelError
from julnet_plugin.model.checkpoint import load_checkpoint
from julnet_plugin.model.generator import Generator
from trainer import uncertainty_metrics as um
from trainer.ablation.plan import Plan, Variant
from trainer.ablation.tables import AblationReport, written_report
from trainer.corpus import read_corpus
from trainer.evaluate import find_clips
from trainer.evaluation.methods import NetworkMethod
from trainer.evaluation.reconstruction import Protocol, Results, reconstruct
from trainer.evaluation.render import joined
from trainer.evaluation.summary import summarise
from trainer.loop import STATE
from trainer.records import digest, read_json, write_json
from trainer.runs import train_run
from trainer.stages import named

if TYPE_CHECKING:
    from julnet_plugin.manager import Manager
    from julnet_plugin.types import ProgressFn
    from trainer.evaluation.scores import Judges

log = logging.getLogger(__name__)

NO_SYNC = "not run: it learns from a SyncNet, and none was given (--sync-loss)"


@dataclass(frozen=True, slots=True, kw_only=True)
class AblationSettings:
    """How an ablation is run."""

    seeds: Sequence[int] = (0, 1, 2)
    overrides: Sequence[str] = ()  #: laid over every variant
    sync_loss: Path | None = None  #: SyncNet weights to learn from; never those that score
    seconds: float | None = 2.0  #: that are scored of each held-out clip


def ablate(
    dataset: Path,
    output: Path,
    plan: Plan,
    settings: AblationSettings,
    manager: Manager,
    judges: Judges,
    progress: ProgressFn | None = None,
) -> AblationReport:
    """Run a plan and write its tables; a second call goes on where the first one stopped.

    Args:
        dataset: prepared clips; its held-out speakers score.
        output: folder of the runs and of `ablation.json` and `ablation.md`.
        plan: what is compared.
        settings: how.
        manager: gives audio features and architectures.
        judges: what scores.
        progress: `progress(stage, done, total)`.

    Raises:
        DatasetError: too little footage.
        InputError: the dataset holds out no speaker.
        RedubCancelled: from `progress`; the same call goes on.
    """
    corpus = read_corpus(dataset)
    if not corpus.held_out:
        msg = (
            f"{dataset} holds out no speaker to score on; prepare it with --val-fraction, or an index with a split val"
        )
        raise InputError(msg)
    paths = find_clips([dataset], "val")
    variants = [variant for table in plan.tables for variant in table.variants]
    known: dict[str, dict[str, Any]] = {}
    jobs = [(variant, seed) for variant in variants for seed in settings.seeds]
    for number, (variant, seed) in enumerate(jobs):
        if variant.needs_sync and settings.sync_loss is None:
            known[variant.name] = {"why": NO_SYNC}
            continue
        told = named(progress, f"{number + 1} of {len(jobs)}: {variant.name}, seed {seed}")
        key = _key(plan, variant, settings, corpus.key)
        folder = output / "runs" / key / f"seed-{seed}"
        scores = read_json(folder / "scores.json")
        if not scores:
            scores = _trained(dataset, folder, plan, variant, seed, settings, manager, judges, paths, told)
            write_json(folder / "scores.json", scores)
        known.setdefault(key, {"seeds": {}})["seeds"][str(seed)] = scores
    report = AblationReport.of(
        plan,
        {id(v): known.get(_key(plan, v, settings, corpus.key), known.get(v.name, {})) for v in variants},
        judges={"distance": judges.distance.name, "frechet": judges.describer.name},
        about={
            "data": corpus.describe(),
            "held out": f"{len(corpus.held_out)} clips of {len({c.header.speaker for c in corpus.held_out})} speakers",
            "budget of a run": _budget(plan, variants[0], settings),
            "seeds": ", ".join(map(str, settings.seeds)),
        },
    )
    written_report(report, output)
    return report


def _trained(
    dataset: Path,
    folder: Path,
    plan: Plan,
    variant: Variant,
    seed: int,
    settings: AblationSettings,
    manager: Manager,
    judges: Judges,
    paths: Sequence[Path],
    progress: ProgressFn | None,
) -> dict[str, Any]:
    """Train and score one run; a run that diverges is a row that says so."""
    recipe = plan.recipe_of(variant, seed, _overrides(variant, settings))
    try:
        done = train_run(dataset, folder, recipe, manager, resume=True, progress=progress)
    except ModelError as exc:
        log.warning("%s, seed %d: %s", variant.name, seed, exc)
        return {"diverged": str(exc)}
    _, network = load_checkpoint(done.model, manager.generator)
    assert isinstance(network, Generator)
    for state in folder.glob(f"*/{STATE}"):
        state.unlink()  # tens of runs: what is not needed again is not kept
    with torch.inference_mode():
        results = reconstruct(paths, [NetworkMethod(network)], judges, Protocol(seconds=settings.seconds), None, 0)
    return scores_of(results, steps=done.step)


def scores_of(results: Results, **more: float) -> dict[str, Any]:
    """The numbers of a row, and the truth's own."""
    table = next(iter(summarise(results).values()))
    names = {"square.psnr": "psnr", "square.distance": "distance", "lse_d": "lse_d", "lse_c": "lse_c"}
    names |= {"truth_lse_d": "truth_lse_d", "truth_lse_c": "truth_lse_c"}
    found: dict[str, Any] = {
        short: table["scores"][key]["mean"] for key, short in names.items() if key in table["scores"]
    }
    found["frechet"] = table["population"].get("frechet")
    if results.sigma:
        pixels = joined([s.pixels for s in results.sigma])
        if float(pixels.sigma.max() - pixels.sigma.min()) > 0:
            found["spearman"] = um.spearman(pixels.sigma, pixels.error)
    return found | more


def _overrides(variant: Variant, settings: AblationSettings) -> list[str]:
    judge = [f'loss.syncnet="{settings.sync_loss}"'] if variant.needs_sync else []
    return [*judge, *settings.overrides]


def _key(plan: Plan, variant: Variant, settings: AblationSettings, corpus: str) -> str:
    """Of everything that decides a run but its seed: equal variants of two tables are one run."""
    if variant.needs_sync and settings.sync_loss is None:
        return variant.name
    recipe = plan.recipe_of(variant, 0, _overrides(variant, settings)).to_json()
    recipe.pop("overrides")
    return digest([recipe, corpus, settings.seconds])[:16]


def _budget(plan: Plan, variant: Variant, settings: AblationSettings) -> str:
    train = plan.recipe_of(variant, 0, [o for o in settings.overrides if not o.startswith("loss.sync")]).train
    steps, minutes = f"{train.max_steps} steps", f"{train.minutes:g} minutes"
    return " or ".join(text for text, given in ((steps, train.max_steps), (minutes, train.minutes)) if given)
