"""The plate's grain, measured once and kept with the take: a generated mouth has none of its own.

On a plate with noise of 4.9 code values (deviation of luma) `rt` paints a mouth with 0.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.compose.grain import GrainMeter
from julnet_plugin.face.crop import crop_rect
from julnet_plugin.pipeline.plates import frames_at

if TYPE_CHECKING:
    from julnet_plugin.media.colour import DisplayTransform
    from julnet_plugin.media.reader import PlateReader
    from julnet_plugin.pipeline.cropdata import Plan
    from julnet_plugin.types import FrameRange

Float32 = NDArray[np.float32]

GRAIN = "grain.npz"
_PAIRS = 4  #: pairs of neighbouring frames of a shot that are looked at
_UNSEEN = 0.7 / 255  #: noise below this is the codec's rounding; a clean plate stays clean


def measure_grain(plate: PlateReader, plan: Plan, frames: FrameRange, transform: DisplayTransform) -> Float32:
    """Noise around the face: (shots, 2, 3), a row of `compose.grain.noise_levels` a shot; 0 where there is none."""
    shots = int(plan.shot.max()) + 1
    meters = [GrainMeter() for _ in range(shots)]
    firsts = {frames.start + int(p) for shot in range(shots) for p in _spread(plan, shot)}
    waiting: dict[int, Float32] = {}  # the first of a pair, by the frame that its second is
    for frame in frames_at(plate, {f for first in firsts for f in (first, first + 1)}):
        width, height = frame.size
        before = waiting.pop(frame.index, None)
        if before is not None:  # both are cut where the first one's face is
            position = frame.index - 1 - frames.start
            rect = crop_rect(plan.plate_from_crop[position], width, height)
            assert rect is not None
            meters[int(plan.shot[position])].add(before, transform.to_display(frame.part(rect)))
        if frame.index in firsts:
            rect = crop_rect(plan.plate_from_crop[frame.index - frames.start], width, height)
            if rect is not None:
                waiting[frame.index + 1] = transform.to_display(frame.part(rect))
    levels = [meter.levels() for meter in meters]
    known = np.stack([np.zeros((2, 3), np.float32) if level is None else level for level in levels])
    known[known[:, 0, 0] < _UNSEEN] = 0
    return np.asarray(known, np.float32)


def _spread(plan: Plan, shot: int) -> NDArray[np.intp]:
    """First positions of pairs inside a shot that are re-dubbed, evenly spread."""
    here = (plan.shot == shot) & (plan.weight > 0)
    pairs = np.flatnonzero(here[:-1] & here[1:])
    return pairs[np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), _PAIRS)).round().astype(np.intp))]
