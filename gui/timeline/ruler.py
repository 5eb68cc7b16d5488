"""The ruler over the tracks, and the heads of the tracks beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import (
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QScrollArea,
    QToolButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.timeline.view import GAP_PX, TimelineView, nice_step
from gui.widgets.building import named
from host_adapters.standalone import scene
from host_adapters.standalone.project import on_timeline
from julnet_plugin.media.timecode import Timecode

if TYPE_CHECKING:
    from gui.document import Document
    from gui.record import Record
    from host_adapters.standalone.project import Project
    from host_adapters.standalone.scene import Switch
    from host_adapters.standalone.timeline import Marker, Track

HEIGHT = 30
_LABEL_PX = 92


class Ruler(QWidget):
    """Timecode, markers, marks and the playhead; dragging scrubs.

    Signals:
        scrubbed(int): the user wants to see this frame.
        marker_opened(Marker): a marker was double-clicked.
    """

    scrubbed = Signal(int)
    marker_opened = Signal(object)

    def __init__(self, view: TimelineView, record: Record) -> None:
        super().__init__()
        self._view, self._record = view, record
        self.setFixedHeight(HEIGHT)
        self.setAccessibleName("Ruler")
        self.setMouseTracking(True)
        view.zoomed.connect(self.update)
        record.moved.connect(lambda _: self.update())
        record.marked.connect(self.update)

    def sizeHint(self) -> QSize:  # noqa: D102
        return QSize(400, HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.PANEL)
        view, timeline = self._view, self._view.timeline
        self._paint_marks(painter)
        step = nice_step(_LABEL_PX / view.zoom, timeline.rate)
        first = view.frame_at(0) // step * step
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        frame = first
        while (x := view.x_of(frame)) < self.width():
            painter.setPen(theme.LINE.lighter(140))
            painter.drawLine(QPointF(x, HEIGHT - 10), QPointF(x, HEIGHT))
            for part in range(1, 5):
                small = x + part * step * view.zoom / 5
                painter.drawLine(QPointF(small, HEIGHT - 4), QPointF(small, HEIGHT))
            label = Timecode(frame=timeline.start_frame + frame, rate=timeline.rate, drop_frame=timeline.drop_frame)
            painter.setPen(theme.QUIET)
            painter.drawText(QPointF(x + 4, HEIGHT - 12), str(label))
            frame += step
        self._paint_markers(painter)
        self._paint_playhead(painter)

    def _paint_marks(self, painter: QPainter) -> None:
        first, last = self._record.in_frame, self._record.out_frame
        if first is None and last is None:
            return
        left = self._view.x_of(first or 0)
        right = self._view.x_of(self._view.timeline.record_out if last is None else last + 1)
        band = QColor(theme.ACCENT)
        band.setAlpha(90)
        painter.fillRect(QRectF(left, 0, right - left, HEIGHT), band)

    def _paint_markers(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for marker in self._view.timeline.markers:
            x = self._view.x_of(marker.frame)
            shape = [QPointF(x - 5, 1), QPointF(x + 5, 1), QPointF(x + 5, 8), QPointF(x, 13), QPointF(x - 5, 8)]
            painter.setPen(QPen(QColor(0, 0, 0, 120), 1))
            painter.setBrush(QColor(marker.colour.lower()).lighter(125))
            painter.drawPolygon(QPolygonF(shape))

    def _paint_playhead(self, painter: QPainter) -> None:
        x = self._view.x_of(self._record.frame)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.PLAYHEAD)
        head = [QPointF(x - 6, 14), QPointF(x + 7, 14), QPointF(x + 7, 21), QPointF(x + 0.75, 28), QPointF(x - 6, 21)]
        painter.drawPolygon(QPolygonF(head))
        painter.fillRect(QRectF(x, 26, 1.5, 4), theme.PLAYHEAD)

    def marker_at(self, x: float) -> Marker | None:
        """The marker under a column."""
        near = [marker for marker in self._view.timeline.markers if abs(self._view.x_of(marker.frame) - x) <= 6]
        return min(near, key=lambda marker: abs(self._view.x_of(marker.frame) - x), default=None)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        marker = self.marker_at(event.position().x()) if event.position().y() < 14 else None
        if marker is not None:
            self.scrubbed.emit(marker.frame)
        else:
            self.mouseMoveEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.scrubbed.emit(self._view.frame_at(event.position().x()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        marker = self.marker_at(event.position().x())
        if marker is not None:
            self.marker_opened.emit(marker)

    def event(self, event: QEvent) -> bool:  # noqa: D102
        if isinstance(event, QHelpEvent):
            marker = self.marker_at(event.pos().x())
            text = " – ".join(part for part in (marker.name, marker.note) if part) if marker else ""
            QToolTip.showText(event.globalPos(), text or "", self)
            return True
        return super().event(event)


_SWITCHES: dict[str, tuple[tuple[Switch, str, str], ...]] = {
    "video": (("locked", "L", "Lock"), ("hidden", "H", "Hide"), ("solo", "S", "Solo")),
    "audio": (("locked", "L", "Lock"), ("muted", "M", "Mute"), ("solo", "S", "Solo")),
}


class TrackHead(QWidget):
    """A track's name and switches."""

    def __init__(self, document: Document, track: Track, height: int) -> None:
        super().__init__()
        self._document, self._id = document, track.id
        self.setFixedHeight(height)
        self.setObjectName("head")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._name = QLabel(track.name)
        self._name.setToolTip("Double-click to rename")
        line = QHBoxLayout(self)
        line.setContentsMargins(8, 2, 4, 2)
        line.setSpacing(2)
        line.addWidget(self._name, 1)
        self._buttons: dict[str, QToolButton] = {}
        for switch, letter, word in _SWITCHES[track.kind]:
            button = named(QToolButton(), "switch")
            button.setText(letter)
            button.setCheckable(True)
            button.setToolTip(f"{word} track")
            button.setAccessibleName(f"{word} track {track.name}")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda on, switch=switch, word=word: self._switch(switch, word, on))
            line.addWidget(button)
            self._buttons[switch] = button
        self.show_track(track)

    def show_track(self, track: Track) -> None:
        """Another value of it."""
        self._name.setText(track.name)
        for switch, button in self._buttons.items():
            button.setChecked(getattr(track, switch))

    def _switch(self, switch: Switch, word: str, on: bool) -> None:
        name = f"{word if on else 'Un' + word.lower()} track"
        self._document.edit(name, on_timeline(lambda t: scene.switch_track(t, self._id, switch, on)))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        rename_track(self, self._document, self._id)


