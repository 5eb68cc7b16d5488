# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person can do: each operator translates, calls the session or the jobs, and says one sentence."""

from __future__ import annotations

import os
from typing import Any

import bpy

from host_adapters.base import ClipRef, HostProblem, HostRefused, TakeRef, read_take
from host_adapters.blender.addon import jobs
from host_adapters.blender.addon.preferences import preferences
from host_adapters.blender.addon.session import BlenderSession
from host_adapters.redub import Wishes, lay_take

PAINTED = "touchup"  #: folder of a take with mattes that a person may paint


class _Sentences:
    """Runs an operator; what the host will not do becomes one sentence, never a traceback."""

    def execute(self: Any, context: Any) -> set[str]:
        try:
            said = self.act(context)
        except HostProblem as problem:
            self.report({"ERROR"}, str(problem))
            return {"CANCELLED"}
        self.report({"INFO"}, said)
        return {"FINISHED"}


class JULNET_OT_redub(_Sentences, bpy.types.Operator):  # noqa: N801 - Blender's way
    """Make the mouth in the active strip say the new line; the take is placed above it when it is done"""  # noqa: D415

    bl_idname = "julnet.redub"
    bl_label = "Re-dub Clip"
    bl_options = {"REGISTER"}  # noqa: RUF012 - the take's undo step is made when it arrives

    def act(self, context: Any) -> str:
        """Ask the worker."""
        session = BlenderSession(context.scene.name)
        clip = active_clip(session)
        wanted, settings = context.scene.julnet, preferences(context)
        if not wanted.dub:
            raise HostRefused("there is no new line yet: choose a sound file as the dub")
        wishes = Wishes(
            dub=os.path.normpath(bpy.path.abspath(wanted.dub)),
            offset_s=wanted.offset_s,
            face=wanted.face.strip() or "auto",
            handles=wanted.handles,
            model=settings.model or "rt",
            device=settings.device,
            takes_folder=bpy.path.abspath(settings.takes_folder) if settings.takes_folder else "",
        )
        jobs.start(session, clip, wishes, settings.python)
        return f"re-dubbing {clip.name}; Blender stays free meanwhile"


class JULNET_OT_cancel(_Sentences, bpy.types.Operator):  # noqa: N801
    """Stop the re-dubs that are under way; what is finished of them is kept on disk"""  # noqa: D415

    bl_idname = "julnet.cancel"
    bl_label = "Stop Re-dubbing"

    def act(self, context: Any) -> str:
        """Ask them to stop."""
        jobs.cancel()
        return "stopping"


class JULNET_OT_place_take(_Sentences, bpy.types.Operator):  # noqa: N801
    """Place a finished take above the active strip, with its matte and its marks"""  # noqa: D415

    bl_idname = "julnet.place_take"
    bl_label = "Place a Take"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012
    __annotations__ = {"directory": bpy.props.StringProperty(subtype="DIR_PATH")}

    def invoke(self: Any, context: Any, event: Any) -> set[str]:
        """Let the person choose the take's folder."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self: Any, context: Any) -> str:
        """Place it."""
        session = BlenderSession(context.scene.name)
        clip = active_clip(session)
        take = read_take(os.path.normpath(bpy.path.abspath(self.directory)))
        lay_take(session, clip, take)
        return f"{take.name} is placed"


class JULNET_OT_show_take(_Sentences, bpy.types.Operator):  # noqa: N801
    """Show a take of the active strip, or the original"""  # noqa: D415

    bl_idname = "julnet.show_take"
    bl_label = "Show Take"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012
    __annotations__ = {"take": bpy.props.StringProperty()}

    def act(self: Any, context: Any) -> str:
        """Show it."""
        session = BlenderSession(context.scene.name)
        clip = active_clip(session)
        found = next((take for take in session.takes(clip) if take.id == self.take), None)
        if self.take and found is None:
            raise HostRefused(f"{clip.name} has no take {self.take!r}")
        session.select_take(clip, found)
        return f"{found.name if found else 'the original'} is shown"


class JULNET_OT_use_matte(_Sentences, bpy.types.Operator):  # noqa: N801
    """Hold the original picture where the matte is white, or stop doing so"""  # noqa: D415

    bl_idname = "julnet.use_matte"
    bl_label = "Hold the Plate Where Uncertain"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012
    __annotations__ = {"enabled": bpy.props.BoolProperty(default=True)}

    def act(self: Any, context: Any) -> str:
        """Switch the mask modifier."""
        session = BlenderSession(context.scene.name)
        session.enable_matte(shown_take(session), self.enabled)
        return f"the matte is {'on' if self.enabled else 'off'}"


class JULNET_OT_paint_matte(_Sentences, bpy.types.Operator):  # noqa: N801
    """Unpack the matte of the shown take into pictures of its own, which can be painted in the image editor"""  # noqa: D415

    bl_idname = "julnet.paint_matte"
    bl_label = "Paint the Matte"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    def act(self, context: Any) -> str:
        """Unpack it, and open the frame under the playhead as an image."""
        session = BlenderSession(context.scene.name)
        pattern = session.unpack_matte(shown_take(session), PAINTED)
        return f"paint the pictures {pattern} and save them; the sequencer shows them after Reload Matte"


class JULNET_OT_reload_matte(_Sentences, bpy.types.Operator):  # noqa: N801
    """Read the matte's pictures again after they were painted"""  # noqa: D415

    bl_idname = "julnet.reload_matte"
    bl_label = "Reload Matte"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    def act(self, context: Any) -> str:
        """Read it back."""
        session = BlenderSession(context.scene.name)
        matte = session.matte(shown_take(session))
        if matte is None:
            raise HostRefused("the take has no matte: place it again")
        path = session.read_matte(matte)
        session.reload_mattes()
        return f"read {path}"


class JULNET_OT_send_matte(_Sentences, bpy.types.Operator):  # noqa: N801
    """Hand the painted matte back to JULNet, as the take's override layer"""  # noqa: D415

    bl_idname = "julnet.send_matte"
    bl_label = "Hand Matte Back"

    def act(self, context: Any) -> str:
        """Ask the worker."""
        session = BlenderSession(context.scene.name)
        job = jobs.send_matte(session, active_clip(session), preferences(context).python)
        return f"reading the matte of {job.title} back"


CLASSES = (
    JULNET_OT_redub, JULNET_OT_cancel, JULNET_OT_place_take, JULNET_OT_show_take, JULNET_OT_use_matte,
    JULNET_OT_paint_matte, JULNET_OT_reload_matte,
    JULNET_OT_send_matte,
)  # fmt: skip


def active_clip(session: BlenderSession) -> ClipRef:
    """The clip that a person means.

    Raises:
        HostRefused: none, or several.
    """
    found = session.selection()
    if len(found) != 1:
        raise HostRefused(
            f"{len(found)} clips are selected or under the playhead and one is needed: select one movie strip"
        )
    return found[0]


def shown_take(session: BlenderSession) -> TakeRef:
    """The take of the active clip that is shown.

    Raises:
        HostRefused: the original is shown.
    """
    clip = active_clip(session)
    shown = next((take for take in session.takes(clip) if take.active), None)
    if shown is None:
        raise HostRefused(f"{clip.name} shows its original: show a take first")
    return shown
