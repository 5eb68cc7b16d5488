"""Things that come in front of the mouth and go again, and how many of the frames would be held for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from julnet_plugin.config import FaceSettings
from julnet_plugin.face.cover import LEFT, LOWER_PX, SIDE, TOP, above_usual, hidden, lower_face, share_of_mouth
from trainer.cover.faces import head_in_crop
from trainer.cover.network import CoverNet
from trainer.dataset import Clip

Float32 = NDArray[np.float32]

UNIT = LOWER_PX / SIDE  #: pixels in a face unit
_MOUTH = np.array([LOWER_PX / 2, (0.95 - TOP) * UNIT])  #: where visitors stop
_OUTER_LIPS = 20  #: points at the start of a lip shape
_LONGEST_S = 6.0  #: of each clip
BADLY, LITTLE, FREE = 0.5, 0.2, 0.02  #: shares of the lips


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """The lower faces of one clip.

    Shape:
        faces: (T, 48, 48, 3) in [0, 1].
        lips: (T, 48, 48) 1 on the lips, else 0.
    """

    faces: Float32
    lips: Float32
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverScores:
    """What would be held; NaN where there was no such frame."""

    clean_frames: int
    clean_held: float  #: share of the frames of clips without anything in front
    visits: int
    bad_frames: int  #: with more than half of the lips covered
    bad_held: float
    some_frames: int  #: with a fifth to half of the lips covered
    some_held: float
    near_frames: int  #: with free lips, while the thing is in the picture
    near_held: float
    visits_held: float  #: for more than four fifths of their badly covered frames
    visits_noticed: float  #: at all

    def to_json(self) -> dict[str, float]:
        """As plain values; without what is not known."""
        return {k: round(v, 5) for k, v in asdict(self).items() if np.isfinite(v)}

    def text(self) -> str:
        """For people."""
        rows = (
            (self.clean_held, f"of {self.clean_frames} frames without anything in front were held"),
            (self.bad_held, f"of {self.bad_frames} frames with more than half of the lips covered were held"),
            (self.some_held, f"of {self.some_frames} frames with a fifth to half of them covered were held"),
            (self.near_held, f"of {self.near_frames} frames with free lips and the thing in the picture were held"),
            (self.visits_held, f"of {self.visits} visits were held for more than four fifths of their worst frames"),
            (self.visits_noticed, "of them were noticed"),
        )
        return "\n".join(f"{100 * value:6.1f} % {what}" for value, what in rows if np.isfinite(value))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visit:
    """One clip with one thing that came and went.

    Shape:
        faces: (T, 48, 48, 3).
        covered: (T,) share of the lips that it lay over.
        shown: (T,) whether it was in the picture.
    """

    faces: Float32
    covered: Float32
    shown: NDArray[np.bool_]
    rate: float


def seen_in(clip: Clip) -> Seen:
    """The first seconds of a clip as the network sees them."""
    count = min(len(clip), round(_LONGEST_S * clip.header.rate))
    faces = np.stack([lower_face(clip.crop(k), head_in_crop(clip, k)) for k in range(count)])
    lips = np.zeros((count, LOWER_PX, LOWER_PX), np.uint8)
    for k in range(count):
        points = (clip.lips[k, :_OUTER_LIPS, :2] - [LEFT, TOP]) * UNIT - 0.5
        cv2.fillConvexPoly(lips[k], cv2.convexHull(np.round(points * 16).astype(np.int32)), (1,), shift=4)
    return Seen(faces=faces.astype(np.float32) / 255, lips=lips.astype(np.float32), rate=clip.header.rate)


def visit(seen: Seen, thing: Float32, rng: np.random.Generator) -> Visit:
    """Let a thing come in front of the mouth from outside, stay for about a second, and go.

    Args:
        seen: the clip.
        thing: (h, w, 4) its colours and opacity in [0, 1], at the size of lower faces; its middle goes to the mouth.
        rng: decides the moment and the way.
    """
    count = len(seen.faces)
    times = np.arange(count) / seen.rate
    middle, stay, come = times[-1] * rng.uniform(0.4, 0.6), rng.uniform(0.3, 0.6), rng.uniform(0.2, 0.4)
    away = np.clip((np.abs(times - middle) - stay) / come, 0, 1)  # 0 at the mouth, 1 outside
    turn = rng.uniform(0, np.pi)  # from below or from a side
    outside = (LOWER_PX + max(thing.shape[:2])) / 2 * 1.3 * np.array([np.cos(turn), np.sin(turn)])
    target = _MOUTH + rng.normal(0, 0.06 * UNIT, 2)
    sway = 0.03 * UNIT * np.stack([np.sin(5 * times), np.cos(4 * times)], axis=1)
    places = target + (away**1.5)[:, None] * outside + sway
    clear = np.concatenate([thing[..., :3] * thing[..., 3:], thing[..., 3:]], axis=2)
    faces, covered, shown = seen.faces.copy(), np.zeros(count, np.float32), np.zeros(count, bool)
    for k in np.flatnonzero(away < 1):
        corner = places[k] - np.array([thing.shape[1] - 1, thing.shape[0] - 1]) / 2
        laid = cv2.warpAffine(clear, np.array([[1, 0, corner[0]], [0, 1, corner[1]]]), (LOWER_PX, LOWER_PX))
        faces[k] = faces[k] * (1 - laid[..., 3:]) + laid[..., :3]
        covered[k] = (laid[..., 3] * seen.lips[k]).sum() / max(seen.lips[k].sum(), 1)
        shown[k] = laid[..., 3].max() > 0.5
    return Visit(faces=faces, covered=covered, shown=shown, rate=seen.rate)


@torch.no_grad()
def logits_of(network: CoverNet, faces: Float32) -> Float32:
    """(T, 48, 48, 3) to (T, 12, 12)."""
    device = next(network.parameters()).device
    parts = np.array_split(faces.transpose(0, 3, 1, 2), max(len(faces) // 64, 1))
    said = [network(torch.from_numpy(np.ascontiguousarray(part)).to(device)).cpu().numpy() for part in parts]
    return np.concatenate(said)


def held(logits: Float32, rate: float, scale: float = 1.0, shift: float = 0.0) -> NDArray[np.bool_]:
    """Frames that a take would hold for what the network says of one clip: (T,).

    Args:
        logits: (T, 12, 12).
        rate: frames per second.
        scale: what logits are multiplied with before
        shift: this is added.
    """
    probability = 1 / (1 + np.exp(-(scale * logits + shift)))
    share = np.array([share_of_mouth(p) for p in probability], np.float32)
    found = np.ones(len(share), bool)
    return hidden(above_usual(share, found), found, FaceSettings().max_covered, rate)


def score(clean: Sequence[NDArray[np.bool_]], visited: Sequence[tuple[NDArray[np.bool_], Visit]]) -> CoverScores:
    """Scores of what was held.

    Args:
        clean: of each clip without anything in front, the frames that were held.
        visited: the same of each visit.
    """
    free = np.concatenate(clean) if clean else np.zeros(0, bool)
    every = np.concatenate([h for h, _ in visited]) if visited else np.zeros(0, bool)
    covered = np.concatenate([v.covered for _, v in visited]) if visited else np.zeros(0, np.float32)
    shown = np.concatenate([v.shown for _, v in visited]) if visited else np.zeros(0, bool)
    bad, some = covered > BADLY, (covered > LITTLE) & (covered <= BADLY)
    near = shown & (covered < FREE)
    of_each = [h[v.covered > BADLY] for h, v in visited]
    of_each = [h for h in of_each if len(h)]
    return CoverScores(
        clean_frames=len(free),
        clean_held=_share(free),
        visits=len(visited),
        bad_frames=int(bad.sum()),
        bad_held=_share(every[bad]),
        some_frames=int(some.sum()),
        some_held=_share(every[some]),
        near_frames=int(near.sum()),
        near_held=_share(every[near]),
        visits_held=_share(np.array([h.mean() > 0.8 for h in of_each])),
        visits_noticed=_share(np.array([h.any() for h in of_each])),
    )


def _share(marked: NDArray[np.bool_]) -> float:
    return float(marked.mean()) if len(marked) else float("nan")
