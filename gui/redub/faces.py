"""Choose who is re-dubbed: the faces of the frame, drawn on the picture, one click takes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPen, QTabletEvent

from gui import theme

if TYPE_CHECKING:
    from gui.session import Session
    from gui.widgets.viewer import Viewer
    from host_adapters.worker_client import WorkerClient


@dataclass(frozen=True, slots=True)
class SeenFace:
    """One face on a frame, plate pixels."""

    box: QRectF
    mouth: QPointF


class FacePicker(QObject):
    """A `PictureTool` and a layer, while a face is being chosen.

    Signals:
        chosen(str): "X,Y@FRAME", as a request wants it.
        said(str): one sentence for the user.
    """

    chosen = Signal(str)
    said = Signal(str)
    _heard = Signal(object)

    def __init__(self, client: WorkerClient, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client, self._viewer = client, viewer
        self._frame = 0
        self._plate_height = 1
        self._faces: list[SeenFace] = []
        self._under: SeenFace | None = None
        self._drop: Callable[[], None] | None = None
        self._heard.connect(self._on_event, Qt.ConnectionType.QueuedConnection)

    @property
    def faces(self) -> list[SeenFace]:
        """What can be chosen."""
        return list(self._faces)

    @property
    def active(self) -> bool:
        """Whether a face is being chosen."""
        return self._drop is not None

    def start(self, session: Session) -> None:
        """Look for the faces of the current frame."""
        if session.plate is None:
            return
        self.stop()
        self._frame, self._plate_height = session.frame, session.plate.height
        self.said.emit("Looking for faces on this frame…")
        self._client.request("faces", self._heard.emit, media=str(session.plate.path), frame=session.frame)

    def stop(self) -> None:
        """Give the mouse back."""
        if self._drop is not None:
            self._drop()
            self._drop = None
        if self._viewer.tool is self:
            self._viewer.set_tool(None)
        self._faces, self._under = [], None

    def _on_event(self, event: dict[str, Any]) -> None:
        if event["event"] == "error":
            self.said.emit(event.get("message", "the faces of this frame could not be found"))
        if event["event"] != "result":
            return
        self._faces = [SeenFace(_rect(face["box"]), QPointF(*face["mouth"])) for face in event["faces"]]
        if not self._faces:
            self.said.emit("There is no face on this frame; go to one that shows the speaker")
            return
        self._drop = self._viewer.add_layer(self._paint)
        self._viewer.set_tool(self, Qt.CursorShape.PointingHandCursor)
        many = len(self._faces)
        self.said.emit("Click the face to re-dub" if many == 1 else f"Click one of the {many} faces; Escape leaves it")

    def press(self, at: QPointF, pressure: float, event: QMouseEvent | QTabletEvent) -> bool:
        """Take the face under the pointer; beside every face nothing is chosen."""
        face = self._face_at(at)
        if face is not None:
            text = f"{face.mouth.x():.0f},{face.mouth.y():.0f}@{self._frame}"
            self.stop()
            self.chosen.emit(text)
            self.said.emit("This face will be re-dubbed")
        else:
            self.leave()
        return True

    def leave(self) -> None:
        """Choose none."""
        self.stop()
        self.said.emit("No face was chosen")

    def move(self, at: QPointF, pressure: float, event: QMouseEvent | QTabletEvent) -> bool:
        """Light up what a click would take."""
        under = self._face_at(at)
        if under is not self._under:
            self._under = under
            self._viewer.update()
        return True

    def release(self, at: QPointF, pressure: float, event: QMouseEvent | QTabletEvent) -> bool:
        """Nothing."""
        return True

    def _scale(self) -> float:
        image = self._viewer.image
        return 1.0 if image is None else image.height() / self._plate_height

    def _face_at(self, at: QPointF) -> SeenFace | None:
        point = at / self._scale()
        inside = [face for face in self._faces if face.box.contains(point)]
        return min(inside, key=lambda face: face.box.width(), default=None)

    def _paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.scale(self._scale(), self._scale())
        for number, face in enumerate(self._faces):
            lit = face is self._under
            pen = QPen(theme.ACCENT if lit else QColor(255, 255, 255, 200), 3 if lit else 2)
            pen.setCosmetic(True)
            painter.setPen(pen)
            fill = QColor(theme.ACCENT)
            fill.setAlpha(50 if lit else 0)
            painter.setBrush(fill)
            radius = face.box.width() * 0.06
            painter.drawRoundedRect(face.box, radius, radius)
            painter.drawEllipse(face.mouth, 4 / self._scale(), 3 / self._scale())
            font = painter.font()
            font.setPixelSize(max(int(face.box.height() * 0.09), 8))
            painter.setFont(font)
            painter.drawText(face.box.topLeft() + QPointF(radius, -radius / 2), f"Face {number + 1}")


def _rect(box: list[float]) -> QRectF:
    return QRectF(QPointF(box[0], box[1]), QPointF(box[2], box[3]))
