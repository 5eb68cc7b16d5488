"""Nuke cannot run here: its strict fake, which reads, writes and evaluates `.nk` scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import Bench, Box, Shot
from fake_nuke import Nuke

from host_adapters.base import HostSession, MatteRef
from host_adapters.nuke.session import NukeSession

FIRST = 1001


def missing() -> str:
    return ""


def make(folder: Path) -> NukeBench:
    folder.mkdir(parents=True)
    return NukeBench(folder / "shot ü.nk")


class NukeBench(Bench):
    """FakeNuke with a plate, a node behind it, and the person in front of it."""

    def __init__(self, script: Path) -> None:
        self.script = script
        self.app = Nuke()
        self.nuke: Any = self.app.module()

    def open(self, shot: Shot) -> HostSession:
        nuke = self.nuke
        for knob, value in {"first_frame": FIRST, "last_frame": FIRST + 99, "fps": float(shot.record_rate)}.items():
            nuke.root()[knob].setValue(value)
        begin = FIRST + shot.record_in
        timing = {"frame_mode": "start at", "frame": str(begin)}
        if shot.speed != 1:
            timing = {"frame_mode": "expression", "frame": f"(frame - {begin}) * {shot.speed} + {shot.start + 1}"}
        path = str(shot.plate).replace("[", "\\[").replace("$", "\\$")
        read = nuke.nodes.Read(
            file=path, first=shot.start + 1, last=shot.stop, origfirst=1, origlast=shot.frames, before="black",
            after="black", colorspace="rec709", **timing,
        )  # fmt: skip
        nuke.nodes.NoOp().setInput(0, read)
        read.setSelected(True)
        nuke.scriptSaveAs(str(self.script))
        return NukeSession(nuke)

    def reopen(self) -> HostSession:
        self.nuke.scriptOpen(str(self.script))
        return NukeSession(self.nuke)

    def paint(self, matte: MatteRef, frame: int, box: Box, white: bool) -> None:
        start = int(self.nuke.toNode(matte.take_id)["frame"].value())
        self.nuke.toNode(matte.id)["curves"].rootLayer.append([start + frame, box, 1.0 if white else 0.0])

    def close_project(self) -> None:
        self.nuke.scriptClear()
