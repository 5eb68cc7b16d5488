from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from julnet_plugin.model.blocks import ConvBlock2d, JoinBlock2d, ResBlock2d, UpBlock2d, fold_batchnorm
from julnet_plugin.model.generator import Generator, mouth_square
from julnet_plugin.model.regions import Frame


@pytest.mark.parametrize("name", ["paper", "wav2lip"])
def test_folding_the_normalisation_changes_nothing_in_eval_mode(
    name: str, make_generator: Callable[..., Generator], make_inputs: Callable[..., Any]
) -> None:
    network = make_generator(name).double()
    inputs = make_inputs(network).double()
    with torch.no_grad():
        before = network(*inputs[:3], network.encode_references(inputs.refs))
        fold_batchnorm(network)
        after = network(*inputs[:3], network.encode_references(inputs.refs))
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_folding_leaves_only_normalisations_that_no_convolution_precedes(
    make_generator: Callable[..., Generator],
) -> None:
    network = make_generator("paper")
    fold_batchnorm(network)
    left = [name for name, module in network.named_modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
    assert left
    assert all(name.endswith("norm1") for name in left)


def test_folding_twice_is_folding_once() -> None:
    block = ConvBlock2d(2, 3).eval()
    fold_batchnorm(block)
    weight = block.conv.weight
    fold_batchnorm(block)
    assert block.conv.weight is weight


def test_a_network_in_training_is_not_folded() -> None:
    with pytest.raises(RuntimeError, match="eval mode"):
        fold_batchnorm(ConvBlock2d(2, 3))


def test_blocks_keep_dinets_shapes() -> None:
    x = torch.rand(1, 4, 9, 6)
    assert ConvBlock2d(4, 5, 7).eval()(x).shape == (1, 5, 9, 6)
    assert ConvBlock2d(4, 5, 3, stride=2).eval()(x).shape == (1, 5, 5, 3)
    assert UpBlock2d(4, 2).eval()(x).shape == (1, 2, 18, 12)
    assert ResBlock2d(4).eval()(x).shape == x.shape


def test_joining_is_a_convolution_of_both_maps_side_by_side() -> None:
    block = JoinBlock2d(2, 3, 4).eval()
    first, second = torch.randn(1, 2, 5, 5), torch.randn(1, 3, 5, 5)
    weight = torch.cat([block.conv.weight, block.share.weight], dim=1)
    whole = nn.functional.conv2d(torch.cat([first, second], dim=1), weight, block.conv.bias, padding=1)
    torch.testing.assert_close(block(first, block.share(second)), torch.relu(block.norm(whole)))


def test_the_mouth_square_of_the_papers_crop_is_dinets() -> None:
    rows, columns = mouth_square(416, 320).slices
    assert (rows.start, rows.stop, columns.start, columns.stop) == (128, 384, 32, 288)


@pytest.mark.parametrize("size", [(416, 319), (400, 320), (0, 0)])
def test_a_crop_of_another_shape_has_no_mouth_square(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="13 by 10"):
        mouth_square(*size)


def test_a_region_around_the_mouth_stops_at_the_picture() -> None:
    frame = Frame(104, 80, mouth_square(104, 80))
    assert frame.around_mouth(4, 0) == (8, 2, 24, 18)
    assert frame.around_mouth(4, 3) == (5, 0, 26, 20)
    assert frame.around_mouth(4, 99) == frame.whole(4) == (0, 0, 26, 20)
    assert frame.whole(4).times(4) == frame.whole(1)
