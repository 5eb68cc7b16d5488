"""A parameter over time, with its keyframes to drag."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QContextMenuEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QMenu, QSizePolicy, QWidget

from gui import theme
from julnet_plugin.matte.keyframes import INTERPOLATIONS, Curve, Key
from julnet_plugin.types import FrameRange

_GRAB = 8.0
_PAD = 10.0


class CurveView(QWidget):
    """Shows one curve over the frames of a take.

    Click a key to take it, drag it in time and value, double-click makes one, Delete takes it away, a right click
    chooses how it goes on to the next.

    Signals:
        moved(int, Key): the key of this frame shall be that one; positions of a drag.
        added(Key), removed(int): a key more, the key of a frame less.
        settled(): a drag has ended.
        scrubbed(int): the user clicked beside every key: go to this frame.
    """

    moved = Signal(int, object)
    added = Signal(object)
    removed = Signal(int)
    settled = Signal()
    scrubbed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curve = Curve()
        self._frames = FrameRange(start=0, stop=1)
        self._frame = 0
        self._low, self._high = 0.0, 1.0
        self._held: int | None = None
        self._scale: tuple[float, float] | None = None  # kept while a key is dragged
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName("Keyframes")
        self.setToolTip("Double-click makes a key; drag it; Delete removes it; right click: how it goes on")

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(240, 110)

    def set_curve(self, curve: Curve, frames: FrameRange, frame: int, low: float, high: float) -> None:
        """Show a curve.

        Args:
            curve: the parameter.
            frames: of the take.
            frame: the playhead.
            low: least value the parameter may have.
            high: the most.
        """
        self._curve, self._frames, self._frame, self._low, self._high = curve, frames, frame, low, high
        if self._held is not None and all(key.frame != self._held for key in curve.keys):
            self._held = None
        self.update()

    @property
    def held(self) -> int | None:
        """Frame of the key that was taken last."""
        return self._held

    def point_of(self, key: Key) -> QPointF:
        """Where a key is drawn."""
        return QPointF(self._x(key.frame), self._y(key.value))

    def _span(self) -> tuple[float, float]:
        if self._scale is not None:
            return self._scale
        values = [key.value for key in self._curve.keys] or [self._curve.value]
        least, most = min(values), max(values)
        room = max((most - least) * 0.2, (self._high - self._low) * 0.02, 0.5)
        return max(least - room, self._low), min(most + room, self._high)

    def _x(self, frame: float) -> float:
        share = (frame - self._frames.start) / max(len(self._frames) - 1, 1)
        return _PAD + share * (self.width() - 2 * _PAD)

    def _y(self, value: float) -> float:
        low, high = self._span()
        return self.height() - _PAD - (value - low) / max(high - low, 1e-9) * (self.height() - 2 * _PAD)

    def _frame_at(self, x: float) -> int:
        share = (x - _PAD) / max(self.width() - 2 * _PAD, 1)
        frame = round(self._frames.start + share * max(len(self._frames) - 1, 1))
        return min(max(frame, self._frames.start), self._frames.stop - 1)

    def _value_at(self, y: float) -> float:
        low, high = self._span()
        value = low + (self.height() - _PAD - y) / max(self.height() - 2 * _PAD, 1) * (high - low)
        return min(max(value, self._low), self._high)

    def _key_near(self, at: QPointF) -> Key | None:
        def apart(key: Key) -> float:
            return (self.point_of(key) - at).manhattanLength()

        nearest = min(self._curve.keys, key=apart, default=None)
        return nearest if nearest is not None and apart(nearest) <= 2 * _GRAB else None

    # Drawing

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.FIELD)
        painter.drawRoundedRect(QRectF(self.rect()), 4, 4)
        self._paint_grid(painter)
        line = QPolygonF()
        for x in np.arange(_PAD, self.width() - _PAD + 1, 2.0).tolist():
            line.append(QPointF(x, self._y(self._curve.at(self._frame_at(x)))))
        painter.setPen(QPen(theme.ACCENT, 1.8))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(line)
        for key in self._curve.keys:
            self._paint_key(painter, key)

    def _paint_grid(self, painter: QPainter) -> None:
        low, high = self._span()
        painter.setPen(QPen(theme.LINE, 1))
        for share in (0.0, 0.5, 1.0):
            y = self._y(low + share * (high - low))
            painter.drawLine(QPointF(_PAD, y), QPointF(self.width() - _PAD, y))
        painter.setPen(theme.QUIET)
        font = painter.font()
        font.setPixelSize(10)
        painter.setFont(font)
        painter.drawText(QPointF(4, 11), f"{high:g}"[:6])
        painter.drawText(QPointF(4, self.height() - 2), f"{low:g}"[:6])
        x = self._x(self._frame)
        painter.setPen(QPen(QColor(222, 222, 224, 140), 1))
        painter.drawLine(QPointF(x, 2), QPointF(x, self.height() - 2))

    def _paint_key(self, painter: QPainter, key: Key) -> None:
        at, side = self.point_of(key), 4.5
        painter.setPen(QPen(theme.BLACK, 1))
        painter.setBrush(theme.WARM if key.frame == self._held else theme.TEXT)
        if key.interpolation == "hold":
            painter.drawRect(QRectF(at.x() - side, at.y() - side, 2 * side, 2 * side))
        elif key.interpolation == "smooth":
            painter.drawEllipse(at, side + 0.5, side + 0.5)
        else:
            corners = [QPointF(0, -side - 1), QPointF(side + 1, 0), QPointF(0, side + 1), QPointF(-side - 1, 0)]
            painter.drawPolygon(QPolygonF([at + corner for corner in corners]))

    # Mouse and keys

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if event.button() is not Qt.MouseButton.LeftButton:
            return
        key = self._key_near(event.position())
        self._held = None if key is None else key.frame
        if key is None:
            self.scrubbed.emit(self._frame_at(event.position().x()))
        else:
            self._scale = self._span()
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        key = next((key for key in self._curve.keys if key.frame == self._held), None)
        if self._scale is None or key is None:
            return
        frame, value = self._frame_at(event.position().x()), self._value_at(event.position().y())
        if any(other.frame == frame for other in self._curve.keys if other is not key):
            frame = key.frame  # a key does not swallow its neighbour
        old, self._held = key.frame, frame
        self.moved.emit(old, Key(frame=frame, value=value, interpolation=key.interpolation))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._scale is not None:
            self._scale = None
            self.settled.emit()
            self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._key_near(event.position()) is None:
            frame = self._frame_at(event.position().x())
            value = self._value_at(event.position().y()) if self._curve.keys else self._curve.value
            self._held = frame
            self.added.emit(Key(frame=frame, value=value, interpolation="smooth"))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self._held is not None:
            frame, self._held = self._held, None
            self.removed.emit(frame)
        else:
            event.ignore()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: D102
        key = self._key_near(QPointF(event.pos()))
        if key is None:
            return
        menu = QMenu(self)
        for name in INTERPOLATIONS:
            action = menu.addAction(name.capitalize())
            action.setCheckable(True)
            action.setChecked(name == key.interpolation)
            changed = Key(frame=key.frame, value=key.value, interpolation=name)
            action.triggered.connect(lambda _=False, changed=changed: self.moved.emit(changed.frame, changed))
        menu.addSeparator()
        menu.addAction("Remove").triggered.connect(lambda: self.removed.emit(key.frame))
        menu.popup(event.globalPos())
