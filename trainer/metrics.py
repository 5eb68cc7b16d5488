"""Scores of pictures and of lips against the truth: plain numpy, one number a frame or a clip.

Shape:
    Pictures are (T, h, w, 3) float32 RGB in [0, 1], masks (T, h, w) or (h, w) in [0, 1]. Per-frame scores
    come back as (T,) and are averaged by whoever reports them, so that intervals can be had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]

PSNR_CAP_DB = 100.0  #: of a perfect frame, so that means stay finite
SSIM_WINDOW, SSIM_SIGMA_PX = 11, 1.5
SYNC_OFFSETS = 15  #: LSE looks so many frames to both sides


def psnr(generated: Floats, truth: Floats, mask: Floats | None = None) -> Float64:
    """Peak signal-to-noise ratio of each frame in dB, over the mask and the channels; NaN for an empty mask."""
    squared = np.square(generated.astype(np.float64) - truth).mean(axis=3)  # (T, h, w)
    error = _masked_mean(squared, mask)
    return np.asarray(np.minimum(-10.0 * np.log10(np.maximum(error, 1e-300)), PSNR_CAP_DB))


def ssim(generated: Floats, truth: Floats, mask: Floats | None = None) -> Float64:
    """Structural similarity of each frame: the SSIM map, averaged over the mask and the three channels.

    Source:
        Wang et al., Image quality assessment (IEEE TIP 2004): Gaussian window of 11 pixels and σ = 1.5, K1 =
        0.01, K2 = 0.03.
    """
    maps = np.stack([ssim_map(g, t) for g, t in zip(generated, truth, strict=True)])
    return _masked_mean(maps.mean(axis=3), mask)


def ssim_map(a: Floats, b: Floats) -> Float64:
    """SSIM of every pixel and channel: (h, w, 3)."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = _window(a), _window(b)
    var_a = _window(a * a) - mean_a * mean_a
    var_b = _window(b * b) - mean_b * mean_b
    covariance = _window(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return np.asarray(luminance * structure)


def _window(picture: Float64) -> Float64:
    size = (SSIM_WINDOW, SSIM_WINDOW)
    return np.asarray(cv2.GaussianBlur(picture, size, SSIM_SIGMA_PX, borderType=cv2.BORDER_REFLECT))


def flicker(generated: Floats, truth: Floats, mask: Floats | None = None) -> Float64:
    """How much the picture moves where the truth doesn't, or fails to where it does.

    The mean |(g_t − g_t−1) − (p_t − p_t−1)| of each pair of frames: 0 for a perfect clip and for one that is
    wrong by the same amount in every frame.

    Returns:
        (T − 1,) in [0, 1] units of colour.
    """
    error = generated.astype(np.float64) - truth
    change = np.abs(np.diff(error, axis=0)).mean(axis=3)
    if mask is not None and mask.ndim == 3:
        mask = np.minimum(mask[1:], mask[:-1])
    return _masked_mean(change, mask)


def mouth_landmark_distance(generated: Floats, truth: Floats, unit_px: Floats) -> Float64:
    """Mean distance of lip landmarks of each frame, in per cent of the face unit.

    Shape:
        generated, truth: (T, L, 2) or (T, L, 3) lip points in one and the same coordinate frame, in pixels.
        unit_px: (T,) what the distance is divided by, the distance of the outer eye corners.
    """
    distance = np.linalg.norm(generated.astype(np.float64) - truth, axis=2).mean(axis=1)
    return np.asarray(100.0 * distance / unit_px)


def _masked_mean(values: Floats, mask: Floats | None) -> Float64:
    """(T, h, w) to (T,)."""
    if mask is None:
        return np.asarray(values.mean(axis=(1, 2)))
    weight = np.broadcast_to(mask, values.shape).astype(np.float64)
    total = weight.sum(axis=(1, 2))
    mean = (values * weight).sum(axis=(1, 2)) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, mean, np.nan)


# -----------------------------------------------------------------------------------------------------------
# sync


@dataclass(frozen=True, slots=True)
class LipSync:
    """What a SyncNet makes of one clip."""

    lse_d: float  #: least mean distance over the offsets; lower is better
    lse_c: float  #: median minus least mean distance; higher is better
    offset: int  #: frames by which the sound is late where the distance is least; 0 = in sync


def lip_sync_error(video: Floats, audio: Floats, offsets: int = SYNC_OFFSETS) -> LipSync:
    """LSE-D and LSE-C of a clip from the embeddings of a SyncNet.

    Shape:
        video, audio: (T, E), row t of both about the same moment.

    Raises:
        ValueError: fewer than 2 rows, or rows that don't match.

    Source:
        Chung & Zisserman, Out of time (ACCV workshops 2016), as scored by Wav2Lip (ACM MM 2020). Absolute
        values depend on the SyncNet, so the truth's own score belongs beside every score.
    """
    if video.shape != audio.shape or len(video) < 2:
        msg = f"LSE needs embeddings of at least 2 frames in pairs, not {video.shape} and {audio.shape}"
        raise ValueError(msg)
    reach = min(offsets, len(video) - 1)
    shifts = range(-reach, reach + 1)
    mean = np.array([_shifted_distance(video, audio, shift).mean() for shift in shifts])
    best = int(mean.argmin())
    return LipSync(float(mean[best]), float(np.median(mean) - mean[best]), shifts[best])


