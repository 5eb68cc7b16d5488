"""Decoding, computing and encoding overlap, in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from julnet_plugin.pipeline.threads import InOrder, blas_in_one_thread, ordered_map, prefetch


def test_prefetch_keeps_order_and_never_runs_further_ahead_than_asked() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for k in range(20):
            made.append(k)
            yield k

    seen = []
    for item in prefetch(source(), 2):
        time.sleep(0.002)
        assert len(made) <= item + 5
        seen.append(item)
    assert seen == list(range(20))


def test_an_error_while_decoding_reaches_the_consumer_in_its_place() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise OSError("disc scratched")

    items = prefetch(source(), 4)
    assert next(items) == 1
    with pytest.raises(OSError, match="scratched"):
        next(items)


def test_leaving_early_stops_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = threading.active_count()
    items = prefetch(source(), 2)
    next(items)
    items.close()
    assert closed.is_set()
    assert threading.active_count() == before


def test_ordered_map_keeps_order_and_bounds_what_is_in_flight() -> None:
    running, most, lock = [0], [0], threading.Lock()

    def work(k: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.001 * (k % 3))
        with lock:
            running[0] -= 1
        return k * k

    with ThreadPoolExecutor(4) as pool:
        assert list(ordered_map(work, range(30), pool, 2)) == [k * k for k in range(30)]
    assert most[0] <= 3


def put_many(writer: InOrder[int]) -> None:
    for k in range(50):
        writer.put(k)


def test_in_order_calls_everything_once_and_close_waits() -> None:
    seen: list[int] = []
    writer = InOrder(seen.append, 2)
    for k in range(10):
        writer.put(k)
    writer.close()
    assert seen == list(range(10))


def test_a_failed_write_is_raised_and_nothing_is_written_after_it() -> None:
    seen: list[int] = []

    def write(k: int) -> None:
        if k == 3:
            raise OSError(28, "No space left on device")
        seen.append(k)

    writer = InOrder(write, 1)
    with pytest.raises(OSError, match="No space"):
        put_many(writer)
    with pytest.raises(OSError, match="No space"):
        writer.close()
    assert seen == [0, 1, 2]


def test_aborting_returns_promptly_with_a_full_queue() -> None:
    writer: InOrder[int] = InOrder(lambda _: time.sleep(0.01), 4)
    for k in range(5):
        writer.put(k)
    writer.abort()
    assert not any(t.name == "julnet-write" for t in threading.enumerate())


def test_products_of_matrices_stay_in_the_thread_that_asks_and_are_free_again_afterwards() -> None:
    import numpy as np
    from threadpoolctl import threadpool_info

    def threads() -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    assert (np.eye(3) @ np.eye(3)).trace() == 3  # NumPy's library is in the process
    before = threads()
    for _ in range(2):  # the second time the libraries are known
        with blas_in_one_thread():
            assert threads() == [1] * len(before)
        assert threads() == before
    assert before
