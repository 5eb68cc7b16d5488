"""A model for one actor: what `julnet finetune` does.

Footage is prepared, seconds of it are held out, the generator learns the rest within a time budget, and the result is
measured against the model it started from. A model that does not measure better is not handed back. Beside the output
lies `NAME.finetune/`, with the dataset, the run, `report.json` and `before_after.png`; the same command goes on in it.
"""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from julnet_plugin.errors import CheckpointError, ModelError
from julnet_plugin.model.checkpoint import find_model, load_checkpoint, save_checkpoint
from julnet_plugin.model.generator import Generator
from julnet_plugin.pipeline.hashing import file_hash
from trainer.corpus import Corpus, seconds_of
from trainer.cutting import CuttingSettings
from trainer.dataset import clip_paths, read_clip
from trainer.distances import load_distance
from trainer.evaluation.reconstruction import Protocol
from trainer.evaluation.report import write_examples
from trainer.gates import Gates
from trainer.holdout import Split, hold_out, speakers_of, work_folder
from trainer.judge import judging_syncnet
from trainer.lipshape import drawn_codes, fit_lip_basis
from trainer.prepare import PrepareSettings, prepare
from trainer.recipe import Recipe, load_recipe
from trainer.records import digest, read_json, write_json
from trainer.runs import describe_weights, silent_features
from trainer.stages import Codes, train_stages
from trainer.teacher import LipTeacher
from trainer.validate import Scores, score_network

if TYPE_CHECKING:
    from julnet_plugin.manager import Manager
    from julnet_plugin.model.info import CheckpointInfo
    from julnet_plugin.model.lips import LipBasis
    from julnet_plugin.model.syncnet import SyncNet
    from julnet_plugin.types import ProgressFn
    from trainer.evaluation.render import Rendered

JUDGED = Protocol(gap_s=1.0)
_LEAST_SHARE = 0.3  #: of the budget that is spent on learning, however long the rest took
_EXAMPLES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetuned:
    """What fine-tuning made."""

    model: Path
    before: Scores  #: of the base, on the held-out seconds
    after: Scores
    minutes: float  #: spent in all
    report: Path
    pictures: Path

    def text(self) -> str:
        """The scores as a small table."""
        return f"{comparison(self.before, self.after)}\nmodel  {self.model}\nsee    {self.pictures}"


def finetune(
    footage: Sequence[Path],
    output: Path,
    recipe: Recipe,
    manager: Manager,
    *,
    base: str | Path = "rt",
    workers: int = 0,
    plugins: bool = True,
    progress: ProgressFn | None = None,
) -> Finetuned:
    """Fine-tune a model on one actor.

    Args:
        footage: clips of the actor, speaking.
        output: the model file to write.
        recipe: how; its `train.minutes` is the budget for everything, its architecture that of the base.
        manager: gives audio features, face tracker and architectures.
        base: a shipped model's name, or a weights file.
        workers: processes that prepare footage; 0 = this one.
        plugins: whether they load third-party plugins.
        progress: `progress(stage, done, total)`.

    Raises:
        CheckpointError: the base is not a generator's weights.
        DatasetError: too little usable footage.
        ModelError: the result does not measure better than the base on the held-out seconds; no model was written.
        RedubCancelled: from `progress`; the same call goes on.
    """
    started = time.monotonic()
    torch.set_num_threads(recipe.train.threads)
    path = find_model(base)
    info, network = load_checkpoint(path, manager.generator)
    if not isinstance(network, Generator):
        msg = f"{path} holds a {info.kind}, and a generator is needed; give a generator's weights"
        raise CheckpointError(msg, path)
    work = work_folder(output)
    teacher = _teacher(network, info.audio_feature)
    # What is learnt is a mouth's look, and a plate has the music and the partners that it has.
    cutting = CuttingSettings(features=info.audio_feature, gates=Gates(alone=False))
    settings = PrepareSettings(cutting=cutting, val_fraction=0.0, workers=workers, plugins=plugins)
    prepare(footage, work / "dataset", settings, manager, teacher=teacher, progress=progress)
    split = hold_out([c for p in clip_paths(work / "dataset") if (c := read_clip(p)).jpeg])
    base_network = copy.deepcopy(network)
    drawn_before: list[Rendered] = []
    syncnet = judging_syncnet(None, info.audio_feature)
    before, scoring_s = _judged(base_network, split, drawn_before, syncnet, progress)
    scored = (seconds_of(split.judge) + seconds_of(split.choose)) / seconds_of(split.judge)  # see `_save`
    recipe = _within_budget(recipe, time.monotonic() - started + scored * scoring_s)
    step = _learn(
        network, teacher, split, recipe, work / "run", digest([file_hash(path), info.step]), manager, progress
    )
    drawn_after: list[Rendered] = []
    after, _ = _judged(network, split, drawn_after, syncnet, progress)
    pictures = write_examples(work / "before_after.png", list(zip(drawn_before, drawn_after, strict=True))[:_EXAMPLES])
    spent = (time.monotonic() - started) / 60
    report = _report(work, before, after, split, spent, step)
    if after.psnr <= before.psnr or after.distance >= before.distance:
        seconds = seconds_of(split.judge)
        msg = (
            f"the fine-tuned model does not measure better than {base} on the {seconds:.1f} s that were held out "
            f"({_change(before, after)}), so no model was written; give more footage of the actor, or more --minutes"
        )
        raise ModelError(msg)
    _save(network, info, output, before, after, split, step)
    return Finetuned(model=output, before=before, after=after, minutes=spent, report=report, pictures=pictures)


