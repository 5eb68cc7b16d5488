"""A training run from a dataset to a model file: what `julnet train` does.

The run folder keeps what each phase made, so that a run that was killed goes on where it stopped:

    recipe.json          everything that decides the run
    lips.safetensors     lip shapes, and the encoder that hears them
    codes.safetensors    lip shapes that each clip's sound stands for, heard by encoders that never met the speaker
                         (neither is there where `train.base` gives weights to go on from: they hear for themselves)
    1-NAME/ 2-NAME/ …    one folder a stage: settings, log, state
    model.safetensors    the result
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from julnet_plugin.errors import CheckpointError, SettingsError
from julnet_plugin.matte.calibration import fit_calibration
from julnet_plugin.model.checkpoint import find_model, load_checkpoint, save_checkpoint
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.strict import values_of
from julnet_plugin.pipeline.hashing import file_hash
from trainer.claim import claim_run
from trainer.corpus import Corpus, read_corpus
from trainer.dataset import Clip
from trainer.distances import load_distance
from trainer.lipshape import drawn_codes, fit_lip_basis, out_of_fold_codes
from trainer.recipe import Recipe
from trainer.records import digest
from trainer.stages import Codes, named, train_stages
from trainer.step import LipPainter
from trainer.teacher import LipTeacher
from trainer.team import Team
from trainer.validate import Scores, score_network

if TYPE_CHECKING:
    from julnet_plugin.manager import Manager
    from julnet_plugin.model.lips import LipBasis
    from julnet_plugin.types import ProgressFn

MODEL = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a run made."""

    model: Path
    step: int
    scores: Scores | None  #: on held-out speakers; None where there are none


