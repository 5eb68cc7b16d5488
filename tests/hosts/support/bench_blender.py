"""Blender itself, headless: one process for the whole run, a project for each test."""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path

from bench import Bench, Box, Shot

from host_adapters.base import HostSession, MatteRef, RecordRange, sequence_files
from host_adapters.blender.headless import DEFAULT, PYTHON_VARIABLE, HeadlessBlender, HeadlessSession, find_blender


def missing() -> str:
    """Why Blender cannot run here; empty = it can."""
    if find_blender() is None:
        return (
            f"Blender as a module is not here: `make blender` puts it into {DEFAULT.parent.parent.name}, or set "
            f"{PYTHON_VARIABLE} to a Python that has bpy"
        )
    return ""


@cache
def blender() -> HeadlessBlender:
    """The one process."""
    python = find_blender()
    assert python is not None
    started = HeadlessBlender(python)
    atexit.register(started.close)
    return started


class BlenderBench(Bench):
    """One project file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.path = folder / "Schnitt 1 ü.blend"

    def open(self, shot: Shot) -> HostSession:
        rate = shot.record_rate
        blender().ask("new", str(self.path), [rate.numerator, rate.denominator], list(shot.size))
        trim = [shot.record_in, shot.record_in + shot.stop - shot.start]
        name = blender().ask("add_clip", str(shot.plate), 1, shot.record_in - shot.start, trim)
        if shot.speed != 1:
            blender().ask("speed", name, float(shot.speed))
        return HeadlessSession(blender())

    def reopen(self) -> HostSession:
        blender().ask("close")
        return blender().open(str(self.path))

    def paint(self, matte: MatteRef, frame: int, box: Box, white: bool) -> None:
        blender().ask("paint", sequence_files(matte.path)[frame], list(box), white)

    def hear(self, session: HostSession, frames: RecordRange, path: Path) -> None:
        blender().ask("mix_down", frames, str(path))

    def close_project(self) -> None:
        blender().ask("close")


def make(folder: Path) -> Bench:
    """A bench on a folder of its own."""
    return BlenderBench(folder)
