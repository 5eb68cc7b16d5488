# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract of hosts on Blender's sequencer.

A take is a strip above its clip, with the clip's place and look; takes that are not shown are muted, the clip itself
never is. With the take goes a strip of its sound; while a take is shown, the clip's own sound is muted. A matte is a
muted strip that the take's mask modifier reads. Everything we know of a strip is in its own custom properties, so it is
saved, undone and copied with it.

Convention: a record frame is Blender's own frame number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import bpy

from host_adapters.base import (
    ClipRef,
    ClipRefused,
    FinishedTake,
    HostGone,
    HostRefused,
    HostSession,
    MatteFile,
    MatteRef,
    RecordRange,
    SourceRange,
    Span,
    TakeRef,
    refuse_missing,
    refuse_retimed,
    refuse_short_take,
)
from host_adapters.blender.addon import strips as st
from host_adapters.blender.addon.facts import outside_path
from host_adapters.blender.addon.rendering import render_pictures, unpack_pictures

MASK = "JULNet matte"
MARK = "julnet"
INVERT = "Invert"
loads = 0  #: how many projects this Blender has opened: `count_load` is called after each


class BlenderSession(HostSession):
    """One scene's timeline in the project that is open now.

    Args:
        scene_name: the scene; None = the one on the screen.
        pushes_undo: make a step of Blender's undo after each change, as an operator does by itself.
    """

    name = "blender"
    plays_sound = True

    def __init__(self, scene_name: str | None = None, pushes_undo: bool = False) -> None:
        self._scene_name = scene_name or bpy.context.scene.name
        self._project = _project()
        self._pushes_undo, self._pushed = pushes_undo, 0
        if pushes_undo:
            bpy.ops.ed.undo_push(message="JULNet")

    @property
    def scene(self) -> Any:
        """The scene.

        Raises:
            HostGone: another project is open, or the scene was removed.
        """
        if _project() != self._project or self._scene_name not in bpy.data.scenes:
            raise HostGone(
                f"the scene {self._scene_name} of {self._project[0] or 'an unsaved project'} is not open any more; "
                "open it again, the take is kept on disk"
            )
        return bpy.data.scenes[self._scene_name]

    def list_clips(self) -> list[ClipRef]:
        """See `HostSession`."""
        scene = self.scene
        found = [st.clip_of(strip, scene) for strip in st.strips_of(scene) if st.is_clip(strip)]
        return sorted(found, key=lambda clip: (clip.track, clip.record.start.index))

    def selection(self) -> list[ClipRef]:
        """Selected clips, the clips of selected takes, or what lies under the playhead."""
        scene = self.scene
        chosen = {st.clip_id(s, scene) for s in st.strips_of(scene) if s.select and st.is_clip(s)}
        chosen |= {str(s[st.CLIP]) for s in st.strips_of(scene) if s.select and s.get(st.ROLE)}
        clips = self.list_clips()
        if chosen:
            return [clip for clip in clips if clip.id in chosen]
        now = RecordRange.of(scene.frame_current, scene.frame_current + 1)
        return [clip for clip in clips if clip.record.covers(now)]

    def place_take(self, clip: ClipRef, take: FinishedTake) -> TakeRef:
        """See `HostSession`."""
        scene, original = self.scene, self._clip(clip)
        clip = st.clip_of(original, scene)
        self.refuse(clip)
        refuse_short_take(clip, take)
        refuse_missing(take.picture, "the take's picture")
        files = st.picture_files(take.picture)
        straight = st.plays_frame_for_frame(original, len(clip.media))
        taken = [strip.channel for strip in self._takes(clip.id)]
        channel = st.free_channel(scene, max([original.channel, *taken]), clip.record)
        first = clip.record.start.index - clip.source.start.index + take.frames.start.index
        if not straight:
            first = st.adapted_start(round(original.frame_start), take.frames.start.index, clip)
        strip = st.add_pictures(scene, f"{clip.name} {take.name}", files, channel, first, adapted=not straight)
        st.trim(strip, clip.record)
        st.copy_look(original, strip)
        strip.blend_type, strip.color_tag = "ALPHA_OVER", "COLOR_05"
        original[st.CLIP] = clip.id
        order = max((int(other[st.ORDER]) for other in self._takes(clip.id)), default=0) + 1
        for key, value in (
            (st.ROLE, "take"), (st.CLIP, clip.id), (st.FOLDER, take.folder), (st.NAME, take.name),
            (st.ORDER, order), (st.FIRST, take.frames.start.index),
        ):  # fmt: skip
            strip[key] = value
        name = str(strip.name)
        self._lay_sound(strip, original, take)
        self._show(clip.id, name)
        self._done("JULNet: place a take")
        return next(ref for ref in self.takes(clip) if ref.id == name)

    def takes(self, clip: ClipRef) -> list[TakeRef]:
        """See `HostSession`."""
        found = sorted(self._takes(clip.id), key=lambda strip: int(strip[st.ORDER]))
        shown = [strip for strip in found if not strip.mute]
        top = max(shown, key=lambda strip: strip.channel) if shown else None
        return [
            TakeRef(strip.name, clip.id, str(strip[st.NAME]), str(strip[st.FOLDER]), strip == top) for strip in found
        ]

    def select_take(self, clip: ClipRef, take: TakeRef | None) -> None:
        """See `HostSession`."""
        if take is not None:
            self._take(take.id)
        self._show(clip.id, None if take is None else take.id)
        self._done("JULNet: show a take")

    def attach_matte(self, take: TakeRef, matte: MatteFile) -> MatteRef:
        """A muted strip with the matte's pictures, and a mask modifier on the take that reads it."""
        scene, strip = self.scene, self._take(take.id)
        refuse_missing(matte.path, "the matte")
        files = st.picture_files(matte.path)
        held = _matte_of(strip)
        record = RecordRange.of(strip.frame_final_start, strip.frame_final_end)
        channel = held.channel if held is not None else st.free_channel(scene, strip.channel, record)
        if held is not None:
            _remove(scene, held)
            strip = self._take(take.id)
        laid = st.add_pictures(scene, f"{take.name} matte", files, channel, round(strip.frame_start))
        st.trim(laid, record)
        st.copy_place(strip, laid)
        laid.mute, laid.color_tag = True, "COLOR_08"
        if hasattr(laid, "colorspace_settings"):
            laid.colorspace_settings.name = "sRGB"  # as the picture: the mask is read in the sequencer's own values
        for key, value in ((st.ROLE, "matte"), (st.CLIP, take.clip_id), (st.NAME, take.name)):
            laid[key] = value
        mask = strip.modifiers.get(MASK) or strip.modifiers.new(MASK, "MASK")
        mask.input_mask_type, mask.input_mask_strip, mask.mute = "STRIP", laid, not matte.enabled
        if matte.white_shows == "plate":
            _invert(laid)
        name = str(laid.name)
        self._done("JULNet: attach a matte")
        return MatteRef(name, take.clip_id, take.id, matte.path)

    def matte(self, take: TakeRef) -> MatteRef | None:
        """See `HostSession`."""
        held = _matte_of(self._take(take.id))
        return None if held is None else MatteRef(held.name, take.clip_id, take.id, _path_of(held))

    def enable_matte(self, take: TakeRef, enabled: bool) -> None:
        """Let the matte act on the picture, or not."""
        mask = self._take(take.id).modifiers.get(MASK)
        if mask is None:
            raise HostRefused(f"the take {take.name} has no matte: attach it first")
        mask.mute = not enabled
        self._done("JULNet: matte on or off")

    def matte_enabled(self, take: TakeRef) -> bool:
        """Whether the matte acts on the picture."""
        mask = self._take(take.id).modifiers.get(MASK)
        return mask is not None and not mask.mute

    def unpack_matte(self, take: TakeRef, folder: str) -> str:
        """Give a take's matte pictures of its own, beside the take, that a person may paint.

        Args:
            take: with a matte.
            folder: inside the take's folder; pictures of an earlier call are used again, as they were painted.

        Returns:
            The pattern of the pictures.
        """
        strip = self._take(take.id)
        held, mask = _matte_of(strip), strip.modifiers.get(MASK)
        if held is None:
            raise HostRefused(f"the take {take.name} has no matte: attach it first")
        target = outside_path(os.path.join(take.folder, folder, "blender"))
        if os.path.dirname(st.files_of(held)[0]) == target:
            return _path_of(held)
        white = "plate" if held.modifiers.get(INVERT) else "dub"
        pattern = unpack_pictures(st.files_of(held), strip.frame_duration, target, int(strip[st.FIRST]))
        self.attach_matte(take, MatteFile(pattern, white, enabled=not mask.mute))
        return pattern

    def reload_mattes(self) -> None:
        """Show mattes as they are on disk now."""
        for strip in st.julnet_strips(self.scene, "matte"):
            st.reload_pictures(strip)

    def read_matte(self, matte: MatteRef) -> str:
        """See `HostSession`."""
        held = _matte_of(self._take(matte.take_id))
        if held is None:
            raise HostGone(f"the matte {matte.id} is not in the timeline any more; attach it again")
        path = _path_of(held)
        refuse_missing(path, "the matte")
        return path

    def mark(self, clip: ClipRef, spans: Sequence[Span]) -> None:
        """Timeline markers at the first frame of each span."""
        markers, present = self.scene.timeline_markers, st.clip_of(self._clip(clip), self.scene)
        for marker in [marker for marker in markers if _mark_of(marker, clip.id)]:
            markers.remove(marker)
        for span in spans:
            inside = span.frames.clipped(present.source)
            if not len(inside):
                continue
            about = f": {span.note}" if span.note else ""
            marker = markers.new(
                f"JULNet ±{span.expected_cv:.0f}{about}"[:63], frame=present.record_of(inside).start.index
            )
            marker[MARK] = json.dumps(
                {"clip": clip.id, "start": inside.start.index, "stop": inside.stop.index,
                 "cv": span.expected_cv, "note": span.note}
            )  # fmt: skip
        self._done("JULNet: mark the worst spans")

    def marks(self, clip: ClipRef) -> list[Span]:
        """See `HostSession`."""
        rows = [row for marker in self.scene.timeline_markers if (row := _mark_of(marker, clip.id))]
        spans = [Span(SourceRange.of(row["start"], row["stop"]), row["cv"], row["note"]) for row in rows]
        return sorted(spans, key=lambda span: span.frames.start.index)

    def render(self, frames: RecordRange, out: str) -> str:
        """8-bit RGB pictures in the sequencer's own values: no view transform, no dither."""
        scene = self.scene
        self.reload_mattes()
        return render_pictures(scene, frames, out)

    def undo(self) -> None:
        """Blender's own undo, as often as this session changed something."""
        self.scene  # noqa: B018 - says so when the project is gone
        if self._pushed:
            self._pushed -= 1
            bpy.ops.ed.undo()

    def save(self) -> None:
        """See `HostSession`."""
        self.scene  # noqa: B018
        if not bpy.data.filepath:
            raise HostRefused("the project has no file yet: save it under a name first")
        bpy.ops.wm.save_mainfile()

    def refuse(self, clip: ClipRef) -> None:
        """Refuse a clip that cannot be re-dubbed.

        Raises:
            ClipRefused: it is retimed.
            MediaMissing: its medium is not where the strip says.
        """
        refuse_retimed(clip)
        keys = len(getattr(self._clip(clip), "retiming_keys", ()))
        if keys > 2:
            raise ClipRefused(
                f"{clip.name} has {keys} retiming keys and a clip at 100 % is needed: remove them, or render it in "
                "place and re-dub the result"
            )
        refuse_missing(clip.path, "the clip's medium")

    def _strip_of(self, clip_id: str) -> Any:
        clips = (strip for strip in st.strips_of(self.scene) if st.is_clip(strip))
        return next((strip for strip in clips if st.clip_id(strip, self.scene) == clip_id), None)

    def _clip(self, clip: ClipRef) -> Any:
        strip = self._strip_of(clip.id)
        if strip is not None:
            return strip
        raise HostGone(f"the clip {clip.name} is not in the timeline any more; the take is kept on disk")

    def _takes(self, clip_id: str) -> list[Any]:
        return [strip for strip in st.julnet_strips(self.scene, "take") if strip[st.CLIP] == clip_id]

    def _take(self, name: str) -> Any:
        for strip in st.julnet_strips(self.scene, "take"):
            if strip.name == name:
                return strip
        raise HostGone(f"the take {name} is not in the timeline any more; place it again")

    def _lay_sound(self, strip: Any, original: Any, take: FinishedTake) -> None:
        """The new line on a channel of its own, as loud as the clip's own sound."""
        scene = self.scene
        record = RecordRange.of(strip.frame_final_start, strip.frame_final_end)
        if take.sound is None or not os.path.exists(outside_path(take.sound)):
            return
        channel = st.free_channel(scene, strip.channel, record)
        laid = st.add_sound(scene, f"{strip.name} sound", take.sound, channel, round(strip.frame_start))
        if laid is None:
            return
        st.trim(laid, record)
        laid.color_tag = strip.color_tag
        for key in (st.CLIP, st.NAME, st.ORDER):
            laid[key] = strip[key]
        laid[st.ROLE] = "sound"
        for own in st.own_sounds(scene, original)[:1]:
            laid.volume, laid.pan = own.volume, own.pan

    def _show(self, clip_id: str, name: str | None) -> None:
        scene, shown = self.scene, None
        for strip in self._takes(clip_id):
            strip.mute = strip.name != name
            shown = shown if strip.mute else int(strip[st.ORDER])
        heard = False
        for strip in st.julnet_strips(scene, "sound"):
            if strip[st.CLIP] == clip_id:
                strip.mute = int(strip[st.ORDER]) != shown
                heard = heard or not strip.mute
        for strip in list(st.strips_of(scene)):
            if strip.get(st.HUSHED) == clip_id:
                strip.mute = False
                del strip[st.HUSHED]
        original = self._strip_of(clip_id) if heard else None
        for strip in st.own_sounds(scene, original) if original is not None else ():
            if not strip.mute:
                strip.mute, strip[st.HUSHED] = True, clip_id

    def _done(self, message: str) -> None:
        if self._pushes_undo:
            bpy.ops.ed.undo_push(message=message)
            self._pushed += 1


def count_load(*_: Any) -> None:
    """To be called when Blender has opened a project: sessions of the one before are over."""
    global loads
    loads += 1


def _project() -> tuple[str, int]:
    return str(bpy.data.filepath), 0 if bpy.data.filepath else loads


def _matte_of(take: Any) -> Any:
    mask = take.modifiers.get(MASK)
    return None if mask is None else mask.input_mask_strip


def _path_of(strip: Any) -> str:
    return st.pattern_of(st.files_of(strip))[0]


def _remove(scene: Any, strip: Any) -> None:
    st.strips_of(scene).remove(strip)


def _invert(strip: Any) -> None:
    """White becomes black: a curve that falls."""
    mapping = strip.modifiers.new(INVERT, "CURVES").curve_mapping
    curve = mapping.curves[3]
    curve.points[0].location, curve.points[1].location = (0, 1), (1, 0)
    mapping.update()


def _mark_of(marker: Any, clip_id: str) -> dict[str, Any] | None:
    try:
        row = json.loads(marker.get(MARK, ""))
        return row if row["clip"] == clip_id else None
    except (ValueError, KeyError, TypeError):
        return None
