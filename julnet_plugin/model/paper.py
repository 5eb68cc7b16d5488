"""Configuration `paper`: JULNet with DINet's layer plan, and what is decided where the paper is silent.

What differs from DINet's code, and why:

- AdaAT is a per-channel 2-D affine map, see `adaat.py`.
- The audio branch sees 21 steps of 20 ms instead of DeepSpeech's 5 of 40 ms. DINet's layers follow, but the mean over
  time at their end becomes a weighted mean that starts as the plain one: 6 steps remain, and which is which matters.
- Everything that depends on the references alone is computed once a shot: F_R, its deform encoding, and its share of
  the ID encoder's first convolution.
- Only the mouth square is decoded, with a halo deep enough that it comes out the same (`regions.py`).
- The uncertainty module reads the decoder's last features, the generated image and the masked source.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from julnet_plugin.model.adaat import AdaATParameters, adaat
from julnet_plugin.model.blocks import (
    ConvBlock1d,
    ConvBlock2d,
    JoinBlock2d,
    ResBlock1d,
    ResBlock2d,
    UpBlock2d,
)
from julnet_plugin.model.generator import AUDIO_WINDOW, Generator, GeneratorOutput, lay_over, mouth_square
from julnet_plugin.model.regions import Frame, Region, packed
from julnet_plugin.model.uncertainty import LOG_SIGMA_FLOOR, NoUncertainty, UncertaintyHead

_REDUCED = 4  #: the encoders' features are this many times smaller than the crop
# How far around the mouth square each stage must be right for the next to be, in samples of its own map.
_HALO_FULL = 4  #: the 7x7 and the 3x3 convolution at full size
_HALO_HALF = 2  #: the same, at half size; before the residual block and the upsampled 3x3 it is 5
_HALO_DECODER = 4  #: ⌈5 / 2⌉ and the decoder's first 3x3, at quarter size
_HALO_BLOCK = 2  #: two 3x3 convolutions of a residual block


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperConfig:
    """What decides the shape of a `paper` network."""

    audio_size: int = 42  #: D
    audio_window: int = AUDIO_WINDOW  #: W
    n_refs: int = 5
    crop_size: tuple[int, int] = (416, 320)  #: h, w
    width: int = 64  #: channels after the first convolution; the paper's 64 makes 128- and 256-channel layers
    deform_blocks: int = 4  #: residual blocks before and after AdaAT, each
    uncertainty: bool = True  #: False gives DINet's reading, whose output says σ = 1 everywhere
    decode: str = "mouth"  #: "mouth" decodes the mouth square alone, "full" the crop; inside the square they agree

    def __post_init__(self) -> None:
        mouth_square(*self.crop_size)
        if self.crop_size[1] % (10 * _REDUCED):
            msg = f"crop_size must be a multiple of 52 by 40, got {self.crop_size[0]} x {self.crop_size[1]}"
            raise ValueError(msg)
        sizes = (self.audio_size, self.audio_window, self.n_refs, self.width)
        if not all(1 <= size <= 4096 for size in sizes) or not 0 <= self.deform_blocks <= 64:
            msg = "every size of a paper network must lie in 1..4096, and deform_blocks in 0..64"
            raise ValueError(msg)
        if self.decode not in ("mouth", "full"):
            msg = f"decode must be 'mouth' or 'full', got {self.decode!r}"
            raise ValueError(msg)


class FaceEncoder(nn.Sequential):
    """F_S or F_R: Same(k7), Down, Down.

    Shape:
        (B, inputs, h, w) to (B, 4 · width, h/4, w/4).
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(
            ConvBlock2d(inputs, width, 7),
            ConvBlock2d(width, 2 * width, 3, stride=2),
            ConvBlock2d(2 * width, 4 * width, 3, stride=2),
        )