def rename_track(parent: QWidget, document: Document, track_id: str) -> None:
    """Ask for another name."""
    old = document.value.timeline.track(track_id).name
    name, sure = QInputDialog.getText(parent, "Rename track", "Name of the track", text=old)
    if sure and name != old:
        document.edit("Rename track", on_timeline(lambda t: scene.rename_track(t, track_id, name)))


class TrackHeads(QScrollArea):
    """All heads, beside the tracks, scrolled with them."""

    WIDTH = 128

    def __init__(self, view: TimelineView, document: Document) -> None:
        super().__init__()
        self._view, self._document = view, document
        self._heads: dict[str, TrackHead] = {}
        self._order: list[str] = []
        self.setFixedWidth(self.WIDTH)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.verticalScrollBar().valueChanged.connect(self.verticalScrollBar().setValue)

    def set_project(self, project: Project) -> None:
        """Show another value: heads are made anew only when tracks come or go."""
        tracks = {track.id: track for track in project.timeline.tracks}
        rows = self._view.rows()
        order = sorted(rows, key=lambda name: rows[name][0])
        if order != self._order:
            self._rebuild(order, tracks, rows)
        for name, head in self._heads.items():
            head.show_track(tracks[name])

    def _rebuild(self, order: list[str], tracks: dict[str, Track], rows: dict[str, tuple[float, float]]) -> None:
        self._order = order
        self._heads = {}
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        at = 0.0
        for name in order:
            top, height = rows[name]
            column.addSpacing(round(top - at))
            self._heads[name] = TrackHead(self._document, tracks[name], round(height))
            column.addWidget(self._heads[name])
            at = top + height
        column.addSpacing(GAP_PX + 40)
        column.addStretch()
        body.setFixedWidth(self.WIDTH)
        self.setWidget(body)
        self.setWidgetResizable(True)
