"""The project that is open, in the window: the one truth, its history, and the signal by which views learn of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from host_adapters.standalone.history import History
from host_adapters.standalone.project import Project, check_project
from host_adapters.standalone.storage import absolute_path
from host_adapters.standalone.timeline import TimelineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Document(QObject):
    """Holds the project's value.

    Signals:
        changed(Project): it is another value now.
        history_changed(): what can be undone or redone is different.
        refused(str): an edit made no sense, in one sentence; nothing changed.
    """

    changed = Signal(object)
    history_changed = Signal()
    refused = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._value = Project()
        self.folder: Path | None = None  #: where it is saved; None = not yet
        self.history = History()
        self.history.changed.append(self.history_changed.emit)

    @property
    def value(self) -> Project:
        """The project."""
        return self._value

    def edit(self, name: str, edit: Callable[[Project], Project], key: object = None) -> bool:
        """Change the project, undoably.

        Args:
            name: for the undo menu: "Trim", "Rate take".
            edit: from a project to a project, pure.
            key: edits with one key that follow at once are one undo step (a drag), until `history.seal()`.

        Returns:
            Whether it was done; a refusal is told by `refused`.
        """
        before = self._value
        try:
            after = edit(before)
            check_project(after)
        except TimelineError as exc:
            self.refused.emit(str(exc))
            return False
        if after != before:
            self.history.push(name, before, after, self._put, key)
        return True

    def drag(self, name: str, start: Project, edit: Callable[[Project], Project], key: object) -> bool:
        """One position of a drag: the edit of the value that the drag began with, so nothing adds up."""
        try:
            after = edit(start)
            check_project(after)
        except TimelineError as exc:
            self.refused.emit(str(exc))
            return False
        if after != self._value:
            self.history.push(name, self._value, after, self._put, key)
        return True

    def open(self, project: Project, folder: Path | None) -> None:
        """Another project; the old one's history goes."""
        self.folder = folder
        self.history.clear()
        self._put(project)

    def replace_value(self, project: Project, change: Callable[[Project], Project]) -> None:
        """The project in another folder: the same edits, with paths as they are named from there."""
        self.history.map_values(change, self._put)
        self._put(project)

    def path_of(self, path: str) -> Path:
        """A file that the project names, where it is on this machine."""
        return absolute_path(path, self.folder)

    def _put(self, project: Project) -> None:
        self._value = project
        self.changed.emit(project)
