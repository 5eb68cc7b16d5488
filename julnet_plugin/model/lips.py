"""From sound to lip shape: the audio branch of `rt`, and the space of lip shapes that it speaks.

With minutes of footage the audio branch is the weak link, so it is taught on its own first: the shape of the lips needs
no pictures, only landmarks. A lip shape is a handful of numbers, 0 being the speaker's own closed mouth and one unit
the spread of that motion over the training speakers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

OUTER_LIP = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
INNER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
CHIN = (152, 148, 377, 176, 400, 172, 397, 199)
SHAPE_POINTS = OUTER_LIP + INNER_LIP + CHIN  #: landmark of each of the 48 points of a shape
GAP_LOWER, GAP_UPPER = (23, 24, 25, 26, 27), (37, 36, 35, 34, 33)  #: facing points of the inner lips
CLOSED_PERCENTILE = 20.0
_REST_REACH = 0.25  #: lip shapes about this near to the one heard in silence count as silence
_REST_GAP = 0.03  #: opening of closed lips, in face units: landmarks do not touch where lips do
#: where each point of a shape lies in a mirrored face
MIRROR = (*((10 - k) % 20 for k in range(20)), *(20 + (10 - k) % 20 for k in range(20)), 40, 42, 41, 44, 43, 46, 45, 47)


def inner_gap(shape: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Mean opening of the inner lips in face units: (T, 48, 3) to (T,)."""
    lower, upper = shape[:, list(GAP_LOWER), :2], shape[:, list(GAP_UPPER), :2]
    return np.asarray(np.linalg.norm(lower - upper, axis=-1).mean(axis=1), np.float64)


