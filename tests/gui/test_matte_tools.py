"""The matte tools in the window: real mouse, pen and key events on a take with its data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="the editor's extra is not installed")

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QMouseEvent, QPointingDevice, QTabletEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox

from gui.matte.brush import Brush, begun, extended, lasting
from gui.matte.colours import COLOUR_MAPS, TINT, coloured
from gui.matte.editor import MatteEditor
from gui.matte.part import editor_of
from gui.picture import GAIN, difference, side_by_side
from gui.session import Compare
from gui.window import Window
from host_adapters.standalone.takenotes import load_notes
from host_adapters.worker_client import WorkerClient
from julnet_plugin.matte.document import load_document
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints")

MOUTH = (62.0, 57.0)  #: in the plate on frame 4


@pytest.fixture
def window(qtbot: QtBot, take_with_data: Path) -> Iterator[Window]:
    """A window that shows frame 4 of the take, ready for painting."""
    window = Window(WorkerClient())
    window.show()
    window.open_session(take_with_data)
    editor = editor_of(window)
    qtbot.waitUntil(lambda: editor.prepared is not None and window.viewer.image is not None, timeout=20_000)
    yield window
    qtbot.waitUntil(lambda: editor.idle, timeout=20_000)
    window.close()
    window.deleteLater()


def at(window: Window, x: float, y: float) -> QPoint:
    place = window.viewer.to_widget(QPointF(x, y))
    return QPoint(round(place.x()), round(place.y()))


def drag(window: Window, *points: tuple[float, float], keys: Any = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.mousePress(window.viewer, Qt.MouseButton.LeftButton, keys, at(window, *points[0]))
    for point in points[1:]:
        QTest.mouseMove(window.viewer, at(window, *point))
    QTest.mouseRelease(window.viewer, Qt.MouseButton.LeftButton, keys, at(window, *points[-1]))


def matte_at(editor: MatteEditor, x: float, y: float) -> float:
    """The matte under a point of the plate."""
    assert editor.prepared is not None
    affine = editor.prepared.plate_from_map
    column, row = np.linalg.solve(affine[:, :2], np.array([x, y]) - 0.5 - affine[:, 2])
    return float(editor.prepared.canvas.matte[round(row), round(column)])


def test_a_stroke_is_painted_where_the_mouse_goes_and_can_be_undone(qtbot: QtBot, window: Window) -> None:
    editor = editor_of(window)
    QTest.keyClick(window, Qt.Key.Key_P)
    assert editor.brush_in_hand
    before = matte_at(editor, 72, 57)
    drag(window, (68, 57), (72, 57), (76, 57))
    assert before < 0.5
    assert matte_at(editor, 72, 57) == pytest.approx(1, abs=0.01)
    assert editor.document is not None
    (stroke,) = editor.document.strokes
    assert (stroke.start, stroke.stop, stroke.kind) == (4, 5, "add")
    QTest.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert matte_at(editor, 72, 57) == pytest.approx(before, abs=1e-6)
    QTest.keyClick(window, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert matte_at(editor, 72, 57) == pytest.approx(1, abs=0.01)
    assert window.project.history.names[1:] == ["Paint matte"]  # after the plate's import


def test_paint_rides_on_the_face_and_is_saved_with_the_take(qtbot: QtBot, window: Window, take_with_data: Path) -> None:
    editor = editor_of(window)
    editor.set_brush(Brush(reach="shot", size_px=40))
    editor.set_painting(True)
    drag(window, (72, 57))
    window.go_to(6)
    qtbot.waitUntil(lambda: editor.prepared is not None and editor.prepared.frame == 6, timeout=20_000)
    assert matte_at(editor, 76, 57) == pytest.approx(1, abs=0.01)  # the face went 4 px to the right
    assert matte_at(editor, 66, 57) < 0.9
    qtbot.waitUntil(lambda: editor.idle and not editor.unsaved, timeout=20_000)
    (stroke,) = load_document(take_with_data / "strokes.json").strokes
    assert (stroke.start, stroke.stop) == (4, 8)


def test_alt_erases_shift_draws_a_line_and_brackets_size_the_brush(window: Window) -> None:
    editor = editor_of(window)
    editor.set_painting(True)
    QTest.keyClick(window, Qt.Key.Key_BracketRight)
    assert editor.brush.size_px == pytest.approx(38.4)
    QTest.keyClick(window, Qt.Key.Key_BracketLeft)
    assert editor.brush.size_px == pytest.approx(32)
    drag(window, (66, 57), keys=Qt.KeyboardModifier.AltModifier)
    drag(window, (78, 57), keys=Qt.KeyboardModifier.ShiftModifier)
    assert editor.document is not None
    erased, line = editor.document.strokes
    assert erased.kind == "subtract"
    assert len(line.shapes[0].points) == 2
    assert matte_at(editor, 72, 57) == pytest.approx(1, abs=0.01)
    QTest.keyClick(window, Qt.Key.Key_X)
    assert editor.brush.kind == "subtract"


def test_the_right_button_drags_size_and_hardness(window: Window) -> None:
    editor = editor_of(window)
    editor.set_painting(True)
    QTest.mousePress(window.viewer, Qt.MouseButton.RightButton, pos=at(window, 60, 50))
    move = QMouseEvent(
        QEvent.Type.MouseMove, QPointF(at(window, 64, 46)), window.mapToGlobal(QPointF()), Qt.MouseButton.NoButton,
        Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(window.viewer, move)
    QTest.mouseRelease(window.viewer, Qt.MouseButton.RightButton, pos=at(window, 64, 46))
    assert editor.brush.size_px == pytest.approx(32 + 2 * 4 / 0.2, abs=3)
    assert editor.brush.hardness == pytest.approx(0.6, abs=0.02)
    assert editor.document is not None
    assert not editor.document.strokes


def test_the_pen_s_pressure_narrows_the_stroke_and_its_eraser_erases(window: Window) -> None:
    editor = editor_of(window)
    editor.set_painting(True)

    def pen(kind: QEvent.Type, x: float, pressure: float, tip: QPointingDevice.PointerType) -> None:
        device = QPointingDevice(
            "pen", 1, QPointingDevice.DeviceType.Stylus, tip, QPointingDevice.Capability.Pressure, 1, 1
        )
        place = QPointF(at(window, x, 57))
        button = Qt.MouseButton.LeftButton
        event = QTabletEvent(
            kind,
            device,
            place,
            place,
            pressure,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
            Qt.KeyboardModifier.NoModifier,
            button,
            button,
        )
        QApplication.sendEvent(window.viewer, event)

    for tip in (QPointingDevice.PointerType.Pen, QPointingDevice.PointerType.Eraser):
        pen(QEvent.Type.TabletPress, 66, 0.25, tip)
        pen(QEvent.Type.TabletMove, 74, 0.75, tip)
        pen(QEvent.Type.TabletRelease, 74, 0.0, tip)
    assert editor.document is not None
    painted, erased = editor.document.strokes
    assert [p for _, _, p in painted.shapes[0].points] == pytest.approx([0.25, 0.75])
    assert erased.kind == "subtract"


def test_the_lasso_paints_what_it_goes_round(window: Window) -> None:
    editor = editor_of(window)
    QTest.keyClick(window, Qt.Key.Key_P)
    QTest.keyClick(window, Qt.Key.Key_Q, Qt.KeyboardModifier.ShiftModifier)
    assert editor.brush.lasso
    before = matte_at(editor, 80, 57)
    drag(window, (66, 50), (78, 50), (78, 64), (66, 64))
    assert matte_at(editor, 72, 57) == pytest.approx(1)
    assert matte_at(editor, 81, 57) == pytest.approx(before, abs=0.3)
    assert window.project.history.undo_name == "Paint with the lasso"


def test_levels_are_dragged_on_the_histogram_and_one_drag_is_one_step(window: Window) -> None:
    editor, panel = editor_of(window), window.panels["matte"]
    view = panel.levels
    x = view.handles()["low"]
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(round(x), 80))
    for step in range(1, 9):
        QTest.mouseMove(view, QPoint(round(x) + 3 * step, 80))
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(round(x) + 24, 80))
    assert editor.document is not None
    low = editor.document.settings.curve("low_cv").value
    assert low > 10
    assert window.project.history.names[1:] == ["Change low"]
    window.undo()
    assert editor.document.settings.curve("low_cv").value == 8


def test_a_parameter_is_keyed_and_its_key_is_dragged(qtbot: QtBot, window: Window) -> None:
    editor, panel = editor_of(window), window.panels["matte"]
    row, key = panel._rows["blur_px"]
    key.click()
    window.go_to(7)
    row.field.setValue(9.0)
    assert editor.document is not None
    curve = editor.document.settings.curve("blur_px")
    assert [(k.frame, k.value) for k in curve.keys] == [(4, 3.0), (7, 9.0)]
    assert 3 < curve.at(5) < 9
    window.docks.raise_panel("matte")
    view = panel.curve
    place = view.point_of(curve.keys[0]).toPoint()
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseMove(view, QPoint(round(view._x(5)), place.y()))
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=place)
    assert [k.frame for k in editor.document.settings.curve("blur_px").keys] == [5, 7]
    QTest.keyClick(view, Qt.Key.Key_Delete)
    assert [k.frame for k in editor.document.settings.curve("blur_px").keys] == [7]


def test_decisions_and_what_was_looked_at_stay_with_the_take(
    qtbot: QtBot, window: Window, take_with_data: Path
) -> None:
    editor, review = editor_of(window), window.panels["review"]
    assert review.count.text() == "0 of 2 looked at"
    QTest.keyClick(window, Qt.Key.Key_N)
    assert window.session.frame == 6
    QTest.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert editor.document is not None
    assert editor.document.drive.at(6).mode == "hold_plate"
    assert editor.document.drive.at(7).mode == "flag"
    qtbot.waitUntil(lambda: load_notes(take_with_data).has_seen(6, 7), timeout=10_000)
    assert "✓" in review.list.item(0).text()
    assert "plate held" in review.list.item(0).text()
    QTest.keyClick(window, Qt.Key.Key_N)
    assert window.session.frame == 7
    qtbot.waitUntil(lambda: review.count.text() == "2 of 2 looked at", timeout=10_000)  # it rested there
    QTest.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    state = editor.document.drive.at(7)
    assert (state.mode, state.reference_frame) == ("hold_reference", 4)  # the surest frame


def test_what_a_decision_holds_is_seen_at_once(
    qtbot: QtBot, window: Window, frame_number: Callable[[Any], int]
) -> None:
    """The dub's file shows 106 on this frame; composited anew from the plate it must show 6."""

    def shown() -> int:
        assert window.viewer.image is not None
        image = window.viewer.image.convertToFormat(QImage.Format.Format_RGB888)
        rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
        return frame_number(rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3))

    window.go_to(6)
    qtbot.waitUntil(lambda: shown() == 106, timeout=20_000)
    QTest.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: shown() == 6, timeout=20_000)
    window.undo()
    qtbot.waitUntil(lambda: shown() == 106, timeout=20_000)


