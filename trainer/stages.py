"""The stages of a recipe, one after the other, each going on with the averaged weights of the one before."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import CheckpointError, ModelError, SettingsError
from julnet_plugin.model.checkpoint import load_checkpoint
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.rt import RtGenerator
from julnet_plugin.model.syncnet import SyncNet
from trainer.batches import Batches
from trainer.config import TrainSettings
from trainer.cutting import FULL, HALF
from trainer.dataset import DatasetError
from trainer.distances import load_distance
from trainer.loop import STATE, is_over
from trainer.perceptual import load_perceptual_network
from trainer.state import read_average
from trainer.team import Team
from trainer.train import train
from trainer.validate import Validation

if TYPE_CHECKING:
    from julnet_plugin.model.lips import LipBasis
    from julnet_plugin.types import ProgressFn
    from trainer.corpus import Corpus
    from trainer.recipe import Recipe

log = logging.getLogger(__name__)

Codes = Sequence[NDArray[np.float32]]


def train_stages(
    network: Generator,
    corpus: Corpus,
    basis: LipBasis,
    codes: Codes,
    recipe: Recipe,
    run: Path,
    quiet: NDArray[np.float32],
    progress: ProgressFn | None = None,
    team: Team | None = None,
) -> tuple[tuple[int, int], int]:
    """Train a network through all stages of a recipe; stages that an earlier run finished are kept.

    Args:
        network: as it is before the first stage; ends with the weights of the last.
        corpus: what to learn from, and what to validate on.
        basis: of lip shapes.
        codes: (T, K) what is heard in each clip.
        recipe: stages and their settings.
        run: gets a folder a stage.
        quiet: (D,) audio features of silence.
        progress: `progress(stage, done, total)`.
        team: of processes that share the work.

    Returns:
        (h, w) of the crops of the last stage, and the steps of all.

    Raises:
        DatasetError: no clip is large enough.
        ModelError: the weights diverged; the last good state is on disk.
        RedubCancelled: from `progress`; another call goes on.
    """
    team = team or Team()
    size, step = picture_size(network, recipe.stage(0)), 0
    for index, stage in enumerate(recipe.stages):
        settings = recipe.stage(index)
        folder = run / f"{index + 1}-{stage.name}"
        later = (run / f"{k + 1}-{s.name}" for k, s in enumerate(recipe.stages) if k > index)
        over = is_over(folder, settings) or any((f / STATE).exists() for f in later)
        team.wait()  # the first process may write below what the others look at here
        if not over:
            own_size = picture_size(network, settings)
            batches = _batches(network, corpus, basis, codes, settings, index, quiet, optional=len(recipe.stages) > 1)
            if batches is None:
                log.warning("stage %s is left out: no clip is stored at %d x %d", stage.name, *own_size)
                continue
            validation = None
            if settings.validate_every and corpus.held_out:
                validation = Validation(network, corpus.held_out, load_distance(), own_size)
            named_progress = named(progress, f"training: {stage.name}")
            train_stage(network, batches, settings, folder, validation, named_progress, corpus.features, team)
        if (folder / STATE).exists():
            facts, average = read_average(folder / STATE)
            network.load_state_dict(average)
            size, step = picture_size(network, settings), step + int(facts["step"])
    return size, step


def picture_size(network: Generator, settings: TrainSettings) -> tuple[int, int]:
    """(h, w) of the crops that a stage trains on: what its `data.mouth` says, or what the network is built for."""
    if settings.data.mouth:
        return settings.data.mouth * 13 // 8, settings.data.mouth * 10 // 8
    if isinstance(network, RtGenerator):
        return FULL if settings.data.full_size else HALF
    return network.crop_size


def train_stage(
    network: Generator,
    batches: Batches,
    settings: TrainSettings,
    folder: Path,
    validation: Validation | None,
    progress: ProgressFn | None,
    features: str = "",
    team: Team | None = None,
) -> None:
    """Train one stage; its average is in the state file.

    Raises:
        CheckpointError: `loss.syncnet` is not a SyncNet's weights.
        ModelError: the weights diverged.
        SettingsError: that SyncNet needs other features, or more frames in a row than are drawn.
    """
    syncnet = _syncnet(settings, features) if settings.loss.sync > 0 else None
    perceptual = None
    if settings.loss.perceptual > 0:
        perceptual = load_perceptual_network(settings.loss.perceptual_network or None)
    validate = validation if validation is not None and validation.possible else None
    try:
        train(
            network,
            batches,
            perceptual,
            settings,
            folder,
            syncnet=syncnet,
            team=team,
            validate=validate,
            progress=progress,
        )
    except FloatingPointError as exc:
        kept = f"the last good state is in {folder}" if (folder / STATE).exists() else "nothing was saved yet"
        msg = f"{exc}; {kept}: continue with --resume, or start again with a lower optim.learning_rate"
        raise ModelError(msg) from exc


def _syncnet(settings: TrainSettings, features: str) -> SyncNet:
    """The judge of the lip-sync loss."""
    info, network = load_checkpoint(settings.loss.syncnet)
    if not isinstance(network, SyncNet):
        msg = f"{settings.loss.syncnet} holds a {info.kind}, and loss.syncnet needs a SyncNet's weights"
        raise CheckpointError(msg, settings.loss.syncnet)
    if features and info.audio_feature != features:
        msg = f"{settings.loss.syncnet} hears {info.audio_feature!r} and the dataset was prepared with {features!r}"
        raise SettingsError(msg, key="loss.syncnet")
    if settings.data.frames < network.config.frames:
        msg = f"loss.sync needs data.frames = {network.config.frames} or more, and it is {settings.data.frames}"
        raise SettingsError(msg, key="data.frames")
    return network


def _batches(
    network: Generator,
    corpus: Corpus,
    basis: LipBasis,
    codes: Codes,
    settings: TrainSettings,
    stage: int,
    quiet: NDArray[np.float32],
    optional: bool,
) -> Batches | None:
    """What a stage learns from; None where no clip is large enough and the run has other stages."""
    size, seed = picture_size(network, settings), settings.seed + stage
    try:
        return Batches(corpus.clips, codes, basis, size, network.n_refs, settings.data, seed, quiet)
    except DatasetError:
        if not optional:
            raise
        return None


def named(progress: ProgressFn | None, stage: str) -> ProgressFn | None:
    """The same progress under the name of a phase."""
    return None if progress is None else lambda _, done, total: progress(stage, done, total)
