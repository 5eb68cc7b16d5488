"""What every benchmark does with its numbers: a table for people, JSON with machine and versions for machines."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGES = ("julnet", "numpy", "torch", "av", "opencv-contrib-python", "mediapipe")


@dataclass(frozen=True, slots=True)
class Measured:
    """One number."""

    name: str
    value: float
    unit: str
    note: str = ""
    spread: float | None = None  #: half the range between quartiles over the median; None where there is one value


def machine() -> dict[str, Any]:
    """What the numbers depend on; no host name."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def table(rows: Sequence[Measured]) -> str:
    """Rows as a Markdown table."""
    lines = ["| measured | value | unit | spread | |", "|---|---|---|---|---|"]
    for row in rows:
        spread = "" if row.spread is None else f"±{100 * row.spread:.0f} %"
        lines.append(f"| {row.name} | {row.value:.4g} | {row.unit} | {spread} | {row.note} |")
    return "\n".join(lines)


def report(benchmark: str, rows: Sequence[Measured], folder: Path, settings: Mapping[str, Any]) -> Path:
    """Print the table and write `NAME.json`; returns the file."""
    about = machine()
    print(f"{benchmark}: {about['cpu']}, {about['cores']} cores, load {about['load']} at the end\n\n{table(rows)}")
    values = [
        {
            "name": r.name,
            "value": float(f"{r.value:.6g}"),
            "unit": r.unit,
            "note": r.note,
            "spread": None if r.spread is None else float(f"{r.spread:.3g}"),
        }
        for r in rows
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{benchmark}.json"
    whole = {"benchmark": benchmark, "machine": about, "settings": dict(settings), "measured": values}
    path.write_text(json.dumps(whole, indent=1) + "\n", "utf-8")
    return path


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _cpu() -> str:
    """The processor's own name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
