"""The uncertainty loss: Eq. 2, 4 and 6 to 9, and the supervision of the predicted error map.

The network predicts τ = log σ. With ε = |p̂ − p| the negative log-likelihood of a Laplace distribution makes
σ the expected |error| (Eq. 4); matching the two histograms makes the values of σ as spread as the values of ε
(Eq. 8). The second knows nothing of *where* errors are: only the first does.
"""

from __future__ import annotations

import math
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

#: Least log σ, one 8-bit code value. Eq. 4 has no lower bound where the picture is copied perfectly (ε → 0,
#: τ → −∞).
LOG_SIGMA_FLOOR = math.log(1.0 / 255.0)

Spacing = Literal["log", "linear"]
Direction = Literal["error||sigma", "sigma||error"]
Variant = Literal["scale_free", "sednet"]


def error_map(generated: Tensor, target: Tensor) -> Tensor:
    """Eq. 2, ε = |p̂ − p|, the mean over the colour channels.

    Shape:
        generated, target: (B, 3, h, w) RGB in [0, 1].

    Returns:
        (B, 1, h, w), with the gradient to `generated`.
    """
    return (generated - target).abs().mean(dim=1, keepdim=True)


def region_weight(mask: Tensor, halo_px: int, halo_weight: float = 0.1) -> Tensor:
    """Pixel weights of the uncertainty loss: 1 in the mask, `halo_weight` in a band around it, 0 elsewhere.

    The halo teaches σ to fall off outside the generated region instead of ending at its edge.

    Shape:
        mask: (B, 1, h, w) in [0, 1]; 1 = generated.
    """
    if halo_px <= 0:
        return mask
    grown = F.max_pool2d(mask, 2 * halo_px + 1, stride=1, padding=halo_px)
    return torch.maximum(mask, halo_weight * grown)


def inlier_weight(error: Tensor, weight: Tensor | None = None, k: float = 3.0) -> Tensor:
    """Weights that drop outliers: `weight` where |ε − mean| < k · std, else 0.

    Source:
        SEDNet (CVPR 2023), Eq. 3 ("soft" inliers, k = 3). The paper does not mention it, so it is an option.
    """
    weight = torch.ones_like(error) if weight is None else weight.expand_as(error)
    mean, std = _mean_std(error.detach(), weight)
    return weight * ((error.detach() - mean).abs() < k * std)


