"""The timeline's panel: tools, ruler, track heads and tracks, and what the menus do to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QLineEdit,
    QMenu,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.timeline.ruler import HEIGHT, Ruler, TrackHeads, rename_track
from gui.timeline.thumbnails import Thumbnails
from gui.timeline.view import TOOLS, TimelineView
from gui.widgets.building import named
from host_adapters.standalone import edits, media, scene
from host_adapters.standalone.project import Project, on_timeline
from host_adapters.standalone.timeline import Clip, Marker, Timeline
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from gui.window import Window
    from host_adapters.standalone.scene import Placed, Switch

COLOURS = ("RED", "ORANGE", "YELLOW", "GREEN", "CYAN", "BLUE", "PURPLE", "PINK", "WHITE")
_TOOL_KEYS = {"select": "V", "razor": "C", "ripple": "B", "roll": "T", "slip": "Y", "slide": "Shift+Y"}


class TimelinePanel(QWidget):
    """Everything about the timeline that is seen."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self._window = window
        self._document = window.project
        self.thumbnails = Thumbnails(parent=self)
        self.view: TimelineView = TimelineView(window.project, window.record, window.shots, self.thumbnails)
        self.ruler = Ruler(self.view, window.record)
        self.heads = TrackHeads(self.view, window.project)
        self.clipboard: tuple[Placed, ...] = ()
        self._tools: dict[str, QToolButton] = {}
        self._zoom = QSlider(Qt.Orientation.Horizontal)
        self._arrange()
        self._connect()
        self.set_project(window.project.value)

    # What the window calls

    def set_project(self, project: Project) -> None:
        """Show another value."""
        self.view.set_project(project)
        self.heads.set_project(project)
        self.ruler.update()

    def shut_down(self) -> None:
        """End the threads."""
        self.thumbnails.stop()

    # Actions

    @property
    def timeline(self) -> Timeline:
        """As it is now."""
        return self._document.value.timeline

    @property
    def selected(self) -> list[str]:
        """Selected clips; without any, those under the playhead."""
        if self.view.selection:
            return sorted(self.view.selection)
        return self.under_playhead()

    def under_playhead(self) -> list[str]:
        """The clips at the playhead, on tracks that are not locked."""
        at = self._window.record.frame
        return [
            clip.id
            for track in self.timeline.tracks
            if not track.locked
            for clip in track.clips
            if clip.record_in <= at < clip.record_out
        ]

    def edit(self, name: str, edit: Callable[[Timeline], Timeline]) -> bool:
        """One undoable edit of the timeline."""
        return self._document.edit(name, on_timeline(edit))

    def set_tool(self, tool: str) -> None:
        """What the mouse does."""
        self.view.set_tool(tool)
        self._tools[tool].setChecked(True)

    def razor(self, everywhere: bool = False) -> None:
        """Cut at the playhead: the selection, or everything."""
        at = self._window.record.frame
        ids = None if everywhere or not self.view.selection else list(self.view.selection)
        self.edit("Razor", lambda t: scene.razor(t, at, ids))

    def delete(self) -> None:
        """Take the selection away."""
        ids = list(self.view.selection)
        if ids:
            self.edit("Delete", lambda t: scene.delete(t, ids, self.view.linked))

    def ripple_delete(self) -> None:
        """Take the selection away and close up; with nothing selected, close the gap at the playhead."""
        ids = list(self.view.selection)
        if ids:
            self.edit("Ripple delete", lambda t: scene.ripple_delete(t, ids, self.view.linked))
            return
        gap = gap_at(self.timeline, self._window.record.frame)
        if gap is None:
            self._window.say("Select clips, or put the playhead into a gap, to ripple delete")
        else:
            self.edit("Close gap", lambda t: scene.close_gap(t, *gap))

    def copy(self) -> None:
        """Remember the selection."""
        if self.view.selection:
            self.clipboard = scene.copies(self.timeline, sorted(self.view.selection))
            self._window.say(f"Copied {len(self.clipboard)} clips")

    def cut(self) -> None:
        """Remember the selection and take it away."""
        self.copy()
        ids = list(self.view.selection)
        if ids:
            self.edit("Cut", lambda t: scene.delete(t, ids))

    def paste(self, inserted: bool = False) -> None:
        """Lay down what was copied at the playhead."""
        at, clips = self._window.record.frame, self.clipboard
        if not clips:
            self._window.say("Nothing was copied yet")
        elif self.edit("Paste", lambda t: scene.paste(t, clips, at, inserted)):
            self._window.record.seek(at + max(clip.record_out for _, clip in clips))

    def put_source(self, inserted: bool) -> None:
        """What the source monitor shows, between its marks, at the playhead."""
        session = self._window.source_session
        if session.plate is None:
            self._window.say("Open a medium in the source monitor first: double-click it in the bin")
            return
        item = next(
            (i for i in self._document.value.media if self._document.path_of(i.media.path) == session.plate.path), None
        )
        if item is None:
            self._window.say(f"{session.plate.path.name} is not in the bin; drop it there first")
            return
        stop = session.frame_count if session.out_frame is None else session.out_frame + 1
        source = FrameRange(start=session.in_frame or 0, stop=stop)
        self._put(item.id, self._window.record.frame, source, "", inserted)

    def _put(
        self, item_id: str, at: int, source: FrameRange | None, track_id: str, inserted: bool, key: object = None
    ) -> bool:
        before = {clip.id for track in self.timeline.tracks for clip in track.clips}
        name = "Insert" if inserted else "Overwrite"
        if not self._document.edit(name, lambda p: media.put(p, item_id, at, source, track_id, inserted), key):
            return False
        new = [c for t in self.timeline.tracks for c in t.clips if c.id not in before and c.record_in == at]
        self.view.select(frozenset(clip.id for clip in new))
        if not before:
            self.view.zoom_to_fit()
        self._window.record.seek(max((clip.record_out for clip in new), default=at))
        return True

    def drop(self, what: object, track_id: str, frame: int, inserted: bool) -> None:
        """Media of the bin, or files, let go over a track."""
        if not isinstance(what, list):
            return
        known = {item.id for item in self._document.value.media}
        ids = [str(name) for name in what if name in known]
        if ids:
            self.lay(ids, track_id, frame, inserted)
            self._window.record.seek(frame)  # what was let go is seen
        else:
            self._window.import_media([Path(str(name)) for name in what], (track_id, frame, inserted))

    def lay(self, ids: list[str], track_id: str, frame: int, inserted: bool = False) -> None:
        """Media of the bin from a frame on, one behind the other, in one step; the playhead goes behind them.

        Pictures and recordings that are laid over the timeline together begin together: the line lies under its shot.
        """
        key: object = ("lay", object())
        ends = dict.fromkeys(("video", "audio"), frame)
        for name in ids:
            kind = self._document.value.item(name).kind
            at = max(ends.values()) if inserted else ends[kind]
            below = kind == "audio" and not inserted and ends["video"] > frame
            if self._put(name, at, None, self._free_below(at) if below else track_id, inserted, key):
                ends[kind] = self._window.record.frame
        self._document.history.seal()
        self._window.record.seek(max(ends.values()))
        self._window.show_record()

    def _free_below(self, at: int) -> str:
        """The first sound track on which nothing lies from a frame on: a line spares the sound of its shot."""
        tracks = (track for track in self.timeline.tracks if track.kind == "audio" and not track.locked)
        return next((t.id for t in tracks if all(clip.record_out <= at for clip in t.clips)), "")

    def trim_to_playhead(self, end: Literal["in", "out"]) -> None:
        """Move the in or out point of the clips under the playhead to it, and close up."""
        at = self._window.record.frame
        found = scene.shown_clip(self.timeline, at)
        if found is None:
            self._window.say("No clip is under the playhead")
            return
        clip = found[1]
        if end == "in":
            if self.edit("Ripple trim", lambda t: scene.ripple_trim_in(t, clip.id, at - clip.record_in)):
                self._window.record.seek(clip.record_in)
        else:
            self.edit("Ripple trim", lambda t: scene.ripple_trim_out(t, clip.id, at - clip.record_out))

    def nudge(self, delta: int) -> None:
        """Move the selection a frame or more."""
        ids = list(self.view.selection)
        if ids:
            key = ("nudge", tuple(sorted(ids)))
            self._document.edit("Move", on_timeline(lambda t: scene.move(t, ids, delta, None, self.view.linked)), key)

    def go_to_cut(self, step: int) -> None:
        """The next edge of a clip, or the one before."""
        at = self._window.record.frame
        places = scene.edges(replace(self.timeline, markers=()))
        ahead = [frame for frame in places if frame > at] if step > 0 else [f for f in reversed(places) if f < at]
        if ahead:
            self._window.show_record()
            self._window.record.seek(ahead[0])

    def go_to_marker(self, step: int) -> None:
        """The next marker, or the one before."""
        at = self._window.record.frame
        frames = [marker.frame for marker in self.timeline.markers]
        ahead = [frame for frame in frames if frame > at] if step > 0 else [f for f in reversed(frames) if f < at]
        if ahead:
            self._window.show_record()
            self._window.record.seek(ahead[0])

    def add_marker(self) -> None:
        """A marker at the playhead; where there is one already, its note."""
        at = self._window.record.frame
        there = next((marker for marker in self.timeline.markers if marker.frame == at), None)
        if there is None:
            self.edit("Add marker", lambda t: scene.set_marker(t, Marker(frame=at)))
        else:
            self.edit_marker(there)

    def edit_marker(self, marker: Marker) -> None:
        """Ask for a marker's name, note and colour."""
        dialog = MarkerDialog(marker, self)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            changed = dialog.marker()
            if changed is None:
                self.edit("Delete marker", lambda t: scene.remove_marker(t, marker.frame))
            elif changed != marker:
                self.edit("Edit marker", lambda t: scene.set_marker(t, changed))
        dialog.deleteLater()

    def toggle_link(self) -> None:
        """Tie the selected clips together, or set them free."""
        ids = sorted(self.view.selection)
        if any(scene.get(self.timeline, name).link for name in ids):
            self.edit("Unlink", lambda t: scene.unlink(t, ids))
        else:
            self.edit("Link", lambda t: scene.link(t, ids))

    def toggle_enabled(self) -> None:
        """Show and hear the selected clips, or not."""
        ids = self.selected
        on = not all(scene.get(self.timeline, name).enabled for name in ids)

        def switch(timeline: Timeline) -> Timeline:
            for name in ids:
                timeline = scene.change(timeline, name, enabled=on)
            return timeline

        self.edit("Enable clip" if on else "Disable clip", switch)

    def rename_clip(self) -> None:
        """Ask for a clip's name."""
        ids = self.selected
        if not ids:
            return
        old = scene.get(self.timeline, ids[0]).title
        name, sure = QInputDialog.getText(self, "Rename clip", "Name of the clip", text=old)
        if sure and name != old:
            self.edit("Rename clip", lambda t: scene.change(t, ids[0], name=name))

    def step_take(self, step: int) -> None:
        """Show the next take of the clip that is seen; behind the last comes the original."""
        clip = self._window.record.clip()
        if clip is None or not clip.takes:
            self._window.say("The clip under the playhead has no takes")
            return
        names: list[str | None] = [None, *(take.name for take in clip.takes)]
        chosen = names[(names.index(clip.active_take) + step) % len(names)]
        self.edit("Show take", lambda t: edits.show_take(t, clip.id, chosen))

    def add_track(self, kind: Literal["video", "audio"]) -> None:
        """One more."""
        self.edit(f"Add {kind} track", lambda t: scene.add_track(t, kind))

    def select_all(self) -> None:
        """Every clip that is not locked."""
        ids = {clip.id for track in self.timeline.tracks if not track.locked for clip in track.clips}
        self.view.select(frozenset(ids))

    def select_under_playhead(self) -> None:
        """The clips at the playhead, and those linked to them."""
        self.view.select(frozenset(scene.group(self.timeline, self.under_playhead(), self.view.linked)))

    def _open_clip(self, clip_id: str) -> None:
        clip = scene.get(self.timeline, clip_id)
        info = self._window.shots.media(self._document.path_of(clip.media.path))
        if info is not None and not isinstance(info, str):
            self._window.show_in_source(info)
            self._window.seek(clip.media.native_frame(clip.source.start))

    def _show_menu(self, at: QPoint) -> None:
        menu = QMenu(self)
        names = (
            "cut_clips", "copy_clips", "paste_clips", "", "delete_clips", "ripple_delete", "razor", "",
            "toggle_link", "toggle_enabled", "rename_clip", "", "next_take", "previous_take", "", "add_marker",
            "add_video_track", "add_audio_track", "rename_track", "remove_track",
        )  # fmt: skip
        for name in names:
            if name:
                menu.addAction(self._window.actions_by_name[name])
            else:
                menu.addSeparator()
        menu.exec(at)
        menu.deleteLater()

    def target_track(self) -> str:
        """The track that the selection or the playhead is on; else the first."""
        ids = self.selected
        return self.timeline.clip(ids[0])[0].id if ids else self.timeline.tracks[0].id

    def rename_track(self) -> None:
        """Ask for another name of the target track."""
        rename_track(self, self._document, self.target_track())

    def switch_track(self, switch: Switch, word: str) -> None:
        """Lock, mute, solo or hide the target track, or the other way round."""
        name = self.target_track()
        on = not getattr(self.timeline.track(name), switch)
        self.edit(f"{word if on else 'Un' + word.lower()} track", lambda t: scene.switch_track(t, name, switch, on))

    def switch_track_off(self) -> None:
        """Mute a track of sound, hide one of pictures, or the other way round."""
        video = self.timeline.track(self.target_track()).kind == "video"
        self.switch_track("hidden", "Hide") if video else self.switch_track("muted", "Mute")

    def remove_track(self) -> None:
        """Take the target track away."""
        name = self.target_track()
        self.edit("Delete track", lambda t: scene.remove_track(t, name))

    # Putting together

    def _connect(self) -> None:
        self.view.scrubbed.connect(self._scrub)
        self.ruler.scrubbed.connect(self._scrub)
        self.ruler.marker_opened.connect(self.edit_marker)
        self.view.dropped.connect(self.drop)
        self.view.opened.connect(self._open_clip)
        self.view.menu_wanted.connect(self._show_menu)
        self.view.selected.connect(self._window.update_actions)
        self.view.zoomed.connect(self._show_zoom)
        self._zoom.valueChanged.connect(self._set_zoom)
        self._window.media_missing.connect(self._set_missing)

    def _set_missing(self, names: frozenset[str]) -> None:
        self.view.missing = names
        self.thumbnails.forget()
        self.view.viewport().update()

    def _scrub(self, frame: int) -> None:
        if not self._window.on_timeline:
            self._window.show_record()
        self._window.record.seek(frame)

    def _show_zoom(self) -> None:
        self._zoom.blockSignals(True)
        self._zoom.setValue(round(100 * _log(self.view.zoom)))
        self._zoom.blockSignals(False)
        self.ruler.update()

    def _set_zoom(self, value: int) -> None:
        self.view.set_zoom(2.0 ** (value / 100))

    def _arrange(self) -> None:
        tools = QHBoxLayout()
        tools.setContentsMargins(6, 3, 8, 3)
        tools.setSpacing(2)
        group = QButtonGroup(self)
        for tool in TOOLS:
            button = named(QToolButton(), "tool")
            button.setText(tool.capitalize())
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.setToolTip(f"{tool.capitalize()} tool ({_TOOL_KEYS[tool]})")
            button.setAccessibleName(f"{tool.capitalize()} tool")
            button.clicked.connect(lambda _, tool=tool: self.set_tool(tool))
            group.addButton(button)
            tools.addWidget(button)
            self._tools[tool] = button
        self._tools["select"].setChecked(True)
        tools.addSpacing(10)
        for name in ("toggle_snapping", "toggle_linked"):
            button = named(QToolButton(), "tool")
            button.setDefaultAction(self._window.actions_by_name[name])
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            tools.addWidget(button)
        tools.addStretch()
        fit = named(QToolButton(), "tool")
        fit.setDefaultAction(self._window.actions_by_name["zoom_to_fit"])
        fit.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        tools.addWidget(fit)
        self._zoom.setRange(-1000, 530)
        self._zoom.setFixedWidth(130)
        self._zoom.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._zoom.setToolTip("Zoom (Ctrl and the wheel zoom at the mouse)")
        self._zoom.setAccessibleName("Zoom of the timeline")
        tools.addWidget(self._zoom)
        corner = named(QWidget(), "head")
        corner.setFixedHeight(HEIGHT)
        grid = QGridLayout()
        grid.setSpacing(0)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(corner, 0, 0)
        grid.addWidget(self.ruler, 0, 1)
        grid.addWidget(self.heads, 1, 0)
        grid.addWidget(self.view, 1, 1)
        grid.setColumnStretch(1, 1)
        grid.setRowStretch(1, 1)
        column = QVBoxLayout(self)
        column.setSpacing(0)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(tools)
        column.addLayout(grid, 1)
        self.setMinimumHeight(150)


