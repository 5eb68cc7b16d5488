"""Which footage there is, whose it is, and which split it belongs to, before any of it is opened."""

from __future__ import annotations

import csv
import hashlib
import logging
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.dataset import DatasetError

log = logging.getLogger(__name__)

_MOVIE_KINDS = "3gp asf avi dv flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv"
MOVIES = frozenset(f".{kind}" for kind in _MOVIE_KINDS.split())
PICTURES = frozenset([".png", ".tif", ".tiff", ".dpx", ".exr", ".jpg", ".jpeg"])
#: Words for a split in an index, and what they mean: which split, and whether only lips are learnt from it.
SPLITS = {"train": ("train", False), "val": ("val", False), "pretrain": ("train", True), "lips": ("train", True)}

_NUMBERED = re.compile(r"(?P<stem>.*?[^\W\d_].*?)(?:[-_ .]+(?:take|clip|shot|scene|part)?[-_ .]*\d+)+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One piece of footage."""

    path: Path  #: a movie, or the folder of an image sequence
    name: str  #: what tables call it; no two sources of a run share it
    speaker: str
    split: str | None = None  #: where an index says so: "train" or "val"
    lips_only: bool = False  #: teaches sound to lip shape, no pictures are kept


def find_sources(footage: Sequence[Path], index: Path | None = None) -> list[Source]:
    """The movies and image sequences among files and folders.

    Args:
        footage: movies, and folders that are searched whole.
        index: TSV or CSV with a column `file` (relative to the index, or absolute), and `speaker` and `split` as far as
            known; split is train, val, or lips for footage whose pictures are not wanted. Footage that it does not
            name, or all without it, is of a speaker called like the folder inside the given one, or else like the file
            without its number.

    Returns:
        Sources in a steady order, each once.

    Raises:
        DatasetError: a path that does not exist, no footage at all, or an index that contradicts itself or names
            nothing of it.
    """
    known = read_index(index) if index is not None else {}
    found: dict[Path, Source] = {}
    for given in footage:
        if not given.exists():
            msg = f"there is no footage at {given}; check the path"
            raise DatasetError(msg, given)
        for path in _movies(given):
            found.setdefault(path.resolve(), _source(path, given, known))
    if not found:
        where = ", ".join(str(path) for path in footage)
        kinds = " ".join(sorted(suffix.lstrip(".") for suffix in MOVIES))
        msg = f"no movie was found in {where}; give movies, or folders that hold some ({kinds})"
        raise DatasetError(msg)
    if index is not None:
        _check_index(index, known.keys(), found.keys())
    return _named_apart(sorted(found.values(), key=lambda s: (s.name, str(s.path))))


def read_index(path: Path) -> dict[Path, tuple[str, str | None, bool]]:
    """Speaker, split and lips-only of every file that an index names.

    Raises:
        DatasetError: it cannot be read, lacks a column, or puts a speaker on both sides of the split.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not UTF-8 text"
        msg = f"the index {path} cannot be read ({reason}); give a TSV or CSV file"
        raise DatasetError(msg, path) from exc
    first = text.partition("\n")[0]
    try:
        rows = list(csv.DictReader(text.splitlines(), delimiter="\t" if "\t" in first else ","))
    except csv.Error as exc:
        msg = f"the index {path} is no table ({exc}); give a TSV or CSV file"
        raise DatasetError(msg, path) from exc
    if not rows or "file" not in rows[0]:
        msg = f"the index {path} has no column 'file'; its first line must name the columns file, speaker, split"
        raise DatasetError(msg, path)
    known: dict[Path, tuple[str, str | None, bool]] = {}
    sides: dict[str, set[str]] = {}
    for row in rows:
        file = Path(row["file"] or "")
        speaker = (row.get("speaker") or "").strip() or speaker_of(file)
        split, lips_only = _split(row.get("split"), path, file)
        known[(path.parent / file).resolve()] = (speaker, split, lips_only)
        if split is not None:
            sides.setdefault(speaker, set()).add(split)
    torn = sorted(speaker for speaker, splits in sides.items() if len(splits) > 1)
    if torn:
        msg = f"the index {path} puts {torn[0]!r} in train and in val; a speaker must be on one side only"
        raise DatasetError(msg, path)
    return known


def speaker_of(file: Path) -> str:
    """The speaker that a file's name stands for: "alice_02.mov" and "alice take 3.mp4" are both alice."""
    match = _NUMBERED.fullmatch(file.stem)
    return match["stem"] if match else file.stem


def file_name(name: str) -> str:
    """A source's name as part of a file name: safe, and short enough with what is added to it."""
    safe = re.sub(r'[\\/:*?"<>|\x00-\x1f]+', "__", name).strip(". ") or "clip"
    if len(safe.encode("utf-8", "surrogateescape")) <= 150:
        return safe
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:10]
    kept = safe.encode("utf-8", "surrogateescape")[:130].decode("utf-8", "ignore")
    return f"{kept}~{digest}"


def _check_index(index: Path, named: Collection[Path], found: Collection[Path]) -> None:
    """An index that was copied away from its footage names none of it, and held-out speakers would be learnt from."""
    unnamed = [path for path in found if path not in named]
    if len(unnamed) == len(found):
        example = next(iter(named))
        msg = (
            f"the index {index} names none of the footage: its paths count from its own folder, and its first one "
            f"leads to {example}; keep the index where its paths are right, or write absolute ones"
        )
        raise DatasetError(msg, index)
    if unnamed:
        log.warning(
            "the index %s does not name %d of %d pieces of footage, %s the first: speakers go by file name there, and "
            "are learnt from where the index holds out others",
            index,
            len(unnamed),
            len(found),
            min(unnamed),
        )


def _movies(given: Path) -> Iterator[Path]:
    """A file itself, whatever it is called; in a folder, what looks like a movie or an image sequence."""
    if given.is_file():
        yield given
        return
    pictures: Counter[Path] = Counter()
    for path in sorted(given.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(given).parts):
            continue
        suffix = path.suffix.lower()
        if suffix in PICTURES:
            pictures[path.parent] += 1
        elif suffix in MOVIES and (path.is_file() or (path.is_symlink() and not path.exists())):
            yield path  # a link that leads nowhere, too: the table says so
    yield from (folder for folder, count in sorted(pictures.items()) if count > 1)


def _source(path: Path, given: Path, known: Mapping[Path, tuple[str, str | None, bool]]) -> Source:
    inside = path.relative_to(given) if path != given and given.is_dir() else Path(path.name)
    entry = known.get(path.resolve())
    if entry is not None:
        speaker, split, lips_only = entry
        return Source(path=path, name=inside.as_posix(), speaker=speaker, split=split, lips_only=lips_only)
    speaker = inside.parts[0] if len(inside.parts) > 1 else speaker_of(inside)
    return Source(path=path, name=inside.as_posix(), speaker=speaker)


def _named_apart(sources: list[Source]) -> list[Source]:
    """Give sources of one name, from different folders, names of their own that do not depend on the others."""
    counts = Counter(file_name(source.name) for source in sources)
    return [
        replace(source, name=f"{source.name}~{_digest(source.path)}") if counts[file_name(source.name)] > 1 else source
        for source in sources
    ]


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:6]


def _split(text: str | None, index: Path, file: Path) -> tuple[str | None, bool]:
    word = (text or "").strip().lower()
    if not word:
        return None, False
    if word not in SPLITS:
        msg = f"the index {index} gives {file} the split {word!r}; it must be one of {', '.join(SPLITS)}, or empty"
        raise DatasetError(msg, index)
    return SPLITS[word]
