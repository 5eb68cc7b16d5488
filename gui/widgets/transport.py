"""The buttons that move the playhead, with pictures of their own: no icon theme is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QWidget

from gui import theme
from gui.widgets.building import named

if TYPE_CHECKING:
    from gui.window import Window

_PX = 64  #: icons are drawn large and scaled down

#: Shapes in a unit square: "t" a triangle (left, right, points right?), "b" a bar (left, right).
_SHAPES: dict[str, tuple[tuple[str, float, float], ...]] = {
    "first_frame": (("b", 0.14, 0.24), ("l", 0.28, 0.82)),
    "step_back": (("l", 0.2, 0.66), ("b", 0.72, 0.8)),
    "play": (("r", 0.22, 0.86),),
    "pause": (("b", 0.24, 0.42), ("b", 0.58, 0.76)),
    "step_forward": (("b", 0.2, 0.28), ("r", 0.34, 0.8)),
    "last_frame": (("r", 0.18, 0.72), ("b", 0.76, 0.86)),
}


def icon(name: str) -> QIcon:
    """One of the pictures."""
    pixmap = QPixmap(_PX, _PX)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.TEXT)
    if name == "toggle_loop":
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.TEXT, 6))
        painter.drawArc(QRectF(12, 16, 40, 32), 40 * 16, 280 * 16)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.TEXT)
        painter.drawPolygon(QPolygonF([QPointF(40, 10), QPointF(56, 24), QPointF(38, 32)]))
    for kind, left, right in _SHAPES.get(name, ()):
        x0, x1, top, bottom = left * _PX, right * _PX, 0.2 * _PX, 0.8 * _PX
        if kind == "b":
            painter.drawRect(QRectF(x0, top, x1 - x0, bottom - top))
        else:
            base, tip = (x0, x1) if kind == "r" else (x1, x0)
            painter.drawPolygon(QPolygonF([QPointF(base, top), QPointF(tip, _PX / 2), QPointF(base, bottom)]))
    painter.end()
    return QIcon(pixmap)


class Transport(QWidget):
    """First, back, play, forward, last, loop: the window's own actions."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self._window = window
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(1)
        self._buttons: dict[str, QToolButton] = {}
        for name in ("first_frame", "step_back", "play", "step_forward", "last_frame", "toggle_loop"):
            action = window.actions_by_name[name]
            button = named(QToolButton(), "transport")
            action.setIcon(icon(name))
            action.setIconVisibleInMenu(False)
            button.setDefaultAction(action)
            button.setIconSize(QSize(15, 15))
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
            button.setAccessibleName(action.text())
            line.addWidget(button)
            self._buttons[name] = button
        self._shows_pause = False
        window.player.changed.connect(self._show_playing)

    def _show_playing(self) -> None:
        if self._window.player.playing != self._shows_pause:
            self._shows_pause = self._window.player.playing
            self._window.actions_by_name["play"].setIcon(icon("pause" if self._shows_pause else "play"))
