"""The editor's numbers, offscreen: scrubbing, painting, the timeline's paint loop, cold start, seeking, sound.

    python benchmarks/editor.py [--quick] [--size 1920x1080] [--json FILE]

Everything that is shown is made here: a clip with the frame number in its pixels, a take with a matte beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("QT_LOGGING_RULES", "qt.*=false")

import numpy as np

WIDTH, HEIGHT, BITS = 1920, 1080, 10


def picture(number: int) -> Any:
    """A ramp with the number in blocks along the top."""
    rgb = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    rgb[..., 0] = np.linspace(40, 200, WIDTH, dtype=np.uint8)
    rgb[..., 1] = np.linspace(60, 180, HEIGHT, dtype=np.uint8)[:, None]
    rgb[..., 2] = 90
    block = WIDTH // BITS
    for bit in range(BITS):
        rgb[: HEIGHT // 8, bit * block : (bit + 1) * block] = 225 if number >> (BITS - 1 - bit) & 1 else 25
    return rgb


def number_in(rgb: Any) -> int:
    """What `picture` drew."""
    block = WIDTH // BITS
    levels = [rgb[HEIGHT // 16, bit * block + block // 2].mean() for bit in range(BITS)]
    return sum((level > 120) << (BITS - 1 - bit) for bit, level in enumerate(levels))


def matte(number: int) -> Any:
    """A soft spot where a mouth would be."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    across, down = WIDTH / 1920, HEIGHT / 1080
    spot = np.exp(-(((x - 960 * across) / (130 * across)) ** 2 + ((y - 700 * down - number % 5) / (90 * down)) ** 2))
    return np.repeat((255 * spot).astype(np.uint8)[..., None], 3, axis=2)


def encode(path: Path, frames: int, draw: Callable[[int], Any], *, sound: bool = False) -> Path:
    """A movie as cameras and encoders make them: H.264, a key frame a second, perhaps with a tone."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18", "preset": "veryfast", "g": "25"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        tone: Any = container.add_stream("pcm_s16le", rate=48_000, layout="mono") if sound else None
        for index in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(draw(index), format="rgb24")))
        container.mux(stream.encode(None))
        if tone is not None:
            samples = (8000 * np.sin(np.arange(frames * 1920) / 20)).astype(np.int16)[None]
            block = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            block.sample_rate = 48_000
            container.mux(tone.encode(block))
            container.mux(tone.encode(None))
    return path


def make_take(folder: Path, plate: Path, frames: int) -> Path:
    """A take of the whole plate."""
    folder.mkdir()
    encode(folder / "dub.mov", frames, picture)
    encode(folder / "matte.mov", frames, matte)
    rows = [{"frame": i, "redubbed": True, "sigma_mean": 0.02, "sigma_p95": 0.05} for i in range(frames)]
    manifest = {
        "schema": "julnet.take", "version": "1.0", "job": {"colour_space": None, "settings": {}, "seed": 0},
        "inputs": {"plate": {"path": str(plate)}}, "model": {"id": "rt", "calibration": []},
        "plate": {"width": WIDTH, "height": HEIGHT, "frame_range": [0, frames]},
        "files": {"h264": "dub.mov", "matte": "matte.mov"}, "warnings": [], "review": [], "frames": rows,
    }  # fmt: skip
    (folder / "take.json").write_text(json.dumps(manifest))
    keep_data(folder, frames)
    return folder


def keep_data(folder: Path, frames: int) -> None:
    """What the network would have said of a mouth where `matte` draws it, so that the take can be painted on."""
    from julnet_plugin.face.crop import REGION
    from julnet_plugin.pipeline.cropdata import DATA, PLAN, CropChunk, Plan, chunk_name

    (folder / DATA).mkdir()
    scale = 1.3 * WIDTH / 1920
    corner = [960 * WIDTH / 1920 - 160 * scale, 700 * HEIGHT / 1080 - 260 * scale]
    angle = np.linspace(0, 2 * np.pi, len(REGION), endpoint=False)
    outline = np.stack([160 + 110 * np.cos(angle), 280 + 90 * np.sin(angle)], axis=1)
    Plan(
        plate_from_crop=np.array([[[scale, 0.0, corner[0]], [0.0, scale, corner[1]]]] * frames),
        region=np.repeat(outline[None], frames, axis=0).astype(np.float32),
        weight=np.ones(frames, np.float32),
        shot=np.zeros(frames, np.int32),
        mouth_px=np.full(frames, 256 * scale),
        angles=np.zeros((frames, 3)),
        found=np.ones(frames, bool),
        sharpness=np.ones(frames, np.float32),
        covered=np.zeros(frames, np.float32),
    ).save(folder / DATA / PLAN)
    box = (176, 386, 28, 292)
    size = (box[1] - box[0], box[3] - box[2])
    sigma = np.tile(np.linspace(0, 24 / 255, size[1], dtype=np.float16), (frames, size[0], 1))
    CropChunk(
        frames=np.arange(frames),
        crop_size=np.array((416, 320)),
        box=np.array(box),
        image=np.full((frames, *size, 3), 128, np.uint8),
        sigma=sigma,
        error=sigma,
    ).save(folder / DATA / chunk_name(0))


def until(done: Callable[[], bool], limit_s: float = 60) -> None:
    """Run the event loop until something is so."""
    from PySide6.QtWidgets import QApplication

    end = time.perf_counter() + limit_s
    while not done():
        QApplication.processEvents()
        if time.perf_counter() > end:
            raise TimeoutError
        time.sleep(0)


def pixels_of(window: Any) -> Any:
    """What the viewer shows."""
    from PySide6.QtGui import QImage

    image = window.viewer.image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)


def scrub(window: Any, frames: int, moves: int) -> dict[str, float]:
    """A hand on the scrub bar: to and fro by a few frames, sometimes a jump. From the wish to the repainted widget."""
    from PySide6.QtWidgets import QApplication

    chance, at, times = random.Random(3), frames // 2, []
    if not window.session.overlay:
        window.toggle_overlay()
    for move in range(moves):
        at = chance.randrange(frames) if move % 25 == 0 else (at + chance.choice([-2, -1, 1, 1, 2, 3])) % frames
        began = time.perf_counter()
        window.go_to(at)
        until(lambda: window.shown_frame is window.session)
        window.viewer.repaint()
        QApplication.processEvents()
        times.append(1000 * (time.perf_counter() - began))
    return {"scrub_median_ms": statistics.median(times), "scrub_p95_ms": sorted(times)[int(0.95 * len(times))]}


def seeks(window: Any, count: int) -> int:
    """Random seek, step, play and pause; how often the frame that is shown after it is not the playhead's."""
    chance, wrong, frames = random.Random(9), 0, window.length
    if window.session.overlay:
        window.toggle_overlay()
    for _ in range(count):
        kind = chance.choice(["seek", "step", "back", "play", "key"])
        if kind == "seek":
            window.seek(chance.randrange(frames))
        elif kind == "step":
            window.step_forward()
        elif kind == "back":
            window.step_back()
        elif kind == "key":
            window.player.shuttle(chance.choice([-1, 1]))
            until(lambda: window.shown_frame is not None)
            window.player.stop()
        else:
            window.player.play(1)
            end = time.perf_counter() + 0.05
            until(lambda end=end: time.perf_counter() > end)  # type: ignore[misc]
            window.player.stop()
        if window.session.plate is None:  # behind the end of the timeline is room to put something
            window.seek(frames - 1)
        until(lambda: window.shown_frame is window.session)
        wrong += number_in(pixels_of(window)) != window.session.frame
    return wrong


