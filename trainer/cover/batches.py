"""Batches of lower faces, half of them with things in front, and what share of every cell is covered."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from julnet_plugin.face.cover import LOWER_PX
from trainer.config import CoverTraining
from trainer.cover.drawing import any_shape, draw_thing, shaded
from trainer.cover.faces import Faces
from trainer.cover.network import CELLS
from trainer.dataset import DatasetError

Float32 = NDArray[np.float32]


class CoverBatch(NamedTuple):
    """Lower faces and what lies over them.

    Shape:
        faces: (B, 3, 48, 48) in [0, 1].
        shares: (B, 12, 12) in [0, 1].
    """

    faces: Tensor
    shares: Tensor

    def to(self, device: torch.device) -> CoverBatch:
        """The same on another device."""
        return self if device.type == "cpu" else CoverBatch(*(x.to(device, non_blocking=True) for x in self))


class CoverBatches:
    """Draws batches; the same seed and number give the same batch."""

    def __init__(self, faces: Faces, settings: CoverTraining, seed: int = 0) -> None:
        """Take faces.

        Raises:
            DatasetError: they are of fewer than two clips.
        """
        known, counts = np.unique(faces.clip_of, return_counts=True)
        if len(known) < 2:
            msg = f"{len(known)} clips show a lower face, and at least 2 of different people are needed; prepare more"
            raise DatasetError(msg)
        self._faces, self._settings, self._seed = faces, settings, seed
        weight = 1 / np.sqrt(counts)[np.searchsorted(known, faces.clip_of)]
        self._odds = weight / weight.sum()

    def draw(self, step: int) -> CoverBatch:
        """The batch of one step."""
        rng = np.random.default_rng([self._seed, step])
        s = self._settings
        chosen = rng.choice(len(self._odds), (s.batch, 2), p=self._odds)
        pieces = rng.integers(0, len(self._odds), s.batch)
        pictures, shares = [], []
        for (own, other), piece in zip(chosen, pieces, strict=True):
            face = _turned(self._faces.lower[own], rng)
            mask = np.zeros((LOWER_PX, LOWER_PX), np.float32)
            if rng.random() < s.things:
                for _ in range(1 + (rng.random() < 0.15)):
                    someone = self._faces.lower[other].astype(np.float32) / 255
                    something = self._faces.pieces[piece].astype(np.float32) / 255
                    face, more = draw_thing(face, someone, something, rng)
                    mask = np.maximum(mask, more)
            elif rng.random() < s.shadows:
                face = shaded(face, any_shape(rng), rng)
            pictures.append(_seen(face, s.jitter, rng))
            shares.append(cv2.resize(mask, (CELLS, CELLS), interpolation=cv2.INTER_AREA))
        stacked = np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2), np.float32)
        return CoverBatch(torch.from_numpy(stacked), torch.from_numpy(np.stack(shares).astype(np.float32)))


def _turned(face: NDArray[np.uint8], rng: np.random.Generator) -> Float32:
    """Mirrored, moved, turned and scaled a little, as a tracker is wrong a little: (48, 48, 3) in [0, 1]."""
    picture = face.astype(np.float32) / 255
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    centre = (LOWER_PX - 1) / 2
    turned = cv2.getRotationMatrix2D((centre, centre), rng.normal(0, 3.5), float(np.exp(rng.normal(0, 0.05))))
    matrix = np.asarray(turned, np.float64)
    matrix[:, 2] += rng.normal(0, 1.2, 2)
    moved = cv2.warpAffine(np.ascontiguousarray(picture), matrix, (LOWER_PX, LOWER_PX), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _seen(face: Float32, strength: float, rng: np.random.Generator) -> Float32:
    """As another camera would see it: exposure, tint, contrast, focus, noise."""
    gain = np.exp(strength * (rng.standard_normal(3) * 0.4 + rng.standard_normal()))
    picture = np.clip(face, 0, 1) ** np.exp(strength * rng.standard_normal()) * gain
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.1))
    if rng.random() < 0.5:
        picture = picture + rng.uniform(0, 0.03) * rng.standard_normal(picture.shape)
    return np.asarray(np.clip(picture, 0, 1), np.float32)
