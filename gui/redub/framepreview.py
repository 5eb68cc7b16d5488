"""One frame of the re-dub that the form describes, on the picture, while parameters move. The newest wish wins."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QImage, QPainter

from gui import theme
from julnet_plugin.requestio import request_to_json

if TYPE_CHECKING:
    from gui.widgets.viewer import Viewer
    from host_adapters.worker_client import WorkerClient
    from julnet_plugin.types import RedubRequest

_SETTLE_MS = 60  #: a drag is asked for when it pauses for this long


class FramePreview(QObject):
    """Asks the worker for one frame at a time and lays it over the picture.

    Signals:
        shown(int, list): the frame that is shown, and the frames that its mouth was borrowed from.
        said(str): one sentence.
    """

    shown = Signal(int, object)
    said = Signal(str)
    _heard = Signal(object, object)

    def __init__(self, client: WorkerClient, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client, self._viewer = client, viewer
        self._folder = tempfile.TemporaryDirectory(prefix="julnet-frame-")
        self._asked: tuple[RedubRequest, int] | None = None  # what the worker is drawing
        self._wanted: tuple[RedubRequest, int] | None = None
        self._made: tuple[RedubRequest, int] | None = None
        self._image = QImage()
        self._heard.connect(self._on_event, Qt.ConnectionType.QueuedConnection)
        self._timer = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._timer.timeout.connect(self._ask)
        viewer.add_layer(self._paint)

    @property
    def image(self) -> QImage | None:
        """What is laid over the picture; None where it is not of what is wanted."""
        return self._image if self._made is not None and self._made == self._wanted else None

    def want(self, request: RedubRequest | None, frame: int) -> None:
        """Show a frame of this re-dub; None shows none."""
        plain = None if request is None else (replace(request, deliver=("png",), resume=False), frame)
        if plain != self._wanted:
            self._wanted = plain
            self._viewer.update()
            self._timer.start()

    def close(self) -> None:
        """Forget the pictures."""
        self._timer.stop()
        self._folder.cleanup()

    def _ask(self) -> None:
        if self._wanted is None or self._asked is not None or self._wanted == self._made:
            return
        self._asked = asked = self._wanted
        self.said.emit("Drawing this frame…")
        self._client.request(
            "preview",
            lambda event: self._heard.emit(asked, event),
            request=request_to_json(asked[0]),
            frame=asked[1],
            picture=str(self._path()),
        )

    def _path(self) -> Path:
        return Path(self._folder.name) / "frame.png"

    def _on_event(self, asked: tuple[RedubRequest, int], event: dict[str, Any]) -> None:
        if event["event"] == "progress" or asked is not self._asked:
            return
        self._asked = None
        if event["event"] == "result":
            self._made, self._image = asked, QImage(str(self._path()))
            words = "This frame, as the take would show it" if event["redubbed"] else "This frame would pass through"
            self.said.emit(words)
            self.shown.emit(asked[1], event["references"])
            self._viewer.update()
        else:
            self._made = asked  # asking again would fail again
            self._image = QImage()
            self.said.emit(event.get("message", "this frame could not be drawn"))
        self._ask()

    def _paint(self, painter: QPainter) -> None:
        image, below = self.image, self._viewer.image
        if image is None or image.isNull() or below is None:
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(0, 0, below.width(), below.height()), image)
        painter.resetTransform()
        tag = QRectF(self._viewer.picture_rect().topLeft() + QPointF(10, 10), QPointF(0, 0)).topLeft()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 150))
        box = QRectF(tag.x(), tag.y(), 168, 24)
        painter.drawRoundedRect(box, 5, 5)
        painter.setPen(theme.TEXT)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, "Preview of this frame")
