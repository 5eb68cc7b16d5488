"""`strokes.json`: everything that a person decided about a take's matte, as one value.

The value is immutable: an edit makes a new one, undo puts the old one back. The file is plain JSON; `docs/matte.md`
describes it. A file of a newer minor version opens, and what it has that we do not know is written back untouched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from julnet_plugin.errors import SettingsError
from julnet_plugin.matte.jsonio import Reader, parse_object, read_object, shortened, write_object
from julnet_plugin.matte.settings import (
    Drive,
    FrameHold,
    MatteSettings,
    read_drive,
    read_holds,
    read_settings,
)
from julnet_plugin.matte.strokes import Stroke, read_stroke

SCHEMA = "julnet.matte"
MAJOR, MINOR = 1, 1
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.\d{1,4})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatteDocument:
    """Parameters, holds, strokes and what the matte drives."""

    settings: MatteSettings = field(default_factory=MatteSettings)
    drive: Drive = field(default_factory=Drive)
    holds: tuple[FrameHold, ...] = ()
    strokes: tuple[Stroke, ...] = ()  #: in the order they were painted
    minor: int = MINOR  #: of the file it came from
    extra: Mapping[str, Any] = field(default_factory=dict)  #: a newer version's fields, by section ("" = top level)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            **self.extra.get("", {}),
            "schema": SCHEMA,
            "version": f"{MAJOR}.{max(self.minor, MINOR)}",
            "settings": {**self.extra.get("settings", {}), **self.settings.to_json()},
            "drive": {**self.extra.get("drive", {}), **self.drive.to_json()},
            "holds": [{"start": h.start, "stop": h.stop, "source": h.source} for h in self.holds],
            "strokes": [stroke.to_json() for stroke in self.strokes],
        }


def load_document(path: Path) -> MatteDocument:
    """Read a document from a file.

    Raises:
        SettingsError: the file cannot be read, is no matte file, is of a newer major version, or holds an impossible
            value; one sentence says which.
    """
    return document_from_json(read_object(path), str(path))


def parse_document(text: str | bytes, where: str = "the matte file") -> MatteDocument:
    """Read a document from JSON text; see `load_document`."""
    return document_from_json(parse_object(text, where), where)


def save_document(path: Path, document: MatteDocument) -> None:
    """Write a document; the file on disk is always the old one or the new one, whole."""
    write_object(path, document.to_json())


def document_from_json(values: dict[str, Any], where: str) -> MatteDocument:
    """Read a document from a parsed JSON object; see `load_document`."""
    reader = Reader(values, where)
    schema = reader.text("schema", "")
    if schema != SCHEMA:
        msg = f"{where} is not a matte file: its schema is {shortened(schema)}, not {SCHEMA!r}; choose a strokes.json"
        raise SettingsError(msg, key="schema")
    minor = _minor(reader.text("version", f"{MAJOR}.{MINOR}"), where)
    settings, unknown_settings = read_settings(reader.section("settings"))
    drive_reader = reader.section("drive")
    drive = read_drive(drive_reader)
    holds = read_holds(reader.sections("holds"))
    strokes = _own_ids(read_stroke(item) for item in reader.sections("strokes"))
    sections = {"": reader.rest(), "settings": unknown_settings, "drive": drive_reader.rest()}
    return MatteDocument(
        settings=settings,
        drive=drive,
        holds=holds,
        strokes=strokes,
        minor=minor,
        extra={name: rest for name, rest in sections.items() if rest},
    )


def _own_ids(strokes: Iterable[Stroke]) -> tuple[Stroke, ...]:
    """Every stroke with an id of its own: hand-written files leave ids out or repeat them."""
    named: dict[str, Stroke] = {}
    for stroke in strokes:
        name, number = stroke.id, len(named)
        while not name or name in named:
            number += 1
            name = f"s{number}"
        named[name] = stroke if name == stroke.id else replace(stroke, id=name)
    return tuple(named.values())


def _minor(version: str, where: str) -> int:
    match = _VERSION.fullmatch(version)
    if match is None:
        msg = f"{where} has version {shortened(version)}, which is not a version; expected {MAJOR}.{MINOR}"
        raise SettingsError(msg, key="version")
    if int(match[1]) != MAJOR:
        msg = f"{where} is of version {version}, but {MAJOR} is needed; open it with the JULNet that wrote it"
        raise SettingsError(msg, key="version")
    return int(match[2])
