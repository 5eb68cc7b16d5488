"""Settings of a training run. A recipe (TOML) lists only what differs from these defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from julnet_plugin.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class LipTraining:
    """How the audio branch is taught, on landmarks alone."""

    codes: int = 10  #: numbers in a lip shape
    width: int = 128  #: channels of the encoder
    dropout: float = 0.4
    epochs: int = 25
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    feature_noise: float = 0.1  #: standard deviation of noise on the features
    habit: float = 0.1  #: how unlikely it is that a clip's speaker holds the lips in a way that no sound tells
    habit_rate: float = 0.02  #: learning rate of that way
    folds: int = 2  #: encoders that predict each other's speakers, for what an unseen voice would sound like
    extra_weight: float = 0.5  #: weight of clips without pictures
    again: bool = False  #: teach the audio branch of trained weights anew, by the features of the dataset
    strangers: bool = False  #: weights that know these clips go on as if they heard the speakers for the first time
    seed: int = 0

    def __post_init__(self) -> None:
        _within("lips.codes", self.codes, 1, 144)
        _within("lips.width", self.width, 1, 4096)
        _within("lips.dropout", self.dropout, 0, 0.95)
        _within("lips.epochs", self.epochs, 1, 10_000)
        _within("lips.batch", self.batch, 1, 1 << 20)
        _within("lips.learning_rate", self.learning_rate, 0, 1)
        _within("lips.habit", self.habit, 0, 1e3)
        _within("lips.habit_rate", self.habit_rate, 0, 1)
        _within("lips.folds", self.folds, 2, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTraining:
    """How SyncNet is taught."""

    clips: int = 8  #: clips in a batch: each other's wrong sound
    moments: int = 8  #: moments of each clip: each other's moved sound
    apart_s: float = 0.16  #: moments of one clip further apart than this are wrong for each other
    lips: float = 1.0  #: weight of telling the lip shape, which landmarks know
    jitter: float = 0.2  #: strength of brightness, contrast and channel-gain changes, the same for a whole clip
    shift: float = 0.06  #: how far pictures move, in parts of their size
    feature_noise: float = 0.1  #: standard deviation of noise on the audio features
    choose: float = 0.1  #: share of the speakers to learn from that chooses the best weights instead

    def __post_init__(self) -> None:
        _within("sync.clips", self.clips, 2, 4096)
        _within("sync.moments", self.moments, 1, 4096)
        _within("sync.apart_s", self.apart_s, 0, 60)
        _within("sync.choose", self.choose, 0, 0.5)
        for name in ("lips", "feature_noise", "jitter"):
            _within(f"sync.{name}", getattr(self, name), 0, 1e3)
        _within("sync.shift", self.shift, 0, 0.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverTraining:
    """How what sees things in front of the mouth is taught."""

    batch: int = 48  #: lower faces in a batch
    apart_s: float = 0.16  #: between two faces of one clip that are learnt from
    things: float = 0.55  #: share of them with a thing in front
    shadows: float = 0.3  #: share of the others with a shadow of a thing that is not in the picture
    mouth: float = 3.0  #: weight of the parts that are mouth, where the others have 1
    jitter: float = 0.15  #: strength of exposure, contrast and tint
    choose: float = 0.15  #: share of the speakers to learn from that chooses weights and thresholds instead
    visits: int = 60  #: drawn visits to them, by which thresholds are chosen

    def __post_init__(self) -> None:
        _within("cover.batch", self.batch, 1, 1 << 16)
        _within("cover.apart_s", self.apart_s, 0, 60)
        _within("cover.choose", self.choose, 0, 0.5)
        _within("cover.visits", self.visits, 1, 100_000)
        for name in ("things", "shadows"):
            _within(f"cover.{name}", getattr(self, name), 0, 1)
        _within("cover.mouth", self.mouth, 0, 1e3)
        _within("cover.jitter", self.jitter, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """How batches are drawn."""

    clips: int = 4  #: clips in a batch; the frames of one share their references
    frames: int = 3  #: target frames of each clip
    spread_s: float = 0.8  #: the targets of one clip lie within this time
    distance_s: float = 0.6  #: references lie at least this far from every target, where the clip is long enough
    teacher: float = 0.4  #: share of targets that are told the true lip shape instead of the one heard
    teacher_noise: float = 0.15  #: standard deviation of noise on a true lip shape
    narrow: float = 0.3  #: share of clips whose references show only a part of what the mouth can do
    silence: float = 0.0  #: share of targets that are told nothing (0), for the baseline without audio
    jitter: float = 0.1  #: strength of brightness, contrast and channel-gain changes, the same for a whole clip
    min_mouth_px: float = 60.0  #: frames with a smaller mouth are left out
    full_size: bool = False  #: train at the plate's crop size instead of the trunk's; only clips stored at it
    enlarge: bool = False  #: clips stored smaller take part too, enlarged as small faces are in a take
    mouth: int = 0  #: side of the mouth square in the crops, such as 64, 128, 256; 0 = what the network is built for
    in_row: bool = False  #: the targets of one clip follow each other at 25 a second, as the clip stage needs them
    decoded_gb: float = 6.0  #: so many gigabytes of crops stay decoded in memory; others are decoded when drawn

    def __post_init__(self) -> None:
        _within("data.clips", self.clips, 1, 4096)
        if self.mouth % 32 or not 0 <= self.mouth <= 1024:
            msg = f"data.mouth is {self.mouth}, but a multiple of 32 up to 1024 is needed, or 0"
            raise SettingsError(msg, key="data.mouth")
        _within("data.frames", self.frames, 1, 1024)
        for name in ("teacher", "silence", "jitter", "narrow"):
            _within(f"data.{name}", getattr(self, name), 0, 1)
        for name in ("spread_s", "distance_s", "teacher_noise", "min_mouth_px", "decoded_gb"):
            _within(f"data.{name}", getattr(self, name), 0, 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """Weights of the losses; Eq. 14 with DINet's normalisation, and a pixel term to start from."""

    pixel: float = 10.0  #: plain L1 in the mask, which gives the picture a floor that σ cannot talk away
    uncertainty: float = 1.0  #: λ1, L_un1 + L_un2
    nll: float = 1.0  #: L_un1 within L_un; 0 leaves it out
    matching: float = 1.0  #: L_un2 within L_un; 0 leaves it out
    error_head: float = 1.0  #: supervision of the predicted error map
    adversarial: float = 0.0  #: λ2, by a judge of pictures
    adversarial_clip: float = 0.0  #: the same by a judge of pictures in a row; needs data.in_row
    discriminator: str = "light"  #: size of the judges: light, or dinet
    sync: float = 0.0  #: λ4; needs data.in_row, 5 frames and loss.syncnet
    syncnet: str = ""  #: SyncNet weights for it; not those that score the result
    perceptual: float = 5.0  #: λ3
    perceptual_full_every: int = 3  #: the perceptual loss sees full size every so many steps, half size always
    perceptual_network: str = ""  #: a VGG-19 file, or "filterbank"; empty = what this machine has
    bins: int = 11  #: B of L_un2
    spacing: str = "log"  #: of the bins: log or linear
    width: float = 0.5  #: λ2 of Eq. 6, in squared standard deviations of the error
    direction: str = "error||sigma"  #: of the divergence: Eq. 8; sigma||error is what Eq. 5 writes
    variant: str = "scale_free"  #: sednet = SEDNet's fixed λ2 = 5 on 0-255 code values; `width` is then not used
    detach_statistics: bool = True  #: false lets L_un2 move its bins through the error's mean and deviation, as SEDNet
    inliers: float = 0.0  #: L_un1 counts errors within so many deviations of their mean (SEDNet: 3); 0 = all
    halo: float = 0.0  #: L_un1 also counts a band around the mask, a tenth, so many crop widths wide

    def __post_init__(self) -> None:
        for name in (
            "pixel",
            "uncertainty",
            "nll",
            "matching",
            "error_head",
            "adversarial",
            "adversarial_clip",
            "sync",
            "perceptual",
        ):
            _within(f"loss.{name}", getattr(self, name), 0, 1e6)
        _within("loss.perceptual_full_every", self.perceptual_full_every, 1, 1_000_000)
        _within("loss.bins", self.bins, 3, 1000)
        _within("loss.width", self.width, 1e-3, 1e3)
        _within("loss.inliers", self.inliers, 0, 1e3)
        _within("loss.halo", self.halo, 0, 0.5)
        _one_of("loss.discriminator", self.discriminator, "light", "dinet")
        _one_of("loss.spacing", self.spacing, "log", "linear")
        _one_of("loss.direction", self.direction, "error||sigma", "sigma||error")
        _one_of("loss.variant", self.variant, "scale_free", "sednet")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimSettings:
    """How weights move."""

    learning_rate: float = 5e-4
    final_rate: float = 2e-5
    warmup_steps: int = 50
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    ema: float = 0.998  #: decay of the average that becomes the model
    only: str = ""  #: the one part of the network that moves, such as uncertainty; empty = all of it

    def __post_init__(self) -> None:
        _within("optim.learning_rate", self.learning_rate, 0, 1)
        _within("optim.final_rate", self.final_rate, 0, 1)
        _within("optim.warmup_steps", self.warmup_steps, 0, 1_000_000)
        _within("optim.weight_decay", self.weight_decay, 0, 1)
        _within("optim.clip_norm", self.clip_norm, 0, 1e6)
        _within("optim.ema", self.ema, 0, 0.999999)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """One run, or one stage of it."""

    architecture: str = "rt"
    base: str = ""  #: weights to go on from, a shipped model's name or a file; empty = none, and lips are taught first
    minutes: float = 60.0  #: time budget; 0 = none. The learning rate falls over it
    accumulate: int = 1  #: batches that make one step; several processes share them
    compile: bool = False  #: let torch.compile fuse the network; pays on a GPU, after a minute of compiling
    max_steps: int = 0  #: step budget; 0 = none. With steps alone a run is repeatable, time being no part of it
    save_every_s: float = 300.0
    log_every: int = 20  #: steps
    seed: int = 0
    threads: int = 2
    device: str = "auto"  #: auto, cpu, cuda or cuda:N
    precision: str = "auto"  #: float32, bfloat16, or auto: bfloat16 on a GPU that has it
    validate_every: int = 0  #: steps between two validations; 0 = none
    patience: int = 0  #: validations without a better score after which a stage ends; 0 = never
    tensorboard: bool = False  #: also write scalars and pictures for TensorBoard
    data: DataSettings = field(default_factory=DataSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)

    def __post_init__(self) -> None:
        _within("train.minutes", self.minutes, 0, 1e6)
        _within("train.max_steps", self.max_steps, 0, 1e12)
        _within("train.save_every_s", self.save_every_s, 0, 1e6)
        _within("train.accumulate", self.accumulate, 1, 4096)
        _within("train.log_every", self.log_every, 1, 1_000_000)
        _within("train.threads", self.threads, 1, 1024)
        _within("train.validate_every", self.validate_every, 0, 1e9)
        _within("train.patience", self.patience, 0, 1e9)
        _one_of("train.precision", self.precision, "auto", "float32", "bfloat16")
        if (self.loss.adversarial_clip > 0 or self.loss.sync > 0) and not self.data.in_row:
            msg = "loss.sync and loss.adversarial_clip judge pictures in a row; set data.in_row = true beside them"
            raise SettingsError(msg, key="data.in_row")
        if self.loss.sync > 0 and not self.loss.syncnet:
            msg = "loss.sync needs a judge; give its weights as loss.syncnet, or set loss.sync = 0"
            raise SettingsError(msg, key="loss.syncnet")
        if not self.minutes and not self.max_steps:
            msg = "a run without an end was asked for: give train.minutes, train.max_steps, or both"
            raise SettingsError(msg, key="train.minutes")


def _within(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # NaN fails here too
        message = f"{key} is {value:g}, but it must lie between {low:g} and {high:g}"
        raise SettingsError(message, key=key)


def _one_of(key: str, value: str, *known: str) -> None:
    if value not in known:
        message = f"{key} is {value!r}, but one of {', '.join(known)} is needed"
        raise SettingsError(message, key=key)
