"""A thread that does the newest of many wishes: what was wished for before and not begun is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from gui.background import sentence_of


class Latest(QObject):
    """Calls one function with the newest wish, on a thread of its own.

    Args:
        work: from a wish to its outcome.
        name: of the thread.

    Signals:
        done(wish, outcome): on this object's thread.
        failed(wish, str): the function raised; one sentence.
    """

    done = Signal(object, object)
    failed = Signal(object, object)
    _done = Signal(object, object)
    _failed = Signal(object, object)

    def __init__(self, work: Callable[[Any], Any], name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work = work
        self._wish: Any = None
        self._busy = False
        self._leaving = False
        self._wake = threading.Condition()
        self._done.connect(self.done, Qt.ConnectionType.QueuedConnection)
        self._failed.connect(self.failed, Qt.ConnectionType.QueuedConnection)
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether there is neither a wish nor work."""
        with self._wake:
            return self._wish is None and not self._busy

    def wish(self, value: Any) -> None:
        """Ask for something in place of what was asked for before."""
        with self._wake:
            self._wish = value
            self._wake.notify()

    def stop(self) -> None:
        """End the thread."""
        with self._wake:
            self._leaving = True
            self._wake.notify()
        self._thread.join()

    def _loop(self) -> None:
        while (wish := self._next()) is not None:
            try:
                outcome = self._work(wish)
            except Exception as exc:  # noqa: BLE001 - whatever it was becomes a sentence on screen
                self._failed.emit(wish, sentence_of(exc))
            else:
                self._done.emit(wish, outcome)

    def _next(self) -> Any:
        with self._wake:
            self._busy = False
            while self._wish is None and not self._leaving:
                self._wake.wait()
            wish, self._wish = self._wish, None
            self._busy = wish is not None and not self._leaving
            return None if self._leaving else wish
