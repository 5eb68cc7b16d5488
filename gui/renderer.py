"""The thread that decodes and mixes what the viewer shows. The newest wish wins; older ones are not worth decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from gui.decoding import RandomAccess
from gui.latest import Latest
from gui.picture import Pixels, difference, side_by_side, tinted, wiped
from gui.session import Compare, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from julnet_plugin.types import MediaInfo


class Renderer(QObject):
    """Pictures of a session, made on a thread of its own.

    Signals:
        shown(Session, QImage): the picture of exactly this session.
        failed(Session, str): there is none, and why, in one sentence.
    """

    shown = Signal(object, QImage)
    failed = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._media: dict[str, RandomAccess] = {}
        #: Pictures that are not in a file (yet): "plate", "dub" or "matte" to a function that the renderer's thread
        #: asks first. It returns the picture of the session's frame, (H, W, 3) uint8, or None for what the file holds.
        self.sources: dict[str, Callable[[Session], Pixels | None]] = {}
        #: The take whose matte a layer draws as it is being edited; that of other takes comes from their files.
        self.live_matte: Path | None = None
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

    def _deliver(self, session: Session, image: QImage | None) -> None:
        if image is not None:
            self.shown.emit(session, image)

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
        take, index = session.take, session.take_frame
        space = take.colour_space if take else None
        if take is None or index is None:
            return self._read(session, "plate", session.plate, session.frame, space)
        if session.compare is Compare.PLATE:
            picture = self._read(session, "plate", session.plate, session.frame, space)
        else:
            picture = self._read(session, "dub", take.dub, index, space)
        if session.overlay and take.matte is not None and take.folder != self.live_matte:
            picture = tinted(picture, self._read(session, "matte", take.matte, index, None)[..., 0], session.opacity)
        if session.compare in (Compare.PLATE, Compare.DUB):
            return picture
        plate = self._read(session, "plate", session.plate, session.frame, space)
        if session.compare is Compare.WIPE:
            return wiped(plate, picture, session.wipe)
        return side_by_side(plate, picture) if session.compare is Compare.SPLIT else difference(plate, picture)

    def _read(self, session: Session, name: str, info: MediaInfo, index: int, space: str | None) -> Pixels:
        source = self.sources.get(name)
        made = source(session) if source is not None else None
        return self._from_file(name, info, index, space) if made is None else made

    def _from_file(self, name: str, info: MediaInfo, index: int, space: str | None) -> Pixels:
        medium = self._media.get(name)
        if medium is None or medium.info is not info:
            if medium is not None:
                medium.close()
            medium = self._media[name] = RandomAccess(info, space)
        return medium.frame(index)

    def _close(self) -> None:
        for medium in self._media.values():
            medium.close()
        self._media.clear()
