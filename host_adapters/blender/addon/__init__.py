# SPDX-License-Identifier: GPL-3.0-or-later
"""JULNet in Blender: an extension for the video sequencer, made of Blender and Python alone."""

from __future__ import annotations

import sys


def register() -> None:
    """Make operators, panel and preferences known; Blender starts without them if that fails."""
    try:
        _register()
    except Exception as exc:
        sys.stderr.write(f"JULNet: the extension did not start ({type(exc).__name__}: {exc})\n")
        raise


def unregister() -> None:
    """Take everything away again, the worker first."""
    import bpy

    from host_adapters.blender.addon import jobs

    jobs.shut_down()
    if _loaded in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(_loaded)
    if hasattr(bpy.types.Scene, "julnet"):
        del bpy.types.Scene.julnet
    for known in reversed(_classes()):
        bpy.utils.unregister_class(known)


def _register() -> None:
    import bpy

    from host_adapters.blender.addon.preferences import JulnetLine

    for known in _classes():
        bpy.utils.register_class(known)
    bpy.types.Scene.julnet = bpy.props.PointerProperty(type=JulnetLine)
    bpy.app.handlers.load_post.append(bpy.app.handlers.persistent(_loaded))


def _classes() -> list[type]:
    from host_adapters.blender.addon import operators, panel, preferences

    return [*preferences.CLASSES, *operators.CLASSES, *panel.CLASSES]


def _loaded(*_: object) -> None:
    """A project was opened: sessions of the one before are over."""
    from host_adapters.blender.addon.session import count_load

    count_load()
