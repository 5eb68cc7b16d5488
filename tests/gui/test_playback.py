"""Playing: the right frame at the right time, with sound as the clock, and where to go by typing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="the editor's extra is not installed")

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest

from gui import timeline
from gui.entry import parse_position
from gui.mixer import RATE_HZ, Part, SoundBank, mixed, parts_of_timeline
from gui.playback import Player
from gui.window import Window
from host_adapters.standalone import edits, scene
from host_adapters.standalone.project import on_timeline
from host_adapters.standalone.timeline import Clip, MediaRef, TakeRef
from host_adapters.worker_client import WorkerClient
from julnet_plugin.errors import TimeRangeError
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints")
FRAMES = 60


class FakeOutput:
    """A sound device whose time the test moves, and which keeps what it was given."""

    def __init__(self) -> None:
        self.time_s, self.given, self.pull = 0.0, b"", lambda _: b""

    def start(self, pull: Callable[[int], bytes]) -> bool:
        self.time_s, self.given, self.pull = 0.0, b"", pull
        self.feed()
        return True

    def heard_s(self) -> float:
        return self.time_s

    def feed(self) -> None:
        wanted = round((self.time_s + 0.1) * RATE_HZ) - len(self.given) // 4
        if wanted > 0:
            self.given += self.pull(wanted)

    def stop(self) -> None:
        pass


def beeps(frames: int, rate: int = 25) -> Any:
    """Sound whose level says which frame it belongs to."""
    per_frame = RATE_HZ // rate
    levels = (np.arange(frames) + 1) / 128
    return np.repeat(levels, per_frame).astype(np.float32)[:, None]


@pytest.fixture
def movie(make_movie: Callable[..., Path]) -> Path:
    return make_movie(
        "speech.mov", frames=FRAMES, size=(64, 48), options={"crf": "6"}, sounds=[("pcm_s16le", RATE_HZ, beeps(FRAMES))]
    )


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[Window]:
    window = Window(WorkerClient())
    window.show()
    yield window
    window.close()
    window.deleteLater()


@pytest.fixture
def cut(qtbot: QtBot, window: Window, movie: Path) -> Window:
    """The movie on the timeline, its frames 30 to 59 before its frames 0 to 29."""
    window.import_media([movie])
    qtbot.waitUntil(lambda: bool(window.project.value.media), timeout=20_000)
    panel = timeline.of(window)
    panel.drop(["speech"], "v1", 0, False)
    window.project.edit("Razor", on_timeline(lambda t: scene.razor(t, 30)))
    first, second = (clip.id for clip in window.project.value.timeline.track("v1").clips)
    window.project.edit("Move", on_timeline(lambda t: scene.insert(scene.delete(t, []), [], 0)))
    window.project.edit("Move", on_timeline(lambda t: scene.move(t, [first], 60)))
    window.project.edit("Close", on_timeline(lambda t: scene.close_gap(t, 0, 30)))
    assert window.project.value.timeline.record_out == FRAMES
    assert second == window.project.value.timeline.track("v1").clips[0].id
    window.show_record()
    return window


def pixels(image: QImage | None) -> Any:
    assert image is not None
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)


def number_at(frame: int) -> int:
    """The movie's frame that the cut timeline shows."""
    return (frame + 30) % FRAMES


def test_the_timeline_shows_the_right_frame_wherever_one_goes(
    qtbot: QtBot, cut: Window, frame_number: Callable[[Any], int]
) -> None:
    chance = random.Random(5)
    keys = {Qt.Key.Key_Right: 1, Qt.Key.Key_Left: -1, Qt.Key.Key_Home: -FRAMES, Qt.Key.Key_End: FRAMES}
    at = cut.record.frame
    for _ in range(30):
        key = chance.choice(list(keys))
        if chance.random() < 0.4:
            at = chance.randrange(FRAMES)
            cut.seek(at)
        else:
            at = min(max(at + keys[key], 0), FRAMES - 1)
            QTest.keyClick(cut, key)
        if cut.record.frame != at:  # past the end stands the place to put something
            cut.seek(at)
        wanted = number_at(at)
        qtbot.waitUntil(
            lambda wanted=wanted: cut.viewer.image is not None and frame_number(pixels(cut.viewer.image)) == wanted,
            timeout=5000,
        )


