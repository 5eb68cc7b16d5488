"""The five frames that teeth and lips are borrowed from: see them, go there, swap one for the frame on screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QMenu, QToolButton, QWidget

from gui.widgets.building import named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Pixels = NDArray[np.uint8]
SIZE = 44  #: of a thumbnail, screen pixels


class ReferenceStrip(QWidget):
    """Thumbnails of the references; a click swaps one for the frame on screen, a right click goes to it.

    Args:
        swap: called with (position, frame or None): None = leave this one out.
        go_to: called with a frame.
        playhead: the frame on screen.
    """

    def __init__(
        self,
        swap: Callable[[int, int | None], None],
        go_to: Callable[[int], None],
        playhead: Callable[[], int],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._swap, self._go_to, self._playhead = swap, go_to, playhead
        self.frames: tuple[int, ...] = ()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(3)
        self._row.addStretch()
        self.buttons: list[QToolButton] = []
        self.setAccessibleName("Reference frames")
        self.hide()

    def show_frames(self, frames: Sequence[int], pictures: dict[int, Pixels]) -> None:
        """Show these references; those without a picture show their number."""
        for button in self.buttons:
            self._row.removeWidget(button)
            button.deleteLater()
        self.frames = tuple(frames)
        self.buttons = [self._button(k, frame, pictures.get(frame)) for k, frame in enumerate(frames)]
        for place, button in enumerate(self.buttons):
            self._row.insertWidget(place, button)
        self.setVisible(bool(frames))

    def _button(self, position: int, frame: int, picture: Pixels | None) -> QToolButton:
        button = named(QToolButton(), "thumbnail")
        button.setToolTip(f"Frame {frame}: click for what can be done with this reference")
        button.setAccessibleName(f"Reference {position + 1}, frame {frame}")
        button.setText(str(frame))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        if picture is not None:
            button.setIcon(QIcon(_pixmap(picture)))
            button.setIconSize(QSize(SIZE, SIZE))
        button.clicked.connect(lambda: self.menu_of(position).popup(button.mapToGlobal(button.rect().bottomLeft())))
        return button

    def menu_of(self, position: int) -> QMenu:
        """What can be done with one reference."""
        menu = QMenu(self)
        frame = self.frames[position]
        here = self._playhead()
        menu.addAction(f"Use frame {here} instead").triggered.connect(lambda: self._swap(position, here))
        menu.addAction(f"Go to frame {frame}").triggered.connect(lambda: self._go_to(frame))
        menu.addAction("Leave it out").triggered.connect(lambda: self._swap(position, None))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        return menu


def references_of_take(folder: Path, shot_frame: int) -> tuple[tuple[int, ...], dict[int, Pixels]]:
    """Frames and mouth thumbnails of a take's references, for the pose that a frame has. Reads files.

    Raises:
        TakeError: they cannot be read.
    """
    from julnet_plugin.pipeline.cropdata import DATA
    from julnet_plugin.pipeline.references import REFERENCES, References
    from julnet_plugin.take import frames_of, load_take

    take = load_take(folder)
    frames = frames_of(take)
    references = References.load(folder / DATA / REFERENCES)
    position = min(max(shot_frame - frames.start, 0), len(frames) - 1)
    numbers = tuple(references.frames_at(position))
    return numbers, dict(zip(numbers, references.thumbnails_at(position, 2 * SIZE), strict=True))


def pictures_of(frames: Sequence[int], strip: QImage) -> dict[int, Pixels]:
    """The thumbnails of references that lie side by side in one picture; none where it is not what it should be."""
    if strip.isNull() or not frames or strip.width() != len(frames) * strip.height():
        return {}
    rgb, side = strip.convertToFormat(QImage.Format.Format_RGB888), strip.height()
    rows = np.frombuffer(rgb.constBits(), np.uint8).reshape(side, rgb.bytesPerLine())
    parts = np.split(rows[:, : 3 * strip.width()].reshape(side, strip.width(), 3), len(frames), axis=1)
    return {frame: part.copy() for frame, part in zip(frames, parts, strict=True)}


def _pixmap(picture: Pixels) -> QPixmap:
    height, width = picture.shape[:2]
    picture = np.ascontiguousarray(picture)
    return QPixmap.fromImage(QImage(picture.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy())


def swapped(refs: Sequence[int], position: int, frame: int | None) -> str:
    """The text of a request's references with one swapped or left out; "auto" where none is left."""
    numbers = [number for k, number in enumerate(refs) if k != position]
    if frame is not None:
        numbers.insert(position, frame)
    return ",".join(str(number) for number in dict.fromkeys(numbers)) or "auto"
