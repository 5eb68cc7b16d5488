"""What the command line says, to people on stderr and to programs as JSON lines on stdout."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import RedubCancelled
from julnet_plugin.outcome import error_values, sentence_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType
    from typing import TextIO

    from rich.progress import Progress, TaskID

_QUIET_S = 0.1  #: progress events come no closer than this, except the first and last of a stage
_LINE_S = 10.0  #: where there is no terminal, a line of progress comes this often

STAGES = {
    "track": "finding faces",
    "audio": "listening",
    "render": "rendering",
    "deliver": "writing",
    "read": "reading",
}


class Console:
    """One run's output.

    Args:
        as_json: one JSON object a line on stdout instead of text.
        stdout: where results go.
        stderr: where everything else goes.
    """

    def __init__(self, as_json: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.as_json = as_json
        self._out = sys.stdout if stdout is None else stdout
        self._err = sys.stderr if stderr is None else stderr
        self._cancelled = False
        self._meter: _Meter | None = None
        self.clock = StageClock()

    # -- results ---------------------------------------------------------------------------------------------------

    def event(self, name: str, values: Mapping[str, Any]) -> None:
        """One JSON line on stdout. Only for `--json`.

        Raises:
            RedubCancelled: nobody reads it any more.
        """
        self._write(json.dumps({"event": name, **values}, ensure_ascii=False, allow_nan=False, default=str))

    def result(self, values: Mapping[str, Any], text: str) -> None:
        """What a verb found or made: an event for programs, the text for people."""
        if self.as_json:
            self.event("result", values)
        elif text:
            self._write(text)

    def error(self, exc: BaseException) -> None:
        """Why a verb ended early."""
        if self.as_json:
            with contextlib.suppress(RedubCancelled):
                self.event("error", error_values(exc))
        self.note(f"julnet: {sentence_of(exc)}")

    def note(self, text: str) -> None:
        """Tell a person something, without spoiling the progress bar."""
        if self._meter is not None:
            self._meter.clear()
        with contextlib.suppress(OSError, ValueError):  # no terminal any more is no reason to fail
            print(text, file=self._err, flush=True)

    def _write(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError as exc:
            with contextlib.suppress(OSError, ValueError):  # else Python complains again when it closes stdout
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())
            message = "nobody reads the output any more"
            raise RedubCancelled(message) from exc

    # -- progress --------------------------------------------------------------------------------------------------

    def progress(self, stage: str, done: int, total: int) -> None:
        """Show progress; the `ProgressFn` to hand down.

        Raises:
            RedubCancelled: the user asked to stop.
        """
        self.check_cancelled()
        self.clock.tick(stage)
        if self._meter is None:
            self._meter = _Events(self) if self.as_json else _bar_or_lines(self)
        self._meter.show(stage, done, total)

    def check_cancelled(self) -> None:
        """Stop here if the user asked to.

        Raises:
            RedubCancelled: they did.
        """
        if self._cancelled:
            message = "stopped"
            raise RedubCancelled(message)

    @property
    def terminal(self) -> TextIO | None:
        """The terminal behind stderr, where a bar can be drawn on it."""
        try:
            return self._err if self._err.isatty() else None
        except ValueError:
            return None

    @contextlib.contextmanager
    def cancellable(self) -> Iterator[None]:
        """While this lasts, Ctrl-C (or SIGTERM) makes the next `progress` raise; a second one interrupts at once."""
        previous = {}
        with contextlib.suppress(ValueError):  # signals belong to the main thread: elsewhere, leave them alone
            for number in (signal.SIGINT, signal.SIGTERM):
                previous[number] = signal.signal(number, self._stop)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            if self._meter is not None:
                self._meter.clear()
                self._meter = None

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._cancelled:
            raise KeyboardInterrupt
        self._cancelled = True
        self.note("stopping after this frame; press Ctrl-C again to stop at once")


@contextlib.contextmanager
def private_stdout() -> Iterator[TextIO]:
    """A way to stdout that nobody else has; what plugins and libraries print meanwhile goes to stderr."""
    before = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        try:
            real = before.fileno()
            before.flush()
            keep = os.dup(real)
            os.dup2(2, real)
        except (OSError, ValueError, AttributeError):  # not a file, so nothing can print past Python
            yield before
            return
        try:
            own = os.fdopen(os.dup(keep), "w", encoding="utf-8", errors="backslashreplace")
            yield own
        finally:
            with contextlib.suppress(OSError):  # a reader that has gone cannot be told what is left
                own.close()
            os.dup2(keep, real)
            os.close(keep)


class ConsoleHandler(logging.Handler):
    """Log records as notes, so that they do not spoil the bar."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self.console.note(self.format(record))


