"""The stretches of a take that are worth a look, the most uncertain first."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from gui.session import Session, Span
from gui.widgets.building import named

NO_TAKE = "A take's uncertain stretches are listed here."
NOTHING = "No stretch stands out from the rest of this take."


class ReviewList(QWidget):
    """Shows a session's spans; the one that the playhead is in is marked.

    Signals:
        chosen(int): the user wants to see this frame.
    """

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._spans: tuple[Span, ...] | None = None
        self.list = QListWidget()
        self.list.setWordWrap(True)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # arrow keys step through frames, here too
        self.list.setAccessibleName("Stretches worth a look")
        self.list.itemClicked.connect(self._choose)
        self.note = named(QLabel(NO_TAKE), "quiet")
        self.note.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.addWidget(named(QLabel("Worth a look"), "heading"))
        column.addWidget(self.note)
        column.addWidget(self.list, 1)
        column.addStretch()

    def set_session(self, session: Session) -> None:
        """Show another session."""
        spans = session.take.spans if session.take else ()
        if spans is not self._spans:
            self._fill(spans)
        self.note.setText(NO_TAKE if session.take is None else NOTHING)
        self.note.setVisible(not spans)
        self.list.setVisible(bool(spans))
        here = next((rank for rank, span in enumerate(spans) if span.start <= session.frame < span.stop), -1)
        self.list.setCurrentRow(here)

    def _fill(self, spans: tuple[Span, ...]) -> None:
        self._spans = spans
        self.list.clear()
        for span in spans:
            last = span.stop - 1
            frames = f"Frame {last}" if span.start == last else f"Frames {span.start} to {last}"
            item = QListWidgetItem(f"{frames}\n{span.sentence}")
            item.setData(Qt.ItemDataRole.UserRole, span.peak)
            self.list.addItem(item)

    def _choose(self, item: QListWidgetItem) -> None:
        self.chosen.emit(item.data(Qt.ItemDataRole.UserRole))