def adapt_model(
    model: str,
    clips: Sequence[Path],
    output: Path,
    minutes: float,
    device: str,
    progress: ProgressFn | None,
    manager: Manager,
) -> Path:
    """Fine-tune a copy of a model on the shot that it is about to dub; see `hookspecs.julnet_adapt_model`."""
    settings = [f"train.minutes={minutes:g}", f'train.device="{device}"']
    return finetune(clips, output, load_recipe("finetune", settings), manager, base=model, progress=progress).model


def _within_budget(recipe: Recipe, spent_s: float) -> Recipe:
    """The recipe with what is left of its minutes; without a time budget, as it is."""
    whole = recipe.train.minutes
    minutes = max(whole - spent_s / 60, _LEAST_SHARE * whole)
    return replace(recipe, train=replace(recipe.train, minutes=minutes))


def comparison(before: Scores, after: Scores) -> str:
    """Scores on the held-out seconds, before and after."""
    rows = [("", "before", "after"), ("PSNR (dB)", f"{before.psnr:.2f}", f"{after.psnr:.2f}")]
    rows.append((before.distance_name, f"{before.distance:.4f}", f"{after.distance:.4f}"))
    rows.append(("Spearman(σ, |error|)", f"{before.spearman:.3f}", f"{after.spearman:.3f}"))
    if np.isfinite(before.lse_d):
        rows.append(("LSE-D", f"{before.lse_d:.3f}", f"{after.lse_d:.3f}"))
        rows.append(("LSE-D of the truth", f"{before.truth_lse_d:.3f}", ""))
    return "\n".join(f"{name:<22}{a:>9}{b:>9}".rstrip() for name, a, b in rows)


def _teacher(network: Generator, features: str) -> LipTeacher | None:
    try:
        return LipTeacher.of_network(copy.deepcopy(network), features)
    except ValueError:
        return None


def _judged(
    network: Generator,
    split: Split,
    drawn: list[Rendered],
    syncnet: SyncNet | None,
    progress: ProgressFn | None,
) -> tuple[Scores, float]:
    """Scores on the seconds to judge by, drawn as a take is, and how long that took."""
    if progress is not None:
        progress("scoring", 0, 1)
    started = time.monotonic()
    scores = score_network(
        network.cpu().eval(), split.judge, load_distance(), protocol=JUDGED, keep=drawn, syncnet=syncnet
    )
    assert scores is not None  # `hold_out` took pieces that are long enough
    if progress is not None:
        progress("scoring", 1, 1)
    return scores, time.monotonic() - started


def _learn(
    network: Generator,
    teacher: LipTeacher | None,
    split: Split,
    recipe: Recipe,
    run: Path,
    base_key: str,
    manager: Manager,
    progress: ProgressFn | None,
) -> int:
    """Train on what may be learnt from; goes on in `run` where that was started from the same base and footage."""
    facts = [[c.header.name, c.header.source_hash, c.header.offset_s, len(c)] for c in split.learn]
    corpus = Corpus(
        clips=split.learn, lips=[], held_out=split.choose, features=split.learn[0].header.features, key=digest(facts)
    )
    changes = recipe.to_json()
    changes["train"].pop("minutes")
    key = digest([corpus.key, base_key, changes])
    if read_json(run / "run.json").get("key") != key:
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir(parents=True)
        write_json(run / "run.json", {"key": key})
    quiet = silent_features(manager, corpus.features)
    basis: LipBasis
    codes: Codes
    if teacher is None:
        basis = fit_lip_basis(split.learn, 10)
        codes = [np.zeros((len(clip), 10), np.float32) for clip in split.learn]
    else:
        basis = teacher.basis
        codes = [drawn_codes(teacher.encoder, teacher.basis, clip, quiet) for clip in split.learn]
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return train_stages(network, corpus, basis, codes, recipe, run, quiet, progress)[1]


def _report(work: Path, before: Scores, after: Scores, split: Split, minutes: float, step: int) -> Path:
    values: dict[str, Any] = {
        "before": before.to_json(),
        "after": after.to_json(),
        "held_out_s": round(seconds_of(split.judge), 2),
        "chosen_on_s": round(seconds_of(split.choose), 2),
        "learnt_from_s": round(seconds_of(split.learn), 2),
        "minutes": round(minutes, 2),
        "steps": step,
    }
    write_json(work / "report.json", values)
    return work / "report.json"


def _change(before: Scores, after: Scores) -> str:
    return (
        f"PSNR {before.psnr:.2f} dB before, {after.psnr:.2f} after; "
        f"{before.distance_name} {before.distance:.4f} before, {after.distance:.4f} after"
    )


def _save(
    network: Generator, base: CheckpointInfo, output: Path, before: Scores, after: Scores, split: Split, step: int
) -> None:
    """Write the model; σ is calibrated on the seconds that were chosen by, not on those that it is judged by."""
    chosen = score_network(network, split.choose, load_distance(), protocol=JUDGED)
    who = f"{seconds_of(split.learn):.0f} s of {speakers_of(split.learn)}"
    info = describe_weights(
        network,
        base.architecture,
        base.audio_feature,
        chosen,
        name=output.stem,
        licence=base.licence,
        step=base.step + step,
        data=f"{base.data}; fine-tuned on {who}" if base.data else f"fine-tuned on {who}",
    )
    scores = {f"heldout_{k}_before": v for k, v in before.to_json().items()}
    scores |= {f"heldout_{k}_after": v for k, v in after.to_json().items()}
    output.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(network, replace(info, scores=scores), output)
