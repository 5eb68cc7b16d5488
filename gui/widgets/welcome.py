"""The first page: what to begin with, and the demo shot in three clicks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QStandardPaths, Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from gui import preferences
from gui.widgets.building import named

if TYPE_CHECKING:
    from gui.window import Window


class Welcome(QWidget):
    """Over the empty viewer: begin with the demo, with media, or with a project."""

    def __init__(self, window: Window) -> None:
        super().__init__(window.viewer)
        self.setObjectName("welcome")
        self._window = window
        card = named(QWidget(), "card")
        card.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        column = QVBoxLayout(card)
        column.setContentsMargins(28, 22, 28, 22)
        column.setSpacing(8)
        column.addWidget(named(QLabel("Re-dub a shot"), "title"))
        lead = "Cut a scene, put a new line under a shot, and see the mouth say it – and where not to trust it."
        column.addWidget(named(QLabel(lead, wordWrap=True), "quiet"))
        column.addSpacing(6)
        self.demo = named(QPushButton("Try the demo shot"), "primary")
        self.demo.setToolTip("Makes a shot and a line on this machine; then press Re-dub")
        self.demo.clicked.connect(self._make_demo)
        media = QPushButton("Import media…")
        media.clicked.connect(window.actions_by_name["import_media"].trigger)
        project = QPushButton("Open a project…")
        project.clicked.connect(window.actions_by_name["open_project"].trigger)
        for button in (self.demo, media, project):
            column.addWidget(button)
        for path in [Path(name) for name in preferences.recent()[:3]]:
            if path.is_dir():
                button = named(QPushButton(f"{path.stem}   –   {path.parent}"), "recent")
                button.clicked.connect(lambda _, path=path: window.open(path))
                column.addWidget(button)
        column.addWidget(
            named(QLabel("or drop files anywhere in the window", alignment=Qt.AlignmentFlag.AlignCenter), "quiet")
        )
        card.setMaximumWidth(420)
        grid = QGridLayout(self)
        grid.addWidget(card, 0, 0, Qt.AlignmentFlag.AlignCenter)
        outer = QVBoxLayout(window.viewer)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self)

    def _make_demo(self) -> None:
        self.demo.setEnabled(False)
        self._window.say("Making the demo shot…")
        self._window.background.run(_make, self._made, self._failed)

    def _made(self, made: tuple[Path, Path]) -> None:
        plate, dub = made
        self.demo.setEnabled(True)
        self._window.projects.import_media([plate, dub], ("", 0, False), self._laid)
        panel = self._window.panels["redub"]
        field = getattr(panel, "dub", None)
        if field is not None:
            field.setText(str(dub))

    def _laid(self) -> None:
        self._window.docks.raise_panel("redub")
        self._window.say("The demo shot is on the timeline with its new line below; press Re-dub on the right")

    def _failed(self, sentence: str) -> None:
        self.demo.setEnabled(True)
        self._window.say(sentence)


def _make() -> tuple[Path, Path]:
    from julnet_plugin.demo import make_demo

    data = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return make_demo(Path(data) / "julnet-editor" / "demo")
