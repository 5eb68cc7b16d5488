"""How quickly the matte tools answer: dabs of the brush, and scrubbing with the overlay on.

`dab_ms` and `scrub_ms` are called by `benchmarks/editor.py`; `python -m benchmarks.editor_matte TAKE` prints both.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui.matte.editor import MatteEditor
    from gui.widgets.viewer import Viewer
    from gui.window import Window

_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Times of one kind of answer."""

    what: str
    median_ms: float
    p95_ms: float
    worst_ms: float
    count: int

    @classmethod
    def of(cls, what: str, times_ms: list[float]) -> Latency:
        """From single times."""
        return cls(
            what=what,
            median_ms=statistics.median(times_ms),
            p95_ms=float(np.percentile(times_ms, 95)),
            worst_ms=max(times_ms),
            count=len(times_ms),
        )

    def text(self) -> str:
        """One line."""
        return f"{self.what:<34} median {self.median_ms:6.1f} ms  p95 {self.p95_ms:6.1f}  worst {self.worst_ms:6.1f}"


def dab_ms(window: Window, dabs: int = 200) -> Latency:
    """From a mouse movement to the repainted picture, while a stroke is drawn over the mouth of the frame on screen.

    The window shows a take with its data; the real events go through the viewer.
    """
    from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt
    from PySide6.QtTest import QTest

    class Painted(QObject):
        """Counts the repaints of a widget."""

        count = 0

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
            self.count += event.type() is QEvent.Type.Paint
            return False

    editor, viewer = _ready(window)
    painted = Painted()
    viewer.installEventFilter(painted)
    assert editor.prepared is not None
    editor.set_painting(True)
    middle = editor.prepared.plate_from_crop @ np.array([160.0, 260.0, 1.0])
    radius = 40 * editor.plate_px_per_crop_px

    def place(k: int) -> QPoint:
        angle = k / 12
        x, y = middle[0] + radius * np.cos(angle), middle[1] + 0.5 * radius * np.sin(1.7 * angle)
        at = viewer.to_widget(QPointF(float(x), float(y)))
        return QPoint(round(at.x()), round(at.y()))

    QTest.mousePress(viewer, Qt.MouseButton.LeftButton, pos=place(0))
    times = []
    for k in range(1, dabs + 1):
        before, started = painted.count, time.perf_counter()
        QTest.mouseMove(viewer, place(k))
        _until(lambda before=before: painted.count > before)
        times.append(1000 * (time.perf_counter() - started))
    QTest.mouseRelease(viewer, Qt.MouseButton.LeftButton, pos=place(dabs))
    editor.set_painting(False)
    viewer.removeEventFilter(painted)
    return Latency.of("dab", times)


def scrub_ms(window: Window, frames: int = 60) -> Latency:
    """From the wish for the next frame to its picture and its overlay on screen, over a take that is open."""
    editor, _ = _ready(window)
    if not window.session.overlay:
        window.toggle_overlay()
    assert editor.work is not None
    held = editor.work.frames
    window.go_to(held.start)
    _until(lambda: editor.prepared is not None and editor.prepared.frame == held.start)
    times = []
    for frame in range(held.start + 1, min(held.start + 1 + frames, held.stop - 1)):
        started = time.perf_counter()
        window.go_to(frame)
        _until(partial(_shows, window, editor, frame))
        times.append(1000 * (time.perf_counter() - started))
    return Latency.of("scrub with overlay", times)


def _shows(window: Window, editor: MatteEditor, frame: int) -> bool:
    shown = window.shown_frame
    ready = editor.prepared is not None and editor.prepared.frame == frame
    return ready and shown is not None and shown.frame == frame


def _ready(window: Window) -> tuple[MatteEditor, Viewer]:
    from gui.matte.part import editor_of

    editor = editor_of(window)
    _until(lambda: editor.prepared is not None and window.viewer.image is not None)
    return editor, window.viewer


def _pump() -> None:
    from PySide6.QtWidgets import QApplication

    QApplication.processEvents()


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not done():
        _pump()
        if time.monotonic() > deadline:
            raise TimeoutError("the editor did not answer")
        time.sleep(0.0005)


def main(arguments: list[str] | None = None) -> int:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("take", type=Path, help="a finished take with its data")
    options = parser.parse_args(arguments)
    from PySide6.QtWidgets import QApplication

    from gui import theme
    from gui.window import Window
    from host_adapters.worker_client import WorkerClient

    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    theme.apply(application)
    window = Window(WorkerClient())
    window.resize(1600, 1000)
    window.show()
    window.open_session(options.take)
    _ready(window)
    for latency in (scrub_ms(window), dab_ms(window)):
        sys.stdout.write(latency.text() + "\n")
    window.project.history.undo()
    window.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
