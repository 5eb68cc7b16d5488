"""Many pieces of work in processes of their own; one that crashes its process is named, and the others go on."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Crash:
    """What is left of an item whose process died: a decoder that ran into damaged data, most often."""


def work(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[tuple[T, R | Crash]]:
    """Yield each item with its result, as they get ready.

    Processes are spawned, not forked: the libraries in them have threads. When one dies, what it was working on and
    what the others had in hand is tried again one by one, each alone, so that the culprit is known.

    Args:
        function: importable by name; its exceptions reach the caller.
        items: picklable.
        workers: processes at a time; 0 works in this process, where a crash is everybody's.
    """
    if workers < 1:
        for item in items:
            yield item, function(item)
        return
    waiting = list(items)
    while waiting:
        batch, waiting = waiting, []
        unfinished = yield from _pool(function, batch, min(workers, len(batch)))
        # Submitted in order, so the first unfinished ones were in hand when the process died.
        suspects, waiting = unfinished[: workers + 1], unfinished[workers + 1 :]
        for item in suspects:
            alone = yield from _pool(function, [item], 1)
            if alone:
                yield item, Crash()


def _pool(
    function: Callable[[T], R], items: Sequence[T], workers: int
) -> Generator[tuple[T, R | Crash], None, list[T]]:
    """Run a pool until it is done or broken; returns what it did not finish, in order."""
    done: set[int] = set()
    pending: set[Future[R]] = set()
    executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_calm)
    try:
        futures: dict[Future[R], int] = {executor.submit(function, item): k for k, item in enumerate(items)}
        pending = set(futures)
        while pending:
            ready, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in ready:
                with suppress(BrokenProcessPool):
                    result = future.result()
                    done.add(futures[future])
                    yield items[futures[future]], result
    finally:
        if pending:  # the caller gave up: do not wait for work that nobody wants
            for process in list((getattr(executor, "_processes", None) or {}).values()):
                process.terminate()
        executor.shutdown(wait=False, cancel_futures=True)
    return [item for k, item in enumerate(items) if k not in done]


def _calm() -> None:
    """One thread a process: the processes share the cores already. Set before the heavy libraries are imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with suppress(ImportError):
        import cv2

        cv2.setNumThreads(1)
