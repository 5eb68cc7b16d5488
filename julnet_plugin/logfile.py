"""`--log-file`: what a run logs, and how long its stages took, as JSON lines that programs and support can read."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from julnet_plugin import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from julnet_plugin.console import Console


class _Lines(logging.Formatter):
    """One record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's time (UTC), level, logger and message, and the traceback where there is one."""
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")
        values: dict[str, Any] = {
            "time": moment,
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values, ensure_ascii=False, default=str)


@contextlib.contextmanager
def log_file(path: str | None, console: Console) -> Iterator[dict[str, Any]]:
    """While this lasts, append everything from level INFO to a file, and at the end a summary of the run.

    A log that cannot be written is no reason to fail: it is said once.

    Yields:
        What the summary says besides the times: whoever knows how the run ended puts it in.
    """
    end: dict[str, Any] = {}
    handler = None if path is None else _opened(path, console)
    if handler is None:
        yield end
        return
    handler.setFormatter(_Lines())
    handler.setLevel(logging.INFO)
    log, own = logging.getLogger(), logging.getLogger(__name__)
    before = log.level
    log.addHandler(handler)
    log.setLevel(min(before, logging.INFO))  # what people are shown is decided by the console's own handler
    own.info("begun", extra={"facts": {"version": __version__, "arguments": sys.argv[1:], "folder": os.getcwd()}})  # noqa: PTH109
    try:
        yield end
    finally:
        own.info("ended", extra={"facts": {**console.clock.facts(), **end}})
        log.setLevel(before)
        log.removeHandler(handler)
        handler.close()


def _opened(path: str, console: Console) -> logging.Handler | None:
    try:
        return logging.FileHandler(path, encoding="utf-8")
    except OSError as exc:
        console.note(f"the log file {path} cannot be written ({exc.strerror or exc}); going on without")
        return None
