"""Re-dubbing in the window: the form, the queue, the list of takes, and their actions."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QMenu, QMessageBox

from gui.actions import ActionSpec
from gui.decoding import RandomAccess
from gui.matte.part import editor_of
from gui.mixer import Part
from gui.panels import PanelSpec
from gui.redub.faces import FacePicker
from gui.redub.framepreview import FramePreview
from gui.redub.models import list_models
from gui.redub.panel import RedubPanel, takes_folder
from gui.redub.queue import RenderQueue
from gui.redub.queueview import QueueView
from gui.redub.references import Pixels, ReferenceStrip, pictures_of, references_of_take, swapped
from gui.redub.takes import TakeList
from gui.session import Compare, Session
from host_adapters.standalone import edits, scene
from host_adapters.standalone.takenotes import MOST_STARS
from host_adapters.standalone.timeline import Clip, TakeRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QImage

    from gui.redub.queue import Render
    from gui.window import Window
    from host_adapters.standalone.project import Project
    from julnet_plugin.types import RedubRequest


class RedubDock(RedubPanel):
    """The form, connected to the window: its queue, the picture and the project."""

    def __init__(self, window: Window) -> None:
        super().__init__()
        self._window, self._client = window, window.jobs.client
        self.queue = RenderQueue(window.jobs, self)
        self.picker = FacePicker(self._client, window.viewer, self)
        self.frame_preview = FramePreview(self._client, window.viewer, self)
        self.strip = ReferenceStrip(self._swap_reference, window.go_to, lambda: window.session.frame)
        self.thumbnails.addWidget(self.strip)
        self.column.insertWidget(self.column.count() - 1, QueueView(self.queue))
        self._seen: tuple[object, ...] = ()
        self._connect_window()
        self.refresh_models()
        if self.queue.recall():
            self.show_finished("Renders that were stopped last time can go on: press Resume")

    def _connect_window(self) -> None:
        window, queue = self._window, self.queue
        self.redub_requested.connect(self._render)
        self.cancel_requested.connect(self._cancel_running)
        queue.started.connect(self._started)
        queue.ended.connect(self._ended)
        queue.changed.connect(self._suggest_again)
        window.jobs.progressed.connect(self.show_progress)
        self.face_wanted.connect(self._pick_face)
        self.picker.chosen.connect(self.face.setText)
        self.picker.said.connect(window.say)
        self.edited.connect(self._preview)
        self.edited.connect(self._slip)
        self.listen.toggled.connect(self._listen)
        window.player.changed.connect(self._preview)
        self.frame_preview.said.connect(window.say)
        self.frame_preview.shown.connect(self._preview_shown)
        self.recording_wanted.connect(self._record)
        self.clips_wanted.connect(self._choose_clip)

    # What the window shows

    def set_session(self, session: Session) -> None:
        """Follow what the window shows."""
        super().set_session(session)
        seen = (session.take.folder if session.take else None, session.plate and session.plate.path)
        if seen != self._seen:
            self._seen = seen
            self.picker.stop()
            self._show_references(session)
        self._preview()

    def set_project(self, project: Project) -> None:
        """Takes of a saved project go into its folder."""
        self._suggest_again()
        self.refresh_models()

    def refresh_models(self, chosen: str | None = None) -> None:
        """List the shipped models, the user's own and the project's."""
        from gui.preferences import models_folder

        project = self._window.project
        folders = [models_folder()] + ([project.folder / "models"] if project.folder else [])
        self.set_models(list_models(folders), chosen)

    def _suggest_again(self) -> None:
        folder = self._window.project.folder
        waiting = [render.take for render in self.queue.renders]
        self.set_takes_folder(None if folder is None else folder / "takes", waiting)

    # Rendering

    def _render(self, request: RedubRequest) -> None:
        self.show_started()
        self.queue.add(request)

    def _cancel_running(self) -> None:
        if self.queue.running is not None:
            self.queue.cancel(self.queue.running.id)

    def _started(self, render: Render) -> None:
        self.show_started()
        editor_of(self._window).lock(render.take)

    def _ended(self, render: Render) -> None:
        editor_of(self._window).unlock(render.take)
        if render.state == "done":
            self.show_finished(f"Done: {render.take}")
            self._arrived(render)
        elif render.state == "failed":
            self.show_error(render.message, render.details)
        else:
            self.show_finished("Stopped; the same re-dub goes on from there")

    def _arrived(self, render: Render) -> None:
        """A take is there: beside its clip on the timeline, and on screen."""
        window = self._window
        window.shots.forget_take(render.take)
        if render.deliver is not None:
            return  # its picture is what it was
        attached = render.request is not None and self._attach(render.request)
        if not window.on_timeline:
            window.open_session(render.take)
        elif attached:
            window.say(f"{render.take.name} is on its clip: Space plays it, A shows the original, N goes to the worst")
        elif render.request is not None:
            window.say(f"Done: {render.take.name}; no clip of the timeline shows these frames any more")

    def _attach(self, request: RedubRequest) -> bool:
        """Give the take to every clip of the timeline that shows some of its frames; whether there is any."""
        from gui.opening import take_frames

        project, window = self._window.project, self._window
        frames = take_frames(request.take_dir)
        if frames is None:
            return False
        attached = False
        folder = _relative(request.take_dir, project.folder)
        ref = TakeRef(name=request.take_dir.name, folder=folder, frames=frames)
        for track in project.value.timeline.tracks:
            for clip in track.clips if track.kind == "video" else ():
                if project.path_of(clip.media.path) == request.plate and _shows(clip, frames.start, frames.stop):
                    attached |= window.project.edit("Add take", partial(_with_take_on, clip.id, ref))
        return attached

    # Slipping by ear

    def _listen(self, on: bool) -> None:
        """Play the range in a loop, with the dub where the form puts it."""
        window, player = self._window, self._window.player
        if not on:
            player.stop()
            player.set_audition(None)
            return
        if window.on_timeline:
            window.show_source()
        self._slip()
        player.looping = True
        window.go_to(window.session.in_frame or 0)
        player.play(1)

    def _slip(self) -> None:
        if self.listen.isChecked():
            self._window.player.set_audition(self.audition())

    def audition(self) -> tuple[Part, ...]:
        """The dub, where the form puts it under the plate."""
        session, dub = self._window.session, Path(self.dub.text())
        if session.plate is None or not dub.is_file():
            return ()
        at_s = session.plate.time_of(session.in_frame or 0) + self.offset.value()
        skipped_s = max(-self.offset.value(), 0.0)
        return (Part(dub, at_s + skipped_s, skipped_s, session.plate.duration_s),)

    # A frame while parameters move

    def _preview(self) -> None:
        session, request = self._window.session, self.request()
        still = not self._window.player.playing
        wanted = still and self.preview.isChecked() and request is not None and Path(request.dub).is_file()
        self.frame_preview.want(request if wanted else None, session.frame)

    def _preview_shown(self, references: list[int], thumbnails: QImage) -> None:
        if self._window.session.take is None:
            self.strip.show_frames(references, pictures_of(references, thumbnails))

    def _pick_face(self) -> None:
        """Only on a frame that is re-dubbed: elsewhere the request would be refused."""
        session = self._window.session
        first, last = session.in_frame or 0, session.frame_count - 1 if session.out_frame is None else session.out_frame
        if first <= session.frame <= last:
            self.picker.start(session)
        else:
            self._window.say(f"Go to a frame that is re-dubbed first ({first} to {last}), then pick the face there")

    # References

    def _show_references(self, session: Session) -> None:
        if session.take is None:
            self.strip.show_frames((), {})
            return
        folder, frame = session.take.folder, session.frame
        self._window.background.run(
            lambda: references_of_take(folder, frame), lambda found: self.strip.show_frames(*found), lambda _: None
        )

    def _swap_reference(self, position: int, frame: int | None) -> None:
        self.refs.setText(swapped(self.strip.frames, position, frame))
        chosen = [int(text) for text in self.refs.text().split(",") if text.isdigit()]
        self.strip.show_frames(chosen, {})

    # Where the dub comes from

    def _record(self) -> None:
        from gui.redub.recording import RecordingDialog

        session = self._window.session
        if session.plate is None:
            return
        folder = self._window.project.folder or takes_folder(session.plate.path).parent
        dialog = RecordingDialog(folder / "dubs", self._window)
        dialog.recorded.connect(self.set_dub)
        dialog.open()

    def sounds(self) -> list[tuple[Clip, Path]]:
        """Clips of the timeline's sound tracks whose files are there."""
        project = self._window.project
        clips = [c for track in project.value.timeline.tracks if track.kind == "audio" for c in track.clips]
        found = [(clip, project.path_of(clip.media.path)) for clip in clips]
        return [(clip, path) for clip, path in found if path.is_file()]

    def take_sound(self, clip: Clip, path: Path) -> None:
        """Re-dub with the sound of a clip, in sync as it lies on the timeline."""
        session, project = self._window.session, self._window.project
        rate = project.value.timeline.rate
        start = next(
            (c for track in project.value.timeline.tracks if track.kind == "video" for c in track.clips
             if session.plate is not None and project.path_of(c.media.path) == session.plate.path),
            None,
        )  # fmt: skip
        offset_s = 0.0
        if start is not None and session.plate is not None:
            first = session.plate.time_of(session.in_frame or 0)
            picture_s = float(start.sync / rate)
            offset_s = float(clip.sync / rate) - picture_s - first
        self.set_dub(path, round(offset_s, 3))

    def _choose_clip(self) -> None:
        sounds = self.sounds()
        if not sounds:
            self._window.say("There is no sound on the timeline; put the new line on a sound track first")
            return
        menu = QMenu(self)
        for clip, path in sounds:
            menu.addAction(clip.title).triggered.connect(partial(self.take_sound, clip, path))
        from PySide6.QtCore import Qt
        from PySide6.QtGui import QCursor

        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(QCursor.pos())

    # Leaving

    def may_close(self) -> bool:
        """Ask, while a take is rendered."""
        if not self.queue.busy:
            return True
        answer = QMessageBox.question(
            self._window,
            "A take is being rendered",
            "Stop the render and quit? Finished frames are kept; the next start offers to go on from there.",
        )
        return answer is QMessageBox.StandardButton.Yes

    def shut_down(self) -> None:
        """The window closes."""
        self.queue.remember()
        self.frame_preview.close()


