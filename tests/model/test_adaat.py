from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from julnet_plugin.model.adaat import AdaATParameters, adaat, affine_grid


def identity(channels: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    one = torch.ones(2, channels, dtype=dtype)
    return one, 0 * one, torch.zeros(2, channels, 2, dtype=dtype)


def test_identity_parameters_give_the_identity() -> None:
    features = torch.randn(2, 3, 13, 10, dtype=torch.float64)
    torch.testing.assert_close(adaat(features, *identity(3, torch.float64)), features, rtol=0, atol=1e-13)


def test_identity_holds_in_single_precision_at_full_size() -> None:
    features = torch.randn(2, 4, 104, 80)
    torch.testing.assert_close(adaat(features, *identity(4)), features, rtol=0, atol=1e-4)


def test_gradients_match_finite_differences() -> None:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator).mul(0.4).requires_grad_()

    features, angle, translation = draw(1, 2, 5, 4), draw(1, 2), draw(1, 2, 2)
    scale = draw(1, 2).detach().add(0.8).requires_grad_()
    assert torch.autograd.gradcheck(adaat, (features, scale, angle, translation))


def test_a_half_turn_turns_the_plane_around() -> None:
    features = torch.randn(2, 3, 7, 6)
    scale, angle, translation = identity(3)
    turned = adaat(features, scale, angle + math.pi, translation)
    torch.testing.assert_close(turned, features.flip(2, 3), rtol=0, atol=1e-5)


def test_a_translation_of_one_sample_moves_by_one_sample_and_fills_with_zero() -> None:
    features = torch.randn(2, 1, 5, 9)
    scale, angle, translation = identity(1)
    translation[..., 0] = 2 / 8  # of 9 columns, in [-1, 1]
    moved = adaat(features, scale, angle, translation)
    torch.testing.assert_close(moved[..., :-1], features[..., 1:], rtol=0, atol=1e-5)
    assert moved[..., -1].abs().max() == 0


def test_channels_do_not_see_one_another() -> None:
    features = torch.zeros(1, 3, 6, 6)
    features[:, 1] = 1
    scale, angle, translation = (p[:1] for p in identity(3))
    moved = adaat(features, scale * 0.7, angle + 0.3, translation + 0.1)
    assert moved[:, [0, 2]].abs().max() == 0


def test_the_grid_is_equation_1() -> None:
    S, R, T = 0.6, 0.8, (0.1, -0.2)
    grid = affine_grid(
        torch.full((1, 1), S), torch.full((1, 1), R), torch.tensor([[T]]), torch.tensor([0.5]), torch.tensor([-0.25])
    )
    x, y = -0.25, 0.5
    expected = (S * math.cos(R) * x - S * math.sin(R) * y + T[0], S * math.sin(R) * x + S * math.cos(R) * y + T[1])
    torch.testing.assert_close(grid.flatten(), torch.tensor(expected))


def test_a_part_of_the_result_equals_that_part_of_the_whole() -> None:
    features, angle = torch.randn(2, 3, 12, 9), torch.randn(2, 3)
    parameters = (torch.rand(2, 3) + 0.5, angle, torch.rand(2, 3, 2) - 0.5)
    part = adaat(features, *parameters, slice(4, 11), slice(2, 5))
    torch.testing.assert_close(part, adaat(features, *parameters)[:, :, 4:11, 2:5])


def test_half_precision_features_keep_their_type_and_are_sampled_exactly() -> None:
    features = torch.randn(2, 3, 104, 80).bfloat16()
    sampled = adaat(features, *identity(3, torch.bfloat16))
    assert sampled.dtype == torch.bfloat16
    torch.testing.assert_close(sampled, features, rtol=0.01, atol=1e-3)


def test_an_untrained_parameter_encoder_starts_at_the_identity() -> None:
    scale, angle, translation = AdaATParameters(6, 5)(torch.randn(3, 6))
    assert (scale.shape, angle.shape, translation.shape) == ((3, 5), (3, 5), (3, 5, 2))
    assert (scale == 1).all()
    assert (angle == 0).all()
    assert (translation == 0).all()


@pytest.mark.parametrize("sign", [-1, 1])
def test_parameters_stay_in_dinets_ranges(sign: int) -> None:
    encoder = AdaATParameters(4, 3)
    for head in (encoder.scale, encoder.angle, encoder.translation):
        torch.nn.init.constant_(head.bias, sign * 50.0)
    scale, angle, translation = encoder(torch.randn(2, 4))
    assert scale.min() >= 0
    assert scale.max() <= 2
    assert angle.abs().max() <= math.pi + 1e-6
    assert translation.abs().max() <= 1
