"""What the contract suite needs of a host, real or fake, beyond the contract itself.

A host takes part by a file `bench_NAME.py` in this folder with `missing() -> str` (why it cannot run here; empty = it
can) and `make(folder: Path) -> Bench`. Nothing else has to be registered.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from host_adapters.base import HostSession, MatteRef, RecordRange, sequence_files

Pictures = NDArray[np.uint8]  #: (T, H, W, 3) RGB
Box = tuple[int, int, int, int]  #: x0, y0, x1, y1, half-open, origin top left


PLATE_HZ, DUB_HZ = 440, 1500  #: what a shot and its takes sound like
SAMPLE_RATE_HZ = 48_000


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A timeline with one clip on it."""

    plate: Path  #: a movie; a file whose pictures any host decodes exactly
    frames: int  #: of the plate
    start: int = 0  #: source range of the clip, half-open
    stop: int = 0
    record_in: int = 0
    rate: Fraction = Fraction(25)
    record_rate: Fraction = Fraction(25)
    speed: Fraction = Fraction(1)
    timecode: str = "01:00:00:00"
    reel: str = "A001C002"
    sound: bool = False  #: whether plate and takes have sound: PLATE_HZ, and DUB_HZ
    size: tuple[int, int] = (64, 48)  #: width, height


class Bench(abc.ABC):
    """One host on one test's folder."""

    exact = True  #: whether what the host renders equals what it was given, value for value
    tolerance = 0  #: code values of 255, where it is not exact
    tells_speed = True  #: whether a retimed clip can be made at all
    selects_movies = True

    @abc.abstractmethod
    def open(self, shot: Shot) -> HostSession:
        """A new project on disk with this shot on its lowest video track, selected."""

    @abc.abstractmethod
    def reopen(self) -> HostSession:
        """Close the project and open it again from disk: what was not saved is gone."""

    @abc.abstractmethod
    def paint(self, matte: MatteRef, frame: int, box: Box, white: bool) -> None:
        """Paint a box on one frame of the matte (counted from the take's first) as a person in this host would."""

    @abc.abstractmethod
    def close_project(self) -> None:
        """Close the project without saving, as a person may while a take renders."""

    def hear(self, session: HostSession, frames: RecordRange, path: Path) -> None:
        """Let the host render what these frames sound like, into a file; of hosts that play sound."""
        raise NotImplementedError

    def stop(self) -> None:
        """Let go of everything."""
        return


def pictures_of(path: str) -> Pictures:
    """Every picture of a movie or a sequence, as 8-bit RGB."""
    files = sequence_files(path) if "#" in path or "%" in path else [path]
    found: list[NDArray[Any]] = []
    for file in files:
        with av.open(file) as container:
            found += [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(found)


def tone(hz: float, duration_s: float) -> NDArray[np.float32]:
    """A sine at half scale: (n, 1)."""
    time_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.5 * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)[:, None]


def heard_hz(path: Path, duration_s: float) -> set[int]:
    """Which of the two tones a file sounds of, in the middle of this stretch: {PLATE_HZ}, {DUB_HZ}, both or none."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    samples = samples[: round(duration_s * SAMPLE_RATE_HZ)]
    inner = samples[len(samples) // 4 : -len(samples) // 4]
    power = np.abs(np.fft.rfft(inner * np.hanning(len(inner)))) / len(inner)
    return {hz for hz in (PLATE_HZ, DUB_HZ) if power[round(hz * len(inner) / SAMPLE_RATE_HZ)] > 0.01}
