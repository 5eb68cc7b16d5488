"""The loop that every training shares: draw, step, average, log, validate, save; in one process or in several.

What is learnt is a `Lesson`; what it learns from draws batches by their number. The learning rate falls over the
budget, which is time, steps, or whichever ends first. With steps alone nothing depends on the clock: a run that is
killed and resumed ends with the same bits as one that is not.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from julnet_plugin.errors import RedubCancelled
from julnet_plugin.model.engine import choose_device, fast_precision
from julnet_plugin.pipeline.threads import prefetch
from julnet_plugin.pipeline.workfolder import write_json, write_text
from trainer.board import NoBoard
from trainer.state import Companions, Ema, load_state, read_average, save_state
from trainer.team import Team

if TYPE_CHECKING:
    from julnet_plugin.types import ProgressFn
    from trainer.config import TrainSettings

log = logging.getLogger(__name__)

STATE = "state.safetensors"
LOG = "log.jsonl"
MAX_SKIPPED = 10  #: steps in a row without a finite gradient that a run bears
_AHEAD = 2  #: steps whose batches are drawn while the network is busy

#: Scores of the averaged weights; the one called "score" decides, more is better.
Validate = Callable[[Mapping[str, Tensor]], dict[str, float]]


class Draws(Protocol):
    """What a run learns from."""

    def draw(self, step: int) -> Any:
        """A batch, the same for the same number; it has `to(device)`."""


class Drawn(NamedTuple):
    """A batch and what its dropout draws from."""

    batch: Any
    seed: int


class Lesson(Protocol):
    """What is learnt: a network, its optimiser, and how one step goes."""

    @property
    def net(self) -> nn.Module:
        """The network that becomes the model."""

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Of `net`."""

    @property
    def companions(self) -> Companions:
        """What learns beside the network, by name."""

    def to(self, device: torch.device, half: bool) -> None:
        """Go to a device, ready to learn; render in bfloat16 if `half`."""

    def step(self, drawn: Sequence[Drawn], step: int, team: Team) -> dict[str, float]:
        """One step on this process's share of the step's batches.

        Returns:
            Unweighted terms, means over the batches of all processes. Where the gradient was not finite the weights
            were left alone and there is a term "skipped".

        Raises:
            FloatingPointError: the loss is not finite; the weights were not touched.
        """

    def show(self, board: NoBoard, step: int) -> None:
        """Pictures of the last step."""


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


def learn(
    lesson: Lesson,
    draws: Draws,
    settings: TrainSettings,
    run: Path,
    *,
    team: Team | None = None,
    validate: Validate | None = None,
    progress: ProgressFn | None = None,
) -> Ema:
    """Train until the budget is spent; continue where `run` stopped.

    Writes `log.jsonl`, `state.safetensors` and `config.json` into `run`.

    Args:
        lesson: what is learnt; its network is moved to the device and trained in place.
        draws: what to learn from.
        settings: of this run or stage.
        run: its folder; with several processes, one that all of them see.
        team: of processes that share the work; alone unless said. Only its first process writes and validates.
        validate: scores averaged weights every `settings.validate_every` steps, and the last ones.
        progress: `progress("train", done, total)` before every step, in thousandths of the budget.

    Returns:
        The averaged weights; with `validate`, those that scored best.

    Raises:
        FloatingPointError: a loss became NaN; the last good state is on disk.
        RedubCancelled: from `progress`; the state is on disk.
    """
    team = team or Team()
    learner = _Learner(lesson, settings, run, team)
    course = learner.course
    if not (settings.validate_every and team.leads):
        validate = None

    def judge() -> dict[str, float]:
        assert validate is not None
        return _judge(course, validate(learner.ema.values), learner.ema, settings.patience)

    if validate is not None and course.step == 0:
        _log(run, 0, 0.0, judge())  # the start is what to beat
    with (
        _drawn(draws, course.step, settings, team) as batches,
        _board(run, settings, team) as board,
        learner.saving_when_cancelled(),
    ):
        while not course.finished and (spent := learner.share_spent(progress)) < 1:
            drawn = [Drawn(d.batch.to(learner.device), d.seed) for d in next(batches)]
            terms = learner.step(drawn, learning_rate_at(settings, course.step, spent))
            if not team.leads:
                continue
            if course.step % settings.log_every == 0:
                _log(run, course.step, learner.seconds, terms)
                board.scalars(course.step, terms)
            if course.step % (settings.validate_every or settings.log_every * 25) == 0:
                lesson.show(board, course.step)
            if validate is not None and course.step % settings.validate_every == 0:
                scores = judge()
                _log(run, course.step, learner.seconds, scores)
                board.scalars(course.step, scores)
            learner.save_now_and_then()
    if validate is not None and course.step % settings.validate_every:  # what was learnt since the last time
        _log(run, course.step, learner.seconds, judge())
    learner.save()
    if course.best:
        learner.ema.values = course.best
    return learner.ema


