"""What people note about a take, kept in its folder: a title, a rating, and which uncertain stretches were looked at.

`TAKE_DIR/review.json` is written whole or not at all. The model's own `take.json` is never touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import SettingsError
from julnet_plugin.matte.jsonio import Reader, read_object, write_object

if TYPE_CHECKING:
    from pathlib import Path

NOTES = "review.json"
SCHEMA = "julnet.review"
VERSION = "1.0"
MOST_STARS = 5

Stretch = tuple[int, int]  #: first frame, frame after the last


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeNotes:
    """What is noted about one take."""

    title: str = ""  #: what the user calls it; empty = the folder's name
    rating: int = 0  #: stars, 0 to 5
    seen: tuple[Stretch, ...] = ()  #: stretches that a person has looked at

    def has_seen(self, start: int, stop: int) -> bool:
        """Whether somebody looked at a stretch; one that only overlaps another one seen is not seen."""
        return (start, stop) in self.seen


def mark_seen(notes: TakeNotes, start: int, stop: int, *, seen: bool = True) -> TakeNotes:
    """Note that a stretch was looked at, or that it must be again."""
    kept = tuple(stretch for stretch in notes.seen if stretch != (start, stop))
    return replace(notes, seen=(*kept, (start, stop)) if seen else kept)


def rated(notes: TakeNotes, stars: int) -> TakeNotes:
    """Another rating."""
    return replace(notes, rating=min(max(stars, 0), MOST_STARS))


def load_notes(take_dir: Path) -> TakeNotes:
    """What is noted about a take; nothing where there is no file.

    Raises:
        SettingsError: the file is damaged.
    """
    path = take_dir / NOTES
    if not path.is_file():
        return TakeNotes()
    reader = Reader(read_object(path), str(path))
    if reader.text("schema", "") != SCHEMA:
        raise SettingsError(f"{path} is not a take's notes; remove it, or put the right file back", key="schema")
    rating = reader.frame("rating", 0)
    seen = [(item.frame("start"), item.frame("stop")) for item in reader.sections("seen")]
    return TakeNotes(title=reader.text("title", ""), rating=min(max(rating, 0), MOST_STARS), seen=tuple(seen))


def save_notes(take_dir: Path, notes: TakeNotes) -> None:
    """Keep the notes with the take.

    Raises:
        SettingsError: the folder cannot be written.
    """
    values: dict[str, Any] = {
        "schema": SCHEMA,
        "version": VERSION,
        "title": notes.title,
        "rating": notes.rating,
        "seen": [{"start": start, "stop": stop} for start, stop in notes.seen],
    }
    write_object(take_dir / NOTES, values)
