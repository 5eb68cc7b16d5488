"""Lower faces from prepared clips, as `julnet_plugin.face.cover` cuts them out of plates.

A stored crop shows more than the lower face, and its yaw and pitch say how the head lies in it, so the same cut can be
made again; the head is the smoothed one of `plan_crops` and the mean face, which is less than a pixel of 48 away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.cover import LOWER_PX, lower_face
from julnet_plugin.face.crop import CROP_W, crop_landmarks
from trainer.dataset import Clip

Picture = NDArray[np.uint8]
Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Faces:
    """What is learnt from.

    Shape:
        lower: (N, 48, 48, 3).
        pieces: (N, 48, 48, 3) cut anywhere out of the same crops.
        clip_of: (N,) number of the clip that a face is from.
    """

    lower: Picture
    pieces: Picture
    clip_of: NDArray[np.int64]


def head_in_crop(clip: Clip, index: int) -> Float32:
    """Where the head's landmarks lie in a stored crop, by its pose alone: (478, 3) pixels of that crop."""
    k = clip.header.crop_size[1] / CROP_W
    points = crop_landmarks(clip.angles[index]) * k
    points[:, :2] += (k - 1) / 2
    return points.astype(np.float32)


def faces_of(clips: Sequence[Clip], apart_s: float, seed: int) -> Faces:
    """A lower face every so many seconds of every clip, and a piece of each picture."""
    rng = np.random.default_rng(seed)
    lower, pieces, clip_of = [], [], []
    for number, clip in enumerate(clips):
        every = max(round(apart_s * clip.header.rate), 1)
        for index in range(int(rng.integers(0, min(every, len(clip)))), len(clip), every):
            crop = clip.crop(index)
            lower.append(lower_face(crop, head_in_crop(clip, index)))
            pieces.append(_piece(crop, rng))
            clip_of.append(number)
    shape = (-1, LOWER_PX, LOWER_PX, 3)
    return Faces(
        lower=np.asarray(lower, np.uint8).reshape(shape),
        pieces=np.asarray(pieces, np.uint8).reshape(shape),
        clip_of=np.asarray(clip_of, np.int64),
    )


def _piece(crop: Picture, rng: np.random.Generator) -> Picture:
    side = int(rng.uniform(0.12, 0.5) * crop.shape[1])
    top, left = (int(rng.integers(0, edge - side)) for edge in crop.shape[:2])
    part = cv2.rotate(crop[top : top + side, left : left + side], int(rng.integers(0, 3)))
    return np.asarray(cv2.resize(part, (LOWER_PX, LOWER_PX), interpolation=cv2.INTER_AREA), np.uint8)
