"""What became of each piece of footage, on disk, so that a later run keeps what is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.cutting import Row
from trainer.dataset import SUFFIX

RECORDS = "records"  #: folder inside the dataset's
ASIDE = ".set-aside"  #: replaces the suffix of a clip that is out of sync


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What became of one piece of footage."""

    source: str
    rows: list[Row]
    key: str = ""  #: of the source's bytes and of everything that decides what is cut from them; "" = try again
    source_hash: str = ""


def read_record(path: Path) -> Record | None:
    """A record; None where there is none, or one of another version."""
    values = read_json(path)
    try:
        return Record(**{**values, "rows": [Row(**row) for row in values["rows"]]}) if values else None
    except (TypeError, KeyError):
        return None


def write_record(path: Path, record: Record) -> None:
    """Write a record, whole or not at all."""
    write_json(path, asdict(record))


def is_there(folder: Path, row: Row) -> bool:
    """Whether the clip of a row is in the dataset, set aside or not; True for rows without one."""
    return not row.clip or (folder / row.clip).exists() or (folder / row.clip).with_suffix(ASIDE).exists()


def remove_clips(folder: Path, rows: Iterable[Row]) -> None:
    """Delete the clips of some rows."""
    for row in rows:
        if row.clip:
            (folder / row.clip).unlink(missing_ok=True)
            (folder / row.clip).with_suffix(ASIDE).unlink(missing_ok=True)


def give_back(folder: Path) -> None:
    """Make clips that were set aside part of the dataset again."""
    for path in sorted(folder.glob(f"*{ASIDE}")):
        path.replace(path.with_suffix(SUFFIX))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON object, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def digest(values: Any) -> str:
    """A short hash of plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:24]
