"""The queue of renders: one runs in the worker, the others wait; what failed or was stopped can be taken up again."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, Signal

from gui.preferences import settings
from julnet_plugin.errors import JulnetError
from julnet_plugin.requestio import request_from_json, request_to_json

if TYPE_CHECKING:
    from gui.jobs import Progress, RedubJobs
    from julnet_plugin.types import RedubRequest

State = Literal["waiting", "running", "done", "failed", "stopped"]
_KEPT = "unfinished"  #: key of the user's settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Render:
    """One entry of the queue: a take to render; without a request, one to composite again or to deliver."""

    id: int
    take: Path
    request: RedubRequest | None = None
    deliver: tuple[str, ...] | None = None  #: what to deliver of a finished take, besides its mattes
    state: State = "waiting"
    progress: Progress | None = None
    message: str = ""  #: why it failed
    details: str = ""

    @property
    def title(self) -> str:
        """What it is called on screen."""
        if self.request is not None:
            return self.take.name
        return f"{self.take.name}: {'matte and picture again' if self.deliver is None else 'for export'}"

    @property
    def open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("waiting", "running")


class RenderQueue(QObject):
    """Renders, in order.

    Signals:
        changed(): an entry is another.
        done(Render): one has come to a good end.
        failed(Render): one has not.
        started(Render): one has begun.
        ended(Render): one has come to an end, good or bad, or was stopped.
    """

    changed = Signal()
    done = Signal(object)
    failed = Signal(object)
    started = Signal(object)
    ended = Signal(object)

    def __init__(self, jobs: RedubJobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs = jobs
        self._renders: tuple[Render, ...] = ()
        self._next = 1
        jobs.progressed.connect(self._progressed)
        jobs.finished.connect(lambda _: self._end("done"))
        jobs.failed.connect(lambda message, details: self._end("failed", message, details))
        jobs.cancelled.connect(lambda: self._end("stopped"))

    @property
    def renders(self) -> tuple[Render, ...]:
        """Every entry, the first first."""
        return self._renders

    @property
    def running(self) -> Render | None:
        """The entry that is being rendered."""
        return next((render for render in self._renders if render.state == "running"), None)

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return any(render.open for render in self._renders)

    def add(self, request: RedubRequest) -> Render:
        """Render a take when its turn comes."""
        return self._append(Render(id=self._next, take=request.take_dir, request=request))

    def composite(self, take: Path) -> Render | None:
        """Write a take anew from its edited matte when its turn comes; None where that is about to happen already."""
        again = (r for r in self._renders if r.state == "waiting" and r.request is None and r.deliver is None)
        if any(render.take == take for render in again):
            return None
        return self._append(Render(id=self._next, take=take))

    def deliver(self, take: Path, what: tuple[str, ...]) -> Render:
        """Write a finished take's mattes anew, and further deliveries, when its turn comes."""
        return self._append(Render(id=self._next, take=take, deliver=what))

    def cancel(self, render_id: int) -> None:
        """Stop one: a waiting one at once, a running one at its next frame. What is finished of it is kept."""
        render = self._named(render_id)
        if render.state == "running":
            self._jobs.cancel()
        elif render.state == "waiting":
            self._set(replace(render, state="stopped"))
            self.ended.emit(self._named(render_id))

    def retry(self, render_id: int) -> None:
        """Take one up again that failed or was stopped; it goes on where it was."""
        render = self._named(render_id)
        if not render.open and render.state != "done":
            again = None if render.request is None else replace(render.request, resume=True)
            self._set(replace(render, state="waiting", request=again, progress=None, message="", details=""))
            self._go_on()

    def remove(self, render_id: int) -> None:
        """Forget one that has ended."""
        if not self._named(render_id).open:
            self._renders = tuple(render for render in self._renders if render.id != render_id)
            self.changed.emit()

    def clear(self) -> None:
        """Forget all that are done."""
        self._renders = tuple(render for render in self._renders if render.state != "done")
        self.changed.emit()

    # Between two starts of the editor

    def remember(self) -> None:
        """Keep what is unfinished for the next start."""
        left = [render.request for render in self._renders if render.request is not None and render.state != "done"]
        settings().setValue(_KEPT, json.dumps([request_to_json(request) for request in left]))

    def recall(self) -> int:
        """Put back what the last start left unfinished, stopped; returns how many."""
        kept = settings().value(_KEPT)
        settings().remove(_KEPT)
        try:
            found = json.loads(kept) if isinstance(kept, str) else []
            requests = [request_from_json(values) for values in found]
        except (ValueError, JulnetError):
            return 0
        for request in requests:
            if request.plate.exists() and not (request.take_dir / "take.json").exists():
                self._append(Render(id=self._next, take=request.take_dir, request=request, state="stopped"))
        return len(self._renders)

    # Running

    def _append(self, render: Render) -> Render:
        self._next += 1
        self._renders = (*self._renders, render)
        self.changed.emit()
        self._go_on()
        return render

    def _go_on(self) -> None:
        if self._jobs.running or self.running is not None:
            return
        render = next((render for render in self._renders if render.state == "waiting"), None)
        if render is None:
            return
        self._set(replace(render, state="running"))
        self.started.emit(self._named(render.id))
        if render.request is not None:
            self._jobs.start(render.request)
        elif render.deliver is not None:
            self._jobs.deliver(render.take, render.deliver)
        else:
            self._jobs.composite(render.take)

    def _progressed(self, progress: Progress) -> None:
        if self.running is not None:
            self._set(replace(self.running, progress=progress))

    def _end(self, state: State, message: str = "", details: str = "") -> None:
        render = self.running
        if render is None:
            return
        self._set(replace(render, state=state, message=message, details=details, progress=None))
        render = self._named(render.id)
        self.ended.emit(render)
        if state == "done":
            self.done.emit(render)
        elif state == "failed":
            self.failed.emit(render)
        self._go_on()

    def _named(self, render_id: int) -> Render:
        return next(render for render in self._renders if render.id == render_id)

    def _set(self, render: Render) -> None:
        self._renders = tuple(render if other.id == render.id else other for other in self._renders)
        self.changed.emit()
