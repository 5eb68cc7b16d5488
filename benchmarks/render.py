"""A take from end to end: speed and memory at several sizes and lengths, edits after it, previews, and starting up.

Every case is a process of its own, so that its peak memory is its own and nothing is warm that a user's first render
would find cold. "CPU" is processor time of all threads: on a busy machine it says more than wall time. The last ratio,
how many frames of a take cost what one frame of the yardstick's network costs, hardly depends on the machine at all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.clocks import Spent, middle, spent
from benchmarks.plates import RATE, empty, make_dub, make_plate
from benchmarks.record import Measured, report


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks render", description=__doc__)
    parser.add_argument("--heights", default="540,1080,2160", help="lines of the plates")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each")
    parser.add_argument("--long", default="60", help="further lengths in seconds, at the smallest height; or none")
    parser.add_argument("--long-height", type=int, default=0, help="lines of the long plates; 0 = the smallest height")
    parser.add_argument("--rounds", type=int, default=1, help="how often each size is rendered")
    parser.add_argument("--parts", default="sizes,long,edits,preview,start", help="which of these to measure")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="folder of the JSON")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(_CHILDREN[options.child.partition(" ")[0]](json.loads(options.child.partition(" ")[2]))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), options)
    settings = {k: v for k, v in vars(options).items() if k not in ("output", "child")}
    report("render", rows, options.output, settings)
    return 0


def measure(folder: Path, options: argparse.Namespace) -> list[Measured]:
    """All parts that were asked for."""
    heights = [int(height) for height in options.heights.split(",") if height]
    lengths = [float(length) for length in options.long.split(",") if length not in ("", "none")]
    parts, rows = options.parts.split(","), []
    if "start" in parts:
        rows += start_up()
    if "sizes" in parts:
        for height in heights:
            rows += sizes(folder, height, options.seconds, options.rounds, options.device)
    if "long" in parts and lengths:
        rows += long_plates(folder, options.long_height or min(heights), [options.seconds, *lengths], options.device)
    if "edits" in parts:
        rows += edits(folder, 1080 if 1080 in heights else heights[-1], options.seconds, options.device)
    if "preview" in parts:
        rows += previews(folder, min(heights), options.device)
    return rows


@dataclass(frozen=True, slots=True)
class Run:
    """One render in a process of its own."""

    frames: int
    wall_s: float
    cpu_s: float
    peak_mib: float
    start_s: float  #: from the start of the process to the first frame that is looked at
    stages: dict[str, float]

    @property
    def fps(self) -> float:
        """Frames a second of wall time, everything included."""
        return self.frames / self.wall_s

    @property
    def cpu_ms(self) -> float:
        """CPU time a frame."""
        return 1e3 * self.cpu_s / self.frames


def sizes(folder: Path, height: int, seconds: float, rounds: int, device: str) -> list[Measured]:
    """Plate to ProRes take at one size."""
    frames = round(seconds * RATE)
    plate, dub = make_plate(folder / f"{height}.mp4", height, frames), make_dub(folder / "dub.wav", seconds)
    runs = [_render(folder, plate, dub, device) for _ in range(rounds)]
    name, (speed, spread) = f"{height}p", middle([run.fps for run in runs])
    cpu, cpu_spread = middle([run.cpu_ms for run in runs])
    note = "H.264 to ProRes, " + ", ".join(f"{k} {v:.1f} s" for k, v in runs[0].stages.items())
    return [
        Measured(f"{name} end to end", speed, "frames/s", note, spread if rounds > 1 else None),
        Measured(f"{name} CPU", cpu, "ms/frame", f"{frames} frames", cpu_spread if rounds > 1 else None),
        Measured(f"{name} peak memory", max(run.peak_mib for run in runs), "MiB"),
    ]


def long_plates(folder: Path, height: int, lengths: list[float], device: str) -> list[Measured]:
    """What a frame costs, and how much memory a render takes, as plates grow."""
    rows, first = [], None
    for seconds in lengths:
        frames = round(seconds * RATE)
        plate = make_plate(folder / f"long{frames}.mp4", height, frames)
        run = _render(folder, plate, make_dub(folder / "long.wav", seconds), device)
        plate.unlink()
        first = first or run
        name = f"{height}p, {seconds:g} s"
        steady = 1e3 * sum(run.stages[stage] for stage in ("track", "render", "deliver")) / frames
        rows += [
            Measured(f"{name}: CPU", run.cpu_ms, "ms/frame", f"{run.cpu_ms / first.cpu_ms:.2f} of the shortest"),
            Measured(f"{name}: stages", steady, "ms/frame", "wall time of tracking, painting and delivering"),
            Measured(f"{name}: peak", run.peak_mib, "MiB", f"{run.peak_mib / first.peak_mib:.3f} of the shortest"),
        ]
    return rows


def edits(folder: Path, height: int, seconds: float, device: str) -> list[Measured]:
    """What changes after a first render cost beside it, in a process that has everything loaded."""
    plate = make_plate(folder / "edited.mp4", height, round(seconds * RATE))
    one, other = make_dub(folder / "one.wav", seconds), make_dub(folder / "other.wav", seconds, start_s=1.3)
    taken = _child("edits", plate=str(plate), one=str(one), other=str(other), device=device, folder=str(folder))
    cold = Spent(*taken["other, cold"])
    rows = []
    for name, note in (("other dub", "same plate"), ("matte", "julnet matte"), ("comp", "julnet comp")):
        edit = Spent(*taken[name])
        rows.append(
            Measured(f"{height}p {name}", cold.wall_s / edit.wall_s, "times", f"as fast as a cold render; {note}")
        )
        rows.append(Measured(f"{height}p {name}, CPU", cold.cpu_s / edit.cpu_s, "times", "as fast as a cold render"))
    return rows


def previews(folder: Path, height: int, device: str) -> list[Measured]:
    """Frames as the editor asks for them: one, and one after the other while it plays what is not rendered yet."""
    plate, dub = make_plate(folder / "preview.mp4", height, 60), make_dub(folder / "preview.wav", 60 / RATE)
    taken = _child("preview", plate=str(plate), dub=str(dub), device=device, folder=str(folder))
    first, moved = taken["first"], [Spent(*values) for values in taken["moved"]]
    wall, spread = middle([1e3 * one.wall_s for one in moved])
    cpu, cpu_spread = middle([1e3 * one.cpu_s for one in moved])
    played, played_spread = middle([1e3 * wall_s for wall_s, _ in taken["played"]])
    busy, busy_spread = middle([1e3 * cpu_s for _, cpu_s in taken["played"]])
    return [
        Measured(f"{height}p preview, first frame", first[0], "s", "model, dub and faces are not known yet"),
        Measured(f"{height}p preview, next frame", wall, "ms", f"{1e3 / wall:.1f} frames/s", spread),
        Measured(f"{height}p preview, next frame, CPU", cpu, "ms", "", cpu_spread),
        Measured(f"{height}p preview, playing", played, "ms", f"{1e3 / played:.1f} frames/s", played_spread),
        Measured(f"{height}p preview, playing, CPU", busy, "ms", "a frame", busy_spread),
    ]


def start_up(rounds: int = 5) -> list[Measured]:
    """How long a host waits for the shell, and a person for help; the least of some runs."""
    cases = {
        "import julnet_plugin": [
            "-c",
            "import time, os; w = time.perf_counter(); import julnet_plugin; print(time.perf_counter() - w)",
        ],
        "julnet --help": ["-m", "julnet_plugin", "--help"],
    }
    rows = []
    for name, arguments in cases.items():
        walls, cpus = [], []
        for _ in range(rounds):
            before, began = os.times(), time.perf_counter()
            run = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
            wall, after = time.perf_counter() - began, os.times()
            walls.append(float(run.stdout) if arguments[0] == "-c" else wall)
            cpus.append(after.children_user + after.children_system - before.children_user - before.children_system)
        note = f"the process's CPU time: {1e3 * min(cpus):.0f} ms"
        rows.append(Measured(name, 1e3 * min(walls), "ms", note))
    return rows


def _render(folder: Path, plate: Path, dub: Path, device: str) -> Run:
    take = empty(folder / "takes") / "take"
    return Run(**_child("render", plate=str(plate), dub=str(dub), take=str(take), device=device))


def _child(kind: str, **values: str) -> dict[str, Any]:
    """Measure something in a process that has done nothing else, with a cache that holds nothing."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "benchmarks", "render", "--child", f"{kind} {json.dumps(values)}"]
        environment = {**os.environ, "JULNET_CACHE": cache}
        run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if run.returncode:
        raise RuntimeError(run.stderr[-4000:])
    return dict(json.loads(run.stdout.splitlines()[-1]))


