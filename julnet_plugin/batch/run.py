"""Do the lines of a batch one after the other, and keep a table of results that is whole at every moment.

Lines run in a worker process. One that is refused, fails, or takes the process down with it is a row of the table; the
next one gets a process that lives. Whoever repeats the command continues: finished takes are recognised by their
contents, half-finished ones are resumed.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import RedubCancelled
from julnet_plugin.pipeline.workfolder import write_json, write_text
from julnet_plugin.requestio import request_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from julnet_plugin.batch.lines import Line
    from julnet_plugin.types import ProgressFn

TABLE, VALUES = "results.csv", "results.json"


@dataclass(slots=True, kw_only=True)
class Result:
    """What became of one line."""

    number: int
    name: str
    status: str  #: "done", "refused" (the user can mend it), "failed" (our failure), "waiting"
    take: str = ""
    message: str = ""
    warnings: int = 0
    seconds: float = 0.0


def run_lines(
    lines: Sequence[Line], folder: Path, progress: ProgressFn, say: Callable[[Result], None], *, plugins: bool = True
) -> list[Result]:
    """Do every line.

    Args:
        lines: what to do.
        folder: where takes and table go; made when it isn't there.
        progress: of the line that runs; may raise `RedubCancelled`.
        say: told every result.
        plugins: whether third-party plugins take part.

    Raises:
        RedubCancelled: from `progress`; the table says how far it got.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = [Result(number=line.number, name=line.name, status="waiting") for line in lines]
    write_table(folder, results)
    with contextlib.closing(_Worker(plugins=plugins)) as worker:
        for line, result in zip(lines, results, strict=True):
            begun = time.monotonic()
            if line.request is None:
                result.status, result.message = "refused", line.problem
            else:
                _take_over(result, worker.redub(request_to_json(line.request), progress))
            result.seconds = round(time.monotonic() - begun, 2)
            write_table(folder, results)
            say(result)
    return results


def write_table(folder: Path, results: Sequence[Result]) -> None:
    """Both forms of the table, each whole or as it was before."""
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=list(asdict(results[0])))
    table.writeheader()
    table.writerows({name: _cell(value) for name, value in asdict(result).items()} for result in results)
    write_text(folder / TABLE, text.getvalue())
    write_json(folder / VALUES, {"schema": "julnet.batch", "lines": [asdict(result) for result in results]})


def _cell(value: object) -> object:
    """A text that a spreadsheet takes for text, whatever a line was called."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _take_over(result: Result, event: dict[str, Any]) -> None:
    if event["event"] == "result":
        result.status, result.take = "done", str(event["take"])
        result.warnings = len(event.get("warnings", []))
    else:
        result.status = "refused" if event.get("exit_code") == 2 else "failed"
        result.message = str(event.get("message", ""))


class _Worker:
    """One `julnet worker`, started when it is needed and again when it has died."""

    def __init__(self, *, plugins: bool) -> None:
        self._command = [sys.executable, "-m", "julnet_plugin", "worker", *([] if plugins else ["--no-plugins"])]
        self._process: subprocess.Popen[str] | None = None
        self._count = 0

    def redub(self, request: dict[str, Any], progress: ProgressFn) -> dict[str, Any]:
        """Do one line; its last event.

        Raises:
            RedubCancelled: from `progress`, after the worker has stopped.
        """
        self._count += 1
        try:
            self._send({"id": self._count, "verb": "redub", "request": request})
            for event in self._events():
                if event["event"] != "progress":
                    return event
                progress(str(event["stage"]), int(event["done"]), int(event["total"]))
        except (RedubCancelled, KeyboardInterrupt):
            self.close()
            raise
        except (OSError, ValueError):  # a pipe that broke, a line that is none: it is dying
            pass
        code = self._ended()
        return {"event": "error", "exit_code": 1, "message": f"the process that rendered it died (exit code {code})"}

    def close(self) -> None:
        """Have the worker leave: it stops what runs at the next frame and keeps what is done."""
        if self._process is not None:
            self._ended()

    def _send(self, values: dict[str, Any]) -> None:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
            )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(values) + "\n")
        self._process.stdin.flush()

    def _events(self) -> Iterator[dict[str, Any]]:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            if event.get("id") == self._count:
                yield event

    def _ended(self) -> int:
        """Let go of the process and wait for its end."""
        process, self._process = self._process, None
        assert process is not None
        with contextlib.suppress(OSError):
            process.communicate(timeout=60)
        if process.poll() is None:
            process.kill()
        return process.wait()
