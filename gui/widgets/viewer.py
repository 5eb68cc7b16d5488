"""The picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QTabletEvent, QTransform
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme

if TYPE_CHECKING:
    from collections.abc import Callable


class PictureTool(Protocol):
    """What the mouse and the pen do on the picture, in place of the viewer's own. Points are picture pixels.

    Pressure is in [0, 1]; a mouse has 1. A method that returns False leaves the event to the viewer.
    """

    def press(self, at: QPointF, pressure: float, event: QMouseEvent | QTabletEvent) -> bool:
        """A button or the pen goes down."""

    def move(self, at: QPointF, pressure: float, event: QMouseEvent | QTabletEvent) -> bool:
        """It moves, down or up (look at `event.buttons()`)."""

    def release(self, at: QPointF, pressure: float, event: QMouseEvent | QTabletEvent) -> bool:
        """It goes up."""


class Viewer(QWidget):
    """Shows one image, as large as it fits, or a sentence in its place.

    What else is drawn on the picture are layers; who takes the mouse from the viewer is a tool.

    Signals:
        dragged(float): the mouse is down at this share of the picture's width.
    """

    dragged = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self._aspect = 1.0  # of one pixel
        self._message = ""
        self._tool: PictureTool | None = None
        self._layers: list[Callable[[QPainter], None]] = []
        self.setMinimumSize(320, 180)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # a click here takes the keys away from a text field
        self.setAccessibleName("Viewer")

    @property
    def image(self) -> QImage | None:
        """What is shown."""
        return self._image

    @property
    def message(self) -> str:
        """The sentence that is shown in place of a picture."""
        return self._message

    def set_image(self, image: QImage, pixel_aspect: float = 1.0) -> None:
        """Show a picture."""
        self._image, self._aspect, self._message = image, pixel_aspect, ""
        self.update()

    def set_message(self, message: str) -> None:
        """Show a sentence and no picture."""
        self._image, self._message = None, message
        self.update()

    @property
    def tool(self) -> PictureTool | None:
        """What has the mouse; None = the viewer itself."""
        return self._tool

    def set_tool(self, tool: PictureTool | None, cursor: Qt.CursorShape = Qt.CursorShape.CrossCursor) -> None:
        """Give the mouse and the pen to a tool, or with None take them back."""
        self._tool = tool
        self.setMouseTracking(tool is not None)
        self.setTabletTracking(tool is not None)
        self.setCursor(Qt.CursorShape.ArrowCursor if tool is None else cursor)
        self.update()

    def add_layer(self, paint: Callable[[QPainter], None]) -> Callable[[], None]:
        """Draw on the picture at every paint: the painter's coordinates are picture pixels.

        Returns:
            What takes the layer away again.
        """
        self._layers.append(paint)
        self.update()
        return lambda: self._drop_layer(paint)

    def _drop_layer(self, paint: Callable[[QPainter], None]) -> None:
        if paint in self._layers:
            self._layers.remove(paint)
            self.update()

    def to_picture(self, point: QPointF) -> QPointF:
        """A point of the widget in picture pixels; outside the picture where it is outside."""
        inverse, possible = self._to_widget().inverted()
        return inverse.map(point) if possible else QPointF()

    def to_widget(self, point: QPointF) -> QPointF:
        """A point of the picture on the widget."""
        return self._to_widget().map(point)

    def update_at(self, rect: QRectF) -> None:
        """Repaint what lies under a rectangle of picture pixels, and no more: painting does this a hundred times."""
        self.update(self._to_widget().mapRect(rect).adjusted(-2, -2, 2, 2).toAlignedRect())

    def pixel_size(self) -> float:
        """Widget pixels that one picture row is high."""
        return self.picture_rect().height() / self._image.height() if self._image else 1.0

    def _to_widget(self) -> QTransform:
        rect = self.picture_rect()
        if self._image is None or self._image.isNull():
            return QTransform()
        scaled = QTransform.fromTranslate(rect.left(), rect.top())
        return scaled.scale(rect.width() / self._image.width(), rect.height() / self._image.height())

    def picture_rect(self) -> QRectF:
        """Where the picture lies in the widget."""
        if self._image is None:
            return QRectF()
        size = QSizeF(self._image.width() * self._aspect, self._image.height())
        size.scale(QSizeF(self.size()), Qt.AspectRatioMode.KeepAspectRatio)
        corner = QPointF((self.width() - size.width()) / 2, (self.height() - size.height()) / 2)
        return QRectF(corner, size)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.BLACK)
        if self._image is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(self.picture_rect(), self._image)
            self._paint_layers(painter)
        elif self._message:
            painter.setPen(theme.QUIET)
            box = self.rect().adjusted(40, 20, -40, -20)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._message)

    def _paint_layers(self, painter: QPainter) -> None:
        painter.setTransform(self._to_widget(), combine=True)
        for paint in self._layers:
            painter.save()
            paint(painter)
            painter.restore()
        painter.resetTransform()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._tool is None or not self._tool.press(self.to_picture(event.position()), 1.0, event):
            self._drag(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._tool is None or not self._tool.move(self.to_picture(event.position()), 1.0, event):
            self._drag(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._tool is not None:
            self._tool.release(self.to_picture(event.position()), 1.0, event)

    def tabletEvent(self, event: QTabletEvent) -> None:  # noqa: D102
        if self._tool is None:
            event.ignore()  # it comes again as the mouse
            return
        kinds = {
            QTabletEvent.Type.TabletPress: self._tool.press,
            QTabletEvent.Type.TabletMove: self._tool.move,
            QTabletEvent.Type.TabletRelease: self._tool.release,
        }
        handle = kinds.get(event.type())
        if handle is not None and handle(self.to_picture(event.position()), event.pressure(), event):
            event.accept()
        else:
            event.ignore()

    def _drag(self, event: QMouseEvent) -> None:
        rect = self.picture_rect()
        if rect.width() > 0 and event.buttons() & Qt.MouseButton.LeftButton:
            self.dragged.emit(min(max((event.position().x() - rect.left()) / rect.width(), 0.0), 1.0))
