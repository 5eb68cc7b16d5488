"""Training in the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QMessageBox

from gui.actions import ActionSpec
from gui.panels import PanelSpec
from gui.preferences import models_folder
from gui.redub.models import list_models
from gui.training.panel import TrainingPanel
from gui.training.process import Training

if TYPE_CHECKING:
    from pathlib import Path

    from gui.window import Window
    from host_adapters.standalone.project import Project


class TrainingDock(TrainingPanel):
    """The training, connected to the project and to the list of models."""

    def __init__(self, window: Window) -> None:
        super().__init__(Training(), window.background, models_folder())
        self.training.setParent(self)
        self._window = window
        self.set_models(list_models([models_folder()]))
        self.made.connect(self._made)
        self.training.failed.connect(window.say)
        self.set_project(window.project.value)

    def set_project(self, project: Project) -> None:
        """Learn from what is in the bin."""
        paths = [(item.media.path, self._window.project.path_of(item.media.path)) for item in project.media
                 if item.kind == "video" and item.has_audio]  # fmt: skip
        self.set_clips([(path.name, path) for _, path in paths])

    def may_close(self) -> bool:
        """Ask, while a model is being made."""
        if not self.training.running:
            return True
        answer = QMessageBox.question(
            self._window,
            "A model is being made",
            "Stop the training and quit? What it has learnt is kept; the same name goes on from there.",
        )
        return answer is QMessageBox.StandardButton.Yes

    def shut_down(self) -> None:
        """The window closes."""
        self.training.end()

    def _made(self, model: Path) -> None:
        redub = self._window.panels["redub"]
        redub.refresh_models(str(model))  # type: ignore[attr-defined]
        self.set_models(list_models([models_folder()]))


PANELS = (
    PanelSpec(
        name="training",
        title="Training",
        area="right",
        make=TrainingDock,
        tip="Make a model of a person from clips of the project",
        keys=("Alt+8",),
        tab_with="redub",
        shown=False,
    ),
)

ACTIONS = (
    ActionSpec(
        name="train_model",
        menu="&Re-dub",
        title="&Make a model of a person…",
        keys=("Ctrl+Shift+G",),
        tip="Fine-tune a model on clips of the project, in the background",
        run=lambda window: window.docks.raise_panel("training"),
        new_group=True,
    ),
)
