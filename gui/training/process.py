"""`julnet finetune` as a child process: progress and the end as signals."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QProcess, Signal

COMMAND = (sys.executable, "-m", "julnet_plugin")
_GRACE_MS = 15_000


class Training(QObject):
    """Makes one model at a time.

    Signals:
        progressed(str, int, int): stage, done, total.
        finished(dict): the result: model, scores before and after.
        failed(str, str): one sentence, and details for whoever asks.
        stopped(): because it was asked to; the same request goes on.
    """

    progressed = Signal(str, int, int)
    finished = Signal(object)
    failed = Signal(str, str)
    stopped = Signal()

    def __init__(self, parent: QObject | None = None, command: Sequence[str] = COMMAND) -> None:
        super().__init__(parent)
        self._command = list(command)
        self._process: QProcess | None = None
        self._line = b""
        self._last: dict[str, Any] = {}
        self._stopping = False

    @property
    def running(self) -> bool:
        """Whether a model is being made."""
        return self._process is not None

    def start(self, clips: Sequence[Path], model: Path, minutes: float, base: str) -> None:
        """Begin, or go on with what an earlier start of the same model left."""
        if self.running:
            raise RuntimeError("a model is being made")
        self._line, self._last, self._stopping = b"", {}, False
        process = QProcess(self)
        process.readyReadStandardOutput.connect(self._read)
        process.finished.connect(self._ended)
        process.errorOccurred.connect(self._broken)
        self._process = process
        clip_names = [str(clip) for clip in clips]
        options = ["-o", str(model), "--minutes", f"{minutes:g}", "--from", base, "--json"]
        process.start(self._command[0], [*self._command[1:], "finetune", *clip_names, *options])

    def stop(self) -> None:
        """Ask it to stop; what it has learnt is kept."""
        if self._process is not None:
            self._stopping = True
            self._process.terminate()

    def end(self) -> None:
        """Stop, and wait until it has."""
        process = self._process
        if process is None:
            return
        self.stop()
        if not process.waitForFinished(_GRACE_MS):
            process.kill()
            process.waitForFinished(_GRACE_MS)

    def _read(self) -> None:
        assert self._process is not None
        self._line += bytes(self._process.readAllStandardOutput().data())
        *whole, self._line = self._line.split(b"\n")
        for line in whole:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("event") == "progress":
                self.progressed.emit(str(event["stage"]), int(event["done"]), int(event["total"]))
            elif event.get("event") in ("result", "error"):
                self._last = event

    def _ended(self, code: int, _status: object) -> None:
        process = self._process
        if process is None:
            return
        self._read()
        said = bytes(process.readAllStandardError().data()).decode("utf-8", "replace")
        self._process = None
        process.deleteLater()
        if self._last.get("event") == "result":
            self.finished.emit(self._last)
        elif self._stopping or code == 130:
            self.stopped.emit()
        else:
            sentence = self._last.get("message") or f"the training ended with code {code}; press Start to go on with it"
            self.failed.emit(str(sentence), said)

    def _broken(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart and self._process is not None:
            self._process = None
            self.failed.emit(f"the training cannot be started ({self._command[0]}); reinstall JULNet", "")
