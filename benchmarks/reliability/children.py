"""Children that are forked from a process which has everything loaded: a try costs milliseconds, not seconds."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from julnet_plugin.outcome import exit_code_of, known_error, sentence_of

if TYPE_CHECKING:
    from collections.abc import Callable

HUNG = -1000


@dataclass(frozen=True, slots=True)
class End:
    """How a child ended."""

    code: int  #: exit code; minus the signal's number; `HUNG`
    said: str

    @property
    def violation(self) -> str:
        """What it did that nothing may do; empty for success (0) and one sentence (2)."""
        if self.code == HUNG:
            return "hang"
        if self.code < 0:
            return f"crash ({signal.Signals(-self.code).name})"
        if self.code == 0:
            return ""
        if self.code != 2:
            return "traceback" if "unexpected" in self.said else f"exit code {self.code}"
        return "" if self.said.strip() and "\n" not in self.said.strip() else "not one sentence"


def run(action: Callable[[], object], log: Path, *, timeout_s: float = 60.0, kill_after_s: float | None = None) -> End:
    """Fork, do something, and see how it ends.

    Args:
        action: what to do; its exceptions are judged as the command line judges them.
        log: where the child's output goes; its last words are the error's sentence.
        timeout_s: a child that takes longer hangs.
        kill_after_s: kill it without warning after this long.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _in_the_child(action, log)
    deadline = time.monotonic() + timeout_s
    kill_at = None if kill_after_s is None else time.monotonic() + kill_after_s
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        now = time.monotonic()
        if (kill_at is not None and now >= kill_at) or now >= deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return End(HUNG if now >= deadline else -signal.SIGKILL, "")
        time.sleep(0.002)
    said = log.with_suffix(".said").read_text("utf-8", "replace") if log.with_suffix(".said").exists() else ""
    return End(os.waitstatus_to_exitcode(status), said)


def _in_the_child(action: Callable[[], object], log: Path) -> None:
    code = 0
    try:
        os.setpgid(0, 0)
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        log.with_suffix(".said").unlink(missing_ok=True)
        action()
    except BaseException as exc:  # noqa: BLE001 - whatever it is, it is judged
        known = known_error(exc)
        code = exit_code_of(known)
        log.with_suffix(".said").write_text(sentence_of(known), "utf-8")
        if code == 1:
            import traceback

            log.write_text("".join(traceback.format_exception(exc)), "utf-8")
    finally:
        os._exit(code)
