# SPDX-License-Identifier: GPL-3.0-or-later
"""Re-dubs under way: asked of the worker, looked after by a timer, placed when they are done. Blender never waits."""

from __future__ import annotations

import contextlib
from typing import Any

import bpy

from host_adapters import client_config
from host_adapters.base import ClipRef, HostRefused
from host_adapters.blender.addon.session import BlenderSession
from host_adapters.redub import HandBack, Redub, Wishes, hand_back
from host_adapters.worker_client import WorkerClient

EVERY_S = 0.25
KEPT = 8  #: ended re-dubs that the panel still shows


Job = Redub | HandBack
running: list[Job] = []
ended: list[Job] = []
_client: WorkerClient | None = None


def client(python: str = "") -> WorkerClient:
    """The worker, which starts with its first request.

    Args:
        python: JULNet's Python; empty = as `julnet hosts install` wrote down.

    Raises:
        HostRefused: JULNet cannot be found.
    """
    global _client
    if _client is None:
        try:
            config: dict[str, Any] = {"python": python} if python else client_config.read_config()
        except client_config.ConfigProblem as exc:
            raise HostRefused(f"{exc}, or name JULNet's Python in the extension's preferences") from None
        _client = WorkerClient(client_config.worker_command(config), client_config.worker_environment())
    return _client


def start(session: BlenderSession, clip: ClipRef, wishes: Wishes, python: str = "") -> Redub:
    """Ask for a re-dub; returns at once.

    Raises:
        HostProblem: the clip cannot be re-dubbed, or a file is missing.
    """
    session.refuse(clip)
    job = Redub(session, client(python), clip, wishes)
    job.start()
    _look_after(job)
    return job


def send_matte(session: BlenderSession, clip: ClipRef, python: str = "") -> HandBack:
    """Ask for the painted matte of the shown take to be read back into it; returns at once.

    Raises:
        HostProblem: there is none.
    """
    job = hand_back(session, client(python), clip)
    _look_after(job)
    return job


def _look_after(job: Job) -> None:
    running.append(job)
    if not bpy.app.timers.is_registered(poll):
        bpy.app.timers.register(poll, first_interval=EVERY_S, persistent=True)


def poll() -> float | None:
    """Look at every re-dub; place those that are done. Blender's timer calls it.

    Returns:
        Seconds until it wants to be called again; None = nothing is under way.
    """
    for job in list(running):
        status = job.poll()
        if status.ended:
            running.remove(job)
            ended.append(job)
            del ended[:-KEPT]
            if status.take is not None:
                _undo_step(f"JULNet: {status.sentence}")
    _redraw()
    return EVERY_S if running else None


def cancel() -> None:
    """Ask every re-dub to stop."""
    for job in running:
        job.cancel()


def shut_down() -> None:
    """End the worker: the extension is switched off, or Blender leaves."""
    global _client
    if bpy.app.timers.is_registered(poll):
        bpy.app.timers.unregister(poll)
    running.clear()
    if _client is not None:
        _client.close(2.0)
        _client = None


def _undo_step(message: str) -> None:
    with contextlib.suppress(RuntimeError):  # no window to undo in
        bpy.ops.ed.undo_push(message=message)


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "SEQUENCE_EDITOR":
                area.tag_redraw()
