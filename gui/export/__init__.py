"""Export: the timeline to a movie, and to other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gui.actions import ActionSpec
from gui.panels import PanelSpec

if TYPE_CHECKING:
    from gui.export.panel import ExportPanel
    from gui.session import Session
    from gui.window import Window


def _make(window: Window) -> ExportPanel:
    from gui.export.panel import ExportPanel

    return ExportPanel(window)


def of(window: Window) -> ExportPanel:
    """The window's export panel."""
    panel: Any = window.panels["export"]
    return panel  # type: ignore[no-any-return]


def _has_clips(window: Window) -> bool:
    return window.project.value.timeline.record_out > 0


def _with_anything(session: Session) -> bool:
    return session.take is not None or session.on_timeline


PANELS = (
    PanelSpec(
        name="export",
        title="Export",
        area="right",
        make=_make,
        tip="The timeline as a movie, takes and mattes for finishing",
        keys=("Alt+7",),
        shown=False,
        tab_with="redub",
    ),
)

ACTIONS = (
    ActionSpec(
        name="export_movie",
        menu="&File",
        title="&Export movie…",
        keys=("Ctrl+E",),
        tip="Write the timeline to a movie",
        new_group=True,
        possible=_has_clips,
        run=lambda w: of(w).show_panel(),
    ),
    ActionSpec(
        name="export_takes",
        menu="&File",
        title="Export takes and mattes…",
        keys=("Ctrl+Shift+E",),
        tip="Deliver the takes that the timeline shows as EXR or ProRes, with their mattes",
        enabled=_with_anything,
        run=lambda w: of(w).show_takes(),
    ),
    ActionSpec(
        name="export_otio",
        menu="&File",
        title="Export OTIO…",
        keys=("Ctrl+Alt+O",),
        tip="Write the timeline for any program that reads OpenTimelineIO",
        possible=_has_clips,
        run=lambda w: of(w).choose("otio"),
    ),
    ActionSpec(
        name="export_resolve",
        menu="&File",
        title="Export for Resolve…",
        keys=("Ctrl+Alt+D",),
        tip="Write OpenTimelineIO in the shape that DaVinci Resolve takes",
        possible=_has_clips,
        run=lambda w: of(w).choose("resolve"),
    ),
    ActionSpec(
        name="export_fcp7",
        menu="&File",
        title="Export FCP7 XML…",
        keys=("Ctrl+Alt+X",),
        tip="Write XML that Premiere, Resolve and Avid read",
        possible=_has_clips,
        run=lambda w: of(w).choose("fcp7"),
    ),
    ActionSpec(
        name="export_edl",
        menu="&File",
        title="Export EDL…",
        keys=("Ctrl+Alt+E",),
        tip="Write a CMX 3600 list of the picture as it is seen",
        possible=_has_clips,
        run=lambda w: of(w).choose("edl"),
    ),
    ActionSpec(
        name="export_nuke",
        menu="&File",
        title="Export Nuke scripts…",
        keys=("Ctrl+Alt+N",),
        tip="Write a Nuke script for every take that the timeline shows",
        possible=_has_clips,
        run=lambda w: of(w).choose_nuke(),
    ),
)