def sync_accuracy(video: Floats, audio: Floats, shift: int = 10, window: int = 25) -> float:
    """Share of windows whose true sound is nearer than other sound of the same clip.

    The sound `shift` frames later and the sound as much earlier are asked alone, so blind guessing scores 0.5. NaN for
    a clip shorter than `window + 2 · shift`.

    Shape:
        video, audio: (T, E), row t of both about the same moment.
    """
    last = len(video) - window - shift
    starts = range(shift, last + 1, max(1, window // 5))
    right = []
    for start in starts:
        looked = video[start : start + window]
        true = _distance(looked, audio[start : start + window])
        for moved in (-shift, shift):
            right.append(true < _distance(looked, audio[start + moved : start + moved + window]))
    return float(np.mean(right)) if right else float("nan")


def _shifted_distance(video: Floats, audio: Floats, shift: int) -> Float64:
    """Distance of each frame to the sound `shift` frames later, where there is one."""
    T = len(video)
    v, a = video[max(0, -shift) : T - max(0, shift)], audio[max(0, shift) : T + min(0, shift)]
    return np.asarray(np.linalg.norm(v.astype(np.float64) - a, axis=1))


def _distance(a: Floats, b: Floats) -> float:
    return float(np.linalg.norm(a.astype(np.float64) - b, axis=1).mean())


# ------------------------------------------------------------------------------------------------------ lips
# follow


def correlation(a: Floats, b: Floats) -> float:
    """Pearson correlation where both are finite; NaN for a constant or fewer than 3 frames."""
    good = np.isfinite(a) & np.isfinite(b)
    x, y = a[good].astype(np.float64), b[good].astype(np.float64)
    if len(x) < 3:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else float("nan")


def best_correlation(a: Floats, b: Floats, reach: int) -> tuple[float, int]:
    """The highest correlation of a(t) with b(t + lag) over |lag| ≤ reach, and that lag in frames."""
    found = []
    for lag in range(-reach, reach + 1):
        x = a[max(0, -lag) : len(a) - max(0, lag)]
        y = b[max(0, lag) : len(b) + min(0, lag)]
        found.append((correlation(x, y), lag))
    known = [f for f in found if np.isfinite(f[0])]
    return max(known, key=lambda f: (f[0], -abs(f[1]))) if known else (float("nan"), 0)


def speech_envelope(samples: Floats, rate_hz: int, times_s: Floats, width_s: float = 0.08) -> Float64:
    """Loudness around each moment in dB above the floor of −60 dB of full scale: (T,) in [0, 60].

    Lips open with the logarithm of loudness rather than with loudness itself.

    Args:
        samples: (n,) mono in [-1, 1].
        rate_hz: of the samples.
        times_s: (T,) moments.
        width_s: standard deviation of the Gaussian window's support, a syllable's rise; the window is ±2 of
            them.
    """
    power = np.concatenate([[0.0], np.cumsum(np.square(samples.astype(np.float64)))])
    steps = np.linspace(-2.0, 2.0, 17)
    weight = np.exp(-0.5 * steps**2)
    edges = times_s[:, None] + steps[None, :] * width_s / 2
    half = width_s / 16
    start = np.clip(np.round((edges - half) * rate_hz), 0, len(samples)).astype(np.int64)
    stop = np.clip(np.round((edges + half) * rate_hz), 0, len(samples)).astype(np.int64)
    mean = (power[stop] - power[start]) / np.maximum(stop - start, 1)
    level = (mean * weight).sum(axis=1) / weight.sum()
    return np.asarray(np.maximum(10.0 * np.log10(np.maximum(level, 1e-12)) + 60.0, 0.0))


# ----------------------------------------------------------------------------------------------------
# confidence


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float
    count: int  #: of what was resampled: speakers, or blocks of one speaker's frames

    def __str__(self) -> str:
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


def bootstrap(values: Sequence[float] | Floats, seed: int = 0, draws: int = 2000) -> Estimate:
    """Mean of independent values with its 95 % percentile interval; NaNs don't count."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if len(known) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    picks = np.random.default_rng(seed).integers(0, len(known), (draws, len(known)))
    low, high = np.percentile(known[picks].mean(axis=1), [2.5, 97.5])
    return Estimate(float(known.mean()), float(low), float(high), len(known))


def over_speakers(values: Mapping[str, Sequence[float] | Floats], seed: int = 0) -> Estimate:
    """Mean over speakers, each weighing the same, with an interval from resampling speakers.

    Frames of one speaker are alike; resampling them would make the interval far too narrow.
    """
    means = [float(np.nanmean(v)) if np.isfinite(np.asarray(v, float)).any() else np.nan for v in values.values()]
    return bootstrap(means, seed)


def over_blocks(values: Floats, block: int = 25, seed: int = 0) -> Estimate:
    """Mean of one speaker's frames, with an interval from resampling blocks of `block` consecutive frames."""
    known = np.asarray(values, np.float64)
    blocks = [known[i : i + block] for i in range(0, len(known), block)]
    means = [float(np.nanmean(b)) for b in blocks if np.isfinite(b).any()]
    return bootstrap(means, seed)
