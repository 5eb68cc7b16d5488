"""Training of a generator: `train` is the loop (`trainer.loop`) with the generator's lesson (`trainer.step`).

The audio branch has been taught on lip shape before (`lipshape.py`); the generator learns to paint lip shapes, some of
them true, some of them heard by an encoder that never met the speaker.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trainer.loop import Validate, learn
from trainer.step import GeneratorLesson

if TYPE_CHECKING:
    from julnet_plugin.model.generator import Generator
    from julnet_plugin.model.syncnet import SyncNet
    from julnet_plugin.types import ProgressFn
    from trainer.batches import Batches
    from trainer.config import TrainSettings
    from trainer.perceptual import FeatureNetwork
    from trainer.state import Ema
    from trainer.team import Team


def train(
    net: Generator,
    batches: Batches,
    network: FeatureNetwork | None,
    settings: TrainSettings,
    run: Path,
    *,
    syncnet: SyncNet | None = None,
    team: Team | None = None,
    validate: Validate | None = None,
    progress: ProgressFn | None = None,
) -> Ema:
    """Train a generator until the budget is spent; continue where `run` stopped.

    Args:
        net: is moved to the device and trained in place.
        batches: what to learn from.
        network: for the perceptual loss, or None.
        settings: of this run or stage.
        run: its folder.
        syncnet: for the lip-sync loss, or None.
        team: see `trainer.loop.learn`, as for the rest, the result and what is raised.
        validate: see there.
        progress: see there.
    """
    lesson = GeneratorLesson(net, network, settings, syncnet)
    return learn(lesson, batches, settings, run, team=team, validate=validate, progress=progress)
