"""Re-dubbing in the window: the form, the render in the worker, and the list of stretches worth a look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QMessageBox

from gui.actions import ActionSpec
from gui.panels import PanelSpec
from gui.widgets.redub_panel import RedubPanel

if TYPE_CHECKING:
    from gui.window import Window
    from julnet_plugin.types import RedubRequest


class RedubDock(RedubPanel):
    """The form, connected to the window's renders."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self._window, self._jobs = window, window.jobs
        self.redub_requested.connect(self._render)
        self.cancel_requested.connect(self._jobs.cancel)
        self._jobs.progressed.connect(self.show_progress)
        self._jobs.finished.connect(self._take_finished)
        self._jobs.failed.connect(self.show_error)
        self._jobs.cancelled.connect(lambda: self.show_finished("Stopped; the same re-dub goes on from there"))

    def may_close(self) -> bool:
        """Ask, while a take is rendered."""
        if not self._jobs.running:
            return True
        answer = QMessageBox.question(
            self._window,
            "A take is being rendered",
            "Stop the render and quit? Finished frames are kept; the same re-dub goes on from there.",
        )
        return answer is QMessageBox.StandardButton.Yes

    def _render(self, request: RedubRequest) -> None:
        self.show_started()
        self._jobs.start(request)

    def _take_finished(self, folder: Path) -> None:
        self.show_finished(f"Done: {folder}")
        self._window.open(folder)


PANELS = (PanelSpec(name="redub", title="Re-dub", area="right", make=RedubDock, tip="What to re-dub with"),)

ACTIONS = (
    ActionSpec(
        name="choose_dub",
        menu="&Re-dub",
        title="Choose &dub…",
        keys=("Ctrl+D",),
        tip="Choose the recording that the mouth shall follow",
        enabled=lambda session: session.plate is not None,
        run=lambda window: window.panels["redub"].choose_dub(),  # type: ignore[attr-defined]
    ),
)
