"""The queue on screen: a row for each render, with what can be done about it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMessageBox, QProgressBar, QToolButton, QVBoxLayout, QWidget

from gui.widgets.building import named

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui.redub.queue import Render, RenderQueue

_WORDS = {"waiting": "Waiting", "running": "Starting…", "done": "Done", "stopped": "Stopped; what is done is kept"}


class QueueView(QWidget):
    """Shows a queue."""

    def __init__(self, queue: RenderQueue, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._queue = queue
        self._rows: dict[int, RenderRow] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(6)
        self.setAccessibleName("Queue of renders")
        queue.changed.connect(self.refresh)
        self.refresh()

    def rows(self) -> list[RenderRow]:
        """The rows, from above."""
        return list(self._rows.values())

    def refresh(self) -> None:
        """Show what the queue holds."""
        known = {render.id: render for render in self._queue.renders}
        for gone in [number for number in self._rows if number not in known]:
            row = self._rows.pop(gone)
            self._column.removeWidget(row)
            row.deleteLater()
        for number, render in known.items():
            if number not in self._rows:
                self._rows[number] = RenderRow(self._queue, number)
                self._column.addWidget(self._rows[number])
            self._rows[number].show_render(render)
        self.setVisible(bool(known))


class RenderRow(QWidget):
    """One render."""

    def __init__(self, queue: RenderQueue, number: int) -> None:
        super().__init__()
        self._details = ""
        self.title = QLabel()
        self.said = named(QLabel(wordWrap=True), "quiet")
        self.said.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.bar = QProgressBar(textVisible=False)
        self.bar.setAccessibleName("Progress of the render")
        self.cancel = _button("Cancel", "Stop it; what is finished is kept", partial(queue.cancel, number))
        self.retry = _button("Resume", "Go on where it was", partial(queue.retry, number))
        self.remove = _button("✕", "Take it off the list", partial(queue.remove, number))
        self.details = _button("Show details", "What the worker wrote", self._show_details)
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.title, 1)
        for button in (self.details, self.cancel, self.retry, self.remove):
            top.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(top)
        column.addWidget(self.bar)
        column.addWidget(self.said)

    def show_render(self, render: Render) -> None:
        """Show its state."""
        self.title.setText(render.title)
        self.title.setToolTip(str(render.take))
        self.cancel.setVisible(render.open)
        self.retry.setVisible(render.state in ("failed", "stopped"))
        self.retry.setText("Retry" if render.state == "failed" else "Resume")
        self.remove.setVisible(not render.open)
        self._details = render.details
        self.details.setVisible(render.state == "failed" and bool(render.details.strip()))
        self.bar.setVisible(render.state == "running")
        if render.progress is not None:
            self.bar.setRange(0, max(render.progress.total, 1))
            self.bar.setValue(render.progress.done)
        else:
            self.bar.setRange(0, 0 if render.state == "running" else 1)
        text = render.progress.sentence() if render.progress else render.message or _WORDS.get(render.state, "")
        name = "error" if render.state == "failed" else "quiet"
        if self.said.objectName() != name:
            self.said.setObjectName(name)
            self.said.style().polish(self.said)
        self.said.setText(text)

    def _show_details(self) -> None:
        box = QMessageBox(self.window())
        box.setWindowTitle(self.title.text())
        box.setText(self.said.text())
        box.setDetailedText(self._details)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()


def _button(title: str, tip: str, run: Callable[[], object]) -> QToolButton:
    button = named(QToolButton(), "small")
    button.setText(title)
    button.setToolTip(tip)
    button.setAccessibleName(title if len(title) > 1 else tip)
    button.clicked.connect(lambda: run())
    return button
