"""What to re-dub with, and how far it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, QStandardPaths, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.widgets.building import named, row
from julnet_plugin.types import Delivery, RedubRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from gui.jobs import Progress
    from gui.redub.models import ModelEntry
    from gui.session import Session

SOUNDS = "Recordings (*.wav *.flac *.mp3 *.m4a *.aac *.ogg *.opus *.aif *.aiff *.mov *.mp4 *.mkv *.mxf);;All files (*)"


#: What a quality delivers: a preview is quick to write and to scrub, the final one is what goes on to finishing.
QUALITIES: dict[str, tuple[Delivery, ...]] = {"Preview (H.264)": ("h264",), "Final (ProRes)": ("prores",)}
OTHER_MODEL = "Other weights…"


class RedubPanel(QWidget):
    """The form of a re-dub.

    Signals:
        redub_requested(RedubRequest): the user wants this take.
        cancel_requested(): the user wants the render to stop.
        edited(): the form says something else.
        face_wanted(): the user wants to choose a face on the picture.
        recording_wanted(): the user wants to record the dub.
        clips_wanted(): the user wants to choose among the sounds of the timeline.
    """

    redub_requested = Signal(object)
    cancel_requested = Signal()
    edited = Signal()
    face_wanted = Signal()
    recording_wanted = Signal()
    clips_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._session: Session | None = None
        self._running = False
        self._taken: frozenset[Path] = frozenset()
        self.dub = QLineEdit(placeholderText="a recording of the new line")
        self.offset = QDoubleSpinBox(minimum=-3600, maximum=3600, decimals=3, singleStep=0.04, suffix=" s")
        self.take_dir = QLineEdit(placeholderText="the folder that the take will be")
        self.range = QLabel("—")
        self.face = QLineEdit("auto")
        self.model = QComboBox()
        self.refs = QLineEdit("auto")
        self.quality = QComboBox()
        self.listen = named(QToolButton(), "small")
        self.listen.setText("Listen")
        self.listen.setCheckable(True)
        self.preview = QCheckBox("Preview this frame while I change things")
        self._folder: Path | None = None  # where takes go; None = beside the plate
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
            face=self.face.text().strip() or "auto",
            model=self.model.currentData() or "rt",
            refs=self.refs.text().strip() or "auto",
            deliver=QUALITIES[self.quality.currentText()],
            resume=True,  # goes on with what a cancelled render of the same take left, and else changes nothing
        )

    def set_takes_folder(self, folder: Path | None, taken: Collection[Path] = ()) -> None:
        """Where takes go, and the folders there that renders wait for; None puts them beside the plate."""
        self._folder, self._taken = folder, frozenset(taken)
        self._suggest_folder()

    def set_models(self, models: Sequence[ModelEntry], chosen: str | None = None) -> None:
        """Show what can be chosen."""
        before = chosen or self.model.currentData() or "rt"
        with QSignalBlocker(self.model):
            self.model.clear()
            for entry in models:
                self.model.addItem(entry.title, entry.name)
                self.model.setItemData(self.model.count() - 1, entry.about, Qt.ItemDataRole.ToolTipRole)
            self.model.insertSeparator(self.model.count())
            self.model.addItem(OTHER_MODEL, None)
            self.model.setCurrentIndex(max(self.model.findData(before), 0))
        self.edited.emit()

    def set_dub(self, path: Path, offset_s: float | None = None) -> None:
        """Re-dub with this recording."""
        self.dub.setText(str(path))
        if offset_s is not None:
            self.offset.setValue(offset_s)

    def nudge(self, frames: int) -> None:
        """Slip the dub by whole frames."""
        plate = self._session.plate if self._session else None
        if plate is not None:
            self.offset.setValue(self.offset.value() + float(frames / plate.rate))

    def _choose_model(self) -> None:
        if self.model.currentText() != OTHER_MODEL:
            self.edited.emit()
            return
        name, _ = QFileDialog.getOpenFileName(self, "Choose a model", "", "Weights (*.safetensors *.onnx)")
        index = 0
        if name:
            with QSignalBlocker(self.model):
                self.model.insertItem(0, Path(name).stem, name)
        self.model.setCurrentIndex(index)
        self.edited.emit()

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
        self.start_button.setEnabled(self.request() is not None)
        self.cancel_button.setEnabled(self._running)

    def _suggest_folder(self) -> None:
        plate = self._session.plate if self._session else None
        if plate is not None:
            line = Path(self.dub.text()).stem or "line"
            folder = self._folder or takes_folder(plate.path)
            self.take_dir.setText(str(free_folder(folder, f"{plate.path.stem}_{line}", self._taken)))

    def _cancel(self) -> None:
        self.cancel_button.setEnabled(False)
        self.said.setText("Stopping at the next frame…")
        self.cancel_requested.emit()

    def _start(self) -> None:
        request = self.request()
        if request is not None:
            self.redub_requested.emit(request)

    def _connect(self) -> None:
        for line in (self.dub, self.face, self.refs):
            line.textChanged.connect(self.edited)
        self.offset.valueChanged.connect(self.edited)
        self.quality.currentIndexChanged.connect(self._update_buttons)
        self.model.activated.connect(self._choose_model)
        self.preview.toggled.connect(self.edited)
        self.dub.textChanged.connect(self._suggest_folder)
        self.dub.textChanged.connect(self._update_buttons)
        self.take_dir.textChanged.connect(self._update_buttons)
        self.start_button.clicked.connect(self._start)
        self.cancel_button.clicked.connect(self._cancel)
        self.details_button.toggled.connect(self.details.setVisible)

    def _arrange(self) -> None:
        for widget in (self.bar, self.details, self.details_button):
            widget.hide()
        self.details_button.setCheckable(True)
        self.quality.addItems(list(QUALITIES))
        self.quality.setCurrentIndex(1)
        self._name_fields()
        form = QFormLayout(verticalSpacing=7, horizontalSpacing=10)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Dub", self.dub)
        form.addRow("", row(*self._dub_buttons()))
        earlier = _small("◀", "One frame earlier", lambda: self.nudge(-1))
        later = _small("▶", "One frame later", lambda: self.nudge(1))
        form.addRow("Starts at", row(self.offset, earlier, later, self.listen))
        form.addRow("Range", self.range)
        form.addRow("Face", row(self.face, _small("Pick", "Choose the face on the picture", self.face_wanted.emit)))
        form.addRow("Model", self.model)
        form.addRow("References", self.refs)
        self.thumbnails = QHBoxLayout()
        self.thumbnails.setSpacing(3)
        form.addRow(self.thumbnails)
        form.addRow("Quality", self.quality)
        form.addRow("Take", self.take_dir)
        body = QWidget()
        body.setObjectName("panel")
        self.column = QVBoxLayout(body)
        self.column.setSpacing(8)
        self.column.setContentsMargins(14, 12, 14, 12)
        self.column.addLayout(form)
        self.column.addWidget(self.preview)
        self.column.addLayout(row(self.start_button, self.cancel_button))
        self.column.addWidget(self.bar)
        self.column.addWidget(self.said)
        self.column.addWidget(self.details_button)
        self.column.addWidget(self.details, 1)
        self.column.addStretch()
        scroll = QScrollArea(widgetResizable=True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(body)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setMinimumWidth(290)

    def _dub_buttons(self) -> list[QToolButton]:
        return [
            _small("File…", "Choose a recording", self.choose_dub),
            _small("Timeline…", "Take the sound of a clip on the timeline", self.clips_wanted.emit),
            _small("Record…", "Record the line with a microphone", self.recording_wanted.emit),
        ]

    def _name_fields(self) -> None:
        """For screen readers, and for the mouse that waits."""
        names = {
            self.dub: ("Dub", "The recording that the mouth shall follow"),
            self.take_dir: ("Take folder", "Nothing is overwritten: a folder that exists is refused"),
            self.bar: ("Progress of the render", ""),
            self.offset: (
                "Starts at",
                "Where the dub starts, from the first re-dubbed frame; below zero skips its beginning",
            ),
            self.listen: ("Listen", "Play the shot in a loop with the dub under it, and slip the dub by ear"),
            self.face: ("Face", "auto: the one that speaks; or a number; or X,Y@FRAME on the picture"),
            self.model: ("Model", "Which network draws the mouth"),
            self.refs: (
                "References",
                "auto, or plate frames such as 12,40,77: teeth and lips are borrowed from there",
            ),
            self.quality: ("Quality", "What is delivered: the mouth is the same"),
            self.preview: ("Preview", "One frame as the take would show it, as fast as this machine draws it"),
        }
        for widget, (name, tip) in names.items():
            widget.setAccessibleName(name)
            widget.setToolTip(tip)
        for field in (self.dub, self.face, self.refs, self.take_dir, self.model, self.quality):
            field.setMinimumWidth(60)
            field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for box in (self.model, self.quality):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.offset.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)  # arrow keys and the wheel do it


def _small(title: str, tip: str, run: Callable[[], object]) -> QToolButton:
    button = named(QToolButton(), "small")
    button.setText(title)
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.clicked.connect(lambda: run())
    return button


def takes_folder(plate: Path) -> Path:
    """Where takes go in a project that is not saved: beside the plate.

    Where nothing can be written there (a card, a server of rushes) they go to the user's own data.
    """
    if os.access(plate.parent / "takes" if (plate.parent / "takes").is_dir() else plate.parent, os.W_OK):
        return plate.parent / "takes"
    data = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return Path(data) / "julnet-editor" / "takes"


def free_folder(parent: Path, name: str, taken: Collection[Path] = ()) -> Path:
    """A folder that neither exists nor is taken: NAME, NAME_2, and so on."""
    folder, number = parent / name, 1
    while folder.exists() or folder in taken:
        number += 1
        folder = parent / f"{name}_{number}"
    return folder


def free_file(parent: Path, name: str, suffix: str) -> Path:
    """A file that does not exist yet: NAME.SUFFIX, NAME_2.SUFFIX, and so on."""
    path, number = parent / f"{name}{suffix}", 1
    while path.exists():
        number += 1
        path = parent / f"{name}_{number}{suffix}"
    return path