def cut(window: Any, plate: Path, frames: int) -> None:
    """Lay three parts of the plate down, the last part first, and go to the timeline."""
    from host_adapters.standalone import media
    from julnet_plugin.types import FrameRange

    item = next(item for item in window.project.value.media if item.media.path == plate.as_posix())
    third = frames // 3
    for place, start in enumerate((2 * third, 0, third)):
        source = FrameRange(start=start, stop=start + third)
        window.project.edit("Insert", lambda p, at=place * third, source=source: media.put(p, item.id, at, source))
    window.show_record()
    until(lambda: window.session.plate is not None and window.shown_frame == window.session)


class Loudspeaker:
    """A sound device that plays at the rate at which time passes, and hears nothing before it is fed."""

    def __init__(self) -> None:
        self.began = 0.0

    def start(self, pull: Callable[[int], bytes]) -> bool:
        """Begin."""
        self.began = time.perf_counter()
        return True

    def heard_s(self) -> float:
        """Seconds that have left it."""
        return time.perf_counter() - self.began

    def feed(self) -> None:
        """Nothing: what is measured is when."""

    def stop(self) -> None:
        """End."""


def sync(window: Any, seconds: float) -> dict[str, float]:
    """How far the picture on screen is from the sound that is heard at that moment, in frames, while playing."""
    speaker, apart = Loudspeaker(), []
    player, rate = window.player, float(window.rate)
    player._output = speaker

    def shown(session: Any, _: Any) -> None:
        if player.playing:
            apart.append(session.position - (first + speaker.heard_s() * rate))

    first = window.position
    window.renderer.shown.connect(shown)
    player.play(1)
    end = time.perf_counter() + seconds
    until(lambda: time.perf_counter() > end)
    sounding = player._sounding
    player.stop()
    window.renderer.shown.disconnect(shown)
    # a frame lasts from 0 to 1: at -0.5 it is seen in the middle of its sound
    late = [-(value + 0.5) for value in apart]
    share = sum(abs(value) <= 1 for value in late) / max(len(late), 1)
    return {
        "sound_led": float(sounding),
        "shown_while_playing": float(len(late)),
        "late_median_frames": statistics.median(late),
        "late_worst_frames": max(late, key=abs),
        "within_a_frame_share": share,
    }