class TakesDock(TakeList):
    """The takes, connected to the window."""

    def __init__(self, window: Window) -> None:
        super().__init__(window.background, window.project.history, window.say)
        self._window = window
        self._other: RandomAccess | None = None
        self._other_start = 0
        self.opened.connect(self.see)
        self.compare_wanted.connect(self.compare_with)
        self.deleted.connect(self._gone)

    def set_project(self, project: Project) -> None:
        """Takes lie in the project's folder too."""
        folder = self._window.project.folder
        folders = () if folder is None else (folder / "takes",)
        if folders != self._folders:
            self.set_folders(folders)

    def see(self, folder: Path) -> None:
        """Show a take: of the clip that is seen where it has it, alone otherwise."""
        window = self._window
        clip = window.record.clip() if window.on_timeline else None
        mine = next((t for t in clip.takes if window.project.path_of(t.folder) == folder), None) if clip else None
        if clip is not None and mine is not None:
            window.project.edit("Show take", partial(_showing, clip.id, mine.name))
        else:
            window.open_session(folder)

    def compare_with(self, folder: Path) -> None:
        """Show another take where the original would be: wipe, side by side and difference compare the two."""
        from gui.opening import open_take

        plate = self._window.session.plate
        if plate is None:
            return
        self._window.background.run(lambda: open_take(folder, plate), self._compare, self._say)

    def stop_comparing(self) -> None:
        """The original is the original again."""
        self._window.renderer.sources.pop("plate", None)
        self._other = None
        self._window.renderer.show(self._window.session)

    def _compare(self, other: object) -> None:
        from gui.session import TakeView

        assert isinstance(other, TakeView)
        self._other, self._other_start = RandomAccess(other.dub, other.colour_space), other.frames.start

        def source(session: Session) -> Pixels | None:
            access = self._other
            return (
                access.frame(session.frame - other.frames.start) if access and session.frame in other.frames else None
            )

        self._window.renderer.sources["plate"] = source
        window = self._window
        window.set_session(replace(window.session, compare=Compare.WIPE))
        self._say(f"On the left {other.folder.name}, on the right the take on screen; Shift+T ends it")

    def _gone(self, folder: Path) -> None:
        """No clip shows a take that is deleted."""
        project = self._window.project
        for track in project.value.timeline.tracks:
            for clip in track.clips:
                kept = tuple(t for t in clip.takes if project.path_of(t.folder) != folder)
                if kept != clip.takes:
                    project.edit("Take deleted take off its clip", partial(_keeping, clip.id, kept))
        take = self._window.session.take
        if take is not None and take.folder == folder:
            self._window.set_session(replace(self._window.session, take=None, compare=Compare.PLATE))


