"""Short work away from the GUI thread, its outcome back on it."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal

from julnet_plugin.errors import JulnetError

log = logging.getLogger(__name__)


class Background(QObject):
    """Runs functions one after the other on threads; views never see one."""

    _done = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._threads: list[threading.Thread] = []
        self._done.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def run(self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[str], None]) -> None:
        """Call `work` on a thread, then `done` with its value or `failed` with one sentence on this object's thread."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._work, args=(work, done, failed), name="julnet-background", daemon=True)
        self._threads.append(thread)
        thread.start()

    def wait(self) -> None:
        """Until nothing runs any more."""
        for thread in self._threads:
            thread.join()

    def _deliver(self, to: Callable[[Any], None], value: Any) -> None:
        to(value)

    def _work(self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[str], None]) -> None:
        try:
            value = work()
        except Exception as exc:  # noqa: BLE001 - whatever it was becomes a sentence on screen
            self._done.emit(failed, sentence_of(exc))
        else:
            self._done.emit(done, value)


class Told(str):
    """One sentence for the user that knows what stands behind it."""

    __slots__ = ("details",)
    details: str  #: for whoever asks: where it happened, and what it was caused by


def sentence_of(error: BaseException) -> Told:
    """What a person is told of an error; what we did not expect goes to the log with its traceback."""
    if isinstance(error, JulnetError):
        told = Told(error)
    else:
        log.error("unexpected error", exc_info=error)
        told = Told(f"something went wrong that should not ({type(error).__name__}: {error})")
    told.details = "".join(traceback.format_exception(error))
    return told
