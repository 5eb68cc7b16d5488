"""What to export, and how far it is."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui.background import sentence_of
from gui.export.movie import FORMATS, export_movie
from gui.jobs import Pace
from gui.widgets.building import named, row
from host_adapters.standalone import exports, storage
from host_adapters.standalone.otio_write import to_otio
from julnet_plugin.errors import JulnetError, RedubCancelled
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from gui.window import Window
    from host_adapters.standalone.project import Project

KINDS = {
    "otio": ("Export OTIO", ".otio", "OpenTimelineIO (*.otio)"),
    "resolve": ("Export for Resolve", ".otio", "OpenTimelineIO (*.otio)"),
    "fcp7": ("Export FCP7 XML", ".xml", "Final Cut Pro 7 XML (*.xml)"),
    "edl": ("Export EDL", ".edl", "EDL (*.edl)"),
}


class ExportPanel(QWidget):
    """The form of a movie export, and the ways to other programs.

    Signals:
        finished(Path): the movie is whole.
        failed(str): it is not, and why.
    """

    finished = Signal(object)
    failed = Signal(str)
    _progressed = Signal(int, int)

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._window = window
        self._stop = threading.Event()
        self._running = False
        self._pace = Pace()
        self.format = QComboBox()
        for name, form in FORMATS.items():
            self.format.addItem(form.title, name)
        self.path = QLineEdit(placeholderText="the movie that will be written")
        self.marked = QCheckBox("Only between the marks")
        self.start_button = named(QPushButton("Export"), "primary")
        self.cancel_button = QPushButton("Cancel")
        self.bar = QProgressBar(textVisible=False)
        self.said = named(QLabel(wordWrap=True), "quiet")
        self._arrange()
        self.set_project(window.project.value)

    def set_project(self, project: Project) -> None:
        """Show another value."""
        self.start_button.setEnabled(project.timeline.record_out > 0 and not self._running)

    def may_close(self) -> bool:
        """Ask, while a movie is written."""
        if not self._running:
            return True
        answer = QMessageBox.question(
            self._window, "A movie is being exported", "Stop the export and quit? The unfinished movie is removed."
        )
        return answer is QMessageBox.StandardButton.Yes

    def shut_down(self) -> None:
        """The window closes."""
        self._stop.set()

    def show_panel(self) -> None:
        """Come to the front, with a name for the movie."""
        if not self.path.text():
            self._suggest()
        self._window.docks.raise_panel("export")
        self.start_button.setFocus()

    def start(self) -> None:
        """Write the movie, on a thread."""
        if self._running or not self.path.text():
            return
        project, folder, path = self._window.project.value, self._window.project.folder, Path(self.path.text())
        form = FORMATS[self.format.currentData()]
        frames = self._frames() if self.marked.isChecked() else None
        self._stop.clear()
        self._running, self._pace = True, Pace()
        self._show_running()
        self._say("Starting…")

        def work() -> Path | None:
            try:
                return export_movie(project, folder, path, form, self._step, frames)
            except RedubCancelled:
                return None

        self._window.background.run(work, self._done, self._failed)

    def _step(self, done: int, total: int) -> None:
        """Runs on the export's thread."""
        if self._stop.is_set():
            raise RedubCancelled
        if done == total or done % 5 == 0:
            self._progressed.emit(done, total)

    def _frames(self) -> FrameRange:
        record = self._window.record
        stop = self._window.project.value.timeline.record_out if record.out_frame is None else record.out_frame + 1
        start = record.in_frame or 0
        return FrameRange(start=min(start, stop), stop=stop)

    def _show_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self._say(self._pace.update("export", done, total).sentence())

    def _done(self, path: Path | None) -> None:
        self._running = False
        self._show_running()
        if path is None:
            self._say("Stopped; nothing was written")
        else:
            self._say(f"Done: {path}")
            self._window.say(f"Exported {path.name}")
            self.finished.emit(path)

    def _failed(self, sentence: str) -> None:
        self._running = False
        self._show_running()
        self._say(sentence, error=True)
        self._window.say(sentence)
        self.failed.emit(sentence)

    def _say(self, sentence: str, *, error: bool = False) -> None:
        self.said.setObjectName("error" if error else "quiet")
        self.said.style().polish(self.said)
        self.said.setText(sentence)

    def _show_running(self) -> None:
        self.bar.setVisible(self._running)
        self.bar.setRange(0, 0)
        self.start_button.setEnabled(not self._running)
        self.cancel_button.setEnabled(self._running)

    # Other programs

    def choose(self, kind: str) -> None:
        """Ask where to, and write."""
        title, suffix, pattern = KINDS[kind]
        suggestion = str(Path(self._window.projects.last_folder()) / f"{self._window.project.value.name}{suffix}")
        name, _ = QFileDialog.getSaveFileName(self, title, suggestion, pattern)
        if name:
            self.write(kind, Path(name))

    def write(self, kind: str, path: Path) -> None:
        """Write the timeline for another program."""
        document = self._window.project
        project, folder = document.value, document.folder
        try:
            storage.write_text(text_of(kind, project, folder), path)
        except JulnetError as exc:
            self._window.say(sentence_of(exc))
        else:
            self._window.say(f"Exported {path.name}")

    def choose_nuke(self) -> None:
        """Ask for a folder, and write a script for every take that is shown."""
        name = QFileDialog.getExistingDirectory(self, "Export Nuke scripts", self._window.projects.last_folder())
        if name:
            self.write_nuke(Path(name))

    def write_nuke(self, target: Path) -> list[Path]:
        """A Nuke script for every take that the timeline shows."""
        try:
            written = nuke_scripts(self._window.project.value, self._window.project.folder, target)
        except JulnetError as exc:
            self._window.say(sentence_of(exc))
            return []
        if written:
            self._window.say(f"Exported {len(written)} Nuke scripts to {target}")
        else:
            self._window.say("No clip of the timeline shows a take that a Nuke script can be made of")
        return written

    def _browse(self) -> None:
        form = FORMATS[self.format.currentData()]
        name, _ = QFileDialog.getSaveFileName(self, "Export the timeline", self.path.text(), f"Movie (*{form.suffix})")
        if name:
            self.path.setText(str(Path(name).with_suffix(form.suffix)))

    def _suggest(self) -> None:
        form = FORMATS[self.format.currentData()]
        folder, name = self._window.projects.last_folder(), self._window.project.value.name
        old = Path(self.path.text()) if self.path.text() else Path(folder) / name
        self.path.setText(str(old.with_suffix(form.suffix)))

    def _arrange(self) -> None:
        browse = QPushButton("…")
        browse.setFixedWidth(34)
        browse.setToolTip("Choose where to")
        browse.setAccessibleName("Choose where to export")
        browse.clicked.connect(self._browse)
        self.path.setAccessibleName("Movie")
        self.format.setAccessibleName("Format")
        self.bar.setAccessibleName("Progress of the export")
        self.bar.hide()
        self.cancel_button.setEnabled(False)
        self.start_button.clicked.connect(self.start)
        self.cancel_button.clicked.connect(self._stop.set)
        self.format.currentIndexChanged.connect(lambda _: self._suggest())
        self._progressed.connect(self._show_progress)
        form = QFormLayout(verticalSpacing=9, horizontalSpacing=10)
        form.addRow("Format", self.format)
        form.addRow("Movie", row(self.path, browse))
        form.addRow("", self.marked)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.setContentsMargins(16, 14, 16, 14)
        column.addLayout(form)
        column.addLayout(row(self.start_button, self.cancel_button))
        column.addWidget(self.bar)
        column.addWidget(self.said)
        column.addStretch()


