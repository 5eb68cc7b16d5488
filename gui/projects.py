"""Projects in the window: opening, saving, autosave and recovery, media that come in, media that are missing."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QStandardPaths
from PySide6.QtWidgets import QFileDialog, QMessageBox

from gui import preferences
from gui.actions import ActionSpec
from gui.background import sentence_of
from gui.opening import is_take
from gui.workqueue import WorkQueue
from host_adapters.standalone import media, storage
from host_adapters.standalone.project import BinItem, Project, add_item, relink
from host_adapters.standalone.storage import Opened
from julnet_plugin.errors import InputError
from julnet_plugin.memory import give_back_memory
from julnet_plugin.types import AudioInfo, MediaInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gui.window import Window

MEDIA = (
    "Media (*.mov *.mp4 *.mkv *.mxf *.avi *.webm *.m4v *.exr *.png *.tif *.tiff *.dpx *.jpg *.wav *.flac *.mp3 *.m4a "
    "*.aac *.ogg *.opus *.aif *.aiff);;All files (*)"
)
_SOUND = frozenset({".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".aif", ".aiff"})

Info = MediaInfo | AudioInfo
Place = tuple[str, int, bool]  #: track, frame, whether to insert


class Projects(QObject):
    """What happens to the project as a whole."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._window = window
        self._document = window.project
        self._queue = WorkQueue("julnet-projects", most=100_000, parent=self)
        self._saver = WorkQueue("julnet-autosave", parent=self)
        self._opening = False
        self.missing: frozenset[str] = frozenset()
        self._document.changed.connect(self._changed)
        self._document.history_changed.connect(self.show_title)

    # Opening

    def open(self, path: Path) -> None:
        """A project, a timeline of another program, a take, or media."""
        if storage.is_project(path):
            self.open_project(path)
        elif path.suffix == ".otio":
            self.import_timeline(path)
        elif path.suffix.lower() in _SOUND:
            self.import_media([path])
        elif path.is_dir() and path.suffix == storage.SUFFIX:
            self._window.say(f"{path} holds no {storage.TIMELINE}; choose the folder of a project")
        else:
            self._window.open_session(path)

    def new(self) -> None:
        """An empty project."""
        if self.may_leave():
            self._show(Opened(project=Project(), folder=Path()), None)

    def choose_project(self) -> None:
        """Ask for a project."""
        name = QFileDialog.getExistingDirectory(self._window, "Open a project", self.last_folder())
        if name and self.may_leave():
            self.open_project(Path(name))

    def open_project(self, path: Path) -> None:
        """Open a project; what a crash left of it comes back."""
        folder = path.parent if path.is_file() else path
        owner = storage.lock_owner(folder)
        if owner is not None and owner != os.getpid():
            self._window.say(f"{folder.name} is open in another editor (process {owner}); close it there first")
            return
        self._window.say(f"Opening {folder.name}…")
        self._queue.add(
            ("open", path), lambda: storage.load(path), lambda opened: self._show(opened, opened.folder), self._refuse
        )

    def import_timeline(self, path: Path) -> None:
        """Another program's timeline as a project that is not saved yet."""
        self._queue.add(
            ("import", path),
            lambda: storage.load_file(path),
            lambda found: self._show(Opened(project=found[0], folder=path, notes=tuple(found[1])), None),
            self._refuse,
        )

    def choose_timeline(self) -> None:
        """Ask for another program's timeline."""
        name, _ = QFileDialog.getOpenFileName(
            self._window, "Import a timeline", self.last_folder(), "OpenTimelineIO (*.otio);;All files (*)"
        )
        if name and self.may_leave():
            self.import_timeline(Path(name))

    def _refuse(self, sentence: str) -> None:
        self._window.say(sentence)
        if self._window.session.plate is None:
            self._window.viewer.set_message(sentence)

    def _show(self, opened: Opened, folder: Path | None) -> None:
        self._leave_folder()
        self._opening = True
        unsaved = folder is not None and folder.parent == unsaved_folder()
        self._document.open(opened.project, None if unsaved else folder)
        self._scratch = folder if unsaved else None
        if opened.recovered:
            self._document.history.mark_unsaved()
        self._opening = False
        if folder is not None:
            storage.lock(folder)
            if not unsaved:
                preferences.add_recent(str(folder))
        self._window.record.mark(None, None)
        self._window.record.seek(0)
        self._window.show_record()
        self._say_opened(opened, folder)
        self.look_for_media()
        give_back_memory()  # of the project that was open before

    def _say_opened(self, opened: Opened, folder: Path | None) -> None:
        if opened.recovered:
            self._window.say("Recovered every edit of the last session, which ended without a save; save to keep them")
        elif opened.notes:
            first = opened.notes[0]
            more = len(opened.notes) - 1
            self._window.say(first + (f" (and {more} more; see Help, What was left out)" if more else ""))
        elif folder is not None:
            self._window.say(f"Opened {folder.name}")
        self.notes = opened.notes

    def show_notes(self) -> None:
        """What the last timeline that was opened holds and a project cannot carry."""
        text = "\n".join(self.notes) or "Everything in the timeline that was opened last could be carried."
        box = QMessageBox(self._window)
        box.setWindowTitle("What was left out")
        box.setText(text)
        box.exec()
        box.deleteLater()

    notes: tuple[str, ...] = ()
    _scratch: Path | None = None  #: where a project without a name is autosaved

    # Saving

    def save(self) -> bool:
        """Save, or ask where to. Whether it was done."""
        folder = self._document.folder
        if folder is None:
            return self.save_as()
        return self._save_to(folder)

    def save_as(self) -> bool:
        """Ask where to save."""
        suggestion = str(Path(self.last_folder()) / f"{self._document.value.name}{storage.SUFFIX}")
        name, _ = QFileDialog.getSaveFileName(self._window, "Save the project", suggestion, "JULNet project (*.julnet)")
        if not name:
            return False
        folder = Path(name)
        return self._save_to(
            folder if folder.suffix == storage.SUFFIX else folder.with_name(folder.name + storage.SUFFIX)
        )

    def save_to(self, folder: Path) -> bool:
        """Save to a folder. Whether it was done."""
        return self._save_to(folder)

    def _save_to(self, folder: Path) -> bool:
        project = self._document.value
        old = self._document.folder
        if folder != old:
            project = storage.moved_to(project, old, folder)
            if project.name == "Untitled":
                project = replace(project, name=folder.stem)
        self._wait_for_autosave()
        try:
            storage.save(project, folder)
        except InputError as exc:
            self._window.say(sentence_of(exc))
            return False
        if folder != old:
            self._forget_scratch()
            self._opening = True
            history = self._document.history
            self._document.folder = folder
            self._document.replace_value(project, lambda value: storage.moved_to(value, old, folder))
            self._opening = False
            history.set_clean()
            storage.lock(folder)
            self.look_for_media()
        self._document.history.set_clean()
        preferences.add_recent(str(folder))
        self._window.say(f"Saved {folder.name}")
        return True

    def _changed(self, project: Project) -> None:
        """Every edit is kept at once, on a thread, for the next start."""
        self.show_title()
        if self._opening:
            return
        project, folder = self._kept(project)
        self._saver.add(
            "autosave",
            lambda: storage.autosave(project, folder),
            lambda _: None,
            lambda said: self._window.say(said),
            anew=True,
        )
        self._check_missing(self._document.value)

    def _kept(self, project: Project) -> tuple[Project, Path]:
        """Where edits are kept, and the project with paths as they are named from there.

        A project without a name, and one whose folder cannot be written, is kept with the user's own data.
        """
        folder = self._document.folder
        if folder is not None and os.access(folder, os.W_OK):
            return project, folder
        known = self._scratch is not None
        scratch = self._scratch_folder()
        if folder is None:
            return project, scratch
        if not known:
            self._window.say(
                f"{folder} cannot be written: edits are kept for the next start; save the project to another folder"
            )
        return storage.moved_to(project, folder, scratch), scratch

    @property
    def autosaved(self) -> bool:
        """Whether every edit is on disk."""
        return self._saver.idle

    def _wait_for_autosave(self) -> None:
        self._saver.wait(10)

    def _scratch_folder(self) -> Path:
        if self._scratch is None:
            stamp = time.strftime("%Y%m%d-%H%M%S")
            self._scratch = unsaved_folder() / f"{stamp}-{os.getpid()}-{id(self) & 0xFFFF:04x}"
            try:
                self._scratch.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                self._window.say(f"edits cannot be kept in {self._scratch} ({exc.strerror}); save the project soon")
            storage.lock(self._scratch)
        return self._scratch

    def _forget_scratch(self) -> None:
        scratch, self._scratch = self._scratch, None
        if scratch is not None:
            import shutil

            storage.unlock(scratch)
            shutil.rmtree(scratch, ignore_errors=True)

    def _leave_folder(self) -> None:
        self._wait_for_autosave()
        folder = self._document.folder
        if folder is not None:
            if self._document.history.clean:
                storage.discard_autosave(folder)
            storage.unlock(folder)
        self._forget_scratch()

    def recover(self) -> bool:
        """Open the newest project without a name that a crash left. Whether there was one."""
        left = storage.left_behind(unsaved_folder())
        if left:
            self.open_project(left[0])
        return bool(left)

    def may_leave(self) -> bool:
        """Whether the project can be given up: it is saved, or the user says so."""
        history = self._document.history
        only_looked_at = self._document.folder is None and self._document.value.timeline.record_out == 0
        if history.clean or only_looked_at:
            return True
        box = QMessageBox(self._window)
        box.setWindowTitle("Save the project?")
        box.setText(f"{self._document.value.name} has edits that are not saved.")
        buttons = QMessageBox.StandardButton
        box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
        answer = box.exec()
        box.deleteLater()
        if answer == buttons.Save:
            return self.save()
        if answer == buttons.Discard:
            self._wait_for_autosave()
            if self._document.folder is not None:
                storage.discard_autosave(self._document.folder)
            history.set_clean()
            return True
        return False

    def may_close(self) -> bool:
        """As `may_leave`, for the window."""
        return self.may_leave()

    def shut_down(self) -> None:
        """The window closes."""
        self._leave_folder()
        self._saver.stop()
        self._queue.stop()

    def show_title(self) -> None:
        """The project's name, with a mark while it is not saved."""
        folder = self._document.folder
        name = self._document.value.name if folder is None else folder.stem
        window, session = self._window, self._window.session
        names = [name] if folder is not None or self._document.value.media else []
        if session.take is not None:
            names.append(session.take.folder.name)
        window.setWindowTitle(" – ".join([*names, "JULNet"]) + "[*]")
        window.setWindowModified(not self._document.history.clean)

    # Media

    def choose_media(self) -> None:
        """Ask for media."""
        names, _ = QFileDialog.getOpenFileNames(self._window, "Import media", self.last_folder(), MEDIA)
        if names:
            self.import_media([Path(name) for name in names])

    def import_media(
        self, paths: list[Path], place: Place | None = None, then: Callable[[], None] = lambda: None
    ) -> None:
        """Probe files in the background; what can be read goes into the bin, in one step; the rest is said.

        Args:
            paths: of movies, image sequences, recordings and takes.
            place: where on the timeline they are laid as well.
            then: called when that is done.
        """
        takes = [path for path in paths if is_take(path)]
        for path in takes:
            self._window.open_session(path)
        paths = [path for path in paths if path not in takes]
        if not paths:
            return
        self._window.say(f"Importing {paths[0].name}…" if len(paths) == 1 else f"Importing {len(paths)} media…")
        self._queue.add(
            ("media", tuple(paths), place),
            lambda: probe_all(paths),
            lambda found: self._imported(found, place, then),
            anew=True,
        )

    def _imported(
        self, found: tuple[list[tuple[Path, Info]], list[str]], place: Place | None, then: Callable[[], None]
    ) -> None:
        good, bad = found
        before = len(self._document.value.media)
        self.add_media([info for _, info in good], [path for path, _ in good])
        if place is not None:
            self._place([path for path, _ in good], place)
        elif good and self._window.session.plate is None:
            info = good[0][1]
            if isinstance(info, MediaInfo):
                self._window.show_in_source(info)
        count = len(self._document.value.media) - before
        said = [f"Imported {count} media"] if count else (["Everything was in the bin already"] if good else [])
        self._window.say("; ".join([*said, *bad[:1], *([f"and {len(bad) - 1} more"] if len(bad) > 1 else [])]))
        if good:
            then()

    def add_media(self, infos: Sequence[Info], paths: list[Path] | None = None) -> None:
        """Put media that were probed into the bin."""
        folder = self._document.folder
        items: list[BinItem] = []
        for place, info in enumerate(infos):
            path = paths[place] if paths is not None else info.path  # type: ignore[union-attr]
            items.append(item_of(info, path, storage.stored_path(path, folder)))
            if isinstance(info, MediaInfo):
                self._window.shots.know(info, Path(storage.absolute_path(items[-1].media.path, folder)))

        def add(project: Project) -> Project:
            for item in items:
                project = add_item(project, item)
            return project

        if items:
            self._document.edit("Import media" if len(items) > 1 else f"Import {items[0].id}", add)

    def _place(self, paths: list[Path], place: Place) -> None:
        track, frame, inserted = place
        wanted = {storage.stored_path(path, self._document.folder) for path in paths}
        ids = [item.id for item in self._document.value.media if item.media.path in wanted]
        from gui import timeline

        timeline.of(self._window).drop(ids, track, frame, inserted)

    def selected_media(self) -> list[Path]:
        """The files that are selected in the bin."""
        from gui import bin as media_bin

        items = [self._document.value.item(name) for name in media_bin.of(self._window).selected()]
        return [self._document.path_of(item.media.path) for item in items if item.kind == "video"]

    def look_for_media(self) -> None:
        """Look for the project's files, in the background; panels show what is missing."""
        project, folder = self._document.value, self._document.folder
        self._window.shots.forget()
        self._window.proxies.forget()
        self._queue.add("missing", lambda: storage.missing(project, folder), self._found_missing, anew=True)

    def _check_missing(self, project: Project) -> None:
        folder = self._document.folder
        self._queue.add("missing", lambda: storage.missing(project, folder), self._found_missing, anew=True)

    def _found_missing(self, names: list[str]) -> None:
        found = frozenset(names)
        if found != self.missing:
            self.missing = found
            self._window.media_missing.emit(found)
            if names:
                self._window.say(f"{len(names)} files are missing, {names[0]} first; File, Relink media… finds them")
            else:
                self._window.say("No file of the project is missing any more")
            self._window.update_actions()

    def choose_relink(self) -> None:
        """Ask where a missing file is; others that moved with it are found by themselves."""
        for name in sorted(self.missing):
            picked, _ = QFileDialog.getOpenFileName(
                self._window, f"Where is {Path(name).name}?", self.last_folder(), "All files (*)"
            )
            if not picked:
                return
            self.relink_to({name: Path(picked)})
            return

    def relink_to(self, picked: dict[str, Path]) -> None:
        """Give missing files their new places."""
        moved = storage.found_again(sorted(self.missing), picked, self._document.folder)
        if self._document.edit("Relink media", lambda project: relink(project, moved)):
            self._window.say(f"Relinked {len(moved)} files")
            self.look_for_media()

    def last_folder(self) -> str:
        """Where dialogs begin."""
        if self._document.folder is not None:
            return str(self._document.folder.parent)
        plate = self._window.session.plate
        return str(Path.home() if plate is None else plate.path.parent)


