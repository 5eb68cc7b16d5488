"""Perceptual distances between pictures: LPIPS with its official weights, or a substitute that says what it is.

The names in reports: "lpips-vgg" and "lpips-alex" are the published metric; "vgg3-distance" is the same arithmetic on
the first three stages of VGG-19 without trained heads; "filterbank-distance" needs no weights at all. They are on
different scales and must never be compared with one another.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from julnet_plugin.errors import CheckpointError
from trainer.filterbank import FilterBank
from trainer.perceptual import FeatureNetwork
from trainer.vgg import IMAGENET_MEAN, IMAGENET_STD, find_weights, load_vgg, read_weights

log = logging.getLogger(__name__)

LPIPS_TAPS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")  #: of VGG-16
VGG3_TAPS = ("relu1_2", "relu2_2", "relu3_3")  #: of VGG-19
_ALEX_CONVS = ((0, 64, 11, 4, 2), (3, 192, 5, 1, 2), (6, 384, 3, 1, 1), (8, 256, 3, 1, 1), (10, 256, 3, 1, 1))


class PictureDistance(Protocol):
    """How different two pictures look; lower is nearer, 0 is the same."""

    name: str
    network: FeatureNetwork

    def __call__(self, generated: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
        """Distance of each pair.

        Shape:
            generated, truth: (B, 3, h, w) RGB in [0, 1].
            mask: (B, 1, h, w); where differences count. Features see beyond its edge.
            returns: (B,).
        """

    def compare(self, generated: Sequence[Tensor], truth: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
        """The same, from what `network` made of the pictures: for several masks the network runs once."""


class _OnFeatures(ABC):
    """A distance that is a function of a network's features."""

    network: FeatureNetwork

    @torch.no_grad()
    def __call__(self, generated: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
        """See `PictureDistance`."""
        return self.compare(self.network(generated), self.network(truth), mask)

    @abstractmethod
    def compare(self, generated: Sequence[Tensor], truth: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
        """See `PictureDistance`."""


class FeatureDistance(_OnFeatures):
    """Squared difference of unit-normalised features, summed over channels, averaged over space, summed over taps.

    Args:
        network: whose features to compare.
        name: what a report calls it.
        heads: one (1, C, 1, 1) tensor of channel weights a tap: LPIPS. None = every channel weighs 1, which is the
            "baseline" of the LPIPS authors.

    Source:
        Zhang et al., The unreasonable effectiveness of deep features (CVPR 2018), Eq. 1.
    """

    def __init__(self, network: FeatureNetwork, name: str, heads: Sequence[Tensor] | None = None) -> None:
        self.network = network
        self.name = name
        self.heads = heads

    def compare(self, generated: Sequence[Tensor], truth: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
        """See `PictureDistance`."""
        terms = []
        for k, (g, t) in enumerate(zip(generated, truth, strict=True)):
            difference = (_unit(g.float()) - _unit(t.float())).square()
            if self.heads is not None:
                difference = difference * self.heads[k].to(difference.device)
            terms.append(spatial_mean(difference.sum(dim=1, keepdim=True), mask))
        return torch.stack(terms).sum(dim=0)


class FilterBankDistance(_OnFeatures):
    """Mean absolute difference of the filter bank's maps: the weight-free substitute."""

    name = "filterbank-distance"

    def __init__(self) -> None:
        self.network: FeatureNetwork = FilterBank()

    def compare(self, generated: Sequence[Tensor], truth: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
        """See `PictureDistance`."""
        maps = zip(generated, truth, strict=True)
        return torch.stack([spatial_mean((g - t).abs().mean(1, keepdim=True), mask) for g, t in maps]).mean(dim=0)


class AlexTaps(nn.Module):
    """AlexNet's five ReLU activations, frozen; torchvision's layout and input.

    Shape:
        (B, 3, h, w) RGB in [0, 1], at least 63 pixels a side.
    """

    mean: Tensor
    std: Tensor
    name = "alexnet[relu1,relu2,relu3,relu4,relu5]"

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.convs = nn.ModuleList()
        before = 3
        for position, after, kernel, stride, padding in _ALEX_CONVS:
            conv = nn.Conv2d(before, after, kernel, stride, padding)
            conv.load_state_dict({k: weights[f"features.{position}.{k}"] for k in ("weight", "bias")})
            self.convs.append(conv)
            before = after
        self.requires_grad_(False).eval()

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Activations, shallow first."""
        x = (picture - self.mean) / self.std
        found = []
        for k, conv in enumerate(self.convs):
            if k in (1, 2):
                x = F.max_pool2d(x, 3, stride=2)
            x = F.relu(conv(x))
            found.append(x)
        return found


def load_distance(
    lpips_backbone: Path | None = None, lpips_heads: Path | None = None, vgg19: str | Path | None = None
) -> PictureDistance:
    """The best perceptual distance that this machine has weights for; its `name` says which.

    Args:
        lpips_backbone: torchvision's VGG-16 or AlexNet file; None = what `JULNET_LPIPS_BACKBONE` names.
        lpips_heads: the matching heads v0.1, as `.pth` or safetensors; None = what `JULNET_LPIPS_HEADS` names.
        vgg19: as in `trainer.perceptual.load_perceptual_network`, for the substitute.

    Raises:
        CheckpointError: a file was given that isn't what it should be, or only one half of LPIPS.
    """
    backbone = find_weights(lpips_backbone, "JULNET_LPIPS_BACKBONE", "vgg16-397923af.pth")
    heads = find_weights(lpips_heads, "JULNET_LPIPS_HEADS", "lpips_v0.1_vgg.pth")
    if backbone is not None and heads is not None:
        return _lpips(backbone, heads)
    if lpips_backbone is not None or lpips_heads is not None:
        msg = "LPIPS needs both the backbone's weights and the heads; give --lpips-backbone and --lpips-heads"
        raise CheckpointError(msg, lpips_backbone or lpips_heads)
    if vgg19 != "filterbank":
        path = find_weights(vgg19, "JULNET_VGG19", "vgg19-*.pth")
        if path is not None:
            network = load_vgg(path, VGG3_TAPS)
            if network.taps == VGG3_TAPS:
                return FeatureDistance(network, "vgg3-distance")
    log.warning("no LPIPS and no VGG-19 weights found: pictures are compared by filterbank-distance, a substitute")
    return FilterBankDistance()


def _lpips(backbone: Path, heads: Path) -> FeatureDistance:
    weights, _ = read_weights(backbone)
    first = weights.get("features.0.weight")
    if first is None:
        msg = f"{backbone} is neither torchvision's VGG-16 nor its AlexNet"
        raise CheckpointError(msg, backbone)
    alex = first.shape[-1] == 11
    try:
        network = AlexTaps(weights) if alex else load_vgg(backbone, LPIPS_TAPS, "vgg16")
    except (KeyError, RuntimeError) as exc:
        msg = f"{backbone} does not hold AlexNet: {exc}"
        raise CheckpointError(msg, backbone) from exc
    table, _ = read_weights(heads)
    found = [table.get(f"lin{k}.model.1.weight") for k in range(5)]
    with torch.no_grad():
        widths = [f.shape[1] for f in network(torch.zeros(1, 3, 64, 64))]
    if [None if h is None else h.shape[1] for h in found] != widths:
        msg = f"{heads} does not hold the LPIPS heads of {network.name}, which need {widths} channels"
        raise CheckpointError(msg, heads)
    return FeatureDistance(network, "lpips-alex" if alex else "lpips-vgg", [h for h in found if h is not None])


def spatial_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """(B, 1, h', w') to (B,): the mean, weighted by the mask brought to the map's size by area."""
    if mask is None:
        return values.mean(dim=(1, 2, 3))
    weight = F.adaptive_avg_pool2d(mask.float(), values.shape[-2:])  # type: ignore[arg-type]
    return (values * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3)).clamp(min=1e-12)


def pooled_statistics(features: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
    """What a picture is made of, wherever it is in the picture: mean and spread of every feature channel.

    Shape:
        features: of B pictures, as a network gives them.
        mask: (B, 1, h, w); where to look.
        returns: (B, 2 · all channels).
    """
    parts = []
    for x in features:
        x = x.float()
        weight = None if mask is None else F.adaptive_avg_pool2d(mask.float(), x.shape[-2:])  # type: ignore[arg-type]
        mean = _channel_mean(x, weight)
        spread = (_channel_mean(x.square(), weight) - mean.square()).clamp(min=0).sqrt()
        parts += [mean, spread]
    return torch.cat(parts, dim=1)


def _channel_mean(x: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return x.mean(dim=(2, 3))
    return (x * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3)).clamp(min=1e-12)


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
