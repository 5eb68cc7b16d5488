"""Whether something is in front of the mouth: a hand, a microphone, a cup.

The face mesh draws a mouth on a hand as willingly as on a face, and says nothing. Here a small network looks at the
lower face of each picture and says where something lies over it. It was taught on faces over which shapes of fingers
and things were laid, filled with skin and with pieces of pictures; docs/model_card.md says how often it is right.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.crop import fit_poses, mean_face

Picture = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

WEIGHTS = Path(__file__).with_name("cover.safetensors")
LOWER_PX = 48  #: side of the lower face as the network sees it
SIDE, LEFT, TOP = 1.5, -0.75, 0.25  #: what it shows, in face units: under the eyes to below the chin
MOUTH = slice(4, 8), slice(4, 8)  #: rows and columns of the network's 12 x 12 answer that are mouth
COUNTS_FROM, COUNTS_FULLY = 0.6, 0.9  #: probability from which something counts, and counts fully
_USUAL, _MOST_USUAL = 25, 0.4  #: percentile of a track that counts as its free mouth, if it is below this share
_STILL = 0.3  #: share of the limit above which something that came is still there
_RUN_S = 0.1  #: a thing that comes and goes faster than this is chance
_MARGIN_S = 0.08  #: before and after it the mouth is kept away from too


def lower_face(picture: Picture, landmarks: Float32) -> Picture:
    """The lower face, seen as from the front: (48, 48, 3).

    It is placed by the head and not by the lips, so that what lies over them does not move it.

    Shape:
        picture: (H, W, 3) display-referred RGB.
        landmarks: (478, 3).
    """
    pose = fit_poses(landmarks[None])
    flat = _flat_face()
    points = (pose.scale[0] * flat @ pose.rotation[0].T + pose.translation[0])[:, :2]
    affine = _from_flat() @ points  # (3, 2): what the pixels' columns, rows and origin become
    matrix = np.ascontiguousarray(affine.T)
    step = int(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if step > 1:
        picture, matrix = _averaged(picture, matrix, step)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(picture, matrix, (LOWER_PX, LOWER_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen, np.uint8)


def covered(picture: Picture, landmarks: Float32) -> float:
    """How much of the mouth something seems to lie over, 0 to 1; see `lower_face`."""
    return share_of_mouth(_where(lower_face(picture, landmarks)))


def share_of_mouth(where: Float32) -> float:
    """How much of the mouth is covered, 0 to 1, given the probability that each part of a lower face is: (12, 12)."""
    return float(np.clip((where[MOUTH] - COUNTS_FROM) / (COUNTS_FULLY - COUNTS_FROM), 0, 1).mean())


def above_usual(share: Float32, found: NDArray[np.bool_]) -> Float32:
    """What `covered` says of the pictures of one person, less what it always says of them: a beard is no hand.

    Shape:
        share: (T,), see `covered`.
        found: (T,).
        returns: (T,), 0 where not found.
    """
    if not found.any():
        return np.zeros(len(found), np.float32)
    usual = min(float(np.percentile(share[found], _USUAL)), _MOST_USUAL)
    return np.asarray(np.where(found, np.maximum(share - usual, 0) / (1 - usual), 0), np.float32)


def hidden(share: Float32, found: NDArray[np.bool_], limit: float, rate: float) -> NDArray[np.bool_]:
    """Frames on which something is in front of the mouth, or about to be: (T,).

    Args:
        share: (T,), see `above_usual`.
        found: (T,) frames with the face.
        limit: share of the mouth from which it counts as covered.
        rate: frames per second.
    """
    over = np.asarray((share > limit) & found)
    around = np.asarray((share > _STILL * limit) & found)
    least, margin = max(round(_RUN_S * rate), 1), max(round(_MARGIN_S * rate), 1)
    answer = np.zeros(len(over), bool)
    for start, stop in _runs(around, gap=least):
        if over[start:stop].any() and (stop - start >= least or stop - start >= found.sum()):
            answer[max(start - margin, 0) : stop + margin] = True
    return answer & found


def _runs(marked: NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """Half-open runs of marked frames; those with at most `gap` frames between them are one."""
    runs: list[tuple[int, int]] = []
    for index in np.flatnonzero(marked).tolist():
        if runs and index - runs[-1][1] <= gap:
            runs[-1] = runs[-1][0], index + 1
        else:
            runs.append((index, index + 1))
    return runs


@lru_cache(maxsize=1)
def _flat_face() -> Float64:
    """The points of the mean face that lie in the lower face: (n, 3)."""
    face = mean_face()[:468]
    inside = (np.abs(face[:, 0]) < 0.62) & (face[:, 1] > 0.35) & (face[:, 1] < 1.6)
    return np.asarray(face[inside], np.float64)


@lru_cache(maxsize=1)
def _from_flat() -> Float64:
    """What points of a picture are multiplied with, (3, n), to give the affine of the plane that they lie in."""
    flat = _flat_face()
    pixel = SIDE / LOWER_PX
    columns, rows = (flat[:, 0] - LEFT) / pixel - 0.5, (flat[:, 1] - TOP) / pixel - 0.5
    return np.asarray(np.linalg.pinv(np.stack([columns, rows, np.ones(len(flat))], axis=1)))


def _averaged(picture: Picture, matrix: Float64, step: int) -> tuple[Picture, Float64]:
    """The picture around the lower face, averaged over step x step pixels, and the affine that samples it."""
    centre = matrix @ [LOWER_PX / 2, LOWER_PX / 2, 1]
    reach = 0.8 * LOWER_PX * (step + 1)
    x0, y0 = (int(max(c - reach, 0)) for c in centre)
    part = picture[y0 : int(max(centre[1] + reach, 0)), x0 : int(max(centre[0] + reach, 0))]
    rows, columns = part.shape[0] // step, part.shape[1] // step
    if not rows or not columns:
        return picture, matrix
    part = np.ascontiguousarray(part[: rows * step, : columns * step])
    small = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    moved = matrix / step
    moved[:, 2] = (matrix[:, 2] - [x0, y0] + 0.5) / step - 0.5
    return np.asarray(small, np.uint8), moved


def _where(face: Picture) -> Float32:
    """Probability that something lies over each part of a lower face: (12, 12)."""
    values = face.astype(np.float32) / np.float32(255)
    levelled = (values - values.mean(axis=(0, 1))) / (values.std(ddof=1) + np.float32(0.05))  # without light and tint
    near = _layer(_layer(levelled, "near.0", 2), "near.1", 2)
    far = near
    for name, step in (("far.0", 1), ("far.1", 2), ("far.2", 1)):
        far = _layer(far, name, step)
    wide = _sum(far, "from_far").repeat(2, axis=0).repeat(2, axis=1)
    both = np.maximum(_sum(near, "from_near") + wide, 0)
    logits = _sum(_layer(_layer(both, "join.0"), "join.1", reach=2), "out")[..., 0]
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def _layer(x: Float32, name: str, step: int = 1, reach: int = 1) -> Float32:
    """A 3 x 3 convolution over every `step`-th pixel, its taps `reach` apart, and what is positive of it."""
    height, width = x.shape[:2]
    padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0)))
    taps = [
        padded[dy : dy + height : step, dx : dx + width : step]
        for dy in range(0, 3 * reach, reach)
        for dx in range(0, 3 * reach, reach)
    ]
    return np.maximum(_sum(np.concatenate(taps, axis=2), name), 0)


def _sum(x: Float32, name: str) -> Float32:
    weight, bias = _network(WEIGHTS)[name]
    return np.asarray(x @ weight + bias, np.float32)


@lru_cache(maxsize=1)
def _network(path: Path) -> dict[str, tuple[Float32, Float32]]:
    """Weights (taps x inputs, outputs) and bias of each layer."""
    from safetensors.numpy import load_file

    stored = load_file(path)
    names = sorted({name.rpartition(".")[0] for name in stored})
    weights = {name: stored[f"{name}.weight"].astype(np.float32).transpose(2, 3, 1, 0) for name in names}
    return {
        name: (w.reshape(-1, w.shape[-1]), stored[f"{name}.bias"].astype(np.float32)) for name, w in weights.items()
    }
