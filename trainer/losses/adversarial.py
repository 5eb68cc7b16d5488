"""Least-squares adversarial loss: Eq. 10 and 11."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def lsgan_generator_loss(fake_scores: Tensor) -> Tensor:
    """Eq. 11, L_G = E (D(I_gen) − 1)².

    Shape:
        fake_scores: any shape; the discriminator's raw patch scores of generated pictures, with gradient.
    """
    return (fake_scores - 1.0).square().mean()


def lsgan_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """Eq. 11, L_D = ½ (E (D(I_gt) − 1)² + E D(I_gen)²).

    Eq. 10 adds L_G and L_D into one sum; as in every GAN the two are minimised in turns, each over its own
    weights, so the caller scores `I_gen.detach()` for this one.

    Shape:
        real_scores: any shape; raw patch scores of true pictures.
        fake_scores: any shape; raw patch scores of generated, detached pictures.
    """
    return 0.5 * ((real_scores - 1.0).square().mean() + fake_scores.square().mean())
