"""The media bin in the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gui.actions import ActionSpec
from gui.panels import PanelSpec

if TYPE_CHECKING:
    from gui.bin.panel import BinPanel
    from gui.window import Window


def _make(window: Window) -> BinPanel:
    from gui.bin.panel import BinPanel

    return BinPanel(window)


def of(window: Window) -> BinPanel:
    """The window's bin."""
    panel: Any = window.panels["bin"]
    return panel  # type: ignore[no-any-return]


PANELS = (PanelSpec(name="bin", title="Media", area="left", make=_make, keys=("Alt+1",), tip="The project's media"),)

ACTIONS = (
    ActionSpec(
        name="find_media",
        menu="&Edit",
        title="&Find media",
        keys=("Ctrl+F",),
        tip="Search the bin",
        new_group=True,
        run=lambda w: of(w).focus_search(),
    ),
    ActionSpec(
        name="open_in_source",
        menu="&Clip",
        title="Open in source monitor",
        keys=("Shift+F",),
        tip="Look at the selected medium of the bin alone",
        new_group=True,
        run=lambda w: of(w).open_selected(),
    ),
    ActionSpec(
        name="append_media",
        menu="&Clip",
        title="Append to timeline",
        keys=("Shift+A",),
        tip="Put the selected media of the bin behind the last clip",
        run=lambda w: of(w).append_selected(),
    ),
    ActionSpec(
        name="place_media",
        menu="&Clip",
        title="Lay media at the playhead",
        keys=("Ctrl+.",),
        tip="Lay the selected media of the bin over the timeline at the playhead",
        run=lambda w: of(w).place_selected(),
    ),
    ActionSpec(
        name="remove_media",
        menu="&Edit",
        title="Remove media from bin",
        keys=("Ctrl+Backspace",),
        tip="Take the selected media out of the bin; the files stay",
        run=lambda w: of(w).remove_selected(),
    ),
)
