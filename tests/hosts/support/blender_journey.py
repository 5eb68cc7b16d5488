"""A new user's way through the extension, inside Blender: installed from its zip, from a clip to takes that stay.

Run by Blender's Python with one argument, a JSON file: `zip`, `plate`, `dub`, `folder`, `python` (JULNet's), `model`,
`rate`, `size`, `trim`, `faults`. What was found goes to `report.json` in the folder.
"""

# ruff: noqa: PTH113, PTH118, PTH119, PTH120, PTH123, PTH207, PTH208

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import signal
import sys
import time
import traceback
from typing import Any

import bpy

ADDON = "bl_ext.user_default.julnet"


class Journey:
    """One project, step by step."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.wanted, self.report = wanted, {}  # type: dict[str, Any], dict[str, Any]
        self.path = os.path.join(wanted["folder"], "Szene 1 ü.blend")

    def install(self) -> None:
        """From the zip, as Edit ▸ Preferences ▸ Get Extensions ▸ Install from Disk does."""
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        bpy.ops.extensions.package_install_files(
            filepath=self.wanted["zip"], repo="user_default", enable_on_install=True
        )
        self.report["installed"] = sorted(os.listdir(os.path.dirname(sys.modules[ADDON].__file__ or "")))
        settings = bpy.context.preferences.addons[ADDON].preferences
        settings.python, settings.model, settings.device = self.wanted["python"], self.wanted["model"], "cpu"
        self.jobs = sys.modules[f"{ADDON}.jobs"]
        self.session = sys.modules[f"{ADDON}.session"]

    def new_project(self) -> None:
        """A timeline with the clip on it."""
        scene = bpy.context.scene
        scene.render.fps, scene.render.fps_base = self.wanted["rate"], 1
        scene.render.resolution_x, scene.render.resolution_y = self.wanted["size"]
        strips = self.strips()
        start, stop = self.wanted["trim"]
        clip = strips.new_movie("shot", self.wanted["plate"], 1, 10 - start)
        clip.frame_final_start, clip.frame_final_end = 10, 10 + stop - start
        clip.select = True
        scene.frame_current = 10 + (stop - start) // 2
        scene.julnet.dub = self.wanted["dub"]
        bpy.ops.wm.save_as_mainfile(filepath=self.path)

    def strips(self) -> Any:
        editor = bpy.context.scene.sequence_editor_create()
        return editor.strips if hasattr(editor, "strips") else editor.sequences

    def wait(self, jobs: list[Any], until: str = "ended", seconds: float = 300) -> None:
        """Let the timer tick, as Blender's window would; note how long it ever held Blender up."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            began = time.perf_counter()
            self.jobs.poll()
            held = time.perf_counter() - began
            self.report["longest_tick_s"] = max(self.report.get("longest_tick_s", 0.0), held)
            if all(job.status.ended if until == "ended" else job.status.share > 0 for job in jobs):
                return
            time.sleep(0.05)
        raise TimeoutError(f"waited {seconds} s for {until}: {[job.status for job in jobs]}")

    def redub(self) -> Any:
        began = time.perf_counter()
        result = bpy.ops.julnet.redub()
        self.report.setdefault("operator_s", time.perf_counter() - began)
        assert result == {"FINISHED"}, result
        return self.jobs.running[-1]

    def here(self) -> Any:
        return self.session.BlenderSession(bpy.context.scene.name)

    def takes(self) -> list[Any]:
        session = self.here()
        return list(session.takes(session.selection()[0]))

    def heard(self) -> list[str]:
        """Names of the sound strips that are not muted."""
        return sorted(strip.name for strip in self.strips() if strip.type == "SOUND" and not strip.mute)

    def render(self, name: str) -> str:
        session = self.here()
        clip = session.selection()[0]
        pattern: str = session.render(clip.record, os.path.join(self.wanted["folder"], name))
        return pattern

    def walk(self) -> None:
        """Load, re-dub, edit the matte, render, save, reopen."""
        self.report["original"] = self.render("original")
        job = self.redub()
        self.wait([job])
        self.report["redub"] = job.status.sentence
        self.report["take"] = job.status.folder
        self.report["marks"] = [marker.name for marker in bpy.context.scene.timeline_markers]
        self.report["dub"] = self.render("dub")
        self.report["heard"] = [self.heard()]
        assert bpy.ops.julnet.show_take(take="") == {"FINISHED"}
        self.report["heard"].append(self.heard())
        assert bpy.ops.julnet.show_take(take=self.takes()[-1].id) == {"FINISHED"}
        assert bpy.ops.julnet.paint_matte() == {"FINISHED"}
        session = self.here()
        matte = session.matte(self.takes()[-1])
        self.report["matte"] = matte.path
        assert bpy.ops.julnet.use_matte(enabled=True) == {"FINISHED"}
        self.report["held"] = self.render("held")
        self.paint(matte.path)
        assert bpy.ops.julnet.reload_matte() == {"FINISHED"}
        self.report["painted"] = self.render("painted")
        assert bpy.ops.julnet.send_matte() == {"FINISHED"}
        sent = self.jobs.running[-1]
        self.wait([sent])
        self.report["sent"] = [sent.status.state, sent.status.sentence]
        bpy.ops.wm.save_mainfile()
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=False)
        bpy.ops.wm.open_mainfile(filepath=self.path)
        self.report["takes_after_reopening"] = [[take.name, take.active] for take in self.takes()]
        self.report["reopened"] = self.render("reopened")
        self.report["heard"].append(self.heard())

    def paint(self, pattern: str) -> None:
        """White over the left half of every picture: hold the plate there."""
        for file in sorted(glob.glob(os.path.join(os.path.dirname(pattern), "matte.*.png"))):
            image = bpy.data.images.load(file)
            width, height = image.size
            pixels = list(image.pixels)
            row = [1.0] * 4 * (width // 2)
            for y in range(height):
                pixels[4 * y * width : 4 * (y * width + width // 2)] = row
            image.pixels = pixels
            image.save()
            bpy.data.images.remove(image)

    def meet_faults(self) -> None:
        """What goes wrong in real life: each ends in one sentence, and nothing is lost."""
        scene = bpy.context.scene
        scene.julnet.handles = 2
        two = [self.redub(), self.redub()]  # at once, of one clip
        self.wait(two)
        self.report["two_at_once"] = [job.status.state for job in two]
        self.report["two_folders"] = sorted(os.path.basename(job.status.folder) for job in two)
        with open(os.path.join(two[0].status.folder, "take.json"), encoding="utf-8") as file:
            self.report["range_with_handles"] = json.load(file)["plate"]["frame_range"]
        scene.julnet.handles = 0
        count = len(self.takes())
        killed = self.redub()
        self.wait([killed], "under way")
        os.kill(self.jobs.client()._process.pid, signal.SIGKILL)
        self.wait([killed])
        self.report["worker_killed"] = [killed.status.state, killed.status.sentence, len(self.takes()) == count]
        plate = self.wanted["plate"]
        shutil.move(plate, plate + ".moved")
        self.report["plate_moved"] = self.refusal()
        shutil.move(plate + ".moved", plate)
        closed = self.redub()
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=False)
        self.wait([closed])
        self.report["project_closed"] = [closed.status.state, closed.status.sentence, closed.status.folder]
        self.report["take_on_disk"] = os.path.isfile(os.path.join(closed.status.folder, "take.json"))

    def refusal(self) -> str:
        """The sentence with which the operator refuses."""
        try:
            bpy.ops.julnet.redub()
        except RuntimeError as exc:
            return str(exc).strip()
        return ""


def main() -> None:
    with open(sys.argv[-1], encoding="utf-8") as file:
        journey = Journey(json.load(file))
    try:
        journey.install()
        journey.new_project()
        journey.walk()
        if journey.wanted["faults"]:
            journey.meet_faults()
    except BaseException:  # noqa: BLE001 - told to the test
        journey.report["failure"] = traceback.format_exc()
    with open(os.path.join(journey.wanted["folder"], "report.json"), "w", encoding="utf-8") as file:
        json.dump(journey.report, file, indent=1)
    with contextlib.suppress(Exception):
        bpy.ops.preferences.addon_disable(module=ADDON)
    sys.stdout.flush()
    os._exit(0)


main()
