"""The command palette, and the editor of shortcuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QKeySequenceEdit,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
)

from gui import preferences
from gui.widgets.building import named

if TYPE_CHECKING:
    from gui.actions import ActionSpec
    from gui.window import Window


def score(query: str, title: str) -> int | None:
    """How well a title fits what was typed: lower is better; None = not at all. Letters need not follow at once."""
    query, title = query.lower().replace(" ", ""), title.lower()
    if not query:
        return 0
    at, gaps = -1, 0
    for letter in query:
        found = title.find(letter, at + 1)
        if found < 0:
            return None
        gaps += found - at - 1
        at = found
    return gaps - (100 if query in title.replace(" ", "") else 0)


class CommandPalette(QDialog):
    """Every action, found by typing some of its letters."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.setWindowTitle("Command palette")
        self.setWindowFlag(Qt.WindowType.FramelessWindowHint)
        self._window = window
        self.search = QLineEdit(placeholderText="What do you want to do?")
        self.search.setAccessibleName("Search for an action")
        self.list = QListWidget()
        self.list.setAccessibleName("Actions")
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 10, 10, 10)
        column.addWidget(self.search)
        column.addWidget(self.list)
        self.search.textChanged.connect(self.fill)
        self.search.installEventFilter(self)
        self.search.returnPressed.connect(self.run)
        self.list.itemActivated.connect(lambda _: self.run())
        self.resize(560, 420)
        self.move(window.mapToGlobal(window.rect().center()) - self.rect().center())
        self.fill("")

    def fill(self, query: str) -> None:
        """Show what fits, the best first; what cannot be done now is grey and last."""
        found: list[tuple[bool, int, str, ActionSpec]] = []
        for spec in self._window.action_specs:
            title = spec.title.replace("&", "").rstrip("…")
            fit = score(query, f"{spec.menu.replace('&', '')} {title}")
            if fit is not None:
                action = self._window.actions_by_name[spec.name]
                found.append((not action.isEnabled(), fit, title, spec))
        self.list.clear()
        for disabled, _, title, spec in sorted(found, key=lambda row: row[:3]):
            action = self._window.actions_by_name[spec.name]
            keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            item = QListWidgetItem(f"{spec.menu.replace('&', '')} › {title}" + (f"    {keys}" if keys else ""))
            item.setData(Qt.ItemDataRole.UserRole, spec.name)
            item.setToolTip(spec.tip)
            if disabled:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def run(self) -> None:
        """Do what is chosen."""
        item = self.list.currentItem()
        if item is None or not item.flags() & Qt.ItemFlag.ItemIsEnabled:
            return
        action = self._window.actions_by_name[item.data(Qt.ItemDataRole.UserRole)]
        self.accept()
        action.trigger()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: D102
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 10, Qt.Key.Key_PageUp: -10}
            step = steps.get(Qt.Key(event.key()))
            if step is not None and self.list.count():
                self.list.setCurrentRow(min(max(self.list.currentRow() + step, 0), self.list.count() - 1))
                return True
        return super().eventFilter(watched, event)


class ShortcutEditor(QDialog):
    """Every action and its key; a key that another action has is refused and said."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.setWindowTitle("Keyboard shortcuts")
        self._window = window
        self._changed = preferences.keys()
        self.search = QLineEdit(placeholderText="Search", clearButtonEnabled=True)
        self.search.setAccessibleName("Search for an action")
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(["Action", "Keys", "Menu"])
        self.tree.setRootIsDecorated(False)
        self.tree.setAccessibleName("Actions and their keys")
        self.keys = QKeySequenceEdit()
        self.keys.setMaximumSequenceLength(1)
        self.keys.setAccessibleName("New key")
        self.said = named(QLabel(wordWrap=True), "quiet")
        assign, reset = QPushButton("Assign"), QPushButton("Back to the default")
        assign.clicked.connect(lambda: self.assign(self.keys.keySequence().toString()))
        reset.clicked.connect(self.reset)
        line = QHBoxLayout()
        for widget in (QLabel("New key"), self.keys, assign, reset):
            line.addWidget(widget)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        for part in (self.search, self.tree):
            column.addWidget(part)
        column.addLayout(line)
        column.addWidget(self.said)
        column.addWidget(buttons)
        self.search.textChanged.connect(self._fill)
        self.resize(680, 560)
        self._fill("")

    def choose(self, name: str) -> None:
        """Select an action."""
        for row in range(self.tree.topLevelItemCount()):
            item = self.tree.topLevelItem(row)
            if item is not None and item.data(0, Qt.ItemDataRole.UserRole) == name:
                self.tree.setCurrentItem(item)

    def assign(self, key: str) -> None:
        """Give the selected action a key."""
        spec = self._selected()
        if spec is None or not key:
            return
        owner = next((s for s in self._window.action_specs if s is not spec and key in self._keys_of(s)), None)
        if owner is not None:
            self.said.setText(f"{key} is the key of {owner.title.replace('&', '')}; give that another one first")
            return
        self._set(spec, [key])

    def reset(self) -> None:
        """The selected action's own keys again."""
        spec = self._selected()
        if spec is not None:
            self._changed.pop(spec.name, None)
            self._set(spec, None)

    def _set(self, spec: ActionSpec, keys: list[str] | None) -> None:
        if keys is not None:
            self._changed[spec.name] = keys
        preferences.set_keys(self._changed)
        self._window.set_keys(self._window.actions_by_name[spec.name], keys or list(spec.keys), spec.tip)
        self.said.setText(f"{spec.title.replace('&', '')}: {', '.join(self._keys_of(spec)) or 'no key'}")
        self._fill(self.search.text())
        self.choose(spec.name)

    def _keys_of(self, spec: ActionSpec) -> list[str]:
        return [key.toString() for key in self._window.actions_by_name[spec.name].shortcuts()]

    def _selected(self) -> ActionSpec | None:
        item = self.tree.currentItem()
        name = None if item is None else item.data(0, Qt.ItemDataRole.UserRole)
        return next((spec for spec in self._window.action_specs if spec.name == name), None)

    def _fill(self, query: str) -> None:
        self.tree.clear()
        for spec in self._window.action_specs:
            title = spec.title.replace("&", "")
            if score(query, title) is not None:
                item = QTreeWidgetItem([title, ", ".join(self._keys_of(spec)), spec.menu.replace("&", "")])
                item.setData(0, Qt.ItemDataRole.UserRole, spec.name)
                item.setToolTip(0, spec.tip)
                self.tree.addTopLevelItem(item)
        self.tree.resizeColumnToContents(0)
