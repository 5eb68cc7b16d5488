from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from trainer.discriminator import LIGHT_WIDTHS, ClipDiscriminator, PatchDiscriminator
from trainer.losses import (
    LOG_SIGMA_FLOOR,
    clamp_log_sigma,
    contrastive_loss,
    cosine_bce_loss,
    distribution_matching,
    error_head_loss,
    error_map,
    info_nce_loss,
    inlier_weight,
    lip_sync_loss,
    lsgan_discriminator_loss,
    lsgan_generator_loss,
    region_weight,
    uncertainty_nll,
)
from trainer.losses.uncertainty import bin_offsets

SEDNET_LOG_OFFSETS = [0, 0.196, 0.431, 0.712, 1.048, 1.449, 1.930, 2.505, 3.193, 4.016, 5.0]


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.fixture(scope="module")
def heteroscedastic() -> tuple[Tensor, Tensor]:
    """Errors like a picture's (mean 0.022, std about 0.04): a Laplace magnitude of log-normal scale."""
    generator = torch.Generator().manual_seed(0)
    spread = 0.9
    sigma = 0.022 * torch.exp(spread * torch.randn(200_000, generator=generator) - spread**2 / 2)
    error = sigma * torch.empty_like(sigma).exponential_(generator=generator)
    return error, sigma


# ------------------------------------------------------------------------------------------------ Eq. 2 and 4


def test_the_error_map_is_the_mean_absolute_difference_of_the_channels() -> None:
    generated, target = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    target[0, :, 0, 1] = torch.tensor([0.1, 0.2, 0.6])
    assert error_map(generated, target).flatten().tolist() == pytest.approx([0, 0.3, 0, 0])


def test_eq_4_equals_its_sum_written_out(rng: torch.Generator) -> None:
    error = torch.rand(2, 1, 5, 4, generator=rng)
    tau = -4 * torch.rand(2, 1, 5, 4, generator=rng)
    weight = torch.rand(2, 1, 5, 4, generator=rng)
    total = count = 0.0
    for e, t, w in zip(*(x.flatten().tolist() for x in (error, tau, weight)), strict=True):
        total += w * (e / math.exp(t) + t)
        count += w
    assert uncertainty_nll(error, tau, weight).item() == pytest.approx(total / count, rel=1e-5)


def test_eq_4_is_least_where_sigma_is_the_mean_error(rng: torch.Generator) -> None:
    error = 0.05 * torch.empty(1, 1, 300, 300).exponential_(generator=rng)
    scales = [0.5, 0.8, 1.0, 1.25, 2.0]
    best = error.mean().log().item()
    losses = [uncertainty_nll(error, torch.full_like(error, math.log(s) + best)) for s in scales]
    assert int(torch.stack(losses).argmin()) == scales.index(1.0)
    assert losses[2].item() == pytest.approx(1.0 + best, abs=1e-4)  # closed form: 1 + log E ε


def test_eq_4_stays_bounded_on_a_perfect_picture() -> None:
    perfect = torch.zeros(1, 1, 4, 4)
    assert uncertainty_nll(perfect, torch.full_like(perfect, -50.0)).item() == pytest.approx(LOG_SIGMA_FLOOR)


def test_pixels_of_weight_zero_do_not_count_and_get_no_gradient(rng: torch.Generator) -> None:
    error = torch.rand(1, 1, 4, 6, generator=rng)
    tau = torch.full((1, 1, 4, 6), -1.0, requires_grad=True)
    weight = torch.zeros(1, 1, 4, 6)
    weight[..., :3] = 1
    loss = uncertainty_nll(error, tau, weight)
    loss.backward()  # type: ignore[no-untyped-call]
    inside = uncertainty_nll(error[..., :3], tau.detach()[..., :3])
    assert loss.item() == pytest.approx(inside.item(), rel=1e-6)
    assert tau.grad is not None
    assert tau.grad[..., 3:].abs().max() == 0
    assert tau.grad[..., :3].abs().min() > 0


def test_no_weight_anywhere_gives_zero_and_not_nan() -> None:
    error, nothing = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    assert uncertainty_nll(error, error, nothing).item() == 0
    assert distribution_matching(error, error, nothing).item() == 0