def test_an_edit_that_cannot_be_saved_is_told_and_kept(
    qtbot: QtBot, window: Window, take_with_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = editor_of(window)
    qtbot.waitUntil(lambda: editor.idle, timeout=20_000)
    target = take_with_data / "strokes.json"
    target.mkdir()  # a file cannot be put where a folder is, whoever asks
    editor.set_painting(True)
    drag(window, (66, 57), (74, 57))
    qtbot.waitUntil(lambda: "kept in memory" in window.statusBar().currentMessage(), timeout=20_000)
    assert editor.unsaved == {take_with_data}
    asked = []
    answer = QMessageBox.StandardButton.No
    monkeypatch.setattr(QMessageBox, "question", lambda *args: asked.append(args[2]) or answer)
    assert not window.close()
    assert "could not be saved" in asked[0]
    target.rmdir()
    assert editor.save_now() is None
    assert len(load_document(target).strokes) == 1


def test_a_take_that_a_worker_writes_is_saved_when_it_has_done(
    qtbot: QtBot, window: Window, take_with_data: Path
) -> None:
    editor = editor_of(window)
    editor.lock(take_with_data)
    editor.set_value("gamma", 2.0)
    QTest.qWait(400)
    assert not (take_with_data / "strokes.json").exists()
    editor.unlock(take_with_data)
    qtbot.waitUntil(lambda: (take_with_data / "strokes.json").exists(), timeout=10_000)
    assert json.loads((take_with_data / "strokes.json").read_text())["settings"]["gamma"] == 2.0


def test_split_and_difference_show_both_pictures(qtbot: QtBot, window: Window) -> None:
    QTest.keyClick(window, Qt.Key.Key_W, Qt.KeyboardModifier.ShiftModifier)
    assert window.session.compare is Compare.SPLIT
    qtbot.waitUntil(
        lambda: window.viewer.image is not None and window.viewer.image.width() == 2 * 128 + 2, timeout=9000
    )
    editor = editor_of(window)
    place = editor.plate_of_picture(QPointF(130 + 62, 57))
    assert (place.x(), place.y()) == (62, 57)
    QTest.keyClick(window, Qt.Key.Key_D)
    qtbot.waitUntil(lambda: window.viewer.image is not None and window.viewer.image.width() == 128, timeout=9000)


def test_the_onion_skin_is_outlines_of_the_neighbours(qtbot: QtBot, window: Window) -> None:
    editor = editor_of(window)
    editor.set_value("high_cv", 16)
    window.go_to(5)
    QTest.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: editor.prepared is not None and bool(editor.prepared.onion), timeout=9000)
    assert editor.prepared is not None
    assert {distance for distance, _ in editor.prepared.onion} == {-1, 1}


