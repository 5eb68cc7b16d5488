"""The timeline under the mouse and the keys, and projects as a user has them."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="the editor's extra is not installed")

from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QImage, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QWidget

from benchmarks.editor_leaks import Held, leaks_in
from gui import bin as media_bin
from gui import preferences, theme, timeline
from gui.palette import CommandPalette, ShortcutEditor, score
from gui.projects import unsaved_folder
from gui.timeline.panel import TimelinePanel
from gui.timeline.view import nice_step
from gui.window import Window
from host_adapters.standalone import scene, storage
from host_adapters.standalone.project import on_timeline
from host_adapters.worker_client import WorkerClient
from julnet_plugin.types import RedubRequest

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints")
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[Window]:
    window = Window(WorkerClient())
    window.show()
    yield window
    window.close()
    window.deleteLater()


@pytest.fixture
def panel(qtbot: QtBot, window: Window, plate: Path) -> TimelinePanel:
    """The plate on V1 three times: 0 to 12, 12 to 24, 24 to 36."""
    window.import_media([plate])
    qtbot.waitUntil(lambda: bool(window.project.value.media), timeout=20_000)
    panel = timeline.of(window)
    for at in (0, 12, 24):
        panel.drop(["plate"], "v1", at, False)
    panel.view.set_zoom(12.0, 0)
    panel.view.horizontalScrollBar().setValue(0)
    window.record.seek(36)
    return panel


def clips(panel: TimelinePanel, track: str = "v1") -> list[tuple[int, int, int]]:
    """(record in, first source frame, length) of every clip."""
    return [(c.record_in, c.source.start, len(c.source)) for c in panel.timeline.track(track).clips]


def at(panel: TimelinePanel, frame: float, track: str = "v1") -> QPoint:
    top, height = panel.view.rows()[track]
    return QPoint(round(panel.view.x_of(frame)), round(top + height / 2))


def drag(panel: TimelinePanel, start: QPoint, end: QPoint, keys: Any = Qt.KeyboardModifier.NoModifier) -> None:
    port = panel.view.viewport()
    QTest.mousePress(port, LEFT, keys, start)
    for part in (0.3, 0.7, 1.0):
        point = QPointF(start + (end - start) * part)
        QTest.mouseMove(port, point.toPoint())
        from PySide6.QtCore import QEvent
        from PySide6.QtGui import QMouseEvent

        event = QMouseEvent(QEvent.Type.MouseMove, point, port.mapToGlobal(point), LEFT, LEFT, keys)
        QApplication.sendEvent(port, event)
    QTest.mouseRelease(port, LEFT, keys, end)


def test_a_drag_moves_a_clip_snaps_and_is_one_undo_step(window: Window, panel: TimelinePanel) -> None:
    before = window.project.value
    steps = len(window.project.history.names)
    drag(panel, at(panel, 30), at(panel, 30 + 11.7))  # one frame short of its own old end, which it does not snap to
    assert clips(panel)[-1][0] == 36  # the playhead
    assert window.project.history.names[steps:] == ["Move"]
    QTest.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.project.value == before
    drag(panel, at(panel, 30), at(panel, 30, "v2"))
    assert clips(panel, "v2") == [(24, 0, 12)]


def test_pictures_on_a_clip_end_where_its_title_does(qtbot: QtBot, window: Window, panel: TimelinePanel) -> None:
    window.record.seek(0)  # the playhead is elsewhere
    for zoom in (9.1, 9.37, 9.73):
        panel.view.set_zoom(zoom, 0)
        panel.view.viewport().repaint()
        qtbot.waitUntil(lambda: panel.thumbnails.idle, timeout=20_000)
        seen = panel.view.viewport().grab().toImage()
        top, height = panel.view.rows()["v1"]
        assert seen.pixelColor(at(panel, 34)).lightness() > 80
        ends = {last_painted(seen, round(top + part * height)) for part in (0.15, 0.5, 0.8)}
        assert len(ends) == 1


def last_painted(seen: QImage, y: int) -> int:
    """The column where what is painted on a track ends."""
    return next(x for x in reversed(range(seen.width())) if seen.pixelColor(x, y).name() != theme.WINDOW.name())


def test_edges_trim_and_with_ctrl_everything_behind_follows(panel: TimelinePanel) -> None:
    panel.view.snapping = False
    drag(panel, at(panel, 11.8), at(panel, 8.8))
    assert clips(panel) == [(0, 0, 9), (12, 0, 12), (24, 0, 12)]
    drag(panel, at(panel, 12.2), at(panel, 15.2), Qt.KeyboardModifier.ControlModifier)
    assert clips(panel) == [(0, 0, 9), (12, 3, 9), (21, 0, 12)]


def test_tools_razor_roll_slip_and_slide(window: Window, panel: TimelinePanel) -> None:
    panel.view.snapping = False
    QTest.keyClick(window, Qt.Key.Key_C)
    QTest.mouseClick(panel.view.viewport(), LEFT, pos=at(panel, 18.5))
    assert clips(panel) == [(0, 0, 12), (12, 0, 6), (18, 6, 6), (24, 0, 12)]
    QTest.keyClick(window, Qt.Key.Key_T)
    drag(panel, at(panel, 17.8), at(panel, 19.8))
    assert clips(panel)[1:3] == [(12, 0, 8), (20, 8, 4)]
    QTest.keyClick(window, Qt.Key.Key_Y)
    drag(panel, at(panel, 22), at(panel, 24))
    assert clips(panel)[2] == (20, 6, 4)
    QTest.keyClick(window, Qt.Key.Key_Y, Qt.KeyboardModifier.ShiftModifier)
    drag(panel, at(panel, 22), at(panel, 23))
    assert clips(panel)[1:4] == [(12, 0, 9), (21, 6, 4), (25, 1, 11)]
    QTest.keyClick(window, Qt.Key.Key_V)
    assert panel.view.tool == "select"


def test_keys_cut_copy_delete_and_close_up(window: Window, panel: TimelinePanel) -> None:
    ctrl, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    QTest.mouseClick(panel.view.viewport(), LEFT, pos=at(panel, 18))
    QTest.keyClick(window, Qt.Key.Key_C, ctrl)
    QTest.keyClick(window, Qt.Key.Key_V, ctrl)
    assert clips(panel)[-1] == (36, 0, 12)
    QTest.mouseClick(panel.view.viewport(), LEFT, pos=at(panel, 18))
    QTest.keyClick(window, Qt.Key.Key_Delete, shift)
    assert [c[0] for c in clips(panel)] == [0, 12, 24]
    window.record.seek(18)
    QTest.keyClick(window, Qt.Key.Key_K, ctrl)
    QTest.keyClick(window, Qt.Key.Key_Up)
    assert window.record.frame == 12
    QTest.keyClick(window, Qt.Key.Key_M)
    assert [marker.frame for marker in panel.timeline.markers] == [12]
    QTest.mouseClick(panel.view.viewport(), LEFT, pos=at(panel, 5))
    QTest.keyClick(window, Qt.Key.Key_Delete)
    window.record.seek(5)
    QTest.keyClick(window, Qt.Key.Key_Delete, shift)
    assert clips(panel)[0][0] == 0
    window.undo()
    assert window.messages.all[-1].sentence == "Undone: Close gap"
    while window.project.history.undo():
        pass
    assert window.project.value.media == ()


def test_the_source_monitor_lays_what_is_marked_at_the_playhead(
    window: Window, panel: TimelinePanel, qtbot: QtBot
) -> None:
    window.show_source()
    for frame, key in ((3, Qt.Key.Key_I), (6, Qt.Key.Key_O)):
        window.seek(frame)
        QTest.keyClick(window, key)
    window.record.seek(12)
    QTest.keyClick(window, Qt.Key.Key_Comma)
    assert clips(panel) == [(0, 0, 12), (12, 3, 4), (16, 0, 12), (28, 0, 12)]
    assert window.record.frame == 16
    QTest.keyClick(window, Qt.Key.Key_Q)
    assert window.on_timeline
    qtbot.waitUntil(lambda: window.session.clip_id is not None, timeout=10_000)


def test_the_wheel_zooms_at_the_mouse_and_backslash_shows_everything(window: Window, panel: TimelinePanel) -> None:
    view = panel.view
    point = QPointF(200, 50)
    before = view.frame_at(200)
    event = QWheelEvent(
        point, view.viewport().mapToGlobal(point), QPoint(), QPoint(0, 240), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.ControlModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(view.viewport(), event)
    assert view.zoom > 12
    assert abs(view.frame_at(200) - before) <= 1
    QTest.keyClick(window, Qt.Key.Key_Backslash)
    assert 0.8 * view.viewport().width() < view.x_of(36) <= view.viewport().width()


def test_files_can_be_dropped_on_a_track(qtbot: QtBot, window: Window, panel: TimelinePanel, plate: Path) -> None:
    other = plate.with_name("other.mov")
    other.write_bytes(plate.read_bytes())
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(other))])
    where = QPointF(at(panel, 36, "v2"))
    event = QDropEvent(where, Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
    panel.view.dropEvent(event)
    qtbot.waitUntil(lambda: clips(panel, "v2") == [(36, 0, 12)], timeout=20_000)
    names = [item.media.path for item in window.project.value.media]
    assert len(names) == 2


def test_a_shot_and_its_line_let_go_together_begin_together_in_one_step_and_the_shot_is_seen(
    qtbot: QtBot, window: Window, make_movie: Callable[..., Path], make_sound: Callable[..., Path]
) -> None:
    sound = np.zeros((12 * 1920, 1), np.float32)
    shot, line = make_movie("shot.mov", frames=12, sounds=[("pcm_s16le", 48_000, sound)]), make_sound("line.wav")
    window.import_media([shot, line], ("v1", 0, False))
    panel = timeline.of(window)
    qtbot.waitUntil(lambda: bool(clips(panel, "a2")), timeout=20_000)
    assert [clips(panel, track) for track in ("v1", "a1", "a2")] == [[(0, 0, 12)], [(0, 0, 12)], [(0, 0, 25)]]
    qtbot.waitUntil(lambda: window.session.plate is not None, timeout=20_000)
    assert (window.on_timeline, window.position) == (True, 0)
    window.undo()
    assert panel.timeline.record_out == 0


def test_the_first_page_leaves_one_press_of_re_dub_to_do(
    qtbot: QtBot, window: Window, plate: Path, make_sound: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = make_sound("line.wav")
    monkeypatch.setattr("gui.widgets.welcome._make", lambda: (plate, line))
    assert window.welcome.isVisible()
    QTest.mouseClick(window.welcome.demo, LEFT)
    redub: Any = window.panels["redub"]
    qtbot.waitUntil(lambda: redub.start_button.isEnabled(), timeout=20_000)
    assert not window.welcome.isVisible()
    panel = timeline.of(window)
    assert (clips(panel), clips(panel, "a1")) == ([(0, 0, 12)], [(0, 0, 25)])
    assert "press Re-dub" in window.statusBar().currentMessage()
    request = redub.request()
    assert (request.plate, request.dub) == (plate, line)


def test_locked_tracks_refuse_in_one_sentence(window: Window, panel: TimelinePanel) -> None:
    panel.edit("Lock", lambda t: scene.switch_track(t, "v1", "locked", True))
    before = clips(panel)
    drag(panel, at(panel, 30), at(panel, 34))
    assert clips(panel) == before
    assert "V1 is locked" in window.statusBar().currentMessage()


def test_the_bin_searches_says_what_is_missing_and_relinks(
    qtbot: QtBot, window: Window, panel: TimelinePanel, plate: Path
) -> None:
    panel_of_bin = media_bin.of(window)
    panel_of_bin.search.setText("nothing like it")
    assert panel_of_bin.table.model().rowCount() == 0
    panel_of_bin.search.setText("plate")
    assert panel_of_bin.table.model().rowCount() == 1
    moved = plate.with_name("sub") / plate.name
    moved.parent.mkdir()
    plate.rename(moved)
    window.projects.look_for_media()
    qtbot.waitUntil(lambda: bool(window.projects.missing), timeout=10_000)
    assert "(missing)" in str(panel_of_bin.table.model().index(0, 0).data())
    window.projects.relink_to({sorted(window.projects.missing)[0]: moved})
    qtbot.waitUntil(lambda: not window.projects.missing, timeout=10_000)
    window.project.history.undo()
    assert window.project.path_of(window.project.value.media[0].media.path) == plate


def test_media_deleted_while_playing_is_one_sentence_and_nothing_is_lost(
    qtbot: QtBot, window: Window, panel: TimelinePanel, plate: Path
) -> None:
    window.show_record()
    window.record.seek(0)
    window.player.play(1)
    plate.unlink()
    window.shots.forget()
    qtbot.waitUntil(lambda: "plate.mov" in window.viewer.message, timeout=10_000)
    window.player.stop()
    assert len(clips(panel)) == 3


def test_saving_and_opening_brings_everything_back(
    qtbot: QtBot, window: Window, panel: TimelinePanel, tmp_path: Path
) -> None:
    folder = tmp_path / "scene.julnet"
    assert window.projects.save_to(folder)
    assert not window.isWindowModified()
    saved = window.project.value
    assert saved.media[0].media.path == "../plate.mov"
    panel.razor(everywhere=True)
    window.record.seek(5)
    panel.razor(everywhere=True)
    edited = window.project.value
    assert window.isWindowModified()
    qtbot.waitUntil(lambda: (folder / "autosave.otio").is_file(), timeout=5000)
    window.projects.open_project(folder)
    qtbot.waitUntil(lambda: "Recovered" in window.statusBar().currentMessage(), timeout=10_000)
    assert window.project.value == edited
    assert window.projects.save()
    assert storage.load(folder).project == edited


def test_a_full_disk_while_saving_is_one_sentence(
    window: Window, panel: TimelinePanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert window.projects.save_to(tmp_path / "p.julnet")
    window.record.seek(6)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    panel.razor(everywhere=True)
    assert not window.projects.save()
    assert "the disk is full" in window.statusBar().currentMessage()
    assert window.isWindowModified()


def test_saving_elsewhere_does_not_blank_the_picture(
    qtbot: QtBot, window: Window, panel: TimelinePanel, tmp_path: Path
) -> None:
    window.record.seek(3)
    window.show_record()
    qtbot.waitUntil(lambda: window.shown_frame == window.session, timeout=20_000)
    assert window.projects.save_to(tmp_path / "scene.julnet")
    assert window.session.plate is not None
    qtbot.waitUntil(lambda: window.shots.queue.idle, timeout=20_000)
    assert window.viewer.image is not None


def test_a_take_comes_to_its_clip_in_a_project_that_is_saved_beside_its_media(
    window: Window, panel: TimelinePanel, plate: Path, take: Path, tmp_path: Path
) -> None:
    assert window.projects.save_to(tmp_path / "scene.julnet")
    assert window.project.value.media[0].media.path == "../plate.mov"
    redub: Any = window.panels["redub"]
    assert redub._attach(RedubRequest(plate=plate, dub=plate, take_dir=take))
    assert [clip.active_take for clip in panel.timeline.track("v1").clips] == ["take"] * 3


def test_edits_of_a_project_that_cannot_be_written_are_said_and_kept_elsewhere(
    qtbot: QtBot, window: Window, panel: TimelinePanel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "locked.julnet"
    assert window.projects.save_to(folder)
    access = os.access
    monkeypatch.setattr("gui.projects.os.access", lambda path, mode: path != folder and access(path, mode))
    window.record.seek(6)
    panel.razor(everywhere=True)
    assert "locked.julnet cannot be written" in window.statusBar().currentMessage()
    qtbot.waitUntil(lambda: window.projects.autosaved, timeout=10_000)
    assert not (folder / "autosave.otio").exists()
    [left] = unsaved_folder().glob("*/autosave.otio")
    kept = storage.load(left).project
    assert len(kept.timeline.track("v1").clips) == len(window.project.value.timeline.track("v1").clips)
    path = storage.absolute_path(kept.media[0].media.path, left.parent)
    assert path == window.project.path_of(window.project.value.media[0].media.path)
    window.project.history.set_clean()


def test_projects_that_cannot_be_opened_say_so_and_leave_the_open_one(
    qtbot: QtBot, window: Window, panel: TimelinePanel, tmp_path: Path
) -> None:
    broken, newer = tmp_path / "broken.julnet", tmp_path / "newer.julnet"
    for folder, text in (
        (broken, "{"),
        (newer, '{"OTIO_SCHEMA":"Timeline.1","metadata":{"julnet":{"schema_version":99}}}'),
    ):
        folder.mkdir()
        (folder / "timeline.otio").write_text(text)
    before = window.project.value
    for folder, says in ((broken, "damaged"), (newer, "newer JULNet")):
        window.projects.open_project(folder)
        qtbot.waitUntil(lambda says=says: says in window.statusBar().currentMessage(), timeout=10_000)
    assert window.project.value == before


KILLED = """
import os, sys, time
from pathlib import Path
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication
app = QApplication([])
from gui import timeline
from gui.window import Window
from host_adapters.worker_client import WorkerClient
window = Window(WorkerClient())
window.show()
def until(done):
    end = time.monotonic() + 20
    while not done() and time.monotonic() < end:
        app.processEvents()
        time.sleep(0.005)
    assert done()
