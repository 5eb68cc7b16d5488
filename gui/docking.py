"""The window's docks: made from the list of panels, shown and hidden by the Window menu, remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDockWidget, QWidget

from gui.panels import MayRefuse, PanelSpec, ShowsProject, ShowsSession, ShutsDown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gui.session import Session
    from gui.window import Window
    from host_adapters.standalone.project import Project

_AREAS = {
    "left": Qt.DockWidgetArea.LeftDockWidgetArea,
    "right": Qt.DockWidgetArea.RightDockWidgetArea,
    "bottom": Qt.DockWidgetArea.BottomDockWidgetArea,
}


class Docks:
    """Every panel and its dock."""

    def __init__(self, window: Window, specs: Sequence[PanelSpec]) -> None:
        self._window, self._specs = window, tuple(specs)
        self.panels: dict[str, QWidget] = {}
        self.docks: dict[str, QDockWidget] = {}
        # tools that are long, such as the matte's, get the window's whole height
        window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.BottomDockWidgetArea)
        window.setDockNestingEnabled(True)
        for spec in specs:
            self._add(spec)
        self.arrange()

    def _add(self, spec: PanelSpec) -> None:
        panel = spec.make(self._window)
        dock = QDockWidget(spec.title, self._window)
        dock.setObjectName(spec.name)
        dock.setAccessibleName(spec.title)
        dock.setWidget(panel)
        self.panels[spec.name], self.docks[spec.name] = panel, dock

    def arrange(self) -> None:
        """As on first start."""
        for spec in self._specs:
            dock = self.docks[spec.name]
            dock.setFloating(False)
            self._window.addDockWidget(_AREAS[spec.area], dock)
        for spec in self._specs:
            if spec.tab_with is not None and spec.tab_with in self.docks:
                self._window.tabifyDockWidget(self.docks[spec.tab_with], self.docks[spec.name])
            self.docks[spec.name].setVisible(spec.shown)
        for spec in self._specs:
            if any(other.tab_with == spec.name for other in self._specs):
                self.docks[spec.name].raise_()

        self._share_heights()

    def _share_heights(self) -> None:
        """The tools get two thirds of the right side, the list of stretches the rest."""
        pair = [self.docks[name] for name in ("redub", "review") if name in self.docks]
        if len(pair) == 2:
            self._window.resizeDocks(pair, [640, 260], Qt.Orientation.Vertical)

    def in_front(self, name: str) -> bool:
        """Whether a panel is seen: open, and not behind another one's tab."""
        dock = self.docks[name]
        return dock.isVisible() and not dock.visibleRegion().isEmpty()

    def toggle(self, name: str) -> None:
        """Bring a panel to the front, or put it away where it is there already."""
        if self.in_front(name):
            self.docks[name].hide()
        else:
            self.raise_panel(name)

    def raise_panel(self, name: str) -> QWidget:
        """Bring a panel to the front."""
        dock = self.docks[name]
        dock.show()
        dock.raise_()
        return self.panels[name]

    def set_session(self, session: Session) -> None:
        """Tell every panel."""
        for panel in self.panels.values():
            if isinstance(panel, ShowsSession):
                panel.set_session(session)

    def set_project(self, project: Project) -> None:
        """Tell every panel."""
        for panel in self.panels.values():
            if isinstance(panel, ShowsProject):
                panel.set_project(project)

    def may_close(self) -> bool:
        """Whether no panel keeps the window open."""
        return all(panel.may_close() for panel in self.panels.values() if isinstance(panel, MayRefuse))

    def shut_down(self) -> None:
        """The window closes."""
        for panel in self.panels.values():
            if isinstance(panel, ShutsDown):
                panel.shut_down()
