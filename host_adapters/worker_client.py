"""A host's end of `julnet worker`: start it, ask it, hear from it, stop it. Standard library only.

The worker starts with the first request and lives until `close`. When it dies, every job that it had ends with one
error event, as if the worker had said so, and the next request starts a fresh one. A worker that says nothing is asked
whether it lives, and ended when it does not answer. Nothing but `close` waits: a request is handed to a thread that
starts the worker and speaks to it, so a slow disk or a worker that does not read never stops a host's window.
Hosts bring their own Python, often an old one: this file keeps to Python 3.7.

Example::

    client = WorkerClient()
    job = client.request("redub", print, request={"plate": "shot.mov", "dub": "line.wav", "take_dir": "takes/line"})
    client.cancel(job)
    client.close()
"""

from __future__ import annotations

import contextlib
import json
import queue
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Sequence

if TYPE_CHECKING:
    import subprocess

    Event = dict[str, Any]
    Listener = Callable[[Event], None]

COMMAND = ("-m", "julnet_plugin", "worker")
PROTOCOL = 1
LAST = ("result", "error")  #: events that end a job
WORKER_DIED = "WorkerDied"  #: `type` of the error that this client makes when the worker is gone
_LOG_LINES = 200
_PING = "alive?"  #: id of the client's own question


