"""Small copies of media: that they show the same frames, when they are made, and when they are shown."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="the editor's extra is not installed")

from PySide6.QtGui import QImage

from gui.decoding import RandomAccess
from gui.proxies import NAME, Proxies, factor_of
from gui.session import Compare
from gui.window import Window
from host_adapters.worker_client import WorkerClient
from julnet_plugin.media.probe import probe

if TYPE_CHECKING:
    from pytestqt.qtbot import QtBot

Number = Callable[[Any], int]
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support propagateSizeHints")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Media of 128x96 are too large, and their proxies half as large."""
    monkeypatch.setattr("gui.proxies._PIXELS", 64 * 48)


@pytest.fixture
def window(qtbot: QtBot, plate: Path) -> Iterator[Window]:
    window = Window(WorkerClient())
    window.show()
    window.open(plate)
    qtbot.waitUntil(lambda: window.viewer.image is not None, timeout=20_000)
    yield window
    window.close()
    window.deleteLater()


def size(window: Window) -> tuple[int, int]:
    image = window.viewer.image
    assert image is not None
    return image.width(), image.height()


def test_a_proxy_has_every_frame_and_is_found_again(
    qtbot: QtBot, plate: Path, tmp_path: Path, frame_number: Number
) -> None:
    info = probe(plate)
    proxies = Proxies(tmp_path / "cache")
    assert (proxies.want([info]), proxies.get(plate)) == (1, None)
    qtbot.waitUntil(lambda: proxies.get(plate) is not None, timeout=20_000)
    made = proxies.get(plate)
    assert made is not None
    assert (made.width, made.height, made.frame_count) == (64, 48, info.frame_count)
    access, full = RandomAccess(made), RandomAccess(info)
    for frame in (7, 2, 11):
        picture = access.frame(frame)
        assert frame_number(picture) == frame
        assert abs(picture.mean(dtype=np.float64) - full.frame(frame).mean(dtype=np.float64)) < 2
    access.close()
    full.close()
    assert proxies.want([info]) == 0
    proxies.stop()
    again = Proxies(tmp_path / "cache")
    again.look([info])
    qtbot.waitUntil(lambda: again.get(plate) is not None, timeout=20_000)
    again.stop()


def test_another_file_of_that_name_gets_a_proxy_of_its_own(qtbot: QtBot, plate: Path, tmp_path: Path) -> None:
    proxies = Proxies(tmp_path / "cache")
    proxies.want([probe(plate)])
    qtbot.waitUntil(lambda: proxies.get(plate) is not None, timeout=20_000)
    os.utime(plate, (1, 1))
    proxies.forget()
    proxies.look([probe(plate)])
    qtbot.waitUntil(lambda: proxies.idle)
    assert proxies.get(plate) is None
    proxies.stop()


def test_what_plays_is_shown_from_the_proxy_and_what_stands_still_is_not(
    qtbot: QtBot, window: Window, take: Path, frame_number: Number
) -> None:
    window.open(take)
    qtbot.waitUntil(lambda: window.session.take is not None, timeout=20_000)
    window.make_proxies()
    qtbot.waitUntil(lambda: window.proxies.get(window.session.plate.path) is not None, timeout=20_000)  # type: ignore[union-attr]
    window.player.looping = True
    window.player.play(1)
    qtbot.waitUntil(lambda: size(window) == (64, 48) and "proxy" in window.note.text(), timeout=20_000)
    window.set_session(replace(window.session, compare=Compare.WIPE, overlay=True))
    qtbot.waitUntil(lambda: window.shown_frame is not None and window.shown_frame.compare is Compare.WIPE)
    window.player.stop()
    qtbot.waitUntil(lambda: size(window) == (128, 96), timeout=20_000)
    assert "proxy" not in window.note.text()


def test_a_proxy_of_one_side_is_compared_with_the_other_side_in_its_size(
    qtbot: QtBot, window: Window, take: Path
) -> None:
    window.open(take)
    qtbot.waitUntil(lambda: window.session.take is not None, timeout=20_000)
    session, renderer = window.session, window.renderer
    assert session.plate is not None
    window.proxies.want([session.plate])
    qtbot.waitUntil(lambda: window.proxies.get(session.plate.path) is not None, timeout=20_000)  # type: ignore[union-attr]
    renderer.stop()  # its thread rests: what follows is done on this one
    renderer.quick = True
    for compare, shape in ((Compare.DIFFERENCE, (48, 64)), (Compare.SPLIT, (48, 130)), (Compare.DUB, (96, 128))):
        assert renderer.render(replace(session, compare=compare)).shape[:2] == shape


@pytest.mark.parametrize("automatic", [True, False])
def test_falling_behind_makes_a_proxy_unless_the_user_wants_none(qtbot: QtBot, window: Window, automatic: bool) -> None:
    window.proxies.set_automatic(automatic)
    told: list[object] = []
    window.player.behind.connect(told.append)
    window.player.speed = 1  # as while playing, without the clock
    for frame in range(0, 12, 3):  # two of three frames come too late
        window.renderer.shown.emit(replace(window.session, frame=frame), QImage(2, 2, QImage.Format.Format_RGB888))
    assert told == []
    for frame in (3, 6, 9, 11):
        window.renderer.shown.emit(replace(window.session, frame=frame), QImage(2, 2, QImage.Format.Format_RGB888))
    assert len(told) == 1
    window.player.speed = 0
    qtbot.waitUntil(lambda: window.proxies.idle, timeout=20_000)
    assert window.session.plate is not None
    qtbot.waitUntil(lambda: (window.proxies.get(window.session.plate.path) is not None) is automatic)  # type: ignore[union-attr]


def test_a_full_disk_is_said_and_playing_goes_on(qtbot: QtBot, window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gui.proxies.av.open", full)
    window.make_proxies()
    qtbot.waitUntil(lambda: "the disk is full" in window.statusBar().currentMessage(), timeout=20_000)
    assert not list(Path(os.environ["XDG_CACHE_HOME"]).rglob(f"*{NAME}*"))


def test_what_is_small_needs_none(plate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = probe(plate)
    monkeypatch.setattr("gui.proxies._PIXELS", 960 * 540)
    sizes = {(1920, 1080): 2, (1080, 1920): 2, (3840, 2160): 4, (1280, 720): 2, (960, 540): 1, (720, 576): 1}
    assert {wh: factor_of(replace(info, width=wh[0], height=wh[1])) for wh in sizes} == sizes
