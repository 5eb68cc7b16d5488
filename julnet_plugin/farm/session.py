"""A process that keeps the model loaded between the tasks of one worker's session.

It listens on nothing: tasks leave their request as a file in a folder of the session and read the answer from another,
so whoever cannot write into that folder cannot talk to it. Every message is written to a temporary name and renamed.

    FOLDER/beat                 a counter that changes as long as the process lives
    FOLDER/ID.ask               a request: {"step": "paint", "request": {…}, "frames": [0, 48]}
    FOLDER/ID.answer            JSON lines: progress, and last a result or an error
    FOLDER/ID.client            a counter that changes as long as somebody waits for the answer
    FOLDER/stop                 leave

Both sides judge the other by whether its counter changes, never by the clock on the wall. A task that finds no living
process does its work itself: the session only saves time.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.console import Throttle
from julnet_plugin.errors import InputError, ModelError, RedubCancelled
from julnet_plugin.outcome import error_values, exit_code_of, known_error
from julnet_plugin.requestio import request_from_json, request_to_json
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from julnet_plugin.manager import Manager
    from julnet_plugin.types import ProgressFn, RedubRequest

log = logging.getLogger(__name__)

_BEAT_S = 0.5  #: how often a counter changes
_DEAD_S = 30.0  #: a counter that stood still this long belongs to a dead process
_POLL_S = 0.05
_IDLE_S = 600.0  #: a session that nobody asks for this long leaves; the next task starts another
_START_S = 60.0  #: how long a new session may take to show its first beat
_STARTED: dict[Path, subprocess.Popen[bytes]] = {}  #: sessions that this process started and may have to wait for


class Pulse:
    """Shows that this process lives: a counter in a file, changed by a thread; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.path.unlink(missing_ok=True)

    def _run(self) -> None:
        count = 0
        while not self._stop.wait(_BEAT_S if count else 0):
            count += 1
            with contextlib.suppress(OSError):  # the folder has gone: whoever looks will find no pulse
                _put(self.path, f"{os.getpid()} {count}")


@dataclass(slots=True)
class Watch:
    """Whether somebody else's counter still changes."""

    path: Path
    _seen: str = ""
    _since: float = field(default_factory=time.monotonic)

    def alive(self) -> bool:
        """Whether it changed lately."""
        try:
            now = self.path.read_text("ascii")
        except (OSError, UnicodeError):
            now = ""
        if now and now != self._seen:
            self._seen, self._since = now, time.monotonic()
        return time.monotonic() - self._since < _DEAD_S

    def there(self) -> bool:
        """Whether there is a counter at all."""
        return self.path.exists()


def start(folder: Path) -> None:
    """Start a session's process and wait for its first beat.

    Raises:
        ModelError: it does not come up; its log says why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stop").unlink(missing_ok=True)
    command = [sys.executable, "-m", "julnet_plugin", "farm", "serve", str(folder.absolute())]
    detached: dict[str, Any] = {"start_new_session": True}
    if os.name == "nt":
        detached = {"creationflags": 0x00000008 | 0x00000200}  # DETACHED_PROCESS, CREATE_NEW_PROCESS_GROUP
    with (folder / "session.log").open("ab") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **detached)
    _STARTED[folder.absolute()] = child
    deadline = time.monotonic() + _START_S
    while not (folder / "beat").exists():
        if child.poll() is not None or time.monotonic() > deadline:
            tail = (folder / "session.log").read_text("utf-8", "replace").strip().splitlines()[-1:]
            raise ModelError(f"the session's process does not come up: {' '.join(tail) or 'it says nothing'}")
        time.sleep(_POLL_S)


def stop(folder: Path) -> None:
    """Ask a session's process to leave, and wait until it has; one that is gone already is no error."""
    if not folder.is_dir():
        return
    (folder / "stop").touch()
    watch = Watch(folder / "beat")
    while watch.there() and watch.alive():
        time.sleep(_POLL_S)
    child = _STARTED.pop(folder.absolute(), None)
    if child is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_START_S)


