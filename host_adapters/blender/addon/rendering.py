# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering the sequencer as it is: 8-bit pictures, no view transform, no dither; the project's settings come back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bpy

from host_adapters.base import HostRefused, RecordRange, sequence_files
from host_adapters.blender.addon.facts import outside_path
from host_adapters.blender.addon.strips import add_pictures

_NAME = "render_"
_MATTE = "matte."
_DIGITS = 6


def render_pictures(scene: Any, frames: RecordRange, out: str) -> str:
    """Render frames of a scene's sequencer.

    Args:
        scene: with a sequencer.
        frames: of the timeline.
        out: folder; made when missing.

    Returns:
        The pattern of the pictures.

    Raises:
        HostRefused: Blender did not write them.
    """
    out = outside_path(out)
    os.makedirs(out, exist_ok=True)
    pattern = os.path.join(out, f"{_NAME}{'#' * _DIGITS}.png")
    with _settings(scene, frames, os.path.join(out, f"{_NAME}{'#' * _DIGITS}")):
        try:
            bpy.ops.render.render(animation=True, scene=scene.name)
        except RuntimeError as exc:
            raise HostRefused(f"Blender did not render {out} ({' '.join(str(exc).split())})") from None
    last = os.path.join(out, f"{_NAME}{frames.stop.index - 1:0{_DIGITS}d}.png")
    if len(frames) and not os.path.exists(last):
        raise HostRefused(f"Blender rendered nothing into {out}: is the folder writable?")
    return pattern


def unpack_pictures(files: Sequence[str], count: int, folder: str, first_number: int) -> str:
    """Write the frames of a movie or a sequence as 8-bit pictures, numbered as the plate's frames.

    Args:
        files: one movie, or the pictures of a sequence.
        count: frames.
        folder: where to; pictures that are there already stay, they may have been painted.
        first_number: of the first file.

    Returns:
        The pattern of the pictures.
    """
    pattern = os.path.join(folder, f"{_MATTE}{'#' * _DIGITS}.png")
    if os.path.isdir(folder) and len(os.listdir(folder)) >= count:
        return pattern
    scene = bpy.data.scenes.new("JULNet unpacking")
    try:
        strip = add_pictures(scene, "matte", files, 1, first_number)
        scene.render.resolution_x, scene.render.resolution_y = (
            strip.elements[0].orig_width,
            strip.elements[0].orig_height,
        )
        rendered = render_pictures(scene, RecordRange.of(first_number, first_number + count), folder)
    finally:
        bpy.data.scenes.remove(scene)
    for file in sequence_files(rendered):
        os.replace(file, os.path.join(folder, os.path.basename(file).replace(_NAME, _MATTE)))
    return pattern


@contextmanager
def _settings(scene: Any, frames: RecordRange, path: str) -> Iterator[None]:
    render, image = scene.render, scene.render.image_settings
    wanted: list[tuple[Any, str, Any]] = [
        (scene, "frame_start", frames.start.index),
        (scene, "frame_end", max(frames.stop.index - 1, frames.start.index)),
        (scene, "frame_step", 1),
        (render, "use_sequencer", True),
        (render, "filepath", path),
        (render, "use_file_extension", True),
        (render, "resolution_percentage", 100),
        (render, "dither_intensity", 0.0),
        (render, "use_border", False),
        (scene.view_settings, "view_transform", "Standard"),
        (scene.view_settings, "look", "None"),
        (scene.view_settings, "exposure", 0.0),
        (scene.view_settings, "gamma", 1.0),
        (scene.view_settings, "use_curve_mapping", False),
        *([(image, "media_type", "IMAGE")] if hasattr(image, "media_type") else []),
        (image, "file_format", "PNG"),
        (image, "color_mode", "RGB"),
        (image, "color_depth", "8"),
        (image, "compression", 15),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in wanted]
    try:
        for owner, name, value in wanted:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            try:
                setattr(owner, name, value)
            except TypeError:  # a choice that another setting does not offer
                continue
