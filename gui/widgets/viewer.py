"""The picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QTabletEvent, QTransform, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme

if TYPE_CHECKING:
    from collections.abc import Callable


ZOOM_MOST = 32.0  #: times the size that fits
_CRISP = 3.0  #: widget pixels a picture pixel from which on pixels are shown as they are


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

    def leave(self) -> None:
        """Escape was pressed: give the mouse back."""


class Viewer(QWidget):
    """Shows one image, as large as it fits or nearer, or a sentence in its place.

    What else is drawn on the picture are layers; who takes the mouse from the viewer is a tool. The wheel zooms at the
    mouse and the middle button moves the picture, whoever has the mouse.

    Signals:
        dragged(float): the mouse is down at this share of the picture's width.
        zoomed(): the picture is shown in another size.
    """

    dragged = Signal(float)
    zoomed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self._aspect = 1.0  # of one pixel
        self._message = ""
        self._tool: PictureTool | None = None
        self._layers: list[Callable[[QPainter], None]] = []
        self._zoom = 1.0  # times the size that fits
        self._middle = QPointF(0.5, 0.5)  # what of the picture is in the middle of the widget, as shares of its sides
        self._grip: QPointF | None = None  # where the middle button holds the picture, picture pixels
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

    # Nearer and farther

    @property
    def zoom(self) -> float:
        """How many times larger the picture is than it would fit."""
        return self._zoom

    @property
    def percent(self) -> float:
        """The size of the picture: at 100 one of its rows is one row of the screen."""
        return 100 * self.pixel_size() * self.devicePixelRatioF()

    def set_zoom(self, zoom: float, at: QPointF | None = None) -> None:
        """Show the picture larger or smaller; what lies under a point of the widget (its middle) stays there.

        Args:
            zoom: times the size that fits; never smaller than that.
            at: a point of the widget.
        """
        if self._image is None:
            return
        at = QPointF(self.width() / 2, self.height() / 2) if at is None else at
        held = self.to_picture(at)
        self._zoom = min(max(zoom, 1.0), ZOOM_MOST)
        self._hold(held, at)

    def zoom_to_pixels(self) -> None:
        """One picture pixel is one pixel of the screen."""
        if self._image is not None:
            self.set_zoom(self._zoom * 100 / self.percent)

    def zoom_to(self, rect: QRectF) -> None:
        """Fill the widget with a rectangle of the picture, picture pixels."""
        if self._image is None or rect.isEmpty():
            return
        fit = self._fitted().width() / self._image.width()
        self._zoom = min(max(min(self.width() / rect.width(), self.height() / rect.height()) / fit, 1.0), ZOOM_MOST)
        self._hold(rect.center(), QPointF(self.width() / 2, self.height() / 2))

    def _hold(self, point: QPointF, at: QPointF) -> None:
        """Move the picture so that one of its points lies at a point of the widget, as far as no edge comes in."""
        assert self._image is not None
        size = self._fitted().size() * self._zoom
        lies = QPointF(point.x() / self._image.width(), point.y() / self._image.height())
        x = lies.x() + (self.width() / 2 - at.x()) / size.width()
        y = lies.y() + (self.height() / 2 - at.y()) / size.height()
        self._middle = QPointF(_kept_in(x, self.width() / size.width()), _kept_in(y, self.height() / size.height()))
        self.update()
        self.zoomed.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: D102
        turned = event.angleDelta().y()
        if self._image is not None and turned:
            self.set_zoom(self._zoom * 1.0015**turned, event.position())
            event.accept()
        else:
            event.ignore()

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
        """Where the picture lies in the widget; beyond its edges where it is shown larger than it fits."""
        if self._image is None:
            return QRectF()
        fitted = self._fitted()
        if self._zoom == 1:
            return fitted
        size = fitted.size() * self._zoom
        x, y = self._middle.x() * size.width(), self._middle.y() * size.height()
        return QRectF(QPointF(self.width() / 2 - x, self.height() / 2 - y), size)

    def _fitted(self) -> QRectF:
        """Where the picture lies when it fits."""
        assert self._image is not None
        size = QSizeF(self._image.width() * self._aspect, self._image.height())
        size.scale(QSizeF(self.size()), Qt.AspectRatioMode.KeepAspectRatio)
        corner = QPointF((self.width() - size.width()) / 2, (self.height() - size.height()) / 2)
        return QRectF(corner, size)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.BLACK)
        if self._image is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, on=self.pixel_size() < _CRISP)
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
        if event.button() is Qt.MouseButton.MiddleButton:
            self._grip = self.to_picture(event.position())
            return
        if self._tool is None or not self._tool.press(self.to_picture(event.position()), 1.0, event):
            self._drag(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._grip is not None and self._image is not None:
            self._hold(self._grip, event.position())
            return
        if self._tool is None or not self._tool.move(self.to_picture(event.position()), 1.0, event):
            self._drag(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if event.button() is Qt.MouseButton.MiddleButton:
            self._grip = None
            return
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


def _kept_in(middle: float, shown: float) -> float:
    """A share of the picture's side for the widget's middle, so that no edge comes in; `shown` of the side is seen."""
    return 0.5 if shown >= 1 else min(max(middle, shown / 2), 1 - shown / 2)
