"""The picture under wheel and keys, who has the keys, and what the user is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("PySide6", reason="the editor's extra is not installed")

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QImage, QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from gui import bin as media_bin
from gui.background import sentence_of
from gui.panels import action_specs
from gui.widgets.viewer import Viewer
from gui.window import Window
from host_adapters.worker_client import WorkerClient
from julnet_plugin.errors import MediaError

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints")
NO_KEYS = Qt.KeyboardModifier.NoModifier


@pytest.fixture
def window(qtbot: QtBot, plate: Path) -> Iterator[Window]:
    window = Window(WorkerClient())
    window.show()
    window.open(plate)
    qtbot.waitUntil(lambda: window.viewer.image is not None, timeout=20_000)
    yield window
    window.close()
    window.deleteLater()


@pytest.fixture
def viewer(qtbot: QtBot) -> Viewer:
    viewer = Viewer()
    qtbot.addWidget(viewer)
    viewer.resize(640, 400)
    viewer.set_image(QImage(320, 180, QImage.Format.Format_RGB888))
    return viewer


def near(first: QPointF, second: QPointF) -> bool:
    return (first - second).manhattanLength() < 1e-6


def test_the_wheel_zooms_at_the_mouse_and_never_shows_less_than_fits(viewer: Viewer) -> None:
    at = QPointF(400, 150)
    before = viewer.to_picture(at)
    for turned, grows in ((240, True), (240, True), (-120, False)):
        zoom = viewer.zoom
        event = QWheelEvent(
            at, at, QPoint(), QPoint(0, turned), Qt.MouseButton.NoButton, NO_KEYS, Qt.ScrollPhase.NoScrollPhase, False
        )
        QApplication.sendEvent(viewer, event)
        assert (viewer.zoom > zoom) is grows
        assert near(viewer.to_picture(at), before)
    viewer.set_zoom(0.1)
    assert viewer.picture_rect() == QRectF(0, 20, 640, 360)


def test_the_middle_button_moves_the_picture_until_its_edge(viewer: Viewer) -> None:
    viewer.set_zoom(4.0)

    def mouse(kind: QEvent.Type, x: float, y: float) -> None:
        down = Qt.MouseButton.NoButton if kind is QEvent.Type.MouseButtonRelease else Qt.MouseButton.MiddleButton
        point = QPointF(x, y)
        QApplication.sendEvent(viewer, QMouseEvent(kind, point, point, Qt.MouseButton.MiddleButton, down, NO_KEYS))

    held = viewer.to_picture(QPointF(300, 200))
    mouse(QEvent.Type.MouseButtonPress, 300, 200)
    mouse(QEvent.Type.MouseMove, 330, 190)
    assert near(viewer.to_picture(QPointF(330, 190)), held)
    mouse(QEvent.Type.MouseMove, 9000, 9000)
    mouse(QEvent.Type.MouseButtonRelease, 9000, 9000)
    assert viewer.picture_rect().topLeft() == QPointF(0, 0)
    mouse(QEvent.Type.MouseMove, 10, 10)
    assert viewer.picture_rect().topLeft() == QPointF(0, 0)


def test_a_part_of_the_picture_fills_the_viewer_and_pixels_are_pixels_at_100_percent(viewer: Viewer) -> None:
    viewer.zoom_to(QRectF(200, 100, 40, 20))
    assert near(viewer.to_picture(QPointF(320, 200)), QPointF(220, 110))
    assert viewer.to_picture(QPointF(0, 200)).x() == pytest.approx(200)
    viewer.resize(200, 100)
    viewer.zoom_to_pixels()
    assert viewer.percent == pytest.approx(100)


def test_keys_are_the_playhead_s_at_first_and_again_after_return_or_escape(window: Window) -> None:
    assert QApplication.focusWidget() is window.viewer
    search = media_bin.of(window).search
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Escape):
        search.setFocus()
        QTest.keyClicks(search, "l")
        assert not window.player.playing
        QTest.keyClick(search, key)
        assert QApplication.focusWidget() is window.viewer


def test_escape_lays_the_brush_down_and_leaves_full_screen(window: Window) -> None:
    left: list[str] = []

    class Tool:
        def leave(self) -> None:
            left.append("left")
            window.viewer.set_tool(None)

    window.viewer.set_tool(Tool())  # type: ignore[arg-type]
    window.toggle_full_screen()
    QTest.keyClick(window.viewer, Qt.Key.Key_Escape)
    assert left == ["left"]
    assert window.full_screen
    QTest.keyClick(window.viewer, Qt.Key.Key_Escape)
    assert not window.full_screen


def test_while_k_is_down_j_and_l_go_frame_by_frame(window: Window) -> None:
    window.seek(5)
    QTest.keyPress(window, Qt.Key.Key_K)
    for key, frame in ((Qt.Key.Key_L, 6), (Qt.Key.Key_L, 7), (Qt.Key.Key_J, 6)):
        QTest.keyPress(window, key)
        assert (window.position, window.player.playing) == (frame, False)
        QApplication.sendEvent(window, QKeyEvent(QEvent.Type.KeyRelease, key, NO_KEYS, "", True))
    QTest.keyRelease(window, Qt.Key.Key_K)
    QTest.keyClick(window, Qt.Key.Key_L)
    assert window.player.playing
    window.player.stop()


def test_every_action_has_a_key_and_the_panels_are_among_them(window: Window) -> None:
    assert [spec.name for spec in action_specs() if not spec.keys] == []
    assert {f"panel_{name}" for name in window.panels} <= {spec.name for spec in action_specs()}


def test_a_panel_s_key_brings_it_to_the_front_and_puts_it_away(qtbot: QtBot, window: Window) -> None:
    front = window.docks.in_front
    qtbot.waitUntil(lambda: front("redub") and not front("matte"))
    for _ in range(2):
        window.actions_by_name["panel_matte"].trigger()
        qtbot.waitUntil(lambda: front("matte") and not front("redub"))
        window.actions_by_name["panel_redub"].trigger()
        qtbot.waitUntil(lambda: front("redub"))
    window.actions_by_name["panel_redub"].trigger()
    assert not window.docks.docks["redub"].isVisible()


def test_an_error_is_one_sentence_and_shows_its_details_to_whoever_asks(
    qtbot: QtBot, window: Window, tmp_path: Path
) -> None:
    (tmp_path / "broken.mov").write_bytes(b"no movie")
    window.open(tmp_path / "broken.mov")
    qtbot.waitUntil(lambda: "broken.mov" in window.statusBar().currentMessage(), timeout=20_000)
    qtbot.waitUntil(window.messages.button.isVisible, timeout=20_000)
    newest = window.messages.all[-1]
    assert "\n" not in newest.sentence
    assert "Traceback" in newest.details
    window.say("All is well")
    assert not window.messages.button.isVisible()
    assert [message.sentence for message in window.messages.all][-1] == "All is well"


def test_details_name_the_cause() -> None:
    error = MediaError("shot.mov cannot be read", None)
    error.__cause__ = OSError("the card is out")
    told = sentence_of(error)
    assert told == "shot.mov cannot be read"
    assert "the card is out" in told.details


def test_a_take_s_map_can_be_changed_and_looked_at_closely_by_key(
    qtbot: QtBot, window: Window, take_with_data: Path, settled: Callable[[Window], None]
) -> None:
    from gui.matte.part import editor_of

    window.open(take_with_data)
    settled(window)
    editor, trigger = editor_of(window), lambda name: window.actions_by_name[name].trigger()
    kinds = [editor.overlay.kind]
    for _ in range(3):
        trigger("next_map")
        kinds.append(editor.overlay.kind)
    assert kinds == ["matte", "sigma", "coverage", "matte"]
    trigger("zoom_to_mouth")
    face = editor.face_rect()
    assert face is not None
    assert window.viewer.zoom > 1.2
    assert window.viewer.picture_rect().contains(QRectF(window.viewer.rect()).adjusted(1, 1, -1, -1))
    trigger("fit_picture")
    assert window.viewer.zoom == 1


@pytest.fixture
def settled(qtbot: QtBot) -> Callable[[Window], None]:
    from gui.matte.part import editor_of

    return lambda window: qtbot.waitUntil(lambda: editor_of(window).prepared is not None, timeout=20_000)
