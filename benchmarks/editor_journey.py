"""A new user's way through the editor, in a real window with real key and mouse events, with a picture of every step.

    xvfb-run -s "-screen 0 1600x1000x24" python benchmarks/editor_journey.py FOLDER [--frames 50] [--docs docs/images]

Imports the demo shot and its line, cuts, re-dubs with the shipped model, walks the worst stretches, paints, compares,
undoes everything and does it again, saves, edits on, is killed (SIGKILL), opens again with nothing lost, exports, and
checks the movie with ffprobe. Pictures and `journey.json` go to FOLDER, smaller ones for the docs where `--docs` says.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

KILL_ME = "ready to be killed"


def until(done: Callable[[], Any], limit_s: float = 300) -> None:
    """Let the window work until something is so."""
    from PySide6.QtWidgets import QApplication

    end = time.monotonic() + limit_s
    while not done():
        QApplication.processEvents()
        if time.monotonic() > end:
            raise TimeoutError(f"{done.__code__.co_firstlineno}: not within {limit_s} s")
        time.sleep(0.005)


class Journey:
    """One window and what is done in it."""

    def __init__(self, folder: Path, docs: Path | None) -> None:
        from PySide6.QtCore import QSettings
        from PySide6.QtWidgets import QApplication

        from gui import playback, theme
        from gui.window import Window
        from host_adapters.worker_client import WorkerClient

        playback.make_output = lambda: None
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder / "settings"))
        self.folder, self.docs = folder, docs
        self.application = QApplication.instance() or QApplication([])
        theme.apply(self.application)  # type: ignore[arg-type]
        self.window = Window(WorkerClient())
        self.window.resize(1560, 960)
        self.window.show()
        self.painted = False
        self.steps: list[str] = []
        self.take_keys()

    def take_keys(self) -> None:
        """Give the window the keys, at the start and after a dialog: without a window manager nobody else does."""
        self.window.activateWindow()
        until(self.window.isActiveWindow, 10)

    def shot(self, name: str) -> None:
        """A picture of the window."""
        from PySide6.QtTest import QTest

        QTest.qWait(400)
        self.steps.append(name)
        picture = self.window.grab()
        picture.save(str(self.folder / f"{len(self.steps):02d}_{name}.png"))
        if self.docs is not None:
            from PySide6.QtCore import Qt

            small = picture.scaledToWidth(1100, Qt.TransformationMode.SmoothTransformation)
            small.save(str(self.docs / f"journey_{name}.jpg"), quality=82)  # type: ignore[call-overload]
        print(f"{len(self.steps):02d} {name}: {self.window.statusBar().currentMessage()}", flush=True)

    def key(self, text: str) -> None:
        """Press a key as the user does: it goes through the window to the widget that has the focus."""
        from PySide6.QtGui import QKeySequence
        from PySide6.QtTest import QTest

        combined = QKeySequence(text)[0]
        QTest.keyClick(self.window.windowHandle(), combined.key(), combined.keyboardModifiers())

    def click(self, widget: Any) -> None:
        """Click into the middle of a widget."""
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=widget.rect().center())

    def drop(self, paths: list[Path], widget: Any) -> None:
        """Let files go over a widget, as from a file manager."""
        from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
        from PySide6.QtGui import QDragEnterEvent, QDropEvent

        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        place = QPointF(widget.rect().center())
        buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        copy = Qt.DropAction.CopyAction
        self.application.sendEvent(widget, QDragEnterEvent(place.toPoint(), copy, data, buttons, keys))
        self.application.sendEvent(widget, QDropEvent(place, copy, data, buttons, keys))

    def choose(self, name: str) -> None:
        """Click a medium in the bin."""
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        from gui import bin as media_bin

        table = media_bin.of(self.window).table
        model = table.model()
        rows = [model.index(row, 0) for row in range(model.rowCount())]
        index = next(index for index in rows if str(index.data()).startswith(name))
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=table.visualRect(index).center())

    def answer_dialog(self, text: str) -> None:
        """Name a file in the dialog that comes up next, and click Save."""
        from PySide6.QtCore import Qt, QTimer
        from PySide6.QtTest import QTest
        from PySide6.QtWidgets import QApplication, QDialogButtonBox, QLineEdit

        def answer() -> None:
            dialog = QApplication.activeModalWidget()
            field = None if dialog is None else dialog.findChild(QLineEdit, "fileNameEdit")
            box = None if dialog is None else dialog.findChild(QDialogButtonBox)
            if field is None or box is None:
                QTimer.singleShot(50, answer)
                return
            field.setText(text)  # typing opens Qt's list of completions, which needs a window manager to go away
            QTest.mouseClick(box.button(QDialogButtonBox.StandardButton.Save), Qt.MouseButton.LeftButton)

        QTimer.singleShot(50, answer)

    @property
    def clips(self) -> int:
        """Clips on the timeline."""
        return sum(len(track.clips) for track in self.window.project.value.timeline.tracks)

    def go(self, frames: int) -> None:
        """Everything up to the kill."""
        from julnet_plugin.demo import make_demo

        plate, dub = make_demo(self.folder / "media", frames)
        window = self.window
        self.shot("first_page")
        from gui import bin as media_bin

        self.drop([plate, dub], media_bin.of(window).table.viewport())
        until(lambda: len(window.project.value.media) == 2 and window.shown_frame is not None)
        self.shot("imported")
        self.cut(frames)
        self.redub(dub)
        self.review()
        self.paint()
        self.undo_all()
        self.save()

    def cut(self, frames: int) -> None:
        """Lay the shot down, cut its first frames off and close up, and put the line below it."""
        from PySide6.QtCore import QPoint, Qt
        from PySide6.QtTest import QTest

        from gui import timeline

        window, view = self.window, timeline.of(self.window).view
        self.choose("demo_plate")
        self.key("Shift+A")
        until(lambda: self.clips == 1)
        self.key("Home")
        for _ in range(6):
            self.key("Right")
        self.key("Ctrl+K")
        until(lambda: self.clips == 2)
        top, height = view.rows()["v1"]
        first = QPoint(round(view.x_of(3)), round(top + height / 2))
        QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=first)
        self.key("Shift+Delete")
        until(lambda: self.clips == 1)
        self.key("Home")
        self.choose("demo_line")
        self.key("Ctrl+.")
        until(lambda: self.clips == 2)
        self.key("\\")
        self.key("Home")
        until(lambda: timeline.of(window).thumbnails.idle)
        self.shot("cut")
        assert window.project.value.timeline.track("v1").record_out == frames - 6

    def redub(self, dub: Path) -> None:
        """One press; the take comes to its clip."""
        window = self.window
        panel: Any = window.docks.raise_panel("redub")
        from PySide6.QtTest import QTest

        panel.dub.setFocus()
        QTest.keyClicks(panel.dub, str(dub))
        window.viewer.setFocus()
        window.go_to(20)
        self.click(panel.start_button)
        until(lambda: panel.bar.isVisible() or window.session.take is not None)
        self.shot("redubbing")
        until(lambda: window.session.take is not None, 600)
        until(lambda: window.shown_frame is not None and window.shown_frame.take is not None)
        self.shot("redubbed")

    def review(self) -> None:
        """Walk the worst stretches, and compare."""
        from gui.matte.part import editor_of

        editor = editor_of(self.window)
        self.key("N")
        self.key("U")
        until(lambda: self.window.shown_frame == self.window.session)
        until(lambda: editor.prepared is not None and editor.prepared.frame == self.window.session.frame)
        self.shot("worst_stretch")
        self.key("U")
        self.key("W")
        until(lambda: self.window.shown_frame == self.window.session)
        self.shot("compared")
        self.key("W")

    def paint(self) -> None:
        """A stroke on the picture where the mouth is."""
        from PySide6.QtCore import QPoint, Qt
        from PySide6.QtTest import QTest

        from gui.matte.part import editor_of

        window, viewer = self.window, self.window.viewer
        if not window.docks.in_front("matte"):
            self.key("Alt+5")
        editor = editor_of(window)
        until(lambda: editor.prepared is not None and editor.prepared.frame == window.session.frame)
        self.key("Z")
        QTest.qWait(300)
        self.key("P")
        rect = viewer.picture_rect()
        start = QPoint(round(rect.center().x() - 0.03 * rect.width()), round(rect.top() + 0.56 * rect.height()))
        assert viewer.rect().contains(start)
        before = len(window.project.history.names)
        QTest.mousePress(viewer, Qt.MouseButton.LeftButton, pos=start)
        for step in range(1, 9):
            QTest.mouseMove(viewer, start + QPoint(6 * step, step % 3))
            QTest.qWait(20)
        QTest.mouseRelease(viewer, Qt.MouseButton.LeftButton, pos=start + QPoint(48, 2))
        QTest.qWait(300)
        self.painted = len(window.project.history.names) > before
        assert self.painted
        self.shot("painted")
        self.key("Escape")
        self.key("Shift+Z")

    def undo_all(self) -> None:
        """Back to the empty project and forth again."""
        window = self.window
        history, done = window.project.history, window.project.value
        while history.undo_name is not None:
            self.key("Ctrl+Z")
        assert window.project.value.media == ()
        self.shot("undone")
        while history.redo_name is not None:
            self.key("Ctrl+Shift+Z")
        assert window.project.value == done
        until(lambda: window.session.take is not None)
        self.shot("redone")

    def save(self) -> None:
        """Save, edit on without saving, and wait to be killed."""
        window = self.window
        self.answer_dialog(str(self.folder / "scene.julnet"))
        self.key("Ctrl+S")
        until(lambda: window.project.folder == self.folder / "scene.julnet")
        self.take_keys()
        until(lambda: window.shown_frame == window.session and window.session.take is not None)
        self.shot("saved")
        window.record.seek(10)
        self.key("M")
        self.key("Ctrl+Shift+K")
        until(lambda: window.projects.autosaved)
        document = window.project.value
        assert len(document.timeline.markers) == 1
        facts = {
            "clips": self.clips,
            "markers": len(document.timeline.markers),
            "steps": self.steps,
            "painted": self.painted,
        }
        (self.folder / "before.json").write_text(json.dumps(facts))

    def come_back(self) -> dict[str, Any]:
        """After the kill: open, compare, export, check."""
        from gui import export, timeline

        before = json.loads((self.folder / "before.json").read_text())
        self.steps = before["steps"]
        window = self.window
        window.open(self.folder / "scene.julnet")
        until(lambda: "Recovered" in window.statusBar().currentMessage())
        until(lambda: window.session.take is not None and window.shown_frame == window.session)
        self.key("\\")
        until(lambda: timeline.of(window).thumbnails.idle)
        self.shot("recovered")
        assert (self.clips, len(window.project.value.timeline.markers)) == (before["clips"], before["markers"])
        self.key("Ctrl+E")
        panel = export.of(window)
        panel.path.setText(str(self.folder / "scene.mp4"))
        self.click(panel.start_button)
        until(lambda: "Done" in panel.said.text())
        self.shot("exported")
        found = probed(self.folder / "scene.mp4")
        picture = next(stream for stream in found["streams"] if stream["codec_type"] == "video")
        assert int(picture["nb_frames"]) == window.project.value.timeline.record_out
        self.key("Ctrl+S")
        until(lambda: window.project.history.clean)
        window.close()
        return {"steps": self.steps, "painted": before["painted"], "ffprobe": found}


def probed(path: Path) -> dict[str, Any]:
    """What ffprobe says of a movie."""
    wanted = "codec_type,codec_name,width,height,r_frame_rate,nb_frames,color_space,sample_rate,channels"
    command = ["ffprobe", "-v", "error", "-show_entries", f"stream={wanted}:format=duration", "-of", "json", str(path)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return {"streams": found["streams"], "format": found["format"]}


def main() -> None:
    """Travel, be killed, come back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=50, help="of the demo shot")
    parser.add_argument("--docs", type=Path, help="where to put pictures for the docs")
    parser.add_argument("--until-kill", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    for variable in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        os.environ[variable] = str(options.folder / variable.lower())
    if options.until_kill:
        Journey(options.folder, options.docs).go(options.frames)
        print(KILL_ME, flush=True)
        time.sleep(600)
        return
    command = [sys.executable, __file__, str(options.folder), "--frames", str(options.frames), "--until-kill"]
    command += [] if options.docs is None else ["--docs", str(options.docs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            print(line, end="", flush=True)
            if line.strip() == KILL_ME:
                child.send_signal(signal.SIGKILL)
    if child.returncode != -signal.SIGKILL:
        sys.exit(f"the journey ended early with code {child.returncode}")
    print("killed")
    facts = Journey(options.folder, options.docs).come_back()
    (options.folder / "journey.json").write_text(json.dumps(facts, indent=1))
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
