"""Lines to re-dub, from a CSV, JSON or OTIO file.

    CSV    a header with the names of request fields; `plate` and `dub` are needed, `name` is the take's folder
    JSON   [{"plate": …, "dub": …, …}, …], or {"defaults": {…}, "lines": […]}
    OTIO   every clip of the timeline whose metadata has julnet.dub; its source range is what is re-dubbed

Relative paths count from the file's own folder. A take goes into the batch's folder under the line's name, never
elsewhere. A line that cannot be understood is kept with the reason: it must not stop the others.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from julnet_plugin.errors import InputError, SettingsError
from julnet_plugin.requestio import request_from_json
from julnet_plugin.untrusted import read_json, read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from julnet_plugin.types import RedubRequest

_MOST_LINES = 100_000
_NAME = re.compile(r"[\w][\w .+-]{0,120}")
_NUMBERS = {"dub_offset_s": float, "dub_track": int, "seed": int}
_SHORT = {"in": "in_point", "out": "out_point", "dub_offset": "dub_offset_s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a batch.

    Attributes:
        number: counted from 1, as in the file.
        name: of its take.
        request: what to render; None where the line cannot be understood.
        problem: why, in one sentence.
    """

    number: int
    name: str
    request: RedubRequest | None
    problem: str = ""


def read_lines(path: Path, folder: Path, defaults: Mapping[str, Any]) -> list[Line]:
    """The lines of a file.

    Args:
        path: .csv, .json or .otio.
        folder: where the takes go.
        defaults: request fields for lines that do not say.

    Raises:
        SettingsError: the file itself cannot be used.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        rows = _from_csv(path)
    elif suffix == ".json":
        rows, own = _from_json(path)
        defaults = {**defaults, **own}
    elif suffix == ".otio":
        rows = _from_otio(path)
    else:
        raise SettingsError(f"{path} is no list of lines: give a .csv, .json or .otio file")
    if not rows:
        raise SettingsError(f"{path} holds no line to re-dub: see docs/batch.md for what it may hold")
    if len(rows) > _MOST_LINES:
        raise SettingsError(f"{path} holds {len(rows)} lines, and {_MOST_LINES} are the most: cut it into several")
    lines: list[Line] = []
    taken: set[str] = set()
    for number, row in enumerate(rows, 1):
        line = _line(number, row, path.absolute().parent, folder, defaults)
        if line.name.casefold() in taken:
            problem = f"another line is called {line.name} too: give each line its own name"
            line = Line(number=number, name=line.name, request=None, problem=problem)
        taken.add(line.name.casefold())
        lines.append(line)
    return lines


def _line(number: int, row: Any, base: Path, folder: Path, defaults: Mapping[str, Any]) -> Line:
    name = f"line_{number:04d}"
    try:
        if not isinstance(row, dict):
            raise SettingsError(f"line {number} is {type(row).__name__}, but an object of request fields is needed")
        values = {_SHORT.get(str(key), str(key)): value for key, value in {**defaults, **row}.items()}
        given = values.pop("name", None)
        if given is not None:
            if not isinstance(given, str) or not _NAME.fullmatch(given):
                raise SettingsError(f"line {number} is called {given!r}: use letters, digits, spaces, dots and dashes")
            name = given
        for key in ("take_dir", "resume"):
            if key in values:
                raise SettingsError(f"line {number} has {key}: takes go into the batch's folder, name them with name")
        for key in ("plate", "dub", "consent"):
            if values.get(key):
                values[key] = str(base / str(values[key]))
        values["take_dir"] = str(folder / name)
        values["resume"] = True
        return Line(number=number, name=name, request=request_from_json(values))
    except InputError as exc:
        return Line(number=number, name=name, request=None, problem=str(exc))


def _from_csv(path: Path) -> list[dict[str, Any]]:
    text = read_text(path, "a list of lines")
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        rows = [_row(row) for row in reader]
        names = [name.strip() for name in reader.fieldnames or ()]
    except csv.Error as exc:
        raise SettingsError(f"{path} is not CSV ({exc}): mend that line") from exc
    missing = [name for name in ("plate", "dub") if name not in names]
    if missing:
        raise SettingsError(f"{path} has no column {missing[0]}: its first line must name the columns plate and dub")
    return rows


def _row(row: dict[str | None, Any]) -> dict[str, Any]:
    """One CSV row: empty cells say nothing, numbers are numbers, deliveries are separated by spaces."""
    values: dict[str, Any] = {}
    for key, cell in row.items():
        if key is None:
            values["a cell without a column"] = cell
            continue
        name, text = _SHORT.get(key.strip(), key.strip()), (cell or "").strip()
        if not text:
            continue
        if name in _NUMBERS:
            try:
                values[name] = _NUMBERS[name](text)
            except ValueError:
                values[name] = text  # said by whoever needs a number
        else:
            values[name] = text.split() if name == "deliver" else text
    return values


def _from_json(path: Path) -> tuple[list[Any], dict[str, Any]]:
    value = read_json(path, "a list of lines")
    if isinstance(value, list):
        return value, {}
    if isinstance(value, dict) and isinstance(value.get("lines"), list):
        defaults = value.get("defaults", {})
        if isinstance(defaults, dict):
            return value["lines"], defaults
    raise SettingsError(f'{path} holds no lines: give a list of objects, or {{"defaults": {{…}}, "lines": […]}}')


def _from_otio(path: Path) -> list[dict[str, Any]]:
    """Clips with a dub. The library's own reader is used, and none of its plugins."""
    try:
        import opentimelineio as otio
    except ImportError as exc:
        raise SettingsError('reading .otio needs OpenTimelineIO: pip install "julnet[editor]"') from exc
    read_json(path, "a timeline")  # size, depth and text, before a C++ parser sees it
    try:
        timeline = otio.core.deserialize_json_from_string(read_text(path, "a timeline"))
        clips = list(timeline.find_clips())
    except Exception as exc:  # its bindings raise whatever their C++ does
        raise SettingsError(f"{path} is no timeline ({' '.join(str(exc).split())[:200]}): export it again") from exc
    return [row for clip in clips if (row := _clip(clip)) is not None]


def _clip(clip: Any) -> dict[str, Any] | None:
    """The request fields in one clip's metadata, with its media as plate and its source range as in and out."""
    own = clip.metadata.get("julnet")
    if own is None or "dub" not in own:
        return None
    row = {str(key): _plain(value) for key, value in own.items()}
    if clip.name and "name" not in row:
        row["name"] = clip.name
    url = str(getattr(clip.media_reference, "target_url", "") or "")
    row.setdefault("plate", unquote(urlparse(url).path) if url.startswith("file:") else url)
    span, there = clip.source_range, getattr(clip.media_reference, "available_range", None)
    if span is not None and "in_point" not in row and "out_point" not in row:
        offset = there.start_time if there is not None else type(span.start_time)(0, span.start_time.rate)
        first = (span.start_time - offset).to_frames()
        row |= {"in_point": str(first), "out_point": str(first + span.duration.to_frames())}
    return row


def _plain(value: Any) -> Any:
    """OTIO's containers as Python's."""
    if hasattr(value, "items"):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return [_plain(inner) for inner in value] if hasattr(value, "__iter__") else str(value)
