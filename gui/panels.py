"""Panels that the window can show, and how a part of the editor adds its own without touching the window.

A part is a module with any of these, listed by name in `PARTS`::

    PANELS = (PanelSpec(name="redub", title="Re-dub", area="right", make=RedubPanel.in_window),)
    ACTIONS = (ActionSpec(name="find_face", menu="&Re-dub", title="Choose &face…", tip="…", run=lambda window: …),)

Keys stand in `docs/keys.md`, made by `python -m gui.keytable`; a test compares.

`make(window)` builds the widget and connects it to what it needs of the window. The widget may have any of these, and
the window calls them:

    set_session(session)    another picture, frame or way of looking is shown
    set_project(project)    the project is another value: an edit, an undo, another project
    may_close() -> bool     False keeps the window open (ask the user here)
    shut_down()             the window closes: stop threads, close files

What a panel uses of the window: `session`, `set_session`, `go_to`, `say`, `open`, `background`, `jobs`, `viewer` (its
`set_tool` and `add_layer` draw on the picture and take the mouse), `renderer.sources` (pictures in place of files),
`project` (the document: `value`, `edit`, `history`) and `panels` (the other panels by name).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from PySide6.QtWidgets import QWidget

    from gui.actions import ActionSpec
    from gui.session import Session
    from gui.window import Window
    from host_adapters.standalone.project import Project

Area = Literal["left", "right", "bottom"]

#: Modules with `PANELS` or `ACTIONS`. Panels of one area stand in this order; menus grow in this order.
PARTS = (
    "gui.projects",
    "gui.bin",
    "gui.timeline",
    "gui.export",
    "gui.redub.part",
    "gui.matte.part",
    "gui.training.part",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelSpec:
    """One dock of the window."""

    name: str  #: also the dock's object name: layouts are remembered by it
    title: str
    area: Area
    make: Callable[[Window], QWidget]
    tip: str = ""
    keys: tuple[str, ...] = ()  #: bring it to the front, or put it away
    shown: bool = True  #: on first start
    tab_with: str | None = None  #: a panel behind whose tab it stands, instead of a place of its own


@runtime_checkable
class ShowsSession(Protocol):
    """A panel that follows what is looked at."""

    def set_session(self, session: Session) -> None:
        """Show another session."""


@runtime_checkable
class ShowsProject(Protocol):
    """A panel that follows the project."""

    def set_project(self, project: Project) -> None:
        """Show another value of the project."""


@runtime_checkable
class MayRefuse(Protocol):
    """A panel that has a say in whether the window closes."""

    def may_close(self) -> bool:
        """Whether the window may close now."""


@runtime_checkable
class ShutsDown(Protocol):
    """A panel with threads or files of its own."""

    def shut_down(self) -> None:
        """End them."""


def modules() -> list[ModuleType]:
    """Every part, imported."""
    return [importlib.import_module(name) for name in PARTS]


def panel_specs() -> tuple[PanelSpec, ...]:
    """Every panel, in order."""
    return tuple(spec for module in modules() for spec in getattr(module, "PANELS", ()))


def action_specs() -> tuple[ActionSpec, ...]:
    """Every action: the window's own, those of the parts, and one for every panel."""
    from gui.actions import ACTIONS

    parts = (spec for module in modules() for spec in getattr(module, "ACTIONS", ()))
    shown = (_panel_action(spec, first=place == 0) for place, spec in enumerate(panel_specs()))
    return (*ACTIONS, *parts, *shown)


def _panel_action(spec: PanelSpec, *, first: bool) -> ActionSpec:
    from gui.actions import ActionSpec

    return ActionSpec(
        name=f"panel_{spec.name}",
        menu="&Window",
        title=spec.title,
        keys=spec.keys,
        tip=f"{spec.tip}: bring the panel to the front, or put it away",
        new_group=first,
        run=lambda window: window.docks.toggle(spec.name),
        on=lambda window: window.docks.in_front(spec.name),
    )
