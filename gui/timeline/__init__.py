"""The timeline in the window: its panel and its actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gui.actions import ActionSpec
from gui.panels import PanelSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from gui.timeline.panel import TimelinePanel
    from gui.window import Window


def _make(window: Window) -> TimelinePanel:
    from gui.timeline.panel import TimelinePanel

    return TimelinePanel(window)


def of(window: Window) -> TimelinePanel:
    """The window's timeline."""
    panel: Any = window.panels["timeline"]
    return panel  # type: ignore[no-any-return]


def _call(name: str, *arguments: Any) -> Callable[[Window], object]:
    return lambda window: getattr(of(window), name)(*arguments)


def _has_selection(window: Window) -> bool:
    return bool(of(window).view.selection) if "timeline" in window.panels else False


def _has_clips(window: Window) -> bool:
    return window.project.value.timeline.record_out > 0


def _action(
    name: str,
    menu: str,
    title: str,
    tip: str,
    run: Callable[[Window], object],
    *keys: str,
    group: bool = False,
    possible: Callable[[Window], bool] | None = None,
    on: Callable[[Window], bool] | None = None,
) -> ActionSpec:
    return ActionSpec(
        name=name, menu=menu, title=title, tip=tip, run=run, keys=keys, new_group=group, possible=possible, on=on
    )


def _toggle(what: str) -> Callable[[Window], object]:
    def toggle(window: Window) -> None:
        view = of(window).view
        setattr(view, what, not getattr(view, what))
        window.update_actions()

    return toggle


def _view_has(what: str) -> Callable[[Window], bool]:
    return lambda window: bool(getattr(of(window).view, what)) if "timeline" in window.panels else True


def _track_is(what: str) -> Callable[[Window], bool]:
    def is_on(window: Window) -> bool:
        return "timeline" in window.panels and bool(getattr(of(window).timeline.track(of(window).target_track()), what))

    return is_on


def _track_is_off(window: Window) -> bool:
    return any(_track_is(what)(window) for what in ("muted", "hidden"))


PANELS = (
    PanelSpec(
        name="timeline", title="Timeline", area="bottom", make=_make, keys=("Alt+2",), tip="The scene that is cut"
    ),
)

