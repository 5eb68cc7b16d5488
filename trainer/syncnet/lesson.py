"""The contrastive lesson: pictures find their own sound among that of other moments and other speakers, and back.

With minutes of footage contrast alone learns by heart. So both sides are also asked for the lip shape of the moment,
which landmarks tell and which is the same thing for every speaker; the heads that answer are thrown away in the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from julnet_plugin.model.syncnet import SyncNet
from trainer.board import NoBoard
from trainer.config import SyncTraining, TrainSettings
from trainer.loop import Drawn, descend, finite_mean
from trainer.losses import info_nce_loss
from trainer.state import Companions
from trainer.syncnet.pairs import PairBatch
from trainer.team import Team


class LipHeads(nn.Module):
    """What each side would say of the lips; only for training."""

    def __init__(self, embedding: int, numbers: int) -> None:
        super().__init__()
        self.seen, self.heard = nn.Linear(embedding, numbers), nn.Linear(embedding, numbers)


class SyncLesson:
    """Satisfies `trainer.loop.Lesson`.

    Args:
        net: an untrained SyncNet.
        lip_numbers: length of the lip shapes in a batch.
        importance: (lip_numbers,) weight of each of them.
        sync: how SyncNet is taught.
        settings: of the run.
    """

    def __init__(
        self, net: SyncNet, lip_numbers: int, importance: Tensor, sync: SyncTraining, settings: TrainSettings
    ) -> None:
        self.net, self._sync, self._settings = net, sync, settings
        torch.manual_seed(settings.seed)
        self._heads = LipHeads(net.config.embedding, lip_numbers)
        self._importance = importance
        optim = settings.optim
        rate, decay = optim.learning_rate, optim.weight_decay
        self.optimiser: torch.optim.Optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=decay)
        self._head_optimiser = torch.optim.AdamW(self._heads.parameters(), rate, weight_decay=decay)
        self.companions: Companions = {"heads": (self._heads, self._head_optimiser)}
        self._half = False

    def to(self, device: torch.device, half: bool) -> None:
        """See `Lesson`."""
        self.net.to(device).train()
        self._heads.to(device)
        self._importance, self._half = self._importance.to(device), half

    def step(self, drawn: Sequence[Drawn], step: int, team: Team) -> dict[str, float]:
        """See `Lesson`."""
        self.optimiser.zero_grad(set_to_none=True)
        self._head_optimiser.zero_grad(set_to_none=True)
        share = 1.0 / (len(drawn) * team.size)
        summed: dict[str, Tensor] = {}
        for batch, seed in drawn:
            torch.manual_seed(seed)
            terms = self.losses(batch)
            (terms["total"] * share).backward()  # type: ignore[no-untyped-call]
            for name, value in terms.items():
                summed[name] = summed.get(name, torch.zeros((), device=value.device)) + value.detach() * share
        values = finite_mean(summed, team, step)
        for group in self._head_optimiser.param_groups:
            group["lr"] = self.optimiser.param_groups[0]["lr"]
        team.sum_gradients(list(self._heads.parameters()))
        if not descend(list(self.net.parameters()), self.optimiser, team, self._settings.optim.clip_norm):
            return values | {"skipped": 1.0}
        self._head_optimiser.step()
        return values

    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """Contrast, lips seen, lips heard and their weighted total, and the share of pictures that find their sound."""
        with torch.autocast(batch.pictures.device.type, torch.bfloat16, enabled=self._half):
            seen = self.net.visual_encoder(batch.pictures.flatten(1, 2))
            heard = self.net.audio_encoder(batch.audio.transpose(1, 2))
        seen, heard = seen.float(), heard.float()
        scale = 1 / self.net.log_temperature.exp()
        terms = {"contrast": info_nce_loss(seen, heard, scale, batch.wrong)}
        for name, said in (("lips_seen", self._heads.seen(seen)), ("lips_heard", self._heads.heard(heard))):
            error = F.smooth_l1_loss(said, batch.lips, reduction="none", beta=0.5)
            terms[name] = (error * self._importance).mean()
        terms["total"] = terms["contrast"] + self._sync.lips * (terms["lips_seen"] + terms["lips_heard"])
        terms["found"] = found_share(seen.detach(), heard.detach(), batch.wrong)
        return terms

    def show(self, board: NoBoard, step: int) -> None:
        """Nothing to look at."""


def found_share(seen: Tensor, heard: Tensor, wrong: Tensor) -> Tensor:
    """Share of pictures whose own sound is nearer than any wrong one in the batch."""
    cosine = F.normalize(seen, dim=1) @ F.normalize(heard, dim=1).T
    best_wrong = cosine.masked_fill(~wrong, -2.0).amax(dim=1)
    return (cosine.diagonal() > best_wrong).float().mean()
