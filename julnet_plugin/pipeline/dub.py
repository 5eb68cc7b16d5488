"""The dub as the network hears it: features of the whole line, once, and the window around each frame."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.audio.windows import feature_windows
from julnet_plugin.pipeline.cropdata import read_arrays, write_arrays

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from julnet_plugin.interfaces import AudioFeatures

Float32 = NDArray[np.float32]

RATE_HZ = 16_000  #: what features are computed from


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
    return _heard(read_mono_16k(path, track), extractor)


def hear_part(path: Path, track: int, extractor: AudioFeatures, start_s: float, stop_s: float) -> Dub:
    """Features of what sounds between two times, the first of which is 0 on its clock.

    Raises:
        MediaError: as `hear`.
    """
    return _heard(read_mono_16k(path, track, start_s, stop_s), extractor)


def _heard(samples: Float32, extractor: AudioFeatures) -> Dub:
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


def read_mono_16k(path: Path, track: int, start_s: float = 0.0, stop_s: float = math.inf) -> Float32:
    """A sound track mixed to one channel at 16 kHz, block by block: a long dub at 96 kHz is never held whole. (n,).

    Args:
        path: a sound file or a movie.
        track: which audio stream, counted from 0.
        start_s: what sounds before is left out.
        stop_s: what sounds from there on is left out, and not even decoded.

    Raises:
        MediaError: no such file or track, or its sound cannot be decoded up to `stop_s`.
    """
    import soxr  # type: ignore[import-untyped,unused-ignore]

    from julnet_plugin.media.audio import audio_stream_info, iter_audio

    rate = audio_stream_info(path, track).sample_rate_hz
    with closing(_between(iter_audio(path, track), round(start_s * rate), stop_s * rate)) as part:
        blocks = (block.mean(axis=1, dtype=np.float32) for block in part)
        if rate == RATE_HZ:
            return np.concatenate([np.zeros(0, np.float32), *blocks])
        stream = soxr.ResampleStream(rate, RATE_HZ, 1, dtype="float32", quality="HQ")
        heard = [stream.resample_chunk(block) for block in blocks]
    heard.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    return np.concatenate(heard)


def _between(blocks: Iterator[Float32], first: int, last: float) -> Generator[Float32, None, None]:
    """The samples from `first` up to `last`; ends as soon as it can."""
    at = 0
    for block in blocks:
        start, stop = max(first - at, 0), int(min(last - at, len(block)))
        if start < stop:
            yield block[start:stop]
        at += len(block)
        if at >= last:
            return
