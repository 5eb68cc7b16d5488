"""The offline default: a recogniser's phone scores, every 20 ms.

The paper takes the class labels that a speech recogniser gives each 20 ms of sound. The `pocketsphinx` wheel carries an
English acoustic model, so this needs no download. Its context-independent phone log-likelihoods carry to unseen
speakers better than a log-mel spectrogram, and adding one to them does not help (docs/model_card.md has the numbers).
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from julnet_plugin import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from julnet_plugin.interfaces import AudioFeatures

SAMPLE_RATE_HZ = 16_000
STEP_S = 0.02
_STEP = 320  #: samples in one 20 ms step
_PHONES = 42  #: context-independent phones of the acoustic model, three states each
_SILENCE_PHONE = 32  #: "SIL" in the model's alphabetical phone table
_BLOCK_S = 20.0  #: the recogniser writes 1 MB of scores a second, so long speech goes through in blocks
_MARGIN_S = 1.0  #: sound on both sides of a block that the recogniser hears but whose scores are dropped
_SPEECH_RMS = 0.06  #: level that speech is brought to, so that a quiet take is not taken for silence
_FAINTEST_SPEECH_RMS = 0.002
_SILENCE_RMS = 0.001
_SILENCE_RATIO = 0.008


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
    count = math.ceil(samples.size / _STEP)
    padded = np.zeros(count * _STEP, np.float32)
    padded[: samples.size] = samples
    power: NDArray[np.float32] = np.square(padded.reshape(count, _STEP)).mean(axis=1)
    return power


def silence(samples: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which 20 ms steps hold no speech: over 100 ms under -60 dBFS, or 42 dB under the recording's speech. (S,) bool.

    Args:
        samples: mono, 16 kHz, at the level they were recorded.
    """
    power = _step_power(samples)
    smooth = np.convolve(np.pad(power, 2, mode="edge"), np.full(5, 0.2), mode="valid") if power.size else power
    return np.asarray(np.sqrt(smooth) < max(_SILENCE_RMS, _SILENCE_RATIO * speech_rms(samples)))


class PhoneFeatures:
    """42 phone scores every 20 ms (D = 42).

    Log-likelihoods relative to the best phone, scaled to [-3, 0]; in silence they are those of the silence phone, which
    is what keeps a mouth closed.
    """

    name = "phone-42"
    size = _PHONES
    step_s = STEP_S

    def extract(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features of a whole utterance; see `interfaces.AudioFeatures.extract`.

        Shape:
            samples: (n,) mono 16 kHz in [-1, 1].
            returns: (S, 42) float32, S = ceil(n / 320).
        """
        samples = np.nan_to_num(np.asarray(samples, np.float32))
        if samples.size == 0:
            return np.zeros((0, self.size), np.float32)
        level = to_speech_level(samples)
        phones = phone_scores(level)
        phones[silence(samples)] = _silence_scores()
        return phones


def phone_scores(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-likelihood of every phone relative to the best one, every 20 ms. (S, 42), about [-3, 0].

    Long recordings are scored in blocks with a margin, so memory and disk stay bounded.
    """
    count = math.ceil(samples.size / _STEP)
    block, margin = int(_BLOCK_S / STEP_S), int(_MARGIN_S / STEP_S)
    pieces = []
    for start in range(0, count, block):
        first, last = max(0, start - margin), min(count, start + block + margin)
        scores = _score_block(samples[first * _STEP : last * _STEP], last - first)
        pieces.append(scores[start - first : min(start + block, count) - first])
    return np.concatenate(pieces)


def _score_block(samples: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """Scores of one block by the recogniser's own senone log. (steps, 42)."""
    import pocketsphinx

    model = Path(pocketsphinx.get_model_path()) / "en-us"
    pcm = np.clip(samples * 32767, -32768, 32767).astype("<i2").tobytes()
    with tempfile.TemporaryDirectory(prefix="julnet-asr-") as folder:
        decoder = pocketsphinx.Decoder(
            pocketsphinx.Config(
                hmm=str(model / "en-us"),
                allphone=str(model / "en-us-phone.lm.bin"),
                lm=None,
                dict=None,
                senlogdir=folder,
                compallsen=True,
                loglevel="FATAL",
            )
        )
        decoder.start_utt()
        decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()
        logs = sorted(Path(folder).glob("*.sen"))
        frames = _read_senones(logs[0].read_bytes()) if logs else np.zeros((0, _PHONES), np.float32)
    return _pair_frames(frames, steps)


def _read_senones(raw: bytes) -> NDArray[np.float32]:
    """Parse a senone log: text header, byte-order word, then per 10 ms frame a count and that many int16 costs.

    The first 126 senones are 42 context-independent phones of three states; a phone's cost is that of its best state.
    Costs are logarithms to base 1.0001 shifted right by 10 bits: one unit is 0.1024 nepers.
    """
    body = np.frombuffer(raw, "<i2", offset=raw.index(b"endhdr\n") + 7 + 4)
    width = int(body[0]) + 1 if body.size else 1
    costs = body[: body.size // width * width].reshape(-1, width)[:, 1 : 1 + 3 * _PHONES]
    best_state = costs.reshape(-1, _PHONES, 3).min(axis=2).astype(np.float32)
    nepers = -(best_state - best_state.min(axis=1, keepdims=True)) * 0.1024
    return np.asarray(np.maximum(nepers / 10.0, -3.0), np.float32)


def _pair_frames(frames: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """10 ms frames to 20 ms steps by averaging pairs; missing frames at the end repeat the last one (or silence)."""
    if frames.shape[0] == 0:
        return np.tile(_silence_scores(), (steps, 1))
    index = np.minimum(np.arange(2 * steps), frames.shape[0] - 1)
    return np.asarray(frames[index].reshape(steps, 2, _PHONES).mean(axis=1), np.float32)


def _silence_scores() -> NDArray[np.float32]:
    """The scores of a step that is surely silence. (42,)."""
    scores = np.full(_PHONES, -2.0, np.float32)
    scores[_SILENCE_PHONE] = 0.0
    return scores


@hookimpl
def julnet_audio_features() -> Sequence[AudioFeatures]:
    """Contribute the built-in extractor."""
    return [PhoneFeatures()]