class _Job:
    """A request that has not come to its end."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.process: subprocess.Popen[str] | None = None  #: that has it; None while it waits to be sent


class WorkerClient:
    """Talks to one worker process at a time.

    Listeners are called on the client's own threads, in the order in which the worker spoke: hand the event over to the
    host's main thread before touching the host (`host_adapters.redub.Mailbox`). A listener that raises loses its event
    and nothing else.

    Args:
        command: how to start the worker; None = this Python's `julnet_plugin`. A host names the Python that JULNet is
            installed in.
        environment: of the worker; None = this process's.
        start_s: how long a worker may take until it is ready.
        silence_s: how long it may say nothing, while it has a job, until it counts as stuck.
    """

    def __init__(
        self,
        command: Sequence[str] | None = None,
        environment: dict[str, str] | None = None,
        *,
        start_s: float = 120.0,
        silence_s: float = 90.0,
    ) -> None:
        self._command = list(command) if command is not None else [sys.executable, *COMMAND]
        self._environment = environment
        self._start_s, self._silence_s = start_s, silence_s
        self._lock = threading.RLock()
        self._outbox: queue.Queue[Event | None] = queue.Queue()
        self._pump: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._jobs: dict[int, _Job] = {}
        self._next_id = 1
        self._closed = False
        self._ready, self._heard_s, self._asked_s = False, 0.0, 0.0
        self._verdict = ""  #: why this client ended the worker itself
        self._log: deque[str] = deque(maxlen=_LOG_LINES)

    @property
    def log(self) -> str:
        """The last lines that the worker wrote to its log, for "show details"."""
        return "".join(list(self._log))

    @property
    def busy(self) -> bool:
        """Whether a job has not come to its end."""
        with self._lock:
            return bool(self._jobs)

    def request(self, verb: str, listener: Listener, **values: Any) -> int:
        """Ask for something; returns at once.

        Args:
            verb: "redub", "matte", "comp", "probe", "plugins", "ping" …; docs/pipeline.md lists them.
            listener: gets every event of this request; the last one is a "result" or an "error".
            values: the request's other fields.

        Returns:
            The job's id, for `cancel`.

        Raises:
            RuntimeError: the client is closed.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("this worker client is closed")
            job, self._next_id = self._next_id, self._next_id + 1
            self._jobs[job] = _Job(listener)
            self._outbox.put({"id": job, "verb": verb, **values})
            if self._pump is None:
                self._pump = threading.Thread(target=self._work, name="julnet-worker-pump", daemon=True)
                self._pump.start()
        return job

    def cancel(self, job: int) -> None:
        """Stop a job: it ends with an error of type `RedubCancelled`. One that has ended already is left alone."""
        with self._lock:
            if job not in self._jobs:
                return
            number, self._next_id = self._next_id, self._next_id + 1
            self._outbox.put({"id": number, "verb": "cancel", "job": job})

    def close(self, timeout_s: float = 10.0) -> None:
        """Cancel what runs and end the worker, by force if it has not left in time. A second call does nothing."""
        with self._lock:
            self._closed = True
            pump = self._pump
        if pump is not None and pump is not threading.current_thread():
            self._outbox.put(None)
            pump.join(timeout_s)
        process, reader = self._process, self._reader
        if process is not None and pump is not None and pump.is_alive():
            process.kill()  # it does not read what the pump is writing, so even closing its stdin would wait
        if process is not None:
            _end(process, timeout_s)
        if reader is not None and reader is not threading.current_thread():
            reader.join(timeout_s)
        self._bury(None, "the worker was stopped before the job was done")

    def _work(self) -> None:
        """Speak to the worker, on a thread of its own; between messages see whether it still lives."""
        while True:
            try:
                message = self._outbox.get(timeout=self._tick_s())
            except queue.Empty:
                self._watch()
                continue
            if message is None:
                return
            self._post(message)

    def _tick_s(self) -> float | None:
        with self._lock:
            waiting = any(job.process is not None for job in self._jobs.values())
        return min(1.0, self._start_s / 4, self._silence_s / 4) if waiting else None

    def _post(self, message: Event) -> None:
        """Send a request, or a cancel if its job has not ended meanwhile."""
        number = message["job"] if message["verb"] == "cancel" else message["id"]
        with self._lock:
            job = self._jobs.get(number)
            if job is None or (message["verb"] == "cancel" and job.process is not self._process):
                return
        refusal = self._ensure_started()
        with self._lock:
            if refusal is None:
                job.process = self._process
        if refusal is None and not self._send(message):
            refusal = "the worker stopped before it could be asked; try again"
        if refusal is not None:
            with self._lock:
                waiting = self._jobs.pop(number, None)
            if waiting is not None:
                _tell(waiting.listener, _died(number, refusal))

    def _ensure_started(self) -> str | None:
        """Start the worker if there is none; return why that failed."""
        if self._process is not None and self._process.poll() is None:
            return None
        import subprocess  # late: hosts import this file when they start

        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                env=self._environment,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as exc:
            return f"the worker {self._command[0]} cannot be started ({exc.strerror or exc}); reinstall JULNet"
        self._ready, self._verdict = False, ""
        self._heard_s = self._asked_s = time.monotonic()
        self._process = process
        logger = threading.Thread(target=self._collect_log, args=(process,), name="julnet-worker-log", daemon=True)
        self._reader = threading.Thread(target=self._read, args=(process, logger), name="julnet-worker", daemon=True)
        logger.start()
        self._reader.start()
        return None

    def _watch(self) -> None:
        """End a worker that does not get ready, or that says nothing and does not answer either."""
        process, now = self._process, time.monotonic()
        if process is None or process.poll() is not None:
            return
        silent_s = now - self._heard_s
        limit_s = self._silence_s if self._ready else self._start_s
        if silent_s > limit_s:
            what = "said nothing" if self._ready else "did not get ready"
            self._verdict = f"{what} for {limit_s:.0f} s and was ended"
            process.kill()
        elif self._ready and silent_s > self._silence_s / 3 and self._asked_s <= self._heard_s:
            self._asked_s = now
            self._send({"id": _PING, "verb": "ping"})

    def _send(self, values: Event) -> bool:
        process = self._process
        if process is None or process.stdin is None:
            return False
        try:
            process.stdin.write(json.dumps(values) + "\n")
            process.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def _collect_log(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self._log.append(line)

    def _read(self, process: subprocess.Popen[str], logger: threading.Thread) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._heard_s = time.monotonic()
                self._deliver(line, process)
        code = process.wait()
        logger.join()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        with self._lock:
            if self._process is process:
                self._process = None
        self._bury(process, _farewell(code, self._verdict))

    def _bury(self, process: subprocess.Popen[str] | None, message: str) -> None:
        """End the jobs that a process takes with it; those of a worker that replaced it meanwhile stay."""
        with self._lock:
            orphans = [(number, job) for number, job in self._jobs.items() if process in (None, job.process)]
            for number, _ in orphans:
                del self._jobs[number]
        for number, job in orphans:
            _tell(job.listener, _died(number, message))

    def _deliver(self, line: str, process: subprocess.Popen[str]) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            self._log.append(line)
            return
        if not isinstance(event, dict):
            return
        if event.get("event") == "ready":
            self._ready = True
            if event.get("protocol") != PROTOCOL:
                self._verdict = f"speaks protocol {event.get('protocol')}, but {PROTOCOL} is needed"
                self._log.append(f"the worker {self._verdict}; install the same JULNet in both places\n")
                process.kill()
            return
        number = event.get("id", 0)
        with self._lock:
            job = self._jobs.get(number) if isinstance(number, int) else None
            if job is not None and event.get("event") in LAST:
                del self._jobs[number]
        if job is not None:
            _tell(job.listener, event)


def _end(process: subprocess.Popen[str], timeout_s: float) -> None:
    import subprocess

    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()  # a worker whose host is gone cancels what it does and leaves
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tell(listener: Listener, event: Event) -> None:
    try:
        listener(event)
    except Exception:  # noqa: BLE001 - one listener's bug must not silence the others
        sys.excepthook(*sys.exc_info())


def _farewell(code: int, verdict: str) -> str:
    how = verdict or (f"was ended by signal {-code}" if code < 0 else f"ended with code {code}")
    return f"the worker {how} before the job was done; finished frames are kept, start the job again to go on"


def _died(job: int, message: str) -> Event:
    return {"event": "error", "id": job, "type": WORKER_DIED, "message": message, "exit_code": 1}