def text_of(kind: str, project: Project, folder: Path | None) -> str:
    """The timeline as another program reads it."""
    if kind == "otio":
        document = to_otio(project, lambda name: storage.absolute_path(name, folder).as_posix())
        return json.dumps(document, indent=1, ensure_ascii=False)
    writers = {"resolve": exports.to_resolve_otio, "fcp7": exports.to_fcp7, "edl": exports.to_edl}
    return writers[kind](project, folder)


def nuke_scripts(project: Project, folder: Path | None, target: Path) -> list[Path]:
    """A Nuke script for every take that the timeline shows.

    Raises:
        ProjectError: one cannot be written.
        TakeError: a take is damaged.
    """
    from julnet_plugin.interchange.comp import comp_of
    from julnet_plugin.interchange.nuke import nuke_script
    from julnet_plugin.take import load_take

    written: list[Path] = []
    for track in project.timeline.tracks:
        for clip in track.clips:
            take = clip.take
            if take is None or track.kind != "video":
                continue
            place = storage.absolute_path(take.folder, folder)
            spec = comp_of(load_take(place).manifest, place.name)
            if spec is not None:
                path = target / f"{clip.id}_{take.name}.nk"
                storage.write_text(nuke_script(spec, place.as_posix()), path)
                written.append(path)
    return written
