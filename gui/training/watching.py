"""What a fine-tuning run has written so far: its curves and its last picture. Reads files; no Qt."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOG, SAMPLE = "log.jsonl", "sample.png"
_NOT_CURVES = ("step", "seconds", "spent_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A run at one moment."""

    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  #: name to (step, value)
    sample: Path | None = None
    report: dict[str, object] = field(default_factory=dict)  #: scores before and after, when it is done


def work_folder(model: Path) -> Path:
    """Where `julnet finetune -o MODEL` keeps its run."""
    return model.with_name(f"{model.stem}.finetune")


def look(model: Path) -> Seen:
    """What there is of the run that makes a model. Stages follow one another on one axis of steps."""
    folder = work_folder(model)
    curves: dict[str, list[tuple[float, float]]] = {}
    offset = 0.0
    for log in sorted(folder.glob(f"run/**/{LOG}"), key=lambda path: path.stat().st_ctime):
        last = 0.0
        for row in _rows(log):
            step = float(row.get("step", 0))
            last = max(last, step)
            for name, value in row.items():
                if name not in _NOT_CURVES and isinstance(value, (int, float)) and not isinstance(value, bool):
                    curves.setdefault(name, []).append((offset + step, float(value)))
        offset += last
    samples = sorted(folder.glob(f"run/**/{SAMPLE}"), key=lambda path: path.stat().st_mtime)
    return Seen(curves=curves, sample=samples[-1] if samples else None, report=_object(folder / "report.json"))


def _rows(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole: the last one may be half written."""
    rows = []
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _object(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
