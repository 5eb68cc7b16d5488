# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's strips in our words: where a clip's pictures come from, and how a strip like it is laid beside it.

Convention: a record frame is Blender's own frame number. Blender 4.4 renamed sequences to strips; both names are known
here and nowhere else.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import bpy

from host_adapters.base import (
    ClipRef,
    HostRefused,
    RecordRange,
    SourceRange,
    sequence_files,
)
from host_adapters.blender.addon.facts import MovieFacts, movie_facts, outside_path

ROLE, CLIP, FOLDER, NAME, ORDER = "julnet_role", "julnet_clip", "julnet_folder", "julnet_name", "julnet_order"
HUSHED = "julnet_hushed"  #: on a person's sound strip that we muted: the clip whose take is heard instead
FIRST = "julnet_first"  #: plate frame of a take's first picture
LAST_CHANNEL = 128
_LOOK = (
    "use_flip_x", "use_flip_y", "use_deinterlace", "use_float", "color_saturation", "color_multiply", "multiply_alpha",
    "use_linear_modifiers", "strobe",
)  # fmt: skip
_facts: dict[tuple[str, int], MovieFacts] = {}


def strips_of(scene: Any) -> Any:
    """The strips of a scene's timeline; empty where it has none."""
    editor = scene.sequence_editor
    if editor is None:
        return ()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def editable_strips(scene: Any) -> Any:
    """The strips of a scene's timeline, which is made where there is none."""
    scene.sequence_editor_create()
    return strips_of(scene)


def rate_of(scene: Any) -> Fraction:
    """Frames per second of the timeline: 24000/1001 for 24 by 1.001."""
    return int(scene.render.fps) / Fraction(scene.render.fps_base).limit_denominator(100_000)


def is_clip(strip: Any) -> bool:
    """Whether a strip shows a medium and is not one of ours."""
    return strip.type in ("MOVIE", "IMAGE") and not strip.get(ROLE)


def clip_id(strip: Any, scene: Any) -> str:
    """A clip's name for takes: what it was called when the first one was placed, though it be renamed since."""
    given = strip.get(CLIP)
    if given is None or given == strip.name:
        return str(strip.name)
    return str(strip.name) if any(other.name == given for other in strips_of(scene)) else str(given)


def clip_of(strip: Any, scene: Any) -> ClipRef:
    """What a strip shows, and where."""
    path, first_number, media = _medium(strip)
    rate = rate_of(scene)
    own = _own_rate(strip) or rate
    step = Fraction(1) if plays_frame_for_frame(strip, media) else own / rate
    head = strip.frame_final_start - strip.frame_start
    hard = getattr(strip, "animation_offset_start", 0)
    start = max(math.floor(Fraction(head) * step) + hard, 0)
    length = strip.frame_final_end - strip.frame_final_start
    stop = start + (length if step == 1 else math.floor((length - 1) * step) + 1)
    facts = _facts_of(path) if strip.type == "MOVIE" else MovieFacts()
    return ClipRef(
        id=clip_id(strip, scene),
        name=strip.name,
        path=path,
        source=SourceRange.of(start, max(start, stop)),
        record=RecordRange.of(strip.frame_final_start, strip.frame_final_end),
        source_rate=own,
        record_rate=rate,
        media=SourceRange.of(0, max(media, stop)),
        start_timecode=facts.timecode,
        reel=facts.reel,
        first_number=first_number,
        speed=_speed(strip, scene, media, own, rate),
        track=strip.channel - 1,
        hints={"colour_space": strip.colorspace_settings.name} if hasattr(strip, "colorspace_settings") else {},
    )


def plays_frame_for_frame(strip: Any, media: int) -> bool:
    """Whether a frame of the timeline is a frame of the medium, whatever their rates ("Adjust Playback Rate" off)."""
    return bool(abs(_natural(strip) - media) < 1)


