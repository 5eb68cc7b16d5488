"""Quick scores of a network in memory on held-out clips: while it trains, and before and after fine-tuning.

It is the reconstruction protocol of `evaluation`, on a few seconds of each clip and with few judges; `julnet evaluate`
is the whole of it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from julnet_plugin.face.crop import mouth_square
from trainer import metrics
from trainer import uncertainty_metrics as um
from trainer.evaluation.methods import NetworkMethod
from trainer.evaluation.reconstruction import Protocol, usable_blocks
from trainer.evaluation.render import PixelSample, Rendered, example_frame, joined, render_clip
from trainer.evaluation.scores import score_sync
from trainer.lipshape import windows_of

if TYPE_CHECKING:
    from torch import Tensor

    from julnet_plugin.model.generator import Generator
    from julnet_plugin.model.syncnet import SyncNet
    from julnet_plugin.types import ProgressFn
    from trainer.dataset import Clip
    from trainer.distances import PictureDistance

QUICK = Protocol(gap_s=1.0, seconds=1.6)
MOST_CLIPS = 24  #: a larger held-out set is thinned evenly
_AT_ONCE = 16
_DB_WORTH = 0.1  #: share of the distance that counts as much as one decibel


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Means over clips, in the mouth square."""

    psnr: float  #: dB
    distance: float  #: perceptual; lower is better
    distance_name: str
    spearman: float  #: of σ and |error| over pixels of the mask; NaN for a network without σ
    frames: int
    lse_d: float = float("nan")  #: by a SyncNet; NaN where there is none
    truth_lse_d: float = float("nan")  #: the ground truth's own
    pixels: PixelSample | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, float]:
        """For logs and headers; what is not known is left out."""
        values = {"psnr": self.psnr, self.distance_name: self.distance, "spearman": self.spearman}
        values |= {"lse_d": self.lse_d, "truth_lse_d": self.truth_lse_d}
        return {name: round(value, 4) for name, value in values.items() if np.isfinite(value)}

    def gain_over(self, other: Scores) -> float:
        """How much better than other scores, in decibels; a tenth of the distance counts as one.

        Where the picture is the same to the last digit, σ decides.
        """
        gain = (self.psnr - other.psnr) + (1 - self.distance / max(other.distance, 1e-9)) / _DB_WORTH
        return self.spearman - other.spearman if gain == 0 and np.isfinite(self.spearman) else gain


def score_network(
    network: Generator,
    clips: Sequence[Clip],
    distance: PictureDistance,
    size: tuple[int, int] | None = None,
    protocol: Protocol = QUICK,
    keep: list[Rendered] | None = None,
    syncnet: SyncNet | None = None,
    progress: ProgressFn | None = None,
) -> Scores | None:
    """Score a network on clips.

    Args:
        network: in eval mode.
        clips: with pictures.
        distance: a perceptual distance.
        size: of the crops to draw; None = the network's own.
        protocol: how much of each clip.
        keep: gets one frame that was drawn of each clip.
        syncnet: scores lip-sync.
        progress: `progress("scoring", done, total)` after every clip.

    Returns:
        None where no clip is long enough to be judged.
    """
    method = NetworkMethod(network, size=size)
    psnr: list[float] = []
    far: list[float] = []
    lse: dict[str, list[float]] = {"lse_d": [], "truth_lse_d": []}
    pixels: list[PixelSample] = []
    frames = 0
    scored = thinned(clips)
    for number, clip in enumerate(scored):
        if progress is not None:
            progress("scoring", number, len(scored))
        blocks, _ = usable_blocks(clip, protocol)
        if not blocks:
            continue
        drawn = render_clip(clip, method, blocks)
        if keep is not None:
            keep.append(example_frame(drawn))
        frames += len(drawn.frames)
        psnr.append(float(metrics.psnr(*_squares(drawn)).mean()))
        far.append(_distance(drawn, distance))
        if syncnet is not None:
            numbers = score_sync(drawn, windows_of(clip)[drawn.frames], syncnet)
            for name, values in lse.items():
                values += [numbers[name]] if name in numbers else []
        if drawn.pixels is not None:
            pixels.append(drawn.pixels)
    if progress is not None:
        progress("scoring", len(scored), len(scored))
    if not frames:
        return None
    sample = joined(pixels) if pixels else None
    return Scores(
        psnr=float(np.mean(psnr)),
        distance=float(np.mean(far)),
        distance_name=distance.name,
        spearman=um.spearman(sample.sigma, sample.error) if sample is not None else float("nan"),
        frames=frames,
        pixels=sample,
        **{name: float(np.mean(values)) for name, values in lse.items() if values},
    )


class Validation:
    """Scores averaged weights while a network trains; "score" is the gain over the weights it started from, in dB.

    Args:
        network: as it is before training; copied.
        clips: held out.
        distance: a perceptual distance.
        size: of the crops to draw.
        protocol: how much of each clip.
    """

    def __init__(
        self,
        network: Generator,
        clips: Sequence[Clip],
        distance: PictureDistance,
        size: tuple[int, int],
        protocol: Protocol = QUICK,
    ) -> None:
        self._network = copy.deepcopy(network).eval()
        self._clips, self._distance, self._size, self._protocol = clips, distance, size, protocol
        self._before = {name: value.clone() for name, value in self._network.state_dict().items()}
        self._start: Scores | None = None
        self.possible = any(usable_blocks(clip, protocol)[0] for clip in thinned(clips))  #: or too short to judge

    def __call__(self, weights: Mapping[str, Tensor]) -> dict[str, float]:
        """See `trainer.train.Validate`."""
        if self._start is None:
            self._start = self._score()
        if all(torch.equal(value, weights[name].cpu()) for name, value in self._before.items()):
            return {"score": 0.0, **self._start.to_json()}
        self._network.load_state_dict(dict(weights))
        scores = self._score()
        return {"score": scores.gain_over(self._start), **scores.to_json()}

    def _score(self) -> Scores:
        scores = score_network(self._network, self._clips, self._distance, self._size, self._protocol)
        assert scores is not None
        return scores


def thinned(clips: Sequence[Clip], most: int = MOST_CLIPS) -> list[Clip]:
    """At most so many clips, evenly spaced."""
    if len(clips) <= most:
        return list(clips)
    return [clips[k] for k in np.linspace(0, len(clips) - 1, most).astype(int)]


def _squares(drawn: Rendered) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Drawn and true mouth squares, (K, s, s, 3) in [0, 1]."""
    rows, columns = mouth_square(drawn.size)
    return tuple(x[:, rows, columns].astype(np.float32) / np.float32(255) for x in (drawn.image, drawn.truth))  # type: ignore[return-value]


def _distance(drawn: Rendered, distance: PictureDistance) -> float:
    image, truth = (torch.from_numpy(x.transpose(0, 3, 1, 2)) for x in _squares(drawn))
    parts = [distance(image[k : k + _AT_ONCE], truth[k : k + _AT_ONCE]) for k in range(0, len(image), _AT_ONCE)]
    return float(torch.cat(parts).mean())
