"""The takes of a plate: step through them, rate, name, compare and delete them. The original is always one key away."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QMenu,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui.redub.panel import takes_folder
from gui.widgets.building import named
from host_adapters.standalone.takenotes import MOST_STARS, TakeNotes, load_notes, rated, save_notes
from julnet_plugin.errors import JulnetError, TakeError

if TYPE_CHECKING:
    from gui.background import Background
    from gui.session import Session
    from host_adapters.standalone.history import History

NO_TAKES = "Takes of this plate are listed here as they are rendered."
TRASH = ".deleted"  #: beside the takes: a deleted one lies there until the folder is emptied by hand


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeEntry:
    """One take as the list shows it."""

    folder: Path
    notes: TakeNotes
    frames: tuple[int, int]
    model: str
    dub: str
    sigma_cv: float  #: mean expected error over its frames, code values of 255

    @property
    def title(self) -> str:
        """What the user calls it."""
        return self.notes.title or self.folder.name


def find_takes(folders: Iterable[Path], plate: Path) -> list[TakeEntry]:
    """The takes of a plate in some folders, the oldest first. Reads files: not for the GUI's thread."""
    entries: dict[Path, tuple[float, TakeEntry]] = {}
    for parent in dict.fromkeys(folders):
        for manifest in parent.glob("*/take.json"):
            entry = _entry(manifest.parent, plate)
            if entry is not None:
                entries[manifest.parent] = (manifest.stat().st_mtime, entry)
    return [entry for _, entry in sorted(entries.values(), key=lambda pair: (pair[0], pair[1].folder.name))]


def _entry(folder: Path, plate: Path) -> TakeEntry | None:
    from julnet_plugin.take import frames_of, load_take

    try:
        take = load_take(folder)
        manifest = take.manifest
        if Path(manifest["inputs"]["plate"]["path"]) != plate:
            return None
        try:
            notes = load_notes(folder)
        except JulnetError:
            notes = TakeNotes()
        rows = [row["sigma_mean"] or 0.0 for row in manifest["frames"] if row["redubbed"]]
        frames = frames_of(take)
        return TakeEntry(
            folder=folder,
            notes=notes,
            frames=(frames.start, frames.stop),
            model=str(manifest["model"].get("id", "?")),
            dub=Path(manifest["inputs"].get("dub", {}).get("path", "?")).name,
            sigma_cv=255 * sum(rows) / max(len(rows), 1),
        )
    except (JulnetError, KeyError, TypeError, ValueError):
        return None  # it is damaged: opening it says so


def move_to_trash(folder: Path) -> Path:
    """Put a take beside the others where it is not listed; returns where it lies.

    Raises:
        TakeError: it cannot be moved.
    """
    trash = folder.parent / TRASH
    try:
        trash.mkdir(exist_ok=True)
        target, number = trash / folder.name, 1
        while target.exists():
            number += 1
            target = trash / f"{folder.name}_{number}"
        shutil.move(folder, target)
    except OSError as exc:
        raise TakeError(f"{folder} cannot be deleted: {exc.strerror or exc}; nothing was lost", folder) from exc
    return target


