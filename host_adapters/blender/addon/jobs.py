# SPDX-License-Identifier: GPL-3.0-or-later
"""Re-dubs under way: asked of the worker, looked after by a timer, placed when they are done. Blender never waits."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import bpy

from host_adapters import client_config
from host_adapters.base import ClipRef, HostRefused
from host_adapters.blender.addon.session import BlenderSession
from host_adapters.redub import Mailbox, Redub, Status, Wishes
from host_adapters.worker_client import WorkerClient

EVERY_S = 0.25
KEPT = 8  #: ended re-dubs that the panel still shows


class SentMatte:
    """A painted matte on its way back into its take.

    Args:
        worker: that does it.
        take: folder of the take.
        matte: pattern of the painted pictures.
        first: plate frame of the first one.
    """

    def __init__(self, worker: WorkerClient, take: str, matte: str, first: int) -> None:
        self.title = os.path.basename(take)
        self.status = Status("running", "Reading the matte back")
        self._worker, self._mailbox = worker, Mailbox()
        self._job = worker.request("matte", self._mailbox, take=take, override=matte, override_start=first)

    def poll(self) -> Status:
        """See what has happened."""
        for event in self._mailbox.drain():
            if event["event"] == "result":
                self.status = Status("done", f"the painted matte is part of {self.title} now")
            elif event["event"] == "error":
                self.status = Status("failed", str(event.get("message", "the matte could not be read back")))
        return self.status

    def cancel(self) -> None:
        """Ask it to stop."""
        self._worker.cancel(self._job)


Job = Redub | SentMatte
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


def send_matte(take: str, matte: str, first: int, python: str = "") -> SentMatte:
    """Ask for a painted matte to be read back into its take; returns at once."""
    job = SentMatte(client(python), take, matte, first)
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
