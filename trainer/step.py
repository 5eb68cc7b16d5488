"""One training step: render, weigh the losses (Eq. 14), step the generator and, where there are some, its judges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from julnet_plugin.errors import SettingsError
from julnet_plugin.face.crop import mouth_square
from julnet_plugin.model.generator import Generator, GeneratorOutput
from julnet_plugin.model.syncnet import SyncNet
from trainer.batches import Batch
from trainer.board import NoBoard
from trainer.config import LossSettings, OptimSettings, TrainSettings
from trainer.discriminator import DINET_WIDTHS, PATCH_PX, ClipDiscriminator, PatchDiscriminator
from trainer.loop import Drawn, descend, finite_mean
from trainer.losses import (
    distribution_matching,
    error_head_loss,
    error_map,
    inlier_weight,
    lip_sync_loss,
    lsgan_discriminator_loss,
    lsgan_generator_loss,
    region_weight,
    uncertainty_nll,
)
from trainer.perceptual import FeatureNetwork, perceptual_loss, to_device
from trainer.state import Companions
from trainer.team import Team

if TYPE_CHECKING:
    from trainer.losses.uncertainty import Direction, Spacing, Variant

_WIDTHS = (32, 64, 128, 128)  #: of the judges, light enough for a CPU

Terms = dict[str, Tensor]


@runtime_checkable
class LipPainter(Protocol):
    """A generator whose sound passes through a lip shape, so that training can tell it true shapes as well."""

    audio_encoder: nn.Module  #: taught on landmarks before, and left alone here

    def render(self, masked_source: Tensor, mask: Tensor, lips: Tensor, refs: tuple[Tensor, ...]) -> GeneratorOutput:
        """Paint a given lip shape (B, K)."""
        ...


class Adversary:
    """The judges of the adversarial loss and their optimiser (Eq. 10 and 11): of a picture, and of a few in a row.

    Both networks are judged by their state before the step, so that a step comes out the same however its batches are
    shared among processes.
    """

    def __init__(self, settings: LossSettings, rate: float, frames: int) -> None:
        widths = DINET_WIDTHS if settings.discriminator == "dinet" else _WIDTHS
        judges: dict[str, nn.Module] = {}
        if settings.adversarial > 0:
            judges["picture"] = PatchDiscriminator(3, widths)
        if settings.adversarial_clip > 0:
            judges["clip"] = ClipDiscriminator(frames, widths)
        self.net, self._frames = nn.ModuleDict(judges), frames
        self.optimiser = torch.optim.Adam(self.net.parameters(), rate, betas=(0.5, 0.999))

    def learn(self, fake: Tensor, real: Tensor, share: float) -> Tensor:
        """Add L_D's gradient on detached pictures; returns L_D, the mean over the judges."""
        losses = [
            lsgan_discriminator_loss(judge(self._seen(name, real)), judge(self._seen(name, fake.detach())))
            for name, judge in self.net.items()
        ]
        loss = torch.stack(losses).mean()
        (torch.stack(losses).sum() * share).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def judge(self, fake: Tensor) -> Terms:
        """L_G by each judge, with gradient to the pictures only."""
        names = {"picture": "adversarial", "clip": "adversarial_clip"}
        self.net.requires_grad_(False)
        try:
            return {
                names[name]: lsgan_generator_loss(judge(self._seen(name, fake))) for name, judge in self.net.items()
            }
        finally:
            self.net.requires_grad_(True)

    def _seen(self, name: str, pictures: Tensor) -> Tensor:
        return pictures.reshape(-1, self._frames, *pictures.shape[1:]) if name == "clip" else pictures


def trained_parameters(net: Generator, only: str = "") -> list[nn.Parameter]:
    """What the generator's optimiser moves: all, but for an audio branch that speaks in lip shapes; or one part.

    Raises:
        SettingsError: the network has no such part.
    """
    if only:
        part = dict(net.named_children()).get(only)
        found = [] if part is None else list(part.parameters())
        if not found:
            parts = ", ".join(name for name, child in net.named_children() if any(True for _ in child.parameters()))
            msg = f"optim.only is {only!r}, and the network has no such part; it has {parts}"
            raise SettingsError(msg, key="optim.only")
        return found
    kept = "audio_encoder." if isinstance(net, LipPainter) else ""
    return [p for name, p in net.named_parameters() if not (kept and name.startswith(kept))]


