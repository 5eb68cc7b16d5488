"""The paper's losses, one function an equation; every one is pure: tensors in, a scalar tensor out.

The overall loss, Eq. 14, is the sum `1.0 · L_un + 1.0 · L_ad + 10.0 · L_pe + 0.1 · L_sync`; the training loop
writes it out with the weights of its configuration. Perceptual networks live in `trainer.perceptual`,
discriminators in `trainer.discriminator`.

Source:
    JULNet (ICMR 2025), Section 3.2–3.4.
"""

from trainer.losses.adversarial import lsgan_discriminator_loss, lsgan_generator_loss
from trainer.losses.sync import contrastive_loss, cosine_bce_loss, info_nce_loss, lip_sync_loss
from trainer.losses.uncertainty import (
    LOG_SIGMA_FLOOR,
    clamp_log_sigma,
    distribution_matching,
    error_head_loss,
    error_map,
    inlier_weight,
    region_weight,
    uncertainty_nll,
)

__all__ = [
    "LOG_SIGMA_FLOOR",
    "clamp_log_sigma",
    "contrastive_loss",
    "cosine_bce_loss",
    "distribution_matching",
    "error_head_loss",
    "error_map",
    "info_nce_loss",
    "inlier_weight",
    "lip_sync_loss",
    "lsgan_discriminator_loss",
    "lsgan_generator_loss",
    "region_weight",
    "uncertainty_nll",
]