def test_sound_leads_and_the_picture_is_within_a_frame_of_it(
    qtbot: QtBot, cut: Window, frame_number: Callable[[Any], int]
) -> None:
    output = FakeOutput()
    cut.player._output = output
    cut.player.bank.prepare(parts_of_timeline(cut.project.value.timeline, None))
    cut.player.bank.wait()
    cut.seek(0)
    cut.player.play(1)
    for due in (0, 7, 29, 30, 44):
        output.time_s = (due + 0.5) / 25
        qtbot.waitUntil(lambda due=due: cut.record.frame == due, timeout=5000)
        qtbot.waitUntil(lambda due=due: frame_number(pixels(cut.viewer.image)) == number_at(due), timeout=5000)
        heard = np.frombuffer(output.given, np.int16)[::2]
        level = heard[round(output.time_s * RATE_HZ)] / 32767
        assert abs(round(level * 128 - 1) - number_at(due)) <= 1
    assert cut.player.dropped > 0  # the fake clock jumped
    QTest.keyClick(cut, Qt.Key.Key_K)
    assert not cut.player.playing


def test_pictures_that_take_long_are_wished_for_ahead_of_their_sound(cut: Window) -> None:
    output, player = FakeOutput(), cut.player
    player._output = output
    cut.seek(0)
    player.play(1)
    for frame in range(1, 12):  # every picture is made 0.1 s after it was wished for
        output.time_s = (frame + 0.5) / 25
        player._tick()
        output.time_s += 0.1
        cut.renderer.made.emit(cut.session)
    heard = int(output.time_s * 25)
    player._tick()
    assert cut.record.frame in (heard + 2, heard + 3)
    player.stop()
    assert cut.record.frame == heard


def test_a_picture_that_is_made_early_waits_for_its_sound_and_one_that_is_overtaken_is_not_shown(
    qtbot: QtBot, cut: Window
) -> None:
    output, shown = FakeOutput(), []
    qtbot.waitUntil(lambda: cut.renderer._latest.idle)
    cut.player._output = output
    cut.seek(0)
    cut.player.play(1)
    qtbot.waitUntil(lambda: cut.renderer._latest.idle)
    cut.renderer.shown.connect(lambda session, _: shown.append(session.position))
    picture = QImage(2, 2, QImage.Format.Format_RGB888)
    for frame in (3, 4, 6):
        cut.renderer._deliver(replace(cut.session, on_timeline=True, record_frame=frame), picture)
    assert shown == []
    output.time_s = 4.5 / 25
    cut.renderer._show_due()
    assert shown == [4]
    output.time_s = 7 / 25
    cut.renderer._deliver(replace(cut.session, on_timeline=True, record_frame=5), picture)
    assert shown == [4, 6], "one that is late is not shown after all, while there are others"
    output.time_s = 20 / 25
    cut.renderer._deliver(replace(cut.session, on_timeline=True, record_frame=9), picture)
    assert shown == [4, 6, 9], "a late one is better than none"
    cut.renderer._deliver(replace(cut.session, on_timeline=True, record_frame=25), picture)
    cut.player.stop()
    cut.renderer._show_due()
    assert 25 not in shown


def test_without_a_sound_device_the_wall_clock_leads_and_the_end_stops(qtbot: QtBot, cut: Window) -> None:
    now = [100.0]
    cut.player._clock = lambda: now[0]
    cut.seek(50)
    QTest.keyClick(cut, Qt.Key.Key_Space)
    assert cut.player.playing
    now[0] += 0.2
    qtbot.waitUntil(lambda: cut.record.frame == 55, timeout=5000)
    now[0] += 5
    qtbot.waitUntil(lambda: not cut.player.playing, timeout=5000)
    assert cut.record.frame == FRAMES - 1


