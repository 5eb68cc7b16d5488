"""The histogram of expected errors with the handles of the levels on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.matte.work import HISTOGRAM_BINS, HISTOGRAM_CV

_FOOT = 16  #: pixels under the histogram for the handles
_GRAB = 9
_EDGE = 6


class LevelsView(QWidget):
    """Shows how the expected errors of a frame are spread, and what the levels make of them.

    Low and high are dragged by the triangles, gamma by the middle one.

    Signals:
        low_moved(float), high_moved(float): code values of 255.
        gamma_moved(float):
        settled(): a drag has ended.
    """

    low_moved = Signal(float)
    high_moved = Signal(float)
    gamma_moved = Signal(float)
    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: NDArray[np.int64] = np.zeros(HISTOGRAM_BINS, np.int64)
        self._low, self._high, self._gamma = 8.0, 32.0, 1.0
        self._held: str | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setAccessibleName("Levels: histogram of the expected error")
        self.setToolTip("Expected error of this frame, in code values: drag low, middle and high")

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(240, 96)

    def set_histogram(self, counts: NDArray[np.int64]) -> None:
        """Show another frame."""
        self._counts = counts
        self.update()

    def set_levels(self, low: float, high: float, gamma: float) -> None:
        """Show other levels."""
        self._low, self._high, self._gamma = low, high, gamma
        self.update()

    def handles(self) -> dict[str, float]:
        """Where the handles stand, widget pixels from the left."""
        middle = self._low + (self._high - self._low) * 0.5**self._gamma
        return {"low": self._x(self._low), "gamma": self._x(middle), "high": self._x(self._high)}

    def _x(self, cv: float) -> float:
        return _EDGE + (self.width() - 2 * _EDGE) * min(max(cv / HISTOGRAM_CV, 0.0), 1.0)

    def _cv(self, x: float) -> float:
        return min(max((x - _EDGE) / max(self.width() - 2 * _EDGE, 1), 0.0), 1.0) * HISTOGRAM_CV

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(0, 0, self.width(), self.height() - _FOOT)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.FIELD)
        painter.drawRoundedRect(box, 4, 4)
        self._paint_counts(painter, box)
        self._paint_curve(painter, box)
        for name, x in self.handles().items():
            shade = {"low": QColor(20, 20, 20), "gamma": theme.QUIET, "high": QColor(245, 245, 245)}[name]
            triangle = QPolygonF([QPointF(x, box.bottom() + 2), QPointF(x - 6, self.height() - 2.0)])
            triangle.append(QPointF(x + 6, self.height() - 2.0))
            painter.setPen(QPen(theme.TEXT if self._held == name else theme.QUIET, 1.2))
            painter.setBrush(shade)
            painter.drawPolygon(triangle)

    def _paint_counts(self, painter: QPainter, box: QRectF) -> None:
        peak = float(np.sqrt(max(int(self._counts.max()), 1)))
        shape = QPolygonF([QPointF(self._x(0), box.bottom())])
        for index, count in enumerate(self._counts.tolist()):
            height = (box.height() - 6) * float(np.sqrt(count)) / peak
            shape.append(QPointF(self._x((index + 0.5) * HISTOGRAM_CV / HISTOGRAM_BINS), box.bottom() - height))
        shape.append(QPointF(self._x(HISTOGRAM_CV), box.bottom()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(118, 118, 126))
        painter.drawPolygon(shape)

    def _paint_curve(self, painter: QPainter, box: QRectF) -> None:
        """From expected error to matte."""
        painter.setPen(QPen(theme.WARM, 1.6))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        line = QPolygonF()
        span = max(self._high - self._low, 1e-6)
        for x in np.linspace(self._x(0), self._x(HISTOGRAM_CV), 96).tolist():
            share = min(max((self._cv(x) - self._low) / span, 0.0), 1.0) ** (1 / self._gamma)
            line.append(QPointF(x, box.bottom() - 2 - (box.height() - 6) * share))
        painter.drawPolyline(line)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        places = self.handles()
        nearest = min(places, key=lambda name: abs(places[name] - event.position().x()))
        self._held = nearest if abs(places[nearest] - event.position().x()) <= _GRAB else None
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._held is None:
            return
        cv = self._cv(event.position().x())
        if self._held == "low":
            self.low_moved.emit(min(cv, self._high - 0.5))
        elif self._held == "high":
            self.high_moved.emit(max(cv, self._low + 0.5))
        else:
            share = (cv - self._low) / max(self._high - self._low, 1e-6)
            self.gamma_moved.emit(float(np.clip(np.log(np.clip(share, 0.01, 0.99)) / np.log(0.5), 0.05, 20)))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._held is not None:
            self._held = None
            self.settled.emit()
            self.update()
