"""The offline default: what a multilingual speech recogniser hears, every 20 ms.

Inside are the first layers of OpenAI's Whisper (tiny), as Daily's Smart Turn 3.2 carries them to tell whether somebody
has finished speaking in any of 23 languages. On speakers it never met it tells the opening of the lips clearly better
than an English recogniser's phone scores (docs/model_card.md has the numbers, `speech_licences.txt` the licences), in a
fifth of the time.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from julnet_plugin import hookimpl
from julnet_plugin.audio.features import STEP, SteppedFeatures, speech_rms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from julnet_plugin.interfaces import AudioFeatures

WEIGHTS = Path(__file__).with_name("speech.safetensors")
BLOCK_STEPS = 400  #: the recogniser hears 8 s at once
MELS, WIDTH, HEADS = 80, 384, 6
_HOP, _FFT = 160, 400  #: of the spectrogram, samples
_SPEECH_RMS = 1.5  #: level of speech that the recogniser was taught with: about unit variance over pauses and all
_RANGE = 8.0  #: decades below the loudest that a spectrogram keeps


class Recogniser(NamedTuple):
    """What is read from `WEIGHTS`."""

    encoder: nn.Module
    mel: Tensor  #: (201, 80) power spectrum to mel bands
    mean: NDArray[np.float32]  #: (400, 384) of its answers to speech, for each place in a block
    directions: NDArray[np.float32]  #: (384, D) principal directions, scaled
    silence: NDArray[np.float32]  #: (D,) what digital silence sounds like


class SpeechFeatures(SteppedFeatures):
    """The principal directions of a recogniser's second layer (D = 96).

    Each direction is divided by the square root of its spread over training speech, halfway to equal spreads. Silent
    steps are what the recogniser makes of digital silence.

    Source:
        Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022 (the encoder).
    """

    name = "whisper-96"
    size = 96

    def _heard(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        known = recogniser()
        return hear(samples, known.encoder, known.mel, known.mean, known.directions)

    def _silence(self) -> NDArray[np.float32]:
        return recogniser().silence


def hear(
    samples: NDArray[np.float32],
    encoder: nn.Module,
    mel: Tensor,
    mean: NDArray[np.float32],
    directions: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """What the last layer of an encoder makes of sound, every 20 ms.

    It is heard in blocks of 8 s that overlap by half and fade into each other; memory grows with the answer alone. An
    answer depends on the place in the block too, so the mean of that place is taken off: the same sound 4 s later in
    a block correlates with itself 0.9 instead of 0.6.

    Shape:
        samples: (n,) mono 16 kHz.
        mel, mean, directions: see `Recogniser`; without directions the answer is whole.
        returns: (S, 384) or (S, D), S = ceil(n / 320).
    """
    import torch

    count = math.ceil(samples.size / STEP)
    level = np.float32(_SPEECH_RMS / speech_rms(samples))
    width = WIDTH if directions is None else directions.shape[1]
    heard, weight = np.zeros((count, width), np.float32), np.zeros((count, 1), np.float32)
    fade = np.minimum(np.arange(1, BLOCK_STEPS + 1), np.arange(BLOCK_STEPS, 0, -1)).astype(np.float32)[:, None]
    last = count - BLOCK_STEPS  # what is shorter than a block lies at its end, as in the recogniser's own training
    for start in sorted({*range(0, max(last, 0), BLOCK_STEPS // 2), last}):
        first = start * STEP + STEP // 2  # vector k of the encoder is centred on its step's beginning, ours amid it
        block = np.zeros(BLOCK_STEPS * STEP, np.float32)
        part = samples[max(first, 0) : max(first + block.size, 0)]
        block[max(-first, 0) : max(-first, 0) + part.size] = part * level
        with torch.inference_mode():
            answer = encoder(log_mel(torch.from_numpy(block), mel)[None])[0].numpy() - mean
        answer = answer if directions is None else answer @ directions
        own = slice(max(start, 0), start + BLOCK_STEPS)
        heard[own] += (answer * fade)[max(-start, 0) :]
        weight[own] += fade[max(-start, 0) :]
    return heard / weight


def log_mel(samples: Tensor, mel: Tensor) -> Tensor:
    """Whisper's spectrogram: base-10 logarithms of 80 mel bands every 10 ms, the upper eight decades, about [-1, 1].

    Shape:
        samples: (n,).
        mel: (201, 80).
        returns: (80, n // 160).
    """
    import torch

    spectrum = torch.stft(
        samples, _FFT, _HOP, window=torch.hann_window(_FFT), center=True, pad_mode="reflect", return_complex=True
    )
    power = spectrum[:, :-1].abs().square()
    bands = (mel.T @ power).clamp(min=1e-10).log10()
    return (torch.maximum(bands, bands.max() - _RANGE) + 4) / 4


def new_encoder(layers: int) -> nn.Module:
    """The encoder of Whisper's tiny model down to one of its layers, untrained.

    Shape:
        input: (B, 80, 800).
        returns: (B, 400, 384).
    """
    from torch import nn

    gelu = nn.functional.gelu

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv1d(MELS, WIDTH, 3, padding=1)
            self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, padding=1, stride=2)
            self.places = nn.Embedding(BLOCK_STEPS, WIDTH)
            self.layers = nn.ModuleList(
                nn.TransformerEncoderLayer(
                    WIDTH, HEADS, 4 * WIDTH, 0.0, activation="gelu", norm_first=True, batch_first=True
                )
                for _ in range(layers)
            )

        def forward(self, bands: Tensor) -> Tensor:
            x = gelu(self.conv2(gelu(self.conv1(bands)))).transpose(1, 2) + self.places.weight
            for layer in self.layers:
                x = layer(x)
            return x

    return Encoder().eval()


@lru_cache(maxsize=1)
def recogniser() -> Recogniser:
    """The recogniser that comes with JULNet."""
    from safetensors.torch import load_file

    tensors: Mapping[str, Tensor] = load_file(WEIGHTS)
    weights = {name.removeprefix("encoder."): t.float() for name, t in tensors.items() if name.startswith("encoder.")}
    encoder = new_encoder(1 + max(int(name.split(".")[1]) for name in weights if name.startswith("layers.")))
    encoder.load_state_dict(weights)
    mean, directions, quiet = (tensors[name].float().numpy() for name in ("mean", "directions", "silence"))
    return Recogniser(encoder=encoder, mel=tensors["mel"], mean=mean, directions=directions, silence=quiet)


@hookimpl
def julnet_audio_features() -> Sequence[AudioFeatures]:
    """Contribute the built-in extractor."""
    return [SpeechFeatures()]