def unsaved_folder() -> Path:
    """Where projects without a name are kept until they get one."""
    data = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return Path(data) / "julnet-editor" / "unsaved"


def probe_all(paths: list[Path]) -> tuple[list[tuple[Path, Info]], list[str]]:
    """What media are; a sentence for each that cannot be read. Runs on a thread."""
    good: list[tuple[Path, Info]] = []
    bad: list[str] = []
    for path in paths:
        try:
            good.append((path, probe_any(path)))
        except Exception as exc:  # noqa: BLE001 - one bad file must not keep the others out
            bad.append(sentence_of(exc))
    return good, bad


def probe_any(path: Path) -> Info:
    """A picture medium or a recording.

    Raises:
        MediaError: it is neither, or cannot be read.
    """
    from julnet_plugin.media.audio import audio_stream_info
    from julnet_plugin.media.probe import probe
    from julnet_plugin.media.reader import refuse_interlaced

    if path.suffix.lower() in _SOUND:
        return audio_stream_info(path)
    info = probe(path)
    refuse_interlaced(info)
    return info


def item_of(info: Info, path: Path, stored: str) -> BinItem:
    """A medium for the bin."""
    from julnet_plugin.media.timecode import start_of

    if isinstance(info, MediaInfo):
        return media.picture_item(info, stored, start_of(info).frame)
    return media.sound_item(info, stored, path.stem)


