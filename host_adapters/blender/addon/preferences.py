# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sets once, and what they set for each line."""

from __future__ import annotations

from typing import Any

import bpy

PACKAGE = __package__


class JulnetPreferences(bpy.types.AddonPreferences):
    """Where JULNet is, and how it renders."""

    bl_idname = PACKAGE
    __annotations__ = {
        "python": bpy.props.StringProperty(
            name="JULNet's Python", subtype="FILE_PATH",
            description="Empty: as `julnet hosts install blender` wrote it down",
        ),
        "takes_folder": bpy.props.StringProperty(
            name="Takes", subtype="DIR_PATH", description="Empty: julnet_takes beside the plate"
        ),
        "model": bpy.props.StringProperty(name="Model", default="rt", description="A shipped name, or a weights file"),
        "device": bpy.props.EnumProperty(
            name="Device", items=[(name, name.upper(), "") for name in ("auto", "cpu", "cuda")]
        ),
    }  # fmt: skip

    def draw(self: Any, context: Any) -> None:
        """Show them."""
        for name in ("python", "takes_folder", "model", "device"):
            self.layout.prop(self, name)


class JulnetLine(bpy.types.PropertyGroup):
    """The new line of the active strip."""

    __annotations__ = {
        "dub": bpy.props.StringProperty(name="Dub", subtype="FILE_PATH", description="Sound file with the new line"),
        "offset_s": bpy.props.FloatProperty(
            name="Offset", unit="TIME_ABSOLUTE", description="From the strip's first frame to the dub's beginning"
        ),
        "face": bpy.props.StringProperty(name="Face", default="auto", description="auto, an index, or X,Y@FRAME"),
        "handles": bpy.props.IntProperty(name="Handles", default=0, min=0, description="Extra frames on each side"),
    }


CLASSES = (JulnetPreferences, JulnetLine)


def preferences(context: Any) -> Any:
    """The extension's preferences; their defaults where Blender has none for it."""
    addon = context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon is not None else _Defaults


class _Defaults:
    python = takes_folder = ""
    model, device = "rt", "auto"
