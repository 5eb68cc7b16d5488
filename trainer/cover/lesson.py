"""The lesson: what share of every cell is covered, cross entropy, the mouth above all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from julnet_plugin.face.cover import MOUTH
from trainer.board import NoBoard
from trainer.config import TrainSettings
from trainer.cover.batches import CoverBatch
from trainer.cover.network import CELLS, CoverNet
from trainer.loop import Drawn, descend, finite_mean
from trainer.state import Companions
from trainer.team import Team


class CoverLesson:
    """Satisfies `trainer.loop.Lesson`.

    Args:
        net: what learns.
        mouth: weight of the cells that are mouth, where the others have 1.
        settings: of the run.
    """

    def __init__(self, net: CoverNet, mouth: float, settings: TrainSettings) -> None:
        self.net, self._settings = net, settings
        self._weight = _weight(mouth)
        optim = settings.optim
        self.optimiser: torch.optim.Optimizer = torch.optim.AdamW(
            net.parameters(), optim.learning_rate, weight_decay=optim.weight_decay
        )
        self.companions: Companions = {}
        self._half = False

    def to(self, device: torch.device, half: bool) -> None:
        """See `Lesson`."""
        self.net.to(device).train()
        self._weight, self._half = self._weight.to(device), half

    def step(self, drawn: Sequence[Drawn], step: int, team: Team) -> dict[str, float]:
        """See `Lesson`."""
        self.optimiser.zero_grad(set_to_none=True)
        share = 1.0 / (len(drawn) * team.size)
        summed = torch.zeros((), device=self._weight.device)
        for batch, _ in drawn:
            loss = self.loss(batch)
            (loss * share).backward()  # type: ignore[no-untyped-call]
            summed = summed + loss.detach() * share
        values = finite_mean({"total": summed, "distance": summed}, team, step)
        moved = descend(list(self.net.parameters()), self.optimiser, team, self._settings.optim.clip_norm)
        return values if moved else values | {"skipped": 1.0}

    def loss(self, batch: CoverBatch) -> Tensor:
        """Weighted cross entropy, less that of the shares themselves, so that 0 is perfect."""
        with torch.autocast(batch.faces.device.type, torch.bfloat16, enabled=self._half):
            logits = self.net(batch.faces)
        return _distance(logits.float(), batch.shares, self._weight)

    def show(self, board: NoBoard, step: int) -> None:
        """Nothing to look at."""


class CoverChooser:
    """Scores averaged weights on faces that are not learnt from; see `trainer.loop.Validate`."""

    def __init__(self, batches: Sequence[CoverBatch], mouth: float) -> None:
        self._network, self._batches, self._weight = CoverNet().eval(), batches, _weight(mouth)

    @torch.no_grad()
    def __call__(self, weights: Mapping[str, Tensor]) -> dict[str, float]:
        """The loss decides."""
        self._network.load_state_dict({k: v.cpu() for k, v in weights.items()})
        losses = [_distance(self._network(b.faces), b.shares, self._weight) for b in self._batches]
        return {"score": -float(torch.stack(losses).mean())}


def _weight(mouth: float) -> Tensor:
    weight = torch.ones(CELLS, CELLS)
    weight[MOUTH] = mouth
    return weight / weight.mean()


def _distance(logits: Tensor, shares: Tensor, weight: Tensor) -> Tensor:
    least = F.binary_cross_entropy(shares, shares, reduction="none")
    return ((F.binary_cross_entropy_with_logits(logits, shares, reduction="none") - least) * weight).mean()
