"""The training loop of a generator: draw, render, weigh the losses, step, average, log, save.

The audio branch has been taught on lip shape before (`lipshape.py`); the generator learns to paint lip shapes, some of
them true, some of them heard by an encoder that never met the speaker. Time, not steps, is the budget: the learning
rate falls over it.
"""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from julnet_plugin.model.generator import GeneratorOutput
from julnet_plugin.model.rt import RtGenerator
from trainer.batches import Batch, Batches
from trainer.config import LossSettings, TrainSettings
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
from trainer.state import Ema, load_state, save_state

log = logging.getLogger(__name__)


def learning_rate_at(settings: TrainSettings, step: int, spent: float) -> float:
    """Linear warm-up over steps, then a cosine over the share of the time budget that is spent."""
    optim = settings.optim
    if step < optim.warmup_steps:
        return optim.learning_rate * (step + 1) / optim.warmup_steps
    fall = 0.5 * (1 + math.cos(math.pi * min(spent, 1.0)))
    return optim.final_rate + (optim.learning_rate - optim.final_rate) * fall


def render(net: RtGenerator, batch: Batch) -> GeneratorOutput:
    """Render a batch: references once a clip, shared by the clip's targets."""
    references = net.encode_references(batch.refs, batch.ref_lips)
    frames = len(batch.target) // len(batch.refs)
    shared = tuple(r.repeat_interleave(frames, dim=0) for r in references)
    return net.render(batch.target * (1 - batch.mask), batch.mask, batch.lips, shared)


def generator_losses(
    output: GeneratorOutput,
    batch: Batch,
    settings: LossSettings,
    network: FeatureNetwork | None,
    full: bool,
) -> dict[str, Tensor]:
    """Every term of Eq. 14 but the adversarial one, unweighted.

    Args:
        full: whether the perceptual loss looks at full size this time; it always looks at half size.
    """
    weight = batch.mask / batch.mask.mean().clamp(min=1e-6)
    error = error_map(output.image, batch.target)
    terms = {
        "pixel": (error * weight).mean(),
        "uncertainty": uncertainty_nll(error, output.log_sigma, batch.mask),
        "error_head": error_head_loss(output.error, error, batch.mask),
    }
    if settings.matching > 0:
        sigma = output.log_sigma.exp()
        terms["matching"] = distribution_matching(error, sigma, batch.mask, bins=settings.bins)
    if network is not None and settings.perceptual > 0:
        terms["perceptual"] = perceptual_loss(network, output.image, batch.target, box=_lip_box(batch), full=full)
    return terms


def total_loss(terms: dict[str, Tensor], settings: LossSettings) -> Tensor:
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


def _lip_box(batch: Batch) -> tuple[slice, slice]:
    """The part of the mouth square in which speech changes most: all but its upper fifth and its sides."""
    k = batch.target.shape[-1] // 160
    return slice(92 * k, 188 * k), slice(24 * k, 136 * k)


class Adversary:
    """The patch discriminator and its optimiser, stepped alternately with the generator (Eq. 10 and 11)."""

    def __init__(self, rate: float) -> None:
        self.net = PatchDiscriminator(3, (32, 64, 128, 128))
        self.optimiser = torch.optim.Adam(self.net.parameters(), rate, betas=(0.5, 0.999))

    def step(self, fake: Tensor, real: Tensor) -> Tensor:
        """One discriminator step on detached pictures; returns L_D."""
        loss = lsgan_discriminator_loss(self.net(real), self.net(fake.detach()))
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.detach()


def train(
    net: RtGenerator,
    batches: Batches,
    network: FeatureNetwork | None,
    settings: TrainSettings,
    run: Path,
) -> Ema:
    """Train until the time budget or the step limit is reached; continue where `run` stopped.

    Writes `log.jsonl`, `state.safetensors` and `config.json` into `run`.

    Raises:
        FloatingPointError: a loss became NaN; the last good state is on disk.
    """
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps(asdict(settings), indent=1))
    torch.manual_seed(settings.seed)
    optim = settings.optim
    trained = [p for name, p in net.named_parameters() if not name.startswith("audio_encoder.")]
    optimiser = torch.optim.AdamW(trained, optim.learning_rate, weight_decay=optim.weight_decay, betas=(0.9, 0.99))
    ema = Ema(net, optim.ema)
    step, spent_s = 0, 0.0
    state_file = run / "state.safetensors"
    if state_file.exists():
        facts = load_state(state_file, net, ema, optimiser)
        step, spent_s = int(facts["step"]), float(facts["spent_s"])
        log.info("continuing at step %d", step)
    adversary = Adversary(optim.learning_rate) if settings.loss.adversarial > 0 else None
    started, saved = time.monotonic() - spent_s, time.monotonic()
    while step < settings.max_steps and (spent := (time.monotonic() - started) / (60 * settings.minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate_at(settings, step, spent)
        terms = train_step(net, batches.draw(step), network, adversary, settings, optimiser, trained, step)
        ema.update(net)
        step += 1
        if step % 20 == 0:
            _log(run, step, time.monotonic() - started, terms)
        if time.monotonic() - saved > settings.save_every_s:
            save_state(state_file, net, ema, optimiser, {"step": step, "spent_s": time.monotonic() - started})
            saved = time.monotonic()
    save_state(state_file, net, ema, optimiser, {"step": step, "spent_s": time.monotonic() - started})
    return ema


def train_step(
    net: RtGenerator,
    batch: Batch,
    network: FeatureNetwork | None,
    adversary: Adversary | None,
    settings: TrainSettings,
    optimiser: torch.optim.Optimizer,
    trained: list[nn.Parameter],
    step: int,
) -> dict[str, float]:
    """One step of the generator, and of the discriminator where there is one; returns the unweighted terms."""
    output = render(net, batch)
    full = step % settings.loss.perceptual_full_every == 0
    terms = generator_losses(output, batch, settings.loss, network, full)
    if adversary is not None:
        rows, columns = _lip_box(batch)
        fake, real = output.image[..., rows, columns], batch.target[..., rows, columns]
        judged = adversary.step(fake, real)
        terms["adversarial"] = lsgan_generator_loss(adversary.net(fake))
    loss = total_loss(terms, settings.loss)
    if not torch.isfinite(loss):
        msg = (
            f"the loss became {float(loss)} at step {step}: {', '.join(f'{k} {float(v):g}' for k, v in terms.items())}"
        )
        raise FloatingPointError(msg)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(trained, settings.optim.clip_norm)
    optimiser.step()
    values = {name: float(value.detach()) for name, value in terms.items()}
    return values | {"discriminator": float(judged)} if adversary is not None else values


def _log(run: Path, step: int, seconds: float, terms: dict[str, float]) -> None:
    row: dict[str, Any] = {"step": step, "seconds": round(seconds, 1)} | {k: round(v, 5) for k, v in terms.items()}
    with (run / "log.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    log.info("%s", row)
