"""Settings of a training run. A recipe (TOML) lists only what differs from these defaults."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """How batches are drawn."""

    clips: int = 4  #: clips in a batch; the frames of one share their references
    frames: int = 3  #: target frames of each clip
    spread_s: float = 0.8  #: the targets of one clip lie within this time
    distance_s: float = 0.6  #: references lie at least this far from every target, where the clip is long enough
    teacher: float = 0.4  #: share of targets that are told the true lip shape instead of the one heard
    teacher_noise: float = 0.15  #: standard deviation of noise on a true lip shape
    silence: float = 0.0  #: share of targets that are told nothing (0), for the baseline without audio
    jitter: float = 0.1  #: strength of brightness, contrast and channel-gain changes, the same for a whole clip
    min_mouth_px: float = 60.0  #: frames with a smaller mouth are left out
    full_size: bool = False  #: train at the plate's crop size instead of the trunk's; only clips stored at it


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """Weights of the losses; Eq. 14 with DINet's normalisation, and a pixel term to start from."""

    pixel: float = 10.0  #: plain L1 in the mask, which gives the picture a floor that σ cannot talk away
    uncertainty: float = 1.0  #: λ1, L_un1 + L_un2
    matching: float = 1.0  #: L_un2 within L_un; 0 leaves it out
    error_head: float = 1.0  #: supervision of the predicted error map
    adversarial: float = 0.0  #: λ2
    perceptual: float = 5.0  #: λ3
    perceptual_full_every: int = 3  #: the perceptual loss sees full size every so many steps, half size always
    smooth_flow: float = 0.0
    bins: int = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimSettings:
    """How weights move."""

    learning_rate: float = 5e-4
    final_rate: float = 2e-5
    warmup_steps: int = 50
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    ema: float = 0.998


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """One run."""

    architecture: str = "rt"
    minutes: float = 60.0  #: time budget; the learning rate falls over it
    max_steps: int = 1_000_000
    save_every_s: float = 300.0
    seed: int = 0
    threads: int = 2
    data: DataSettings = field(default_factory=DataSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)