def test_a_pixel_below_the_floor_can_rise_but_not_sink() -> None:
    tau = torch.tensor([-9.0, -9.0, -1.0], requires_grad=True)
    (clamp_log_sigma(tau) * torch.tensor([-1.0, 1.0, 1.0])).sum().backward()  # type: ignore[no-untyped-call]
    assert tau.grad is not None
    assert tau.grad.tolist() == [-1.0, 0.0, 1.0]


def test_the_halo_reaches_exactly_its_width() -> None:
    mask = torch.zeros(1, 1, 1, 11)
    mask[..., 5] = 1
    band = [0.25, 0.25, 1, 0.25, 0.25]
    assert region_weight(mask, halo_px=2, halo_weight=0.25).flatten().tolist() == [0] * 3 + band + [0] * 3
    assert torch.equal(region_weight(mask, halo_px=0), mask)


def test_outliers_beyond_three_deviations_lose_their_weight() -> None:
    error = torch.full((1, 1, 10, 10), 0.01)
    error[..., 0, 0] = 1.0
    kept = inlier_weight(error)
    assert kept[..., 0, 0].item() == 0
    assert kept.sum().item() == 99


# ------------------------------------------------------------------------------------------------ Eq. 6 to 8


def brute_force_matching(error: list[float], sigma: list[float], lambda2: float, offsets: list[float]) -> float:
    mean, std = float(np.mean(error)), float(np.std(error))

    def histogram(values: list[float]) -> list[float]:
        bins = [0.0] * len(offsets)
        for value in values:
            w = [10 * math.exp(-((mean + a * std - value) ** 2) / lambda2) for a in offsets]
            total = sum(math.exp(x) for x in w)
            for j, x in enumerate(w):
                bins[j] += math.exp(x) / total / len(values)
        return bins

    return sum(p * math.log(p / q) for p, q in zip(histogram(error), histogram(sigma), strict=True))


def test_the_bins_are_those_of_the_released_sednet() -> None:
    assert bin_offsets(11, 5.0, "log").tolist() == pytest.approx(SEDNET_LOG_OFFSETS, abs=1e-3)
    assert bin_offsets(11, 5.0, "linear").tolist() == pytest.approx(np.linspace(0, 5, 11).tolist(), abs=1e-6)


@pytest.mark.parametrize("variant", ["scale_free", "sednet"])
def test_eq_8_equals_its_sums_written_out(variant: Literal["scale_free", "sednet"], rng: torch.Generator) -> None:
    error = 0.05 * torch.rand(60, generator=rng)
    sigma = 0.08 * torch.rand(60, generator=rng)
    unit = 255.0 if variant == "sednet" else 1.0
    e, s = (error * unit).tolist(), (sigma * unit).tolist()
    lambda2 = 5.0 if variant == "sednet" else 0.5 * float(np.var(e))
    expected = brute_force_matching(e, s, lambda2, bin_offsets(11, 5.0, "log").tolist())
    got = distribution_matching(error, sigma, variant=variant)
    assert got.item() == pytest.approx(expected, rel=1e-3)


def test_eq_8_reproduces_the_measured_values(heteroscedastic: tuple[Tensor, Tensor]) -> None:
    error, sigma = heteroscedastic
    constant = torch.full_like(sigma, error.mean().item())
    assert distribution_matching(error, sigma).item() == pytest.approx(0.017, abs=0.004)
    assert distribution_matching(error, constant).item() == pytest.approx(0.55, abs=0.1)
    assert distribution_matching(error, 0.5 * sigma).item() == pytest.approx(0.13, abs=0.02)
    assert distribution_matching(error, 2.0 * sigma).item() == pytest.approx(0.17, abs=0.02)


@pytest.mark.parametrize("width", [0.25, 0.5, 1.0, 2.0])
def test_eq_8_is_least_at_the_true_scale_of_sigma(width: float, heteroscedastic: tuple[Tensor, Tensor]) -> None:
    error, sigma = heteroscedastic
    scales = [0.5, 0.7, 1.0, 1.4, 2.0]
    losses = [distribution_matching(error, s * sigma, width=width).item() for s in scales]
    assert losses.index(min(losses)) == scales.index(1.0)


