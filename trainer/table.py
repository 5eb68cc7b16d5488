"""The table of a dataset: every piece of footage, what became of it, and why."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from trainer import gates as g
from trainer.cutting import Row

NAME = "table.tsv"
_SHOWN = 25  #: rejected rows that are printed


def write_table(rows: Sequence[Row], folder: Path) -> Path:
    """Write `table.tsv`, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Row)], delimiter="\t", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: "" if v is None else v for k, v in asdict(row).items()})
    path = folder / NAME
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text.getvalue(), encoding="utf-8", errors="backslashreplace")  # names need not be UTF-8
    partial.replace(path)
    return path


def summary(rows: Sequence[Row]) -> str:
    """What a person wants to know of a dataset: how much of whom, and what was left out."""
    kept = [row for row in rows if row.verdict != g.REJECTED]
    rejected = [row for row in rows if row.verdict == g.REJECTED]
    lines = [f"{'split':<7}{'clips':>6}{'minutes':>9}{'speakers':>10}{'lips only':>11}"]
    for split in ("train", "val"):
        own = [row for row in kept if row.split == split]
        minutes = sum(row.seconds for row in own) / 60
        lips = sum(row.verdict == g.LIPS_ONLY for row in own)
        lines.append(f"{split:<7}{len(own):>6}{minutes:>9.1f}{len({row.speaker for row in own}):>10}{lips:>11}")
    shifted = [row for row in kept if row.offset_ms]
    if shifted:
        largest = max(shifted, key=lambda row: abs(row.offset_ms or 0.0))
        lines.append(f"sound moved in {len(shifted)} clips, by {largest.offset_ms:+.0f} ms at most ({largest.file})")
    if rejected:
        counts = Counter(row.reason for row in rejected).most_common()
        lines.append(f"left out {len(rejected)}: " + ", ".join(f"{reason} {count}" for reason, count in counts))
        lines += [f"  {row.reason:<20}{_printable(row.file)}: {row.detail}" for row in rejected[:_SHOWN]]
        if len(rejected) > _SHOWN:
            lines.append(f"  … and {len(rejected) - _SHOWN} more, all in {NAME}")
    return "\n".join(lines)


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
