"""Long work in the child process that hosts use too; views see signals and never a thread."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt, Signal

from host_adapters.worker_client import WorkerClient
from julnet_plugin.requestio import request_to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from julnet_plugin.types import RedubRequest

STAGES = {"track": "Following the face", "audio": "Listening", "render": "Drawing the mouth", "deliver": "Writing"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is."""

    stage: str
    done: int
    total: int
    left_s: float | None  #: until the end of this stage; None while too little is known

    def sentence(self) -> str:
        """For people: "Drawing the mouth · 48 of 200 · about 12 s left"."""
        parts = [STAGES.get(self.stage, self.stage.capitalize()), f"{self.done} of {self.total}"]
        if self.left_s is not None and self.done < self.total:
            parts.append(f"about {duration_text(self.left_s)} left in this step")
        return " · ".join(parts)


class Pace:
    """Time left in a stage, from how fast it went so far."""

    _LEAST_S = 1.0  # what is guessed from less is noise

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._first = (0, 0.0)

    def update(self, stage: str, done: int, total: int) -> Progress:
        """Take note of a progress event."""
        now = self._clock()
        if stage != self._stage:
            self._stage, self._first = stage, (done, now)
        frames, elapsed_s = done - self._first[0], now - self._first[1]
        known = frames > 0 and elapsed_s >= self._LEAST_S
        left_s = elapsed_s / frames * (total - done) if known else None
        return Progress(stage=stage, done=done, total=total, left_s=left_s)


class RedubJobs(QObject):
    """Renders takes, one at a time.

    Signals:
        progressed(Progress): how far it is.
        finished(Path): the take folder.
        failed(str, str): one sentence, and details for whoever asks.
        cancelled(): it stopped because it was asked to.
    """

    progressed = Signal(object)
    finished = Signal(object)
    failed = Signal(str, str)
    cancelled = Signal()
    _heard = Signal(object)

    def __init__(self, client: WorkerClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._job: int | None = None
        self._pace = Pace()
        self._heard.connect(self._on_event, Qt.ConnectionType.QueuedConnection)

    @property
    def client(self) -> WorkerClient:
        """The worker that renders."""
        return self._client

    @property
    def running(self) -> bool:
        """Whether a render has not come to its end."""
        return self._job is not None

    def start(self, request: RedubRequest) -> None:
        """Render a take. There must be none under way."""
        self._ask("redub", request=request_to_json(request))

    def composite(self, take: Path) -> None:
        """Write a take's files anew from its edited matte. There must be no other job under way."""
        self._ask("comp", take=str(take))

    def deliver(self, take: Path, what: tuple[str, ...]) -> None:
        """Write a take's mattes anew, and further deliveries. There must be no other job under way."""
        self._ask("matte", take=str(take), deliver=list(what))

    def _ask(self, verb: str, **values: Any) -> None:
        if self.running:
            raise RuntimeError("a render is under way")
        self._pace = Pace()
        self._job = -1  # the first event may come before the number does
        job = self._client.request(verb, self._heard.emit, **values)
        self._job = job if self._job is not None else None  # it may have ended already

    def cancel(self) -> None:
        """Ask the render to stop; `cancelled` follows when it has."""
        if self._job is not None:
            threading.Thread(target=self._client.cancel, args=(self._job,), daemon=True).start()

    def _on_event(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "progress":
            self.progressed.emit(self._pace.update(event["stage"], event["done"], event["total"]))
            return
        self._job = None
        if kind == "result":
            self.finished.emit(Path(event["take"]).parent)
        elif event.get("type") == "RedubCancelled":
            self.cancelled.emit()
        else:
            self.failed.emit(event.get("message", "the render failed"), self._client.log)


def duration_text(seconds: float) -> str:
    """A length of time as people say it: "9 s", "2 min", "1 h 20 min"."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
