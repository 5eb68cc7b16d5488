"""What to export, and how far it is."""

from __future__ import annotations

import json
import threading
from functools import partial
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
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.background import sentence_of
from gui.export.movie import FORMATS, export_movie
from gui.export.takes import TAKE_FORMATS, copy_take, shown_takes, to_deliver
from gui.jobs import Pace
from gui.widgets.building import named, row
from host_adapters.standalone import exports, storage
from host_adapters.standalone.otio_write import to_otio
from julnet_plugin.errors import JulnetError, RedubCancelled
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui.export.takes import TakeFormat
    from gui.redub.queue import Render, RenderQueue
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
        takes_exported(list): the folders that takes were laid into.
    """

    finished = Signal(object)
    failed = Signal(str)
    takes_exported = Signal(object)
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
        self.take_format = QComboBox()
        for name, kind in TAKE_FORMATS.items():
            self.take_format.addItem(kind.title, name)
        self.take_folder = QLineEdit(placeholderText="the folder that takes go to")
        self.take_button = QPushButton("Export takes")
        self.take_said = named(QLabel(wordWrap=True), "quiet")
        self._delivering: dict[int, tuple[Path, TakeFormat, Path]] = {}
        self._left = 0  # takes of this export that are not there yet
        self._copied: list[Path] = []
        self._queue: RenderQueue | None = None
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

    # Takes and mattes

    def show_takes(self) -> None:
        """Come to the front, ready to export takes."""
        if not self.take_folder.text():
            self.take_folder.setText(str(Path(self._window.projects.last_folder()) / "export"))
        self._window.docks.raise_panel("export")
        self.take_button.setFocus()

    def export_takes(self) -> None:
        """Deliver the takes that the timeline shows, or the one on screen, into the folder."""
        from gui.matte.part import editor_of

        target, form = Path(self.take_folder.text()), TAKE_FORMATS[self.take_format.currentData()]
        takes = shown_takes(self._window.project.value, self._window.project.folder)
        seen = self._window.session.take
        takes = takes or ([] if seen is None else [seen.folder])
        if self._left or not self.take_folder.text():
            return
        if not takes:
            self._say_of_takes("The timeline shows no take; re-dub a clip first", error=True)
            return
        unsaved = editor_of(self._window).save_now()
        if unsaved is not None:
            self._say_of_takes(unsaved, error=True)
            return
        self._left, self._copied = len(takes), []
        self.take_button.setEnabled(False)
        self._say_of_takes(f"Exporting {_takes(len(takes))}…")
        for take in takes:
            self._window.background.run(
                partial(to_deliver, take, form),
                partial(self._deliver, take, form, target),
                self._not_exported,
            )

    def _deliver(self, take: Path, form: TakeFormat, target: Path, missing: tuple[str, ...] | None) -> None:
        """The worker writes what the take does not have; it is copied then."""
        if missing is None:
            self._copy(take, form, target)
            return
        if self._queue is None:
            self._queue = self._window.panels["redub"].queue  # type: ignore[attr-defined]
            self._queue.ended.connect(self._delivered)
        self._delivering[self._queue.deliver(take, missing).id] = (take, form, target)

    def _delivered(self, render: Render) -> None:
        wanted = self._delivering.pop(render.id, None)
        if wanted is None:
            return
        if render.state == "done":
            self._copy(*wanted)
        else:
            self._not_exported(render.message or f"Stopped; {render.take.name} was not exported")

    def _copy(self, take: Path, form: TakeFormat, target: Path) -> None:
        self._window.background.run(lambda: copy_take(take, form, target), self._take_exported, self._not_exported)

    def _take_exported(self, folder: Path) -> None:
        self._copied.append(folder)
        self._one_less(f"Done: {_takes(len(self._copied))} in {folder.parent}")

    def _not_exported(self, sentence: str) -> None:
        self._window.say(sentence)
        self._one_less(sentence, error=True)

    def _one_less(self, sentence: str, *, error: bool = False) -> None:
        self._left -= 1
        if error or not self._left:
            self._say_of_takes(sentence, error=error)
        if not self._left:
            self.take_button.setEnabled(True)
            self.takes_exported.emit(self._copied)

    def _say_of_takes(self, sentence: str, *, error: bool = False) -> None:
        self.take_said.setObjectName("error" if error else "quiet")
        self.take_said.style().polish(self.take_said)
        self.take_said.setText(sentence)

    def _browse_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Export takes", self.take_folder.text())
        if name:
            self.take_folder.setText(name)

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
        browse = _browse_button("Choose where to export", self._browse)
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
        column.addWidget(named(QLabel("Takes and mattes"), "heading"))
        column.addLayout(self._takes_form())
        column.addWidget(self.take_button)
        column.addWidget(self.take_said)
        column.addStretch()

    def _takes_form(self) -> QFormLayout:
        choose = _browse_button("Choose the folder that takes go to", self._browse_folder)
        self.take_format.setAccessibleName("What of the takes")
        self.take_format.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.take_format.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.take_folder.setAccessibleName("Folder for takes")
        self.take_button.setToolTip("Every take that the timeline shows, or else the one on screen")
        self.take_button.clicked.connect(self.export_takes)
        form = QFormLayout(verticalSpacing=9, horizontalSpacing=10)
        form.addRow("What", self.take_format)
        form.addRow("Folder", row(self.take_folder, choose))
        return form


def _takes(count: int) -> str:
    return "1 take" if count == 1 else f"{count} takes"


def _browse_button(tip: str, run: Callable[[], object]) -> QToolButton:
    button = named(QToolButton(), "small")
    button.setText("…")
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.clicked.connect(lambda: run())
    return button


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