def test_a_fixed_width_of_5_would_make_eq_8_inert(heteroscedastic: tuple[Tensor, Tensor]) -> None:
    error, _ = heteroscedastic
    constant = torch.full_like(error, error.mean().item())
    assert distribution_matching(error, constant, width=5.0 / error.var().item()).item() < 1e-3


def test_eq_8_does_not_see_where_errors_are(heteroscedastic: tuple[Tensor, Tensor], rng: torch.Generator) -> None:
    error, _ = heteroscedastic
    shuffled = error[torch.randperm(len(error), generator=rng)]
    assert distribution_matching(error, shuffled, max_samples=len(error)).item() == pytest.approx(0, abs=1e-5)


def test_the_two_directions_differ_and_neither_is_negative(heteroscedastic: tuple[Tensor, Tensor]) -> None:
    error, sigma = heteroscedastic
    forward = distribution_matching(error, 2 * sigma, direction="error||sigma").item()
    backward = distribution_matching(error, 2 * sigma, direction="sigma||error").item()
    assert forward > 0
    assert backward > 0
    assert forward != pytest.approx(backward, rel=0.05)


def test_subsampling_barely_moves_eq_8(heteroscedastic: tuple[Tensor, Tensor]) -> None:
    error, sigma = heteroscedastic
    whole = distribution_matching(error, 1.5 * sigma, max_samples=len(error)).item()
    assert distribution_matching(error, 1.5 * sigma, max_samples=20_000).item() == pytest.approx(whole, abs=0.01)


def test_eq_8_counts_only_masked_pixels(heteroscedastic: tuple[Tensor, Tensor]) -> None:
    error, sigma = (x[:40_000] for x in heteroscedastic)
    weight = torch.zeros_like(error)
    weight[:20_000] = 1
    inside = distribution_matching(error[:20_000], 2 * sigma[:20_000])
    assert distribution_matching(error, 2 * sigma, weight).item() == pytest.approx(inside.item(), rel=1e-4)


def test_the_gradient_of_eq_8_is_that_of_finite_differences(rng: torch.Generator) -> None:
    error = 0.05 * torch.rand(12, generator=rng)
    log_sigma = (error * 1.7).log().requires_grad_()

    def loss(tau: Tensor) -> Tensor:
        return distribution_matching(error, tau.exp())

    loss(log_sigma).backward()  # type: ignore[no-untyped-call]
    assert log_sigma.grad is not None
    step = 1e-2
    for i in (0, 5, 11):
        nudge = torch.zeros_like(log_sigma)
        nudge[i] = step
        slope = (loss(log_sigma.detach() + nudge) - loss(log_sigma.detach() - nudge)) / (2 * step)
        assert log_sigma.grad[i].item() == pytest.approx(slope.item(), rel=0.05, abs=1e-4)


def test_the_statistics_of_the_error_can_be_kept_out_of_the_gradient(rng: torch.Generator) -> None:
    error = (0.05 * torch.rand(50, generator=rng)).requires_grad_()
    sigma = error.detach() * 2
    gradients = [
        torch.autograd.grad(distribution_matching(error, sigma, detach_statistics=d), error)[0] for d in (True, False)
    ]
    assert not torch.allclose(gradients[0], gradients[1])
    assert not distribution_matching(error, sigma, detach_error=True).requires_grad


def test_both_parts_together_find_the_true_sigma(heteroscedastic: tuple[Tensor, Tensor]) -> None:
    error, truth = (x[:20_000] for x in heteroscedastic)
    log_scale = torch.tensor(-1.5, requires_grad=True)  # σ starts at 22 % of the truth
    optimiser = torch.optim.Adam([log_scale], lr=0.05)
    for _ in range(120):
        tau = truth.log() + log_scale
        loss = uncertainty_nll(error, tau, floor=-12.0) + distribution_matching(error, tau.exp())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert log_scale.exp().item() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("kind", ["l1", "log_l1"])
def test_the_error_head_is_supervised_without_touching_the_picture(
    kind: Literal["l1", "log_l1"], rng: torch.Generator
) -> None:
    error = torch.rand(1, 1, 4, 4, generator=rng).requires_grad_()
    predicted = (error.detach() * 2).requires_grad_()
    loss = error_head_loss(predicted, error, kind=kind)
    loss.backward()  # type: ignore[no-untyped-call]
    assert error.grad is None
    assert predicted.grad is not None
    assert (predicted.grad > 0).all()  # every prediction is too high
    perfect = error_head_loss(error.detach(), error, kind=kind)
    assert perfect.item() == pytest.approx(0, abs=1e-6)


