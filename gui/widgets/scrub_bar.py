"""The bar under the picture: where the playhead is, what will be re-dubbed, and where the take is unsure."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.session import Session, TakeView

_HEAT_PX = 14  #: height of the strip that shows σ
_BAR_PX = 16
_FULL_CV = 32.0  #: expected error, code values of 255, at which the heat is full: the matte's own default


class ScrubBar(QWidget):
    """Shows a session's time; one pixel column shows the worst of the frames that it stands for.

    Signals:
        scrubbed(int): the user wants to see this frame.
    """

    scrubbed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = Session()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName("Scrub bar")

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(400, _HEAT_PX + _BAR_PX + 4)

    def set_session(self, session: Session) -> None:
        """Show another session."""
        self._session = session
        self.update()

    def frame_at(self, x: float) -> int:
        """The frame under a column of the widget."""
        count = self._session.frame_count
        return min(max(int(x / max(self.width(), 1) * count), 0), max(count - 1, 0))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.WINDOW)
        bar = QRectF(0, _HEAT_PX + 2, self.width(), _BAR_PX)
        painter.fillRect(bar, theme.FIELD)
        if not self._session.frame_count:
            return
        if self._session.take is not None:
            self._paint_take(painter, self._session.take, bar)
        self._paint_marks(painter, bar)
        self._paint_playhead(painter)

    def _x(self, frame: int) -> float:
        return frame * self.width() / self._session.frame_count

    def _paint_take(self, painter: QPainter, take: TakeView, bar: QRectF) -> None:
        painter.fillRect(QRectF(0, 0, self.width(), _HEAT_PX), theme.FIELD)
        for column, sigma in enumerate(heat_columns(take, self._session.frame_count, self.width())):
            if sigma is not None:
                painter.fillRect(column, 0, 1, _HEAT_PX, heat_colour(sigma))
        for span in take.spans:
            box = QRectF(self._x(span.start), bar.top(), max(self._x(span.stop) - self._x(span.start), 2), 3)
            painter.fillRect(box, theme.WARM)

    def _paint_marks(self, painter: QPainter, bar: QRectF) -> None:
        first, last = self._session.in_frame, self._session.out_frame
        if first is None and last is None:
            return
        left = self._x(first or 0)
        right = self._x(self._session.frame_count if last is None else last + 1)
        fill = QColor(theme.ACCENT)
        fill.setAlpha(70)
        painter.fillRect(QRectF(left, bar.top(), right - left, bar.height()), fill)
        for edge in (left, right - 2):
            painter.fillRect(QRectF(edge, bar.top(), 2, bar.height()), theme.ACCENT)

    def _paint_playhead(self, painter: QPainter) -> None:
        left = self._x(self._session.frame)
        width = max(self._x(self._session.frame + 1) - left, 2)
        glow = QColor(theme.TEXT)
        glow.setAlpha(60)
        painter.fillRect(QRectF(left, 0, width, self.height()), glow)
        painter.fillRect(QRectF(left + width / 2 - 1, 0, 2, self.height()), theme.TEXT)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        self.mouseMoveEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._session.frame_count and event.buttons() & Qt.MouseButton.LeftButton:
            self.scrubbed.emit(self.frame_at(event.position().x()))


def heat_columns(take: TakeView, frame_count: int, width: int) -> list[float | None]:
    """The highest σ of the frames under each column; None where the take holds no frame."""
    columns: list[float | None] = [None] * width
    for column in range(width):
        start = column * frame_count // width
        stop = max(start + 1, (column + 1) * frame_count // width)
        frames = range(max(start, take.frames.start), min(stop, take.frames.stop))
        if frames:
            columns[column] = max(take.sigma[frame - take.frames.start] for frame in frames)
    return columns


def heat_colour(sigma: float) -> QColor:
    """Dark where the network is sure, through red to pale yellow where it expects an error of 32 code values."""
    heat = min(max(255 * sigma / _FULL_CV, 0.0), 1.0)
    hue = 0.98 + 0.15 * heat  # from crimson, past red, to yellow
    return QColor.fromHsvF(hue % 1.0, 0.85 - 0.35 * heat**3, 0.22 + 0.78 * heat)
