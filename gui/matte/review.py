"""The stretches of a take that are worth a look: which of them somebody has looked at, and what was decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from gui import theme
from gui.background import sentence_of
from gui.widgets.building import named
from host_adapters.standalone.takenotes import TakeNotes, load_notes, mark_seen, save_notes
from julnet_plugin.errors import JulnetError
from julnet_plugin.matte import edits

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui.background import Background
    from gui.matte.editor import MatteEditor
    from gui.session import Session, Span, TakeView
    from julnet_plugin.matte.settings import DriveMode

NO_TAKE = "A take's uncertain stretches are listed here."
NOTHING = "No stretch stands out from the rest of this take."
LOOKED_MS = 700  #: a stretch that the playhead rests in for this long has been looked at
_DECISIONS = (
    (None, "Undecided"),
    ("flag", "Accept"),
    ("hold_plate", "Hold plate"),
    ("hold_reference", "Hold reference"),
)
_WORDS = {"flag": "accepted", "hold_plate": "plate held", "hold_reference": "reference held"}


class ReviewList(QWidget):
    """Shows a take's stretches, the most uncertain first; the one that the playhead is in is marked.

    Signals:
        chosen(int): the user wants to see this frame.
    """

    chosen = Signal(int)

    def __init__(
        self, editor: MatteEditor, background: Background, say: Callable[[str], None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._editor, self._background, self._say = editor, background, say
        self._session: Session | None = None
        self._notes = TakeNotes()
        self._take: TakeView | None = None
        self._here: int | None = None
        self.list = QListWidget()
        self.list.setWordWrap(True)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # arrow keys step through frames, here too
        self.list.setAccessibleName("Stretches worth a look")
        self.list.itemClicked.connect(lambda item: self.chosen.emit(item.data(Qt.ItemDataRole.UserRole)))
        self.note = named(QLabel(NO_TAKE, wordWrap=True), "quiet")
        self.count = named(QLabel(), "quiet")
        self.decision = QComboBox()
        for mode, title in _DECISIONS:
            self.decision.addItem(title, mode)
        self.decision.setToolTip(
            "What happens on this stretch; holding shows at once, the take's files follow on update"
        )
        self.decision.setAccessibleName("Decision about this stretch")
        self.decision.activated.connect(lambda: self.decide(self.decision.currentData()))
        self._timer = QTimer(self, singleShot=True, interval=LOOKED_MS)
        self._timer.timeout.connect(self._looked)
        self._arrange()
        editor.changed.connect(self._show_decisions)

    @property
    def spans(self) -> tuple[Span, ...]:
        """What is listed."""
        return self._take.spans if self._take else ()

    @property
    def notes(self) -> TakeNotes:
        """What is noted about the take."""
        return self._notes

    def set_session(self, session: Session) -> None:
        """Show another session."""
        self._session = session
        if session.take is not self._take:
            self._take = session.take
            self._notes = self._load()
            self._fill()
        self.note.setText(NO_TAKE if session.take is None else NOTHING)
        self.note.setVisible(not self.spans)
        here = next((i for i, span in enumerate(self.spans) if span.start <= session.frame < span.stop), None)
        if here != self._here:
            self._here = here
            self._timer.stop()
            if here is not None:
                self._timer.start()
        self.list.setCurrentRow(-1 if here is None else here)
        self._show_decisions()

    def decide(self, mode: DriveMode | None) -> None:
        """Say what happens on the stretch that the playhead is in. A reference is held from the calmest frame."""
        if self._here is None or self._take is None:
            self._say("The playhead is in no stretch that is worth a look; N goes to one")
            return
        span = self.spans[self._here]
        reference = self.calmest_frame() if mode == "hold_reference" else None
        self._editor.decide(span.start, span.stop, mode, reference)
        self._note_seen(span.start, span.stop)

    def calmest_frame(self) -> int | None:
        """The re-dubbed frame that the network is surest of: a clean reference."""
        take = self._take
        if take is None:
            return None
        sure = [(sigma, index) for index, sigma in enumerate(take.sigma) if sigma > 0]
        return take.frames.start + min(sure)[1] if sure else None

    def toggle_seen(self) -> None:
        """Looked at, or not, by hand."""
        if self._here is not None:
            span = self.spans[self._here]
            self._note_seen(span.start, span.stop, seen=not self._notes.has_seen(span.start, span.stop))

    def _looked(self) -> None:
        if self._here is not None and self._session is not None:
            span = self.spans[self._here]
            self._note_seen(span.start, span.stop)

    def _note_seen(self, start: int, stop: int, *, seen: bool = True) -> None:
        notes = mark_seen(self._notes, start, stop, seen=seen)
        if notes.has_seen(start, stop) == self._notes.has_seen(start, stop) or self._take is None:
            return
        folder, self._notes = self._take.folder, notes
        self._background.run(lambda: _note(folder, start, stop, seen=seen), lambda _: None, self._not_saved)
        self._show_decisions()

    def _not_saved(self, sentence: str) -> None:
        self._say(f"What was looked at could not be noted: {sentence}")

    def _load(self) -> TakeNotes:
        if self._take is None:
            return TakeNotes()
        try:
            return load_notes(self._take.folder)
        except JulnetError as exc:
            self._say(sentence_of(exc))
            return TakeNotes()

    def _fill(self) -> None:
        self._here = None
        self.list.clear()
        for span in self.spans:
            item = QListWidgetItem()
            item.setData(Qt.ItemDataRole.UserRole, span.peak)
            self.list.addItem(item)
        self.list.setVisible(bool(self.spans))

    def _show_decisions(self) -> None:
        document = self._editor.document
        seen = 0
        for row, span in enumerate(self.spans):
            looked = self._notes.has_seen(span.start, span.stop)
            seen += looked
            found = edits.decision_of(document, span.start, span.stop) if document else None
            last = span.stop - 1
            frames = f"Frame {last}" if span.start == last else f"Frames {span.start} to {last}"
            decided = f"  ·  {_WORDS[found.mode]}" if found else ""
            item = self.list.item(row)
            item.setText(f"{'✓' if looked else '●'} {frames}{decided}\n{span.sentence}")
            item.setForeground(theme.QUIET if looked else QColor(theme.TEXT))
            item.setToolTip("Looked at" if looked else "Nobody has looked at it yet")
        here = self.spans[self._here] if self._here is not None and self._here < len(self.spans) else None
        found = edits.decision_of(document, here.start, here.stop) if document and here else None
        self.decision.setEnabled(here is not None and document is not None)
        self.decision.setCurrentIndex(self.decision.findData(found.mode if found else None))
        self.count.setText(f"{seen} of {len(self.spans)} looked at" if self.spans else "")

    def _arrange(self) -> None:
        line = QHBoxLayout()
        line.addWidget(self.count, 1)
        line.addWidget(self.decision)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 10, 14, 12)
        column.addWidget(self.note)
        column.addWidget(self.list, 1)
        column.addLayout(line)


def _note(folder: object, start: int, stop: int, *, seen: bool) -> None:
    """Read, change and write: another panel may have noted something meanwhile."""
    from pathlib import Path

    take = Path(str(folder))
    save_notes(take, mark_seen(load_notes(take), start, stop, seen=seen))