class AudioEncoder(nn.Module):
    """F_A: class scores smoothed over time by 1-D convolutions.

    Shape:
        (B, W, D) to (B, channels).

    Source:
        JULNet (ICMR 2025) §3.1.1; DINet's audio encoder.
    """

    def __init__(self, audio_size: int, window: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            ConvBlock1d(audio_size, channels, 5),
            ResBlock1d(channels),
            ConvBlock1d(channels, channels, 3, stride=2),
            ResBlock1d(channels),
            ConvBlock1d(channels, channels, 3, stride=2),
            ConvBlock1d(channels, channels, 3),
        )
        steps = -(-window // 4)
        self.pool = nn.Conv1d(channels, channels, steps, groups=channels)
        nn.init.constant_(self.pool.weight, 1 / steps)
        assert self.pool.bias is not None
        nn.init.zeros_(self.pool.bias)

    def forward(self, audio: Tensor) -> Tensor:
        """See the class."""
        return self.pool(self.layers(audio.transpose(1, 2))).squeeze(-1)  # type: ignore[no-any-return]


class IdEncoder(nn.Module):
    """F_I: who it is and how the head is held, from F_S and F_R; DINet's alignment encoder.

    Shape:
        source (B, C, h/4, w/4) and `share(F_R)` to (B, channels).
    """

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.join = JoinBlock2d(features, features, channels)
        self.layers = nn.Sequential(
            ConvBlock2d(channels, channels, 11), ConvBlock2d(channels, channels, 11),
            ConvBlock2d(channels, channels, 3, stride=2),
            ConvBlock2d(channels, channels, 7), ConvBlock2d(channels, channels, 7),
            ConvBlock2d(channels, channels, 3, stride=2),
            ConvBlock2d(channels, channels, 3), ConvBlock2d(channels, channels, 3, stride=2),
            ConvBlock2d(channels, channels, 3), ConvBlock2d(channels, channels, 3, stride=2),
        )  # fmt: skip

    def forward(self, source: Tensor, reference_share: Tensor) -> Tensor:
        """See the class."""
        return self.layers(self.join(source, reference_share)).mean(dim=(2, 3))  # type: ignore[no-any-return]


class FaceDecoder(nn.Module):
    """From F_S and F_D to the picture, in the stages that `PaperGenerator` cuts between.

    Shape:
        `start`: (B, 8 · width, h/4, w/4) to (B, 2 · width, h/2, w/2).
        `features`: that to (B, 2 · width, h, w).
        `paint`: that to (B, 3, h, w) in [0, 1].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        C = 2 * width
        self.start = nn.Sequential(ConvBlock2d(8 * width, C, 3), UpBlock2d(C, C), ResBlock2d(C))
        self.features = UpBlock2d(C, C)
        self.out = nn.Conv2d(C, 3, 7, padding=3)

    def paint(self, features: Tensor) -> Tensor:
        """The picture; in float32 even under autocast, whose 8 bits of mantissa would show as banding."""
        with torch.autocast(features.device.type, enabled=False):
            return torch.sigmoid(self.out(features.to(self.out.weight.dtype)))


class PaperGenerator(Generator):
    """JULNet as the paper has it.

    Shape:
        see `Generator`; the image is painted in the mouth square, so the mask must lie in it.
    """

    keep_float32 = ("face_decoder.out",)

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.config = config
        self.crop_size, self.n_refs = config.crop_size, config.n_refs
        self.audio_size, self.audio_window = config.audio_size, config.audio_window
        width, features = config.width, 4 * config.width
        self.source_encoder = FaceEncoder(3, width)
        self.reference_encoder = FaceEncoder(3 * config.n_refs, width)
        self.id_encoder = IdEncoder(features, 2 * width)
        self.audio_encoder = AudioEncoder(config.audio_size, config.audio_window, 2 * width)
        self.parameter_encoder = AdaATParameters(4 * width, features)
        self.deform_encoder = nn.Sequential(*(ResBlock2d(features) for _ in range(config.deform_blocks)))
        self.deform_decoder = nn.ModuleList(ResBlock2d(features) for _ in range(config.deform_blocks))
        self.face_decoder = FaceDecoder(width)
        self.uncertainty: nn.Module = UncertaintyHead(2 * width + 6) if config.uncertainty else NoUncertainty()

    def encode_references(self, refs: Tensor, lips: Tensor | None = None) -> tuple[Tensor, ...]:
        """F_R's deform encoding and its share of the ID encoder's first layer; once a shot.

        Shape:
            refs: (B, N, 3, h, w).
            returns: (B, 4 · width, h/4, w/4) and (B, 2 · width, h/4, w/4).
        """
        features = self.reference_encoder(refs.flatten(1, 2))  # F_R
        deformable = self.deform_encoder(features).contiguous()  # AdaAT works on the planes of single channels
        return deformable, self.id_encoder.join.share(features)

    def forward(self, masked_source: Tensor, mask: Tensor, audio: Tensor, refs: tuple[Tensor, ...]) -> GeneratorOutput:
        """See `Generator.forward`."""
        deform_features, reference_share = refs
        rows, columns = (int(size) for size in masked_source.shape[-2:])
        frame = Frame(rows, columns, mouth_square(rows, columns))
        source = self.source_encoder(masked_source)  # F_S (B, 4 · width, h/4, w/4)
        identity = self.id_encoder(source, reference_share)  # F_I
        condition = torch.cat([self.audio_encoder(audio), identity], dim=1)
        parameters = self.parameter_encoder(condition)  # S, R, T
        deformed, have = self._deform(deform_features, parameters, source, frame)  # F_D
        features, have = self._decode(source, deformed, have, frame)
        painted = self.face_decoder.paint(features)
        want = frame.whole(1) if self.config.decode == "full" else frame.around_mouth(1, 0)
        painted, features = have.cut(painted, want), have.cut(features, want)
        image = packed(painted, like=features).to(features.dtype)
        seen = torch.cat([features, image, packed(masked_source[(..., *want.slices)], like=features)], dim=1)
        error, log_sigma = self.uncertainty(seen)
        return GeneratorOutput(
            image=lay_over(masked_source, mask, _place(painted, want, frame)),
            error=_place(error, want, frame),
            log_sigma=_place(log_sigma, want, frame, outside=LOG_SIGMA_FLOOR),
        )

    def _region(self, frame: Frame, reduced: int, halo: int) -> Region:
        """What of a map must be right when `halo` more samples of it will be spoilt."""
        return frame.whole(reduced) if self.config.decode == "full" else frame.around_mouth(reduced, halo)

    def _deform(
        self, features: Tensor, parameters: tuple[Tensor, Tensor, Tensor], source: Tensor, frame: Frame
    ) -> tuple[Tensor, Region]:
        """AdaAT and the deform decoder, each block on no more than the ones after it need; laid out as `source` is."""
        halo = _HALO_DECODER + _HALO_BLOCK * len(self.deform_decoder)
        have = self._region(frame, _REDUCED, halo)
        x = packed(adaat(features, *parameters, *have.slices), like=source)
        for block in self.deform_decoder:
            x = block(x)
            halo -= _HALO_BLOCK
            want = self._region(frame, _REDUCED, halo)
            x, have = have.cut(x, want), want
        return x, have

    def _decode(self, source: Tensor, deformed: Tensor, have: Region, frame: Frame) -> tuple[Tensor, Region]:
        """The face decoder up to its last features, around the mouth square."""
        joined = torch.cat([packed(source[(..., *have.slices)]), deformed], dim=1)
        half = self.face_decoder.start(joined)
        want = self._region(frame, _REDUCED // 2, _HALO_HALF)
        half = have.times(2).cut(half, want)
        full = self.face_decoder.features(half)
        return full, want.times(2)


def _place(x: Tensor, where: Region, frame: Frame, outside: float = 0.0) -> Tensor:
    """Put what was computed for a region into a map of the whole crop."""
    padding = (where.left, frame.columns - where.right, where.top, frame.rows - where.bottom)
    return nn.functional.pad(x, padding, value=outside)
