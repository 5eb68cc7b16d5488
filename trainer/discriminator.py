"""The two judges of the adversarial loss: one looks at a picture, one at a few pictures in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

#: DINet's own widths: 2.63 M parameters, 53 GFLOPs a 416x320 picture.
DINET_WIDTHS = (128, 256, 256, 256)
#: For a CPU: 0.17 M parameters, 3.6 GFLOPs at 416x320; the receptive field is the same 53 pixels.
LIGHT_WIDTHS = (32, 64, 64, 64)
PATCH_PX = 53  #: side of the patch that one score is about; a smaller picture cannot be judged


class PatchDiscriminator(nn.Module):
    """Scores overlapping patches of a picture: near 1 = true, near 0 = generated; no sigmoid (least squares).

    Each block is a 4x4 convolution without padding, LeakyReLU 0.2 and, but for the last, a 2x2 average pool;
    a 1x1 convolution makes the score. No normalisation anywhere, so one picture's score does not depend on
    its batch.

    Shape:
        input: (B, in_channels, h, w), h and w at least 53; RGB in [0, 1].
        output: (B, 1, h', w'); 416x320 gives 46x34.

    Source:
        DINet (AAAI 2023), its image discriminator.
    """

    def __init__(self, in_channels: int = 3, widths: Sequence[int] = DINET_WIDTHS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for position, (before, after) in enumerate(zip((in_channels, *widths), widths, strict=False)):
            layers += [nn.Conv2d(before, after, kernel_size=4), nn.LeakyReLU(0.2, inplace=True)]
            if position < len(widths) - 1:
                layers.append(nn.AvgPool2d(2))
        layers.append(nn.Conv2d(widths[-1], 1, kernel_size=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, picture: Tensor) -> Tensor:
        """Patch scores."""
        scores: Tensor = self.layers(picture)  # (B, 1, h', w')
        return scores


class ClipDiscriminator(PatchDiscriminator):
    """The same judge over `frames` consecutive pictures stacked on channels: it sees flicker.

    Shape:
        input: (B, frames, 3, h, w).
        output: (B, 1, h', w').

    Source:
        DINet's clip stage, 5 frames. The paper's Eq. 10 and 11 name one discriminator and say nothing of this
        one.
    """

    def __init__(self, frames: int = 5, widths: Sequence[int] = DINET_WIDTHS) -> None:
        super().__init__(3 * frames, widths)
        self.frames = frames

    def forward(self, clip: Tensor) -> Tensor:
        """Patch scores of the whole clip."""
        return super().forward(clip.flatten(1, 2))
