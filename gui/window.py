"""The editor's window: puts the parts together and holds the session that they show."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, Qt, Signal
from PySide6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDropEvent, QImage, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QButtonGroup,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMainWindow,
    QSizePolicy,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui import panels, preferences
from gui import session as sessions
from gui.actions import ActionSpec
from gui.background import Background, sentence_of
from gui.docking import Docks
from gui.document import Document
from gui.entry import TimecodeEntry, parse_position
from gui.jobs import RedubJobs
from gui.messages import Messages
from gui.opening import is_take, open_path, open_take
from gui.palette import CommandPalette, ShortcutEditor
from gui.playback import Player
from gui.projects import Projects
from gui.proxies import Proxies
from gui.record import Record
from gui.renderer import Renderer
from gui.session import Compare, Session, TakeView
from gui.shots import Shots
from gui.widgets.building import named
from gui.widgets.scrub_bar import ScrubBar
from gui.widgets.transport import Transport
from gui.widgets.viewer import Viewer
from gui.widgets.welcome import Welcome
from julnet_plugin.errors import TimeRangeError
from julnet_plugin.media.timecode import Timecode, rate_text, start_of, timecode_of

if TYPE_CHECKING:
    from host_adapters.worker_client import WorkerClient
    from julnet_plugin.types import MediaInfo

WELCOME = "Import media with Ctrl+I, or drop them here"
_SAID_MS = 30_000
_LAYOUT = 1  #: raised when docks are renamed: older layouts are then not restored
_MENUS = ("&File", "&Edit", "&Clip", "&Sequence", "&Playhead", "&Re-dub", "&Matte", "&View", "&Window", "&Help")


class Window(QMainWindow):
    """The editor: two monitors in one viewer, the panels around it, and the project that they show.

    Signals:
        media_missing(frozenset[str]): these files of the project are not there, by the project's names.
    """

    media_missing = Signal(object)

    def __init__(self, client: WorkerClient) -> None:
        super().__init__()
        self.setObjectName("editor")
        self._session = Session()
        self._client = client
        self.messages: Messages = Messages(self)
        self.jobs = RedubJobs(client, self)
        self.background = Background(self)
        self.renderer = Renderer(self)
        self.project: Document = Document(self)
        self.shots = Shots(self)
        self.proxies: Proxies = Proxies(parent=self)
        self.renderer.proxy_of = self.proxies.get
        self.record = Record(self.project, self.shots, self)
        self._source = Session()
        self.shown_frame: Session | None = None  #: whose picture is on screen
        self.viewer: Viewer = Viewer()
        self.scrub_bar = ScrubBar()
        self._monitors: dict[bool, QToolButton] = {}
        self.action_specs = panels.action_specs()
        self.actions_by_name: dict[str, QAction] = {}
        self.timecode: TimecodeEntry = TimecodeEntry()
        self._shown = named(QLabel(), "quiet")
        self._size = named(QToolButton(), "tab")
        self._opacity = QSlider(Qt.Orientation.Horizontal)
        self.player: Player = Player(self)
        self.projects: Projects = Projects(self)
        self._full: QByteArray | None = None
        self._proxy_seen = False
        self._build_actions()
        self.welcome = Welcome(self)
        self._arrange()
        self.docks = Docks(self, panels.panel_specs())
        self._finish_menus()
        self._connect()
        self._restore_layout()
        self.viewer.set_message(WELCOME)
        self.set_session(Session())
        self.viewer.setFocus()  # keys are the playhead's and not a search field's

    # What is shown

    @property
    def session(self) -> Session:
        """What is shown."""
        return self._session

    @property
    def panels(self) -> dict[str, QWidget]:
        """The panels by name."""
        return self.docks.panels

    def say(self, sentence: str, details: str = "") -> None:
        """Tell the user one sentence, in the status bar, with details for whoever asks."""
        self.messages.say(sentence, details)

    @property
    def source_session(self) -> Session:
        """What the source monitor shows, or would show."""
        return self._source

    @property
    def on_timeline(self) -> bool:
        """Whether the viewer is the record monitor (the timeline) and not the source monitor (one medium)."""
        return self._session.on_timeline

    def set_session(self, session: Session) -> None:
        """Show another session: the one way in which anything on screen changes."""
        self._session = session
        if not session.on_timeline:
            self._source = session
        self.scrub_bar.setVisible(not session.on_timeline)
        self._monitors[session.on_timeline].setChecked(True)
        self.scrub_bar.set_session(session)
        self.docks.set_session(session)
        self.welcome.setVisible(session.plate is None and not self.project.value.media)
        if not self.player.playing:
            self.update_actions()
        self._opacity.setEnabled(session.overlay and session.take is not None)
        self.projects.show_title()
        self._describe(session)
        if session.plate is not None:
            if self.viewer.image is None:
                self.viewer.set_message("")  # the picture is on its way, or the sentence why there is none
            self.proxies.look(_media_of(session))
            self.renderer.show(session)

    def update_actions(self) -> None:
        """What can be done now, and what is on."""
        for spec in self.action_specs:
            action = self.actions_by_name[spec.name]
            action.setEnabled(spec.enabled_in(self))
            if spec.checkable:
                action.setChecked(spec.checked_in(self))
        history = self.project.history
        for name, word, what in (("undo", "Undo", history.undo_name), ("redo", "Redo", history.redo_name)):
            self.actions_by_name[name].setText(f"&{word} {what[0].lower() + what[1:]}" if what else f"&{word}")

    def _describe(self, session: Session) -> None:
        if session.on_timeline:
            timeline = self.project.value.timeline
            at = Timecode(
                frame=timeline.start_frame + self.record.frame, rate=timeline.rate, drop_frame=timeline.drop_frame
            )
            self.timecode.show_label(str(at))
        elif session.plate is not None:
            self.timecode.show_label(timecode_of(session.plate, session.frame))
        else:
            self.timecode.show_label("--:--:--:--")
        if session.plate is None:
            self._shown.setText("")
            return
        looked_at = session.compare.value if session.take is not None else "Plate"
        if session.take is not None and session.take_frame is None:
            looked_at = "Plate (outside the take)"
        text = [looked_at, f"frame {session.frame} of {session.frame_count}", f"{rate_text(session.plate.rate)} fps"]
        if session.take is not None and session.take_frame is not None:
            text.append(f"σ {255 * session.take.sigma[session.take_frame]:.1f} of 255")
        self._shown.setText("   ·   ".join(text))

    def _show_image(self, session: Session, image: QImage) -> None:
        if session.plate is self._session.plate and session.plate is not None:
            self.shown_frame = session
            if self._proxy_seen != self.renderer.from_proxy:
                self._proxy_seen = self.renderer.from_proxy
                self._show_note()
            self.viewer.set_image(image, float(session.plate.pixel_aspect))

    def _show_failure(self, session: Session, sentence: str) -> None:
        if session.plate is self._session.plate:
            self.viewer.set_message(sentence)

    # Opening

    def open(self, path: Path) -> None:
        """Open a project, a timeline of another program, a take, or a medium; media go into the bin."""
        self.projects.open(path)

    def open_session(self, path: Path) -> None:
        """Show a plate, or a take with its plate, in the source monitor."""
        self.say(f"Opening {path.name}…")
        plate = self._session.plate
        if is_take(path) and plate is not None:
            self.background.run(lambda: self._beside_or_alone(path, plate), self._opened, self._not_opened)
        else:
            self.background.run(lambda: open_path(path), self._opened, self._not_opened)

    def import_media(self, paths: list[Path], place: tuple[str, int, bool] | None = None) -> None:
        """Put files into the bin, and with a place (track, frame, insert) onto the timeline."""
        self.projects.import_media(paths, place)

    def _beside_or_alone(self, path: Path, plate: MediaInfo) -> Session | TakeView:
        """A take beside the plate that is open, or, when it is another plate's, with its own. Runs on a thread."""
        from julnet_plugin.errors import TakeError

        try:
            return open_take(path, plate)
        except TakeError:
            return open_path(path)

    def _opened(self, found: Session | TakeView) -> None:
        self.say("")
        if isinstance(found, TakeView):
            found = sessions.with_take(replace(self._session, on_timeline=False, clip_id=None), found)
        self.set_session(found)
        if found.plate is not None:
            self.shots.know(found.plate, found.plate.path)
            self.projects.add_media([found.plate])
        if found.take is not None and found.take.warnings:
            self.say("; ".join(found.take.warnings))

    def _not_opened(self, sentence: str) -> None:
        self.say(sentence)
        if self._session.plate is None:
            self.viewer.set_message(sentence)

    def choose_take(self) -> None:
        """Ask for a take folder."""
        name = QFileDialog.getExistingDirectory(self, "Open a take", self.projects.last_folder())
        if name:
            self.open(Path(name))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: D102
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: D102
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if len(paths) > 1:
            self.import_media(paths)
        elif paths:
            self.open(paths[0])

    # Monitors

    def show_source(self) -> None:
        """The medium that was looked at last, alone."""
        self.set_session(self._source)
        if self._source.plate is None:
            self.viewer.set_message(WELCOME)

    def show_record(self) -> None:
        """The timeline."""
        session, sentence = self.record.session(self._session)
        known = self._session.on_timeline and session == self._session
        if not known or not session.plate:
            self.set_session(session)
        if session.plate is None:
            self.viewer.set_message(sentence)
        elif sentence:
            self.say(sentence)

    def toggle_monitor(self) -> None:
        """From one monitor to the other."""
        if self.on_timeline:
            self.show_source()
        else:
            self.show_record()

    def show_in_source(self, info: MediaInfo) -> None:
        """Look at a medium alone."""
        if self._source.plate is not None and self._source.plate.path == info.path:
            self.set_session(self._source)
        else:
            self.set_session(sessions.with_plate(self._source, info))

    def _show_size(self) -> None:
        self._size.setText("Fit" if self.viewer.zoom == 1 else f"{self.viewer.percent:.0f} %")

    def _show_playing(self) -> None:
        player, renderer = self.player, self.renderer
        quick = player.playing and self.proxies.automatic
        if renderer.quick and not quick:
            renderer.quick = False
            renderer.show(self._session)  # what stands still is the medium's own
        renderer.quick = quick
        self._show_note()
        self.update_actions()

    def _show_note(self) -> None:
        """What is to be known of the picture that plays."""
        player = self.player
        said = f"{player.speed:g}×" if player.speed not in (0, 1) else ""
        lost = f"{player.dropped} frames dropped" if player.dropped else ""
        share = self.proxies.share
        making = f"making a proxy, {100 * share:.0f} %" if share < 1 else ""
        proxy = "proxy" if self._proxy_seen else ""
        self.note.setText("  ·  ".join(part for part in (proxy, said, lost, making) if part))

    def _fell_behind(self, session: Session) -> None:
        """Playing cannot keep up: small copies of what is seen are made, and used as soon as they are there."""
        if self.proxies.automatic:
            self.proxies.want(_media_of(session))

    def make_proxies(self) -> None:
        """Of the media that are selected in the bin, else of what is seen."""
        known = [self.shots.media(path) for path in self.projects.selected_media()]
        infos = [info for info in known if info is not None and not isinstance(info, str)]
        missing = self.proxies.want(infos or _media_of(self._session))
        self.say(
            f"Making {missing} proxies in the background" if missing else "These media need no proxies, or have them"
        )

    def toggle_proxies(self) -> None:
        """Play small copies where the machine falls behind, or never."""
        self.proxies.set_automatic(not self.proxies.automatic)
        self._show_playing()

    def _timeline_changed(self) -> None:
        if self.on_timeline:
            self.show_record()
        self._describe(self._session)

    # The playhead

    @property
    def position(self) -> int:
        """The frame of the monitor that is shown: of the timeline, or of the medium."""
        return self.record.frame if self.on_timeline else self._session.frame

    @property
    def length(self) -> int:
        """Frames of the monitor that is shown."""
        return self.record.frame_count if self.on_timeline else self._session.frame_count

    def seek(self, position: int) -> None:
        """Show a frame of the monitor that is shown."""
        if self.on_timeline:
            self.record.seek(position)
        else:
            self.set_session(sessions.at_frame(self._session, position))

    def go_to(self, frame: int) -> None:
        """Show a frame of the plate that is seen; on the timeline the playhead goes there, inside the clip."""
        clip = self.record.clip() if self.on_timeline else None
        self.seek(frame if clip is None else self.record.frame_of(clip, frame))

    def step_forward(self) -> None:
        """One frame."""
        self.seek(self.position + 1)

    def step_back(self) -> None:
        """One frame."""
        self.seek(self.position - 1)

    def second_forward(self) -> None:
        """One second."""
        self.seek(self.position + self._second())

    def second_back(self) -> None:
        """One second."""
        self.seek(self.position - self._second())

    def _second(self) -> int:
        return round(self.rate)

    @property
    def rate(self) -> Fraction:
        """Frames a second of the monitor that is shown."""
        if self.on_timeline or self._session.plate is None:
            return self.project.value.timeline.rate
        return self._session.plate.rate

    def first_frame(self) -> None:
        """The first."""
        self.seek(0)

    def last_frame(self) -> None:
        """The last."""
        self.seek(self.length - 1)

    def enter_position(self, text: str) -> None:
        """Go where the user typed."""
        timeline, plate = self.project.value.timeline, self._session.plate
        if self.on_timeline:
            start, drop = timeline.start_frame, timeline.drop_frame
        elif plate is not None:
            start, drop = start_of(plate).frame, start_of(plate).drop_frame
        else:
            return
        try:
            frame = parse_position(text, self.position, self.rate, start, drop)
        except TimeRangeError as exc:
            self.say(sentence_of(exc))
            return
        self.seek(frame)

    def go_to_in(self) -> None:
        """The in point."""
        marks = self.record if self.on_timeline else self._session
        self.seek(marks.in_frame or 0)

    def go_to_out(self) -> None:
        """The out point."""
        marks = self.record if self.on_timeline else self._session
        self.seek(self.length - 1 if marks.out_frame is None else marks.out_frame)

    def toggle_loop(self) -> None:
        """Play again and again between the marks, or once."""
        self.player.looping = not self.player.looping
        self.update_actions()

    def toggle_full_screen(self) -> None:
        """The picture alone, or everything."""
        if self._full is None:
            self._full = self.saveState(_LAYOUT)
            for dock in self.docks.docks.values():
                dock.hide()
            self.menuBar().hide()
            self.statusBar().hide()
            self.showFullScreen()
        else:
            self.showNormal()
            self.menuBar().show()
            self.statusBar().show()
            self.restoreState(self._full, _LAYOUT)
            self._full = None
        self.update_actions()

    @property
    def full_screen(self) -> bool:
        """Whether the picture is alone."""
        return self._full is not None

    def show_palette(self) -> None:
        """Find an action by its name."""
        palette = CommandPalette(self)
        palette.exec()
        palette.deleteLater()

    def zoom_picture(self, factor: float) -> None:
        """Show the picture larger or smaller."""
        self.viewer.set_zoom(self.viewer.zoom * factor)

    def edit_keys(self) -> None:
        """Change shortcuts."""
        editor = ShortcutEditor(self)
        editor.exec()
        editor.deleteLater()

    def mark_in(self) -> None:
        """The first frame to re-dub, or to lay into the timeline."""
        if self.on_timeline:
            self.record.mark(self.record.frame, self.record.out_frame)
        else:
            self.set_session(sessions.with_in_point(self._session))

    def mark_out(self) -> None:
        """The last."""
        if self.on_timeline:
            self.record.mark(self.record.in_frame, self.record.frame)
        else:
            self.set_session(sessions.with_out_point(self._session))

    def clear_marks(self) -> None:
        """Everything."""
        if self.on_timeline:
            self.record.mark(None, None)
        else:
            self.set_session(replace(self._session, in_frame=None, out_frame=None))

    def next_worst(self) -> None:
        """The next stretch in order of uncertainty."""
        self._walk(1)

    def previous_worst(self) -> None:
        """The one before."""
        self._walk(-1)

    def _walk(self, step: sessions.Direction) -> None:
        take = self._session.take
        span = sessions.next_span(self._session, step)
        if span is not None:
            self.go_to(span.peak)
            self.say(f"Frames {span.start} to {span.stop - 1}: {span.sentence}")
        elif take is not None and take.worst_frame is not None:
            self.go_to(take.worst_frame)
            self.say("The take lists no stretch to look at; this is its most uncertain frame")
        else:
            self.say("No frame of this take was re-dubbed")

    # Ways of looking

    def toggle_dub(self) -> None:
        """The original or the take."""
        self.set_session(sessions.toggled(self._session, Compare.DUB))

    def toggle_wipe(self) -> None:
        """Both, side by side in one picture."""
        self.set_session(sessions.toggled(self._session, Compare.WIPE))

    def toggle_split(self) -> None:
        """Both, beside one another."""
        self.set_session(sessions.toggled(self._session, Compare.SPLIT))

    def toggle_difference(self) -> None:
        """What re-dubbing changed."""
        self.set_session(sessions.toggled(self._session, Compare.DIFFERENCE))

    def toggle_overlay(self) -> None:
        """The uncertainty matte."""
        self.set_session(replace(self._session, overlay=not self._session.overlay))

    def _move_wipe(self, share: float) -> None:
        if self._session.compare is Compare.WIPE:
            self.set_session(replace(self._session, wipe=share))

    def _set_opacity(self, percent: int) -> None:
        self.set_session(replace(self._session, opacity=percent / 100))

    def change_opacity(self, percent: int) -> None:
        """More or less of the overlay."""
        self._opacity.setValue(self._opacity.value() + percent)

    # Undo

    def undo(self) -> None:
        """Take the last step back."""
        name = self.project.history.undo_name
        if self.project.history.undo():
            self.say(f"Undone: {name}")

    def redo(self) -> None:
        """Do it again."""
        name = self.project.history.redo_name
        if self.project.history.redo():
            self.say(f"Done again: {name}")

    # Keys that are nobody's action

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102
        key = event.key()
        writing = isinstance(QApplication.focusWidget(), QLineEdit | QAbstractSpinBox)
        if writing and key in (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.viewer.setFocus()  # what was typed is done: keys move the playhead again
        elif key == Qt.Key.Key_Escape and self.viewer.tool is not None:
            self.viewer.tool.leave()
        elif key == Qt.Key.Key_Escape and self.full_screen:
            self.toggle_full_screen()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:  # noqa: D102
        if not event.isAutoRepeat():
            self.player.holding = False
        super().keyReleaseEvent(event)

    # Leaving

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: D102
        if not self.docks.may_close() or not self.projects.may_close():
            event.ignore()
            return
        if self._full is None:
            preferences.set_layout(self.saveGeometry(), self.saveState(_LAYOUT))
        self.player.shut_down()
        self.docks.shut_down()
        self.projects.shut_down()
        self.shots.stop()
        self.proxies.stop()
        self._client.close()
        self.renderer.stop()
        self.background.wait()
        event.accept()

    def reset_layout(self) -> None:
        """Every panel where it was on first start."""
        preferences.forget_layout()
        self.docks.arrange()

    def _restore_layout(self) -> None:
        kept = preferences.layout()
        if kept is not None:
            self.restoreGeometry(kept[0])
            self.restoreState(kept[1], _LAYOUT)

    # Putting together

    def _build_actions(self) -> None:
        names = dict.fromkeys((*_MENUS, *(spec.menu for spec in self.action_specs)))
        self._menus = {menu: self.menuBar().addMenu(menu) for menu in names}
        changed = preferences.keys()
        for spec in self.action_specs:
            action = self._action(spec, changed.get(spec.name, list(spec.keys)))
            self.actions_by_name[spec.name] = action
            if spec.new_group:
                self._menus[spec.menu].addSeparator()
            self._menus[spec.menu].addAction(action)
            self.addAction(action)  # works while the menu bar is hidden, too

    def _finish_menus(self) -> None:
        for menu in self._menus.values():
            menu.setToolTipsVisible(True)
            menu.menuAction().setVisible(not menu.isEmpty())

    def _action(self, spec: ActionSpec, keys: list[str]) -> QAction:
        action = QAction(spec.title, self, checkable=spec.checkable)
        action.setObjectName(spec.name)
        action.setStatusTip(spec.tip)
        action.triggered.connect(lambda: spec.run_in(self))
        self.set_keys(action, keys, spec.tip)
        return action

    def set_keys(self, action: QAction, keys: list[str], tip: str) -> None:
        """Give an action its shortcuts; its tool tip names the first."""
        action.setShortcuts([QKeySequence(key) for key in keys])
        action.setToolTip(f"{tip} ({keys[0]})" if keys else tip)

    def _arrange(self) -> None:
        below = QHBoxLayout()
        below.setSpacing(8)
        below.setContentsMargins(12, 6, 12, 4)
        below.addWidget(self.timecode)
        below.addWidget(Transport(self))
        below.addStretch(1)
        for name in ("toggle_dub", "toggle_wipe", "toggle_overlay"):
            button = QToolButton()
            button.setDefaultAction(self.actions_by_name[name])
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            below.addWidget(button)
        self._opacity.setRange(0, 100)
        self._opacity.setToolTip("Opacity of the overlay")
        self._opacity.setValue(round(100 * self._session.opacity))
        self._opacity.setFixedWidth(110)
        self._opacity.setAccessibleName("Opacity of the uncertainty overlay")
        below.addWidget(self._opacity)
        stage = QWidget()
        column = QVBoxLayout(stage)
        column.setSpacing(0)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._monitor_bar())
        column.addWidget(self.viewer, 1)
        column.addWidget(self.scrub_bar)
        column.addLayout(below)
        self.setCentralWidget(stage)
        self.statusBar().setSizeGripEnabled(False)
        self.setAcceptDrops(True)
        self.resize(1440, 900)

    def _monitor_bar(self) -> QWidget:
        bar = named(QWidget(), "bar")
        line = QHBoxLayout(bar)
        line.setContentsMargins(8, 3, 8, 3)
        line.setSpacing(4)
        group = QButtonGroup(self)
        for on_timeline, name, show in ((False, "Source", self.show_source), (True, "Timeline", self.show_record)):
            button = named(QToolButton(), "tab")
            button.setText(name)
            button.setCheckable(True)
            button.setToolTip(f"{'Record' if on_timeline else 'Source'} monitor (Q changes between the two)")
            button.setAccessibleName(f"{name} monitor")
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(show)
            group.addButton(button)
            line.addWidget(button)
            self._monitors[on_timeline] = button
        line.addSpacing(10)
        self._shown.setSizePolicy(
            QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred
        )  # it may not widen the window
        line.addWidget(self._shown, 1)
        self.note = named(QLabel(), "quiet")
        line.addWidget(self.note)
        self._size.setText("Fit")
        self._size.setToolTip("Size of the picture; the wheel changes it, a click here shows all of it (Shift+Z)")
        self._size.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._size.clicked.connect(self.actions_by_name["fit_picture"].trigger)
        line.addWidget(self._size)
        return bar

    def _connect(self) -> None:
        self.renderer.shown.connect(self._show_image)
        self.renderer.failed.connect(self._show_failure)
        self.scrub_bar.scrubbed.connect(self.go_to)
        self.viewer.dragged.connect(self._move_wipe)
        self.viewer.zoomed.connect(self._show_size)
        self._opacity.valueChanged.connect(self._set_opacity)
        self.timecode.entered.connect(self.enter_position)
        self.player.changed.connect(self._show_playing)
        self.player.behind.connect(self._fell_behind)
        self.proxies.changed.connect(self._show_playing)
        self.proxies.failed.connect(self.say)
        self.project.refused.connect(self.say)
        self.project.changed.connect(self.docks.set_project)
        self.project.changed.connect(self._timeline_changed)
        self.record.moved.connect(self._timeline_changed)
        self.record.marked.connect(self._timeline_changed)
        self.shots.learned.connect(self._timeline_changed)
        self.project.history_changed.connect(self.update_actions)
        for dock in self.docks.docks.values():
            dock.visibilityChanged.connect(lambda _: self.update_actions())


def _media_of(session: Session) -> list[MediaInfo]:
    """The movies that a session's picture is made from."""
    found = [session.plate, None if session.take is None else session.take.dub]
    return [info for info in found if info is not None]
