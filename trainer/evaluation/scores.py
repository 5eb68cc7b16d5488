"""Everything that is measured of one drawn clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from julnet_plugin.face.crop import mouth_square
from julnet_plugin.face.lips import LIPS, interocular_px
from trainer import metrics
from trainer.distances import pooled_statistics
from trainer.evaluation.landmarks import CropLandmarks

if TYPE_CHECKING:
    from julnet_plugin.model.syncnet import SyncNet
    from trainer.distances import PictureDistance
    from trainer.evaluation.render import Bytes, Float32, Rendered
    from trainer.populations import Describer

_FRAMES_AT_ONCE = 4  #: VGG's features of one 256-pixel square are 50 MB

Float64 = NDArray[np.float64]


@dataclass(slots=True)
class Judges:
    """The networks that scores need; None where one is not to be had or not wanted."""

    distance: PictureDistance
    describer: Describer
    landmarks: CropLandmarks | None = None
    syncnet: SyncNet | None = None


@dataclass(slots=True)
class ClipScores:
    """Scores of one clip drawn by one method.

    Shape:
        frames: score name -> (K,) or (K − 1,); names are "square.psnr", "mask.psnr", "square.ssim", "square.distance" …
        numbers: score name -> one number of the whole clip; "lse_d", "lse_c", "sync_offset" and their "truth_…".
        features, truth_features: (K, D) for the Fréchet distance.
        description, truth_description: (D',) for the identity proxy.
    """

    name: str
    speaker: str
    method: str
    count: int
    frames: dict[str, Float64] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    features: Float64 | None = None
    truth_features: Float64 | None = None
    description: Float64 | None = None
    truth_description: Float64 | None = None


def score_pictures(drawn: Rendered, judges: Judges) -> ClipScores:
    """Per-frame picture scores in the mouth square and in the mask, and what sets of pictures are compared by."""
    square = mouth_square(drawn.size)
    parts = [_score_part(drawn, square, part, judges) for part in _parts(len(drawn.frames))]

    def together(name: str) -> Float64:
        return np.concatenate([p[name] for p in parts])

    return ClipScores(
        name="",
        speaker="",
        method=drawn.method,
        count=len(drawn.frames),
        frames={n: together(n) for n in parts[0] if n.startswith(("square.", "mask."))}
        | {"mask.flicker": _flicker(drawn, square)},
        features=together("features"),
        truth_features=together("truth_features"),
        description=together("description").mean(axis=0),
        truth_description=together("truth_description").mean(axis=0),
    )


@torch.inference_mode()
def _score_part(drawn: Rendered, square: tuple[slice, slice], part: slice, judges: Judges) -> dict[str, Float64]:
    """Some frames; every network runs once on each picture."""
    image, truth = (_floats(x[part])[:, square[0], square[1]] for x in (drawn.image, drawn.truth))
    mask = drawn.mask[part][:, square[0], square[1]].astype(np.float64)
    made, true, inside = _tensor(image), _tensor(truth), torch.from_numpy(mask).float()[:, None]
    distance = judges.distance
    made_features, true_features = distance.network(made), distance.network(true)
    scores: dict[str, Any] = {
        "square.psnr": metrics.psnr(image, truth),
        "square.ssim": metrics.ssim(image, truth),
        "square.distance": distance.compare(made_features, true_features).numpy(),
        "mask.psnr": metrics.psnr(image, truth, mask),
        "mask.ssim": metrics.ssim(image, truth, mask),
        "mask.distance": distance.compare(made_features, true_features, inside).numpy(),
        "features": judges.describer(made, made_features),
        "truth_features": judges.describer(true, true_features),
        "description": pooled_statistics(made_features, inside).numpy(),
        "truth_description": pooled_statistics(true_features, inside).numpy(),
    }
    return {name: np.asarray(values, np.float64) for name, values in scores.items()}


def score_landmarks(drawn: Rendered, landmarks: CropLandmarks) -> dict[str, Float64]:
    """Mouth-landmark distance in per cent of the eyes' distance and the lip opening; NaN where no face is seen."""
    true_points, true_found = landmarks(drawn.truth)
    points, found = landmarks(drawn.image)
    both = true_found & found
    unit = np.maximum(interocular_px(true_points), 1e-6)
    distance = metrics.mouth_landmark_distance(points[:, LIPS, :2], true_points[:, LIPS, :2], unit)
    return {
        "mouth_landmark_distance": np.where(both, distance, np.nan),
        "aperture": landmarks.aperture(points, found),
        "truth_aperture": landmarks.aperture(true_points, true_found),
    }


def score_sync(drawn: Rendered, audio: Float32, syncnet: SyncNet) -> dict[str, float]:
    """LSE-D, LSE-C and offset of the drawn clip, of the truth beside it, and how well the judge knows the truth.

    Shape:
        audio: (K, 21, D) one window a drawn frame.
    """
    numbers: dict[str, float] = {}
    for prefix, pictures in (("", drawn.image), ("truth_", drawn.truth)):
        video, sound = _sync_embeddings(pictures, audio, syncnet)
        if len(video) < 2:
            continue
        found = metrics.lip_sync_error(video, sound)
        numbers |= {f"{prefix}lse_d": found.lse_d, f"{prefix}lse_c": found.lse_c, f"{prefix}sync_offset": found.offset}
        if prefix:
            numbers["truth_sync_accuracy"] = metrics.sync_accuracy(video, sound)
    return numbers


def score_clip(drawn: Rendered, name: str, speaker: str, audio: Float32 | None, judges: Judges) -> ClipScores:
    """All scores of one drawn clip.

    Shape:
        audio: (K, 21, D) one window a drawn frame; None leaves sync out.
    """
    scores = score_pictures(drawn, judges)
    scores.name, scores.speaker = name, speaker
    if judges.landmarks is not None:
        scores.frames |= score_landmarks(drawn, judges.landmarks)
    if judges.syncnet is not None and audio is not None:
        scores.numbers |= score_sync(drawn, audio, judges.syncnet)
    return scores


@torch.inference_mode()
def _sync_embeddings(pictures: Bytes, audio: Float32, syncnet: SyncNet) -> tuple[Float64, Float64]:
    """One row for every frame that has its neighbours on both sides: (K − frames + 1, E) twice."""
    views = torch.cat([syncnet.mouth_view(_tensor(_floats(pictures[part]))) for part in _parts(len(pictures))])
    reach = syncnet.config.frames // 2
    middles = range(reach, len(pictures) - reach)
    video, sound = [], []
    for part in (middles[i : i + 64] for i in range(0, len(middles), 64)):
        stacks = torch.stack([views[k - reach : k - reach + syncnet.config.frames] for k in part])
        video.append(syncnet.embed_pictures(stacks).numpy())
        sound.append(syncnet.embed_audio(torch.from_numpy(np.ascontiguousarray(audio[part.start : part.stop]))).numpy())
    if not video:
        return np.zeros((0, 1)), np.zeros((0, 1))
    return np.concatenate(video).astype(np.float64), np.concatenate(sound).astype(np.float64)


def _flicker(drawn: Rendered, square: tuple[slice, slice]) -> Float64:
    """Flicker of frames that follow each other in the clip; a gap between blocks is no flicker."""
    values = []
    for k in range(1, len(drawn.frames)):
        if drawn.frames[k] - drawn.frames[k - 1] != 1:
            values.append(np.nan)
            continue
        pair = slice(k - 1, k + 1)
        image, truth = (_floats(x[pair])[:, square[0], square[1]] for x in (drawn.image, drawn.truth))
        mask = drawn.mask[pair][:, square[0], square[1]].astype(np.float64)
        values.append(float(metrics.flicker(image, truth, mask)[0]))
    return np.array(values, np.float64)


def _parts(count: int) -> Iterator[slice]:
    return (slice(i, min(i + _FRAMES_AT_ONCE, count)) for i in range(0, count, _FRAMES_AT_ONCE))


def _floats(pictures: Bytes) -> Float32:
    return pictures.astype(np.float32) / np.float32(255)


def _tensor(pictures: NDArray[np.floating[Any]]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