# Without a window


def test_difference_is_black_where_pictures_are_equal_and_enlarged_elsewhere() -> None:
    one = np.random.default_rng(0).integers(0, 200, (8, 9, 3)).astype(np.uint8)
    two = one.copy()
    two[3, 4] += 5
    apart = difference(one, two)
    assert apart[3, 4].tolist() == [5 * GAIN] * 3
    assert apart.sum() == 15 * GAIN
    both = side_by_side(one, two)
    np.testing.assert_array_equal(both[:, :9], one)
    np.testing.assert_array_equal(both[:, -9:], two)


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_colours_are_premultiplied_and_stay_inside_the_region(name: str) -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    region = np.zeros((8, 8), np.float32)
    region[2:6] = 1
    argb = coloured(values, region, name)
    alpha = argb >> 24
    for shift in (16, 8, 0):
        assert ((argb >> shift & 255) <= alpha).all()
    if name == TINT:
        assert argb[0, 0] == 0
    else:
        assert (alpha[2:6] == 255).all()
        assert (alpha[:2] == 0).all()


def test_a_stroke_grows_only_where_it_shows() -> None:
    stroke = begun(Brush(size_px=50), 3, (10.0, 10.0, 1.0), 3, 4)
    assert extended(stroke, (11.0, 10.0, 1.0)) is stroke
    longer = extended(stroke, (20.0, 10.0, 1.0))
    assert len(longer.shapes[0].points) == 2
    assert len(extended(stroke, (11.0, 10.0, 0.5)).shapes[0].points) == 2  # pressure shows too


def test_how_long_a_stroke_lasts() -> None:
    shot, stretch = FrameRange(start=0, stop=40), FrameRange(start=10, stop=20)
    cases: list[tuple[Any, int, tuple[int, int]]] = [
        ("frame", 12, (12, 13)), ("stretch", 12, (10, 20)), ("stretch", 30, (30, 31)), ("shot", 12, (0, 40)),
    ]  # fmt: skip
    for reach, frame, wanted in cases:
        assert lasting(Brush(reach=reach), frame, stretch if frame in stretch else None, shot) == wanted
    assert begun(Brush(fade=9), 0, (0.0, 0.0, 1.0), 0, 5).fade_in == 2  # a fade fits into the stroke


def test_the_benchmark_measures_dabs_and_scrubbing(window: Window) -> None:
    from benchmarks.editor_matte import dab_ms, scrub_ms

    assert dab_ms(window, dabs=12).median_ms > 0
    assert scrub_ms(window, frames=2).count == 2
