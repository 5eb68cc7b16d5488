"""The perceptual loss, Eq. 12, and the network behind it.

Which network that is depends on what the machine holds, and is always said: VGG-19 with its five taps
(torchvision's file), VGG-19 with fewer taps (a partial file), or the weight-free filter bank.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from trainer.filterbank import FilterBank
from trainer.vgg import find_weights, load_vgg

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

LOSS_TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

Box = tuple[slice, slice]  #: rows, columns


class FeatureNetwork(Protocol):
    """Pictures in, feature maps out, and a name that says exactly what it is."""

    @property
    def name(self) -> str:
        """For logs, run folders and reports."""

    def __call__(self, picture: Tensor) -> list[Tensor]:
        """(B, 3, h, w) RGB in [0, 1] to feature maps, shallow first."""


def load_perceptual_network(weights: str | Path | None = None) -> FeatureNetwork:
    """The network of the perceptual loss, frozen.

    Args:
        weights: a VGG-19 file, "filterbank" for the weight-free substitute, or None: the file that
            `JULNET_VGG19` names, else torchvision's in torch's cache, else the substitute, with a warning.

    Raises:
        CheckpointError: the file is not VGG-19.
    """
    if weights == "filterbank":
        return cast("FeatureNetwork", FilterBank())
    path = find_weights(weights, "JULNET_VGG19", "vgg19-*.pth")
    if path is None:
        log.warning(
            "no VGG-19 weights found (give a file or set JULNET_VGG19): the perceptual loss uses %s", FilterBank.name
        )
        return cast("FeatureNetwork", FilterBank())
    network = load_vgg(path, LOSS_TAPS)
    if network.taps != LOSS_TAPS:
        log.warning("%s is not the whole network: the perceptual loss uses %s", path, network.name)
    return cast("FeatureNetwork", network)


def perceptual_loss(
    network: FeatureNetwork,
    generated: Tensor,
    target: Tensor,
    *,
    box: Box | None = None,
    full: bool = True,
    half: bool = True,
) -> Tensor:
    """Eq. 12, L_pe = Σ_i ‖φ_i(I_gt) − φ_i(I_gen)‖₁, in DINet's reading: the mean L1, averaged over terms.

    The paper writes a sum; its weight λ3 = 10 is DINet's, whose code divides by the number of terms. One
    departure from DINet: it halves the two pictures by different filters, so a perfect picture would still
    cost something; here both go through the same one.

    Args:
        network: from `load_perceptual_network`.
        generated: (B, 3, h, w) RGB in [0, 1], with gradient.
        target: the same, true picture.
        box: rows and columns to look at, e.g. the mouth square with a margin; None = the whole crop.
        full: count the terms at full scale.
        half: count the terms at half scale. Alone it costs a quarter: good for early training on a CPU.
    """
    if not (full or half):
        msg = "the perceptual loss needs the full scale, the half scale or both"
        raise ValueError(msg)
    if box is not None:
        generated, target = generated[:, :, box[0], box[1]], target[:, :, box[0], box[1]]
    scales: list[Tensor] = []
    if full:
        scales.append(_mean_of_terms(network, generated, target))
    if half:
        scales.append(_mean_of_terms(network, halve(generated), halve(target)))
    return torch.stack(scales).mean()


def halve(picture: Tensor) -> Tensor:
    """Half size by a 3x3 mean that ignores what lies outside the picture."""
    return F.avg_pool2d(picture, 3, stride=2, padding=1, count_include_pad=False)


def box_around(mask: Tensor, margin_px: int, multiple: int = 8) -> Box:
    """The smallest rows and columns that hold the mask of the whole batch, grown by a margin.

    Shape:
        mask: (B, 1, h, w); where it is 0 everywhere the whole picture is returned.

    Args:
        mask: 1 = generated.
        margin_px: grown by so much on each side, as far as the picture goes: features see their surroundings.
        multiple: sides become multiples of it where the picture is large enough, so that pools divide evenly.
    """
    h, w = mask.shape[-2:]
    rows = mask.amax(dim=(0, 1, 3)).nonzero().flatten()
    columns = mask.amax(dim=(0, 1, 2)).nonzero().flatten()
    if len(rows) == 0:
        return slice(0, h), slice(0, w)
    return _grown(rows, margin_px, multiple, h), _grown(columns, margin_px, multiple, w)


def _grown(used: Tensor, margin: int, multiple: int, limit: int) -> slice:
    start, stop = max(0, int(used[0]) - margin), min(limit, int(used[-1]) + 1 + margin)
    length = min(limit, -(-(stop - start) // multiple) * multiple)
    start = min(start, limit - length)
    return slice(start, start + length)


def _mean_of_terms(network: FeatureNetwork, generated: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        wanted = network(target)
    found = network(generated)
    return torch.stack([(g.float() - t.float()).abs().mean() for g, t in zip(found, wanted, strict=True)]).mean()


def to_device(network: FeatureNetwork, device: torch.device | str) -> FeatureNetwork:
    """Move it, in the memory layout that convolutions are fastest in."""
    if isinstance(network, nn.Module):
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
