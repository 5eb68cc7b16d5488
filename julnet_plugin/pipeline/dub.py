"""The dub as the network hears it: features of the whole line, once, and the window around each frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.audio.windows import feature_windows
from julnet_plugin.pipeline.cropdata import read_arrays, write_arrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from julnet_plugin.interfaces import AudioFeatures
    from julnet_plugin.types import MediaInfo

Float32 = NDArray[np.float32]

RATE_HZ = 16_000  #: what features are computed from
_AROUND_S = 0.5  #: of a plate's sound before and after the frames that it is heard with


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dub:
    """Features of a dub.

    Shape:
        features: (S, D) float32.
        outside: (D,) float32, what silence sounds like: before the dub, and after it.
    """

    features: Float32
    outside: Float32
    step_s: float
    duration_s: float

    def windows(self, time_s: NDArray[np.float64], steps: int) -> Float32:
        """Features around each time on the dub's clock: (T, steps, D)."""
        return feature_windows(self.features, time_s, self.step_s, steps, self.outside)

    def save(self, path: Path) -> None:
        """Keep the features for a resumed job."""
        clock = np.array([self.step_s, self.duration_s], np.float64)
        write_arrays(path, {"features": self.features, "outside": self.outside, "clock": clock})

    @classmethod
    def load(cls, path: Path) -> Dub:
        """Read what `save` wrote.

        Raises:
            TakeError: the file is damaged.
        """
        arrays = read_arrays(path, ("features", "outside", "clock"))
        step_s, duration_s = (float(value) for value in arrays["clock"])
        return cls(features=arrays["features"], outside=arrays["outside"], step_s=step_s, duration_s=duration_s)


def hear(path: Path, track: int, extractor: AudioFeatures) -> Dub:
    """Read a dub and compute its features.

    Raises:
        MediaError: no such file or track, or its sound cannot be decoded.
    """
    return hear_samples(read_mono_16k(path, track), extractor)


def hear_samples(samples: Float32, extractor: AudioFeatures) -> Dub:
    """Features of sound (n,) at 16 kHz, which may be none."""
    return Dub(
        features=extractor.extract(samples) if len(samples) else np.zeros((0, extractor.size), np.float32),
        outside=silence(extractor),
        step_s=extractor.step_s,
        duration_s=len(samples) / RATE_HZ,
    )


def silence(extractor: AudioFeatures) -> Float32:
    """The feature vector of silence, from the middle of a silent second. (D,)."""
    vectors = extractor.extract(np.zeros(RATE_HZ, np.float32))
    return np.asarray(vectors[len(vectors) // 2], np.float32)


def read_mono_16k(path: Path, track: int) -> Float32:
    """A sound track mixed to one channel at 16 kHz, block by block: a long dub at 96 kHz is never held whole. (n,).

    Raises:
        MediaError: no such file or track, or its sound cannot be decoded.
    """
    return next(iter_mono_16k(path, track, [(0.0, math.inf)]))


def own_sound(info: MediaInfo, stretches: Iterable[range]) -> Iterator[tuple[Float32, NDArray[np.float64]]]:
    """What a plate says around stretches of its frames, read in one go: a long plate is never held whole.

    Args:
        info: of a plate with sound; the first track is heard.
        stretches: plate frames, one stretch after the other.

    Yields:
        Samples (n,) at 16 kHz, and when each frame is shown on their clock, in seconds (T,).

    Raises:
        MediaError: the sound cannot be decoded up to there.
    """
    times = [np.array([info.time_of(frame) for frame in frames]) for frames in stretches]
    spans = [(max(float(time_s[0]) - _AROUND_S, 0.0), float(time_s[-1]) + _AROUND_S) for time_s in times]
    for samples, (start_s, _), time_s in zip(iter_mono_16k(info.path, 0, spans), spans, times, strict=True):
        yield samples, time_s - start_s


def iter_mono_16k(path: Path, track: int, spans: Sequence[tuple[float, float]]) -> Iterator[Float32]:
    """Parts of a sound track, mixed to one channel at 16 kHz, in one decoding that ends with the last of them.

    Args:
        path: a sound file or a movie.
        track: which audio stream, counted from 0.
        spans: start and end of each in seconds, in the order of their ends; they may overlap, or lie beyond the sound.

    Yields:
        (n,) samples of each.

    Raises:
        MediaError: no such file or track, or its sound cannot be decoded.
    """
    from julnet_plugin.media.audio import audio_stream_info, iter_audio

    if not spans:
        return
    rate = audio_stream_info(path, track).sample_rate_hz
    waiting = [(round(start_s * rate), stop_s * rate, _Resampler(rate)) for start_s, stop_s in spans]
    at = 0
    for block in iter_audio(path, track):
        mono = block.mean(axis=1, dtype=np.float32)
        for first, last, part in waiting:
            start, stop = max(first - at, 0), int(max(min(last - at, len(mono)), 0))
            if start < stop:
                part.add(mono[start:stop])
        at += len(mono)
        while waiting and waiting[0][1] <= at:
            yield waiting.pop(0)[2].finish()
        if not waiting:
            return
    for _, _, part in waiting:
        yield part.finish()


class _Resampler:
    """Samples at any rate, piece by piece, to 16 kHz."""

    def __init__(self, rate_hz: int) -> None:
        import soxr  # type: ignore[import-untyped,unused-ignore]

        self._stream = None if rate_hz == RATE_HZ else soxr.ResampleStream(rate_hz, RATE_HZ, 1, "float32", "HQ")
        self._pieces = [np.zeros(0, np.float32)]

    def add(self, samples: Float32) -> None:
        self._pieces.append(samples if self._stream is None else self._stream.resample_chunk(samples))

    def finish(self) -> Float32:
        """All of them, in one."""
        if self._stream is not None:
            self._pieces.append(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
        return np.concatenate(self._pieces)