def generator_optimiser(parameters: Sequence[nn.Parameter], settings: OptimSettings) -> torch.optim.Optimizer:
    """AdamW over what is trained."""
    return torch.optim.AdamW(parameters, settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.99))


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
    if settings.uncertainty > 0 and settings.nll > 0:
        counted = region_weight(batch.mask, round(settings.halo * batch.mask.shape[-1]))
        if settings.inliers > 0:
            counted = inlier_weight(error, counted, settings.inliers)
        terms["uncertainty"] = uncertainty_nll(error, output.log_sigma, counted)
    if settings.error_head > 0:
        terms["error_head"] = error_head_loss(output.error, error, batch.mask)
    if settings.uncertainty > 0 and settings.matching > 0:
        terms["matching"] = distribution_matching(
            error,
            output.log_sigma.exp(),
            batch.mask,
            bins=settings.bins,
            spacing=cast("Spacing", settings.spacing),
            width=settings.width,
            detach_statistics=settings.detach_statistics,
            direction=cast("Direction", settings.direction),
            variant=cast("Variant", settings.variant),
        )
    if network is not None and settings.perceptual > 0:
        terms["perceptual"] = perceptual_loss(network, output.image, batch.target, box=lip_box(batch), full=full)
    return terms


def total_loss(terms: Terms, settings: LossSettings) -> Tensor:
    """Eq. 14: the weighted sum."""
    weights = {
        "pixel": settings.pixel,
        "uncertainty": settings.uncertainty * settings.nll,
        "matching": settings.uncertainty * settings.matching,
        "error_head": settings.error_head,
        "adversarial": settings.adversarial,
        "adversarial_clip": settings.adversarial_clip,
        "sync": settings.sync,
        "perceptual": settings.perceptual,
    }
    return torch.stack([weights[name] * value for name, value in terms.items()]).sum()


def lip_box(batch: Batch) -> tuple[slice, slice]:
    """The part of the mouth square in which speech changes most: all but its upper fifth and its sides."""
    k = batch.target.shape[-1] / 160
    return slice(round(92 * k), round(188 * k)), slice(round(24 * k), round(136 * k))


def judged_box(batch: Batch) -> tuple[slice, slice]:
    """What the judges of the adversarial loss see: the lips, or the mouth square where no patch fits the lips.

    Around the square nothing is painted: a judge would be shown the same pixels as true and as generated.
    """
    size = (int(batch.target.shape[-2]), int(batch.target.shape[-1]))
    for rows, columns in (lip_box(batch), mouth_square(size)):
        if min(rows.stop - rows.start, columns.stop - columns.start) >= PATCH_PX:
            return rows, columns
    return slice(0, size[0]), slice(0, size[1])


