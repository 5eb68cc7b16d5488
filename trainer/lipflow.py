"""How a face moves when its lip shape changes: smooth flow fields from the motion of landmarks.

Each principal lip motion moves 48 points. A thin-plate spline spreads it over the mouth square and holds still what
speech does not move: the nose, the cheeks beside it, the throat.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from julnet_plugin.face.crop import CROP_W, MOUTH_LEFT, MOUTH_SIZE, MOUTH_TOP, UNIT_PX
from julnet_plugin.model.lips import LipBasis, closed_shape
from julnet_plugin.model.rt import FLOW_GRID, TRUNK_UNIT_PX, TRUNK_W
from trainer.dataset import Clip

_ANCHOR_Y = 0.37  #: face units of the crop's row MOUTH_TOP


def mean_lips(clips: Sequence[Clip]) -> NDArray[np.float32]:
    """The average closed mouth over clips, (48, 3) in face units."""
    return np.asarray(np.mean([closed_shape(c.lips) for c in clips], axis=0), np.float32)


def flow_basis(basis: LipBasis, lips: NDArray[np.float32]) -> NDArray[np.float32]:
    """One flow field a lip motion, for one unit of its number.

    Args:
        basis: the motions.
        lips: (48, 3) the average closed mouth.

    Shape:
        returns: (K, 2, 64, 64), x and y in trunk pixels, over the mouth square.
    """
    k = TRUNK_W / CROP_W
    points = np.stack([CROP_W / 2 - 0.5 + UNIT_PX * lips[:, 0], MOUTH_TOP + UNIT_PX * (lips[:, 1] - _ANCHOR_Y)], axis=1)
    points = (points + 0.5) * k - 0.5 - np.array([MOUTH_LEFT, MOUTH_TOP]) * k
    side = MOUTH_SIZE * k
    still = [(x, y) for x in np.linspace(0, side, 9) for y in (0, 0.14 * side)]
    still += [(x, y) for x in np.linspace(0, side, 9) for y in (1.12 * side, 1.25 * side)]
    still += [(x, y) for y in np.linspace(0.2, 1.0, 6) * side for x in (-0.12 * side, 1.12 * side)]
    anchors = np.concatenate([points, np.array(still)])
    motion = basis.components.reshape(len(basis.components), -1, 3)[..., :2] * basis.spread[:, None, None]
    values = np.concatenate(
        [motion.transpose(1, 0, 2).reshape(len(points), -1) * TRUNK_UNIT_PX, np.zeros((len(still), 2 * len(motion)))]
    )
    # Smooth enough that a mouth whose line lies a little off the average one is not torn beside it: exact splines drew
    # a second contour under the lip, and scored 0.2 dB less.
    spline = RBFInterpolator(anchors, values, kernel="thin_plate_spline", smoothing=10.0)
    centres = (np.arange(FLOW_GRID) + 0.5) * side / FLOW_GRID - 0.5
    grid = np.stack(np.meshgrid(centres, centres, indexing="xy"), axis=-1).reshape(-1, 2)
    fields = spline(grid).reshape(FLOW_GRID, FLOW_GRID, len(motion), 2)
    return np.asarray(fields.transpose(2, 3, 0, 1), np.float32)