def ask(folder: Path, step: str, request: RedubRequest, frames: FrameRange | None, progress: ProgressFn) -> bool:
    """Have the session's process do one task.

    Returns:
        False when there is no living process, and the task is still to be done.

    Raises:
        JulnetError: the task failed there.
        RedubCancelled: from `progress`; the process stops the task at its next frame.
    """
    name = uuid.uuid4().hex
    server = Watch(folder / "beat")
    answer = folder / f"{name}.answer"
    with Pulse(folder / f"{name}.client"):
        wanted = None if frames is None else [frames.start, frames.stop]
        asked = {"step": step, "request": request_to_json(request), "frames": wanted}
        _put(folder / f"{name}.ask", json.dumps(asked))
        try:
            for line in _answers(answer, server, folder / f"{name}.ask"):
                if line["event"] == "progress":
                    progress(line["stage"], line["done"], line["total"])
                elif line["event"] == "error":
                    raise _as_raised_there(line)
                else:
                    return True
        finally:
            with contextlib.suppress(OSError):  # Windows, while the other side still writes
                answer.unlink(missing_ok=True)
    return False


def _answers(path: Path, server: Watch, asked: Path) -> Iterator[dict[str, Any]]:
    """Lines as they come; ends early when the process dies."""
    rest, offset = b"", 0
    while True:
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            file.seek(offset)
            rest += file.read()
            offset = file.tell()
        *lines, rest = rest.split(b"\n")
        yield from (json.loads(line) for line in lines)
        if not lines:
            if not server.there() or not server.alive():
                asked.unlink(missing_ok=True)
                return
            time.sleep(_POLL_S)


def _as_raised_there(line: dict[str, Any]) -> Exception:
    """An error that happened in the session's process, with the exit code that it means."""
    kinds: dict[int, type[Exception]] = {2: InputError, 130: RedubCancelled}
    return kinds.get(int(line.get("exit_code", 1)), ModelError)(str(line.get("message")))


class Server:
    """Does tasks one after the other until it is told to leave, or nobody asks any more.

    Args:
        folder: of the session.
        manager: the plugins.
    """

    def __init__(self, folder: Path, manager: Manager) -> None:
        self._folder, self._manager = folder, manager
        self._takes: dict[str, Any] = {}

    def serve(self) -> None:
        """Serve until it is time to leave."""
        last = time.monotonic()
        with Pulse(self._folder / "beat"):
            while self._folder.is_dir() and not (self._folder / "stop").exists():
                asked = sorted(self._folder.glob("*.ask"))
                for path in asked:
                    self._do(path)
                    last = time.monotonic()
                if time.monotonic() - last > _IDLE_S:
                    return
                if not asked:
                    time.sleep(_POLL_S)

    def _do(self, asked: Path) -> None:
        """One task."""
        try:
            text = asked.read_text("utf-8")
            asked.unlink()
        except OSError:  # whoever asked has gone
            return
        client = Watch(asked.with_suffix(".client"))
        throttle = Throttle()
        with asked.with_suffix(".answer").open("a", encoding="utf-8") as answer:

            def say(values: dict[str, Any]) -> None:
                answer.write(json.dumps(values, default=str) + "\n")
                answer.flush()

            def progress(stage: str, done: int, total: int) -> None:
                if not client.there() or not client.alive():
                    raise RedubCancelled("whoever asked has gone")
                if throttle.passes(stage, done, total):
                    say({"event": "progress", "stage": stage, "done": done, "total": total})

            try:
                self._run(json.loads(text), progress)
                say({"event": "result"})
            except BaseException as exc:
                known = known_error(exc)
                log.warning("a task failed: %s", known, exc_info=exc)
                say({"event": "error", **error_values(known), "exit_code": exit_code_of(known)})
                if not isinstance(exc, Exception):
                    raise

    def _run(self, asked: dict[str, Any], progress: ProgressFn) -> None:
        key = json.dumps(asked["request"], sort_keys=True)
        if key not in self._takes:
            from julnet_plugin.farm.steps import ChunkedTake

            self._takes = {key: ChunkedTake(request_from_json(asked["request"]), self._manager)}
        frames = None if asked["frames"] is None else FrameRange(start=asked["frames"][0], stop=asked["frames"][1])
        self._takes[key].run(asked["step"], frames, progress)


def run_task(
    folder: Path | None,
    step: str,
    request: RedubRequest,
    frames: FrameRange | None,
    progress: ProgressFn,
    manager: Callable[[], Manager],
) -> None:
    """Do one task in the session's process, started again if it has left; or here, where there is no session."""
    if folder is not None and not (folder / "stop").exists():
        if not (folder / "beat").exists():
            start(folder)
        if ask(folder, step, request, frames, progress):
            return
    from julnet_plugin.farm.steps import ChunkedTake

    ChunkedTake(request, manager()).run(step, frames, progress)


def _put(path: Path, text: str) -> None:
    """Write a small file whole. It need not survive a crash of the machine, so it isn't flushed to disk."""
    temporary = path.with_name(f".{path.name}.{threading.get_ident()}.tmp")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)
