"""Score any movie against its ground truth: our takes, another system's output, anything of the same frames.

The face is tracked in the truth; the same crops are cut from both movies, so that every system is measured at the same
place and size.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import InputError, MediaError, NoFaceFoundError
from julnet_plugin.face.crop import CROP_H, CROP_W, CropPlan, plan_crops, region_mask, sample_crop
from julnet_plugin.face.tracks import FaceTrack
from julnet_plugin.interfaces import FaceTracker
from julnet_plugin.media.probe import probe
from julnet_plugin.media.reader import open_plate
from julnet_plugin.types import FrameRange, MediaInfo
from trainer.evaluation.reconstruction import ProgressFn
from trainer.evaluation.render import Rendered
from trainer.evaluation.scores import ClipScores, Judges, score_clip
from trainer.metrics import psnr

Bytes = NDArray[np.uint8]

SMALL_MOUTH_PX = 150.0  #: below this the crop is 208x160: a larger one would only hold enlarged pixels
MAX_FRAMES = 1500  #: crops of so many frames are held in memory


def score_movie(
    movie: Path,
    truth: Path,
    judges: Judges,
    tracker: FaceTracker,
    features: Any = None,
    progress: ProgressFn | None = None,
) -> ClipScores:
    """Score a movie against the truth, frame by frame.

    Args:
        movie: what a system made.
        truth: the same frames as they should be.
        judges: what scores.
        tracker: finds the face in the truth.
        features: audio feature extractor (`AudioFeatures`) of the judges' SyncNet; None leaves LSE out.
        progress: `progress("track" or "evaluate", done, total)`.

    Raises:
        MediaError: a movie cannot be read, or the two are not of the same frames.
        NoFaceFoundError: no face in the truth.
    """
    info = matching(movie, truth)
    track, frames = largest_face(truth, info, tracker, progress)
    landmarks, found = track.over(frames)
    plan = plan_crops(landmarks, found, float(info.rate))
    drawn, whole = _cut_both(movie, truth, plan, frames, progress)
    audio = None if features is None else _audio_windows(movie, info, drawn.frames, features)
    scores = score_clip(drawn, movie.name, truth.name, audio, judges)
    scores.frames["frame.psnr"] = whole
    return scores


def matching(movie: Path, truth: Path) -> MediaInfo:
    """What is known of two movies that show the same frames.

    Raises:
        MediaError: they differ in size, rate or length.
    """
    made, true = probe(movie), probe(truth)
    if (made.width, made.height) != (true.width, true.height):
        msg = (
            f"{movie.name} is {made.width}x{made.height} and the truth {truth.name} is {true.width}x{true.height}; "
            "both must show the same pixels, so scale one of them first"
        )
        raise MediaError(msg, movie)
    if abs(float(made.rate / true.rate) - 1) > 1e-3 or made.frame_count != true.frame_count:
        msg = (
            f"{movie.name} has {made.frame_count} frames at {float(made.rate):.3f} fps and the truth {truth.name} has "
            f"{true.frame_count} at {float(true.rate):.3f}; both must be the same frames, so trim them first"
        )
        raise MediaError(msg, movie)
    return true


def largest_face(
    movie: Path, info: MediaInfo, tracker: FaceTracker, progress: ProgressFn | None = None
) -> tuple[FaceTrack, FrameRange]:
    """The face that fills most of the movie, and the frames of its shot.

    Raises:
        NoFaceFoundError: there is none.
    """
    from julnet_plugin.face.track import track_plate

    if info.frame_count > MAX_FRAMES:
        info_s = info.frame_count / float(info.rate)
        msg = f"{movie.name} is {info_s:.0f} s long; give clips of at most {MAX_FRAMES} frames, cut where needed"
        raise InputError(msg)
    with open_plate(movie) as reader:
        tracking = track_plate(((f.index, _to_8_bit(f.rgb)) for f in reader.frames()), info, tracker, progress=progress)
    if not tracking.tracks:
        msg = f"no face was found in {movie.name}; give a clip that shows one"
        raise NoFaceFoundError(msg)
    best = max(tracking.tracks, key=lambda t: int(t.found.sum()) * t.typical("mouth_px") ** 2)
    return best, best.frames


def _cut_both(
    movie: Path, truth: Path, plan: CropPlan, frames: FrameRange, progress: ProgressFn | None
) -> tuple[Rendered, NDArray[np.float64]]:
    """Crops of both movies where the truth has a face, and the PSNR of whole frames."""
    size = (CROP_H, CROP_W) if np.median(plan.mouth_px) >= SMALL_MOUTH_PX else (CROP_H // 2, CROP_W // 2)
    images, truths, masks, whole, used = [], [], [], [], []
    for row, (a, b) in enumerate(zip(_pictures(movie, frames), _pictures(truth, frames), strict=True)):
        if plan.found[row]:
            affine = plan.plate_from_crop[row]
            images.append(_to_bytes(sample_crop(a, affine, size)))
            truths.append(_to_bytes(sample_crop(b, affine, size)))
            masks.append(region_mask(plan.region[row], size) > 0.5)
            whole.append(psnr(a[None] / np.float32(255), b[None] / np.float32(255))[0])
            used.append(frames.start + row)
        if progress is not None:
            progress("evaluate", row + 1, len(frames))
    mask, image, true = np.stack(masks), np.stack(images), np.stack(truths)
    area = np.maximum(mask.sum(axis=(1, 2)), 1)
    error = np.zeros(len(used))
    for k, (i, t) in enumerate(zip(image, true, strict=True)):
        error[k] = np.abs(i.astype(np.float32) - t).mean(axis=2)[mask[k]].sum() / 255
    return Rendered(
        method="movie",
        frames=np.array(used, np.int64),
        truth=true,
        image=image,
        mask=mask,
        frame_sigma=np.full(len(used), np.nan, np.float32),
        frame_error=(error / area).astype(np.float32),
    ), np.array(whole)


def _pictures(path: Path, frames: FrameRange) -> Iterator[Bytes]:
    with open_plate(path) as reader:
        for frame in reader.frames(frames):
            yield _to_8_bit(frame.rgb)


def _to_8_bit(rgb: NDArray[Any]) -> Bytes:
    """Any plate's picture as 8-bit display code values; float plates are taken as display-referred."""
    if rgb.dtype == np.uint8:
        return np.asarray(rgb, np.uint8)
    if rgb.dtype == np.uint16:
        return np.asarray(np.rint(rgb / np.float32(257)), np.uint8)
    return _to_bytes(rgb.astype(np.float32) * 255)


def _to_bytes(picture: NDArray[Any]) -> Bytes:
    return np.asarray(np.rint(np.clip(picture, 0, 255)), np.uint8)


def _audio_windows(
    movie: Path, info: MediaInfo, frames: NDArray[np.int64], features: Any
) -> NDArray[np.float32] | None:
    """(K, 21, D) windows of the movie's own sound, or None without sound."""
    from julnet_plugin.audio.windows import feature_windows
    from julnet_plugin.media.audio import audio_info, read_audio, resample_mono_16k

    if not audio_info(movie):
        return None
    samples, rate = read_audio(movie)
    extracted = features.extract(resample_mono_16k(samples, rate))
    times = np.array([info.time_of(int(k)) for k in frames])
    return feature_windows(extracted, times, features.step_s)