window.import_media([Path(sys.argv[1])])
until(lambda: window.project.value.media)
panel = timeline.of(window)
panel.drop(["plate"], "v1", 0, False)
for frame in (3, 6, 9):
    window.record.seek(frame)
    panel.razor(everywhere=True)
until(lambda: window.projects._saver.idle)
print(len(window.project.value.timeline.track("v1").clips), flush=True)
time.sleep(60)
"""


def test_a_killed_editor_loses_nothing(qtbot: QtBot, window: Window, plate: Path) -> None:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(plate)],
        env={**os.environ, "PYTHONPATH": path, "QT_QPA_PLATFORM": "offscreen"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "4"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert window.projects.recover()
    qtbot.waitUntil(lambda: "Recovered" in window.statusBar().currentMessage(), timeout=10_000)
    assert clips(timeline.of(window)) == [(0, 0, 3), (3, 3, 3), (6, 6, 3), (9, 9, 3)]


def test_windows_and_projects_leave_no_threads_files_or_widgets_behind(qtbot: QtBot, plate: Path) -> None:
    def once() -> None:
        window = Window(WorkerClient())
        window.show()
        window.import_media([plate])
        qtbot.waitUntil(lambda: bool(window.project.value.media), timeout=20_000)
        timeline.of(window).drop(["plate"], "v1", 0, False)
        window.record.seek(3)
        qtbot.waitUntil(lambda: window.session.plate is not None, timeout=20_000)
        for _ in range(5):
            window.projects.new()
        window.close()
        window.deleteLater()
        QApplication.sendPostedEvents(None, 52)  # deferred deletes
        QApplication.processEvents()
        gc.collect()

    def held() -> tuple[int, int, int]:
        files = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0  # noqa: PTH208
        return threading.active_count(), files, len(QApplication.topLevelWidgets())

    once()
    before = held()
    for _ in range(3):
        once()
    time.sleep(0.1)
    after = held()
    assert after[0] <= before[0]
    assert after[1] <= before[1] + 1
    assert after[2] <= before[2]


def test_the_leak_command_tells_growth_from_a_level_that_was_reached() -> None:
    calm = [Held(400 + number, 8, 18, 300) for number in range(3)] + [Held(430, 8, 18, 320)] * 6
    assert leaks_in(calm) == []
    leaking = [replace(held, files=18 + number) for number, held in enumerate(calm)]
    assert leaks_in(leaking) == ["files grew from 23 to 24"]


def test_every_action_has_a_menu_a_tip_and_is_in_the_palette(window: Window) -> None:
    palette = CommandPalette(window)
    assert palette.list.count() == len(window.action_specs)
    palette.search.setText("zm fit")
    assert "Zoom to fit" in palette.list.item(0).text()
    palette.search.setText("next cut")
    assert palette.list.item(0).text().startswith("Sequence › Next cut")
    assert score("xyz", "Zoom") is None
    palette.deleteLater()


def test_keys_can_be_changed_and_are_remembered(window: Window, panel: TimelinePanel) -> None:
    editor = ShortcutEditor(window)
    editor.choose("razor_all")
    editor.assign("Space")
    assert "is the key of Play or stop" in editor.said.text()
    editor.assign("Ctrl+J")
    assert preferences.keys() == {"razor_all": ["Ctrl+J"]}
    window.record.seek(6)
    QTest.keyClick(window, Qt.Key.Key_J, Qt.KeyboardModifier.ControlModifier)
    assert len(clips(panel)) == 4
    editor.reset()
    assert window.actions_by_name["razor_all"].shortcut().toString() == "Ctrl+Shift+K"
    editor.deleteLater()


def test_what_takes_focus_has_a_name_for_screen_readers(window: Window) -> None:
    nameless = [
        f"{type(widget).__name__} {widget.objectName()} in {type(widget.parent()).__name__}"
        for name in ("timeline", "bin", "export")
        for widget in window.panels[name].findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and not widget.accessibleName()
        and not getattr(widget, "text", lambda: "")()
        and not widget.objectName().startswith("qt_")
        and not widget.inherits("QComboBoxListView")
        and not isinstance(widget.parent(), QAbstractScrollArea)  # the viewport of a view that has a name
    ]
    assert nameless == []


def test_full_screen_and_back_keeps_the_panels(window: Window) -> None:
    shown = {name for name, dock in window.docks.docks.items() if dock.isVisible()}
    window.toggle_full_screen()
    assert not any(dock.isVisible() for dock in window.docks.docks.values())
    window.toggle_full_screen()
    assert {name for name, dock in window.docks.docks.items() if dock.isVisible()} == shown


def test_labels_on_the_ruler_are_round_and_have_room() -> None:
    from fractions import Fraction

    assert [nice_step(wide, Fraction(25)) for wide in (0.5, 3, 11, 26, 400, 10**9)] == [1, 5, 25, 50, 750, 180_000]
    assert nice_step(26, Fraction(30000, 1001)) == 30


def test_an_edit_refused_changes_nothing(window: Window, panel: TimelinePanel) -> None:
    before = window.project.value
    assert not window.project.edit("Roll", on_timeline(lambda t: scene.roll(t, t.track("v1").clips[-1].id, 3)))
    assert window.project.value is before
    assert "no cut to roll" in window.statusBar().currentMessage()
