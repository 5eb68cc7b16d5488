"""The picture."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme


class Viewer(QWidget):
    """Shows one image, as large as it fits, or a sentence in its place.

    Signals:
        dragged(float): the mouse is down at this share of the picture's width.
    """

    dragged = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self._aspect = 1.0  # of one pixel
        self._message = ""
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
        elif self._message:
            painter.setPen(theme.QUIET)
            box = self.rect().adjusted(40, 20, -40, -20)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._message)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        self._drag(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        self._drag(event)

    def _drag(self, event: QMouseEvent) -> None:
        rect = self.picture_rect()
        if rect.width() > 0 and event.buttons() & Qt.MouseButton.LeftButton:
            self.dragged.emit(min(max((event.position().x() - rect.left()) / rect.width(), 0.0), 1.0))