def closed_shape(shape: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The speaker's closed mouth: the mean over the fifth of the frames whose lips are least open. (48, 3).

    Where they do not close at all, as in a held smile, the lips are brought together: mostly the lower one, with the
    chin.
    """
    gap = inner_gap(shape)
    least = np.asarray(shape[gap <= np.percentile(gap, CLOSED_PERCENTILE)].mean(axis=0), np.float64)
    excess = float(inner_gap(least[None])[0]) - _REST_GAP
    if excess > 0:
        least[:, 1] += excess * _closing(least)
    return least


def _closing(shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far down (+) or up (-) each point of a shape (48, 3) goes when lips that are one unit apart close. (48,)."""
    lips = shape[: len(OUTER_LIP) + len(INNER_LIP), 0]
    middle, half = (lips.max() + lips.min()) / 2, max(float(lips.max() - lips.min()) / 2, 1e-6)
    along = 1 - np.clip(np.abs(shape[:, 0] - middle) / half, 0, 1) ** 2
    lower = np.zeros(len(shape), bool)
    lower[1:10] = lower[21:30] = True
    upper = np.zeros(len(shape), bool)
    upper[11:20] = upper[31:40] = True
    return np.asarray(np.where(lower, -0.85 * along, np.where(upper, 0.3 * along, 0.0)) - 0.5 * (np.arange(48) >= 40))


@dataclass(frozen=True, slots=True, kw_only=True)
class LipBasis:
    """Principal directions of lip motion.

    Shape:
        components: (K, 144) orthonormal.
        spread: (K,) standard deviation of the motion along each.
    """

    components: NDArray[np.float32]
    spread: NDArray[np.float32]

    def encode(self, shape: NDArray[np.floating[Any]], closed: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Lip shape numbers (T, K) of shapes (T, 48, 3) relative to the speaker's closed mouth (48, 3)."""
        motion = (shape - closed).reshape(len(shape), -1)
        return np.asarray(motion @ self.components.T / self.spread, np.float32)

    def mirrored(self) -> NDArray[np.float32]:
        """(K, K) matrix that takes lip shape numbers, as rows, to those of the mirrored face."""
        motion = self.decode(np.eye(len(self.spread), dtype=np.float32))[:, list(MIRROR)]
        motion[..., 0] *= -1
        return self.encode(motion, np.zeros_like(motion[0]))

    def decode(self, code: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Motion (T, 48, 3) in face units that lip shape numbers (T, K) stand for."""
        motion = (code * self.spread) @ self.components
        return np.asarray(motion.reshape(len(code), -1, 3), np.float32)

    def to_json(self) -> str:
        """As text, exactly."""
        return json.dumps({"components": self.components.tolist(), "spread": self.spread.tolist()})

    @classmethod
    def from_json(cls, text: str) -> LipBasis:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            data = json.loads(text)
            components, spread = (np.array(data[name], np.float32) for name in ("components", "spread"))
        except (KeyError, TypeError) as exc:
            msg = "its lip shapes are damaged"
            raise ValueError(msg) from exc
        if components.shape != (len(spread), 3 * len(SHAPE_POINTS)) or spread.ndim != 1:
            msg = f"its lip shapes are damaged: {components.shape} numbers"
            raise ValueError(msg)
        return cls(components=components, spread=spread)


class LipEncoder(nn.Module):
    """Audio window to lip shape: 1-D convolutions over the class scores, then a small head.

    Shape:
        audio: (B, W, D) features around the frame.
        returns: (B, K) lip shape.

    Source:
        JULNet §3.1.1 (class scores every 20 ms smoothed by 1-D convolutions); the lip-shape bottleneck is ours.
    """

    def __init__(self, audio_size: int, codes: int = 10, width: int = 128, dropout: float = 0.2) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(audio_size)
        self.smooth = nn.Sequential(
            nn.Conv1d(audio_size, width, 5, padding=2), nn.GELU(), nn.Dropout(dropout),
            nn.Conv1d(width, width, 5, padding=2, stride=2), nn.GELU(), nn.Dropout(dropout),
            nn.Conv1d(width, width, 3, padding=1, stride=2), nn.GELU(), nn.Dropout(dropout),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(width * 6, width), nn.GELU(), nn.Dropout(dropout),
                                  nn.Linear(width, codes))  # fmt: skip

    def forward(self, audio: Tensor) -> Tensor:
        """See the class."""
        features = self.norm(audio).transpose(1, 2)  # (B, D, 21)
        return self.head(self.smooth(features))  # type: ignore[no-any-return]


class LipEncoders(nn.Module):
    """Several encoders that were taught from different beginnings: their mean errs less than any of them.

    Shape:
        as `LipEncoder`.
    """

    def __init__(self, audio_size: int, codes: int = 10, width: int = 128, dropout: float = 0.2, ears: int = 4) -> None:
        super().__init__()
        self.ears = nn.ModuleList(LipEncoder(audio_size, codes, width, dropout) for _ in range(ears))

    def forward(self, audio: Tensor) -> Tensor:
        """See the class."""
        heard = self.ears[0](audio)
        for ear in list(self.ears)[1:]:
            heard = heard + ear(audio)
        return heard / len(self.ears)  # type: ignore[no-any-return]


def new_lip_encoder(
    audio_size: int, codes: int = 10, width: int = 128, dropout: float = 0.2, ears: int = 1
) -> LipEncoder | LipEncoders:
    """One encoder, or several that are heard together."""
    if ears == 1:
        return LipEncoder(audio_size, codes, width, dropout)
    return LipEncoders(audio_size, codes, width, dropout, ears)


def closed_in_silence(lips: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
    """Lip shapes as an encoder hears them, with the mouth closed (0) where nothing is said.

    People who pause leave their lips a little apart, and so does an encoder that was taught by them. Speech lies well
    away from silence (its lip shapes are farther than 0.5 on 9 of 10 frames), so that only what is heard as silence is
    drawn to it, smoothly.

    Shape:
        lips: (B, K).
        rest: (K,) what the encoder hears in silence.
        returns: (B, K), and how much of each moment is speech (B, 1), 0 to 1.
    """
    away = (lips - rest).square().sum(dim=1, keepdim=True)
    silent = torch.exp(away / (-2 * _REST_REACH**2))
    return lips - rest * silent, 1 - silent