class TakeList(QWidget):
    """Shows the takes of the plate.

    Signals:
        opened(Path): the user wants to see this take; of the plate alone: an empty path.
        compare_wanted(Path): compare the take that is seen with this one.
        deleted(Path): this take is not there any more.
    """

    opened = Signal(object)
    compare_wanted = Signal(object)
    deleted = Signal(object)

    def __init__(
        self, background: Background, history: History, say: Callable[[str], None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._background, self._history, self._say = background, history, say
        self._session: Session | None = None
        self._folders: tuple[Path, ...] = ()
        self.entries: tuple[TakeEntry, ...] = ()
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(["Take", "Rating", "σ", "Model"])
        self.tree.setRootIsDecorated(False)
        self.tree.setAllColumnsShowFocus(True)
        self.tree.setAccessibleName("Takes")
        self.tree.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.setColumnWidth(0, 116)
        self.tree.setColumnWidth(1, 78)
        self.tree.setColumnWidth(2, 44)
        self.tree.customContextMenuRequested.connect(self._menu_at)
        self.tree.itemClicked.connect(lambda item, _: self.opened.emit(self._folder_of(item)))
        self.note = named(QLabel(NO_TAKES, wordWrap=True), "quiet")
        self._arrange()

    def set_session(self, session: Session) -> None:
        """Show another session."""
        before, self._session = self._session, session
        plate = session.plate.path if session.plate else None
        if before is None or plate != (before.plate.path if before.plate else None) or session.take is not before.take:
            self.refresh()
        self._mark()

    def set_folders(self, folders: tuple[Path, ...]) -> None:
        """Where takes are looked for besides the plate's own folder."""
        self._folders = folders
        self.refresh()

    def refresh(self) -> None:
        """Look again."""
        session = self._session
        if session is None or session.plate is None:
            self._show([])
            return
        plate = session.plate.path
        folders = [plate.parent / "takes", takes_folder(plate), *self._folders]
        if session.take is not None:
            folders.append(session.take.folder.parent)
        self._background.run(lambda: find_takes(folders, plate), self._show, self._say)

    def current(self) -> TakeEntry | None:
        """The take that is seen."""
        folder = self._session.take.folder if self._session and self._session.take else None
        return next((entry for entry in self.entries if entry.folder == folder), None)

    def step(self, by: int) -> None:
        """See the next take, or the one before; round at the ends."""
        if not self.entries:
            self._say("This plate has no takes yet")
            return
        here = self.current()
        place = self.entries.index(here) + by if here in self.entries else (0 if by > 0 else -1)
        self.opened.emit(self.entries[place % len(self.entries)].folder)

    def rate(self, stars: int) -> None:
        """Give the take that is seen this many stars; the same again takes them back."""
        entry = self.current()
        if entry is not None:
            wanted = 0 if entry.notes.rating == stars else stars
            self._change(entry, "Rate take", rated(entry.notes, wanted))

    def rename(self) -> None:
        """Ask what the take that is seen shall be called."""
        entry = self.current()
        if entry is None:
            return
        title, done = QInputDialog.getText(self, "Name the take", "Name", text=entry.title)
        if done:
            self._change(entry, "Name take", replace(entry.notes, title=title.strip()))

    def delete(self) -> None:
        """Take the take that is seen away; undo brings it back."""
        entry = self.current()
        if entry is None:
            return
        folder = entry.folder
        where: list[Path] = []

        def apply(there: bool) -> None:
            try:
                if there and where:
                    shutil.move(where.pop(), folder)
                elif not there and not where:
                    where.append(move_to_trash(folder))
                    self.deleted.emit(folder)
            except (OSError, JulnetError) as exc:
                self._say(str(exc))
            self.refresh()

        self._history.push("Delete take", True, False, apply)

    def _change(self, entry: TakeEntry, name: str, notes: TakeNotes) -> None:
        def apply(value: TakeNotes) -> None:
            try:
                save_notes(entry.folder, replace(value, seen=load_notes(entry.folder).seen))
            except JulnetError as exc:
                self._say(f"The take's notes could not be saved: {exc}")
            self.refresh()

        self._history.push(name, entry.notes, notes, apply)

    def _show(self, entries: list[TakeEntry]) -> None:
        self.entries = tuple(entries)
        self.tree.clear()
        for entry in entries:
            notes = entry.notes
            stars = "★" * notes.rating + "☆" * (MOST_STARS - notes.rating)
            item = QTreeWidgetItem([entry.title, stars, f"{entry.sigma_cv:.1f}", Path(entry.model).stem])
            item.setData(0, Qt.ItemDataRole.UserRole, str(entry.folder))
            tip = f"{entry.folder}\nFrames {entry.frames[0]} to {entry.frames[1] - 1}, dub {entry.dub}"
            item.setToolTip(0, tip)
            item.setToolTip(2, "Mean expected error, code values of 255")
            self.tree.addTopLevelItem(item)
        self.note.setVisible(not entries)
        self.tree.setVisible(bool(entries))
        self._mark()

    def _mark(self) -> None:
        here = self.current()
        for row in range(self.tree.topLevelItemCount()):
            item = self.tree.topLevelItem(row)
            if item is not None:
                item.setSelected(here is not None and self._folder_of(item) == here.folder)
        for button in self._buttons:
            button.setEnabled(here is not None)

    def _folder_of(self, item: QTreeWidgetItem) -> Path:
        return Path(str(item.data(0, Qt.ItemDataRole.UserRole)))

    def _menu_at(self, at: QPoint) -> None:
        item = self.tree.itemAt(at)
        if item is None:
            return
        folder = self._folder_of(item)
        menu = QMenu(self)
        menu.addAction("See it").triggered.connect(lambda: self.opened.emit(folder))
        compare = menu.addAction("Compare the take on screen with it")
        compare.setEnabled(self.current() is not None and self.current().folder != folder)  # type: ignore[union-attr]
        compare.triggered.connect(lambda: self.compare_wanted.emit(folder))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.tree.viewport().mapToGlobal(at))

    def _arrange(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(1)
        self._buttons: list[QToolButton] = []
        for stars in range(1, MOST_STARS + 1):
            self._buttons.append(_button("★", f"{stars} of 5 stars", partial(self.rate, stars)))
        self._buttons.append(_button("Name…", "Give the take a name", self.rename))
        self._buttons.append(_button("Delete", "Take it away; undo brings it back", self.delete))
        for place, button in enumerate(self._buttons):
            if place == MOST_STARS:
                line.addStretch()
            line.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 10, 14, 10)
        column.addWidget(self.note)
        column.addWidget(self.tree, 1)
        column.addLayout(line)


def _button(title: str, tip: str, run: Callable[[], object]) -> QToolButton:
    button = named(QToolButton(), "small")
    button.setText(title)
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    button.clicked.connect(lambda: run())
    return button
