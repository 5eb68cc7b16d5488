"""One training step: render, weigh the losses (Eq. 14), step the generator and, where there is one, its judge."""

from __future__ import annotations

import math
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from julnet_plugin.model.generator import Generator, GeneratorOutput
from trainer.batches import Batch
from trainer.config import LossSettings, OptimSettings, TrainSettings
from trainer.discriminator import PatchDiscriminator
from trainer.losses import (
    distribution_matching,
    error_head_loss,
    error_map,
    lsgan_discriminator_loss,
    lsgan_generator_loss,
    uncertainty_nll,
)
from trainer.perceptual import FeatureNetwork, perceptual_loss

Terms = dict[str, Tensor]


@runtime_checkable
class LipPainter(Protocol):
    """A generator whose sound passes through a lip shape, so that training can tell it true shapes as well."""

    audio_encoder: nn.Module  #: taught on landmarks before, and left alone here

    def render(self, masked_source: Tensor, mask: Tensor, lips: Tensor, refs: tuple[Tensor, ...]) -> GeneratorOutput:
        """Paint a given lip shape (B, K)."""
        ...


class Adversary:
    """The patch discriminator and its optimiser, stepped alternately with the generator (Eq. 10 and 11)."""

    def __init__(self, rate: float) -> None:
        self.net = PatchDiscriminator(3, (32, 64, 128, 128))
        self.optimiser = torch.optim.Adam(self.net.parameters(), rate, betas=(0.5, 0.999))

    def step(self, fake: Tensor, real: Tensor) -> Tensor:
        """One discriminator step on detached pictures; returns L_D."""
        loss = lsgan_discriminator_loss(self.net(real), self.net(fake.detach()))
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return loss.detach()


def trained_parameters(net: Generator) -> list[nn.Parameter]:
    """What the generator's optimiser moves: all, but for an audio branch that speaks in lip shapes."""
    kept = "audio_encoder." if isinstance(net, LipPainter) else ""
    return [p for name, p in net.named_parameters() if not (kept and name.startswith(kept))]


def generator_optimiser(net: Generator, settings: OptimSettings) -> torch.optim.Optimizer:
    """AdamW over what is trained."""
    return torch.optim.AdamW(
        trained_parameters(net), settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.99)
    )


def render(net: Generator, batch: Batch) -> GeneratorOutput:
    """Render a batch: references once a clip, shared by the clip's targets."""
    references = net.encode_references(batch.refs, batch.ref_lips)
    frames = len(batch.target) // len(batch.refs)
    shared = tuple(r.repeat_interleave(frames, dim=0) for r in references)
    masked = batch.target * (1 - batch.mask)
    if isinstance(net, LipPainter):
        return net.render(masked, batch.mask, batch.lips, shared)
    return cast(GeneratorOutput, net(masked, batch.mask, batch.audio, shared))


def generator_losses(
    output: GeneratorOutput,
    batch: Batch,
    settings: LossSettings,
    network: FeatureNetwork | None,
    full: bool,
) -> Terms:
    """Every term of Eq. 14 but the adversarial one, unweighted.

    Args:
        output: of the generator.
        batch: what it was asked for.
        settings: decide which terms are computed.
        network: for the perceptual loss, or None.
        full: whether the perceptual loss looks at full size this time; it always looks at half size.
    """
    weight = batch.mask / batch.mask.mean().clamp(min=1e-6)
    error = error_map(output.image, batch.target)
    terms = {"pixel": (error * weight).mean()}
    if settings.uncertainty > 0:
        terms["uncertainty"] = uncertainty_nll(error, output.log_sigma, batch.mask)
    if settings.error_head > 0:
        terms["error_head"] = error_head_loss(output.error, error, batch.mask)
    if settings.uncertainty > 0 and settings.matching > 0:
        sigma = output.log_sigma.exp()
        terms["matching"] = distribution_matching(error, sigma, batch.mask, bins=settings.bins)
    if network is not None and settings.perceptual > 0:
        terms["perceptual"] = perceptual_loss(network, output.image, batch.target, box=lip_box(batch), full=full)
    return terms


def total_loss(terms: Terms, settings: LossSettings) -> Tensor:
    """Eq. 14: the weighted sum."""
    weights = {
        "pixel": settings.pixel,
        "uncertainty": settings.uncertainty,
        "matching": settings.uncertainty * settings.matching,
        "error_head": settings.error_head,
        "adversarial": settings.adversarial,
        "perceptual": settings.perceptual,
    }
    return torch.stack([weights[name] * value for name, value in terms.items()]).sum()


def lip_box(batch: Batch) -> tuple[slice, slice]:
    """The part of the mouth square in which speech changes most: all but its upper fifth and its sides."""
    k = batch.target.shape[-1] / 160
    return slice(round(92 * k), round(188 * k)), slice(round(24 * k), round(136 * k))


def train_step(
    net: Generator,
    batch: Batch,
    network: FeatureNetwork | None,
    adversary: Adversary | None,
    settings: TrainSettings,
    optimiser: torch.optim.Optimizer,
    step: int,
    half: bool = False,
) -> tuple[dict[str, float], GeneratorOutput]:
    """One step of the generator, and of the discriminator where there is one.

    Args:
        net: in train mode, on the batch's device.
        batch: what to learn from.
        network: for the perceptual loss, or None.
        adversary: for the adversarial loss, or None.
        settings: of the run.
        optimiser: of `net`.
        step: counted from 0.
        half: render in bfloat16; losses stay in float32.

    Returns:
        The unweighted terms, and what was rendered. Where the gradient was not finite the weights were left alone and
        there is a term "skipped".

    Raises:
        FloatingPointError: the loss is not finite; the weights were not touched.
    """
    with torch.autocast(batch.target.device.type, torch.bfloat16, enabled=half):
        rendered = render(net, batch)
    output = GeneratorOutput(*(x.float() for x in rendered))
    full = step % settings.loss.perceptual_full_every == 0
    terms = generator_losses(output, batch, settings.loss, network, full)
    judged: Terms = {}
    if adversary is not None:
        rows, columns = lip_box(batch)
        fake, real = output.image[..., rows, columns], batch.target[..., rows, columns]
        judged["discriminator"] = adversary.step(fake, real)
        terms["adversarial"] = lsgan_generator_loss(adversary.net(fake))
    loss = total_loss(terms, settings.loss)
    values = {name: float(value.detach()) for name, value in (terms | judged).items()}
    if not math.isfinite(total := float(loss.detach())):
        msg = f"the loss became {total} at step {step}: {', '.join(f'{k} {v:g}' for k, v in values.items())}"
        raise FloatingPointError(msg)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(trained_parameters(net), settings.optim.clip_norm)
    if not torch.isfinite(norm):
        return values | {"skipped": 1.0}, output
    optimiser.step()
    return values, output
