"""The training loop of a generator: draw, render, weigh the losses, step, average, log, save.

The audio branch has been taught on lip shape before (`lipshape.py`); the generator learns to paint lip shapes, some of
them true, some of them heard by an encoder that never met the speaker. The learning rate falls over the budget, which
is time, steps, or whichever ends first. With steps alone nothing depends on the clock: a run that is killed and resumed
ends with the same bits as one that is not.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from julnet_plugin.errors import RedubCancelled
from julnet_plugin.model.engine import choose_device, fast_precision
from julnet_plugin.pipeline.threads import prefetch
from trainer.perceptual import FeatureNetwork, to_device
from trainer.state import Companions, Ema, load_state, read_average, save_state
from trainer.step import Adversary, generator_optimiser, train_step

if TYPE_CHECKING:
    from julnet_plugin.model.generator import Generator, GeneratorOutput
    from julnet_plugin.types import ProgressFn
    from trainer.batches import Batch, Batches
    from trainer.config import TrainSettings

log = logging.getLogger(__name__)

STATE = "state.safetensors"
LOG = "log.jsonl"
MAX_SKIPPED = 10  #: steps in a row without a finite gradient that a run bears
_AHEAD = 2  #: batches drawn while the network is busy

#: Scores of the averaged weights; the one called "score" decides, more is better.
Validate = Callable[[Mapping[str, Tensor]], dict[str, float]]


@dataclass(slots=True)
class Course:
    """How far a run has come, and what of it validated best."""

    step: int = 0
    spent_s: float = 0.0
    skipped: int = 0  #: steps in a row whose gradient was not finite
    finished: bool = False  #: before its budget was spent, for want of progress
    best_score: float = -math.inf
    best_step: int = 0
    misses: int = 0  #: validations since the best one
    best: dict[str, Tensor] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """What the state file says of it."""
        names = ("step", "spent_s", "skipped", "finished", "best_step", "misses")
        known = {name: getattr(self, name) for name in names}
        return known | {"best_score": self.best_score if math.isfinite(self.best_score) else None}

    @classmethod
    def of(cls, facts: Mapping[str, Any], best: dict[str, Tensor]) -> Course:
        """From a state file."""
        score = facts.get("best_score")
        return cls(
            step=int(facts["step"]),
            spent_s=float(facts["spent_s"]),
            skipped=int(facts.get("skipped", 0)),
            finished=bool(facts.get("finished", False)),
            best_score=-math.inf if score is None else float(score),
            best_step=int(facts.get("best_step", 0)),
            misses=int(facts.get("misses", 0)),
            best=best,
        )


def learning_rate_at(settings: TrainSettings, step: int, spent: float) -> float:
    """Linear warm-up over steps, then a cosine over the share of the budget that is spent."""
    optim = settings.optim
    if step < optim.warmup_steps:
        return optim.learning_rate * (step + 1) / optim.warmup_steps
    fall = 0.5 * (1 + math.cos(math.pi * min(spent, 1.0)))
    return optim.final_rate + (optim.learning_rate - optim.final_rate) * fall


def share_spent(settings: TrainSettings, step: int, seconds: float) -> float:
    """Share of the budget that is spent: of steps or of time, whichever is further; 1 = the run is over."""
    steps = step / settings.max_steps if settings.max_steps else 0.0
    return max(steps, seconds / (60 * settings.minutes) if settings.minutes else 0.0)


def train(
    net: Generator,
    batches: Batches,
    network: FeatureNetwork | None,
    settings: TrainSettings,
    run: Path,
    *,
    validate: Validate | None = None,
    progress: ProgressFn | None = None,
) -> Ema:
    """Train until the budget is spent; continue where `run` stopped.

    Writes `log.jsonl`, `state.safetensors` and `config.json` into `run`.

    Args:
        net: is moved to the device and trained in place.
        batches: what to learn from.
        network: for the perceptual loss, or None.
        settings: of this run or stage.
        run: its folder.
        validate: scores averaged weights every `settings.validate_every` steps.
        progress: `progress("train", done, total)` after every step, in thousandths of the budget.

    Returns:
        The averaged weights; with `validate`, those that scored best.

    Raises:
        FloatingPointError: a loss became NaN; the last good state is on disk.
        RedubCancelled: from `progress`; the state is on disk.
    """
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps(asdict(settings), indent=1), encoding="utf-8")
    learner = _Learner(net, settings, run)
    course = learner.course
    network = None if network is None else to_device(network, learner.device)
    if not settings.validate_every:
        validate = None
    if validate is not None and course.step == 0:
        _judge(course, validate(learner.ema.values), learner.ema, settings.patience)  # the start is what to beat
    with _drawn(batches, course.step) as draws, _board(run, settings) as board, learner.saving_when_cancelled():
        while not course.finished and (spent := share_spent(settings, course.step, learner.seconds)) < 1:
            if progress is not None:
                progress("train", round(1000 * spent), 1000)
            batch = next(draws).to(learner.device)
            terms, output = learner.step(batch, network, learning_rate_at(settings, course.step, spent))
            if course.step % settings.log_every == 0:
                _log(run, course.step, learner.seconds, terms)
                board.scalars(course.step, terms)
            if validate is not None and course.step % settings.validate_every == 0:
                scores = _judge(course, validate(learner.ema.values), learner.ema, settings.patience)
                _log(run, course.step, learner.seconds, scores)
                board.scalars(course.step, scores)
                board.pictures(course.step, batch, output)
            learner.save_now_and_then()
    learner.save()
    if course.best:
        learner.ema.values = course.best
    return learner.ema


class _Learner:
    """A generator with all that learns beside it, and its place on disk."""

    def __init__(self, net: Generator, settings: TrainSettings, run: Path) -> None:
        self.settings, self._net, self._path = settings, net, run / STATE
        self.device = choose_device(settings.device)
        self._half = _half(settings, self.device)
        torch.manual_seed(settings.seed)
        net.to(self.device).train()
        self._optimiser = generator_optimiser(net, settings.optim)
        self.ema = Ema(net, settings.optim.ema)
        self._adversary = Adversary(settings.optim.learning_rate) if settings.loss.adversarial > 0 else None
        self._companions: Companions = {}
        if self._adversary is not None:
            self._adversary.net.to(self.device)
            self._companions = {"adversary": (self._adversary.net, self._adversary.optimiser)}
        self.course = Course()
        if self._path.exists():
            self.course = Course.of(*load_state(self._path, net, self.ema, self._optimiser, self._companions))
            log.info("continuing at step %d", self.course.step)
        _forget_after(run / LOG, self.course.step)
        self._started, self._saved = time.monotonic() - self.course.spent_s, time.monotonic()

    @property
    def seconds(self) -> float:
        """Spent on this run, earlier sessions included."""
        return time.monotonic() - self._started

    def step(
        self, batch: Batch, network: FeatureNetwork | None, rate: float
    ) -> tuple[dict[str, float], GeneratorOutput]:
        """One training step at a learning rate."""
        course = self.course
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed(_step_seed(self.settings.seed, course.step))
        done = train_step(
            self._net, batch, network, self._adversary, self.settings, self._optimiser, course.step, self._half
        )
        self.ema.update(self._net)
        course.step += 1
        course.skipped = course.skipped + 1 if "skipped" in done[0] else 0
        if course.skipped:
            _bear(course)
        return done

    def save(self) -> None:
        """Write the state."""
        self.course.spent_s = self.seconds
        facts, best = self.course.facts(), self.course.best
        save_state(self._path, self._net, self.ema, self._optimiser, facts, self._companions, best)
        self._saved = time.monotonic()

    def save_now_and_then(self) -> None:
        """Write the state when it is time to."""
        if time.monotonic() - self._saved > self.settings.save_every_s:
            self.save()

    @contextlib.contextmanager
    def saving_when_cancelled(self) -> Iterator[None]:
        """Write the state when the user stops; that is raised between two steps, so what is saved is whole."""
        try:
            yield
        except RedubCancelled:
            self.save()
            raise


def is_over(run: Path, settings: TrainSettings) -> bool:
    """Whether a run has spent its budget, or stopped because it no longer got better."""
    if not (run / STATE).exists():
        return False
    course = Course.of(read_average(run / STATE)[0], {})
    return course.finished or share_spent(settings, course.step, course.spent_s) >= 1


@contextlib.contextmanager
def _drawn(batches: Batches, first: int) -> Iterator[Iterator[Batch]]:
    """Batches from a step on, drawn ahead in another thread; they depend on the step alone."""
    draws = prefetch((batches.draw(step) for step in itertools.count(first)), _AHEAD)
    try:
        yield draws
    finally:
        draws.close()


def _board(run: Path, settings: TrainSettings) -> contextlib.AbstractContextManager[Any]:
    from trainer.board import NoBoard, TensorBoard

    return TensorBoard(run / "tensorboard") if settings.tensorboard else NoBoard()


def _half(settings: TrainSettings, device: torch.device) -> bool:
    if settings.precision == "auto":
        return device.type == "cuda" and fast_precision(device) == "bfloat16"
    return settings.precision == "bfloat16"


def _step_seed(seed: int, step: int) -> int:
    """What dropout draws from in one step: of the step alone, so that a resumed run draws the same."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0]) >> 1


def _bear(course: Course) -> None:
    """One gradient that is not finite does no harm where it is left out; many in a row mean that the run is lost."""
    log.warning("the gradient of step %d is not finite; the step is left out", course.step - 1)
    if course.skipped >= MAX_SKIPPED:
        msg = f"the gradients of the last {course.skipped} steps, up to step {course.step - 1}, are not finite"
        raise FloatingPointError(msg)


def _judge(course: Course, scores: dict[str, float], ema: Ema, patience: int) -> dict[str, float]:
    if scores["score"] > course.best_score:
        course.best_score, course.best_step, course.misses = scores["score"], course.step, 0
        course.best = {k: v.clone() for k, v in ema.values.items()}
    else:
        course.misses += 1
        course.finished = bool(patience) and course.misses >= patience
    return {f"val_{name}": value for name, value in scores.items()}


def _forget_after(path: Path, step: int) -> None:
    """Drop what a killed run logged after the state that it is resumed from."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def _log(run: Path, step: int, seconds: float, terms: dict[str, float]) -> None:
    row: dict[str, Any] = {"step": step, "seconds": round(seconds, 1)} | {k: round(v, 5) for k, v in terms.items()}
    with (run / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    log.info("%s", row)
