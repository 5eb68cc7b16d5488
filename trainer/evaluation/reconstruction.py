"""The reconstruction protocol: a clip dubbed with its own sound, so that the truth is known.

References never include the target or its neighbours (`blocks`). Every method draws the same frames of the same clips
with the same masks, so that methods are compared clip by clip.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from julnet_plugin.face.crop import mouth_square
from trainer.dataset import Clip, read_clip
from trainer.evaluation.blocks import Block, plan_blocks
from trainer.evaluation.methods import Method
from trainer.evaluation.render import PixelSample, Rendered, example_frame, render_clip
from trainer.evaluation.scores import ClipScores, Judges, score_clip
from trainer.lipshape import windows_of

log = logging.getLogger(__name__)

ProgressFn = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """What a reconstruction run does."""

    gap_s: float = 1.0  #: least distance between a target and a reference
    block_s: float = 0.4  #: frames drawn with one set of references
    seconds: float | None = None  #: at most so much of each clip, from its middle; None = all


@dataclass(slots=True)
class SigmaSample:
    """What one clip says about σ."""

    name: str
    speaker: str
    pixels: PixelSample
    frame_sigma: np.ndarray[tuple[int], np.dtype[np.float32]]
    frame_error: np.ndarray[tuple[int], np.dtype[np.float32]]
    area: float  #: share of the mouth square that the mask takes; there is neither error nor σ in the rest


@dataclass(slots=True)
class Results:
    """Everything a run found."""

    clips: list[ClipScores] = field(default_factory=list)
    sigma: list[SigmaSample] = field(default_factory=list)  #: of the first method that has σ
    skipped: dict[str, str] = field(default_factory=dict)  #: clip name -> why it was not scored
    examples: list[list[Rendered]] = field(default_factory=list)  #: one frame of a few clips by every method

    def of(self, method: str) -> list[ClipScores]:
        """Clips as one method drew them."""
        return [c for c in self.clips if c.method == method]


def reconstruct(
    paths: Sequence[Path],
    methods: Sequence[Method],
    judges: Judges,
    protocol: Protocol,
    progress: ProgressFn | None = None,
    examples: int = 4,
) -> Results:
    """Draw and score every clip with every method.

    Args:
        paths: prepared clips.
        methods: the model first, baselines after it.
        judges: what scores.
        protocol: see `Protocol`.
        progress: `progress("evaluate", done, total)` after every clip.
        examples: of how many clips to keep a frame for the report.
    """
    results = Results()
    for number, path in enumerate(paths):
        clip = read_clip(path)
        blocks, why = usable_blocks(clip, protocol)
        if why:
            results.skipped[clip.header.name] = why
        else:
            _score(clip, blocks, methods, judges, results, keep=len(results.examples) < examples)
        if progress is not None:
            progress("evaluate", number + 1, len(paths))
    return results


def usable_blocks(clip: Clip, protocol: Protocol) -> tuple[list[Block], str]:
    """The blocks of a clip that can be judged, or why there are none."""
    if not clip.jpeg:
        return [], "it holds no pictures"
    blocks = plan_blocks(clip.times_s, protocol.gap_s, protocol.block_s)
    if not blocks:
        have = clip.times_s[-1] - clip.times_s[0]
        return [], f"it is {have:.1f} s long, too short for references {protocol.gap_s:g} s away from every target"
    if protocol.seconds is not None:
        middle = (clip.times_s[0] + clip.times_s[-1]) / 2
        distance = [abs(float(clip.times_s[b.frames].mean()) - middle) for b in blocks]
        count = max(1, round(protocol.seconds / protocol.block_s))
        nearest = sorted(np.argsort(distance, kind="stable")[:count])
        blocks = [blocks[k] for k in nearest]
    return blocks, ""


def _score(
    clip: Clip, blocks: list[Block], methods: Sequence[Method], judges: Judges, results: Results, keep: bool
) -> None:
    name, speaker = clip.header.name, clip.header.speaker
    kept = []
    for method in methods:
        drawn = render_clip(clip, method, blocks)
        audio = windows_of(clip)[drawn.frames]
        results.clips.append(score_clip(drawn, name, speaker, audio, judges))
        if drawn.pixels is not None and method is methods[0]:
            area = float(drawn.mask[(..., *mouth_square(drawn.size))].mean())
            sample = SigmaSample(name, speaker, drawn.pixels, drawn.frame_sigma, drawn.frame_error, area)
            results.sigma.append(sample)
        if keep:
            kept.append(example_frame(drawn))
    if keep:
        results.examples.append(kept)
    log.info("%s: %d frames", name, sum(len(b.frames) for b in blocks))
