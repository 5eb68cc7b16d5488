"""`julnet-editor [PROJECT|MEDIA…]`."""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from julnet_plugin.memory import share_arenas

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

NO_QT = "julnet-editor needs PySide6, which is not installed ({reason}); install julnet with its editor extra"
NO_LIBRARY = (
    "julnet-editor needs the library {name} to show windows, and it is not installed; install it "
    "(Debian and Ubuntu: apt install libxcb-cursor0, Fedora: dnf install xcb-util-cursor)"
)
NO_SCREEN = "julnet-editor needs a screen: neither DISPLAY nor WAYLAND_DISPLAY names one; start it in a desktop"


_CURSORS = "libxcb-cursor.so.0"


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window and stay until it is closed.

    Returns:
        The exit code: 0, or 2 when there is no Qt or no screen to show a window with.
    """
    options = _parser().parse_args(arguments)
    forget_cv2_plugins(os.environ)
    os.environ.setdefault("QT_LOGGING_RULES", "qt.multimedia.*=false")  # a machine without sound is no fault
    try:
        from PySide6.QtWidgets import QApplication
    except ImportError as exc:
        sys.stderr.write(NO_QT.format(reason=exc) + "\n")
        return 2
    if not has_screen(os.environ, sys.platform):
        sys.stderr.write(NO_SCREEN + "\n")
        return 2
    if not has_cursors(os.environ, sys.platform):
        sys.stderr.write(NO_LIBRARY.format(name=_CURSORS) + "\n")
        return 2
    share_arenas()
    from gui import theme
    from gui.window import Window
    from host_adapters.worker_client import WorkerClient

    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    application.setApplicationName("julnet-editor")
    application.setApplicationDisplayName("JULNet")
    theme.apply(application)
    window = Window(WorkerClient())
    window.show()
    if len(options.media) > 1:
        window.import_media(options.media)
    elif options.media:
        window.open(options.media[0])
    else:
        window.projects.recover()
    return application.exec()


def forget_cv2_plugins(environment: MutableMapping[str, str]) -> None:
    """OpenCV's import points Qt at plugins of its own, of another Qt, which cannot load: point it back."""
    for name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
        if "cv2" in PurePath(environment.get(name, "")).parts:
            del environment[name]


def has_screen(environment: Mapping[str, str], platform: str) -> bool:
    """Whether Qt will find something to show a window on; where it does not, it ends the process without a word."""
    if not platform.startswith("linux"):
        return True
    return any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def has_cursors(environment: Mapping[str, str], platform: str, load: Callable[[str], object] = ctypes.CDLL) -> bool:
    """Whether what Qt's X11 plugin needs besides its own files is there; without it Qt aborts the process."""
    wanted = environment.get("QT_QPA_PLATFORM", "" if environment.get("WAYLAND_DISPLAY") else "xcb")
    if not platform.startswith("linux") or not wanted.startswith("xcb"):
        return True
    try:
        load(_CURSORS)
    except OSError:
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="julnet-editor", description="Cut a scene, re-dub its shots, find and mend what the takes are unsure of."
    )
    parser.add_argument(
        "media", nargs="*", type=Path, metavar="PROJECT|MEDIA", help="a project, a take, an .otio, or media for the bin"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
