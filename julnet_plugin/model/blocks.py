"""The building blocks of DINet's layer plan, in one and two dimensions.

Source: DINet, `models/DINet.py` as read: Same, Down and Up are convolution, BatchNorm, ReLU; residual blocks are
pre-activation. Every convolution has a bias. `fold_batchnorm` takes the normalisation out again for inference.
"""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Foldable(nn.Module):
    """A module that can put its own normalisation into its convolutions."""

    def fold(self) -> None:
        """Compute the same in eval mode with fewer steps; called once, in eval mode."""
        raise NotImplementedError


def fold_batchnorm(network: nn.Module) -> None:
    """Put every normalisation that follows a convolution into that convolution, in place.

    The network computes the same in eval mode, with fewer passes over memory. It can't be trained afterwards.

    Raises:
        RuntimeError: the network is in training mode, where BatchNorm isn't a fixed affine map.
    """
    if network.training:
        msg = "fold_batchnorm needs a network in eval mode"
        raise RuntimeError(msg)
    for module in network.modules():
        if isinstance(module, Foldable):
            module.fold()


class ConvBlock2d(Foldable):
    """Convolution, BatchNorm, ReLU: DINet's Same (stride 1) and Down (stride 2).

    Shape:
        (B, inputs, H, W) to (B, outputs, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return F.relu_(self.norm(self.conv(x)))

    def fold(self) -> None:
        """Put the normalisation into the convolution's weights."""
        if isinstance(self.norm, nn.BatchNorm2d) and isinstance(self.conv, nn.Conv2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class UpBlock2d(ConvBlock2d):
    """Twice as large by repeating samples, then convolution, BatchNorm, ReLU.

    Shape:
        (B, inputs, H, W) to (B, outputs, 2H, 2W).
    """

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        if isinstance(self.conv, nn.ConvTranspose2d):  # `fastconv.accelerate` has put both steps into one
            return super().forward(x)
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class JoinBlock2d(Foldable):
    """3x3 convolution of two feature maps side by side, BatchNorm, ReLU; the second map's share can be kept.

    A convolution of concatenated channels is the sum of two convolutions, so what doesn't change over a shot is
    convolved once.

    Shape:
        first (B, C1, H, W) and `share(second)` (B, outputs, H, W) to (B, outputs, H, W).
    """

    def __init__(self, first: int, second: int, outputs: int) -> None:
        super().__init__()
        joint = nn.Conv2d(first + second, outputs, 3, padding=1)  # for the initial scale of both halves
        self.conv = nn.Conv2d(first, outputs, 3, padding=1)
        self.share = nn.Conv2d(second, outputs, 3, padding=1, bias=False)
        self.conv.weight.data.copy_(joint.weight.data[:, :first])
        self.share.weight.data.copy_(joint.weight.data[:, first:])
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, first: Tensor, share: Tensor) -> Tensor:
        """See the class."""
        return F.relu_(self.norm(self.conv(first) + share))

    def fold(self) -> None:
        """Put the normalisation into both convolutions' weights."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.share = fuse_conv_bn_eval(self.share, self.norm)
            self.share.register_parameter("bias", None)  # the shift belongs to one half only
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class ResBlock2d(Foldable):
    """Residual block, pre-activation: BatchNorm, ReLU, 3x3, BatchNorm, ReLU, 3x3, plus the input.

    Shape:
        (B, C, H, W) to the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2: nn.Module = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        y = self.conv1(F.relu_(self.norm1(x)))
        y = self.conv2(F.relu_(self.norm2(y)))
        return x + y  # type: ignore[no-any-return]

    def fold(self) -> None:
        """Put the second normalisation into the first convolution; the first one has no convolution before it."""
        if isinstance(self.norm2, nn.BatchNorm2d):
            self.conv1 = fuse_conv_bn_eval(self.conv1, self.norm2)
            self.norm2 = nn.Identity()


class ConvBlock1d(Foldable):
    """Convolution over time, BatchNorm, ReLU.

    Shape:
        (B, inputs, S) to (B, outputs, ⌈S/stride⌉).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        self.norm: nn.Module = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return F.relu_(self.norm(self.conv(x)))

    def fold(self) -> None:
        """Put the normalisation into the convolution's weights."""
        if isinstance(self.norm, nn.BatchNorm1d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class ResBlock1d(Foldable):
    """Residual block over time, pre-activation; see `ResBlock2d`.

    Shape:
        (B, C, S) to the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm1d(channels)
        self.conv1 = nn.Conv1d(channels, channels, 3, padding=1)
        self.norm2: nn.Module = nn.BatchNorm1d(channels)
        self.conv2 = nn.Conv1d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        y = self.conv1(F.relu_(self.norm1(x)))
        y = self.conv2(F.relu_(self.norm2(y)))
        return x + y  # type: ignore[no-any-return]

    def fold(self) -> None:
        """Put the second normalisation into the first convolution."""
        if isinstance(self.norm2, nn.BatchNorm1d):
            self.conv1 = fuse_conv_bn_eval(self.conv1, self.norm2)
            self.norm2 = nn.Identity()
