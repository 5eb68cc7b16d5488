"""The same convolutions with fewer multiplications, for a CPU that works in float32.

Direct convolution is what a CPU library runs, and it takes kernel² multiplications a sample. Here:

- 3x3: Winograd's F(4x4, 3x3), 2.25 instead of 9 multiplications; about half the time at 128 and 256 channels.
- 7x7 and larger: in the frequency domain, tile by tile; about a fifth of the time at 11x11.
- a 3x3 after doubling by repetition: the transposed 4x4 convolution it is equal to, 4 instead of 9; half the time.
- a large kernel with 3 outputs, which leaves most of a vector unit idle: its columns as outputs of their own, added up
  afterwards; a third of the time at 7x7.

Results differ from direct convolution by rounding alone: about 1e-5 of a feature's spread for Winograd, less for the
others. A CPU with units for half precision convolves directly twice as fast. What still pays there: the doubled 3x3
(half the time), kernels from 9x9 on in the frequency domain in float32 (half at 11x11, and more exact), and few outputs
of a layer that stays in float32.

Source: Lavin & Gray 2016 (Winograd); the overlap-save method for the tiles.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from julnet_plugin.model.blocks import UpBlock2d

# With fewer channels, moving the tiles costs more than the multiplications saved; measured on a CPU with AVX2.
_WINOGRAD_MIN_CHANNELS = 64
_FREQUENCY_MIN_CHANNELS = 32
_FEW_OUTPUTS = 4
_WINOGRAD_TILE = 4  #: output samples of a tile, each way
_FREQUENCY_TILE = 32  #: samples of a Fourier transform, each way
_FREQUENCY_MIN_KERNEL = 7
_FREQUENCY_MIN_KERNEL_HALF = 9  #: beside direct convolution in bfloat16; measured with AVX-512

# Winograd's matrices for output tiles of 4 and kernels of 3, interpolating at 0, ±1, ±2 and infinity.
_INPUT = torch.tensor(
    [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
     [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]],
    dtype=torch.float64,
)  # fmt: skip
_KERNEL = torch.tensor(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
     [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]],
    dtype=torch.float64,
)  # fmt: skip
_OUTPUT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    dtype=torch.float64,
)  # fmt: skip
_CONSTANT = 7  #: what is added to this one of a tile's 36 products is added to all of its output: (1, 1) of 6 x 6


class WinogradConv2d(nn.Module):
    """A 3x3 convolution with stride 1 and padding 1.

    Shape:
        (B, inputs, H, W) to (B, outputs, H, W), channels last in memory.
    """

    kernel: Tensor
    to_tiles: Tensor
    from_tiles: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight = conv.weight.detach()
        outputs, inputs = weight.shape[:2]
        taps = weight.permute(2, 3, 1, 0).reshape(9, -1)
        kernel = torch.kron(_KERNEL, _KERNEL).to(weight.dtype) @ taps
        self.register_buffer("kernel", kernel.reshape(36, inputs, outputs))
        self.register_buffer("to_tiles", torch.kron(_INPUT, _INPUT).to(weight.dtype))
        self.register_buffer("from_tiles", torch.kron(_OUTPUT, _OUTPUT).to(weight.dtype))
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        B, C, H, W = x.shape
        t = _WINOGRAD_TILE
        rows, columns = -(-H // t), -(-W // t)
        padded = F.pad(x, (1, columns * t - W + 1, 1, rows * t - H + 1)).permute(0, 2, 3, 1).contiguous()
        tiles = padded.unfold(1, t + 2, t).unfold(2, t + 2, t)  # (B, rows, columns, C, 6, 6), overlapping
        tiles = tiles.permute(4, 5, 0, 1, 2, 3).reshape(36, -1)
        spectrum = (self.to_tiles @ tiles).reshape(36, -1, C)
        product = torch.bmm(spectrum, self.kernel)  # (36, B · rows · columns, outputs)
        if self.bias is not None:
            product[_CONSTANT] += self.bias
        y = (self.from_tiles @ product.reshape(36, -1)).reshape(t, t, B, rows, columns, -1)
        y = y.permute(2, 3, 0, 4, 1, 5).reshape(B, rows * t, columns * t, -1)[:, :H, :W]
        return y.permute(0, 3, 1, 2)


class FrequencyConv2d(nn.Module):
    """A convolution with an odd kernel, stride 1 and padding kernel // 2, done in the frequency domain in float32.

    Shape:
        (B, inputs, H, W) to (B, outputs, H, W), of the same dtype and memory layout.
    """

    kernel: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight = conv.weight.detach()
        outputs, inputs, self.size, _ = weight.shape
        spectrum = torch.fft.rfft2(weight, s=(_FREQUENCY_TILE, _FREQUENCY_TILE)).conj()  # correlation, not convolution
        kernel = spectrum.permute(2, 3, 1, 0).reshape(-1, inputs, outputs).contiguous()
        self.register_buffer("kernel", kernel)
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        B, C, H, W = x.shape
        n, k = _FREQUENCY_TILE, self.size
        t = n - k + 1  # output samples of a tile, each way
        rows, columns = -(-H // t), -(-W // t)
        half = k // 2
        whole = x.to(torch.promote_types(x.dtype, torch.float32))
        padded = F.pad(whole, (half, columns * t - W + k - 1 - half, half, rows * t - H + k - 1 - half))
        tiles = padded.unfold(2, n, t).unfold(3, n, t)  # (B, C, rows, columns, n, n), overlapping
        spectrum = torch.fft.rfft2(tiles).permute(4, 5, 0, 2, 3, 1).reshape(n * (n // 2 + 1), -1, C)
        product = torch.bmm(spectrum, self.kernel)  # (frequencies, B · rows · columns, outputs)
        product = product.reshape(n, n // 2 + 1, B, rows, columns, -1).permute(2, 5, 3, 4, 0, 1)
        y: Tensor = torch.fft.irfft2(product, s=(n, n))[..., :t, :t]  # the rest of a tile has wrapped around
        y = y.permute(0, 1, 2, 4, 3, 5).reshape(B, -1, rows * t, columns * t)[..., :H, :W]
        y = y if self.bias is None else y + self.bias[:, None, None]
        channels_last = x.stride(1) == 1
        return y.to(x.dtype, memory_format=torch.channels_last if channels_last else torch.contiguous_format)


class ColumnsConv2d(nn.Module):
    """A convolution with few outputs, an odd kernel, stride 1 and padding kernel // 2.

    Shape:
        (B, inputs, H, W) to (B, outputs, H, W).
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight = conv.weight.detach()
        _, inputs, self.size, _ = weight.shape
        columns = weight.permute(0, 3, 1, 2).reshape(-1, inputs, self.size, 1)  # (outputs · k, inputs, k, 1)
        self.register_buffer("weight", columns.contiguous())
        self.register_buffer("bias", None if conv.bias is None else conv.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        half, W = self.size // 2, x.shape[-1]
        columns = F.conv2d(x, self.weight, padding=(half, 0)).contiguous()
        columns = F.pad(columns, (half, half)).reshape(
            len(x), -1, self.size, x.shape[-2], W + 2 * half
        )  # (B, outputs, k, H, W + 2 half)
        y = columns[:, :, 0, :, :W]
        for column in range(1, self.size):
            y = y + columns[:, :, column, :, column : column + W]
        return y if self.bias is None else y + self.bias[:, None, None]


def doubling_conv(conv: nn.Conv2d) -> nn.ConvTranspose2d:
    """One layer for doubling by repetition and then a 3x3 convolution with padding 1."""
    weight = conv.weight.detach()
    outputs, inputs = weight.shape[:2]
    # Scattering a sample through this kernel is repeating it 2x2 and scattering the copies through the 3x3 one.
    planes = weight.flip(2, 3).reshape(-1, 1, 3, 3)
    spread = F.conv_transpose2d(planes, torch.ones(1, 1, 2, 2, dtype=weight.dtype)).reshape(outputs, inputs, 4, 4)
    layer = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=conv.bias is not None).to(weight)
    with torch.no_grad():
        layer.weight.copy_(spread.transpose(0, 1))
        if layer.bias is not None and conv.bias is not None:
            layer.bias.copy_(conv.bias)
    return layer