def _render_child(values: dict[str, str]) -> dict[str, Any]:
    import resource

    began, stages, since = time.perf_counter(), dict.fromkeys(("audio", "track", "render", "deliver"), 0.0), 0.0
    first = 0.0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal since, first
        now = time.perf_counter()
        stages[stage] += now - since if done > 1 else 0
        first = first or (now - began if stage == "track" else 0)
        since = now

    total = spent(lambda: _redub(values["plate"], values["dub"], values["take"], values["device"], progress))
    import av

    with av.open(values["plate"]) as container:
        frames = container.streams.video[0].frames
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return {
        "frames": frames,
        "wall_s": total.wall_s,
        "cpu_s": total.cpu_s,
        "peak_mib": peak,
        "start_s": first,
        "stages": stages,
    }


def _edits_child(values: dict[str, str]) -> dict[str, tuple[float, float]]:
    from julnet_plugin.recomp import recomposite, rederive_matte

    folder = empty(Path(values["folder"]) / "edits")
    plate, one, other, device = (values[name] for name in ("plate", "one", "other", "device"))
    _redub(plate, one, str(folder / "warming"), device, out_point="12")  # imports, and kernels that are chosen once
    works = {
        "first": lambda: _redub(plate, one, str(folder / "take"), device),
        "other dub": lambda: _redub(plate, other, str(folder / "warm"), device),
        "matte": lambda: rederive_matte(folder / "take", {"matte.low_cv": 6.0, "matte.high_cv": 24.0}),
        "comp": lambda: recomposite(folder / "take"),
    }
    taken = {name: spent(work) for name, work in works.items()}
    os.environ["JULNET_CACHE"] = "off"
    taken["other, cold"] = spent(lambda: _redub(plate, other, str(folder / "cold"), device))
    return {name: (one.wall_s, one.cpu_s) for name, one in taken.items()}


