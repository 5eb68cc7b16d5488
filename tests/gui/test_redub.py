"""Re-dubbing in the window: the queue, takes, faces, references, the preview of a frame, recording."""

from __future__ import annotations

import json
import os
import shutil
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="the editor's extra is not installed")

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox

from gui.redub.framepreview import FramePreview
from gui.redub.models import list_models, read_header
from gui.redub.recording import NO_MICROPHONE, RecordingDialog
from gui.redub.references import swapped
from gui.redub.takes import TRASH, find_takes
from gui.session import Compare
from gui.window import Window
from host_adapters.standalone.takenotes import load_notes
from host_adapters.worker_client import WorkerClient
from julnet_plugin.types import RedubRequest

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints|pipewire|pulse|Pulse|FFmpeg")

#: An effect that copies a ready take; "slow" takes for ever, "deadly" kills the worker, "full" has no room.
EFFECT = """
import errno, os, shutil, time
from julnet_plugin import Take, hookimpl
from julnet_plugin.errors import MediaError

@hookimpl
def julnet_redub_clip(request, progress):
    frames = 100000 if request.dub.stem == "slow" else 3
    for done in range(1, frames + 1):
        progress("render", done, frames)
        time.sleep(0.01)
        if request.dub.stem == "deadly":
            os._exit(9)
    if request.dub.stem == "full":
        raise MediaError(f"cannot write {request.take_dir}: No space left on device; free some", request.take_dir)
    shutil.copytree(os.environ["READY_TAKE"], request.take_dir)
    return Take(path=request.take_dir, manifest={"files": {}, "warnings": []})
"""


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path, take: Path) -> Iterator[Window]:
    """A window on the take's plate, with a real worker whose effect is the one above."""
    info = tmp_path / "site" / "julnet_fake-1.0.dist-info"
    info.mkdir(parents=True)
    (info.parent / "julnet_fake.py").write_text(EFFECT)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: julnet-fake\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[julnet]\nfake = julnet_fake\n")
    ready = shutil.copytree(take, tmp_path / "ready")
    path = os.pathsep.join([str(info.parent), str(ROOT)])
    window = Window(WorkerClient(environment={**os.environ, "PYTHONPATH": path, "READY_TAKE": str(ready)}))
    window.show()
    window.open_session(take)
    qtbot.waitUntil(lambda: window.viewer.image is not None, timeout=20_000)
    yield window
    queue = window.panels["redub"].queue  # type: ignore[attr-defined]
    for render in queue.renders:
        queue.cancel(render.id)
    qtbot.waitUntil(lambda: not queue.busy, timeout=20_000)
    window.close()
    window.deleteLater()


def form(window: Window) -> Any:
    return window.panels["redub"]


def pixels(window: Window) -> Any:
    image = window.viewer.image
    assert image is not None
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)


def ask(window: Window, dub: str, folder: Path) -> None:
    form(window).dub.setText(dub)
    form(window).take_dir.setText(str(folder))
    form(window).start_button.click()


def states(window: Window) -> list[str]:
    return [render.state for render in form(window).queue.renders]


def test_renders_wait_for_one_another_and_each_can_be_stopped_and_taken_up_again(
    qtbot: QtBot, window: Window, tmp_path: Path
) -> None:
    queue = form(window).queue
    ask(window, "slow.wav", tmp_path / "first")
    ask(window, "line.wav", tmp_path / "second")
    ask(window, "line.wav", tmp_path / "third")
    qtbot.waitUntil(lambda: queue.running is not None and queue.running.progress is not None, timeout=30_000)
    assert states(window) == ["running", "waiting", "waiting"]
    queue.cancel(queue.renders[2].id)
    assert states(window) == ["running", "waiting", "stopped"]
    queue.cancel(queue.renders[0].id)
    qtbot.waitUntil(lambda: states(window) == ["stopped", "done", "stopped"], timeout=30_000)
    queue.retry(queue.renders[2].id)
    qtbot.waitUntil(lambda: states(window) == ["stopped", "done", "done"], timeout=30_000)
    assert (tmp_path / "third" / "take.json").is_file()
    queue.clear()
    assert states(window) == ["stopped"]


@pytest.mark.parametrize(("dub", "sentence"), [("deadly.wav", "ended with code 9"), ("full.wav", "No space left")])
def test_a_render_that_fails_says_so_once_and_the_next_one_runs(
    qtbot: QtBot, window: Window, tmp_path: Path, dub: str, sentence: str
) -> None:
    ask(window, dub, tmp_path / "bad")
    ask(window, "line.wav", tmp_path / "good")
    qtbot.waitUntil(lambda: states(window) == ["failed", "done"], timeout=30_000)
    failed = form(window).queue.renders[0]
    assert sentence in failed.message
    assert "\n" not in failed.message
    assert not (tmp_path / "bad").exists()


