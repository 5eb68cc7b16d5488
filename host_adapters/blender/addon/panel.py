# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel in the sequencer's sidebar."""

from __future__ import annotations

from typing import Any

import bpy

from host_adapters.base import ClipRef, HostProblem
from host_adapters.blender.addon import jobs
from host_adapters.blender.addon.session import BlenderSession


class JULNET_PT_sidebar(bpy.types.Panel):  # noqa: N801 - Blender's way
    """The new line, what is under way, and the takes of the active strip."""

    bl_idname = "JULNET_PT_sidebar"
    bl_label = "JULNet"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "JULNet"

    def draw(self: Any, context: Any) -> None:
        """Draw it; a panel must never raise."""
        layout = self.layout
        for name in ("dub", "offset_s", "face", "handles"):
            layout.prop(context.scene.julnet, name)
        layout.operator("julnet.redub", icon="FILE_SOUND")
        _draw_jobs(layout)
        try:
            session = BlenderSession(context.scene.name)
            for clip in session.selection()[:1]:
                _draw_takes(layout, session, clip)
        except HostProblem as problem:
            layout.label(text=str(problem), icon="ERROR")


def _draw_jobs(layout: Any) -> None:
    for job in jobs.running:
        row = layout.row()
        row.progress(factor=job.status.share, text=job.status.sentence)
    if jobs.running:
        layout.operator("julnet.cancel", icon="X")
    for job in jobs.ended[-1:]:
        if job.status.state == "failed":
            layout.label(text=job.status.sentence, icon="ERROR")


def _draw_takes(layout: Any, session: BlenderSession, clip: ClipRef) -> None:
    box = layout.box()
    box.label(text=clip.name)
    takes = session.takes(clip)
    shown = next((take for take in takes if take.active), None)
    box.operator("julnet.show_take", text="Original", depress=shown is None).take = ""
    for take in takes:
        box.operator("julnet.show_take", text=take.name, depress=take.active).take = take.id
    box.operator("julnet.place_take", icon="FILE_FOLDER")
    if shown is not None and session.matte(shown) is not None:
        enabled = session.matte_enabled(shown)
        box.operator("julnet.use_matte", depress=enabled).enabled = not enabled
        row = box.row(align=True)
        row.operator("julnet.paint_matte", icon="BRUSH_DATA")
        row.operator("julnet.reload_matte", icon="FILE_REFRESH")
        box.operator("julnet.send_matte", icon="EXPORT")
    for span in session.marks(clip)[:5]:
        box.label(text=f"frame {clip.record_of(span.frames).start.index}: ±{span.expected_cv:.0f} {span.note}")


CLASSES = (JULNET_PT_sidebar,)
