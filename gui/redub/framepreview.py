"""One frame of the re-dub that the form describes, on the picture, while parameters move: rough at once, then final."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QPainter

from gui import theme
from julnet_plugin.requestio import request_to_json

if TYPE_CHECKING:
    from gui.widgets.viewer import Viewer
    from host_adapters.worker_client import WorkerClient
    from julnet_plugin.types import RedubRequest

Wish = tuple["RedubRequest", int]  #: a re-dub, and a frame of its plate


class FramePreview(QObject):
    """Asks the worker for one picture at a time and lays it over the viewer's.

    Where the worker does not know the frame's surroundings yet, a rough picture comes at once and the final one when it
    is ready. While parameters move the last picture of the frame stays, and the newest wish is the next to be drawn.

    Signals:
        shown(list, QImage): the frames that the final picture's mouth was borrowed from, and their thumbnails.
        said(str): one sentence: why there is none.
    """

    shown = Signal(object, QImage)
    said = Signal(str)
    _heard = Signal(object, object)

    def __init__(self, client: WorkerClient, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client, self._viewer = client, viewer
        self._folder = tempfile.TemporaryDirectory(prefix="julnet-frame-")
        self._wanted: Wish | None = None
        self._asked: tuple[Wish, bool] | None = None  # what the worker draws, and whether roughly
        self._job = 0
        self._made: tuple[Wish, bool] | None = None  # what `_image` is of, and whether it is rough
        self._image = QImage()
        self._passes = False  # the frame that was made last would not be re-dubbed
        self._closed = False
        self.state = ""  #: of what is shown, in a word or two; empty without a wish
        self._heard.connect(self._on_event, Qt.ConnectionType.QueuedConnection)
        viewer.add_layer(self._paint)

    @property
    def image(self) -> QImage | None:
        """What is laid over the picture; None where nothing was made for its plate and frame."""
        if self._wanted is None or self._made is None or self._image.isNull():
            return None
        (request, frame), (made, of) = self._wanted, self._made[0]
        return self._image if (made.plate, of) == (request.plate, frame) else None

    def want(self, request: RedubRequest | None, frame: int) -> None:
        """Show a frame of this re-dub; None shows none."""
        plain = None if request is None else (replace(request, deliver=("png",), resume=False), frame)
        if plain == self._wanted or self._closed:
            return
        self._wanted = plain
        if self._asked is not None and not self._asked[1]:
            self._client.cancel(self._job)  # it may be following faces through a whole stretch
        self._ask()
        self._show_state()

    def close(self) -> None:
        """Forget the pictures."""
        self._wanted, self._closed = None, True
        self._folder.cleanup()

    def _ask(self) -> None:
        """Ask for what is wanted, roughly at first, if the worker is free and it was not made yet."""
        if self._wanted is None or self._asked is not None:
            return
        made = self._made if self._made is not None and self._made[0] == self._wanted else None
        if made is not None and not made[1]:
            return
        self._asked = asked = self._wanted, made is None
        self._job = self._client.request(
            "preview",
            lambda event: self._heard.emit(asked, event),
            request=request_to_json(asked[0][0]),
            frame=asked[0][1],
            picture=str(self._path("frame")),
            thumbnails=str(self._path("references")),
            rough=asked[1],
        )

    def _path(self, name: str) -> Path:
        return Path(self._folder.name) / f"{name}.png"

    def _on_event(self, asked: tuple[Wish, bool], event: dict[str, Any]) -> None:
        if event["event"] == "progress" or asked is not self._asked:
            return
        self._asked = None
        wish, rough = asked
        if event["event"] == "result":
            self._made, self._image = (wish, bool(event.get("rough"))), QImage(str(self._path("frame")))
            self._passes = not event["redubbed"]
            if not self._made[1]:
                self.shown.emit(event["references"], QImage(str(self._path("references"))))
        elif event.get("type") != "RedubCancelled":
            self._made, self._image = (wish, rough), QImage()  # what failed roughly may do with more to look at
            if not rough:
                self.said.emit(event.get("message", "this frame could not be drawn"))
        self._ask()
        self._show_state()

    def _show_state(self) -> None:
        """Say over the picture what it is."""
        if self._wanted is None:
            self.state = ""
        elif self._made == (self._wanted, False):
            self.state = "" if self._image.isNull() else "Passes through" if self._passes else "Preview of this frame"
        else:
            self.state = "Rough preview…" if self.image is not None else "Drawing a preview…"
        self._viewer.update()

    def _paint(self, painter: QPainter) -> None:
        image, below = self.image, self._viewer.image
        if not self.state or below is None:
            return
        if image is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(QRectF(0, 0, below.width(), below.height()), image)
        painter.resetTransform()
        seen = self._viewer.picture_rect().intersected(QRectF(self._viewer.rect()))
        corner = seen.topLeft() + QPointF(10, 10)
        box = QRectF(corner.x(), corner.y(), painter.fontMetrics().horizontalAdvance(self.state) + 24, 24)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 150))
        painter.drawRoundedRect(box, 5, 5)
        painter.setPen(theme.TEXT)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, self.state)
