"""Wall and CPU time. CPU time of the whole process hardly depends on what else the machine does; wall time does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """What some work took."""

    wall_s: float
    cpu_s: float  #: of all threads of the process, in user code and in the system


def spent(work: Callable[[], object]) -> Spent:
    """Do some work and say what it took."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def in_turns(
    works: Mapping[str, Callable[[], object]], rounds: int, repeats: Mapping[str, int] | None = None
) -> dict[str, list[Spent]]:
    """Do each of several works once a round, so that a busy moment of the machine meets all of them.

    Args:
        works: by name; each is done once beforehand, unmeasured.
        rounds: how often.
        repeats: how often a work is done in one turn; what is returned is for one.

    Returns:
        What each took, one a round.
    """
    repeats = repeats or {}
    for work in works.values():
        work()
    taken: dict[str, list[Spent]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times = repeats.get(name, 1)

            def turn(work: Callable[[], object] = work, times: int = times) -> None:
                for _ in range(times):
                    work()

            total = spent(turn)
            taken[name].append(Spent(total.wall_s / times, total.cpu_s / times))
    return taken


def middle(values: list[float]) -> tuple[float, float]:
    """Median, and half the range between the quartiles over it: how far single values lie apart."""
    if len(values) < 2:
        return values[0], 0.0
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return median, (high - low) / 2 / median if median else 0.0