def test_j_and_l_shuttle_faster_with_every_press_and_turn_at_once(cut: Window) -> None:
    player = cut.player
    cut.seek(30)
    speeds = []
    for key in (Qt.Key.Key_L, Qt.Key.Key_L, Qt.Key.Key_L, Qt.Key.Key_J, Qt.Key.Key_J, Qt.Key.Key_K):
        QTest.keyClick(cut, key)
        speeds.append(player.speed)
    assert speeds == [1, 2, 4, -1, -2, 0]


def test_a_loop_goes_round_between_the_marks(qtbot: QtBot, cut: Window) -> None:
    now = [0.0]
    cut.player._clock = lambda: now[0]
    cut.record.mark(10, 19)
    cut.toggle_loop()
    cut.seek(15)
    cut.player.play(1)
    now[0] = 6 / 25
    qtbot.waitUntil(lambda: cut.record.frame == 10, timeout=5000)
    assert cut.player.playing
    cut.player.stop()


def test_parts_are_mixed_to_the_sample() -> None:
    bank = SoundBank()
    path = Path("tone")
    bank._sounds[path] = np.full((1000, 2), 1000, np.int16)
    parts = (Part(path, 0.0, 0.0, 100 / RATE_HZ), Part(path, 50 / RATE_HZ, 0.0, 100 / RATE_HZ))
    sound = mixed(parts, bank, 40, 20)[:, 0]
    assert sound.tolist() == [1000] * 10 + [2000] * 10
    assert mixed(parts, bank, 500, 10).any() == np.False_


def test_a_take_speaks_for_its_clip_and_its_line_is_not_heard_twice(cut: Window, tmp_path: Path) -> None:
    take = tmp_path / "take"
    take.mkdir()
    (take / "dub.mov").touch()
    line = tmp_path / "line.wav"
    (take / "take.json").write_text(json.dumps({"inputs": {"dub": {"path": str(line)}}}))
    first = cut.project.value.timeline.track("v1").clips[0]
    ref = TakeRef(name="t", folder=str(take), frames=FrameRange(start=35, stop=45))
    with_take = edits.add_take(cut.project.value.timeline, first.id, ref)
    original = cut.project.path_of(first.media.path)
    parts = [
        (part.path, round(part.at_s * 25), round(part.length_s * 25)) for part in parts_of_timeline(with_take, None)
    ]
    assert parts == [(take / "dub.mov", 5, 10), (original, 0, 5), (original, 15, 15), (original, 30, 30)]
    media = MediaRef(path=str(line), frame_count=20, rate=Fraction(25))
    laid = Clip(id="line", media=media, source=media.frames, record_in=5)
    both = parts_of_timeline(scene.overwrite(with_take, [("a2", laid)], 5), None)
    assert [part.path for part in both].count(line) == 1
    assert take / "dub.mov" not in [part.path for part in both]


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("01:00:00:10", 10), ("+10", 60), ("-10", 40), ("2s", 50), ("+2s", 100), ("01000110", 35), ("+1:00", 75),
        ("1:00:00:00", 0),
    ],
)  # fmt: skip
def test_where_to_go_can_be_typed(text: str, frame: int) -> None:
    assert parse_position(text, 50, Fraction(25), 90_000, False) == frame


def test_drop_frame_labels_skip_and_what_is_no_place_is_refused() -> None:
    rate = Fraction(30000, 1001)
    assert parse_position("00:01:00;02", 0, rate, 0, True) == 1800
    for text in ("", "soon", "00:01:00;00", "+", "1:2:3:4:5"):
        with pytest.raises(TimeRangeError):
            parse_position(text, 0, rate, 0, True)


def test_a_typed_timecode_moves_the_playhead(qtbot: QtBot, cut: Window) -> None:
    cut.seek(5)
    QTest.keyClick(cut, Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier)
    cut.timecode.selectAll()
    QTest.keyClicks(cut.timecode, "+10")
    QTest.keyClick(cut.timecode, Qt.Key.Key_Return)
    assert cut.record.frame == 15
    assert cut.timecode.text() == "00:00:00:15"
    assert isinstance(cut.player, Player)