def many_clips(clips: int) -> Any:
    """A project with so many clips on four tracks, and markers."""
    from host_adapters.standalone.project import Project
    from host_adapters.standalone.timeline import Clip, Marker, MediaRef, Timeline, Track
    from julnet_plugin.types import FrameRange

    media = MediaRef(path="nowhere/shot.mov", frame_count=500, rate=Fraction(25))
    source = FrameRange(start=10, stop=90)
    rows = []
    for name, kind in (("v1", "video"), ("v2", "video"), ("a1", "audio"), ("a2", "audio")):
        line = (
            Clip(id=f"{name}-{i}", media=media, source=source, record_in=i * 90, link=f"l{name[1]}-{i}")
            for i in range(clips // 4)
        )
        rows.append(Track(id=name, kind=kind, name=name.upper(), clips=tuple(line)))  # type: ignore[arg-type]
    markers = tuple(Marker(frame=i * 200) for i in range(40))
    return replace(Project(), timeline=Timeline(rate=Fraction(25), tracks=tuple(rows), markers=markers))


def paint(window: Any, clips: int, steps: int) -> dict[str, float]:
    """Pan and zoom a timeline of many clips; frames a second of whole repaints."""
    from gui import timeline

    window.project.open(many_clips(clips), None)
    view = timeline.of(window).view
    result: dict[str, float] = {}

    def measured(name: str, move: Callable[[int], None]) -> None:
        times = []
        for step in range(steps):
            began = time.thread_time()  # of this thread: what other work on the machine takes is not the editor's
            move(step)
            view.viewport().repaint()
            times.append(time.thread_time() - began)
        result[name] = 1 / statistics.median(times)

    view.zoom_to_fit()
    measured("pan_all_fps", view.horizontalScrollBar().setValue)
    view.set_zoom(2.0)
    measured("pan_close_fps", lambda step: view.horizontalScrollBar().setValue(step * 7))
    view.zoom_to_fit()
    measured("zoom_fps", lambda step: view.set_zoom(view.zoom * (1.05 if step < steps // 2 else 1 / 1.05), 400))
    view.select(frozenset({"v1-100"}))
    began = time.thread_time()
    timeline.of(window).nudge(1)
    view.viewport().repaint()
    result["edit_ms"] = 1000 * (time.thread_time() - began)
    return result


COLD = """
from gui.__main__ import forget_cv2_plugins
from PySide6.QtWidgets import QApplication
from gui import theme
from gui.window import Window
from host_adapters.worker_client import WorkerClient
app = QApplication([])
theme.apply(app)
window = Window(WorkerClient())
window.show()
app.processEvents()
window.step_forward()
app.processEvents()
print("ready", flush=True)
window.close()
"""


def cold_start(runs: int) -> dict[str, float]:
    """From a new process to a window that takes keys, Python's own start included: by the clock, and processor time."""
    times, began_cpu = [], os.times()
    for _ in range(runs):
        began = time.perf_counter()
        with subprocess.Popen([sys.executable, "-c", COLD], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            times.append(time.perf_counter() - began)
    now = os.times()
    spent = now.children_user + now.children_system - began_cpu.children_user - began_cpu.children_system
    return {
        "cold_start_s": min(times),
        "cold_start_median_s": statistics.median(times),
        "cold_start_cpu_s": spent / runs,
    }


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer of everything")
    parser.add_argument("--size", default=f"{WIDTH}x{HEIGHT}", help="of the pictures")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args()
    globals().update(zip(("WIDTH", "HEIGHT"), map(int, options.size.split("x")), strict=True))
    frames, moves, count = (50, 60, 40) if options.quick else (150, 300, 500)
    numbers: dict[str, float] = cold_start(2 if options.quick else 5)
    with tempfile.TemporaryDirectory() as name:
        for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
            os.environ[variable] = name
        from PySide6.QtWidgets import QApplication

        from benchmarks.editor_matte import dab_ms
        from gui import playback, theme
        from gui.window import Window
        from host_adapters.standalone.project import Project
        from host_adapters.worker_client import WorkerClient

        application = QApplication([])
        theme.apply(application)
        playback.make_output = lambda: None  # the wall clock: what is measured is the picture
        plate = encode(Path(name) / "plate.mov", frames, picture, sound=True)
        take = make_take(Path(name) / "take", plate, frames)
        window = Window(WorkerClient())
        window.resize(1600, 1000)
        window.show()
        window.open(take)
        until(lambda: window.session.take is not None and window.shown_frame is not None)
        numbers |= scrub(window, frames, moves)
        dabs = dab_ms(window, moves)
        numbers |= {"dab_median_ms": dabs.median_ms, "dab_p95_ms": dabs.p95_ms}
        wrong = seeks(window, count // 2)
        window.import_media([plate])
        until(lambda: bool(window.project.value.media))
        cut(window, plate, frames)
        wrong += seeks(window, count - count // 2)
        numbers |= {"operations": float(count), "wrong_frames": float(wrong)}
        window.seek(0)
        window.player.bank.wait()
        numbers |= sync(window, 1.5 if options.quick else 4)
        numbers |= paint(window, 1000, 60 if options.quick else 200)
        window.project.open(Project(), None)
        window.project.history.set_clean()
        window.close()
    for key, value in numbers.items():
        print(f"{key:>22}  {value:.2f}")
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where the other benchmarks are found
    main()