class StageClock:
    """How long each stage of a run takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}  #: by stage, so far
        self._begun = self._since = time.monotonic()
        self._stage = ""

    def tick(self, stage: str) -> None:
        """Count the time since the last progress towards the stage that it was spent in."""
        now = time.monotonic()
        if stage == self._stage:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._stage, self._since = stage, now

    def facts(self) -> dict[str, Any]:
        """Seconds in all, and of each stage."""
        stages = {stage: round(spent, 3) for stage, spent in self.seconds.items()}
        return {"seconds": round(time.monotonic() - self._begun, 3), "stages": stages}

    def __str__(self) -> str:
        """One line for a person."""
        facts = self.facts()
        stages = ", ".join(f"{STAGES.get(stage, stage)} {spent:.1f} s" for stage, spent in facts["stages"].items())
        return f"{facts['seconds']:.1f} s" + (f", of that {stages}" if stages else "")


class Throttle:
    """Lets the first and last event of a stage through, and ten a second between them."""

    def __init__(self) -> None:
        self._stage, self._last = "", 0.0

    def passes(self, stage: str, done: int, total: int) -> bool:
        """Whether this event is to be sent."""
        now = time.monotonic()
        if stage == self._stage and done < total and now - self._last < _QUIET_S:
            return False
        self._stage, self._last = stage, now
        return True


class _Meter:
    """Shows progress somehow."""

    def show(self, stage: str, done: int, total: int) -> None:
        raise NotImplementedError

    def clear(self) -> None:
        """Make room for other text."""


class _Events(_Meter):
    """Progress as JSON lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._throttle = Throttle()

    def show(self, stage: str, done: int, total: int) -> None:
        if self._throttle.passes(stage, done, total):
            self._console.event("progress", {"stage": stage, "done": done, "total": total})


class _Lines(_Meter):
    """Progress as a line now and then, for log files."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stage, self._begun, self._first, self._last = "", 0.0, 0, 0.0

    def show(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._begun, self._first, self._last = stage, now, done, now
            self._console.note(f"{STAGES.get(stage, stage)} …")
        elif now - self._last >= _LINE_S:
            self._last = now
            left_s = (now - self._begun) / max(done - self._first, 1) * (total - done)
            self._console.note(f"{STAGES.get(stage, stage)} {done}/{total}, about {clock(left_s)} left")


class _Bar(_Meter):
    """Progress as a bar with the time left."""

    def __init__(self, console: Console, terminal: TextIO) -> None:
        self._console, self._terminal = console, terminal
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def show(self, stage: str, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = self._new_bar()
            self._bar.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(STAGES.get(stage, stage), total=total)
        self._bar.update(self._tasks[stage], completed=done, total=total)

    def clear(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar, self._tasks = None, {}

    def _new_bar(self) -> Progress:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=RichConsole(file=self._terminal),
        )


def _bar_or_lines(console: Console) -> _Meter:
    terminal = console.terminal
    return _Lines(console) if terminal is None else _Bar(console, terminal)


def clock(seconds: float) -> str:
    """A duration as h:mm:ss or m:ss."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
