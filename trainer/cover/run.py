"""The network from a dataset: what `julnet train --recipe cover` does.

The code that uses the network (`julnet_plugin.face.cover`) knows two probabilities from which a thing counts. What they
mean is decided here, on speakers who were not learnt from, by a scale and a shift of the network's last layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from julnet_plugin.errors import SettingsError
from julnet_plugin.face.cover import COUNTS_FROM, COUNTS_FULLY
from trainer.claim import claim_run
from trainer.corpus import read_corpus
from trainer.cover.batches import CoverBatches
from trainer.cover.drawing import cutout
from trainer.cover.faces import Faces, faces_of
from trainer.cover.lesson import CoverChooser, CoverLesson
from trainer.cover.network import CoverNet, save_network
from trainer.cover.visits import CoverScores, Seen, Visit, held, logits_of, score, seen_in, visit
from trainer.loop import STATE, is_over, learn
from trainer.recipe import Recipe
from trainer.records import write_json
from trainer.splits import choosing_speakers
from trainer.state import read_average
from trainer.team import Team

if TYPE_CHECKING:
    from julnet_plugin.types import ProgressFn
    from trainer.dataset import Clip

MODEL, REPORT = "cover.safetensors", "report.json"
_CHOOSING_BATCHES = 12
_CHOICES = tuple(
    (low, low + width) for low in (-1.0, -0.5, 0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.6, 3.2) for width in (0.8, 1.8, 3.0)
)  #: logits from which a thing may count, and count fully
_MOST_CLEAN, _MOST_NEAR = 0.002, 0.1  #: shares of clean frames, and of those with free lips, that may be held


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedCover:
    """What a run made."""

    model: Path
    step: int
    scores: CoverScores | None  #: drawn things before held-out speakers; None where there are none


def train_cover(
    dataset: Path,
    run: Path,
    recipe: Recipe,
    *,
    resume: bool = False,
    team: Team | None = None,
    progress: ProgressFn | None = None,
) -> TrainedCover:
    """Train the network from a dataset; arguments and errors as those of `trainer.runs.train_run`."""
    if recipe.train.base:
        msg = f"--from {recipe.train.base} was given, but this network starts from nothing; leave it out"
        raise SettingsError(msg, key="train.base")
    team = team or Team()
    torch.set_num_threads(recipe.train.threads)
    corpus = read_corpus(dataset)
    with team.one_after_the_first():
        claim_run(run, recipe, corpus, resume or not team.leads)
    cover, settings = recipe.cover, recipe.stage(0)
    taught, choosing = choosing_speakers(corpus.clips, cover.choose)
    batches = CoverBatches(faces_of(taught, cover.apart_s, settings.seed), cover, settings.seed)
    torch.manual_seed(settings.seed)
    network = CoverNet()
    folder = run / f"1-{recipe.stages[0].name}"
    unmet = faces_of(choosing, cover.apart_s, settings.seed + 1)
    if not is_over(folder, settings):
        chooser = None
        if len(np.unique(unmet.clip_of)) > 1 and settings.validate_every:
            asked = CoverBatches(unmet, cover, settings.seed + 1)
            chooser = CoverChooser([asked.draw(k) for k in range(_CHOOSING_BATCHES)], cover.mouth)
        learn(
            CoverLesson(network, cover.mouth, settings),
            batches,
            settings,
            folder,
            team=team,
            validate=chooser,
            progress=progress,
        )
    facts, average = read_average(folder / STATE)
    network.load_state_dict(average)
    network = network.cpu().eval()
    if choosing:
        set_thresholds(network, choosing, unmet, cover.visits, settings.seed)
    scores = scores_of(network, corpus.held_out, cover.visits, settings.seed) if corpus.held_out else None
    if team.leads:
        known = {"recipe": recipe.name, "step": str(facts["step"]), "data": corpus.describe()}
        save_network(network, run / MODEL, known)
        write_json(run / REPORT, {} if scores is None else scores.to_json())
    team.wait()
    return TrainedCover(model=run / MODEL, step=int(facts["step"]), scores=scores)


def set_thresholds(network: CoverNet, clips: Sequence[Clip], faces: Faces, visits: int, seed: int) -> None:
    """Scale and shift the network's answers so that by the effect's two probabilities most is held, least wrongly.

    Args:
        network: is changed in place.
        clips: of speakers who were not learnt from.
        faces: theirs, for things to be drawn with.
        visits: how many are drawn.
        seed: of the drawing.
    """
    clean, visited = _asked(clips, faces, visits, seed)
    on_clean = [logits_of(network, seen.faces) for seen in clean]
    on_visits = [logits_of(network, v.faces) for v in visited]
    low, high = math.log(COUNTS_FROM / (1 - COUNTS_FROM)), math.log(COUNTS_FULLY / (1 - COUNTS_FULLY))
    best, chosen = -math.inf, (1.0, 0.0)
    for start, full in _CHOICES:
        scale = (high - low) / (full - start)
        shift = low - scale * start
        found = score(
            [held(x, s.rate, scale, shift) for x, s in zip(on_clean, clean, strict=True)],
            [(held(x, v.rate, scale, shift), v) for x, v in zip(on_visits, visited, strict=True)],
        )
        wrong = max(found.clean_held - _MOST_CLEAN, 0) * 50 + max(np.nan_to_num(found.near_held) - _MOST_NEAR, 0) * 2
        worth = float(np.nan_to_num(found.bad_held)) - float(wrong)
        if worth > best:
            best, chosen = worth, (scale, shift)
    with torch.no_grad():
        weight, bias = network.out.parameters()
        weight.mul_(chosen[0])
        bias.mul_(chosen[0]).add_(chosen[1])


def scores_of(network: CoverNet, clips: Sequence[Clip], visits: int, seed: int) -> CoverScores:
    """What would be held of clips, and of drawn visits to them."""
    clean, visited = _asked(clips, faces_of(clips, 0.5, seed), visits, seed)
    return score(
        [held(logits_of(network, s.faces), s.rate) for s in clean],
        [(held(logits_of(network, v.faces), v.rate), v) for v in visited],
    )


def _asked(clips: Sequence[Clip], faces: Faces, visits: int, seed: int) -> tuple[list[Seen], list[Visit]]:
    seen = [seen_in(clip) for clip in clips]
    visited = []
    for number in range(visits):
        rng = np.random.default_rng([seed, number])
        own = seen[number % len(seen)]
        other, piece = (
            source[rng.integers(len(source))].astype(np.float32) / 255 for source in (faces.lower, faces.pieces)
        )
        visited.append(visit(own, cutout(own.faces[len(own.faces) // 2], other, piece, rng), rng))
    return seen, visited