_E, _C, _S = "&Edit", "&Clip", "&Sequence"
ACTIONS = (
    _action(
        "cut_clips",
        _E,
        "Cu&t",
        "Take the selected clips to the clipboard",
        _call("cut"),
        "Ctrl+X",
        group=True,
        possible=_has_selection,
    ),
    _action("copy_clips", _E, "&Copy", "Copy the selected clips", _call("copy"), "Ctrl+C", possible=_has_selection),
    _action(
        "paste_clips", _E, "&Paste", "Lay what was copied over the timeline at the playhead", _call("paste"), "Ctrl+V"
    ),
    _action(
        "paste_insert",
        _E,
        "Paste and &insert",
        "Put what was copied in at the playhead; what is behind moves back",
        _call("paste", True),
        "Ctrl+Shift+V",
    ),
    _action(
        "delete_clips",
        _E,
        "&Delete",
        "Take the selected clips away; gaps stay",
        _call("delete"),
        "Delete",
        "Backspace",
        possible=_has_selection,
    ),
    _action(
        "ripple_delete",
        _E,
        "&Ripple delete",
        "Take the selected clips, or the gap at the playhead, away and close up",
        _call("ripple_delete"),
        "Shift+Delete",
        possible=_has_clips,
    ),
    _action("select_all", _E, "Select &all", "Select every clip", _call("select_all"), "Ctrl+A", possible=_has_clips),
    _action(
        "select_here",
        _E,
        "Select clips at the playhead",
        "Select what lies under the playhead",
        _call("select_under_playhead"),
        "Shift+V",
        possible=_has_clips,
    ),
    _action(
        "select_none",
        _E,
        "Select nothing",
        "No clip is selected",
        lambda w: of(w).view.select(frozenset()),
        "Ctrl+Shift+A",
        possible=_has_selection,
    ),
    _action(
        "insert_source",
        _C,
        "&Insert from source",
        "Put what the source monitor shows, between its marks, in at the playhead; what is behind moves back",
        _call("put_source", True),
        ",",
        "F9",
    ),
    _action(
        "overwrite_source",
        _C,
        "&Overwrite from source",
        "Lay what the source monitor shows, between its marks, over the timeline at the playhead",
        _call("put_source", False),
        ".",
        "F10",
    ),
    _action(
        "razor",
        _C,
        "&Razor",
        "Cut at the playhead: the selected clips, or all",
        _call("razor"),
        "Ctrl+K",
        group=True,
        possible=_has_clips,
    ),
    _action(
        "razor_all",
        _C,
        "Razor &all tracks",
        "Cut everything at the playhead",
        _call("razor", True),
        "Ctrl+Shift+K",
        possible=_has_clips,
    ),
    _action(
        "trim_start",
        _C,
        "Trim start to playhead",
        "The clip that is seen begins here; everything behind closes up",
        _call("trim_to_playhead", "in"),
        "Alt+[",
        possible=_has_clips,
    ),
    _action(
        "trim_end",
        _C,
        "Trim end to playhead",
        "The clip that is seen ends here; everything behind closes up",
        _call("trim_to_playhead", "out"),
        "Alt+]",
        possible=_has_clips,
    ),
    _action(
        "nudge_left",
        _C,
        "Nudge left",
        "Move the selected clips a frame back",
        _call("nudge", -1),
        "Alt+Left",
        possible=_has_selection,
    ),
    _action(
        "nudge_right",
        _C,
        "Nudge right",
        "Move the selected clips a frame on",
        _call("nudge", 1),
        "Alt+Right",
        possible=_has_selection,
    ),
    _action(
        "toggle_link",
        _C,
        "&Link or unlink",
        "Tie picture and sound together, or set them free",
        _call("toggle_link"),
        "Ctrl+L",
        group=True,
        possible=_has_selection,
    ),
    _action(
        "toggle_enabled",
        _C,
        "&Enable or disable",
        "Show and hear the selected clips, or not",
        _call("toggle_enabled"),
        "Shift+E",
        possible=_has_clips,
    ),
    _action(
        "rename_clip",
        _C,
        "Re&name clip…",
        "Give the clip another name",
        _call("rename_clip"),
        "F2",
        possible=_has_clips,
    ),
    _action(
        "next_take",
        _C,
        "Next &take",
        "Show the next take of the clip under the playhead, then the original",
        _call("step_take", 1),
        "Ctrl+]",
        group=True,
        possible=_has_clips,
    ),
    _action(
        "previous_take",
        _C,
        "Previous take",
        "Show the take before",
        _call("step_take", -1),
        "Ctrl+[",
        possible=_has_clips,
    ),
    _action(
        "add_video_track",
        _S,
        "Add &video track",
        "One more track of pictures, above the others",
        _call("add_track", "video"),
        "Ctrl+Alt+V",
    ),
    _action(
        "add_audio_track", _S, "Add &audio track", "One more track of sound", _call("add_track", "audio"), "Ctrl+Alt+A"
    ),
    _action(
        "rename_track",
        _S,
        "&Rename track…",
        "Give the track of the selection another name",
        _call("rename_track"),
        "Shift+F2",
    ),
    _action(
        "remove_track",
        _S,
        "Delete track",
        "Take the track of the selection away, with its clips",
        _call("remove_track"),
        "Ctrl+Alt+Delete",
    ),
    _action(
        "lock_track",
        _S,
        "&Lock track",
        "Guard the track of the selection against edits, or not",
        _call("switch_track", "locked", "Lock"),
        "Shift+F5",
        group=True,
        on=_track_is("locked"),
    ),
    _action(
        "mute_track",
        _S,
        "M&ute or hide track",
        "Neither hear nor see the track of the selection, or do again",
        _call("switch_track_off"),
        "Shift+F6",
        on=_track_is_off,
    ),
    _action(
        "solo_track",
        _S,
        "S&olo track",
        "Hear or see the track of the selection alone, or not",
        _call("switch_track", "solo", "Solo"),
        "Shift+F7",
        on=_track_is("solo"),
    ),
    _action(
        "add_marker",
        _S,
        "Add or edit &marker",
        "A marker at the playhead; a second time, its note",
        _call("add_marker"),
        "M",
        group=True,
    ),
    _action("next_marker", _S, "Next marker", "Go to the next marker", _call("go_to_marker", 1), "Shift+M"),
    _action(
        "previous_marker", _S, "Previous marker", "Go to the marker before", _call("go_to_marker", -1), "Ctrl+Shift+M"
    ),
    _action("next_cut", _S, "Next cut", "Go to the next edge of a clip", _call("go_to_cut", 1), "Down", group=True),
    _action("previous_cut", _S, "Previous cut", "Go to the edge of a clip before", _call("go_to_cut", -1), "Up"),
    _action(
        "toggle_snapping",
        _S,
        "Snap",
        "Edits snap to the playhead, to edges and to markers",
        _toggle("snapping"),
        "S",
        group=True,
        on=_view_has("snapping"),
    ),
    _action(
        "toggle_linked",
        _S,
        "Linked",
        "Picture and sound of a shot are selected and edited together (Alt: the other way)",
        _toggle("linked"),
        "Shift+L",
        on=_view_has("linked"),
    ),
    _action(
        "zoom_to_fit",
        _S,
        "Zoom to fit",
        "See all of the timeline",
        lambda w: of(w).view.zoom_to_fit(),
        "\\",
        group=True,
    ),
    _action("zoom_in", _S, "Zoom in", "See less, larger", lambda w: of(w).view.set_zoom(of(w).view.zoom * 1.5), "="),
    _action("zoom_out", _S, "Zoom out", "See more, smaller", lambda w: of(w).view.set_zoom(of(w).view.zoom / 1.5), "-"),
    _action(
        "tool_select",
        _S,
        "Select tool",
        "Drag clips to move them, their edges to trim",
        _call("set_tool", "select"),
        "V",
        group=True,
    ),
    _action(
        "tool_razor", _S, "Razor tool", "Click a clip to cut it; with Shift all tracks", _call("set_tool", "razor"), "C"
    ),
    _action(
        "tool_ripple", _S, "Ripple tool", "Drag an edge; everything behind follows", _call("set_tool", "ripple"), "B"
    ),
    _action(
        "tool_roll", _S, "Roll tool", "Drag a cut; one clip grows as the other shrinks", _call("set_tool", "roll"), "T"
    ),
    _action(
        "tool_slip",
        _S,
        "Slip tool",
        "Drag to show another part of the medium in the same place",
        _call("set_tool", "slip"),
        "Y",
    ),
    _action(
        "tool_slide", _S, "Slide tool", "Drag a clip between its neighbours", _call("set_tool", "slide"), "Shift+Y"
    ),
)
