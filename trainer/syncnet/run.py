"""A SyncNet from a dataset: what `julnet train --recipe syncnet` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from julnet_plugin.errors import SettingsError
from julnet_plugin.model.architectures import SYNCNET
from julnet_plugin.model.checkpoint import save_checkpoint
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.syncnet import SyncNet
from trainer.claim import claim_run
from trainer.corpus import Corpus, read_corpus
from trainer.lipshape import fit_lip_basis
from trainer.loop import STATE, is_over, learn
from trainer.recipe import Recipe
from trainer.records import write_json
from trainer.splits import choosing_speakers
from trainer.state import read_average
from trainer.syncnet.accuracy import SyncAccuracy, sync_accuracy
from trainer.syncnet.lesson import SyncLesson
from trainer.syncnet.pairs import Pairs
from trainer.syncnet.views import Views, views_of
from trainer.team import Team

if TYPE_CHECKING:
    from julnet_plugin.manager import Manager
    from julnet_plugin.model.lips import LipBasis
    from julnet_plugin.types import ProgressFn
    from trainer.dataset import Clip

MODEL, REPORT = "syncnet.safetensors", "report.json"
_COARSE = (2, 5, 10)  #: shifts that choose the best weights; one alone saturates


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedSyncNet:
    """What a run made."""

    model: Path
    step: int
    accuracy: SyncAccuracy | None  #: on held-out speakers; None where there are none

    def scores(self) -> dict[str, float]:
        """For the header and for programs."""
        return header_scores(self.accuracy)


def train_syncnet(
    dataset: Path,
    run: Path,
    recipe: Recipe,
    manager: Manager,
    *,
    resume: bool = False,
    team: Team | None = None,
    progress: ProgressFn | None = None,
) -> TrainedSyncNet:
    """Train a SyncNet from a dataset; arguments and errors as those of `trainer.runs.train_run`."""
    team = team or Team()
    torch.set_num_threads(recipe.train.threads)
    corpus = read_corpus(dataset)
    with team.one_after_the_first():
        claim_run(run, recipe, corpus, resume or not team.leads)
    network = new_syncnet(recipe, manager.audio_features(corpus.features).size)
    basis = fit_lip_basis(corpus.clips, recipe.lips.codes)
    taught, choosing = choosing_speakers(corpus.clips, recipe.sync.choose)
    views = all_views(taught, network, basis, progress)
    pairs = Pairs(views, recipe.sync, basis, recipe.train.seed)
    settings = recipe.stage(0)
    importance = torch.from_numpy(np.tile(basis.spread / basis.spread[0], network.config.frames))
    lesson = SyncLesson(network, network.config.frames * len(basis.spread), importance, recipe.sync, settings)
    folder = run / f"1-{recipe.stages[0].name}"
    if not is_over(folder, settings):
        chooser = Chooser(recipe, network.config.audio_size, all_views(choosing, network, None, None))
        validate = chooser if choosing and settings.validate_every else None
        learn(lesson, pairs, settings, folder, team=team, validate=validate, progress=progress)
    facts, average = read_average(folder / STATE)
    network.load_state_dict(average)
    network = network.cpu().eval()
    accuracy = sync_accuracy(network, all_views(corpus.held_out, network, None, progress))
    if team.leads:
        publish(run, network, recipe, corpus, int(facts["step"]), accuracy)
    team.wait()
    return TrainedSyncNet(model=run / MODEL, step=int(facts["step"]), accuracy=accuracy)


def new_syncnet(recipe: Recipe, audio_size: int) -> SyncNet:
    """An untrained SyncNet, the same for equal seeds.

    Raises:
        SettingsError: the recipe's `network` section does not fit.
    """
    torch.manual_seed(recipe.train.seed)
    try:
        network = SYNCNET.build({"audio_size": audio_size, **recipe.network})
    except ValueError as exc:
        msg = f"the recipe's network section does not fit 'syncnet': {exc}"
        raise SettingsError(msg, key="network") from exc
    assert isinstance(network, SyncNet)
    return network


def all_views(
    clips: Sequence[Clip], network: SyncNet, basis: LipBasis | None, progress: ProgressFn | None
) -> list[Views]:
    """The clips as SyncNet takes them; those without frames that follow each other are passed over."""
    found = []
    for number, clip in enumerate(clips):
        view = views_of(clip, network, basis)
        if view is not None:
            found.append(view)
        if progress is not None:
            progress("looking at mouths", number + 1, len(clips))
    return found


class Chooser:
    """Scores averaged weights on speakers that are not learnt from; see `trainer.loop.Validate`."""

    def __init__(self, recipe: Recipe, audio_size: int, views: Sequence[Views]) -> None:
        self._network, self._views = new_syncnet(recipe, audio_size).eval(), views

    def __call__(self, weights: Mapping[str, Tensor]) -> dict[str, float]:
        """The mean accuracy at a few shifts decides."""
        self._network.load_state_dict({k: v.cpu() for k, v in weights.items()})
        found = sync_accuracy(self._network, self._views)
        if found is None:
            return {"score": 0.0}
        known = {f"accuracy_{n}": found.window[n].mean for n in _COARSE}
        score = float(np.mean([*known.values(), *(found.moment[n].mean for n in _COARSE)]))
        return {"score": score, **known, "lse_d": found.lse_d.mean, "lse_c": found.lse_c.mean}


def publish(
    run: Path, network: SyncNet, recipe: Recipe, corpus: Corpus, step: int, accuracy: SyncAccuracy | None
) -> None:
    """Write the weights and the report."""
    info = CheckpointInfo.of(
        network,
        kind="syncnet",
        architecture=SYNCNET.name,
        audio_feature=corpus.features,
        name=recipe.name,
        licence=recipe.licence,
        step=step,
        data=corpus.describe(),
        scores=header_scores(accuracy),
    )
    save_checkpoint(network, info, run / MODEL)
    write_json(run / REPORT, {} if accuracy is None else accuracy.to_json())


def header_scores(accuracy: SyncAccuracy | None) -> dict[str, float]:
    """What a weights file says of itself."""
    if accuracy is None:
        return {}
    known = {f"val_accuracy_{n}_frames": e.mean for n, e in accuracy.window.items()}
    known |= {"val_truth_lse_d": accuracy.lse_d.mean, "val_truth_lse_c": accuracy.lse_c.mean}
    return {name: round(value, 4) for name, value in known.items() if np.isfinite(value)}
