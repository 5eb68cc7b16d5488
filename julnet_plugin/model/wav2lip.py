"""A Wav2Lip-class generator behind the same interface, with or without the uncertainty module.

It is what the paper's Table 5 compares with: an encoder-decoder with skip connections that meets the sound only at its
narrowest place, and neither deforms nor aligns the references. Our own reading, for crops of any size.

Source: Wav2Lip (ACM MM 2020) §3: face encoder on masked source and reference side by side, speech encoder, face decoder
with a skip at every size; JULNet (ICMR 2025) §4.3.3 for the module on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from julnet_plugin.model.blocks import ConvBlock1d, ConvBlock2d, ResBlock2d, UpBlock2d
from julnet_plugin.model.generator import AUDIO_WINDOW, Generator, GeneratorOutput, lay_over
from julnet_plugin.model.uncertainty import NoUncertainty, UncertaintyHead

_LEVELS = 4  #: halvings between the crop and the narrowest map
_MULTIPLE = 1 << _LEVELS


@dataclass(frozen=True, slots=True, kw_only=True)
class Wav2LipConfig:
    """What decides the shape of a `wav2lip` network."""

    audio_size: int = 42  #: D
    audio_window: int = AUDIO_WINDOW  #: W
    n_refs: int = 1  #: Wav2Lip sees one reference; more lie side by side
    crop_size: tuple[int, int] = (208, 160)  #: h, w
    width: int = 16  #: channels at full size, doubled at every halving
    audio_channels: int = 256  #: length of the speech embedding
    uncertainty: bool = True  #: False leaves the module out; the output then says σ = 1 everywhere

    def __post_init__(self) -> None:
        if min(self.crop_size) < _MULTIPLE:
            msg = f"crop_size must be at least {_MULTIPLE} both ways, got {self.crop_size}"
            raise ValueError(msg)
        sizes = (self.audio_size, self.audio_window, self.n_refs, self.width, self.audio_channels)
        if not all(1 <= size <= 4096 for size in sizes):
            msg = "every size of a wav2lip network must lie in 1..4096"
            raise ValueError(msg)


class SpeechEncoder(nn.Module):
    """Speech embedding of an audio window.

    Shape:
        (B, W, D) to (B, channels).
    """

    def __init__(self, audio_size: int, window: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            ConvBlock1d(audio_size, channels, 3),
            ConvBlock1d(channels, channels, 3, stride=2),
            ConvBlock1d(channels, channels, 3, stride=2),
        )
        self.out = nn.Linear(channels * -(-window // 4), channels)

    def forward(self, audio: Tensor) -> Tensor:
        """See the class."""
        return self.out(self.layers(audio.transpose(1, 2)).flatten(1))  # type: ignore[no-any-return]


class Wav2LipGenerator(Generator):
    """Encoder and decoder with skips, the speech embedding repeated over the narrowest map.

    Shape:
        see `Generator`; the mask may lie anywhere. Sides that are no multiple of 16 are continued by their last pixels.
    """

    keep_float32 = ("out",)

    def __init__(self, config: Wav2LipConfig) -> None:
        super().__init__()
        self.config = config
        self.crop_size, self.n_refs = config.crop_size, config.n_refs
        self.audio_size, self.audio_window = config.audio_size, config.audio_window
        widths = [config.width << level for level in range(_LEVELS + 1)]
        self.stem = ConvBlock2d(3 + 3 * config.n_refs, widths[0], 7)
        self.encoder = nn.ModuleList(
            nn.Sequential(ConvBlock2d(inner, outer, 3, stride=2), ResBlock2d(outer), ResBlock2d(outer))
            for inner, outer in pairwise(widths)
        )
        self.speech_encoder = SpeechEncoder(config.audio_size, config.audio_window, config.audio_channels)
        self.join = ConvBlock2d(widths[-1] + config.audio_channels, widths[-1], 1)
        self.decoder = nn.ModuleList(
            nn.ModuleDict(
                {"up": UpBlock2d(outer, inner), "merge": ConvBlock2d(2 * inner, inner), "res": ResBlock2d(inner)}
            )
            for inner, outer in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.out = nn.Conv2d(widths[0], 3, 3, padding=1)
        self.uncertainty: nn.Module = UncertaintyHead(widths[0] + 6) if config.uncertainty else NoUncertainty()

    def encode_references(self, refs: Tensor, lips: Tensor | None = None) -> tuple[Tensor, ...]:
        """The references side by side: Wav2Lip's encoder mixes them with the source from its first layer on.

        Shape:
            refs: (B, N, 3, h, w) to (B, 3N, h, w).
        """
        return (refs.flatten(1, 2),)

    def forward(self, masked_source: Tensor, mask: Tensor, audio: Tensor, refs: tuple[Tensor, ...]) -> GeneratorOutput:
        """See `Generator.forward`."""
        rows, columns = (int(size) for size in masked_source.shape[-2:])
        seen = torch.cat([masked_source, refs[0]], dim=1)
        beyond = (0, -columns % _MULTIPLE, 0, -rows % _MULTIPLE)
        x = self.stem(nn.functional.pad(seen, beyond, mode="replicate") if any(beyond) else seen)
        skips = []
        for stage in self.encoder:
            skips.append(x)
            x = stage(x)
        speech = self.speech_encoder(audio)[..., None, None].expand(-1, -1, *x.shape[-2:])
        x = self.join(torch.cat([x, speech], dim=1))
        for stage, skip in zip(self.decoder, reversed(skips), strict=True):
            assert isinstance(stage, nn.ModuleDict)
            x = stage["res"](stage["merge"](torch.cat([stage["up"](x), skip], dim=1)))
        x = x[..., :rows, :columns]
        with torch.autocast(x.device.type, enabled=False):
            painted = torch.sigmoid(self.out(x.to(self.out.weight.dtype)))
        error, log_sigma = self.uncertainty(torch.cat([x, painted.to(x.dtype), masked_source.to(x.dtype)], dim=1))
        return GeneratorOutput(image=lay_over(masked_source, mask, painted), error=error, log_sigma=log_sigma)
