from __future__ import annotations

import pytest
import torch
from torch import nn

from julnet_plugin.model.blocks import ConvBlock2d, UpBlock2d
from julnet_plugin.model.fastconv import ColumnsConv2d, FrequencyConv2d, WinogradConv2d, accelerate, doubling_conv

SIZES = [(1, 8, 8), (2, 5, 7), (1, 1, 1), (1, 33, 22), (1, 26, 50)]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("batch", "rows", "columns"), SIZES)
def test_winograd_is_the_convolution(batch: int, rows: int, columns: int, bias: bool) -> None:
    conv = nn.Conv2d(3, 5, 3, padding=1, bias=bias).double()
    x = torch.randn(batch, 3, rows, columns, dtype=torch.float64)
    torch.testing.assert_close(WinogradConv2d(conv)(x), conv(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", [7, 11])
@pytest.mark.parametrize(("batch", "rows", "columns"), SIZES)
def test_the_frequency_domain_gives_the_convolution(batch: int, rows: int, columns: int, kernel: int) -> None:
    conv = nn.Conv2d(3, 5, kernel, padding=kernel // 2).double()
    x = torch.randn(batch, 3, rows, columns, dtype=torch.float64)
    torch.testing.assert_close(FrequencyConv2d(conv)(x), conv(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("batch", "rows", "columns"), SIZES)
def test_a_kernels_columns_add_up_to_the_convolution(batch: int, rows: int, columns: int, bias: bool) -> None:
    conv = nn.Conv2d(4, 3, 7, padding=3, bias=bias).double()
    x = torch.randn(batch, 4, rows, columns, dtype=torch.float64)
    torch.testing.assert_close(ColumnsConv2d(conv)(x), conv(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [False, True])
def test_one_transposed_convolution_doubles_and_convolves(bias: bool) -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1, bias=bias).double()
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    two_steps = conv(nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"))
    torch.testing.assert_close(doubling_conv(conv)(x), two_steps, rtol=0, atol=1e-12)


def test_rounding_stays_small_at_the_networks_own_size() -> None:
    conv = nn.Conv2d(64, 64, 3, padding=1)
    x = torch.randn(1, 64, 26, 20)
    with torch.no_grad():
        exact, fast = conv(x), WinogradConv2d(conv)(x)
    assert (exact - fast).abs().max() < 2e-4 * exact.std()


def test_only_convolutions_that_gain_are_replaced() -> None:
    network = nn.Sequential(
        nn.Conv2d(64, 64, 3, padding=1),
        nn.Conv2d(64, 64, 3, padding=1, stride=2),
        nn.Conv2d(64, 64, 3),
        nn.Conv2d(8, 64, 3, padding=1),
        nn.Conv2d(64, 64, 3, padding=1, groups=2),
        nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(64, 64, 1),
        nn.Conv2d(32, 32, 7, padding=3),
        nn.Conv2d(64, 3, 7, padding=3),
        UpBlock2d(4, 4),
        nn.Sequential(ConvBlock2d(64, 64, 11)),
    ).eval()
    x = torch.randn(1, 64, 6, 6)
    accelerate(network)
    kinds = [type(module).__name__ for module in list(network)[:9]]
    assert kinds == ["WinogradConv2d", *["Conv2d"] * 6, "FrequencyConv2d", "ColumnsConv2d"]
    assert isinstance(network.get_submodule("9.conv"), nn.ConvTranspose2d)
    assert isinstance(network.get_submodule("10.0.conv"), FrequencyConv2d)
    assert network[10](x).shape == x.shape


def test_in_half_precision_only_what_pays_there_is_replaced() -> None:
    network = nn.ModuleDict(
        {
            "wide": nn.Conv2d(32, 32, 11, padding=5),
            "seven": nn.Conv2d(32, 32, 7, padding=3),
            "three": nn.Conv2d(64, 64, 3, padding=1),
            "up": UpBlock2d(4, 4),
            "end": nn.ModuleDict({"out": nn.Conv2d(32, 3, 7, padding=3), "rough": nn.Conv2d(32, 3, 7, padding=3)}),
        }
    ).eval()
    accelerate(network, "bfloat16", ["end.out"])
    end = network["end"]
    assert isinstance(end, nn.ModuleDict)
    kinds = [type(m) for m in (network["wide"], network["seven"], network["three"], end["out"], end["rough"])]
    assert kinds == [FrequencyConv2d, nn.Conv2d, nn.Conv2d, ColumnsConv2d, nn.Conv2d]
    assert isinstance(network["up"].conv, nn.ConvTranspose2d)


def test_a_wide_kernel_in_half_precision_is_as_exact_as_its_input_and_keeps_dtype_and_layout() -> None:
    conv = nn.Conv2d(8, 8, 11, padding=5)
    x = torch.randn(1, 8, 30, 41).to(torch.bfloat16, memory_format=torch.channels_last)
    y = FrequencyConv2d(conv)(x)
    assert (y.dtype, y.is_contiguous(memory_format=torch.channels_last)) == (torch.bfloat16, True)
    torch.testing.assert_close(y.float(), conv(x.float()), rtol=2**-8, atol=2**-8)
