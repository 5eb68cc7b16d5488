"""What is known of files: media and takes; asked for on the GUI thread, read on another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from gui.opening import open_take
from gui.workqueue import WorkQueue

if TYPE_CHECKING:
    from gui.session import TakeView
    from julnet_plugin.types import MediaInfo


class Shots(QObject):
    """Remembers media and takes; what is not known yet is looked up, and `learned` says when it is.

    Signals:
        learned(): something is known, or known to be missing, that was not before.
    """

    learned = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.queue = WorkQueue("julnet-shots", parent=self)
        self._media: dict[Path, MediaInfo | str] = {}
        self._takes: dict[tuple[Path, Path], TakeView | str] = {}
        self._stale: set[object] = set()  # what is known but has to be looked up again

    def media(self, path: Path) -> MediaInfo | str | None:
        """What a medium is; a sentence when it cannot be read; None while it is looked up."""
        if path not in self._media or path in self._stale:
            self._stale.discard(path)
            self.queue.add(
                path,
                lambda: _probe(path),
                lambda info: self._learn(self._media, path, info),
                lambda sentence: self._learn(self._media, path, sentence),
            )
        return self._media.get(path)

    def take(self, folder: Path, plate: MediaInfo) -> TakeView | str | None:
        """A take of a plate; a sentence when it cannot be opened; None while it is looked up."""
        key = (folder, plate.path)
        if key not in self._takes or key in self._stale:
            self._stale.discard(key)
            self.queue.add(
                key,
                lambda: open_take(folder, plate),
                lambda view: self._learn(self._takes, key, view),
                lambda sentence: self._learn(self._takes, key, sentence),
            )
        return self._takes.get(key)

    def know(self, info: MediaInfo, path: Path) -> None:
        """A medium that was probed elsewhere."""
        self._media[path] = info
        self._stale.discard(path)

    def forget(self) -> None:
        """Look everything up again: files have moved, come back or changed. What is seen stays until that is done."""
        self._media = {path: known for path, known in self._media.items() if not isinstance(known, str)}
        self._takes = {key: known for key, known in self._takes.items() if not isinstance(known, str)}
        self._stale = {*self._media, *self._takes}
        self.learned.emit()

    def forget_take(self, folder: Path) -> None:
        """A take has changed on disk."""
        self._takes = {key: view for key, view in self._takes.items() if key[0] != folder}
        self.learned.emit()

    def stop(self) -> None:
        """End the thread."""
        self.queue.stop()

    def _learn(self, known: dict, key: object, value: object) -> None:  # type: ignore[type-arg]
        known[key] = value
        self.learned.emit()


def _probe(path: Path) -> MediaInfo:
    from julnet_plugin.media.probe import probe
    from julnet_plugin.media.reader import refuse_interlaced

    info = probe(path)
    refuse_interlaced(info)
    return info