def add_pictures(
    scene: Any, name: str, files: Sequence[str], channel: int, frame: int, *, adapted: bool = False
) -> Any:
    """A strip that shows a movie, or the files of a sequence, from a frame of the timeline on.

    Args:
        scene: of the timeline.
        name: of the strip.
        files: one movie, or the pictures of a sequence.
        channel: where to.
        frame: of the first picture.
        adapted: let the movie keep its own rate in a timeline of another.

    Raises:
        HostRefused: Blender cannot read the files.
    """
    strips, files = editable_strips(scene), [outside_path(file) for file in files]
    try:
        if files[0].lower().endswith((".mov", ".mp4", ".mkv", ".avi", ".webm", ".m4v", ".mxf")):
            strip = (
                _add_adapted(scene, files[0], channel, frame)
                if adapted
                else strips.new_movie(name, files[0], channel, frame)
            )
        else:
            strip = strips.new_image(name, files[0], channel, frame)
            for file in files[1:]:
                strip.elements.append(os.path.basename(file))
    except RuntimeError as exc:
        raise HostRefused(
            f"Blender cannot read {files[0]} ({' '.join(str(exc).split())}): deliver another kind"
        ) from None
    strip.name = name
    if strip.channel != channel:
        strip.channel = channel
    return strip


def add_sound(scene: Any, name: str, file: str, channel: int, frame: int) -> Any:
    """A strip that plays a file's sound from a frame of the timeline on; None where the file has none."""
    strip = editable_strips(scene).new_sound(name, outside_path(file), channel, frame)
    if strip.frame_duration <= 1:  # what Blender makes of a movie without sound
        strips_of(scene).remove(strip)
        return None
    strip.name = name
    return strip


def own_sounds(scene: Any, clip: Any) -> list[Any]:
    """A clip's own sound: strips of the same medium, in sync with it, that do not reach beyond it."""
    path = files_of(clip)[0]
    return [
        strip
        for strip in strips_of(scene)
        if strip.type == "SOUND"
        and not strip.get(ROLE)
        and _absolute(strip.sound.filepath) == path
        and abs(strip.frame_start - clip.frame_start) < 1
        and strip.frame_final_start >= clip.frame_final_start
        and strip.frame_final_end <= clip.frame_final_end
    ]


def adapted_start(start: int, first: int, clip: ClipRef) -> int:
    """Where a take must begin so that it shows the clip's frames, when both keep their own rate.

    Blender begins strips at whole frames of the timeline, so the two may step at different frames; the least off wins.

    Args:
        start: where the clip's medium begins, trimmed or not.
        first: plate frame of the take's first picture.
        clip: the clip.
    """
    step = clip.source_rate / clip.record_rate

    def missed(begin: int) -> int:
        frames = (frame.index for frame in clip.record)
        return sum(abs(math.floor((t - start) * step) - math.floor((t - begin) * step) - first) for t in frames)

    near = start + round(first / step)
    return min((near, near - 1, near + 1), key=missed)


def trim(strip: Any, record: RecordRange) -> None:
    """Show a strip on these frames only; its pictures stay where they are."""
    strip.frame_final_start = record.start.index
    strip.frame_final_end = record.stop.index


def free_channel(scene: Any, above: int, record: RecordRange) -> int:
    """The lowest channel above one that is free on these frames.

    Raises:
        HostRefused: all are full.
    """
    start, stop = record.start.index, record.stop.index
    taken = {s.channel for s in strips_of(scene) if s.frame_final_start < stop and s.frame_final_end > start}
    for channel in range(above + 1, LAST_CHANNEL + 1):
        if channel not in taken:
            return channel
    raise HostRefused(
        f"all channels above {above} are taken on frames {start} to {stop - 1}: free one and place it again"
    )


def copy_place(original: Any, strip: Any) -> None:
    """Give a strip the size, position and cut of another."""
    for group in ("transform", "crop"):
        _copy_simple(getattr(original, group), getattr(strip, group))
    for name in ("use_flip_x", "use_flip_y"):
        setattr(strip, name, getattr(original, name))