def test_closing_during_a_render_asks_and_the_next_start_offers_to_go_on(
    qtbot: QtBot, window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(window, "slow.wav", tmp_path / "slow")
    qtbot.waitUntil(lambda: form(window).queue.running is not None, timeout=30_000)
    answers = iter([QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes])
    monkeypatch.setattr(QMessageBox, "question", lambda *_: next(answers))
    assert not window.close()
    assert window.close()
    qtbot.waitUntil(lambda: not window.jobs.running, timeout=20_000)
    again = Window(WorkerClient())
    (left,) = form(again).queue.renders
    assert (left.state, left.take) == ("stopped", tmp_path / "slow")
    assert "Resume" in form(again).said.text()
    again.close()
    again.deleteLater()
    form(window).queue.clear()


def test_takes_are_listed_rated_named_stepped_through_and_deleted(
    qtbot: QtBot, window: Window, plate: Path, take: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes: Any = window.panels["takes"]
    for number in (1, 2):
        shutil.copytree(take, plate.parent / "takes" / f"take_{number}")
    takes.refresh()
    qtbot.waitUntil(lambda: {"take_1", "take_2"} <= {entry.folder.name for entry in takes.entries}, timeout=20_000)
    first = next(entry for entry in takes.entries if entry.folder.name == "take_1")
    takes.opened.emit(first.folder)
    qtbot.waitUntil(lambda: takes.current() is not None and takes.current().folder == first.folder, timeout=20_000)
    takes.rate(4)
    monkeypatch.setattr("gui.redub.takes.QInputDialog.getText", lambda *_, **__: ("the good one", True))
    qtbot.waitUntil(lambda: takes.current() is not None and takes.current().notes.rating == 4, timeout=20_000)
    takes.rename()
    qtbot.waitUntil(lambda: takes.current() is not None and takes.current().title == "the good one", timeout=20_000)
    assert load_notes(first.folder).rating == 4
    window.undo()
    window.undo()
    assert load_notes(first.folder).rating == 0
    takes.delete()
    assert not first.folder.exists()
    assert (first.folder.parent / TRASH / "take_1").is_dir()
    assert window.session.take is None
    window.undo()
    if not first.folder.exists():  # the first step back may have been the clip's
        window.undo()
    assert (first.folder / "take.json").is_file()


def test_two_takes_are_compared_where_the_original_was(
    qtbot: QtBot, window: Window, plate: Path, take: Path, frame_number: Callable[[Any], int]
) -> None:
    other = shutil.copytree(take, plate.parent / "takes" / "other")
    takes: Any = window.panels["takes"]
    takes.compare_with(other)
    qtbot.waitUntil(lambda: "plate" in window.renderer.sources, timeout=20_000)
    window.set_session(replace(window.session, compare=Compare.PLATE))
    qtbot.waitUntil(lambda: frame_number(pixels(window)) == 104, timeout=20_000)  # a take's picture, not the plate's
    takes.stop_comparing()
    qtbot.waitUntil(lambda: frame_number(pixels(window)) == 4, timeout=20_000)
    assert "plate" not in window.renderer.sources


def test_a_take_of_another_plate_is_not_listed(take: Path, plate: Path) -> None:
    values = json.loads((take / "take.json").read_text())
    assert [entry.folder for entry in find_takes([take.parent], plate)] == [take]
    (take / "take.json").write_text(json.dumps({**values, "inputs": {"plate": {"path": "/elsewhere.mov"}}}))
    assert find_takes([take.parent], plate) == []
    (take / "take.json").write_text("{")
    assert find_takes([take.parent], plate) == []


def test_a_face_is_chosen_by_a_click_on_it(qtbot: QtBot, window: Window) -> None:
    picker = form(window).picker
    picker._frame, picker._plate_height = 4, 96
    faces = [{"box": [10, 10, 50, 60], "mouth": [30, 50]}, {"box": [70, 10, 110, 60], "mouth": [90, 50]}]
    picker._on_event({"event": "result", "faces": faces})
    assert picker.active
    place = window.viewer.to_widget(QPointF(95, 30))
    QTest.mouseClick(window.viewer, Qt.MouseButton.LeftButton, pos=QPoint(round(place.x()), round(place.y())))
    assert form(window).face.text() == "90,50@4"
    assert not picker.active
    assert form(window).request() is None or form(window).request().face == "90,50@4"
    picker._on_event({"event": "result", "faces": []})
    assert "no face on this frame" in window.statusBar().currentMessage()


def test_the_form_asks_for_what_it_shows(window: Window) -> None:
    panel = form(window)
    panel.set_dub(Path("line.wav"), 0.5)
    panel.nudge(-2)
    panel.quality.setCurrentIndex(0)
    request = panel.request()
    assert request is not None
    assert request.dub_offset_s == pytest.approx(0.42)
    assert (request.model, request.refs, request.deliver) == ("rt", "auto", ("h264",))


def test_the_dub_is_slipped_by_ear(window: Window, make_sound: Callable[..., Path]) -> None:
    panel, player = form(window), window.player
    panel.set_dub(make_sound("line.wav"), 0.5)
    (part,) = panel.audition()
    assert (part.at_s, part.from_s) == (0.5, 0.0)
    panel.listen.click()
    assert player.playing
    panel.offset.setValue(-0.25)
    (part,) = player._audition
    assert (part.at_s, part.from_s) == (0.0, 0.25)  # what lies before the shot is skipped
    panel.listen.click()
    assert not player.playing
    assert player._audition is None


def test_references_are_swapped_and_left_out() -> None:
    assert swapped((5, 9, 20), 1, 12) == "5,12,20"
    assert swapped((5, 9, 20), 1, None) == "5,20"
    assert swapped((5, 9), 0, 9) == "9"
    assert swapped((5,), 0, None) == "auto"


class DrawingClient:
    """Answers when a test says so, with a picture of one colour."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.cancelled: list[int] = []

    def request(self, verb: str, listener: Callable[[dict[str, Any]], None], **values: Any) -> int:
        assert verb == "preview"
        self.asked.append(values)
        self.tell = listener
        return len(self.asked)

    def cancel(self, job: int) -> None:
        self.cancelled.append(job)

    def draw(self, colour: str, *, rough: bool) -> None:
        picture = QImage(128, 96, QImage.Format.Format_RGB888)
        picture.fill(QColor(colour))
        assert picture.save(self.asked[-1]["picture"])
        assert picture.scaled(16, 8).save(self.asked[-1]["thumbnails"])
        self.tell({"event": "result", "redubbed": True, "references": [4, 9], "rough": rough})


@pytest.fixture
def drawing(window: Window) -> tuple[FramePreview, DrawingClient, RedubRequest]:
    preview, client = form(window).frame_preview, DrawingClient()
    preview._client = client  # type: ignore[assignment]
    form(window).set_dub(Path("line.wav"))
    request = form(window).request()
    assert request is not None
    return preview, client, request


def colour_of(image: QImage | None) -> str:
    return "" if image is None else image.pixelColor(5, 5).name()


def test_a_preview_is_rough_at_once_and_final_when_it_is_ready(
    qtbot: QtBot, window: Window, drawing: tuple[FramePreview, DrawingClient, RedubRequest]
) -> None:
    preview, client, request = drawing
    window.set_session(replace(window.session, take=None))  # a take shows its own references
    strip = form(window).strip
    preview.want(request, 6)
    assert [(one["frame"], one["rough"]) for one in client.asked] == [(6, True)]  # not after a pause
    assert (preview.state, preview.image) == ("Drawing a preview…", None)
    client.draw("red", rough=True)
    qtbot.waitUntil(lambda: len(client.asked) == 2, timeout=5000)
    assert (preview.state, colour_of(preview.image)) == ("Rough preview…", "#ff0000")
    assert client.asked[1]["rough"] is False
    assert strip.frames == ()  # those of four frames are not the take's
    client.draw("blue", rough=False)
    qtbot.waitUntil(lambda: preview.state == "Preview of this frame", timeout=5000)
    assert colour_of(preview.image) == "#0000ff"
    assert strip.frames == (4, 9)
    assert [colour_of(button.icon().pixmap(8, 8).toImage()) for button in strip.buttons] == ["#0000ff"] * 2
    preview.want(request, 7)
    client.draw("lime", rough=False)  # its surroundings are known: the first answer is the last
    qtbot.waitUntil(lambda: preview.state == "Preview of this frame", timeout=5000)
    assert len(client.asked) == 3
    preview.want(None, 7)
    assert (preview.state, preview.image) == ("", None)


def test_while_parameters_move_the_last_picture_stays_and_the_newest_wish_is_drawn_next(
    qtbot: QtBot, drawing: tuple[FramePreview, DrawingClient, RedubRequest]
) -> None:
    preview, client, request = drawing
    preview.want(request, 6)
    client.draw("red", rough=True)
    qtbot.waitUntil(lambda: len(client.asked) == 2, timeout=5000)
    for offset_s in (0.1, 0.2, 0.3):
        preview.want(replace(request, dub_offset_s=offset_s), 6)
        assert colour_of(preview.image) == "#ff0000"
    assert set(client.cancelled) == {2}  # nobody waits for the final picture of the old offset
    client.tell({"event": "error", "type": "RedubCancelled", "message": "stopped"})
    qtbot.waitUntil(lambda: len(client.asked) == 3, timeout=5000)
    assert (client.asked[2]["request"]["dub_offset_s"], client.asked[2]["rough"]) == (0.3, True)
    preview.want(request, 8)
    assert preview.image is None  # it is of another frame


def test_a_frame_that_cannot_be_drawn_roughly_is_looked_at_again_and_then_said(
    qtbot: QtBot, drawing: tuple[FramePreview, DrawingClient, RedubRequest]
) -> None:
    preview, client, request = drawing
    said: list[str] = []
    preview.said.connect(said.append)
    preview.want(request, 6)
    client.tell({"event": "error", "type": "NoFaceFoundError", "message": "no face in these four frames"})
    qtbot.waitUntil(lambda: len(client.asked) == 2, timeout=5000)
    client.tell({"event": "error", "type": "NoFaceFoundError", "message": "no face there"})
    qtbot.waitUntil(lambda: said == ["no face there"], timeout=5000)
    assert (preview.state, preview.image, len(client.asked)) == ("", None, 2)


def test_what_plays_is_not_previewed(qtbot: QtBot, window: Window, make_sound: Callable[..., Path]) -> None:
    preview, client = form(window).frame_preview, DrawingClient()
    preview._client = client  # type: ignore[assignment]
    form(window).set_dub(make_sound("line.wav"))
    window.player.play(1)
    form(window).preview.setChecked(True)
    assert not client.asked
    window.player.stop()
    qtbot.waitUntil(lambda: [one["frame"] for one in client.asked] == [window.session.frame], timeout=5000)


def test_models_are_listed_with_what_they_say_of_themselves(tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    (tmp_path / "other.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    entries = list_models([tmp_path])
    assert [entry.name for entry in entries] == ["rt"]
    assert "psnr" in entries[0].about
    assert read_header(tmp_path / "broken.safetensors") == {}


# Recording


@dataclass(slots=True)
class FakeMicrophone:
    """Says what a test says."""

    name: str = "Fake"
    rate_hz: int = 1000
    heard: Callable[[Any], None] | None = None
    stopped: bool = field(default=False)

    def start(self, heard: Callable[[Any], None]) -> None:
        self.heard = heard

    def stop(self) -> None:
        self.stopped = True


def test_a_recording_begins_after_the_count_in(qtbot: QtBot, tmp_path: Path) -> None:
    microphone = FakeMicrophone()
    dialog = RecordingDialog(tmp_path / "dubs", devices=lambda: [microphone])
    qtbot.addWidget(dialog)
    dialog.count_in.setValue(2)
    dialog.button.click()
    assert microphone.heard is not None
    for block in range(5):
        microphone.heard(np.full(1000, block, np.int16))
    assert "3.0 s" in dialog.said.text()
    with qtbot.waitSignal(dialog.recorded) as done:
        dialog.button.click()
    with wave.open(str(done.args[0])) as file:  # type: ignore[index]
        samples = np.frombuffer(file.readframes(9999), np.int16)
    assert samples.tolist() == [2] * 1000 + [3] * 1000 + [4] * 1000


def test_without_a_microphone_the_dialog_says_so(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = RecordingDialog(tmp_path, devices=list)
    qtbot.addWidget(dialog)
    assert dialog.said.text() == NO_MICROPHONE
    assert not dialog.button.isEnabled()


def test_a_recording_that_cannot_be_written_says_so(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "dubs").write_text("a file where the folder should be")
    microphone = FakeMicrophone()
    dialog = RecordingDialog(tmp_path / "dubs", devices=lambda: [microphone])
    qtbot.addWidget(dialog)
    dialog.count_in.setValue(0)
    dialog.button.click()
    assert microphone.heard is not None
    microphone.heard(np.zeros(10, np.int16))
    dialog.button.click()
    assert "cannot be written" in dialog.said.text()
