"""Starting from the shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gui.__main__ import forget_cv2_plugins, has_cursors, has_screen, main
from gui.keytable import page

ROOT = Path(__file__).parents[2]


def test_opencv_s_plugin_folder_is_forgotten_and_the_user_s_own_is_not() -> None:
    environment = {"QT_QPA_PLATFORM_PLUGIN_PATH": "/site-packages/cv2/qt/plugins", "QT_QPA_FONTDIR": "/my/fonts"}
    forget_cv2_plugins(environment)
    assert environment == {"QT_QPA_FONTDIR": "/my/fonts"}


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"QT_QPA_PLATFORM": "offscreen"}, "linux", True),
        ({}, "darwin", True),
    ],
)
def test_a_screen_is_looked_for_where_qt_needs_a_name_for_it(
    environment: dict[str, str], platform: str, expected: bool
) -> None:
    assert has_screen(environment, platform) is expected


def test_without_qt_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "PySide6.QtWidgets", None)
    assert main([]) == 2
    assert "editor extra" in capsys.readouterr().err


def test_the_help_needs_no_screen_and_no_qt() -> None:
    code = "import sys; sys.modules['PySide6'] = None; from gui.__main__ import main; main(['--help'])"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "DISPLAY": ""}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "PROJECT|MEDIA" in run.stdout


def test_the_page_of_keys_is_the_program_s() -> None:
    found = (ROOT / "docs" / "keys.md").read_text("utf-8")
    assert found == page(), "python -m gui.keytable > docs/keys.md"


def test_this_qt_does_not_give_references_away(qapp: object) -> None:
    """PySide6 6.12 loses a reference to None with each of these calls; a window makes millions; Python 3.11 ends."""
    from PySide6.QtGui import QImage

    picture = QImage(2, 2, QImage.Format.Format_RGB32)
    before = sys.getrefcount(None)
    for _ in range(1000):
        picture.fill(0)
    assert abs(sys.getrefcount(None) - before) < 100


@pytest.mark.parametrize(
    ("environment", "platform", "fine"),
    [
        ({"DISPLAY": ":0"}, "linux", False),
        ({"DISPLAY": ":0", "QT_QPA_PLATFORM": "xcb"}, "linux", False),
        ({"DISPLAY": ":0", "QT_QPA_PLATFORM": "offscreen"}, "linux", True),
        ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "darwin", True),
    ],
)
def test_the_library_without_which_qt_aborts_is_asked_for_first(
    environment: dict[str, str], platform: str, fine: bool
) -> None:
    def missing(name: str) -> object:
        raise OSError(name)

    assert has_cursors(environment, platform, missing) is fine
    assert has_cursors(environment, platform, lambda _: None)
