"""From landmarks to a steady crop: where the face is, how it is turned, and what of it speech can change.

Every frame's 478 landmarks are fitted by a mean face that turns, scales and moves rigidly. Only points that speech does
not move take part, so an opening jaw neither shifts nor scales the crop. The fitted poses are smoothed over the shot
with symmetric windows (no lag), the radius most of all: DINet's users see the mouth pump because its radius steps by
4 px and its centre by whole pixels (`plan_crops` has neither).

Convention: plate and crop pixels have x right, y down, origin at the centre of the top-left pixel. Canonical crop space
is 416 rows by 320 columns with DINet's radius R = 128: nose bridge at row 128, mouth square rows 128 to 383, columns 32
to 287. A network may work at another size; `scaled` converts. Face units: the distance of the outer eye corners is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter

if TYPE_CHECKING:
    from julnet_plugin.types import Rect

CROP_H, CROP_W = 416, 320
MOUTH_TOP, MOUTH_LEFT, MOUTH_SIZE = 128, 32, 256
UNIT_PX = 200.0  #: crop pixels in one face unit
FEATHER_PX = 16.0  #: width of coverage's ramp inside the mask, in canonical crop pixels

_BRIDGE_Y = 0.37  #: nose bridge (landmark 195) of the mean face, in face units: row 128 of the crop
_ANCHOR = np.array([0.0, 0.95, -0.2])  #: just behind the lips; its projection is what the crop is centred on
_ANCHOR_PX = np.array([159.5, MOUTH_TOP + UNIT_PX * (0.95 - _BRIDGE_Y)])

#: eye corners, nose bridge, forehead, temples: what speech does not move
RIGID = (
    33,
    133,
    362,
    263,
    168,
    6,
    197,
    195,
    5,
    10,
    151,
    9,
    8,
    67,
    297,
    109,
    338,
    127,
    356,
    162,
    389,
    21,
    251,
)
#: the lower face's outline: down the left jaw, round the chin, up the right, back over cheeks and under the nose
_JAW = (192, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 416)
_TOP = (411, 425, 327, 2, 98, 205, 187)
REGION = _JAW + _TOP
_CHIN = slice(2, 13)  #: the part of the outline that a jaw takes along when it opens
_JAW_ROOM = 0.13  #: face units that the chin may drop below where the shot's closed mouth has it
_SIDE_ROOM = 0.04  #: face units outside the jaw's outline, so that its silhouette can move

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPoses:
    """Rigid fit of the mean face to each frame: plate = scale * rotation @ face + translation.

    Shape:
        rotation: (T, 3, 3).
        scale: (T,) plate pixels in one face unit.
        translation: (T, 3) plate pixels.
    """

    rotation: Float64
    scale: Float64
    translation: Float64

    def to_face(self, landmarks: NDArray[np.floating[Any]]) -> Float32:
        """Landmarks (T, L, 3) in plate pixels to face units, head turned to the front: what is left is expression."""
        centred = (landmarks - self.translation[:, None]) / self.scale[:, None, None]
        return np.asarray(np.einsum("tji,tlj->tli", self.rotation, centred), np.float32)

    def angles(self) -> Float64:
        """(T, 3) yaw, pitch, roll in radians; zero when the face looks into the camera."""
        # Columns of their own: of strided ones NumPy takes another path, with another last bit, where the result
        # happens to be stored right behind them.
        r = np.ascontiguousarray(self.rotation.transpose(1, 2, 0)).transpose(2, 0, 1)
        yaw = np.arctan2(r[:, 0, 2], r[:, 2, 2])
        pitch = np.arcsin(np.clip(-r[:, 1, 2], -1, 1))
        roll = np.arctan2(r[:, 1, 0] - r[:, 0, 1], r[:, 0, 0] + r[:, 1, 1])
        return np.stack([yaw, pitch, roll], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CropPlan:
    """Where the crop of every frame of one shot lies.

    Shape:
        plate_from_crop: (T, 2, 3) canonical crop pixels to plate pixels.
        found: (T,) whether the frame has a face; other frames hold values interpolated between neighbours.
        region: (T, P, 2) outline of what speech can change, canonical crop pixels.
        mouth_px: (T,) side of the mouth square in plate pixels.
        angles: (T, 3) yaw, pitch, roll in radians.
    """

    plate_from_crop: Float64
    found: NDArray[np.bool_]
    region: Float32
    mouth_px: Float64
    angles: Float64


@lru_cache(maxsize=1)
def mean_face() -> Float64:
    """The mean face: (478, 3) in face units, looking into the camera, x right, y down, z away from the camera."""
    return np.asarray(np.load(Path(__file__).with_name("mean_face.npy")), np.float64)


def crop_landmarks(angles: NDArray[np.floating[Any]]) -> Float64:
    """Where a mean face with this yaw and pitch lies in its own crop: (478, 3) canonical crop pixels.

    Args:
        angles: (3,) yaw, pitch, roll in radians; the roll is not seen in the crop.
    """
    (sy, sp), (cy, cp) = np.sin(angles[:2]), np.cos(angles[:2])
    rotation = np.array([[cy, sy * sp, sy * cp], [0.0, cp, -sp], [-sy, cy * sp, cy * cp]])
    points = UNIT_PX * (mean_face() - _ANCHOR) @ rotation.T
    points[:, :2] += _ANCHOR_PX
    return np.asarray(points)


def fit_poses(landmarks: NDArray[np.floating[Any]]) -> HeadPoses:
    """Fit the mean face to every frame by a 3-D similarity over the rigid points.

    Shape:
        landmarks: (T, 478, 3) plate pixels.

    Source:
        Umeyama 1991, least-squares similarity between two point sets.
    """
    return _fit_rigid(np.asarray(landmarks[:, list(RIGID)], np.float64))


def _fit_rigid(target: Float64) -> HeadPoses:
    """`fit_poses` on the rigid points alone, (T, 23, 3)."""
    source = mean_face()[list(RIGID)]
    target_mean, source_mean = target.mean(axis=1), source.mean(axis=0)
    centred = source - source_mean
    covariance = np.einsum("tli,lj->tij", target - target_mean[:, None], centred)
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.ones_like(singular)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = np.einsum("tij,tj,tjk->tik", u, sign, vt)
    scale = np.maximum((singular * sign).sum(axis=1) / np.square(centred).sum(), 1e-6)
    translation = target_mean - scale[:, None] * (rotation @ source_mean)
    return HeadPoses(rotation=rotation, scale=scale, translation=translation)


def plan_crops(landmarks: NDArray[np.floating[Any]], found: NDArray[np.bool_], rate: float = 25.0) -> CropPlan:
    """Plan the crop of every frame of one shot of one face.

    Args:
        landmarks: anything where `found` is False.
        found: frames with a face; at least one.
        rate: frames per second, so that smoothing means the same time at every rate.

    Shape:
        landmarks: (T, 478, 3) plate pixels.
        found: (T,).
    """
    # Only the points that are used are copied: a long track's landmarks stay on disk.
    poses = smooth_poses(_fit_rigid(_bridge_gaps(landmarks[:, list(RIGID)], found)), rate)
    angles = poses.angles()
    anchor = (poses.scale[:, None] * (poses.rotation @ _ANCHOR) + poses.translation)[:, :2]
    affine = _affine(anchor, angles[:, 2], poses.scale)
    seen = landmarks[:, list(REGION)][found]
    outline = _outline(_subset(poses, found).to_face(seen))
    region = _project(outline, poses, affine)
    return CropPlan(
        plate_from_crop=affine,
        found=np.asarray(found, bool),
        region=region.astype(np.float32),
        mouth_px=poses.scale * (MOUTH_SIZE / UNIT_PX),
        angles=angles,
    )


def smooth_poses(poses: HeadPoses, rate: float) -> HeadPoses:
    """Take the tracker's jitter out of a shot's poses without lag.

    The anchor is smoothed over about a frame, the turn over two, the scale over half a second; a scale that varies by
    less than 4 % over the shot is held constant.
    """
    frames = rate / 25.0
    anchor = poses.scale[:, None] * (poses.rotation @ _ANCHOR) + poses.translation
    anchor = _gaussian(anchor, 1.0 * frames)
    u, _, vt = np.linalg.svd(_gaussian(poses.rotation, 2.0 * frames))
    rotation = u @ vt
    log_scale = _gaussian(np.log(poses.scale), 12.0 * frames)
    if np.ptp(log_scale) < 0.04:
        log_scale = np.full_like(log_scale, np.median(log_scale))
    scale = np.exp(log_scale)
    return HeadPoses(rotation=rotation, scale=scale, translation=anchor - scale[:, None] * (rotation @ _ANCHOR))


def sample_crop(picture: NDArray[Any], plate_from_crop: Float64, size: tuple[int, int] = (CROP_H, CROP_W)) -> Float32:
    """Cut one crop out of a picture, sub-pixel, without aliasing when the face is larger than the crop.

    Pixels outside the picture repeat its edge.

    Args:
        picture: any numeric dtype; only float32 and uint8 are sampled without a copy.
        plate_from_crop: canonical crop pixels to plate pixels.
        size: (h, w) of the crop; same aspect as the canonical crop.

    Shape:
        picture: (H, W, 3).
        plate_from_crop: (2, 3).
        returns: (h, w, 3) float32, same value range as `picture`.
    """
    matrix = scaled(plate_from_crop, size)
    step = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    source = picture if picture.dtype in (np.uint8, np.float32) else picture.astype(np.float32)
    if step > 1.5:
        source, matrix = _reduced(source, matrix, step)
    warped = cv2.warpAffine(
        source.astype(np.float32, copy=False) if source.dtype != np.uint8 else source,
        matrix,
        (size[1], size[0]),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP if step < 0.9 else cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, np.float32)


def scaled(plate_from_crop: Float64, size: tuple[int, int]) -> Float64:
    """The same affine, from the pixels of a crop of another size. Pixel centres stay pixel centres."""
    k = CROP_W / size[1]
    shift = (k - 1) / 2
    matrix = np.array(plate_from_crop, np.float64)
    matrix[:, 2] += matrix[:, :2] @ np.array([shift, shift])
    matrix[:, :2] *= k
    return matrix


def region_mask(region: NDArray[np.floating[Any]], size: tuple[int, int] = (CROP_H, CROP_W)) -> Float32:
    """Fill a lower-face outline (P, 2) in canonical crop pixels: (h, w) float32, 1 inside, 0 outside.

    What lies outside the mouth square is left out, because a network decodes that square alone.
    """
    k = size[1] / CROP_W
    points = (np.asarray(region, np.float64) + 0.5) * k - 0.5
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], (1,), lineType=cv2.LINE_8, shift=4)
    square = np.zeros(size, np.float32)
    square[mouth_square(size)] = 1
    return mask * square


def coverage(
    region: NDArray[np.floating[Any]],
    size: tuple[int, int] = (CROP_H, CROP_W),
    feather_px: float = FEATHER_PX,
) -> Float32:
    """Feathered version of `region_mask`: a smooth ramp from 0 at the outline to 1 `feather_px` further inside."""
    mask = np.pad(region_mask(region, size).astype(np.uint8), 1)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)[1:-1, 1:-1]
    ramp = np.clip(inside / (feather_px * size[1] / CROP_W), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def mouth_square(size: tuple[int, int]) -> tuple[slice, slice]:
    """(rows, columns) of the paper's mouth square in a crop of this size."""
    k = size[1] / CROP_W
    top, left, side = round(MOUTH_TOP * k), round(MOUTH_LEFT * k), round(MOUTH_SIZE * k)
    return slice(top, top + side), slice(left, left + side)


