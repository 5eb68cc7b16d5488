"""A host's end of `julnet worker`: start it, ask it, hear from it, stop it. Standard library only.

The worker starts with the first request and lives until `close`. When it dies, every job that it had ends with one
error event, as if the worker had said so, and the next request starts a fresh one. Hosts bring their own Python, often
an old one: this file keeps to Python 3.9.

Example::

    client = WorkerClient()
    job = client.request("redub", print, request={"plate": "shot.mov", "dub": "line.wav", "take_dir": "takes/line"})
    client.cancel(job)
    client.close()
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections import deque
from typing import Any, Callable, Sequence

Event = dict[str, Any]
Listener = Callable[[Event], None]

COMMAND = ("-m", "julnet_plugin", "worker")
PROTOCOL = 1
LAST = ("result", "error")  #: events that end a job
WORKER_DIED = "WorkerDied"  #: `type` of the error that this client makes when the worker is gone
_LOG_LINES = 200


class WorkerClient:
    """Talks to one worker process at a time.

    Listeners are called on the client's own reader thread, in the order in which the worker spoke: hand the event over
    to the host's main thread before touching the host. A listener that raises loses its event and nothing else.

    Args:
        command: how to start the worker; None = this Python's `julnet_plugin`. A host names the Python that JULNet is
            installed in.
        environment: of the worker; None = this process's.
    """

    def __init__(self, command: Sequence[str] | None = None, environment: dict[str, str] | None = None) -> None:
        self._command = list(command) if command is not None else [sys.executable, *COMMAND]
        self._environment = environment
        self._lock = threading.RLock()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._jobs: dict[int, tuple[subprocess.Popen[str] | None, Listener]] = {}  # and the process that has each
        self._next_id = 1
        self._closed = False
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
        """Ask for something.

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
            refusal = self._ensure_started()
            self._jobs[job] = (self._process, listener)
            sent = refusal is None and self._send({"id": job, "verb": verb, **values})
            if not sent:
                del self._jobs[job]
        if not sent:
            _tell(listener, _died(job, refusal or "the worker stopped before it could be asked; try again"))
        return job

    def cancel(self, job: int) -> None:
        """Stop a job: it ends with an error of type `RedubCancelled`. One that has ended already is left alone."""
        with self._lock:
            if job not in self._jobs or self._jobs[job][0] is not self._process:
                return
            number, self._next_id = self._next_id, self._next_id + 1
            self._send({"id": number, "verb": "cancel", "job": job})

    def close(self, timeout_s: float = 10.0) -> None:
        """Cancel what runs and end the worker, by force if it has not left in time. A second call does nothing."""
        with self._lock:
            self._closed = True
            process, reader = self._process, self._reader
            if process is not None and process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()  # a worker whose host is gone cancels what it does and leaves
        if process is not None:
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if reader is not None and reader is not threading.current_thread():
            reader.join(timeout_s)

    def _ensure_started(self) -> str | None:
        """Start the worker if there is none; return why that failed."""
        if self._process is not None and self._process.poll() is None:
            return None
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                env=self._environment,
            )
        except OSError as exc:
            return f"the worker {self._command[0]} cannot be started ({exc.strerror or exc}); reinstall JULNet"
        self._process = process
        logger = threading.Thread(target=self._collect_log, args=(process,), name="julnet-worker-log", daemon=True)
        self._reader = threading.Thread(target=self._read, args=(process, logger), name="julnet-worker", daemon=True)
        logger.start()
        self._reader.start()
        return None

    def _send(self, values: Event) -> bool:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(values) + "\n")
            self._process.stdin.flush()
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
                self._deliver(line, process)
        code = process.wait()
        logger.join()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        for job, listener in self._orphans(process):
            _tell(listener, _died(job, _farewell(code)))

    def _orphans(self, process: subprocess.Popen[str]) -> list[tuple[int, Listener]]:
        """Jobs that this process takes with it; those of a worker that replaced it meanwhile stay."""
        with self._lock:
            orphans = [(job, listener) for job, (owner, listener) in self._jobs.items() if owner is process]
            for job, _ in orphans:
                del self._jobs[job]
            if self._process is process:
                self._process = None
            return orphans

    def _deliver(self, line: str, process: subprocess.Popen[str]) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            self._log.append(line)
            return
        if not isinstance(event, dict):
            return
        if event.get("event") == "ready" and event.get("protocol") != PROTOCOL:
            self._log.append(
                f"the worker speaks protocol {event.get('protocol')} and {PROTOCOL} is needed; "
                "install the same JULNet in both places\n"
            )
            process.kill()
            return
        job = event.get("id", 0)
        with self._lock:
            entry = self._jobs.get(job) if isinstance(job, int) else None
            if entry is not None and event.get("event") in LAST:
                del self._jobs[job]
        if entry is not None:
            _tell(entry[1], event)


def _tell(listener: Listener, event: Event) -> None:
    try:
        listener(event)
    except Exception:  # noqa: BLE001 - one listener's bug must not silence the others
        sys.excepthook(*sys.exc_info())


def _farewell(code: int) -> str:
    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    return f"the worker {how} before the job was done; finished frames are kept, start the job again to go on"


def _died(job: int, message: str) -> Event:
    return {"event": "error", "id": job, "type": WORKER_DIED, "message": message, "exit_code": 1}
