"""What one can do in the window, as data: title, keys, what it does, and when it can be done.

Menus, shortcuts, tool tips and the command palette are made from this list and those of the parts (`gui.panels`), and
from nothing else. What is not built is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gui.session import Compare

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui.session import Session
    from gui.window import Window


def _always(session: Session) -> bool:
    return True


def _with_plate(session: Session) -> bool:
    return session.plate is not None


def _somewhere(session: Session) -> bool:
    return session.plate is not None or session.on_timeline


def _with_take(session: Session) -> bool:
    return session.take is not None


def _with_matte(session: Session) -> bool:
    return session.take is not None and session.take.matte is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSpec:
    """One thing that a user can do."""

    name: str  #: one of its kind; of the window's method that does it, where `run` is None
    menu: str
    title: str
    tip: str
    keys: tuple[str, ...] = ()
    enabled: Callable[[Session], bool] = _always
    checked: Callable[[Session], bool] | None = None  #: for what is on or off
    new_group: bool = False  #: a line above it in the menu
    run: Callable[[Window], object] | None = None
    on: Callable[[Window], bool] | None = None  #: as `checked`, where the session does not know
    possible: Callable[[Window], bool] | None = None  #: asked besides `enabled`, where the session does not know

    def run_in(self, window: Window) -> None:
        """Do it."""
        if self.run is not None:
            self.run(window)
        else:
            getattr(window, self.name)()

    @property
    def checkable(self) -> bool:
        """Whether it is on or off."""
        return self.checked is not None or self.on is not None

    def checked_in(self, window: Window) -> bool:
        """Whether it is on."""
        if self.on is not None:
            return self.on(window)
        return self.checked is not None and self.checked(window.session)

    def enabled_in(self, window: Window) -> bool:
        """Whether it can be done now."""
        return self.enabled(window.session) and (self.possible is None or self.possible(window))


ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec(
        name="choose_take",
        menu="&File",
        title="Open &take…",
        keys=("Ctrl+Shift+O",),
        tip="Open the folder of a finished take",
    ),
    ActionSpec(name="close", menu="&File", title="&Quit", keys=("Ctrl+Q",), tip="Leave the editor", new_group=True),
    ActionSpec(
        name="step_forward",
        menu="&Playhead",
        title="Next frame",
        keys=("Right",),
        tip="Go one frame forward",
        enabled=_somewhere,
    ),
    ActionSpec(
        name="step_back",
        menu="&Playhead",
        title="Previous frame",
        keys=("Left",),
        tip="Go one frame back",
        enabled=_somewhere,
    ),
    ActionSpec(
        name="second_forward",
        menu="&Playhead",
        title="One second forward",
        keys=("Shift+Right",),
        tip="Go one second forward",
        enabled=_somewhere,
    ),
    ActionSpec(
        name="second_back",
        menu="&Playhead",
        title="One second back",
        keys=("Shift+Left",),
        tip="Go one second back",
        enabled=_somewhere,
    ),
    ActionSpec(
        name="first_frame",
        menu="&Playhead",
        title="First frame",
        keys=("Home",),
        tip="Go to the plate's first frame",
        enabled=_somewhere,
    ),
    ActionSpec(
        name="last_frame",
        menu="&Playhead",
        title="Last frame",
        keys=("End",),
        tip="Go to the plate's last frame",
        enabled=_somewhere,
    ),
    ActionSpec(
        name="mark_in",
        menu="&Playhead",
        title="Mark in",
        keys=("I",),
        tip="The current frame is the first to re-dub",
        enabled=_somewhere,
        new_group=True,
    ),
    ActionSpec(
        name="mark_out",
        menu="&Playhead",
        title="Mark out",
        keys=("O",),
        tip="The current frame is the last to re-dub",
        enabled=_somewhere,
    ),
    ActionSpec(
        name="clear_marks",
        menu="&Playhead",
        title="Clear marks",
        keys=("Alt+X",),
        tip="Re-dub the whole plate",
        enabled=_somewhere,
    ),
    ActionSpec(
        name="next_worst",
        menu="&Playhead",
        title="Next stretch to look at",
        keys=("N",),
        tip="Go to the stretch that is next in order of uncertainty, beginning with the worst",
        enabled=_with_take,
        new_group=True,
    ),
    ActionSpec(
        name="previous_worst",
        menu="&Playhead",
        title="Previous stretch to look at",
        keys=("Shift+N",),
        tip="Go back to the stretch that is more uncertain than this one",
        enabled=_with_take,
    ),
    ActionSpec(
        name="toggle_dub",
        menu="&View",
        title="Dub",
        keys=("A",),
        tip="Switch between the original and the take",
        enabled=_with_take,
        checked=lambda session: session.compare is Compare.DUB,
    ),
    ActionSpec(
        name="toggle_wipe",
        menu="&View",
        title="Wipe",
        keys=("W",),
        tip="Plate on the left, dub on the right; drag in the picture to move the line",
        enabled=_with_take,
        checked=lambda session: session.compare is Compare.WIPE,
    ),
    ActionSpec(
        name="toggle_split",
        menu="&View",
        title="Side by side",
        keys=("Shift+W",),
        tip="Plate on the left, dub on the right, both whole",
        enabled=_with_take,
        checked=lambda session: session.compare is Compare.SPLIT,
    ),
    ActionSpec(
        name="toggle_difference",
        menu="&View",
        title="Difference",
        keys=("D",),
        tip="How far dub and plate are apart, four times enlarged; black where they are equal",
        enabled=_with_take,
        checked=lambda session: session.compare is Compare.DIFFERENCE,
    ),
    ActionSpec(
        name="toggle_monitor",
        menu="&View",
        title="Source or timeline",
        keys=("Q",),
        tip="Change between the source monitor and the timeline",
        new_group=True,
    ),
    ActionSpec(
        name="toggle_overlay",
        menu="&View",
        title="Uncertainty",
        keys=("U",),
        tip="Lay the uncertainty matte over the picture: red = look here",
        enabled=_with_matte,
        checked=lambda session: session.overlay and _with_matte(session),
    ),
    ActionSpec(
        name="undo",
        menu="&Edit",
        title="&Undo",
        keys=("Ctrl+Z",),
        tip="Take the last step back",
        possible=lambda window: window.project.history.undo_name is not None,
    ),
    ActionSpec(
        name="redo",
        menu="&Edit",
        title="&Redo",
        keys=("Ctrl+Shift+Z", "Ctrl+Y"),
        tip="Do again what was undone",
        possible=lambda window: window.project.history.redo_name is not None,
    ),
    ActionSpec(
        name="reset_layout",
        menu="&Window",
        title="&Reset layout",
        keys=("Ctrl+Alt+R",),
        tip="Put every panel where it was at first",
    ),
    ActionSpec(
        name="play",
        menu="&Playhead",
        title="Play or stop",
        keys=("Space",),
        tip="Play from the playhead, or stop",
        enabled=_somewhere,
        new_group=True,
        run=lambda w: w.player.toggle(),
    ),
    ActionSpec(
        name="shuttle_back",
        menu="&Playhead",
        title="Play backward",
        keys=("J",),
        tip="Play backward; every press is twice as fast",
        enabled=_somewhere,
        run=lambda w: w.player.shuttle(-1),
    ),
    ActionSpec(
        name="shuttle_stop",
        menu="&Playhead",
        title="Stop",
        keys=("K",),
        tip="Stop; while it is held down J and L go one frame back and forward",
        enabled=_somewhere,
        run=lambda w: w.player.hold(),
    ),
    ActionSpec(
        name="shuttle_forward",
        menu="&Playhead",
        title="Play forward",
        keys=("L",),
        tip="Play forward; every press is twice as fast",
        enabled=_somewhere,
        run=lambda w: w.player.shuttle(1),
    ),
    ActionSpec(
        name="toggle_loop",
        menu="&Playhead",
        title="Loop",
        keys=("Ctrl+Shift+L",),
        tip="Play again and again, between the marks where there are any",
        on=lambda w: w.player.looping,
    ),
    ActionSpec(
        name="go_to_in",
        menu="&Playhead",
        title="Go to in",
        keys=("Shift+I",),
        tip="Go to the in point",
        enabled=_somewhere,
    ),
    ActionSpec(
        name="go_to_out",
        menu="&Playhead",
        title="Go to out",
        keys=("Shift+O",),
        tip="Go to the out point",
        enabled=_somewhere,
    ),
    ActionSpec(
        name="enter_timecode",
        menu="&Playhead",
        title="Go to timecode",
        keys=("Ctrl+G",),
        tip="Type where to go: a timecode, +10 or -10 frames, 2s",
        enabled=_somewhere,
        run=lambda w: w.timecode.setFocus(),
    ),
    ActionSpec(
        name="more_overlay",
        menu="&View",
        title="More of the overlay",
        keys=("Ctrl+Alt+Up",),
        tip="Make the overlay more opaque",
        enabled=_with_matte,
        run=lambda w: w.change_opacity(10),
    ),
    ActionSpec(
        name="less_overlay",
        menu="&View",
        title="Less of the overlay",
        keys=("Ctrl+Alt+Down",),
        tip="Make the overlay less opaque",
        enabled=_with_matte,
        run=lambda w: w.change_opacity(-10),
    ),
    ActionSpec(
        name="picture_larger",
        menu="&View",
        title="Picture larger",
        keys=("Ctrl+=",),
        tip="Zoom into the picture; the wheel does it at the mouse, the middle button moves the picture",
        enabled=_with_plate,
        new_group=True,
        run=lambda w: w.zoom_picture(1.5),
    ),
    ActionSpec(
        name="picture_smaller",
        menu="&View",
        title="Picture smaller",
        keys=("Ctrl+-",),
        tip="Zoom out of the picture",
        enabled=_with_plate,
        run=lambda w: w.zoom_picture(1 / 1.5),
    ),
    ActionSpec(
        name="fit_picture",
        menu="&View",
        title="Fit picture",
        keys=("Shift+Z",),
        tip="See the whole picture",
        enabled=_with_plate,
        run=lambda w: w.viewer.set_zoom(1.0),
    ),
    ActionSpec(
        name="picture_pixels",
        menu="&View",
        title="Picture at 100 %",
        keys=("Alt+Z",),
        tip="One pixel of the picture is one pixel of the screen",
        enabled=_with_plate,
        run=lambda w: w.viewer.zoom_to_pixels(),
    ),
    ActionSpec(
        name="toggle_proxies",
        menu="&View",
        title="Proxies where playing falls behind",
        keys=("Ctrl+Alt+P",),
        tip="Make small copies of media that the machine cannot play in time, and play those",
        on=lambda w: w.proxies.automatic,
        new_group=True,
    ),
    ActionSpec(
        name="make_proxies",
        menu="&View",
        title="Make proxies",
        keys=("Ctrl+Shift+Y",),
        tip="Make small copies of the media that are selected in the bin, or of what is seen",
        enabled=_with_plate,
    ),
    ActionSpec(
        name="toggle_full_screen",
        menu="&View",
        title="Full screen",
        keys=("F11",),
        tip="The picture alone; Escape comes back",
        on=lambda w: w.full_screen,
        new_group=True,
    ),
    ActionSpec(
        name="show_palette",
        menu="&Help",
        title="Command palette…",
        keys=("Ctrl+Shift+P",),
        tip="Find anything that can be done by its name",
    ),
    ActionSpec(
        name="show_messages",
        menu="&Help",
        title="&Messages…",
        keys=("Ctrl+Alt+M",),
        tip="Everything that was said since the start, with details",
        run=lambda w: w.messages.show_all(),
    ),
    ActionSpec(
        name="edit_keys",
        menu="&Edit",
        title="Keyboard shortcuts…",
        keys=("Ctrl+Alt+K",),
        tip="Change the keys",
        new_group=True,
    ),
)