def _with_take_on(clip_id: str, take: TakeRef, project: Project) -> Project:
    return replace(project, timeline=edits.add_take(project.timeline, clip_id, take))


def _keeping(clip_id: str, takes: tuple[TakeRef, ...], project: Project) -> Project:
    active = next((c.active_take for t in project.timeline.tracks for c in t.clips if c.id == clip_id), None)
    shown = active if any(take.name == active for take in takes) else None
    return replace(project, timeline=scene.change(project.timeline, clip_id, takes=takes, active_take=shown))


def _showing(clip_id: str, name: str, project: Project) -> Project:
    return replace(project, timeline=edits.show_take(project.timeline, clip_id, name))


def _relative(path: Path, folder: Path | None) -> str:
    if folder is not None and path.is_relative_to(folder):
        return str(path.relative_to(folder))
    return str(path)


def _shows(clip: Clip, start: int, stop: int) -> bool:
    """Whether a clip shows any of the media's own frames start ≤ f < stop."""
    first, last = clip.media.native_frame(clip.source.start), clip.media.native_frame(clip.source.stop - 1)
    return first < stop and start <= last


def _redub(window: Window) -> RedubDock:
    panel = window.panels["redub"]
    assert isinstance(panel, RedubDock)
    return panel


def _takes(window: Window) -> TakesDock:
    panel = window.panels["takes"]
    assert isinstance(panel, TakesDock)
    return panel


