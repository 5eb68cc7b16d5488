# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender without a window, driven through a pipe: one JSON object a line in on stdin, one out on stdout.

`host_adapters.blender.headless` is the other end. What Blender prints goes to stderr. Requests name a method of the
session, or one of the few things that a person would do around it: open, close, paint.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import bpy

from host_adapters.base import ClipRef, HostProblem, HostSession, RecordRange
from host_adapters.blender.addon import session as host
from host_adapters.blender.addon import strips as st
from host_adapters.blender.wire import from_plain, to_plain

SESSION_METHODS = frozenset((*(name for name in HostSession.__abstractmethods__), "enable_matte", "refuse"))


class Server:
    """Answers one request after the other."""

    def __init__(self) -> None:
        self.session: host.BlenderSession | None = None

    def answer(self, method: str, values: list[Any]) -> Any:
        """Do what is asked.

        Raises:
            HostProblem: the host will not.
        """
        if method in SESSION_METHODS:
            if self.session is None:
                raise HostProblem("no project is open: open one first")
            return getattr(self.session, method)(*values)
        return getattr(self, f"do_{method}")(*values)

    def do_open(self, path: str, scene: str | None = None) -> str:
        """Open a project."""
        bpy.ops.wm.open_mainfile(filepath=path, load_ui=False)
        host.count_load()
        self.session = host.BlenderSession(scene, pushes_undo=True)
        return str(bpy.app.version_string)

    def do_close(self) -> None:
        """Close the project without saving."""
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        host.count_load()

    def do_new(self, path: str, rate: list[int], size: list[int]) -> None:
        """Make a project with an empty timeline and save it."""
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        host.count_load()
        scene = bpy.context.scene
        nominal = -(-rate[0] // rate[1])
        scene.render.fps, scene.render.fps_base = nominal, nominal * rate[1] / rate[0]
        scene.render.resolution_x, scene.render.resolution_y = size
        st.editable_strips(scene)
        bpy.ops.wm.save_as_mainfile(filepath=path)
        self.session = host.BlenderSession(pushes_undo=True)

    def do_add_clip(self, path: str, channel: int, frame: int, trim: list[int], adapted: bool = False) -> str:
        """Lay a movie on the timeline: its first frame would be at `frame`, shown are the frames of `trim`."""
        scene = bpy.context.scene
        strip = st.add_pictures(scene, os.path.basename(path), [path], channel, frame, adapted=adapted)
        strip.frame_final_start, strip.frame_final_end = trim
        sound = st.add_sound(scene, strip.name, path, channel + 1, round(strip.frame_start))
        if sound is not None:
            sound.frame_final_start, sound.frame_final_end = trim
        strip.select = True
        bpy.ops.wm.save_mainfile()
        bpy.ops.ed.undo_push(message="clip")
        return str(strip.name)

    def do_mix_down(self, frames: RecordRange, path: str) -> None:
        """Render the sound of the timeline."""
        scene = bpy.context.scene
        scene.frame_start, scene.frame_end = frames.start.index, frames.stop.index - 1
        bpy.ops.sound.mixdown(filepath=path, container="WAV", codec="PCM", format="S16", mixrate=48_000)

    def do_trim_sound(self, trim: list[int]) -> None:
        """Let the only sound strip reach from one frame to another."""
        (sound,) = (strip for strip in st.strips_of(bpy.context.scene) if strip.type == "SOUND")
        sound.frame_final_start, sound.frame_final_end = trim

    def do_mute_sound(self, muted: bool) -> None:
        """Mute the only sound strip, or let it be heard."""
        (sound,) = (strip for strip in st.strips_of(bpy.context.scene) if strip.type == "SOUND")
        sound.mute = muted

    def do_muted(self) -> dict[str, bool]:
        """Which sound strips are muted."""
        return {s.name: bool(s.mute) for s in st.strips_of(bpy.context.scene) if s.type == "SOUND"}

    def do_speed(self, name: str, factor: float) -> None:
        """Retime a clip with a speed effect."""
        strips = st.strips_of(bpy.context.scene)
        clip = strips[name]
        known = strips.bl_rna.functions["new_effect"].parameters
        end = {"length": clip.frame_final_duration} if "length" in known else {"frame_end": clip.frame_final_end}
        end["input1" if "input1" in known else "seq1"] = clip
        effect = strips.new_effect("Speed", "SPEED", clip.channel + 1, frame_start=clip.frame_final_start, **end)
        effect.speed_control, effect.speed_factor = "MULTIPLY", factor

    def do_retime(self, how: str) -> None:
        """Retime the only movie with retiming keys ("keys": one more; "slow": at half speed), or reverse it."""
        scene = bpy.context.scene
        (movie,) = (strip for strip in st.strips_of(scene) if strip.type == "MOVIE")
        if how == "reversed":
            movie.use_reverse_frames = True
            return
        with st.sequencer(scene):
            scene.sequence_editor.active_strip = movie
            if how == "keys":
                bpy.ops.sequencer.retiming_key_add(timeline_frame=movie.frame_final_start + 4)
            else:
                bpy.ops.sequencer.retiming_segment_speed_set(speed=50.0)

    def do_paint(self, path: str, box: list[int], white: bool) -> None:
        """Paint a box on a picture, as a brush in the image editor would, and save it."""
        image = bpy.data.images.load(path)
        width, height = image.size
        x0, y0, x1, y1 = box
        pixels = list(image.pixels)
        row = [1.0 if white else 0.0] * 3 + [1.0]
        for y in range(height - y1, height - y0):
            pixels[4 * (y * width + x0) : 4 * (y * width + x1)] = row * (x1 - x0)
        image.pixels = pixels
        image.save()
        bpy.data.images.remove(image)

    def do_split(self, clip: ClipRef, frame: int) -> None:
        """Cut a clip in two."""
        scene = bpy.context.scene
        strip = next(s for s in st.strips_of(scene) if s.name == clip.name)
        strip.split(frame=frame, split_method="SOFT")


def main() -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # Blender and its libraries print what they like
    server = Server()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            result = server.answer(request["method"], [from_plain(value) for value in request["values"]])
            answer = {"result": to_plain(result)}
        except HostProblem as problem:
            answer = {"problem": type(problem).__name__, "message": str(problem)}
        except Exception as exc:  # noqa: BLE001 - the other end must hear of it
            answer = {"problem": "HostProblem", "message": f"Blender failed: {type(exc).__name__}: {exc}"}
        print(json.dumps(answer), file=answers, flush=True)
    sys.stdout.flush()
    os._exit(0)  # registered classes make Blender's module hang at exit


if __name__ == "__main__":
    main()