class _Learner:
    """A lesson with its average, its clock and its place on disk."""

    def __init__(self, lesson: Lesson, settings: TrainSettings, run: Path, team: Team) -> None:
        self.settings, self._lesson, self._team, self._path = settings, lesson, team, run / STATE
        if team.leads:
            run.mkdir(parents=True, exist_ok=True)
            write_json(run / "config.json", asdict(settings))
        self.device = team.device or choose_device(settings.device)
        torch.manual_seed(settings.seed)
        lesson.to(self.device, _half(settings, self.device))
        self.ema = Ema(lesson.net, settings.optim.ema)
        self.course = Course()
        if self._path.exists():
            found = load_state(self._path, lesson.net, self.ema, lesson.optimiser, lesson.companions)
            self.course = Course.of(*found)
            log.info("continuing at step %d", self.course.step)
        if team.leads:
            _forget_after(run / LOG, self.course.step)
        self._started, self._saved = time.monotonic() - self.course.spent_s, time.monotonic()

    @property
    def seconds(self) -> float:
        """Spent on this run, earlier sessions included."""
        return time.monotonic() - self._started

    def share_spent(self, progress: ProgressFn | None) -> float:
        """Share of the budget that is spent, the same for all processes; all of them stop when one is cancelled."""
        spent, cancelled = share_spent(self.settings, self.course.step, self.seconds), None
        try:
            if progress is not None and self._team.leads and spent < 1:
                progress("train", round(1000 * spent), 1000)
        except RedubCancelled as exc:
            cancelled = exc
        if self._team.size > 1:
            spent, stopped, finished = self._team.told([spent, cancelled is not None, self.course.finished])
            self.course.finished = bool(finished)
            if stopped and cancelled is None:
                msg = "the first process was stopped"
                cancelled = RedubCancelled(msg)
        if cancelled is not None:
            raise cancelled
        return 1.0 if self.course.finished else spent

    def step(self, drawn: Sequence[Drawn], rate: float) -> dict[str, float]:
        """One training step at a learning rate."""
        course, lesson = self.course, self._lesson
        for group in lesson.optimiser.param_groups:
            group["lr"] = rate
        terms = lesson.step(drawn, course.step, self._team)
        self.ema.update(lesson.net)
        course.step += 1
        course.skipped = course.skipped + 1 if "skipped" in terms else 0
        if course.skipped:
            _bear(course)
        return terms

    def save(self) -> None:
        """Write the state; the others wait until it is there."""
        if self._team.leads:
            self.course.spent_s = self.seconds
            facts, best, lesson = self.course.facts(), self.course.best, self._lesson
            save_state(self._path, lesson.net, self.ema, lesson.optimiser, facts, lesson.companions, best)
            self._saved = time.monotonic()
        self._team.wait()

    def save_now_and_then(self) -> None:
        """Write the state when it is time to; the others need not wait for that."""
        if time.monotonic() - self._saved > self.settings.save_every_s:
            team, self._team = self._team, Team()
            try:
                self.save()
            finally:
                self._team = team

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


def finite_mean(values: Mapping[str, Tensor], team: Team, step: int, total: str = "total") -> dict[str, float]:
    """Terms of this process's batches, already divided by the number of all, summed over the processes.

    Raises:
        FloatingPointError: the total is not finite; every process says so.
    """
    summed = team.summed(torch.stack([v.detach().float() for v in values.values()]))
    found = dict(zip(values, summed.tolist(), strict=True))
    if not math.isfinite(found[total]):
        terms = ", ".join(f"{k} {v:g}" for k, v in found.items() if k != total)
        msg = f"the loss became {found[total]} at step {step}: {terms}"
        raise FloatingPointError(msg)
    found.pop(total)
    return found


def descend(parameters: Sequence[nn.Parameter], optimiser: torch.optim.Optimizer, team: Team, clip_norm: float) -> bool:
    """Step by the gradients of all processes together; False, and no step, where they are not finite."""
    team.sum_gradients(parameters)
    norm = nn.utils.clip_grad_norm_(parameters, clip_norm)
    if not torch.isfinite(norm):
        return False
    optimiser.step()
    return True


def batches_a_step(settings: TrainSettings, team: Team) -> int:
    """Batches that make one step: `train.accumulate`, or the next number that all processes can share."""
    return -(-settings.accumulate // team.size) * team.size


@contextlib.contextmanager
def _drawn(draws: Draws, first: int, settings: TrainSettings, team: Team) -> Iterator[Iterator[list[Drawn]]]:
    """This process's batches from a step on, drawn ahead in another thread; they depend on the step alone."""
    count = batches_a_step(settings, team)

    def of(step: int) -> list[Drawn]:
        own = range(step * count + team.rank, (step + 1) * count, team.size)
        return [Drawn(draws.draw(number), _seed(settings.seed, number)) for number in own]

    ahead = prefetch((of(step) for step in itertools.count(first)), _AHEAD)
    try:
        yield ahead
    finally:
        ahead.close()


def _board(run: Path, settings: TrainSettings, team: Team) -> contextlib.AbstractContextManager[Any]:
    from trainer.board import PictureBoard, TensorBoard

    if not team.leads:
        return NoBoard()
    return TensorBoard(run / "tensorboard") if settings.tensorboard else PictureBoard(run)


def _half(settings: TrainSettings, device: torch.device) -> bool:
    if settings.precision == "auto":
        return device.type == "cuda" and fast_precision(device) == "bfloat16"
    return settings.precision == "bfloat16"


def _seed(seed: int, number: int) -> int:
    """What dropout draws from for one batch: of its number alone, so that a resumed run draws the same."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0]) >> 1


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
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step] if step else []
        write_text(path, "".join(f"{line}\n" for line in kept))


def _log(run: Path, step: int, seconds: float, terms: dict[str, float]) -> None:
    row: dict[str, Any] = {"step": step, "seconds": round(seconds, 1)} | {k: round(v, 5) for k, v in terms.items()}
    with (run / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    log.info("%s", row)