def copy_look(original: Any, strip: Any) -> None:
    """Give a strip everything that makes another look as it does: place, colour space, colour, modifiers."""
    copy_place(original, strip)
    for name in _LOOK:
        if hasattr(original, name) and hasattr(strip, name):
            setattr(strip, name, getattr(original, name))
    if hasattr(original, "colorspace_settings") and hasattr(strip, "colorspace_settings"):
        strip.colorspace_settings.name = original.colorspace_settings.name
    for modifier in original.modifiers:
        copied = strip.modifiers.new(modifier.name, modifier.type)
        _copy_simple(modifier, copied)
        for group in ("color_balance", "curve_mapping"):
            if hasattr(modifier, group):
                _copy_group(getattr(modifier, group), getattr(copied, group))


def files_of(strip: Any) -> list[str]:
    """The files that a strip shows, in order."""
    if strip.type == "MOVIE":
        return [_absolute(strip.filepath)]
    folder = _absolute(strip.directory)
    return [os.path.join(folder, element.filename) for element in strip.elements]


def pattern_of(files: Sequence[str]) -> tuple[str, int]:
    """The pattern of a sequence's files and the number of the first; one file as it is."""
    folder, name = os.path.split(files[0])
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", name)
    if len(files) == 1 or match is None:
        return files[0], 0
    return os.path.join(folder, f"{match[1]}{'#' * len(match[2])}{match[3]}"), int(match[2])


def reload_pictures(strip: Any) -> None:
    """Forget what Blender has in memory of a strip's files: they may have been painted."""
    if strip.type == "MOVIE":
        strip.filepath = strip.filepath
    else:
        strip.directory = strip.directory


def _medium(strip: Any) -> tuple[str, int, int]:
    """Path or pattern, number of the first file, and frames of what a strip shows."""
    files = files_of(strip)
    hard = getattr(strip, "animation_offset_start", 0) + getattr(strip, "animation_offset_end", 0)
    if strip.type == "IMAGE":
        path, number = pattern_of(files)
        return path, number, max(len(files), 1)
    count = _facts_of(files[0]).frames
    return files[0], 0, (count if count is not None else math.ceil(_natural(strip)) + hard) - hard


def _natural(strip: Any) -> float:
    """Frames of the timeline that the whole strip would take untrimmed."""
    return float(strip.frame_duration)


def _own_rate(strip: Any) -> Fraction | None:
    fps = float(getattr(strip, "fps", 0.0) or 0.0)
    if fps <= 0:
        return None
    whole = Fraction(round(fps))
    ntsc = whole * Fraction(1000, 1001)
    return min(
        (whole, ntsc, Fraction(fps).limit_denominator(1001)),
        key=lambda rate: (abs(float(rate) - fps) > 0.002, rate.denominator),
    )


def _speed(strip: Any, scene: Any, media: int, own: Fraction, rate: Fraction) -> Fraction | None:
    """How fast a strip runs, where it does not run as shot; None where it does."""
    if getattr(strip, "use_reverse_frames", False):
        return Fraction(-1)
    for effect in strips_of(scene):
        if effect.type == "SPEED" and effect.input_1 == strip:
            return _speed_of_effect(effect, strip)
    if strip.type == "IMAGE" and len(strip.elements) == 1:
        return None
    keys = len(getattr(strip, "retiming_keys", ()))
    if abs(_natural(strip) - media) < 1 and keys <= 2:
        return None
    if keys == 0 and abs(_natural(strip) - media * rate / own) < 2:
        return None
    return Fraction(
        media / _natural(strip) if keys == 0 else media / _natural(strip) * float(rate / own)
    ).limit_denominator(100)


def _speed_of_effect(effect: Any, strip: Any) -> Fraction:
    if effect.speed_control == "MULTIPLY":
        return Fraction(effect.speed_factor).limit_denominator(1000)
    shown = max(effect.frame_final_end - effect.frame_final_start, 1)
    speed = Fraction(strip.frame_final_duration, shown)
    return speed if effect.speed_control == "STRETCH" and speed != 1 else Fraction(0)


