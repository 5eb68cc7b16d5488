"""The record monitor: the timeline's playhead and marks, and the session that the viewer shows at it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from gui.session import Compare, Session
from host_adapters.standalone import scene
from host_adapters.standalone.storage import absolute_path

if TYPE_CHECKING:
    from gui.document import Document
    from gui.shots import Shots
    from host_adapters.standalone.timeline import Clip, Timeline


class Record(QObject):
    """Where the playhead is on the timeline.

    Signals:
        moved(int): the playhead is at another frame.
        marked(): in or out point are others.
    """

    moved = Signal(int)
    marked = Signal()

    def __init__(self, document: Document, shots: Shots, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._document, self._shots = document, shots
        self.frame = 0
        self.in_frame: int | None = None
        self.out_frame: int | None = None  #: the last one, shown as people count it

    @property
    def timeline(self) -> Timeline:
        """The timeline as it is now."""
        return self._document.value.timeline

    @property
    def frame_count(self) -> int:
        """Frames up to the end of the last clip; at least one, so that there is something to stand on."""
        return max(self.timeline.record_out, 1)

    def seek(self, frame: int) -> None:
        """Go to a frame of the timeline; one behind the end is allowed, to put something there."""
        frame = min(max(frame, 0), self.frame_count + 24 * 3600 * 60)
        if frame != self.frame:
            self.frame = frame
            self.moved.emit(frame)

    def mark(self, first: int | None, last: int | None) -> None:
        """Set both marks; one that contradicts the other goes."""
        if first is not None and last is not None and last < first:
            first, last = (None, last) if first == self.in_frame else (first, None)
        self.in_frame, self.out_frame = first, last
        self.marked.emit()

    def clip(self) -> Clip | None:
        """The clip whose picture is seen."""
        found = scene.shown_clip(self.timeline, self.frame)
        return None if found is None else found[1]

    def plate_frame(self, clip: Clip, frame: int) -> int:
        """The media's own frame of a clip that a frame of the timeline shows."""
        return clip.media.native_frame(frame - clip.sync)

    def frame_of(self, clip: Clip, plate_frame: int) -> int:
        """The frame of the timeline that shows a media's own frame, or the clip's nearest."""
        frame = clip.sync + clip.media.frame_of_native(plate_frame)
        return min(max(frame, clip.record_in), clip.record_out - 1)

    def session(self, looking: Session) -> tuple[Session, str]:
        """What the viewer shows at the playhead, and a sentence in place of a picture where there is none.

        Args:
            looking: the ways of looking (compare, wipe, overlay) to keep.
        """
        blank = replace(
            looking,
            plate=None,
            take=None,
            frame=0,
            in_frame=None,
            out_frame=None,
            clip_id=None,
            on_timeline=True,
            record_frame=self.frame,
        )
        clip = self.clip()
        if clip is None:
            return blank, ""
        path = absolute_path(clip.media.path, self._document.folder)
        info = self._shots.media(path)
        if info is None:
            return blank, f"Opening {path.name}…"
        if isinstance(info, str):
            return blank, info
        count = info.frame_count
        first, last = self._range(clip)
        session = replace(
            blank,
            plate=info,
            clip_id=clip.id,
            frame=min(self.plate_frame(clip, self.frame), count - 1),
            in_frame=min(self.plate_frame(clip, first), count - 1),
            out_frame=min(self.plate_frame(clip, last), count - 1),
            compare=Compare.PLATE,
        )
        take = clip.take
        view = None if take is None else self._shots.take(absolute_path(take.folder, self._document.folder), info)
        if isinstance(view, str):
            return session, view
        if view is None:
            return session, ""
        return replace(session, take=view, compare=looking.compare if looking.take is not None else Compare.DUB), ""

    def _range(self, clip: Clip) -> tuple[int, int]:
        """First and last frame of a clip that would be re-dubbed: what the marks hold of it, else all of it."""
        first = clip.record_in if self.in_frame is None else max(self.in_frame, clip.record_in)
        last = clip.record_out - 1 if self.out_frame is None else min(self.out_frame, clip.record_out - 1)
        return (first, last) if first <= last else (clip.record_in, clip.record_out - 1)