class MarkerDialog(QDialog):
    """A marker's name, note and colour."""

    def __init__(self, marker: Marker, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Marker")
        self._marker, self._gone = marker, False
        self.name = QLineEdit(marker.name)
        self.note = QLineEdit(marker.note)
        self.colour = QComboBox()
        self.colour.addItems([colour.capitalize() for colour in COLOURS])
        self.colour.setCurrentText(marker.colour.capitalize())
        form = QFormLayout()
        for label, widget in (("Name", self.name), ("Note", self.note), ("Colour", self.colour)):
            widget.setAccessibleName(label)
            form.addRow(QLabel(label), widget)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        delete = buttons.addButton("Delete", QDialogButtonBox.ButtonRole.DestructiveRole)
        delete.clicked.connect(self._delete)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(buttons)
        self.setMinimumWidth(380)
        self.note.setFocus()

    def marker(self) -> Marker | None:
        """What the user made of it; None = away with it."""
        if self._gone:
            return None
        colour = self.colour.currentText().upper()
        return replace(self._marker, name=self.name.text(), note=self.note.text(), colour=colour)

    def _delete(self) -> None:
        self._gone = True
        self.accept()


def gap_at(timeline: Timeline, frame: int) -> tuple[int, int] | None:
    """The stretch around a frame that is empty on all tracks that are not locked, with something behind it."""
    clips: list[Clip] = [clip for track in timeline.tracks if not track.locked for clip in track.clips]
    if any(clip.record_in <= frame < clip.record_out for clip in clips):
        return None
    stop = min((clip.record_in for clip in clips if clip.record_in > frame), default=None)
    start = max((clip.record_out for clip in clips if clip.record_out <= frame), default=0)
    return None if stop is None else (start, stop)


def _log(value: float) -> float:
    import math

    return math.log2(value)
