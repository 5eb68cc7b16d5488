"""A clip on the timeline, as it is painted: in device pixels, whatever the zoom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen, QPolygonF

from gui import theme
from gui.timeline.thumbnails import PEAKS_HZ, THUMB_H

if TYPE_CHECKING:
    from gui.timeline.view import TimelineView
    from host_adapters.standalone.timeline import Clip, Track

VIDEO = QColor(62, 84, 118)
AUDIO = QColor(52, 96, 84)
LOCKED = QColor(70, 70, 72)
MISSING = QColor(112, 48, 48)
TITLE_PX = 17
HEAT_PX = 6
PLAIN_PX = 9  #: a clip that is narrower is a plain box


class ClipPainter:
    """Paints one clip into its box of the viewport."""

    def __init__(self, view: TimelineView, clip: Clip, track: Track) -> None:
        self._view = view
        self.clip, self.track = clip, track

    def paint(self, painter: QPainter, box: QRectF) -> None:
        """Draw it. The painter's coordinates are the viewport's."""
        box = box.adjusted(0, 1, -1, -1)
        colour = self._colour()
        selected = self.clip.id in self._view.selection
        seen = box.intersected(QRectF(self._view.viewport().rect()))
        painter.save()
        painter.setClipRect(seen.toAlignedRect())  # thumbnails and the heat strip go on beyond the clip's end
        painter.fillRect(box, colour)
        if self.track.kind == "video":
            self._paint_pictures(painter, box, seen)
        else:
            self._paint_wave(painter, box, seen)
        self._paint_title(painter, box, seen, colour)
        if self.clip.take is not None:
            self._paint_heat(painter, box)
        if not self.clip.enabled or self.track.hidden or self.track.muted:
            painter.fillRect(box, QColor(0, 0, 0, 130))
        painter.setClipping(False)
        pen = QPen(theme.ACCENT.lighter(125) if selected else QColor(16, 16, 17), 2 if selected else 1)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(box.adjusted(0.5, 0.5, -0.5, -0.5))
        painter.restore()

    def _colour(self) -> QColor:
        if self._view.is_missing(self.clip.media.path):
            return MISSING
        if self.track.locked:
            return LOCKED
        return VIDEO if self.track.kind == "video" else AUDIO

    def _x(self, box: QRectF, frame: float) -> float:
        return box.left() + frame * self._view.zoom

    def _paint_title(self, painter: QPainter, box: QRectF, seen: QRectF, colour: QColor) -> None:
        bar = QRectF(box.left(), box.top(), box.width(), TITLE_PX)
        painter.fillRect(bar, colour.darker(125))
        if seen.width() < 26:
            return
        left = max(box.left(), 0.0) + 5
        right = min(box.right(), seen.right()) - 4
        takes = len(self.clip.takes)
        if takes:
            left += self._paint_badge(painter, left, bar, takes)
        if self.clip.link is not None and right - left > 40:
            painter.setPen(theme.QUIET)
            painter.drawText(QRectF(right - 12, bar.top(), 12, TITLE_PX), Qt.AlignmentFlag.AlignCenter, "∞")
            right -= 14
        painter.setPen(theme.TEXT)
        title = self.clip.title
        if self._view.is_missing(self.clip.media.path):
            title = f"Missing: {title}"
        shown = QFontMetrics(painter.font()).elidedText(title, Qt.TextElideMode.ElideRight, int(right - left))
        painter.drawText(QRectF(left, bar.top(), max(right - left, 0), TITLE_PX), Qt.AlignmentFlag.AlignVCenter, shown)

    def _paint_badge(self, painter: QPainter, left: float, bar: QRectF, takes: int) -> float:
        """How many takes, lit while one of them is shown. Returns its width."""
        take = self.clip.take
        text = f"{[t.name for t in self.clip.takes].index(take.name) + 1}/{takes}" if take else f"–/{takes}"
        width = QFontMetrics(painter.font()).horizontalAdvance(text) + 10
        badge = QRectF(left, bar.top() + 2, width, TITLE_PX - 4)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.WARM.darker(115) if take else theme.LINE)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawRoundedRect(badge, 4, 4)
        painter.setPen(theme.TEXT)
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, text)
        return width + 5

    def _paint_pictures(self, painter: QPainter, box: QRectF, seen: QRectF) -> None:
        room = box.height() - TITLE_PX - (HEAT_PX if self.clip.take else 0)
        if room < 14 or box.width() < 24:
            return
        path = self._view.path_of(self.clip.media.path)
        aspect = self._view.aspect_of(self.clip.media.path)
        height = min(room, THUMB_H * 1.5)
        width = height * aspect
        step = max(1, round(width / self._view.zoom))
        grid = 1 << (step - 1).bit_length()  # coarse frame numbers, so that zooming finds pictures made before
        top = box.top() + TITLE_PX
        first = int((seen.left() - box.left()) // width)
        last = int((seen.right() - box.left()) // width)
        for place in range(first, last + 1):
            x = box.left() + place * width
            frame = self.clip.source.start + int(place * width / self._view.zoom)
            frame = max(frame // grid * grid, self.clip.source.start)
            image = self._view.thumbnails.picture(path, self.clip.media.native_frame(frame))
            if image is not None:
                painter.drawImage(QRectF(x, top, width, height), image)

    def _paint_wave(self, painter: QPainter, box: QRectF, seen: QRectF) -> None:
        peaks = self._view.thumbnails.peaks(self._view.path_of(self.clip.media.path))
        if peaks is None or len(peaks) == 0:
            return
        rate, zoom = float(self.clip.media.rate), self._view.zoom
        middle = box.top() + TITLE_PX + (box.height() - TITLE_PX) / 2
        half = (box.height() - TITLE_PX) / 2 - 2
        columns = range(int(max(seen.left(), box.left())), int(seen.right()) + 1)
        above: list[QPointF] = []
        below: list[QPointF] = []
        for column in columns:
            start = (self.clip.source.start + (column - box.left()) / zoom) / rate * PEAKS_HZ
            stop = start + max(PEAKS_HZ / rate / zoom, 1.0)
            part = peaks[int(max(start, 0)) : int(stop) + 1]
            if len(part):
                above.append(QPointF(column, middle - half * float(part[:, 1].max()) / 127))
                below.append(QPointF(column, middle - half * float(part[:, 0].min()) / 127))
        painter.setPen(QPen(AUDIO.lighter(185), 1))
        painter.setBrush(AUDIO.lighter(150))
        if len(above) > 1:
            painter.drawPolygon(QPolygonF([*above, *reversed(below)]))

    def _paint_heat(self, painter: QPainter, box: QRectF) -> None:
        take = self.clip.take
        strip = None if take is None else self._view.thumbnails.heat(self._view.path_of(take.folder))
        if strip is None:
            return
        first, image = strip
        media = self.clip.media
        left = self._x(box, media.frame_of_native(first) - self.clip.source.start)
        right = self._x(box, media.frame_of_native(first + image.width()) - self.clip.source.start)
        band = QRectF(left, box.bottom() - HEAT_PX, right - left, HEAT_PX)
        painter.fillRect(QRectF(box.left(), band.top(), box.width(), HEAT_PX), theme.FIELD)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, on=False)
        painter.drawImage(band, image)