def train_run(
    dataset: Path,
    run: Path,
    recipe: Recipe,
    manager: Manager,
    *,
    resume: bool = False,
    team: Team | None = None,
    progress: ProgressFn | None = None,
) -> Trained:
    """Train a model from a dataset; every phase that an earlier run finished is kept.

    Args:
        dataset: folder of prepared clips.
        run: folder of the run.
        recipe: everything that decides it.
        manager: gives audio features and architectures.
        resume: continue the run in `run`; without it the folder must not hold one.
        team: of processes that share the work; only the first one writes and scores.
        progress: `progress(stage, done, total)`.

    Raises:
        DatasetError: no dataset, too little in it, or another one than the run was started with.
        SettingsError: the folder holds a run already, or another recipe's.
        ModelError: the weights diverged; the last good state is on disk.
        RedubCancelled: from `progress`; `resume` goes on.
    """
    team = team or Team()
    torch.set_num_threads(recipe.train.threads)
    corpus = read_corpus(dataset)
    start = starting_point(recipe, corpus, manager)
    recipe, network = start.recipe, start.network
    quiet = silent_features(manager, corpus.features)
    with team.one_after_the_first():
        claim_run(run, recipe, corpus, resume or not team.leads)
        basis, codes = _taught(run, start, corpus, quiet, progress)
    size, step = train_stages(network, corpus, basis, codes, recipe, run, quiet, progress, team)
    if team.leads:
        done = _publish(run, start, corpus, size, step, progress)
    team.wait()
    return done if team.leads else Trained(model=run / MODEL, step=step, scores=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a run begins with."""

    recipe: Recipe  #: with the architecture of the base, and the digest of its file
    network: Generator
    base: CheckpointInfo | None = None  #: header of the weights that it goes on from


def starting_point(recipe: Recipe, corpus: Corpus, manager: Manager) -> Start:
    """An untrained network, or the one that the recipe goes on from.

    Raises:
        CheckpointError: the base is not a generator's weights.
        SettingsError: the recipe's `network` section does not fit the architecture; or the base hears other features
            than the dataset holds, or is to be changed in shape.
    """
    if not recipe.train.base:
        return Start(recipe=recipe, network=new_network(recipe, corpus, manager))
    path = find_model(recipe.train.base)
    info, network = load_checkpoint(path, manager.generator)
    if not isinstance(network, Generator):
        msg = f"{path} holds a {info.kind}, and a generator is needed; give a generator's weights"
        raise CheckpointError(msg, path)
    again = recipe.lips.again and isinstance(network, LipPainter)
    if info.audio_feature != corpus.features and not again:
        msg = (
            f"{path} hears {info.audio_feature!r}, and the dataset was prepared with {corpus.features!r}; prepare anew"
            + (", or let it learn to hear again: --set lips.again=true" if isinstance(network, LipPainter) else "")
        )
        raise SettingsError(msg, key="train.base")
    if again:
        size = manager.audio_features(corpus.features).size
        network = with_new_ears(network, info.architecture, {**recipe.network, "audio_size": size}, manager)
    elif recipe.network:
        network = grown(network, info.architecture, recipe.network, manager)
    train = replace(recipe.train, architecture=info.architecture, base=f"{path.name} {file_hash(path)[:24]}")
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Start(recipe=replace(recipe, train=train), network=network, base=info)


def grown(network: Generator, architecture: str, changes: Mapping[str, object], manager: Manager) -> Generator:
    """A trained network in another configuration that only adds to what its layers see; it draws what it drew.

    Raises:
        SettingsError: the configuration is wrong, or weights would not fit.
    """
    larger = _built(architecture, {**values_of(network.config), **changes}, manager)
    old, new = network.state_dict(), larger.state_dict()
    for name, value in new.items():
        had = old.get(name)
        fits = had is not None and had.shape[:1] == value.shape[:1] and had.shape[2:] == value.shape[2:]
        if had is None or not fits or had.numel() > value.numel():
            msg = f"network.{next(iter(changes))} cannot be set on top of trained weights: {name} would not fit"
            raise SettingsError(msg, key="network")
        if had.shape != value.shape:
            value.zero_()[:, : had.shape[1]].copy_(had)
        else:
            value.copy_(had)
    return larger


def with_new_ears(network: Generator, architecture: str, changes: Mapping[str, object], manager: Manager) -> Generator:
    """A trained network with an untaught audio branch; it draws a given lip shape as it drew it.

    Raises:
        SettingsError: the configuration is wrong, or changes more than the audio branch.
    """
    other = _built(architecture, {**values_of(network.config), **changes}, manager)
    kept = {name: value for name, value in network.state_dict().items() if not name.startswith("audio_encoder.")}
    try:
        unfitting = other.load_state_dict(kept, strict=False)
        wrong = [*unfitting.unexpected_keys, *(k for k in unfitting.missing_keys if not k.startswith("audio_encoder."))]
    except RuntimeError as exc:
        wrong = [str(exc).splitlines()[-1].strip()]
    if wrong:
        msg = f"lips.again changes the audio branch alone, and the recipe's network section more: {wrong[0]}"
        raise SettingsError(msg, key="network")
    return other


def new_network(recipe: Recipe, corpus: Corpus, manager: Manager) -> Generator:
    """An untrained network of the recipe's architecture, the same for equal seeds.

    Raises:
        SettingsError: the recipe's `network` section does not fit the architecture.
    """
    extractor = manager.audio_features(corpus.features)
    config = {"audio_size": extractor.size, **recipe.network}
    torch.manual_seed(recipe.train.seed)
    network = _built(recipe.train.architecture, config, manager)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _built(architecture: str, config: Mapping[str, object], manager: Manager) -> Generator:
    try:
        network = manager.generator(architecture).build(dict(config))
    except ValueError as exc:
        msg = f"the recipe's network section does not fit {architecture!r}: {exc}"
        raise SettingsError(msg, key="network") from exc
    assert isinstance(network, Generator)
    return network


def silent_features(manager: Manager, features: str) -> NDArray[np.float32]:
    """(D,) what the extractor makes of silence."""
    silent = manager.audio_features(features).extract(np.zeros(32_000, np.float32))
    return np.asarray(silent[len(silent) // 2], np.float32)


def describe_weights(
    network: Generator, architecture: str, features: str, scores: Scores | None, **known: Any
) -> CheckpointInfo:
    """The header of trained weights, with σ calibrated on what the held-out clips look like when they are finished."""
    fitted = None
    if scores is not None and scores.pixels is not None and np.ptp(scores.pixels.sigma) > 0:
        shown = scores.pixels.finished_sigma > 0
        fitted = fit_calibration(scores.pixels.finished_sigma[shown], scores.pixels.finished_error[shown])
    return CheckpointInfo.of(
        network,
        architecture=architecture,
        audio_feature=features,
        scores={f"val_{k}": v for k, v in scores.to_json().items()} if scores is not None else {},
        calibration=() if fitted is None else fitted.knots,
        interval_factors={} if fitted is None else fitted.named_factors,
        **known,
    )


def _taught(
    run: Path, start: Start, corpus: Corpus, quiet: NDArray[np.float32], progress: ProgressFn | None
) -> tuple[LipBasis, Codes]:
    """Lip shapes and what is heard of them; the network gets its audio branch. Kept from an earlier run where there."""
    network, recipe, settings = start.network, start.recipe, start.recipe.lips
    if not isinstance(network, LipPainter):
        basis = fit_lip_basis(corpus.clips, settings.codes)
        return basis, [np.zeros((len(clip), settings.codes), np.float32) for clip in corpus.clips]
    known = None if start.base is None else LipTeacher.of_network(copy.deepcopy(network), corpus.features)
    ears = int(getattr(network.config, "ears", 1))
    key = digest([corpus.key, recipe.to_json()["lips"], ears, recipe.train.base])
    if known is not None and not settings.again:
        if not settings.strangers:
            return known.basis, [drawn_codes(known.encoder, known.basis, clip, quiet) for clip in corpus.clips]
        kept: LipTeacher | None = known
    else:
        kept = LipTeacher.load(run / "lips.safetensors", key, settings)
    if kept is None:
        spoken, teaching = None if known is None else known.basis, named(progress, "hearing lips")
        kept = LipTeacher.taught(corpus.clips, corpus.lips, settings, spoken, teaching, ears)
        kept.save(run / "lips.safetensors", key)
    if kept is not known:
        kept.install(network, ears_only=known is not None)
    codes = _read_codes(run / "codes.safetensors", corpus.clips, key)
    if codes is None:
        listening = named(progress, "hearing unknown speakers")
        codes = out_of_fold_codes(corpus.clips, kept.basis, settings, quiet, corpus.lips, listening, ears)
        numbered = {f"{k:06d}": code for k, code in enumerate(codes)}
        save_file(numbered, run / "codes.safetensors.partial", metadata={"key": key})
        (run / "codes.safetensors.partial").replace(run / "codes.safetensors")
    return kept.basis, codes


def _read_codes(path: Path, clips: Sequence[Clip], key: str) -> Codes | None:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            fits = (file.metadata() or {}).get("key") == key
        codes = load_file(path)
    except (OSError, SafetensorError):
        return None
    return [codes[f"{k:06d}"] for k in range(len(clips))] if fits else None


def _publish(
    run: Path, start: Start, corpus: Corpus, size: tuple[int, int], step: int, progress: ProgressFn | None
) -> Trained:
    """Score the result on held-out speakers and write the model."""
    network, recipe, base = start.network.cpu().eval(), start.recipe, start.base
    scores = None
    if corpus.held_out:
        scores = score_network(network, corpus.held_out, load_distance(), size, progress=progress)
    info = describe_weights(
        network,
        recipe.train.architecture,
        corpus.features,
        scores,
        name=recipe.name if base is None else base.name,
        licence=recipe.licence if base is None else base.licence,
        step=step if base is None else base.step + step,
        data=corpus.describe() if base is None else f"{base.data}; then {corpus.describe()}",
    )
    save_checkpoint(network, info, run / MODEL)
    return Trained(model=run / MODEL, step=step, scores=None if scores is None else replace(scores, pixels=None))
