"""Work for hours, and see whether anything grows: memory, open files, threads, child processes, files on the disk.

    python -m benchmarks.reliability.soak --minutes 120 --json out.json

Three things go on side by side, lightly: one worker process renders, derives mattes and composites again, all the time;
another one is started, asked, and stopped or killed in the middle of a render, again and again; an editor without a
screen makes, saves and opens projects, shows takes, and closes its window and opens a new one. A sample of each process
is taken every few seconds. What is judged is the growth from the second quarter to the last one: what a process keeps
once (caches that fill, code that is loaded late) is in the first.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.reliability import media

if TYPE_CHECKING:
    from collections.abc import Callable

_FIGURES = ("rss_mib", "handles", "threads", "children")
_MEMORY_GROWTH = 0.05  #: of the second quarter's median
_MEMORY_FLOOR_MIB = 8.0  #: an allocator's noise
_COUNT_GROWTH = 1.0  #: handles, threads, children, files: a leak of one a loop is hundreds
_IDLE_SHARE = 8.0  #: rest after each piece of work, in its own length: light enough to run beside other work
_LONGEST_REST_S = 60.0
_ROUNDS = 6  #: projects that one window sees


@dataclass(slots=True)
class Role:
    """One of the processes, and what is known of it."""

    name: str
    pid: int = 0
    loops: int = 0
    samples: list[dict[str, float]] = field(default_factory=list)


def sample(pid: int) -> dict[str, float]:
    """What a process holds now.

    Raises:
        OSError: it is gone.
    """
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )  # fmt: skip
    return {
        "rss_mib": int(status.get("VmRSS", "0 kB").split()[0]) / 1024,
        "handles": sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        "threads": int(status["Threads"]),
        "children": len(children_of(pid)),
    }


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that are not reaped."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


class Soak:
    """The three lines of work and the one that watches them."""

    def __init__(self, folder: Path, minutes: float, every_s: float) -> None:
        self.folder, self.every_s = folder, every_s
        self.ends = time.monotonic() + 60 * minutes
        self.failures: list[str] = []
        self.plate = media.write_plate(folder / "plate.mov", frames=12, size=(160, 120))
        media.write_line(folder / "line.wav")
        media.write_model(folder / "tiny.safetensors")
        self.roles = {name: Role(name) for name in ("renders", "restarts", "editor", "keeper")}
        self.roles["keeper"].pid = os.getpid()
        self.disk: list[float] = []

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.ends

    def request(self, take: Path) -> dict[str, Any]:
        """A small render."""
        return small_request(self.folder, take)

    def rest(self, begun: float) -> None:
        """Sleep for some times as long as the work took."""
        rest = min(_IDLE_SHARE * (time.monotonic() - begun), _LONGEST_REST_S, self.ends - time.monotonic())
        time.sleep(max(0.0, rest))

    def renders(self) -> None:
        """One worker for the whole time: probe, render, derive the matte, composite; then the take is deleted."""
        worker = Asked(self.roles["renders"])
        take = self.folder / "loop"
        while not self.over:
            begun = time.monotonic()
            worker.ask("probe", media=str(self.plate))
            worker.ask("redub", request=self.request(take))
            worker.ask("matte", take=str(take), settings={"matte.gamma": 2.0})
            worker.ask("comp", take=str(take))
            with contextlib.suppress(RefusedError):
                worker.ask("redub", request=self.request(take) | {"plate": "none.mov"})
            shutil.rmtree(take)
            self.roles["renders"].loops += 1
            self.rest(begun)
        worker.close()

    def restarts(self) -> None:
        """A worker that is closed after a question, or dies in the middle of a render and is followed by the next."""
        role = self.roles["restarts"]
        worker = Asked(role)
        take = self.folder / "restart"
        while not self.over:
            begun = time.monotonic()
            worker.ask("plugins")
            if role.loops % 2:
                worker.close()
                worker = Asked(role)
            else:
                try:
                    worker.ask("redub", kill_at="render", request=self.request(take))
                    self.failures.append("restarts: a killed worker's render has a result")
                except RefusedError as exc:
                    if "worker" not in str(exc):
                        raise
                worker.ask("redub", request=self.request(take) | {"resume": True})
                shutil.rmtree(take)
                worker.close()
                worker = Asked(role)
            role.loops += 1
            self.rest(begun)
        worker.close()

    def editor(self) -> None:
        """The editor's process: counts what it reports."""
        role = self.roles["editor"]
        stop, take = self.folder / "stop", self.folder / "shown"
        worker = Asked(Role("first"))
        worker.ask("redub", request=self.request(take))
        worker.close()
        log = (self.folder / "editor.log").open("w")
        command = [sys.executable, "-m", "benchmarks.reliability.soak", "--editor", str(self.folder)]
        with log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            role.pid = process.pid
            assert process.stdout is not None
            for line in process.stdout:
                role.loops = int(line)
                if self.over:
                    stop.touch()
            role.pid = 0
        if process.returncode or not self.over:
            self.failures.append(
                f"editor: it left with {process.returncode}: {(self.folder / 'editor.log').read_text()[-2000:]}"
            )

    def run(self, tell: Callable[[str], None]) -> dict[str, Any]:
        """Do everything until the time is up; the samples and what they mean."""
        begun = time.monotonic()
        threads = [threading.Thread(target=self._watched, args=(work,), name=work.__name__, daemon=True)
                   for work in (self.renders, self.restarts, self.editor)]  # fmt: skip
        for thread in threads:
            thread.start()
        told = begun
        while any(thread.is_alive() for thread in threads):
            at = time.monotonic() - begun
            for role in self.roles.values():
                if role.pid:
                    with contextlib.suppress(OSError):
                        role.samples.append({"at_s": at, "loops": role.loops, **sample(role.pid)})
            self.disk.append(sum(1 for _ in (self.folder / "tmp").rglob("*")))
            if time.monotonic() - told > 300:
                told = time.monotonic()
                state = "; ".join(_now(role) for role in self.roles.values())
                tell(f"{at / 60:.0f} min: {state}; {self.disk[-1]:.0f} temporary files")
            time.sleep(self.every_s)
        minutes = (time.monotonic() - begun) / 60
        return {
            "minutes": round(minutes, 1),
            "roles": {name: asdict(role) for name, role in self.roles.items()},
            "temporary_files": self.disk,
            "failures": self.failures,
        }

    def _watched(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as exc:  # noqa: BLE001 - the soak goes on without it and says so
            self.failures.append(f"{work.__name__}: {type(exc).__name__}: {exc}")


class RefusedError(Exception):
    """The worker answered with an error."""


class Asked:
    """A worker that is asked one thing after the other, through the client that hosts have."""

    def __init__(self, role: Role) -> None:
        from host_adapters.worker_client import WorkerClient

        self.role, self.client = role, WorkerClient()
        self.events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def ask(self, verb: str, *, kill_at: str = "", **values: Any) -> dict[str, Any]:
        """Ask and wait for the answer; the worker is killed when a stage's progress is heard."""
        self.client.request(verb, self.events.put, **values)
        while True:
            event = self.events.get(timeout=1800)
            process = self.client._process  # the client tells nobody: hosts have no use for it
            self.role.pid = process.pid if process is not None else 0
            if event["event"] == "progress" and kill_at and event["stage"] == kill_at and self.role.pid:
                kill_at = ""
                os.kill(self.role.pid, 9)
            elif event["event"] == "result":
                return event
            elif event["event"] == "error":
                raise RefusedError(event["message"])

    def close(self) -> None:
        """Stop the worker."""
        self.role.pid = 0
        self.client.close()


def _now(role: Role) -> str:
    if not role.samples:
        return f"{role.name}: nothing yet"
    last = role.samples[-1]
    return f"{role.name} {role.loops} loops, " + ", ".join(f"{last[f]:.0f} {f}" for f in _FIGURES)


def edit(folder: Path) -> None:
    """The editor's process: windows that are opened and closed, and in each of them projects."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from PySide6.QtCore import QEvent, QSettings
    from PySide6.QtWidgets import QApplication, QMessageBox

    from gui import playback, theme
    from gui.window import Window
    from host_adapters.worker_client import WorkerClient
    from julnet_plugin.memory import share_arenas

    share_arenas()  # as the editor's own start does
    playback.make_output = lambda: None  # type: ignore[assignment]  # whatever this machine's sound can do
    QMessageBox.exec = lambda *_: QMessageBox.StandardButton.Discard  # type: ignore[assignment,method-assign]
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder / "settings"))
    application = QApplication([])
    theme.apply(application)
    loops = 0
    while not (folder / "stop").exists():
        window = Window(WorkerClient())
        window.show()
        for number in range(_ROUNDS):
            begun = time.monotonic()
            _one_project(window, folder)
            if number == 0:
                _one_render(window, folder)
            loops += 1
            print(loops, flush=True)
            application.sendPostedEvents(None, QEvent.Type.DeferredDelete)  # as the event loop of an application does
            rested = time.monotonic() + min(_IDLE_SHARE * (time.monotonic() - begun), _LONGEST_REST_S)
            while time.monotonic() < rested and not (folder / "stop").exists():
                application.processEvents()
                time.sleep(0.1)
        window.close()
        window.deleteLater()
        application.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        del window
        application.processEvents()


def _one_project(window: Any, folder: Path) -> None:
    """Import, lay on the timeline, play with a take, save, open again."""
    from benchmarks.editor import until

    saved = folder / "saved.julnet"
    shutil.rmtree(saved, ignore_errors=True)
    window.projects.new()
    window.import_media([folder / "plate.mov", folder / "line.wav"], ("v1", 0, False))
    until(lambda: any(track.clips for track in window.project.value.timeline.tracks))
    window.open_session(folder / "shown")
    until(lambda: window.session.take is not None and window.shown_frame is window.session, 300)
    window.toggle_overlay()
    for frame in (0, 3, 5, 9, 2):
        window.go_to(frame)
        until(lambda: window.shown_frame is window.session)
    if not window.projects.save_to(saved):
        raise RuntimeError("the project is not saved")
    window.projects.new()
    until(lambda: not any(track.clips for track in window.project.value.timeline.tracks))
    window.projects.open_project(saved)
    until(lambda: any(track.clips for track in window.project.value.timeline.tracks))


def _one_render(window: Any, folder: Path) -> None:
    """Have the window's own worker render; it is started for that, and ends with the window."""
    from benchmarks.editor import until
    from julnet_plugin.types import RedubRequest

    take = folder / "from_editor"
    values = small_request(folder, take)
    paths = {name: Path(values.pop(name)) for name in ("plate", "dub", "take_dir")}
    window.jobs.start(RedubRequest(**paths, **{**values, "deliver": tuple(values["deliver"])}))
    until(lambda: not window.jobs.running, 1800)
    if not (take / "take.json").is_file():
        raise RuntimeError(f"the editor's render made no take: {window.statusBar().currentMessage()}")
    shutil.rmtree(take)


def small_request(folder: Path, take: Path) -> dict[str, Any]:
    """A render of the folder's plate, as JSON has it."""
    settings = {"render.chunk_frames": 3, "render.threads": 1, "face.min_mouth_px": 8}
    return {
        "plate": str(folder / "plate.mov"), "dub": str(folder / "line.wav"), "take_dir": str(take),
        "model": str(folder / "tiny.safetensors"), "device": "cpu", "deliver": ["h264", "png"], "settings": settings,
    }  # fmt: skip


def quarters(values: list[float]) -> list[float]:
    """Medians of the four quarters of a series."""
    size = max(1, len(values) // 4)
    return [statistics.median(values[i * size : (i + 1) * size if i < 3 else None] or [0.0]) for i in range(4)]


def judged(name: str, figure: str, values: list[float]) -> str:
    """What is wrong with a series; empty when it is flat."""
    _, second, _, last = quarters(values)
    allowed = max(_MEMORY_FLOOR_MIB, _MEMORY_GROWTH * second) if figure == "rss_mib" else _COUNT_GROWTH
    return f"{name}: {figure} grew from {second:.0f} to {last:.0f}" if last - second > allowed else ""


def _row(name: str, loops: object, figure: str, values: list[float]) -> str:
    return f"| {name} | {loops} | {figure} | " + " | ".join(f"{q:.0f}" for q in quarters(values)) + " |"


def report(result: dict[str, Any]) -> tuple[list[str], list[str]]:
    """What grew; and the table, a row a process and figure, with that below it."""
    lines = ["| process | loops | figure | 1st quarter | 2nd | 3rd | last |", "|---|---|---|---|---|---|---|"]
    grown = []
    for name, role in result["roles"].items():
        if len(role["samples"]) < 8:
            grown.append(f"{name}: too few samples")
            continue
        for figure in _FIGURES:
            values = [sample[figure] for sample in role["samples"]]
            lines.append(_row(name, role["loops"], figure, values))
            if name != "restarts":  # another process each time: its own figures say nothing about growth
                grown.append(judged(name, figure, values))
    lines.append(_row("disk", "", "temporary files", result["temporary_files"]))
    grown.append(judged("disk", "temporary files", result["temporary_files"]))
    grown = [line for line in grown if line]
    return grown, [*lines, *(f"GROWN {line}" for line in grown), *(f"FAILED {line}" for line in result["failures"])]


def main(arguments: list[str] | None = None) -> int:
    """Run, print the table; 0 when nothing grew and nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--every", type=float, default=10, help="seconds between samples")
    parser.add_argument("--json", type=Path, help="also write the samples here")
    parser.add_argument("--editor", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.editor:
        edit(args.editor)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tmp").mkdir()
        os.environ["TMPDIR"] = str(folder / "tmp")  # of everything that is started from here
        tempfile.tempdir = None
        for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
            os.environ[variable] = str(folder / variable.lower())
        os.environ["OMP_NUM_THREADS"] = "1"
        result = Soak(folder, args.minutes, args.every).run(lambda line: print(line, flush=True))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    grown, lines = report(result)
    print("\n".join(lines))
    print(f"{result['minutes']} minutes, {len(grown)} grew, {len(result['failures'])} failures")
    return int(bool(grown or result["failures"]))


if __name__ == "__main__":
    sys.exit(main())
