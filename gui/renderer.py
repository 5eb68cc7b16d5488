"""The thread that decodes and mixes what the viewer shows. The newest wish wins; older ones are not worth decoding."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QImage

from gui.decoding import RandomAccess
from gui.latest import Latest
from gui.picture import Pixels, difference, side_by_side, tinted, wiped
from gui.session import Compare, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from julnet_plugin.types import MediaInfo


_OPEN = 6  #: media whose decoder stays open: those of both sides of a cut, with their takes
_BYTES = 128 << 20  #: memory for the frames of each


class Renderer(QObject):
    """Pictures of a session, made on a thread of its own.

    Signals:
        made(Session): its picture is there; it is shown when it is due.
        shown(Session, QImage): the picture of exactly this session.
        failed(Session, str): there is none, and why, in one sentence.
    """

    made = Signal(object)
    shown = Signal(object, QImage)
    failed = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._media: OrderedDict[tuple[Path, str | None], RandomAccess] = OrderedDict()
        #: Pictures that are not in a file (yet): "plate", "dub" or "matte" to a function that the renderer's thread
        #: asks first. It returns the picture of the session's frame, (H, W, 3) uint8, or None for what the file holds.
        self.sources: dict[str, Callable[[Session], Pixels | None]] = {}
        #: Of a medium's path to its small copy, where there is one; asked while `quick` is set.
        self.proxy_of: Callable[[Path], MediaInfo | None] = lambda _: None
        self.quick = False  #: it plays: proxies will do
        self.from_proxy = False  #: the last picture was made from one
        #: The take whose matte a layer draws as it is being edited; that of other takes comes from their files.
        self.live_matte: Path | None = None
        #: Seconds until the picture of a session is due, while it plays: one that is made early waits for its sound,
        #: and one that is not worth showing any more (None) is left out.
        self.due_in_s: Callable[[Session], float | None] = lambda _: 0.0
        self._waiting: deque[tuple[Session, QImage]] = deque()
        self._timer = QTimer(self, timerType=Qt.TimerType.PreciseTimer, singleShot=True)
        self._timer.timeout.connect(self._show_due)
        self._latest = Latest(self._image, "julnet-viewer", self)
        self._latest.done.connect(self._deliver)
        self._latest.failed.connect(self.failed)

    def show(self, session: Session) -> None:
        """Make the picture of a session; what was wished for before and not begun is forgotten."""
        self._latest.wish(session)

    def stop(self) -> None:
        """End the thread and close its files."""
        self._latest.stop()
        self._close()

    def forget_waiting(self) -> None:
        """Pictures that are made and not due yet will not be shown: it plays from elsewhere, or no more."""
        self._waiting.clear()
        self._timer.stop()

    def _deliver(self, session: Session, image: QImage | None) -> None:
        if image is not None:
            self._waiting.append((session, image))
            self.made.emit(session)
            self._show_due()

    def _show_due(self) -> None:
        """Show the newest picture that is due; those that were due before it came too late."""
        due = None
        while self._waiting:
            wait_s = self.due_in_s(self._waiting[0][0])
            if wait_s is not None and wait_s > 0:
                self._timer.start(math.ceil(1000 * wait_s))
                break
            made = self._waiting.popleft()
            due = due if wait_s is None else made
        if due is not None:
            self.shown.emit(*due)

    def _image(self, session: Session) -> QImage | None:
        """Runs on the thread; None where there is nothing to show."""
        if session.plate is None:
            self._close()
            return None
        pixels = self.render(session)
        height, width, _ = pixels.shape
        return QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()

    def render(self, session: Session) -> Pixels:
        """Decode and mix. Runs on the renderer's thread."""
        assert session.plate is not None
        self.from_proxy = False
        take, index = session.take, session.take_frame
        space = take.colour_space if take else None
        if take is None or index is None:
            return self._read(session, "plate", session.plate, session.frame, space)
        if session.compare is Compare.PLATE:
            picture = self._read(session, "plate", session.plate, session.frame, space)
        else:
            picture = self._read(session, "dub", take.dub, index, space)
        if session.overlay and take.matte is not None and take.folder != self.live_matte:
            matte = self._read(session, "matte", take.matte, index, None)
            picture, matte = _alike(picture, matte)
            picture = tinted(picture, matte[..., 0], session.opacity)
        if session.compare in (Compare.PLATE, Compare.DUB):
            return picture
        plate, picture = _alike(self._read(session, "plate", session.plate, session.frame, space), picture)
        if session.compare is Compare.WIPE:
            return wiped(plate, picture, session.wipe)
        return side_by_side(plate, picture) if session.compare is Compare.SPLIT else difference(plate, picture)

    def _read(self, session: Session, name: str, info: MediaInfo, index: int, space: str | None) -> Pixels:
        source = self.sources.get(name)
        made = source(session) if source is not None else None
        if made is not None:
            return made
        proxy = self.proxy_of(info.path) if self.quick else None
        if proxy is not None and index < proxy.frame_count:
            self.from_proxy = True
            return self._from_file(proxy, index, None)
        return self._from_file(info, index, space)

    def _from_file(self, info: MediaInfo, index: int, space: str | None) -> Pixels:
        key = (info.path, space)
        medium = self._media.get(key)
        if medium is None or medium.info is not info:
            if medium is not None:
                medium.close()
            medium = self._media[key] = RandomAccess(info, space, _BYTES)
        self._media.move_to_end(key)
        while len(self._media) > _OPEN:
            self._media.popitem(last=False)[1].close()
        return medium.frame(index)

    def _close(self) -> None:
        for medium in self._media.values():
            medium.close()
        self._media.clear()


def _alike(first: Pixels, second: Pixels) -> tuple[Pixels, Pixels]:
    """Two pictures of one size: where one is of a proxy the other becomes as small."""
    if first.shape == second.shape:
        return first, second
    height, width = min(first.shape[:2], second.shape[:2])
    both = (cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in (first, second))
    small, other = (np.asarray(p, np.uint8) for p in both)
    return small, other
