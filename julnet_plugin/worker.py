"""The child process that hosts and the editor talk to: JSON lines in on stdin, JSON lines out on stdout.

A request is one object a line: `{"id": 1, "verb": "redub", "request": {…}}`. Every line that comes back is an event
that carries the request's `id`; the last one of a request is a "result" or an "error". Renders run one after the other
in the order they came, quick questions beside them. docs/pipeline.md describes the protocol.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, NoReturn

from julnet_plugin import __version__
from julnet_plugin.console import StageClock, Throttle
from julnet_plugin.errors import InputError, RedubCancelled
from julnet_plugin.jobs import JOBS, QUICK
from julnet_plugin.memory import give_back_memory
from julnet_plugin.outcome import FAILED, error_values, exit_code_of, known_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from julnet_plugin.manager import Manager

log = logging.getLogger(__name__)

PROTOCOL = 1
MAX_LINE = 4 * 1024 * 1024  #: bytes of one request; a longer line is refused and skipped
_GRACE_S = 30.0  #: how long a cancelled render may take to reach a frame's end before the process leaves anyway


class ProtocolError(InputError):
    """A line from the host that is no request."""


@dataclass(slots=True, eq=False)
class Job:
    """One request that takes time."""

    id: int | str
    verb: str
    values: Mapping[str, Any]
    send: Callable[[dict[str, Any]], None]
    cancelled: threading.Event = field(default_factory=threading.Event)
    started: bool = False
    throttle: Throttle = field(default_factory=Throttle)
    clock: StageClock = field(default_factory=StageClock)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Tell the host how far it is.

        Raises:
            RedubCancelled: the host asked to stop.
        """
        if self.cancelled.is_set():
            message = "stopped; what is done is kept, and the same request with resume finishes it"
            raise RedubCancelled(message)
        self.clock.tick(stage)
        if self.throttle.passes(stage, done, total):
            self.send({"event": "progress", "id": self.id, "stage": stage, "done": done, "total": total})


