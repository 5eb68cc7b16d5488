"""The brush in the hand: mouse and pen on the picture, and what is drawn there while painting."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPen, QPointingDevice, QPolygonF, QTabletEvent

from gui.matte.overlay import transform_of

if TYPE_CHECKING:
    from gui.matte.editor import MatteEditor
    from gui.widgets.viewer import Viewer

_BEFORE, _AFTER = QColor(90, 160, 255), QColor(110, 220, 130)  #: of the onion skin
_KIND_COLOURS = {"add": QColor(255, 90, 60), "subtract": QColor(80, 170, 255), "smooth": QColor(240, 220, 110)}


class BrushTool:
    """A `PictureTool` that paints.

    Left button or pen tip paints; with Shift a straight line from where the last stroke ended; with Alt the other of
    add and subtract, as the pen's eraser does. Right button drags size (sideways) and hardness (up and down).
    """

    def __init__(self, editor: MatteEditor, viewer: Viewer) -> None:
        self._editor, self._viewer = editor, viewer
        self._at: QPointF | None = None  # the cursor, plate pixels in Qt's coordinates
        self._ended: QPointF | None = None
        self._resizing: tuple[QPointF, object] | None = None

    # Mouse and pen

    def press(self, at: QPointF, pressure: float, event: QMouseEvent | QTabletEvent) -> bool:
        """Begin a stroke, or a drag of the size."""
        point = self._plate(at)
        if event.button() is Qt.MouseButton.RightButton:
            self._resizing = (point, self._editor.brush)
            return True
        if event.button() is not Qt.MouseButton.LeftButton:
            return False
        brush = self._editor.brush
        if event.modifiers() & Qt.KeyboardModifier.AltModifier or _erases(event):
            brush = brush.swapped()
        line = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        start = self._ended if line and self._ended is not None else point
        self._editor.begin_stroke(replace(brush), (start.x(), start.y()), self._pressure(pressure))
        if start is not point:
            self._editor.extend_stroke((point.x(), point.y()), self._pressure(pressure), always=True)
        self._move_cursor(point)
        return True

    def move(self, at: QPointF, pressure: float, event: QMouseEvent | QTabletEvent) -> bool:
        """Lead the stroke on, drag the size, or show where the brush is."""
        point = self._plate(at)
        if self._resizing is not None:
            start, brush = self._resizing
            scale = self._editor.plate_px_per_crop_px or 1.0
            shift = (point - start) / scale
            self._editor.set_brush(brush.dragged(shift.x(), -shift.y()))  # type: ignore[attr-defined]
            self._move_cursor(start)
            return True
        if self._editor.painting:
            self._editor.extend_stroke((point.x(), point.y()), self._pressure(pressure))
        self._move_cursor(point)
        return True

    def release(self, at: QPointF, pressure: float, event: QMouseEvent | QTabletEvent) -> bool:
        """End it."""
        self._resizing = None
        if self._editor.painting:
            self._ended = self._plate(at)
            self._editor.end_stroke()
        return True

    def leave(self) -> None:
        """Lay the brush down."""
        self._editor.set_painting(False)

    def cursor_left(self) -> None:
        """The pointer is somewhere else."""
        self._move_cursor(None)

    def _pressure(self, pressure: float) -> float:
        return min(max(pressure, 0.02), 1.0) if self._editor.brush.pressure else 1.0

    def _plate(self, at: QPointF) -> QPointF:
        """Picture pixels to plate pixels: a proxy or a side-by-side picture is not as large as the plate."""
        return self._editor.plate_of_picture(at)

    def _move_cursor(self, point: QPointF | None) -> None:
        for place in (self._at, point):
            if place is not None:
                self._viewer.update_at(self._editor.picture_rect_of(self._around(place)))
        self._at = point

    def _around(self, place: QPointF) -> QRectF:
        reach = self._radius() + 4 * self._editor.plate_px_per_widget_px
        return QRectF(place.x() - reach, place.y() - reach, 2 * reach, 2 * reach)

    def _radius(self) -> float:
        """Of the brush, plate pixels."""
        scale = self._editor.plate_px_per_crop_px or 1.0
        return self._editor.brush.size_px / 2 * scale

    # What is drawn

    def paint_cursor(self, painter: QPainter) -> None:
        """The brush's outline, and inside it where it is fully painted; the painter's coordinates are plate pixels."""
        if self._at is None:
            return
        brush, radius = self._editor.brush, self._radius()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if brush.lasso:
            radius = 3 * self._editor.plate_px_per_widget_px
        for colour, width in ((QColor(0, 0, 0, 150), 3.0), (_KIND_COLOURS[brush.kind], 1.4)):
            painter.setPen(_cosmetic(colour, width))
            painter.drawEllipse(self._at, radius, radius)
        if not brush.lasso and 0 < brush.hardness < 1:
            painter.setPen(_cosmetic(QColor(255, 255, 255, 110), 1.0, Qt.PenStyle.DotLine))
            painter.drawEllipse(self._at, radius * brush.hardness, radius * brush.hardness)

    def paint_onion(self, painter: QPainter) -> None:
        """Outlines of the neighbours' mattes where they lie on this frame's face: before in blue, after in green."""
        prepared = self._editor.prepared
        if prepared is None or not prepared.onion:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setTransform(transform_of(prepared.plate_from_map), combine=True)
        for distance, outline in prepared.onion:
            colour = QColor(_BEFORE if distance < 0 else _AFTER)
            colour.setAlphaF(max(0.9 / abs(distance), 0.2))
            painter.setPen(_cosmetic(colour, 1.5))
            painter.drawPolygon(QPolygonF([QPointF(x + 0.5, y + 0.5) for x, y in outline.tolist()]))
        painter.restore()


def _erases(event: QMouseEvent | QTabletEvent) -> bool:
    return isinstance(event, QTabletEvent) and event.pointerType() is QPointingDevice.PointerType.Eraser


def _cosmetic(colour: QColor, width: float, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    pen = QPen(colour, width, style)
    pen.setCosmetic(True)  # as wide on screen however large the picture is shown
    return pen
