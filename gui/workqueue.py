"""Many small pieces of work away from the GUI thread, the newest first: probes, thumbnails, waveforms."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from gui.background import sentence_of

Work = tuple[Callable[[], Any], Callable[[Any], None], Callable[[str], None]]


class WorkQueue(QObject):
    """Runs what was asked for last first: it is what is on screen. The same key is not queued twice."""

    _done = Signal(object, object)

    def __init__(self, name: str, most: int = 400, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._most = most  # what was asked for longest ago is forgotten beyond this; views ask again
        self._waiting: OrderedDict[Hashable, Work] = OrderedDict()
        self._running: Hashable = None
        self._leaving = False
        self._wake = threading.Condition()
        self._done.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def add(
        self,
        key: Hashable,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[str], None] = lambda _: None,
        *,
        anew: bool = False,
    ) -> None:
        """Ask for something, unless it is being made.

        Args:
            key: what it is; an older wish with this key is forgotten.
            work: makes it, on the queue's thread.
            done: gets it, on this object's thread.
            failed: gets one sentence instead.
            anew: also while it is being made: what is made now may be out of date.
        """
        with self._wake:
            if key == self._running and not anew:
                return
            self._waiting[key] = (work, done, failed)
            self._waiting.move_to_end(key)
            while len(self._waiting) > self._most:
                self._waiting.popitem(last=False)
            self._wake.notify()

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        with self._wake:
            return not self._waiting and self._running is None

    def wait(self, timeout_s: float) -> bool:
        """Until nothing waits or runs; False where that took too long."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._waiting and self._running is None, timeout_s)

    def clear(self) -> None:
        """Forget what waits."""
        with self._wake:
            self._waiting.clear()

    def stop(self) -> None:
        """End the thread after what it does now."""
        with self._wake:
            self._leaving = True
            self._waiting.clear()
            self._wake.notify()
        self._thread.join()

    def _loop(self) -> None:
        while (taken := self._take()) is not None:
            work, done, failed = taken
            try:
                value = work()
            except Exception as exc:  # noqa: BLE001 - it becomes a sentence on screen
                self._done.emit(failed, sentence_of(exc))
            else:
                self._done.emit(done, value)

    def _take(self) -> Work | None:
        with self._wake:
            self._running = None
            self._wake.notify_all()
            while not self._waiting and not self._leaving:
                self._wake.wait()
            if self._leaving:
                return None
            self._running, work = self._waiting.popitem(last=True)
            return work

    def _deliver(self, to: Callable[[Any], None], value: Any) -> None:
        if not self._leaving:
            to(value)
