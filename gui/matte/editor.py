"""The matte that is being edited: holds the document, makes every edit, keeps the overlay and the file up to date."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QPointF, QRectF, QTimer, Signal

from gui.latest import Latest
from gui.matte import brush as brushes
from gui.matte.brush import Brush
from gui.matte.colours import COLOUR_MAPS
from gui.matte.livepicture import LivePicture
from gui.matte.overlay import Overlay, transform_of
from gui.matte.tool import BrushTool
from gui.matte.work import MAP_KINDS, MatteWork, Prepared, crop_point
from gui.session import Compare, Session, Span
from julnet_plugin.matte import edits
from julnet_plugin.matte.document import MatteDocument, save_document
from julnet_plugin.matte.keyframes import Key
from julnet_plugin.matte.strokes import Stroke
from julnet_plugin.pipeline.cropdata import DATA
from julnet_plugin.take import STROKES
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QImage, QPainter

    from gui.background import Background
    from gui.widgets.viewer import Viewer
    from host_adapters.standalone.history import History
    from julnet_plugin.matte.keyframes import Interpolation
    from julnet_plugin.matte.settings import DriveMode, Levels

_SAVE_MS = 200  #: edits that follow one another at once are saved together


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    """A frame that the overlay shall show."""

    work: MatteWork
    frame: int
    document: MatteDocument
    onion: int


class MatteEditor(QObject):
    """Edits one take's matte at a time; what was edited of others stays until it is saved.

    Args:
        viewer: shows the picture; gets a layer and, while painting, a tool.
        history: of the whole window; every edit is a step of it.
        background: for reading and saving.
        say: tells the user one sentence.

    Signals:
        changed(): the take, the frame, the document, the brush or the way of looking is another.
        ready(): the frame that was asked for last can be painted on.
    """

    changed = Signal()
    ready = Signal()

    def __init__(
        self,
        viewer: Viewer,
        history: History,
        background: Background,
        say: Callable[[str], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._history, self._background, self._say = viewer, history, background, say
        self._session = Session()
        self._work: MatteWork | None = None
        self._opening: Path | None = None
        self._documents: dict[Path, MatteDocument] = {}
        self._unsaved: set[Path] = set()
        self._locked: set[Path] = set()  # takes that a worker is writing: saved when it has done
        self._saving = False
        self._stroke: Stroke | None = None
        self._before: MatteDocument | None = None
        self._shown_frame: int | None = None
        self._brush = Brush()
        self.prepared: Prepared | None = None
        self.overlay = Overlay()
        self.without_data = False  #: the take that is open cannot be edited
        self.onion = 0  #: frames on each side whose outlines are drawn
        self.tool = BrushTool(self, viewer)
        self.live = LivePicture()
        self._live_shown: tuple[object, ...] = ()
        self._latest = Latest(_prepare, "julnet-matte", self)
        self._latest.done.connect(self._show)
        self._latest.failed.connect(lambda _, sentence: self._say(sentence))
        self._timer = QTimer(self, singleShot=True, interval=_SAVE_MS)
        self._timer.timeout.connect(self._save_next)
        viewer.add_layer(self._paint)

    # What is edited

    @property
    def document(self) -> MatteDocument | None:
        """Of the take that is open; None where it cannot be edited."""
        return None if self._work is None else self._documents[self._work.folder]

    @property
    def folder(self) -> Path | None:
        """The take that is open."""
        return None if self._work is None else self._work.folder

    @property
    def session(self) -> Session:
        """What the window shows."""
        return self._session

    @property
    def frame(self) -> int:
        """The plate frame that the playhead is on."""
        return self._session.frame

    @property
    def work(self) -> MatteWork | None:
        """The take's maps."""
        return self._work

    @property
    def idle(self) -> bool:
        """Whether nothing is being prepared or saved."""
        return self._latest.idle and not self._saving and not self._timer.isActive() and self._opening is None

    def set_session(self, session: Session) -> None:
        """Follow what the window shows."""
        old, self._session = self._session, session
        folder = session.take.folder if session.take is not None else None
        known = old.take.folder if old.take is not None else None
        if folder is None or folder != known:
            self._close()
            if folder is not None:
                self._open(folder)
        elif session.take is not old.take and self._opening is None:
            self._open(folder)  # rendered or composited again
        elif session.frame != old.frame:
            self._prepare()
        if (session.overlay, session.opacity, session.compare) != (old.overlay, old.opacity, old.compare):
            self._viewer.update()
        self.changed.emit()

    def picture_shown(self, session: Session, _image: QImage) -> None:
        """The viewer has the picture of a session now."""
        self._shown_frame = session.frame

    def _open(self, folder: Path) -> None:
        self.without_data = not (folder / DATA).is_dir()
        if self.without_data:
            return
        self._opening = folder
        self._background.run(lambda: MatteWork(folder), self._opened, lambda why: self._not_opened(folder, why))

    def _opened(self, work: MatteWork) -> None:
        if self._opening != work.folder:
            return
        self._opening, self._work = None, work
        if work.folder not in self._unsaved:
            self._documents[work.folder] = work.document
        self._prepare()
        self.changed.emit()

    def _not_opened(self, folder: Path, sentence: str) -> None:
        if self._opening == folder:
            self._opening = None
            self._say(f"This take's matte cannot be edited: {sentence}")
            self.changed.emit()

    def _close(self) -> None:
        self._opening = self._work = self.prepared = None
        self._stroke = self._before = None
        self.overlay.show(None)

    def _prepare(self) -> None:
        if self._work is not None and self.document is not None:
            self._latest.wish(_Wish(self._work, self._session.frame, self.document, self.onion))

    def _show(self, wish: _Wish, prepared: Prepared | None) -> None:
        if wish.work is not self._work or wish.frame != self._session.frame or self._stroke is not None:
            return
        self.prepared = prepared
        if prepared is not None and self.document is not None and prepared.document is not self.document:
            prepared.canvas.update(self.document.strokes)  # an edit came while it was prepared
            prepared.document = self.document
        self.overlay.show(prepared)
        self._viewer.update()
        self.changed.emit()
        self.ready.emit()

    def picture_changed(self) -> bool:
        """Whether the picture on screen is another since the last question: a decision shows at once."""
        work = self._work
        self.live.show(self.folder, None if work is None else work.composited, self.document)
        shown: tuple[object, ...] = ()
        if self.painting:
            return False  # the picture follows when the stroke is done
        if self.live.wanted(self.frame):
            shown = (self.folder, self.frame, id(self.document))
        changed, self._live_shown = shown != self._live_shown, shown
        return changed

    # Edits

    def edit(self, name: str, edit: Callable[[MatteDocument], MatteDocument], key: object = None) -> None:
        """Change the document, undoably.

        Args:
            name: for the undo menu.
            edit: pure.
            key: edits with one key that follow at once are one step.
        """
        before = self.document
        if before is None or self._work is None:
            return
        folder = self._work.folder
        after = edit(before)
        if after != before:
            self._history.push(name, before, after, lambda value: self._put(folder, value), key)

    def seal(self) -> None:
        """A drag has ended."""
        self._history.seal()

    def set_value(self, name: str, value: float) -> None:
        """A parameter: for the whole take, or, where it is keyframed, on this frame."""
        document, frame = self.document, self.frame
        if document is None:
            return
        curve = document.settings.curve(name)
        if not curve.keys:
            self.edit(f"Change {label(name)}", lambda d: edits.set_value(d, name, value), ("matte", name))
            return
        old = next((key for key in curve.keys if key.frame == frame), None)
        key = Key(frame=frame, value=value, interpolation=old.interpolation if old else curve.keys[-1].interpolation)
        self.edit(f"Key {label(name)}", lambda d: edits.set_key(d, name, key), ("matte", name, frame))

    def toggle_key(self, name: str) -> None:
        """Give a parameter a keyframe here, or take it away."""
        document, frame = self.document, self.frame
        if document is None:
            return
        curve = document.settings.curve(name)
        if any(key.frame == frame for key in curve.keys):
            self.edit(f"Remove key of {label(name)}", lambda d: edits.remove_key(d, name, frame))
            return
        interpolation: Interpolation = "smooth"
        key = Key(frame=frame, value=curve.at(frame), interpolation=interpolation)
        self.edit(f"Key {label(name)}", lambda d: edits.set_key(d, name, key))

    def move_key(self, name: str, frame: int, key: Key, drag: object) -> None:
        """Drag a keyframe; positions of one drag are one step."""
        self.edit(f"Move key of {label(name)}", lambda d: edits.move_key(d, name, frame, key), drag)

    def fit_levels(self) -> None:
        """Low and high that suit the frame on screen, in one step of the history."""
        if self.work is None:
            return
        low, high = self.work.automatic_levels(self.frame)
        self.edit("Fit levels", lambda d: edits.set_value(edits.set_value(d, "low_cv", low), "high_cv", high))

    def set_levels(self, levels: Levels) -> None:
        """From the parameters, or from each shot's own σ."""
        self.edit("Automatic levels" if levels == "auto" else "Manual levels", lambda d: edits.set_levels(d, levels))

    def set_drive(self, mode: DriveMode) -> None:
        """What the matte drives on the whole take."""
        self.edit("Change what the matte drives", lambda d: replace(d, drive=replace(d.drive, mode=mode)))

    def decide(self, start: int, stop: int, mode: DriveMode | None, reference_frame: int | None = None) -> None:
        """Say what happens on a stretch; None takes it back."""
        if mode is None:
            self.edit("Take decision back", lambda d: edits.undecide(d, start, stop))
            return
        name = {"flag": "Accept stretch", "hold_plate": "Hold plate", "hold_reference": "Hold reference"}[mode]
        self.edit(name, lambda d: edits.decide(d, start, stop, mode, reference_frame))

    def hold_matte(self, start: int, stop: int) -> None:
        """The automatic matte of this frame on a whole stretch."""
        frame = self.frame
        self.edit("Hold matte", lambda d: edits.hold_frame(d, frame, start, stop))

    def copy_to_next(self) -> None:
        """What is painted on this frame alone, on the next one too."""
        frame = self.frame
        self.edit("Copy paint to next frame", lambda d: edits.copy_to_next(d, frame))

    def clear_frame(self) -> None:
        """Take away what was painted on this frame alone; what lasts longer stays."""
        frame = self.frame

        def cleared(document: MatteDocument) -> MatteDocument:
            return replace(
                document, strokes=tuple(s for s in document.strokes if (s.start, s.stop) != (frame, frame + 1))
            )

        self.edit("Clear paint of this frame", cleared)

    def remove_last_stroke(self) -> None:
        """Take away the stroke that was painted last of those seen here."""
        frame = self.frame
        document = self.document
        seen = [s for s in document.strokes if s.weight_at(frame) > 0] if document else []
        if seen:
            self.edit("Remove stroke", lambda d: edits.remove_stroke(d, seen[-1].id))

    def _put(self, folder: Path, document: MatteDocument) -> None:
        """Put a value in place: the one way in which a document changes, undo and redo included."""
        old = self._documents.get(folder)
        self._documents[folder] = document
        self._unsaved.add(folder)
        self._timer.start()
        if self._work is None or folder != self._work.folder:
            return
        prepared = self.prepared
        strokes_only = old is not None and replace(old, strokes=document.strokes) == document
        if prepared is not None and prepared.frame == self.frame and strokes_only and not self.onion:
            self._repaint(document)
        else:
            self._prepare()
        self.changed.emit()

    def _repaint(self, document: MatteDocument) -> None:
        """Only the tiles where strokes changed."""
        assert self.prepared is not None
        assert self._work is not None
        with self._work.lock:
            tiles = self.prepared.canvas.update(document.strokes)
        self.prepared.document = document
        covered = self.overlay.update(tiles)
        if not covered.isEmpty():
            self._viewer.update_at(self.picture_rect_of(covered))

    # Strokes

    @property
    def brush(self) -> Brush:
        """What the next stroke is painted with."""
        return self._brush

    def set_brush(self, brush: Brush) -> None:
        """Take another brush."""
        self._brush = brush
        self._viewer.update()
        self.changed.emit()

    @property
    def painting(self) -> bool:
        """Whether a stroke is being drawn."""
        return self._stroke is not None

    def begin_stroke(self, brush: Brush, at: tuple[float, float], pressure: float) -> None:
        """The first dab. Points are plate pixels in Qt's coordinates.

        Where the frame is not ready yet, or passes through, nothing happens.
        """
        prepared, document = self.prepared, self.document
        if prepared is None or document is None or prepared.frame != self.frame:
            self._say("There is nothing to paint on here: this frame is not re-dubbed, or not ready yet")
            return
        span = next((s for s in self._spans() if s.start <= self.frame < s.stop), None)
        stretch = None if span is None else FrameRange(start=span.start, stop=span.stop)
        start, stop = brushes.lasting(brush, self.frame, stretch, prepared.shot)
        stroke = brushes.begun(brush, self.frame, (*self._crop(at), pressure), start, stop)
        self._before = document
        after = edits.add_stroke(document, stroke)
        self._stroke = after.strokes[-1]
        self._paint_stroke(after)

    def extend_stroke(self, at: tuple[float, float], pressure: float, *, always: bool = False) -> None:
        """Lead the stroke on."""
        document = self.document
        if self._stroke is None or document is None:
            return
        longer = brushes.extended(self._stroke, (*self._crop(at), pressure), always=always)
        if longer is not self._stroke:
            self._stroke = longer
            self._paint_stroke(edits.replace_stroke(document, longer))

    def end_stroke(self) -> None:
        """The stroke is a step of the history now."""
        before, after, stroke, work = self._before, self.document, self._stroke, self._work
        self._stroke = self._before = None
        if before is None or after is None or stroke is None or work is None:
            return
        name = replace(self._brush, kind=stroke.kind, lasso=stroke.filled).action  # type: ignore[arg-type]
        self._history.push(name, before, after, lambda value: self._put(work.folder, value))

    def _paint_stroke(self, document: MatteDocument) -> None:
        assert self._work is not None
        self._documents[self._work.folder] = document
        self._repaint(document)

    def _crop(self, at: tuple[float, float]) -> tuple[float, float]:
        assert self.prepared is not None
        return crop_point(self.prepared.plate_from_crop, at[0] - 0.5, at[1] - 0.5)

    def _spans(self) -> tuple[Span, ...]:
        return self._session.take.spans if self._session.take is not None else ()

    # Geometry

    @property
    def plate_px_per_crop_px(self) -> float:
        """Plate pixels per canonical crop pixel on this frame; 0 without one."""
        if self.prepared is None:
            return 0.0
        return float(np.sqrt(abs(np.linalg.det(self.prepared.plate_from_crop[:, :2]))))

    @property
    def plate_px_per_widget_px(self) -> float:
        """Plate pixels that one pixel of the screen shows."""
        return 1 / max(self._viewer.pixel_size() * self._picture_per_plate(), 1e-6)

    def plate_of_picture(self, at: QPointF) -> QPointF:
        """A point of the picture on screen in plate pixels."""
        return (at - self._origin()) / self._picture_per_plate()

    def picture_rect_of(self, rect: QRectF) -> QRectF:
        """A rectangle of the plate on the picture on screen."""
        k, origin = self._picture_per_plate(), self._origin()
        return QRectF(rect.topLeft() * k + origin, rect.size() * k)

    def _picture_per_plate(self) -> float:
        """A proxy is smaller than the plate."""
        image, plate = self._viewer.image, self._session.plate
        return 1.0 if image is None or plate is None else image.height() / plate.height

    def _origin(self) -> QPointF:
        """Where the take's picture begins: side by side it stands on the right."""
        image, plate = self._viewer.image, self._session.plate
        if image is None or plate is None or self._session.compare is not Compare.SPLIT:
            return QPointF(0, 0)
        return QPointF(image.width() - plate.width * self._picture_per_plate(), 0)

    # Ways of looking

    def show_map(self, kind: str) -> None:
        """Lay another map over the picture."""
        self.overlay.kind = kind  # type: ignore[assignment]
        self._recolour()

    def set_colour_map(self, name: str) -> None:
        """Other colours."""
        self.overlay.colour_map = name
        self._recolour()

    def next_map(self) -> None:
        """The uncertainty matte, σ, coverage, and round again."""
        kinds = list(MAP_KINDS)
        self.show_map(kinds[(kinds.index(self.overlay.kind) + 1) % len(kinds)])

    def next_colours(self) -> None:
        """The next colour map, and round again."""
        names = list(COLOUR_MAPS)
        self.set_colour_map(names[(names.index(self.overlay.colour_map) + 1) % len(names)])

    def face_rect(self) -> QRectF | None:
        """Where the face that is re-dubbed lies on the picture on screen; None where nothing is."""
        prepared = self.prepared
        if prepared is None:
            return None
        rows, columns = np.nonzero(prepared.region > 0.5)
        if not len(rows):
            return None
        corner = QPointF(float(columns.min()), float(rows.min()))
        box = QRectF(corner, QPointF(float(columns.max()) + 1, float(rows.max()) + 1))
        return self.picture_rect_of(transform_of(prepared.plate_from_map).mapRect(box))

    def set_onion(self, frames: int) -> None:
        """Draw the outlines of this many neighbours on each side."""
        self.onion = frames
        self._prepare()
        self.changed.emit()

    def _recolour(self) -> None:
        self.overlay.show(self.prepared)
        self._viewer.update()
        self.changed.emit()

    def _paint(self, painter: QPainter) -> None:
        """The viewer's layer; its coordinates are those of the picture on screen."""
        prepared = self.prepared
        if prepared is None or (self._shown_frame is not None and self._shown_frame != prepared.frame):
            return
        painter.translate(self._origin())
        painter.scale(self._picture_per_plate(), self._picture_per_plate())
        painting = self._viewer.tool is self.tool
        if self._session.overlay or painting:
            self.overlay.paint(painter, self._session.opacity)
        self.tool.paint_onion(painter)
        if painting:
            self.tool.paint_cursor(painter)

    def set_painting(self, on: bool) -> None:
        """Take the brush into the hand, or lay it down."""
        from PySide6.QtCore import Qt

        if on:
            self._viewer.set_tool(self.tool, Qt.CursorShape.CrossCursor)
        elif self._viewer.tool is self.tool:
            self.tool.cursor_left()
            self._viewer.set_tool(None)
        self.changed.emit()

    @property
    def brush_in_hand(self) -> bool:
        """Whether the mouse paints."""
        return self._viewer.tool is self.tool

    # Saving

    def lock(self, folder: Path) -> None:
        """A worker writes this take: nothing is saved to it until `unlock`."""
        self._locked.add(folder)

    def unlock(self, folder: Path) -> None:
        """The worker has done; what was edited meanwhile is saved over what it wrote."""
        self._locked.discard(folder)
        if self._unsaved:
            self._timer.start()

    @property
    def unsaved(self) -> set[Path]:
        """Takes with edits that are not on disk."""
        return set(self._unsaved)

    def save_now(self) -> str | None:
        """Save everything before this returns; one sentence where that failed."""
        from gui.background import sentence_of

        self._timer.stop()
        for folder in sorted(self._unsaved):
            try:
                _save(folder, self._documents[folder])
            except Exception as exc:  # noqa: BLE001 - told to the user, who decides
                return f"The matte of {folder.name} could not be saved: {sentence_of(exc)}"
            self._unsaved.discard(folder)
        return None

    def _save_next(self) -> None:
        folders = sorted(self._unsaved - self._locked)
        if self._saving or not folders:
            return
        folder, document = folders[0], self._documents[folders[0]]
        self._saving = True
        self._background.run(lambda: _save(folder, document), lambda _: self._saved(folder, document), self._not_saved)

    def _saved(self, folder: Path, document: MatteDocument) -> None:
        self._saving = False
        if self._documents[folder] is document:
            self._unsaved.discard(folder)
        if self._unsaved - self._locked:
            self._timer.start()
        self.changed.emit()

    def _not_saved(self, sentence: str) -> None:
        self._saving = False
        self._say(f"The matte could not be saved and is kept in memory; the next edit tries again: {sentence}")
        self.changed.emit()

    def shut_down(self) -> None:
        """The window closes."""
        self._latest.stop()


def _prepare(wish: _Wish) -> Prepared | None:
    return wish.work.prepare(wish.frame, wish.document, wish.onion)


def _save(folder: Path, document: MatteDocument) -> None:
    save_document(folder / STROKES, document)


def label(name: str) -> str:
    """A parameter as people call it."""
    names = {
        "low_cv": "low",
        "high_cv": "high",
        "gamma": "gamma",
        "grow_px": "grow",
        "refine": "hug edges",
        "refine_px": "edge reach",
        "blur_px": "blur",
        "temporal_frames": "temporal smoothing",
    }
    return names.get(name, name)
