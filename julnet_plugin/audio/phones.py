"""An English recogniser's phone scores, every 20 ms.

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
from julnet_plugin.audio.features import STEP, STEP_S, SteppedFeatures, to_speech_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from julnet_plugin.interfaces import AudioFeatures

_PHONES = 42  #: context-independent phones of the acoustic model, three states each
_SILENCE_PHONE = 32  #: "SIL" in the model's alphabetical phone table
_BLOCK_S = 20.0  #: the recogniser writes 1 MB of scores a second, so long speech goes through in blocks
_MARGIN_S = 1.0  #: sound on both sides of a block that the recogniser hears but whose scores are dropped


class PhoneFeatures(SteppedFeatures):
    """42 phone scores every 20 ms (D = 42).

    Log-likelihoods relative to the best phone, scaled to [-3, 0]; in silence they are those of the silence phone, which
    is what keeps a mouth closed.
    """

    name = "phone-42"
    size = _PHONES

    def _heard(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return phone_scores(to_speech_level(samples))

    def _silence(self) -> NDArray[np.float32]:
        return _silence_scores()


def phone_scores(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-likelihood of every phone relative to the best one, every 20 ms. (S, 42), about [-3, 0].

    Long recordings are scored in blocks with a margin, so memory and disk stay bounded.
    """
    count = math.ceil(samples.size / STEP)
    block, margin = int(_BLOCK_S / STEP_S), int(_MARGIN_S / STEP_S)
    pieces = []
    for start in range(0, count, block):
        first, last = max(0, start - margin), min(count, start + block + margin)
        scores = _score_block(samples[first * STEP : last * STEP], last - first)
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
