"""The tracks and their clips, with everything that the mouse does to them. Keys are actions of the panel."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPen,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QGraphicsScene, QGraphicsView

from gui import theme
from gui.timeline.items import AUDIO, LOCKED, PLAIN_PX, VIDEO, ClipPainter
from host_adapters.standalone import scene
from host_adapters.standalone.project import Project, on_timeline
from host_adapters.standalone.storage import absolute_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gui.document import Document
    from gui.record import Record
    from gui.shots import Shots
    from gui.timeline.thumbnails import Thumbnails
    from host_adapters.standalone.timeline import Clip, Timeline, Track

MEDIA_MIME = "application/x-julnet-media"  #: ids of media of the bin, one a line
ROW_PX = {"video": 66, "audio": 50}
GAP_PX = 2  #: between tracks
_SPLIT_PX = 8  #: between pictures and sound
_EDGE_PX = 7
_SNAP_PX = 9
ZOOM_MOST, ZOOM_LEAST = 40.0, 0.0005

TOOLS = ("select", "razor", "ripple", "roll", "slip", "slide")
_CURSORS = {
    "select": Qt.CursorShape.ArrowCursor,
    "razor": Qt.CursorShape.SplitVCursor,
    "ripple": Qt.CursorShape.SizeHorCursor,
    "roll": Qt.CursorShape.SplitHCursor,
    "slip": Qt.CursorShape.OpenHandCursor,
    "slide": Qt.CursorShape.SizeAllCursor,
}
_NAMES = {
    "move": "Move", "trim_in": "Trim", "trim_out": "Trim", "ripple_trim_in": "Ripple trim",
    "ripple_trim_out": "Ripple trim", "roll": "Roll", "slip": "Slip", "slide": "Slide",
}  # fmt: skip


@dataclass(slots=True)
class Drag:
    """What the mouse is doing, from the value that it began with."""

    kind: str
    clip_id: str
    start: Project
    origin: QPointF  #: in scene coordinates
    key: object
    linked: bool
    moved: bool = False


class TimelineView(QGraphicsView):
    """Shows a timeline.

    Signals:
        scrubbed(int): the user wants to see this frame.
        selected(): other clips are selected.
        zoomed(): the scale or the part that is seen is another.
        dropped(object, str, int, bool): media ids or paths, a track's id, a frame, and whether to insert.
        opened(str): a clip was double-clicked.
        menu_wanted(QPoint): a context menu, at this point of the screen.
    """

    scrubbed = Signal(int)
    selected = Signal()
    zoomed = Signal()
    dropped = Signal(object, str, int, bool)
    opened = Signal(str)
    menu_wanted = Signal(QPoint)

    def __init__(self, document: Document, record: Record, shots: Shots, thumbnails: Thumbnails) -> None:
        self._scene = QGraphicsScene()
        super().__init__(self._scene)
        self._document, self._record, self._shots, self.thumbnails = document, record, shots, thumbnails
        self.zoom = 4.0  #: pixels a frame
        self.selection: frozenset[str] = frozenset()
        self.tool = "select"
        self.snapping = True
        self.linked = True
        self.missing: frozenset[str] = frozenset()
        self.painted = 0  #: paint events, for the benchmark
        self._rows: dict[str, tuple[float, float]] = {}  # track: top, height
        self._shown: Timeline | None = None
        self._drag: Drag | None = None
        self._keys = itertools.count()
        self._snap_line: int | None = None
        self._band: tuple[QPointF, QPointF] | None = None
        self._drop_at: tuple[int, str] | None = None
        self._look()
        self.set_project(document.value)

    def _look(self) -> None:
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setResizeAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.FullViewportUpdate)
        self.setOptimizationFlag(QGraphicsView.OptimizationFlag.DontSavePainterState)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setBackgroundBrush(theme.FIELD)
        self.setMouseTracking(True)
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName("Timeline")
        self.setAccessibleDescription("Tracks with clips; arrow keys move the playhead, the menus hold every edit")
        self.setMinimumHeight(90)
        self.horizontalScrollBar().valueChanged.connect(lambda _: self.zoomed.emit())
        self.thumbnails.made.connect(self.viewport().update)
        self._record.moved.connect(self._playhead_moved)
        self._record.marked.connect(self.viewport().update)

    # What is shown

    @property
    def folder(self) -> Path | None:
        """The project's."""
        return self._document.folder

    @property
    def timeline(self) -> Timeline:
        """What is shown."""
        return self._document.value.timeline

    def path_of(self, name: str) -> Path:
        """Where a file of the project is."""
        return absolute_path(name, self._document.folder)

    def is_missing(self, name: str) -> bool:
        """Whether a medium is not there."""
        return name in self.missing

    def aspect_of(self, name: str) -> float:
        """Width by height of a medium's picture."""
        item = next((item for item in self._document.value.media if item.media.path == name), None)
        return item.width / item.height if item is not None and item.height else 16 / 9

    def rows(self) -> dict[str, tuple[float, float]]:
        """Top and height of every track, in scene pixels."""
        return dict(self._rows)

    def set_project(self, project: Project) -> None:
        """Show another value."""
        timeline = project.timeline
        if timeline is self._shown:
            return
        self._shown = timeline
        self._rows = row_places(timeline.tracks)
        if self.selection:
            there = {clip.id for track in timeline.tracks for clip in track.clips}
            self.select(self.selection & there)
        self._fit_scene()
        self.viewport().update()

    def _fit_scene(self) -> None:
        """Room behind the last clip to work in, and all tracks down."""
        room = max(self.viewport().width() / self.zoom * 0.6, 50.0)
        end = max(self.timeline.record_out, self._record.frame) + room
        bottom = max((top + height for top, height in self._rows.values()), default=0) + _SPLIT_PX
        rect = QRectF(0, 0, max(end, self.viewport().width() / self.zoom), bottom)
        if rect != self._scene.sceneRect():
            self._scene.setSceneRect(rect)

    def select(self, ids: frozenset[str]) -> None:
        """Select exactly these clips."""
        if ids != self.selection:
            self.selection = frozenset(ids)
            self.viewport().update()
            self.selected.emit()

    def set_tool(self, tool: str) -> None:
        """What the mouse does."""
        self.tool = tool
        self.viewport().setCursor(_CURSORS[tool])

    # Scale

    def x_of(self, frame: float) -> float:
        """Where a frame begins, in the viewport."""
        return frame * self.zoom - self.horizontalScrollBar().value()

    def frame_at(self, x: float) -> int:
        """The frame under a column of the viewport."""
        return max(int((x + self.horizontalScrollBar().value()) / self.zoom), 0)

    def set_zoom(self, zoom: float, around_x: float | None = None) -> None:
        """Scale so that the frame under a column stays there; without one, the playhead or the middle does."""
        if around_x is None:
            at = self.x_of(self._record.frame)
            around_x = at if 0 <= at <= self.viewport().width() else self.viewport().width() / 2
        frame = (around_x + self.horizontalScrollBar().value()) / self.zoom
        self.zoom = min(max(zoom, ZOOM_LEAST), ZOOM_MOST)
        self._fit_scene()
        self.setTransform(QTransform.fromScale(self.zoom, 1.0))
        self.horizontalScrollBar().setValue(round(frame * self.zoom - around_x))
        self.zoomed.emit()

    def zoom_to_fit(self) -> None:
        """All of the timeline."""
        length = max(self.timeline.record_out, 1)
        self.set_zoom((self.viewport().width() - 24) / length, 0)
        self.horizontalScrollBar().setValue(0)

    def follow_playhead(self) -> None:
        """Turn the page when the playhead leaves it."""
        x = self.x_of(self._record.frame)
        if not 0 <= x <= self.viewport().width() - 2:
            lead = 0.1 * self.viewport().width()
            self._fit_scene()
            self.horizontalScrollBar().setValue(round(self._record.frame * self.zoom - lead))

    def _playhead_moved(self, _: int) -> None:
        if self._drag is None:
            self.follow_playhead()
        self.viewport().update()

    # What is where

    def track_at(self, y: float) -> Track | None:
        """The track at a row of the scene."""
        for track in self.timeline.tracks:
            top, height = self._rows[track.id]
            if top <= y < top + height:
                return track
        return None

    def clip_at(self, point: QPointF) -> tuple[Track, Clip] | None:
        """The clip at a point of the viewport."""
        at = self._to_scene(point)
        track = self.track_at(at.y())
        for clip in track.clips if track is not None else ():
            if clip.record_in <= at.x() < clip.record_out:
                return track, clip  # type: ignore[return-value]
        return None

    def _to_scene(self, point: QPointF) -> QPointF:
        x = (point.x() + self.horizontalScrollBar().value()) / self.zoom
        return QPointF(x, point.y() + self.verticalScrollBar().value())

    def _edge_at(self, point: QPointF, clip: Clip) -> str | None:
        left, right = self.x_of(clip.record_in), self.x_of(clip.record_out)
        reach = min(_EDGE_PX, (right - left) / 3)
        if point.x() - left < reach:
            return "in"
        return "out" if right - point.x() < reach else None

    # The mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        point = event.position()
        found = self.clip_at(point)
        if event.button() is not Qt.MouseButton.LeftButton:
            if found is not None and found[1].id not in self.selection:
                self._select_clicked(found[1], event)
            return
        if found is None:
            at = self._to_scene(point)
            self._band = (at, at)
            if not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self.select(frozenset())
            return
        track, clip = found
        if self.tool == "razor":
            everywhere = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            at_frame = self._snapped_frame(self.frame_at(point.x()), frozenset())
            ids = None if everywhere else [clip.id]
            self._document.edit("Razor", on_timeline(lambda t: scene.razor(t, at_frame, ids)))
            return
        self._select_clicked(clip, event)
        kind = self._kind_of_drag(point, clip, event)
        linked = self.linked != bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
        start = self._document.value
        self._drag = Drag(kind, clip.id, start, self._to_scene(point), ("drag", next(self._keys)), linked)
        self._document.history.seal()
        if track.locked:
            self._drag = None
            self._document.refused.emit(f"track {track.name} is locked; unlock it first")

    def _select_clicked(self, clip: Clip, event: QMouseEvent) -> None:
        names = frozenset(scene.group(self.timeline, [clip.id], self.linked))
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.select(self.selection - names if clip.id in self.selection else self.selection | names)
        elif clip.id not in self.selection:
            self.select(names)

    def _kind_of_drag(self, point: QPointF, clip: Clip, event: QMouseEvent) -> str:
        edge = self._edge_at(point, clip)
        if self.tool in ("slip", "slide"):
            return self.tool
        if self.tool == "roll" and edge is not None:
            return f"roll_{edge}"
        rippling = self.tool == "ripple" or bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if edge is not None:
            return f"ripple_trim_{edge}" if rippling else f"trim_{edge}"
        return "move"

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._drag is not None:
            self._drag_to(self._to_scene(event.position()))
        elif self._band is not None:
            self._band = (self._band[0], self._to_scene(event.position()))
            self._select_band()
            self.viewport().update()
        elif not event.buttons():
            self._show_cursor(event.position())

    def _show_cursor(self, point: QPointF) -> None:
        found = self.clip_at(point)
        edge = None if found is None else self._edge_at(point, found[1])
        at_edge = edge is not None and self.tool in ("select", "ripple", "roll")
        self.viewport().setCursor(Qt.CursorShape.SizeHorCursor if at_edge else _CURSORS[self.tool])

    def _drag_to(self, at: QPointF) -> None:
        assert self._drag is not None
        drag = self._drag
        delta = round(at.x() - drag.origin.x())
        if not drag.moved and abs(at.x() - drag.origin.x()) * self.zoom < 3 and abs(at.y() - drag.origin.y()) < 12:
            return
        drag.moved = True
        delta = self._snapped_delta(drag, delta)
        edit = self._edit_of(drag, delta, at)
        name = _NAMES["roll" if drag.kind.startswith("roll") else drag.kind]
        self._document.drag(name, drag.start, on_timeline(edit), drag.key)
        self.viewport().update()

    def _edit_of(self, drag: Drag, delta: int, at: QPointF) -> Callable[[Timeline], Timeline]:
        name, linked = drag.clip_id, drag.linked
        if drag.kind == "move":
            ids, steps = list(self.selection | {name}), self._steps(drag, at)
            return lambda t: scene.move(t, ids, delta, steps, linked)
        if drag.kind == "slip":
            return lambda t: scene.slip(t, name, -delta, linked)
        if drag.kind == "roll_in":
            track, place = drag.start.timeline.clip(name)
            before = track.clips[place - 1] if place else None
            if before is None or before.record_out != track.clips[place].record_in:
                return lambda t: scene.trim_in(t, name, delta, linked)
            left = before.id
            return lambda t: scene.roll(t, left, delta, linked)
        edits = {
            "trim_in": scene.trim_in, "trim_out": scene.trim_out, "ripple_trim_in": scene.ripple_trim_in,
            "ripple_trim_out": scene.ripple_trim_out, "roll_out": scene.roll, "slide": scene.slide,
        }  # fmt: skip
        edit = edits[drag.kind]
        return lambda t: edit(t, name, delta, linked)

    def _steps(self, drag: Drag, at: QPointF) -> dict[str, int]:
        """How many tracks up the mouse is from where it began, for clips of that kind."""
        first = drag.start.timeline.clip(drag.clip_id)[0]
        now = self.track_at(at.y())
        if now is None or now.kind != first.kind:
            return {}
        same = [track.id for track in drag.start.timeline.tracks if track.kind == first.kind]
        step = same.index(now.id) - same.index(first.id)
        lowest = highest = same.index(first.id)
        for name in self.selection:
            track = drag.start.timeline.clip(name)[0]
            if track.kind == first.kind:
                lowest, highest = min(lowest, same.index(track.id)), max(highest, same.index(track.id))
        return {first.kind: min(max(step, -lowest), len(same) - 1 - highest)}

    def _snapped_delta(self, drag: Drag, delta: int) -> int:
        self._snap_line = None
        if not self.snapping or drag.kind == "slip":
            return delta
        start = drag.start.timeline
        clip = scene.get(start, drag.clip_id)
        moving = frozenset(scene.group(start, self.selection | {drag.clip_id}, drag.linked))
        ends = {
            "trim_in": [clip.record_in], "ripple_trim_in": [clip.record_in], "roll_in": [clip.record_in],
            "move": [clip.record_in, clip.record_out], "slide": [clip.record_in, clip.record_out],
        }.get(drag.kind, [clip.record_out])  # fmt: skip
        targets = [*scene.edges(start, moving), self._record.frame]
        best: tuple[int, int] | None = None
        for end in ends:
            to = scene.snapped(end + delta, targets, _SNAP_PX / self.zoom)
            if to in targets and (best is None or abs(to - end - delta) < abs(best[0] - delta)):
                best = (to - end, to)
        if best is None:
            return delta
        self._snap_line = best[1]
        return best[0]

    def _snapped_frame(self, frame: int, without: frozenset[str]) -> int:
        if not self.snapping:
            return frame
        return scene.snapped(frame, [*scene.edges(self.timeline, without), self._record.frame], _SNAP_PX / self.zoom)

    def _select_band(self) -> None:
        assert self._band is not None
        box = QRectF(*self._band).normalized()
        hit = set()
        for track in self.timeline.tracks:
            top, height = self._rows[track.id]
            if top < box.bottom() and top + height > box.top():
                hit |= {c.id for c in track.clips if c.record_in < box.right() and c.record_out > box.left()}
        self.select(frozenset(scene.group(self.timeline, hit, self.linked)))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        if self._band is not None and self._band[0] == self._band[1]:
            self.scrubbed.emit(self._snapped_frame(self.frame_at(event.position().x()), frozenset()))
        if self._drag is not None and not self._drag.moved and self.tool == "select":
            clip_id = self._drag.clip_id
            if not event.modifiers() and len(self.selection) > len(scene.group(self.timeline, [clip_id], self.linked)):
                self.select(frozenset(scene.group(self.timeline, [clip_id], self.linked)))
        self._end_drag()

    def _end_drag(self) -> None:
        self._drag = self._band = self._snap_line = None
        self._document.history.seal()
        self._fit_scene()
        self.viewport().update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: D102
        found = self.clip_at(event.position())
        if found is not None:
            self.opened.emit(found[1].id)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102
        if event.key() == Qt.Key.Key_Escape and self._drag is not None:
            start, key = self._drag.start, self._drag.key
            self._document.drag("Move", start, lambda _: start, key)
            self._end_drag()
            return
        event.ignore()  # the arrow keys move the playhead, not the view

    def contextMenuEvent(self, event) -> None:  # type: ignore[no-untyped-def] # noqa: D102
        self.menu_wanted.emit(event.globalPos())

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: D102
        delta = event.angleDelta()
        if event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier):
            turned = delta.y() or delta.x()  # Alt turns the wheel sideways
            self.set_zoom(self.zoom * 1.0015**turned, event.position().x())
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier or abs(delta.x()) > abs(delta.y()):
            bar = self.horizontalScrollBar()
            bar.setValue(bar.value() - (delta.x() or delta.y()))
        elif self.verticalScrollBar().maximum() > 0:
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() - delta.y() // 2)
        else:
            bar = self.horizontalScrollBar()
            bar.setValue(bar.value() - delta.y())
        event.accept()

    # Drops

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: D102
        if event.mimeData().hasFormat(MEDIA_MIME) or event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:  # noqa: D102
        point = event.position()
        track = self.track_at(self._to_scene(point).y())
        frame = self._snapped_frame(self.frame_at(point.x()), frozenset())
        self._drop_at = (frame, track.id if track is not None else "")
        event.acceptProposedAction()
        self.viewport().update()

    def dragLeaveEvent(self, event) -> None:  # type: ignore[no-untyped-def] # noqa: D102
        self._drop_at = None
        self.viewport().update()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: D102
        point, data = event.position(), event.mimeData()
        track = self.track_at(self._to_scene(point).y())
        frame = self._snapped_frame(self.frame_at(point.x()), frozenset())
        self._drop_at = None
        inserting = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if data.hasFormat(MEDIA_MIME):
            what: object = bytes(data.data(MEDIA_MIME).data()).decode().split("\n")
        else:
            what = [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
        event.acceptProposedAction()
        self.dropped.emit(what, track.id if track is not None else "", frame, inserting)
        self.viewport().update()

    # Painting

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: D102
        super().resizeEvent(event)
        self._fit_scene()
        self.zoomed.emit()

    def drawBackground(self, painter: QPainter, rect: QRectF | object) -> None:  # noqa: D102
        painter.save()
        painter.resetTransform()
        painter.fillRect(self.viewport().rect(), theme.FIELD)
        shift = self.verticalScrollBar().value()
        for track in self.timeline.tracks:
            top, height = self._rows[track.id]
            lane = QRectF(0, top - shift, self.viewport().width(), height)
            painter.fillRect(lane, theme.WINDOW if not track.locked else QColor(34, 30, 30))
            self._paint_track(painter, track, lane)
        painter.restore()

    def _paint_track(self, painter: QPainter, track: Track, lane: QRectF) -> None:
        """The clips that are seen; those too narrow for anything inside are drawn all at once."""
        clips, zoom = track.clips, self.zoom
        shift, width = self.horizontalScrollBar().value(), self.viewport().width()
        first = bisect.bisect_right(clips, shift / zoom, key=_record_out)
        last = bisect.bisect_left(clips, (shift + width) / zoom, key=_record_in)
        plain: list[QRectF] = []
        chosen: list[QRectF] = []
        wide: list[tuple[Clip, QRectF]] = []
        top, height, least = lane.top() + 1, lane.height() - 2, PLAIN_PX / zoom
        for clip in clips[first:last]:
            length = clip.source.stop - clip.source.start
            left = clip.record_in * zoom - shift
            if length >= least:
                wide.append((clip, QRectF(left, lane.top(), length * zoom, lane.height())))
            else:
                box = QRectF(left, top, max(length * zoom - 1, 0.7), height)
                (chosen if clip.id in self.selection else plain).append(box)
        painter.setPen(Qt.PenStyle.NoPen)
        colour = LOCKED if track.locked else VIDEO if track.kind == "video" else AUDIO
        for boxes, fill in ((plain, colour.lighter(120)), (chosen, theme.ACCENT)):
            if boxes:
                painter.setBrush(fill)
                painter.drawRects(boxes)
        for clip, box in wide:
            ClipPainter(self, clip, track).paint(painter, box)

    def drawForeground(self, painter: QPainter, rect: QRectF | object) -> None:  # noqa: D102
        self.painted += 1
        painter.save()
        painter.resetTransform()
        height = self.viewport().height()
        self._paint_marks(painter, height)
        for marker in self.timeline.markers:
            x = self.x_of(marker.frame)
            painter.fillRect(QRectF(x, 0, 1, height), _with_alpha(QColor(marker.colour.lower()), 130))
        if self._snap_line is not None:
            painter.setPen(QPen(theme.WARM, 1, Qt.PenStyle.DashLine))
            painter.drawLine(QPointF(self.x_of(self._snap_line), 0), QPointF(self.x_of(self._snap_line), height))
        if self._drop_at is not None:
            painter.fillRect(QRectF(self.x_of(self._drop_at[0]) - 1, 0, 2, height), theme.WARM)
        self._paint_band(painter)
        x = self.x_of(self._record.frame)
        painter.fillRect(QRectF(x, 0, max(min(self.zoom, 12), 1), height), _with_alpha(theme.TEXT, 30))
        painter.fillRect(QRectF(x, 0, 1.5, height), theme.PLAYHEAD)
        painter.restore()

    def _paint_marks(self, painter: QPainter, height: int) -> None:
        first, last = self._record.in_frame, self._record.out_frame
        if first is None and last is None:
            return
        left = self.x_of(first or 0)
        right = self.x_of(self.timeline.record_out if last is None else last + 1)
        painter.fillRect(QRectF(left, 0, right - left, height), _with_alpha(theme.ACCENT, 26))

    def _paint_band(self, painter: QPainter) -> None:
        if self._band is None or self._band[0] == self._band[1]:
            return
        box = QRectF(*self._band).normalized()
        shift = self.verticalScrollBar().value()
        on_screen = QRectF(self.x_of(box.left()), box.top() - shift, box.width() * self.zoom, box.height())
        painter.fillRect(on_screen, _with_alpha(theme.ACCENT, 40))
        painter.setPen(theme.ACCENT)
        painter.drawRect(on_screen)


def row_places(tracks: tuple[Track, ...]) -> dict[str, tuple[float, float]]:
    """Top and height of every track: pictures from the top track down, then sound from the first track down."""
    rows: dict[str, tuple[float, float]] = {}
    top = float(GAP_PX)
    pictures = [track for track in reversed(tracks) if track.kind == "video"]
    sounds = [track for track in tracks if track.kind == "audio"]
    for track in (*pictures, *sounds):
        if track.kind == "audio" and track is sounds[0]:
            top += _SPLIT_PX
        rows[track.id] = (top, float(ROW_PX[track.kind]))
        top += ROW_PX[track.kind] + GAP_PX
    return rows


def nice_step(frames_wide: float, rate: Fraction) -> int:
    """The distance of labels on the ruler: the smallest round one, in frames, that leaves room for a label."""
    second = max(1, round(rate))
    steps = [1, 2, 5, 10, second, *(second * s for s in (2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200))]
    return next((step for step in steps if step >= frames_wide), steps[-1])


def _record_in(clip: Clip) -> int:
    return clip.record_in


def _record_out(clip: Clip) -> int:
    return clip.record_in + clip.source.stop - clip.source.start


def _with_alpha(colour: QColor, alpha: int) -> QColor:
    faint = QColor(colour)
    faint.setAlpha(alpha)
    return faint