def crop_rect(plate_from_crop: Float64, width: int, height: int) -> Rect | None:
    """The plate rectangle that one crop touches, or None when it lies outside the plate."""
    from julnet_plugin.types import Rect

    corners = np.array([[0, 0, 1], [CROP_W - 1, 0, 1], [0, CROP_H - 1, 1], [CROP_W - 1, CROP_H - 1, 1]], float)
    points = corners @ np.asarray(plate_from_crop).T
    x0, y0 = np.maximum(np.floor(points.min(axis=0)) - 2, 0).astype(int)
    x1, y1 = np.minimum(np.ceil(points.max(axis=0)) + 3, [width, height]).astype(int)
    return Rect(x0=int(x0), y0=int(y0), x1=int(x1), y1=int(y1)) if x1 > x0 and y1 > y0 else None


def _bridge_gaps(landmarks: NDArray[np.floating[Any]], found: NDArray[np.bool_]) -> Float64:
    """Fill frames without a face by straight lines between their neighbours."""
    known = np.flatnonzero(found)
    if known.size == 0:
        msg = "plan_crops needs at least one frame with a face"
        raise ValueError(msg)
    filled = np.asarray(landmarks, np.float64)
    if known.size == len(found):
        return filled
    filled = filled.copy()
    missing = np.flatnonzero(~np.asarray(found, bool))
    right = np.clip(np.searchsorted(known, missing), 0, known.size - 1)
    left = np.clip(right - 1, 0, None)
    before, after = known[left], known[right]
    weight = np.clip((missing - before) / np.maximum(after - before, 1), 0, 1)[:, None, None]
    filled[missing] = filled[before] * (1 - weight) + filled[after] * weight
    return filled