def _facts_of(path: str) -> MovieFacts:
    try:
        key = (path, os.stat(path).st_mtime_ns)
    except OSError:
        return MovieFacts()
    if key not in _facts:
        _facts[key] = movie_facts(path)
        if _facts[key].frames is None:
            _facts[key] = MovieFacts(_counted_by_blender(path))
    return _facts[key]


def _counted_by_blender(path: str) -> int | None:
    try:
        clip = bpy.data.movieclips.load(path)
    except RuntimeError:
        return None
    count = int(clip.frame_duration)
    bpy.data.movieclips.remove(clip)
    return count


def _add_adapted(scene: Any, path: str, channel: int, frame: int) -> Any:
    """A movie that keeps its own rate: only the operator makes one, and it wants a sequencer on the screen."""
    before = {strip.name for strip in strips_of(scene)}
    selected = [strip.name for strip in strips_of(scene) if strip.select]
    with sequencer(scene):
        bpy.ops.sequencer.movie_strip_add(
            filepath=path, frame_start=frame, channel=channel, sound=False, use_framerate=False,
            adjust_playback_rate=True, fit_method="ORIGINAL", set_view_transform=False,
        )  # fmt: skip
    (added,) = [strip for strip in strips_of(scene) if strip.name not in before]
    added.select = False
    for strip in strips_of(scene):
        strip.select = strip.name in selected
    return added


class sequencer:  # noqa: N801 - a context manager
    """Somewhere that sequencer operators run: an open sequencer, else the largest area for a moment."""

    def __init__(self, scene: Any) -> None:
        self.scene = scene

    def __enter__(self) -> None:
        found = [(w, a) for w in bpy.context.window_manager.windows for a in w.screen.areas]
        if not found:
            raise HostRefused("Blender has no window to add the strip in: open a sequencer and try again")
        window, self.area = next(
            ((w, a) for w, a in found if a.type == "SEQUENCE_EDITOR"),
            max(found, key=lambda f: f[1].width * f[1].height),
        )
        self.was, self.scene_was, self.window = self.area.type, window.scene, window
        window.scene = self.scene
        if self.was != "SEQUENCE_EDITOR":
            self.area.type = "SEQUENCE_EDITOR"
        region = next(r for r in self.area.regions if r.type == "WINDOW")
        self.override = bpy.context.temp_override(window=window, area=self.area, region=region, scene=self.scene)
        self.override.__enter__()

    def __exit__(self, *failure: Any) -> None:
        self.override.__exit__(*failure)
        if self.was != "SEQUENCE_EDITOR":
            self.area.type = self.was
        self.window.scene = self.scene_was


def _copy_simple(original: Any, copied: Any) -> None:
    """Copy plain values and pointers to strips; what Blender will not take stays as it is."""
    for prop in original.bl_rna.properties:
        if prop.is_readonly or prop.identifier in ("name", "rna_type", "type"):
            continue
        value = getattr(original, prop.identifier)
        try:
            setattr(copied, prop.identifier, value)
        except (AttributeError, TypeError):
            continue


def _copy_group(original: Any, copied: Any) -> None:
    _copy_simple(original, copied)
    if not hasattr(original, "curves"):
        return
    for curve, other in zip(original.curves, copied.curves, strict=True):
        while len(other.points) < len(curve.points):
            other.points.new(0.5, 0.5)
        for point, made in zip(curve.points, other.points, strict=True):
            made.location, made.handle_type = point.location, point.handle_type
    copied.update()


def _absolute(path: str) -> str:
    return os.path.normpath(str(bpy.path.abspath(path)))


def picture_files(path: str) -> list[str]:
    """The movie, or the files of a pattern."""
    return sequence_files(path) if "#" in path or re.search(r"%\d*d", os.path.basename(path)) else [path]


def julnet_strips(scene: Any, role: str) -> Iterator[Any]:
    """The strips that we laid, of one role: "take", "sound" or "matte"."""
    return (strip for strip in strips_of(scene) if strip.get(ROLE) == role)