# ------------------------------------------------------------------------------------------------ Eq. 10, 11,
# 13


def test_eq_11_has_its_closed_form_values() -> None:
    real, fake = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 0.2])
    assert lsgan_generator_loss(fake).item() == pytest.approx((1.0 + 0.64) / 2)
    assert lsgan_discriminator_loss(real, fake).item() == pytest.approx(0.5 * (0.125 + 0.02))


def test_the_discriminator_has_dinets_shape_and_size() -> None:
    judge = PatchDiscriminator()
    assert sum(p.numel() for p in judge.parameters()) == 2_628_737
    with torch.no_grad():
        assert PatchDiscriminator(widths=(2, 2, 2, 2))(torch.zeros(1, 3, 416, 320)).shape == (1, 1, 46, 34)


def test_the_smallest_picture_of_the_discriminator_is_its_receptive_field() -> None:
    judge = PatchDiscriminator(widths=LIGHT_WIDTHS)
    assert judge(torch.zeros(1, 3, 53, 53)).shape == (1, 1, 1, 1)
    with pytest.raises(RuntimeError):
        judge(torch.zeros(1, 3, 52, 52))


def test_the_clip_discriminator_sees_the_order_of_frames(rng: torch.Generator) -> None:
    judge = ClipDiscriminator(frames=3, widths=(4, 4, 4, 4))
    clip = torch.rand(2, 3, 3, 64, 64, generator=rng)
    assert judge(clip).shape == (2, 1, 2, 2)
    assert not torch.allclose(judge(clip), judge(clip.flip(1)))


def test_two_updates_in_turn_tell_true_from_generated(rng: torch.Generator) -> None:
    torch.manual_seed(0)
    judge = PatchDiscriminator(widths=(8, 8, 8, 8))
    optimiser = torch.optim.Adam(judge.parameters(), lr=1e-2)
    real, fake = torch.rand(4, 3, 64, 64, generator=rng), torch.full((4, 3, 64, 64), 0.5)
    for _ in range(80):
        loss = lsgan_discriminator_loss(judge(real), judge(fake))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert judge(real).mean().item() > judge(fake).mean().item() + 0.5


def test_eq_13_is_zero_in_sync_and_four_in_antiphase() -> None:
    assert lip_sync_loss(torch.ones(3)).item() == 0
    assert lip_sync_loss(-torch.ones(3)).item() == 4


def test_the_contrastive_loss_has_its_closed_form_values_and_a_finite_gradient_at_zero() -> None:
    video = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    audio = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    far = math.sqrt(0.4**2 + 0.8**2)
    loss = contrastive_loss(video, audio, torch.tensor([1.0, 0.0, 0.0]), margin=1.0)
    assert loss.item() == pytest.approx(0.5 * (0 + (1 - far) ** 2 + 0) / 3, rel=1e-4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert video.grad is not None
    assert torch.isfinite(video.grad).all()


def test_the_cosine_cross_entropy_has_its_closed_form_values() -> None:
    video, audio = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.8, 0.6], [0.6, 0.8]])
    label = torch.tensor([1.0, 0.0])
    assert cosine_bce_loss(video, audio, label).item() == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2, rel=1e-5)
    logit = [math.log1p(math.exp(-8.0)), math.log1p(math.exp(6.0))]
    assert cosine_bce_loss(video, audio, label, scale=10.0).item() == pytest.approx(sum(logit) / 2, rel=1e-4)


def test_the_contrastive_batch_loss_has_its_closed_form_value_and_takes_overlaps_out() -> None:
    embedding = torch.eye(3)
    expected = math.log(1 + 2 * math.exp(-5.0))
    assert info_nce_loss(embedding, embedding, scale=5.0).item() == pytest.approx(expected, rel=1e-4)
    no_choice = torch.zeros(3, 3, dtype=torch.bool)
    assert info_nce_loss(embedding, embedding.roll(1, 0), negatives=no_choice).item() == 0