class _ClampBelow(torch.autograd.Function):
    """Clamp from below; under the floor only a gradient that lifts the value passes."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, floor: float) -> Tensor:
        ctx.save_for_backward(value)
        ctx.floor = floor
        return value.clamp(min=floor)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (value,) = ctx.saved_tensors
        grad = grad_outputs[0]
        return torch.where((value >= ctx.floor) | (grad < 0), grad, torch.zeros_like(grad)), None


def clamp_log_sigma(log_sigma: Tensor, floor: float = LOG_SIGMA_FLOOR) -> Tensor:
    """τ clamped from below, without dead pixels.

    A plain clamp has no gradient below the floor, so a pixel that once fell there could never come back
    however wrong it is. Here a step that would lift τ passes and a step that would sink it further does not.
    """
    return cast("Tensor", _ClampBelow.apply(log_sigma, floor))  # type: ignore[no-untyped-call]


def uncertainty_nll(
    error: Tensor, log_sigma: Tensor, weight: Tensor | None = None, floor: float = LOG_SIGMA_FLOOR
) -> Tensor:
    """Eq. 4, L_un1 = (1/n) Σ ε / exp(τ) + (1/n) Σ τ, in float32 and over weighted pixels.

    Minimal where exp(τ) = E ε. The gradient also reaches ε: a robust reconstruction loss that counts a pixel
    less the less certain it is. Pass `error.detach()` to train σ alone.

    Shape:
        error: (B, 1, h, w) ε ≥ 0.
        log_sigma: (B, 1, h, w) τ.
        weight: broadcastable to them, ≥ 0 (`region_weight`); None = all pixels alike. 0 if every weight is 0.
    """
    tau = clamp_log_sigma(log_sigma.float(), floor)
    return _weighted_mean(error.float() * (-tau).exp() + tau, weight)


def error_head_loss(
    predicted: Tensor,
    error: Tensor,
    weight: Tensor | None = None,
    kind: Literal["l1", "log_l1"] = "l1",
    floor: float = 1.0 / 255.0,
) -> Tensor:
    """Supervise the predicted error map ε̂ with the true one; ε is detached.

    Through ε this loss would reach the picture, which could then please it by being wrong where it says so.

    Args:
        predicted: (B, 1, h, w) ε̂ ≥ 0.
        error: (B, 1, h, w) ε of Eq. 2.
        weight: as in `uncertainty_nll`.
        kind: "l1" is |ε̂ − ε|, whose best answer is the median; "log_l1" is |log(ε̂ + floor) − log(ε +
            floor)|, which counts a factor of two alike in a flat cheek and at the lips.
        floor: what is added inside the logarithm, one code value.
    """
    predicted, error = predicted.float(), error.detach().float()
    if kind == "log_l1":
        predicted, error = (predicted.clamp(min=0.0) + floor).log(), (error + floor).log()
    return _weighted_mean((predicted - error).abs(), weight)


def bin_offsets(bins: int, alpha_max: float, spacing: Spacing) -> Tensor:
    """The temperatures α_0 = 0 … α_m = `alpha_max` of the bin centres, m = bins − 1 (Section 3.3).

    Source:
        SEDNet's code: `logspace(0, log10(1 + alpha_max), bins) − 1`, or evenly spaced.
    """
    if bins < 2:
        msg = f"a histogram needs at least 2 bins, not {bins}"
        raise ValueError(msg)
    if spacing == "linear":
        return torch.linspace(0.0, alpha_max, bins)
    return torch.logspace(0.0, math.log10(1.0 + alpha_max), bins) - 1.0


def soft_histogram(
    values: Tensor, centres: Tensor, width: Tensor | float, weight: Tensor, lambda1: float = 10.0
) -> Tensor:
    """Eq. 6 and 7: each value shares itself among the bins by softmax(λ1 · exp(−(centre − value)² / λ2)).

    Shape:
        values, weight: (n,).
        centres: (bins,).
        width: λ2, in squared units of the values.

    Returns:
        (bins,) that sums to 1.
    """
    nearness = lambda1 * torch.exp(-(centres - values[:, None]).square() / width)  # (n, bins)
    counts = weight @ nearness.softmax(dim=1)
    return counts / counts.sum()  # the sum of the weights, up to rounding


def distribution_matching(
    error: Tensor,
    sigma: Tensor,
    weight: Tensor | None = None,
    *,
    bins: int = 11,
    alpha_max: float = 5.0,
    spacing: Spacing = "log",
    lambda1: float = 10.0,
    width: float = 0.5,
    detach_statistics: bool = True,
    detach_error: bool = False,
    direction: Direction = "error||sigma",
    variant: Variant = "scale_free",
    max_samples: int = 65536,
) -> Tensor:
    """Eq. 6 to 8, L_un2 = Σ_j H_ε(j) log(H_ε(j) / H_σ(j)), in float32.

    Bin centres are u_ε + α_j s_ε with the mean and standard deviation of ε; the same centres bin σ = exp(τ).

    Args:
        error: any shape, ε ≥ 0.
        sigma: same shape, σ > 0.
        weight: broadcastable, ≥ 0; pixels of weight 0 do not count. None = all alike.
        bins: m + 1, the paper's B.
        alpha_max: α_m.
        spacing: of the α_j.
        lambda1: λ1 of Eq. 6.
        width: λ2 of Eq. 6 as a multiple of s_ε². The paper gives no number, and SEDNet's 5 belongs to
            disparities in pixels: on pictures in [0, 1] it makes both histograms flat and the loss inert.
                Values from 0.25 to 2 behave.
        detach_statistics: keep the gradient from moving the bins through u_ε and s_ε (SEDNet lets it).
        detach_error: keep the gradient from moving ε at all.
        direction: Eq. 8 and SEDNet's code are KL(H_ε ‖ H_σ); Eq. 5 writes the other one.
        variant: "sednet" is SEDNet's fixed λ2 = 5, on ε and σ in 0–255 code values; `width` is then not used.
        max_samples: at most so many pixels are binned, evenly spaced over those that count. A histogram needs
            no more.

    Returns:
        A scalar ≥ 0; 0 when no pixel counts.

    Source:
        JULNet (ICMR 2025), Section 3.3; SEDNet (CVPR 2023) for the numbers.
    """
    error, sigma, share = _sample(error, sigma, weight, max_samples)
    if error.numel() == 0:
        return (error.sum() + sigma.sum()) * 0.0
    if detach_error:
        error = error.detach()
    if variant == "sednet":
        error, sigma = error * 255.0, sigma * 255.0

    mean, std = _mean_std(error.detach() if detach_statistics else error, share)
    std = std.clamp(min=torch.finfo(torch.float32).eps)  # a perfect picture has no spread
    centres = mean + bin_offsets(bins, alpha_max, spacing).to(error.device) * std
    lambda2: Tensor | float = 5.0 if variant == "sednet" else width * std.square()
    h_error = soft_histogram(error, centres, lambda2, share, lambda1)
    h_sigma = soft_histogram(sigma, centres, lambda2, share, lambda1)

    p, q = (h_error, h_sigma) if direction == "error||sigma" else (h_sigma, h_error)
    return (p * (p / q).log()).sum()


def _sample(error: Tensor, sigma: Tensor, weight: Tensor | None, max_samples: int) -> tuple[Tensor, Tensor, Tensor]:
    """The pixels that count as three flat float32 tensors (ε, σ, weight)."""
    weight = torch.ones_like(error) if weight is None else weight.expand_as(error)
    index = weight.reshape(-1).nonzero().squeeze(1)
    if len(index) > max_samples:
        # Steps that are no whole number visit every column of the picture; no random state is touched.
        steps = torch.arange(max_samples, device=index.device, dtype=torch.float64) * (len(index) / max_samples)
        index = index[steps.long()]
    return tuple(x.reshape(-1)[index].float() for x in (error, sigma, weight))  # type: ignore[return-value]


def _weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return values.mean()
    weight = weight.to(values.dtype).expand_as(values)
    return (values * weight).sum() / weight.sum().clamp(min=torch.finfo(values.dtype).tiny)


def _mean_std(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and (population) standard deviation."""
    mean = _weighted_mean(values, weight)
    return mean, (_weighted_mean((values - mean).square(), weight) + 1e-20).sqrt()