def sync_scores(syncnet: SyncNet, image: Tensor, batch: Batch) -> Tensor:
    """What a frozen SyncNet makes of a batch of clips, (G,): each clip's middle frames with the sound around them."""
    clips = len(batch.refs)
    frames = len(image) // clips
    wanted = syncnet.config.frames
    first = (frames - wanted) // 2
    views = syncnet.mouth_view(image.reshape(clips, frames, *image.shape[1:]))[:, first : first + wanted]
    sound = batch.audio.reshape(clips, frames, *batch.audio.shape[1:])[:, first + wanted // 2]
    return syncnet(views, sound)  # type: ignore[no-any-return]


class GeneratorLesson:
    """One step of the generator, and of its judges where there are some; satisfies `trainer.loop.Lesson`.

    Args:
        net: the generator.
        network: for the perceptual loss, or None.
        settings: of the run.
        syncnet: for the lip-sync loss, or None; it is frozen.
    """

    def __init__(
        self, net: Generator, network: FeatureNetwork | None, settings: TrainSettings, syncnet: SyncNet | None = None
    ) -> None:
        self.net, self._network, self._settings = net, network, settings
        self._syncnet = None if syncnet is None else syncnet.eval().requires_grad_(False)
        self._trained = trained_parameters(net, settings.optim.only)
        self.optimiser = generator_optimiser(self._trained, settings.optim)
        net.requires_grad_(not settings.optim.only)
        for parameter in self._trained:
            parameter.requires_grad_(True)
        loss = settings.loss
        self._adversary: Adversary | None = None
        self.companions: Companions = {}
        if loss.adversarial > 0 or loss.adversarial_clip > 0:
            torch.manual_seed(settings.seed)
            self._adversary = Adversary(loss, settings.optim.learning_rate, settings.data.frames)
            self.companions = {"adversary": (self._adversary.net, self._adversary.optimiser)}
        self._render = torch.compile(render) if settings.compile else render
        self._half = False
        self._last: tuple[Batch, GeneratorOutput] | None = None

    def to(self, device: torch.device, half: bool) -> None:
        """See `Lesson`."""
        self._half = half
        self.net.to(device).train(not self._settings.optim.only)
        if self._settings.optim.only:  # what is left alone draws as it does in a take
            getattr(self.net, self._settings.optim.only).train()
        if self._network is not None:
            self._network = to_device(self._network, device)
        for module in (self._syncnet, None if self._adversary is None else self._adversary.net):
            if module is not None:
                module.to(device)

    def step(self, drawn: Sequence[Drawn], step: int, team: Team) -> dict[str, float]:
        """See `Lesson`."""
        settings, adversary = self._settings, self._adversary
        self.optimiser.zero_grad(set_to_none=True)
        if adversary is not None:
            adversary.optimiser.zero_grad(set_to_none=True)
        share = 1.0 / (len(drawn) * team.size)
        summed: Terms = {}
        for batch, seed in drawn:
            torch.manual_seed(seed)
            terms = self._learn(batch, step, share)
            summed = {name: value.detach() * share + summed.get(name, 0) for name, value in terms.items()}
        values = finite_mean(summed, team, step)
        team.average_buffers(self.net)
        stepped = descend(self._trained, self.optimiser, team, settings.optim.clip_norm)
        if adversary is not None:
            judges = list(adversary.net.parameters())
            team.sum_gradients(judges)
            if all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in judges):
                adversary.optimiser.step()
        return values if stepped else values | {"skipped": 1.0}

    def show(self, board: NoBoard, step: int) -> None:
        """See `Lesson`."""
        if self._last is not None:
            board.pictures(step, *self._last)

    def _learn(self, batch: Batch, step: int, share: float) -> Terms:
        """Add the gradients of one batch; returns its terms and their total."""
        loss = self._settings.loss
        with torch.autocast(batch.target.device.type, torch.bfloat16, enabled=self._half):
            rendered = self._render(self.net, batch)
        output = GeneratorOutput(*(x.float() for x in rendered))
        full = step % loss.perceptual_full_every == 0
        terms = generator_losses(output, batch, loss, self._network, full)
        judged: Terms = {}
        if self._adversary is not None:
            rows, columns = judged_box(batch)
            fake, real = output.image[..., rows, columns], batch.target[..., rows, columns]
            judged["discriminator"] = self._adversary.learn(fake, real, share)
            terms |= self._adversary.judge(fake)
        if self._syncnet is not None and loss.sync > 0:
            terms["sync"] = lip_sync_loss(sync_scores(self._syncnet, output.image, batch))
        total = total_loss(terms, loss)
        if not total.requires_grad:
            only = self._settings.optim.only
            msg = f"no loss reaches {only}, which alone is to learn; weigh one that does, such as loss.nll"
            raise SettingsError(msg, key="optim.only")
        if bool(torch.isfinite(total)):  # else nothing may be added: `finite_mean` ends the run
            (total * share).backward()  # type: ignore[no-untyped-call]
        self._last = (batch, GeneratorOutput(*(x.detach() for x in output)))
        return terms | judged | {"total": total}
