"""Let decoding, computing and encoding overlap, in order and with a bounded number of pictures in flight.

Codecs, OpenCV and torch release Python's lock, so threads are enough. Order is kept everywhere: what a take looks like
does not depend on timing.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from contextlib import AbstractContextManager

T = TypeVar("T")
R = TypeVar("R")

_END = object()
_BRING_BLAS = ("numpy", "scipy.linalg", "torch", "cv2")  #: packages whose import may load one more OpenBLAS or MKL


def blas_in_one_thread() -> AbstractContextManager[Any]:
    """While it lasts, NumPy's products of matrices run in the thread that asks for them.

    Frames are spread over the processors already. After each product OpenBLAS's own threads look for the next one for a
    while, in a loop: an eighth of a render's processor time.
    """
    limits: AbstractContextManager[Any] = _libraries(tuple(name in sys.modules for name in _BRING_BLAS)).limit(
        limits=1, user_api="blas"
    )
    return limits


@lru_cache(maxsize=4)
def _libraries(loaded: tuple[bool, ...]) -> Any:
    """The libraries of this process; looking for them takes milliseconds, so only after one more was imported."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped,unused-ignore]

    return ThreadpoolController()


def prefetch(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Iterate in a thread of its own, at most `depth` items ahead.

    An exception in the iterator arrives at the consumer, in its place. Closing the generator stops the thread and
    closes the iterator, so an unfinished job leaves no open file.
    """
    ready: queue.Queue[tuple[T | None, bool, BaseException | None]] = queue.Queue(maxsize=max(depth, 1))
    stop = threading.Event()

    def put(item: T | None, last: bool, error: BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put((item, last, error), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def run() -> None:
        source = iter(items)
        try:
            for item in source:
                if not put(item, False, None):
                    return
            put(None, True, None)
        except BaseException as exc:  # noqa: BLE001 - raised again in the consumer's thread
            put(None, True, exc)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=run, name="julnet-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, last, error = ready.get()
            if error is not None:
                raise error
            if last:
                return
            yield item  # type: ignore[misc]  # only the last one is None
    finally:
        stop.set()
        thread.join()


def ordered_map(
    function: Callable[[T], R], items: Iterable[T], pool: ThreadPoolExecutor, ahead: int
) -> Generator[R, None, None]:
    """`map` on a pool with at most `ahead` items in flight: results in order, memory bounded."""
    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


class InOrder(Generic[T]):
    """Calls `function(item)` for every item put, in order, on one thread of its own; `put` waits when it lags behind.

    An error is raised by the next `put` or by `close`; items after it are dropped.
    """

    def __init__(self, function: Callable[[T], None], depth: int) -> None:
        self._function = function
        self._items: queue.Queue[object] = queue.Queue(maxsize=max(depth, 1))
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="julnet-write", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand over one item."""
        self._raise()
        self._items.put(item)

    def close(self) -> None:
        """Wait until everything is done."""
        self._stop()
        self._raise()

    def abort(self) -> None:
        """Wait for the item in hand and drop the rest."""
        self._error = self._error or RuntimeError("aborted")
        self._stop()

    def _stop(self) -> None:
        if self._thread.is_alive():
            self._items.put(_END)
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (item := self._items.get()) is not _END:
            if self._error is not None:
                continue
            try:
                self._function(item)  # type: ignore[arg-type]
            except BaseException as exc:  # noqa: BLE001 - raised again in the caller's thread
                self._error = exc