def _preview_child(values: dict[str, str]) -> dict[str, Any]:
    from julnet_plugin import RedubRequest
    from julnet_plugin.manager import make_manager
    from julnet_plugin.preview import Previews
    from julnet_plugin.types import FrameRange

    request = RedubRequest(
        plate=Path(values["plate"]), dub=Path(values["dub"]), take_dir=Path(values["folder"]) / "never"
    )
    made = Previews(manager=make_manager())
    try:
        first = spent(lambda: made.frame(request, 4, lambda *_: None))
        moved = [spent(lambda frame=frame: made.frame(request, frame, lambda *_: None)) for frame in range(5, 17)]  # type: ignore[misc]
        stretch = FrameRange(start=0, stop=48)
        played = [spent(lambda: list(made.frames(request, stretch, lambda *_: None))) for _ in range(4)][1:]
    finally:
        made.close()
    return {
        "first": (first.wall_s, first.cpu_s),
        "moved": [(one.wall_s, one.cpu_s) for one in moved],
        "played": [(one.wall_s / len(stretch), one.cpu_s / len(stretch)) for one in played],
    }


def _redub(plate: str, dub: str, take: str, device: str, progress: Any = None, out_point: str | None = None) -> None:
    from julnet_plugin import RedubRequest, redub

    redub(
        RedubRequest(plate=Path(plate), dub=Path(dub), take_dir=Path(take), device=device, out_point=out_point),
        progress,
    )


_CHILDREN = {"render": _render_child, "edits": _edits_child, "preview": _preview_child}
