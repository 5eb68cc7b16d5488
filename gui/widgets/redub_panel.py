"""What to re-dub with, and how far it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui.widgets.building import named, row
from julnet_plugin.types import RedubRequest

if TYPE_CHECKING:
    from gui.jobs import Progress
    from gui.session import Session

SOUNDS = "Recordings (*.wav *.flac *.mp3 *.m4a *.aac *.ogg *.opus *.aif *.aiff *.mov *.mp4 *.mkv *.mxf);;All files (*)"


class RedubPanel(QWidget):
    """The form of a re-dub.

    Signals:
        redub_requested(RedubRequest): the user wants this take.
        cancel_requested(): the user wants the render to stop.
    """

    redub_requested = Signal(object)
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._session: Session | None = None
        self._running = False
        self.dub = QLineEdit(placeholderText="a recording of the new line")
        self.offset = QDoubleSpinBox(minimum=-3600, maximum=3600, decimals=3, singleStep=0.04, suffix=" s")
        self.take_dir = QLineEdit(placeholderText="the folder that the take will be")
        self.range = QLabel("—")
        self.start_button = named(QPushButton("Re-dub"), "primary")
        self.cancel_button = QPushButton("Cancel")
        self.bar = QProgressBar(textVisible=False)
        self.said = named(QLabel(wordWrap=True), "quiet")
        self.details_button = QPushButton("Show details")
        self.details = QPlainTextEdit(readOnly=True)
        self._arrange()
        self._connect()

    def set_session(self, session: Session) -> None:
        """Show what would be re-dubbed."""
        new_plate = self._session is None or self._session.plate is not session.plate
        self._session = session
        if session.plate is not None:
            first = session.in_frame or 0
            last = session.frame_count - 1 if session.out_frame is None else session.out_frame
            whole = (first, last) == (0, session.frame_count - 1)
            self.range.setText("the whole plate" if whole else f"frames {first} to {last}")
        if new_plate:
            self._suggest_folder()
        self._update_buttons()

    def choose_dub(self) -> None:
        """Ask for a recording."""
        plate = self._session.plate if self._session else None
        folder = str(Path(self.dub.text() or (plate.path if plate else "")).parent)
        name, _ = QFileDialog.getOpenFileName(self, "Choose the dub", folder, SOUNDS)
        if name:
            self.dub.setText(name)

    def request(self) -> RedubRequest | None:
        """What the form asks for; None while it is incomplete."""
        if self._session is None or self._session.plate is None or not self.dub.text() or not self.take_dir.text():
            return None
        session, plate = self._session, self._session.plate
        return RedubRequest(
            plate=plate.path,
            dub=Path(self.dub.text()),
            take_dir=Path(self.take_dir.text()),
            in_point=None if session.in_frame is None else str(session.in_frame),
            out_point=None if session.out_frame is None else str(session.out_frame + 1),
            dub_offset_s=self.offset.value(),
            resume=True,  # goes on with what a cancelled render of the same take left, and else changes nothing
        )

    def show_started(self) -> None:
        """A render has begun."""
        self._running = True
        self.bar.setRange(0, 0)
        self.bar.show()
        self.details_button.hide()
        self.details.hide()
        self._say("Starting…")

    def show_progress(self, progress: Progress) -> None:
        """A render is this far."""
        self.bar.setRange(0, max(progress.total, 1))
        self.bar.setValue(progress.done)
        self._say(progress.sentence())

    def show_finished(self, sentence: str) -> None:
        """The render has ended well, or as it was asked to."""
        self._end()
        self._say(sentence)
        self._suggest_folder()

    def show_error(self, sentence: str, details: str = "") -> None:
        """The render has ended badly."""
        self._end()
        self._say(sentence, error=True)
        self.details.setPlainText(details)
        self.details_button.setChecked(False)
        self.details_button.setVisible(bool(details.strip()))

    def _end(self) -> None:
        self._running = False
        self.bar.hide()

    def _say(self, sentence: str, *, error: bool = False) -> None:
        self.said.setObjectName("error" if error else "quiet")
        self.said.style().polish(self.said)
        self.said.setText(sentence)
        self._update_buttons()

    def _update_buttons(self) -> None:
        self.start_button.setEnabled(not self._running and self.request() is not None)
        self.cancel_button.setEnabled(self._running)

    def _suggest_folder(self) -> None:
        plate = self._session.plate if self._session else None
        if plate is not None:
            line = Path(self.dub.text()).stem or "line"
            self.take_dir.setText(str(free_folder(plate.path.parent / "takes", f"{plate.path.stem}_{line}")))

    def _cancel(self) -> None:
        self.cancel_button.setEnabled(False)
        self.said.setText("Stopping at the next frame…")
        self.cancel_requested.emit()

    def _start(self) -> None:
        request = self.request()
        if request is not None:
            self.redub_requested.emit(request)

    def _connect(self) -> None:
        self.dub.textChanged.connect(self._suggest_folder)
        self.dub.textChanged.connect(self._update_buttons)
        self.take_dir.textChanged.connect(self._update_buttons)
        self.start_button.clicked.connect(self._start)
        self.cancel_button.clicked.connect(self._cancel)
        self.details_button.toggled.connect(self.details.setVisible)

    def _arrange(self) -> None:
        browse = QPushButton("…")
        browse.setToolTip("Choose a recording")
        browse.setAccessibleName("Choose a recording")
        browse.setFixedWidth(34)
        browse.clicked.connect(self.choose_dub)
        for widget in (self.bar, self.details, self.details_button):
            widget.hide()
        self.details_button.setCheckable(True)
        self.dub.setAccessibleName("Dub")
        self.take_dir.setAccessibleName("Take folder")
        self.bar.setAccessibleName("Progress of the render")
        self.offset.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)  # arrow keys and the wheel do it
        self.offset.setToolTip("Where the dub starts, from the first re-dubbed frame; below zero skips its beginning")
        self.take_dir.setToolTip("Nothing is overwritten: a folder that exists is refused")
        form = QFormLayout(verticalSpacing=9, horizontalSpacing=10)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Dub", row(self.dub, browse))
        form.addRow("Starts at", self.offset)
        form.addRow("Range", self.range)
        form.addRow("Take", self.take_dir)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.setContentsMargins(16, 14, 16, 14)
        column.addWidget(named(QLabel("Re-dub"), "heading"))
        column.addLayout(form)
        column.addLayout(row(self.start_button, self.cancel_button))
        column.addWidget(self.bar)
        column.addWidget(self.said)
        column.addWidget(self.details_button)
        column.addWidget(self.details, 1)
        column.addStretch()


def free_folder(parent: Path, name: str) -> Path:
    """A folder that does not exist yet: NAME, NAME_2, and so on."""
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name}_{number}"
    return folder
