"""The window, as a user has it: keys, mouse, files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="the editor's extra is not installed")

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox

from gui.jobs import Pace
from gui.panels import action_specs
from gui.window import Window
from host_adapters.worker_client import WorkerClient

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

ROOT = Path(__file__).parents[2]
Number = Callable[[Any], int]

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints")  # offscreen has no windows

#: A `julnet` plugin that copies a ready take in place of rendering one; a dub called "slow" takes for ever.
EFFECT = """
import os, shutil, time
from julnet_plugin import Take, hookimpl

@hookimpl
def julnet_redub_clip(request, progress):
    frames = 100000 if request.dub.stem == "slow" else 3
    for done in range(1, frames + 1):
        progress("render", done, frames)
        time.sleep(0.01)
        if request.dub.stem == "deadly":
            os._exit(9)
    shutil.copytree(os.environ["READY_TAKE"], request.take_dir)
    return Take(path=request.take_dir, manifest={"files": {}, "warnings": []})
"""


@pytest.fixture
def client(tmp_path: Path) -> WorkerClient:
    """A real worker whose effect is the one above."""
    info = tmp_path / "site" / "julnet_fake-1.0.dist-info"
    info.mkdir(parents=True)
    (info.parent / "julnet_fake.py").write_text(EFFECT)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: julnet-fake\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[julnet]\nfake = julnet_fake\n")
    path = os.pathsep.join([str(info.parent), str(ROOT)])
    return WorkerClient(environment={**os.environ, "PYTHONPATH": path, "READY_TAKE": str(tmp_path / "take")})


@pytest.fixture
def window(qtbot: QtBot, client: WorkerClient) -> Iterator[Window]:
    window = Window(client)
    window.show()
    yield window
    window.jobs.cancel()
    qtbot.waitUntil(lambda: not window.jobs.running, timeout=20_000)
    window.close()
    window.deleteLater()


@pytest.fixture
def opened(qtbot: QtBot, window: Window) -> Callable[[Path], Window]:
    """Opens something, as the shell does, and waits until its picture is there."""

    def open_(path: Path) -> Window:
        with qtbot.waitSignal(window.renderer.shown, timeout=20_000):
            window.open(path)
        return window

    return open_


def pixels(image: QImage | None) -> Any:
    assert image is not None
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)


def shows(qtbot: QtBot, window: Window, number: int, frame_number: Number) -> None:
    qtbot.waitUntil(lambda: frame_number(pixels(window.viewer.image)) == number, timeout=20_000)


def test_every_action_can_be_found_and_no_two_share_a_key(window: Window) -> None:
    keys = [key for spec in action_specs() for key in spec.keys]
    assert len(keys) == len(set(keys))
    in_menus = [action for menu in window.menuBar().actions() for action in menu.menu().actions()]  # type: ignore[attr-defined]
    for spec in action_specs():
        action = window.actions_by_name[spec.name]
        assert action in in_menus
        assert spec.tip in action.toolTip()


def test_what_needs_a_plate_waits_for_one(window: Window) -> None:
    on = {name for name, action in window.actions_by_name.items() if action.isEnabled()}
    assert {"open_project", "import_media", "choose_take", "close"} <= on
    assert on.isdisjoint(
        {"step_forward", "mark_in", "toggle_dub", "choose_dub", "save_changes", "undo", "ripple_delete"}
    )
    assert "Ctrl+I" in window.viewer.message


def test_keys_step_through_the_plate_frame_by_frame(
    qtbot: QtBot, opened: Callable[[Path], Window], plate: Path, frame_number: Number
) -> None:
    window = opened(plate)
    shows(qtbot, window, 0, frame_number)
    for key, number in [
        (Qt.Key.Key_Right, 1), (Qt.Key.Key_Right, 2), (Qt.Key.Key_Left, 1), (Qt.Key.Key_End, 11), (Qt.Key.Key_Home, 0),
    ]:  # fmt: skip
        QTest.keyClick(window, key)
        shows(qtbot, window, number, frame_number)
    assert window.timecode.text() == "01:00:00:00"
    QTest.mouseClick(
        window.scrub_bar, Qt.MouseButton.LeftButton, pos=QPoint(round(window.scrub_bar.width() * 5.5 / 12), 20)
    )
    shows(qtbot, window, 5, frame_number)
    assert window.timecode.text() == "01:00:00:05"


def test_a_take_opens_with_its_plate_and_both_can_be_compared(
    qtbot: QtBot, opened: Callable[[Path], Window], take: Path, frame_number: Number
) -> None:
    window = opened(take)
    shows(qtbot, window, 104, frame_number)
    assert window.statusBar().currentMessage() == "the mouth is small"
    QTest.keyClick(window, Qt.Key.Key_A)
    shows(qtbot, window, 4, frame_number)
    QTest.keyClick(window, Qt.Key.Key_N)
    shows(qtbot, window, 6, frame_number)
    assert "fast turn" in window.statusBar().currentMessage()
    QTest.keyClick(window, Qt.Key.Key_N)
    shows(qtbot, window, 7, frame_number)
    QTest.keyClick(window, Qt.Key.Key_W)  # the numbers differ in bits 1, 2, 3: left of the line, so the plate's
    shows(qtbot, window, 7, frame_number)
    left = window.viewer.picture_rect().left()
    QTest.mouseClick(window.viewer, Qt.MouseButton.LeftButton, pos=QPoint(int(left) + 1, 50))
    shows(qtbot, window, 107, frame_number)
    window.first_frame()  # which the take does not hold
    shows(qtbot, window, 0, frame_number)


def test_the_overlay_reddens_what_the_matte_marks(qtbot: QtBot, opened: Callable[[Path], Window], take: Path) -> None:
    window = opened(take)
    with qtbot.waitSignal(window.renderer.shown, timeout=20_000):
        QTest.keyClick(window, Qt.Key.Key_U)
    picture = pixels(window.viewer.image).astype(int)
    redness = picture[..., 0] - picture[..., 2]
    assert redness[80, 112] > 80
    assert abs(redness[60, 20]) < 12


def test_the_stretches_worth_a_look_are_listed_and_a_click_goes_there(
    qtbot: QtBot, opened: Callable[[Path], Window], take: Path, frame_number: Number
) -> None:
    window = opened(take)
    rows = window.panels["review"].list
    assert [rows.item(row).text().splitlines()[0] for row in range(rows.count())] == ["● Frame 6", "● Frame 7"]
    assert rows.currentRow() == -1
    at = rows.visualItemRect(rows.item(1)).center()
    QTest.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=at)
    shows(qtbot, window, 107, frame_number)
    assert rows.currentRow() == 1


def test_what_cannot_be_opened_is_said_in_one_sentence(qtbot: QtBot, window: Window, tmp_path: Path) -> None:
    (tmp_path / "text.mov").write_text("no movie")
    window.open(tmp_path / "text.mov")
    qtbot.waitUntil(lambda: "text.mov" in window.viewer.message and "Opening" not in window.viewer.message)
    assert "Traceback" not in window.viewer.message


def test_a_take_whose_plate_is_gone_says_what_to_do(qtbot: QtBot, window: Window, take: Path, plate: Path) -> None:
    plate.unlink()
    window.open(take)
    qtbot.waitUntil(lambda: "put it back" in window.viewer.message)


def fill_in(window: Window, dub: str, take_dir: Path) -> None:
    window.panels["redub"].dub.setText(dub)
    window.panels["redub"].take_dir.setText(str(take_dir))
    assert window.panels["redub"].start_button.isEnabled()
    window.panels["redub"].start_button.click()


def test_a_redub_runs_in_the_worker_and_its_take_appears(
    qtbot: QtBot, opened: Callable[[Path], Window], plate: Path, take: Path, tmp_path: Path, frame_number: Number
) -> None:
    window = opened(plate)
    assert not window.panels["redub"].start_button.isEnabled()
    with qtbot.waitSignal(window.jobs.finished, timeout=30_000):
        fill_in(window, "line.wav", tmp_path / "fresh")
    qtbot.waitUntil(lambda: window.session.take is not None, timeout=20_000)
    shows(qtbot, window, 104, frame_number)
    assert "fresh" in window.panels["redub"].said.text()


def test_a_redub_can_be_cancelled_and_a_dead_worker_is_one_sentence(
    qtbot: QtBot, opened: Callable[[Path], Window], plate: Path, tmp_path: Path
) -> None:
    window = opened(plate)
    with qtbot.waitSignal(window.jobs.progressed, timeout=30_000):
        fill_in(window, "slow.wav", tmp_path / "slow")
    with qtbot.waitSignal(window.jobs.cancelled, timeout=20_000):
        window.panels["redub"].cancel_button.click()
    assert "Stopped" in window.panels["redub"].said.text()
    with qtbot.waitSignal(window.jobs.failed, timeout=30_000):
        fill_in(window, "deadly.wav", tmp_path / "deadly")
    assert "ended with code 9" in window.panels["redub"].said.text()
    assert window.panels["redub"].start_button.isEnabled()


def test_closing_asks_while_a_take_is_rendered(
    qtbot: QtBot, opened: Callable[[Path], Window], plate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = opened(plate)
    with qtbot.waitSignal(window.jobs.progressed, timeout=30_000):
        fill_in(window, "slow.wav", tmp_path / "slow")
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.No)
    assert not window.close()
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    assert window.close()


def test_marks_and_offset_reach_the_request(opened: Callable[[Path], Window], plate: Path) -> None:
    window = opened(plate)
    window.go_to(3)
    window.mark_in()
    window.go_to(8)
    window.mark_out()
    window.panels["redub"].dub.setText("line.wav")
    window.panels["redub"].offset.setValue(-0.2)
    request = window.panels["redub"].request()
    assert request is not None
    assert (request.in_point, request.out_point, request.dub_offset_s) == ("3", "9", -0.2)
    assert request.take_dir == plate.parent / "takes" / "plate_line"


def test_the_time_left_follows_from_the_pace_of_this_stage() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.update("render", 1, 100).left_s is None
    now[0] = 10.0
    assert pace.update("render", 21, 100).left_s == pytest.approx(39.5)
    assert "about 40 s left" in pace.update("render", 21, 100).sentence()
    assert pace.update("deliver", 1, 100).left_s is None


SEEN = """
import sys
from pathlib import Path
from PySide6.QtWidgets import QApplication
from gui.matte.part import editor_of
from gui.window import Window
from host_adapters.worker_client import WorkerClient

application = QApplication([])
window = Window(WorkerClient())
window.show()
application.processEvents()
print("torch" in sys.modules, "scipy" in sys.modules)
window.open(Path(sys.argv[1]))
while editor_of(window).prepared is None:
    application.processEvents()
print("torch" in sys.modules)
window.close()
"""


def test_the_window_and_a_take_that_is_painted_on_need_no_torch(take_with_data: Path) -> None:
    """It would take most of the start, and hundreds of MiB, in a process that leaves the network to its worker."""
    done = subprocess.run(
        [sys.executable, "-c", SEEN, str(take_with_data)], check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["False", "False", "False"]