def accelerate(network: nn.Module, precision: str = "float32", exact: Collection[str] = ()) -> None:
    """Replace every convolution of a network, in place, by an equal one that takes less time on a CPU, where it pays.

    Args:
        network: in eval mode.
        precision: "float32" or "bfloat16", what its layers will run in.
        exact: dotted names of layers that run in float32 all the same.
    """
    for name, child in list(network.named_children()):
        inside = [path.partition(".")[2] for path in exact if path.partition(".")[0] == name]
        if isinstance(child, UpBlock2d) and isinstance(child.conv, nn.Conv2d):
            child.conv = doubling_conv(child.conv)
        elif type(child) is nn.Conv2d:
            setattr(network, name, _faster(child, half=precision != "float32" and name not in exact))
        else:
            accelerate(child, precision, inside)


def _faster(conv: nn.Conv2d, *, half: bool) -> nn.Module:
    k = conv.kernel_size[0]
    plain = conv.stride == (1, 1) and conv.dilation == (1, 1) and conv.groups == 1 and conv.padding_mode == "zeros"
    if not plain or conv.kernel_size != (k, k) or conv.padding != (k // 2, k // 2) or k % 2 == 0:
        return conv
    fewest = min(conv.in_channels, conv.out_channels)
    if not half and k == 3 and fewest >= _WINOGRAD_MIN_CHANNELS and conv.in_channels <= 2 * conv.out_channels:
        return WinogradConv2d(conv)
    least = _FREQUENCY_MIN_KERNEL_HALF if half else _FREQUENCY_MIN_KERNEL
    if least <= k < _FREQUENCY_TILE // 2 and fewest >= _FREQUENCY_MIN_CHANNELS:
        return FrequencyConv2d(conv)
    if not half and k >= _FREQUENCY_MIN_KERNEL and conv.out_channels <= _FEW_OUTPUTS:
        return ColumnsConv2d(conv)
    return conv
