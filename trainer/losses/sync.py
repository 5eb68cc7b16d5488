"""Lip-sync losses: Eq. 13 for the generator, and three ways to train the SyncNet that judges it."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor


def lip_sync_loss(scores: Tensor) -> Tensor:
    """Eq. 13, L_sync = E (syncnet(A, I_gen) − 1)².

    Shape:
        scores: any shape; what the frozen SyncNet makes of (audio, generated mouths), 1 = in sync. For a
            network that gives embeddings this is their cosine.
    """
    return (scores - 1.0).square().mean()


def contrastive_loss(video: Tensor, audio: Tensor, in_sync: Tensor, margin: float = 1.0) -> Tensor:
    """The contrastive loss of SyncNet: ½ E [y d² + (1 − y) max(margin − d, 0)²], d = ‖v − a‖.

    Shape:
        video, audio: (B, E) embeddings, L2-normalised by their network, so that 0 ≤ d ≤ 2.
        in_sync: (B,) 1 where the pair belongs together, else 0.

    Source:
        Chung & Zisserman, Out of time (ACCV workshops 2016), Eq. 1 — the paper's reference [9] for
        "contrastive loss".
    """
    # The gradient of a plain norm is undefined at d = 0, which identical embeddings do reach.
    squared = (video - audio).square().sum(dim=1)
    distance = (squared + 1e-12).sqrt()
    apart = (margin - distance).clamp(min=0.0).square()
    return 0.5 * torch.where(in_sync > 0.5, squared, apart).mean()


def cosine_bce_loss(video: Tensor, audio: Tensor, in_sync: Tensor, scale: Tensor | float | None = None) -> Tensor:
    """Binary cross-entropy on the cosine of the two embeddings.

    Args:
        video: (B, E).
        audio: (B, E).
        in_sync: (B,) 1 where the pair belongs together, else 0.
        scale: None reads the cosine, clamped to [0, 1], as the probability (Wav2Lip's way, for embeddings
            after a ReLU); a number or a learnt scalar reads `scale · cosine` as its logit, which also works
            when embeddings have both signs.

    Source:
        Prajwal et al., Wav2Lip (ACM MM 2020), Section 3.
    """
    cosine = F.cosine_similarity(video, audio, dim=1)
    target = in_sync.to(cosine.dtype)
    if scale is None:
        # 1e-6 keeps the gradient finite where the cosine is exactly 0 or 1.
        return F.binary_cross_entropy(cosine.clamp(1e-6, 1.0 - 1e-6), target)
    return F.binary_cross_entropy_with_logits(cosine * scale, target)


def info_nce_loss(
    video: Tensor, audio: Tensor, scale: Tensor | float = 14.0, negatives: Tensor | None = None
) -> Tensor:
    """Symmetric contrastive loss: each window must find its own sound in the batch, and back.

    The other windows are the negatives, so a batch that holds several shifted windows of each clip and
    windows of other speakers gives offset and cross-speaker negatives at once.

    Args:
        video: (B, E).
        audio: (B, E), row i in sync with row i of `video`.
        scale: inverse temperature, a number or a learnt scalar.
        negatives: (B, B) bool; False at (i, j) takes window j out of the choices of window i, e.g. where the
            two overlap in time so much that calling them different would be wrong. The diagonal is always a
            choice.

    Source:
        van den Oord et al., CPC (2018), Eq. 4, in the symmetric form of Radford et al., CLIP (2021).
    """
    logits = F.normalize(video, dim=1) @ F.normalize(audio, dim=1).T * scale  # (B, B)
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    if negatives is not None:
        logits = logits.masked_fill(~(negatives | own), float("-inf"))
    target = torch.arange(len(logits), device=logits.device)
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target))
