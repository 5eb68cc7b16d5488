"""Which frames are drawn with which references: never the target, never its neighbours.

A clip is cut into short blocks. The references of a block come from frames at least `gap_s` before its first or after
its last frame, so a network is never shown the answer, and one set of references still serves several frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.model.lips import inner_gap
from trainer.dataset import Clip

Indices = NDArray[np.int64]
SHARP_ENOUGH = 0.5  #: of the median sharpness of the allowed frames; blurred ones are passed over
POSE_WEIGHT = 1.0  #: radians of turned head that weigh as much as a whole bin of mouth opening


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring target frames and the frames that may serve them as references."""

    frames: Indices
    allowed: Indices


def plan_blocks(times_s: NDArray[np.floating[Any]], gap_s: float = 1.0, block_s: float = 0.4) -> list[Block]:
    """Cut a clip into blocks; frames that no frame is far enough from are left out.

    Args:
        times_s: (T,) rising presentation times.
        gap_s: least distance in time between a target and a reference.
        block_s: longest block.
    """
    blocks = []
    number = ((times_s - times_s[0]) / block_s + 1e-6).astype(np.int64)
    for k in np.unique(number):
        frames = np.flatnonzero(number == k)
        first, last = times_s[frames[0]], times_s[frames[-1]]
        # A microsecond of slack: 1 s is 25 frames at 25 fps whatever the rounding of times.
        allowed = np.flatnonzero((times_s <= first - gap_s + 1e-6) | (times_s >= last + gap_s - 1e-6))
        if len(allowed):
            blocks.append(Block(frames, allowed))
    return blocks


def choose_references(clip: Clip, block: Block, count: int) -> Indices:
    """References for a block, the most closed mouth first, spread over how far the mouth opens.

    Among the allowed frames, sorted by mouth opening and cut into `count` bins, each bin gives the frame whose head is
    turned most like the targets' and which is near the bin's middle; blurred frames are passed over. Fewer frames than
    `count` repeat. The same clip and block always give the same references.
    """
    sharp = clip.sharpness[block.allowed]
    usable = block.allowed[sharp >= SHARP_ENOUGH * np.median(sharp)]
    gap = inner_gap(clip.lips)
    order = usable[np.argsort(gap[usable], kind="stable")]
    turn = np.linalg.norm(clip.angles[order] - clip.angles[block.frames].mean(axis=0), axis=1)
    place = (np.arange(len(order)) + 0.5) / len(order) * count
    picks = []
    for k in range(count):
        cost = np.abs(place - (k + 0.5)) + turn / POSE_WEIGHT
        inside = np.abs(place - (k + 0.5)) <= 0.5 + 1e-9
        picks.append(int(np.argmin(np.where(inside, cost, cost + 1e3))))
    return np.asarray(order[sorted(picks)], np.int64)


def nearest_by_lips(
    clip: Clip, frames: Indices, among: Indices, wanted: NDArray[np.floating[Any]] | None = None
) -> Indices:
    """For each frame, the one among others whose lips have the most similar shape.

    Args:
        clip: whose `lips` are compared, in face units.
        frames: (K,) targets.
        among: frames to choose from.
        wanted: (K, 48, 3) lip shapes to look for; None = the targets' own true ones, which makes this an oracle.

    Returns:
        (K,) indices out of `among`.
    """
    target = (clip.lips[frames] if wanted is None else wanted).reshape(len(frames), -1).astype(np.float64)
    there = clip.lips[among].reshape(len(among), -1).astype(np.float64)
    squared = np.square(target).sum(1)[:, None] - 2 * target @ there.T + np.square(there).sum(1)
    return np.asarray(among[squared.argmin(axis=1)], np.int64)