class Worker:
    """Reads requests until the host goes away or says so.

    Args:
        manager: plugins; one set for the worker's life.
        requests: binary lines from the host.
        answers: text lines to the host.
        finish: what to do when `requests` ends: finish the queue, or cancel it.
    """

    def __init__(self, manager: Manager, requests: IO[bytes], answers: IO[str], *, finish: bool = False) -> None:
        self._manager = manager
        self._requests, self._answers = requests, answers
        self._finish = finish
        self._writing = threading.Lock()
        self._jobs: dict[int | str, Job] = {}
        self._jobs_lock = threading.Lock()
        self._lanes = {name: _Lane(name, self._run) for name in ("render", "quick")}
        self._host_gone = threading.Event()
        self._immediate: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "ping": lambda _: {"pong": True, "jobs": list(self._jobs)},
            "cancel": self._cancel,
        }

    def serve(self) -> bool:
        """Answer requests until the host has gone or asks for a shutdown.

        Returns:
            Whether every job has come to its end; False when one would not stop.
        """
        self._send({"event": "ready", "protocol": PROTOCOL, "version": __version__, "pid": os.getpid()})
        last_words = None
        try:
            while not self._host_gone.is_set() and last_words is None:
                line = self._requests.readline(MAX_LINE + 1)
                if not line:
                    break
                last_words = self._take(line)
        finally:
            quiet = self._leave(cancel=not self._finish or last_words is not None or self._host_gone.is_set())
        if last_words is not None:
            self._send(last_words)
        return quiet

    def _take(self, line: bytes) -> dict[str, Any] | None:
        """Handle one line; an answer is returned only for a shutdown, to be sent when all is quiet."""
        request_id: Any = None
        try:
            if len(line) > MAX_LINE:
                self._skip_rest(line)
                _refuse(f"a request of more than {MAX_LINE // 1024 // 1024} MiB was skipped; send paths, not contents")
            if not line.strip():
                return None
            values = _parse(line)
            request_id = values.get("id")
            return self._dispatch(values)
        except Exception as exc:  # noqa: BLE001 - nothing that a host sends may end the worker
            self._send_error(request_id if isinstance(request_id, (int, str)) else None, exc)
            return None

    def _dispatch(self, values: dict[str, Any]) -> dict[str, Any] | None:
        request_id, verb = values.get("id"), values.get("verb")
        if isinstance(request_id, bool) or not isinstance(request_id, (int, str)):
            _refuse("a request needs an id that is a number or a text, so that its answers can be told apart")
        if not isinstance(verb, str):
            _refuse(f"there is no verb {verb!r}; a verb is a text")
        if verb == "shutdown":
            return {"event": "result", "id": request_id}
        if verb in self._immediate:
            self._send({"event": "result", "id": request_id, **self._immediate[verb](values)})
            return None
        if verb not in JOBS:
            known = ", ".join([*JOBS, *self._immediate, "shutdown"])
            _refuse(f"there is no verb {verb!r}; the worker knows {known}")
        job = Job(request_id, verb, values, self._send)
        with self._jobs_lock:
            if request_id in self._jobs:
                _refuse(f"the id {request_id!r} belongs to a job that is not finished; use each id once")
            self._jobs[request_id] = job
        self._lanes["quick" if verb in QUICK else "render"].put(job)
        return None

    def _cancel(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Stop a job: a running one at its next frame, a waiting one at once."""
        name = values.get("job")
        with self._jobs_lock:
            job = self._jobs.get(name) if isinstance(name, (int, str)) else None
            if job is None:
                return {"cancelled": False}
            job.cancelled.set()
            waiting = not job.started
            if waiting:
                del self._jobs[job.id]
        if waiting:
            self._send_error(job.id, RedubCancelled("stopped before it began"))
        return {"cancelled": True}

    def _run(self, job: Job) -> None:
        """Run one job on a lane's thread."""
        with self._jobs_lock:
            if self._jobs.get(job.id) is not job:  # cancelled while it waited
                return
            job.started, job.clock = True, StageClock()
        try:
            answer = {"event": "result", "id": job.id, **JOBS[job.verb](job, self._manager)}
        except BaseException as exc:  # noqa: BLE001 - the worker outlives whatever a job does
            self._forget(job)
            self._send_error(job.id, exc)
        else:
            log.info("%s took %s", job.verb, job.clock, extra={"facts": {"request": job.id, **job.clock.facts()}})
            self._forget(job)
            self._send(answer)

    def _forget(self, job: Job) -> None:
        with self._jobs_lock:
            self._jobs.pop(job.id, None)

    def _leave(self, *, cancel: bool) -> bool:
        if cancel:
            for job in list(self._jobs.values()):
                job.cancelled.set()
        deadline = time.monotonic() + _GRACE_S
        closed = [lane.close(deadline if cancel else None) for lane in self._lanes.values()]
        return all(closed)

    def _skip_rest(self, line: bytes) -> None:
        while line and not line.endswith(b"\n"):
            line = self._requests.readline(MAX_LINE)

    def _send_error(self, request_id: int | str | None, exc: BaseException) -> None:
        known = known_error(exc)
        code = exit_code_of(known)
        if code == FAILED:
            log.error("request %s failed", request_id, exc_info=exc)
        self._send({"event": "error", "id": request_id, "exit_code": code, **error_values(known)})

    def _send(self, event: dict[str, Any]) -> None:
        """Write one line. A host that reads no more is a host that is gone."""
        line = json.dumps(event, ensure_ascii=False, default=str)
        with self._writing:
            try:
                self._answers.write(line + "\n")
                self._answers.flush()
            except (OSError, ValueError):
                self._host_gone.set()
                for job in list(self._jobs.values()):
                    job.cancelled.set()


class _Lane:
    """A thread that runs jobs one after the other."""

    def __init__(self, name: str, run: Callable[[Job], None]) -> None:
        self._run = run
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"julnet-{name}", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Queue a job."""
        self._queue.put(job)

    def close(self, deadline: float | None) -> bool:
        """Wait until the queue is done, or until `deadline` on the monotonic clock; return whether it is done."""
        self._queue.put(None)
        self._thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            self._run(job)
            give_back_memory()


def _refuse(message: str) -> NoReturn:
    raise ProtocolError(message)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        _refuse("a line is not UTF-8; send one JSON object a line")
    except (ValueError, RecursionError) as exc:
        _refuse(f"a line is not JSON ({exc}); send one JSON object a line")
    if not isinstance(values, dict):
        _refuse("a line is JSON but no object; send one JSON object a line")
    return values
