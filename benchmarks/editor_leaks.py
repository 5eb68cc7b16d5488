"""Whether the editor gives back what it takes: projects are opened, looked at, played, edited and closed.

    python benchmarks/editor_leaks.py [--projects 50] [--clips 10] [--json FILE]

Media are made here, the window is one. After each project widgets, threads, open files and memory are counted; the exit
code is 1 where the last third of the projects holds more than the second did. 50 projects of 10 clips are 500 clips.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("QT_LOGGING_RULES", "qt.*=false")

import numpy as np

FRAMES, SIZE, MEDIA = 30, (320, 180), 5
MEMORY_MIB = 24.0  #: what a heap may move by without anything being lost


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds."""

    widgets: int
    threads: int
    files: int
    memory_mib: float


def held() -> Held:
    """Count, after everything that waits to be deleted is."""
    from PySide6.QtCore import QEvent
    from PySide6.QtWidgets import QApplication

    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()
    gc.collect()
    return Held(
        widgets=len(QApplication.allWidgets()),
        threads=threading.active_count(),
        files=len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0,  # noqa: PTH208
        memory_mib=_memory_mib(),
    )


def _memory_mib() -> float:
    """Memory of this process that is in use."""
    status = Path("/proc/self/statm")
    if not status.is_file():
        return 0.0
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def make_media(folder: Path) -> list[Path]:
    """Short movies with sound."""
    import av

    paths = []
    for number in range(MEDIA):
        path = folder / f"shot{number}.mov"
        with av.open(str(path), "w") as container:
            video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "10"})
            video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
            sound = container.add_stream("pcm_s16le", rate=48_000, layout="mono")
            for index in range(FRAMES):
                rgb = np.full((SIZE[1], SIZE[0], 3), 20 + 5 * index + number, np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            tone = (8000 * np.sin(np.arange(FRAMES * 1920) / 20)).astype(np.int16)[None]
            block = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
            block.sample_rate = 48_000
            container.mux(sound.encode(block))
            for stream in (video, sound):
                container.mux(stream.encode(None))
        paths.append(path)
    return paths


def make_project(media: list[Path], clips: int, folder: Path) -> Path:
    """A saved project with so many clips."""
    from host_adapters.standalone import media as bin_media
    from host_adapters.standalone import storage
    from host_adapters.standalone.project import Project, add_item
    from julnet_plugin.media.probe import probe
    from julnet_plugin.types import FrameRange

    project = Project(name=folder.stem)
    for path in media:
        project = add_item(project, bin_media.picture_item(probe(path), str(path), 0))
    for place in range(clips):
        item = project.media[place % len(project.media)]
        project = bin_media.put(project, item.id, 10 * place, FrameRange(start=place % 15, stop=place % 15 + 10))
    storage.save(project, folder)
    return folder


def visit(window: Any, folder: Path) -> None:
    """Open a project, look at all of it, play, edit, undo, and close it."""
    from gui import timeline
    from host_adapters.standalone.project import Project

    window.open(folder)
    _until(lambda: window.project.folder == folder and window.shown_frame is not None)
    panel = timeline.of(window)
    panel.view.zoom_to_fit()
    for frame in range(0, window.length, 10):
        window.seek(frame)
        _until(lambda: window.shown_frame == window.session)
    _until(lambda: panel.thumbnails.idle)
    window.seek(0)
    window.player.play(1)
    _wait(0.2)
    window.player.stop()
    window.player.bank.wait()
    panel.razor(everywhere=True)
    panel.add_marker()
    while window.project.history.undo_name is not None:
        window.undo()
    window.project.history.set_clean()
    _until(lambda: window.projects.autosaved)
    window.projects.new()
    window.show_source()
    assert window.project.value == Project()


def _until(done: Callable[[], bool], limit_s: float = 120) -> None:
    from PySide6.QtWidgets import QApplication

    end = time.monotonic() + limit_s
    while not done():
        QApplication.processEvents()
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.001)


def _wait(seconds: float) -> None:
    end = time.monotonic() + seconds
    _until(lambda: time.monotonic() > end)


def leaks_in(samples: list[Held]) -> list[str]:
    """What the last third holds more of than the second did; one sentence each."""
    third = max(len(samples) // 3, 1)
    before, after = samples[third : 2 * third] or samples[:1], samples[-third:]
    found = []
    for name, room in (("widgets", 0.0), ("threads", 0.0), ("files", 0.0), ("memory_mib", MEMORY_MIB)):
        first = max(getattr(sample, name) for sample in before)
        last = min(getattr(sample, name) for sample in after)
        if last > first + room:
            found.append(f"{name} grew from {first:g} to {last:g}")
    return found


def measure(projects: int, clips: int) -> list[Held]:
    """Visit projects one after the other; what was held after each."""
    from PySide6.QtCore import QSettings
    from PySide6.QtWidgets import QApplication

    from gui import playback, theme
    from gui.window import Window
    from host_adapters.worker_client import WorkerClient

    with tempfile.TemporaryDirectory() as name:
        for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
            os.environ[variable] = name
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, name)
        application = QApplication.instance() or QApplication([])
        theme.apply(application)  # type: ignore[arg-type]
        playback.make_output = lambda: None
        media = make_media(Path(name))
        window = Window(WorkerClient())
        window.show()
        samples = []
        for number in range(projects):
            visit(window, make_project(media, clips, Path(name) / f"scene{number}.julnet"))
            samples.append(held())
        window.close()
        window.deleteLater()
        held()
    return samples


def main(arguments: list[str] | None = None) -> int:
    """Visit, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=50)
    parser.add_argument("--clips", type=int, default=10, help="of each")
    parser.add_argument("--json", type=Path, help="where to write what was held after each project")
    options = parser.parse_args(arguments)
    samples = measure(options.projects, options.clips)
    for number in sorted({0, len(samples) // 3, 2 * len(samples) // 3, len(samples) - 1}):
        sample = samples[number]
        print(f"after {number + 1:3} projects: {sample.widgets} widgets, {sample.threads} threads, "
              f"{sample.files} open files, {sample.memory_mib:.0f} MiB")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps([asdict(sample) for sample in samples], indent=1))
    found = leaks_in(samples)
    print(
        "\n".join(found)
        or f"nothing is left of {options.projects} projects and {options.projects * options.clips} clips"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