ACTIONS = (
    ActionSpec(
        name="new_project",
        menu="&File",
        title="&New project",
        keys=("Ctrl+N",),
        tip="Begin an empty project",
        run=lambda w: w.projects.new(),
    ),
    ActionSpec(
        name="open_project",
        menu="&File",
        title="&Open project…",
        keys=("Ctrl+O",),
        tip="Open a project's folder",
        run=lambda w: w.projects.choose_project(),
    ),
    ActionSpec(
        name="save_project",
        menu="&File",
        title="&Save",
        keys=("Ctrl+S",),
        tip="Save the project",
        run=lambda w: w.projects.save(),
    ),
    ActionSpec(
        name="save_project_as",
        menu="&File",
        title="Save &as…",
        keys=("Ctrl+Shift+S",),
        tip="Save the project to another folder",
        run=lambda w: w.projects.save_as(),
    ),
    ActionSpec(
        name="import_media",
        menu="&File",
        title="&Import media…",
        keys=("Ctrl+I",),
        tip="Put movies, image sequences and recordings into the bin",
        new_group=True,
        run=lambda w: w.projects.choose_media(),
    ),
    ActionSpec(
        name="import_timeline",
        menu="&File",
        title="Import &timeline…",
        keys=("Ctrl+Shift+I",),
        tip="Open another program's OpenTimelineIO file",
        run=lambda w: w.projects.choose_timeline(),
    ),
    ActionSpec(
        name="relink_media",
        menu="&File",
        title="&Relink media…",
        keys=("Ctrl+Alt+L",),
        tip="Say where files that are missing lie now",
        run=lambda w: w.projects.choose_relink(),
        possible=lambda w: bool(w.projects.missing),
    ),
    ActionSpec(
        name="show_notes",
        menu="&Help",
        title="What was left out…",
        keys=("Ctrl+Alt+W",),
        tip="What the timeline that was opened last holds and a project cannot carry",
        run=lambda w: w.projects.show_notes(),
    ),
)
