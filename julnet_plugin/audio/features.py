"""What every built-in description of speech shares: 20 ms steps, the level of speech, and silence."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEP_S = 0.02
STEP = 320  #: samples in one step
_SPEECH_RMS = 0.06  #: level that speech is brought to, so that a quiet take is not taken for silence
_FAINTEST_SPEECH_RMS = 0.002
_SILENCE_RMS = 0.001
_SILENCE_RATIO = 0.008


class SteppedFeatures(ABC):
    """Audio features every 20 ms that are all alike in silence, which is what keeps a mouth closed."""

    name: str
    size: int
    step_s = STEP_S

    def extract(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features of a whole utterance; see `interfaces.AudioFeatures.extract`.

        Shape:
            samples: (n,) mono 16 kHz in [-1, 1].
            returns: (S, D) float32, S = ceil(n / 320).
        """
        samples = np.nan_to_num(np.asarray(samples, np.float32))
        if samples.size == 0:
            return np.zeros((0, self.size), np.float32)
        heard = self._heard(samples)
        heard[silence(samples)] = self._silence()
        return heard

    @abstractmethod
    def _heard(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (S, D) of finite samples, at least one."""

    @abstractmethod
    def _silence(self) -> NDArray[np.float32]:
        """The features (D,) of a step that is surely silence."""


def to_speech_level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale a recording so that its speech (the loud tenth of its steps) has one level, and add inaudible dither.

    The dither keeps the recogniser's logarithms away from the digital zero of a cut-out.
    """
    dither = np.random.default_rng(0).standard_normal(samples.size).astype(np.float32) * np.float32(3e-5)
    return np.clip(samples * np.float32(_SPEECH_RMS / speech_rms(samples)) + dither, -1.0, 1.0)


def speech_rms(samples: NDArray[np.float32]) -> float:
    """Level of the loud tenth of a recording's 20 ms steps, at least -54 dBFS: room tone is not speech."""
    steps = np.sqrt(_step_power(samples))
    return max(float(np.percentile(steps, 90)) if steps.size else 0.0, _FAINTEST_SPEECH_RMS)


def _step_power(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean square of every 20 ms step, the last one padded with zeros. (S,)."""
    count = math.ceil(samples.size / STEP)
    padded = np.zeros(count * STEP, np.float32)
    padded[: samples.size] = samples
    power: NDArray[np.float32] = np.square(padded.reshape(count, STEP)).mean(axis=1)
    return power


def silence(samples: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which 20 ms steps hold no speech: over 100 ms under -60 dBFS, or 42 dB under the recording's speech. (S,) bool.

    Args:
        samples: mono, 16 kHz, at the level they were recorded.
    """
    power = _step_power(samples)
    smooth = np.convolve(np.pad(power, 2, mode="edge"), np.full(5, 0.2), mode="valid") if power.size else power
    return np.asarray(np.sqrt(smooth) < max(_SILENCE_RMS, _SILENCE_RATIO * speech_rms(samples)))