def _update_take(window: Window) -> None:
    """Write the take's files anew from the edited matte, in the background."""
    editor, take = editor_of(window), window.session.take
    if take is None:
        return
    sentence = editor.save_now()
    if sentence is not None:
        window.say(sentence)
    elif _redub(window).queue.composite(take.folder) is not None:
        window.say("The take's picture and matte are written anew in the background")


def _start(window: Window) -> None:
    panel = _redub(window)
    request = panel.request()
    if request is None:
        window.say("Choose the dub first (Ctrl+D)")
        window.docks.raise_panel("redub")
    else:
        panel.redub_requested.emit(request)


def _toggle_preview(window: Window) -> None:
    box = _redub(window).preview
    box.setChecked(not box.isChecked())


def _with_plate(session: Session) -> bool:
    return session.plate is not None


def _with_take(session: Session) -> bool:
    return session.take is not None


def _action(
    name: str,
    title: str,
    tip: str,
    run: Callable[[Window], object],
    *keys: str,
    enabled: Callable[[Session], bool] = _with_plate,
    new_group: bool = False,
) -> ActionSpec:
    return ActionSpec(
        name=name, menu="&Re-dub", title=title, tip=tip, keys=keys, enabled=enabled, run=run, new_group=new_group
    )


def _rating(stars: int) -> ActionSpec:
    return _action(
        f"rate_{stars}",
        f"Rate take {'★' * stars}",
        f"Give the take {stars} of {MOST_STARS} stars; the same again takes them back",
        lambda window: _takes(window).rate(stars),
        f"Ctrl+Alt+{stars}",
        enabled=_with_take,
        new_group=stars == 1,
    )


PANELS = (
    PanelSpec(name="redub", title="Re-dub", area="right", make=RedubDock, tip="What to re-dub with", keys=("Alt+3",)),
    PanelSpec(
        name="takes",
        title="Takes",
        area="right",
        make=TakesDock,
        tip="Rate, name and compare takes",
        keys=("Alt+4",),
        tab_with="redub",
    ),
)

ACTIONS = (
    _action(
        "choose_dub",
        "Choose &dub…",
        "Choose the recording that the mouth shall follow",
        lambda window: _redub(window).choose_dub(),
        "Ctrl+D",
    ),
    _action(
        "record_dub",
        "&Record dub…",
        "Record the line with a microphone",
        lambda window: _redub(window).recording_wanted.emit(),
        "Ctrl+Shift+R",
    ),
    _action(
        "pick_face",
        "Pick &face",
        "Choose the face on the picture",
        lambda window: _redub(window).face_wanted.emit(),
        "Ctrl+Shift+F",
    ),
    _action(
        "dub_earlier",
        "Dub a frame &earlier",
        "Slip the dub by a frame",
        lambda w: _redub(w).nudge(-1),
        "Ctrl+Left",
        new_group=True,
    ),
    _action("dub_later", "Dub a frame &later", "Slip the dub by a frame", lambda w: _redub(w).nudge(1), "Ctrl+Right"),
    _action(
        "listen",
        "L&isten",
        "Play the range in a loop with the dub under it, and slip the dub by ear",
        lambda window: _redub(window).listen.toggle(),
        "Ctrl+Alt+Space",
    ),
    _action("redub", "Re-dub", "Render a take in the background", _start, "Ctrl+R"),
    _action("preview_frame", "&Preview this frame", "One frame as the take would show it", _toggle_preview, "Ctrl+P"),
    _action(
        "update_take",
        "&Update take",
        "Write the take's files anew from the edited matte, in the background",
        _update_take,
        "Ctrl+U",
        enabled=_with_take,
        new_group=True,
    ),
    _action(
        "seen_take_next", "&Next take", "See the next take of this plate", lambda w: _takes(w).step(1), "Ctrl+Down"
    ),
    _action(
        "seen_take_previous",
        "Previous take",
        "See the take of this plate before",
        lambda window: _takes(window).step(-1),
        "Ctrl+Up",
    ),
    _action(
        "stop_comparing",
        "Compare with the &original",
        "Put the original back where another take was compared with",
        lambda window: _takes(window).stop_comparing(),
        "Shift+T",
    ),
    _action(
        "name_take", "Name take…", "Give the take a name", lambda w: _takes(w).rename(), "Ctrl+F2", enabled=_with_take
    ),
    _action(
        "delete_take",
        "Delete take",
        "Take the take on screen away; undo brings it back",
        lambda window: _takes(window).delete(),
        "Ctrl+Delete",
        enabled=_with_take,
    ),
    *(_rating(stars) for stars in range(1, MOST_STARS + 1)),
)