def _gaussian(values: Float64, sigma: float) -> Float64:
    """Symmetric Gaussian over time; the ends repeat, so a short shot is smoothed by what it has."""
    return np.asarray(gaussian_filter1d(values, sigma, axis=0, mode="nearest", truncate=3.0))


def _subset(poses: HeadPoses, found: NDArray[np.bool_]) -> HeadPoses:
    return HeadPoses(rotation=poses.rotation[found], scale=poses.scale[found], translation=poses.translation[found])


def _affine(anchor: Float64, roll: Float64, scale: Float64) -> Float64:
    """(T, 2, 3) crop-to-plate similarity: turned by the roll, scaled, with the anchor where the crop wants it."""
    k = scale / UNIT_PX
    roll = np.ascontiguousarray(roll)  # see `HeadPoses.angles`
    cos, sin = k * np.cos(roll), k * np.sin(roll)
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], axis=1)
    return np.concatenate([linear, (anchor - linear @ _ANCHOR_PX)[..., None]], axis=2)


def _outline(expression: Float32) -> Float64:
    """One outline for the shot, in face units: the widest that its landmarks reach, with room for the open jaw.

    It depends on the whole shot and not on the frame, so its shape does not tell the network what the mouth does.
    """
    median = np.median(expression, axis=0).astype(np.float64)
    outline = median.copy()
    jaw = len(_JAW)
    side = np.sign(median[:jaw, 0]) * np.clip(np.abs(median[:jaw, 0]) / 0.3, 0, 1)
    outline[:jaw, 0] += _SIDE_ROOM * side
    closed = np.percentile(expression[:, _CHIN, 1], 20, axis=0)
    # The lowest of all frames, less single outliers: a chin that sticks out of the region would show twice.
    lowest = median_filter(expression[:, _CHIN, 1], size=(3, 1), mode="nearest").max(axis=0)
    weight = np.clip(1 - np.abs(median[_CHIN, 0]) / 0.75, 0.2, 1)
    outline[_CHIN, 1] = np.maximum(lowest + 0.03, closed + _JAW_ROOM * weight)
    return np.asarray(outline)


def _project(outline: Float64, poses: HeadPoses, affine: Float64) -> Float64:
    """Project an outline in face units into every frame's crop: (T, P, 2) canonical crop pixels."""
    plate = poses.scale[:, None, None] * np.einsum("tij,pj->tpi", poses.rotation, outline)
    plate = (plate + poses.translation[:, None])[..., :2]
    inverse = np.linalg.inv(affine[:, :, :2])
    return np.asarray(np.einsum("tij,tpj->tpi", inverse, plate - affine[:, None, :, 2]))


def _reduced(picture: NDArray[Any], matrix: Float64, step: float) -> tuple[NDArray[Any], Float64]:
    """Average the part of the picture that the crop sees down to about the crop's own resolution.

    Returns the small picture and the affine that samples it.
    """
    height, width = picture.shape[:2]
    factor = max(round(step), 1)
    small = cv2.resize(picture, (max(width // factor, 1), max(height // factor, 1)), interpolation=cv2.INTER_AREA)
    kx, ky = small.shape[1] / width, small.shape[0] / height
    reduced = matrix.copy()
    reduced[0] *= kx
    reduced[1] *= ky
    reduced[0, 2] += (kx - 1) / 2
    reduced[1, 2] += (ky - 1) / 2
    return small, reduced
