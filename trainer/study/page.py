"""The blind page: one HTML file with every movie inside, and a key that stays with whoever runs the study."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from julnet_plugin.errors import InputError

TEMPLATE = Path(__file__).parent / "page.html"
SUFFIXES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm"}
CODECS = ("h264", "vp8", "vp9", "av1")  #: that browsers play
CRITERIA = {
    "quality": "Image quality",
    "realness": "Realness of the video",
    "sync": "Do lips and sound fit",
}  #: those of the paper
LARGEST_MB = 500  #: of movies in a page; browsers hold all of it in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What was written."""

    page: Path
    key: Path
    movies: int
    questions: int


def write_study(
    systems: Mapping[str, Path],
    output: Path,
    *,
    title: str = "Which looks real?",
    mos: bool = True,
    pairs: bool = True,
    seed: int = 0,
) -> Study:
    """Write the page and, beside it, `NAME.key.json`.

    Args:
        systems: name to folder; movies of one name belong together.
        output: the HTML file.
        title: at its top.
        mos: ask for opinion scores of every movie, 1 to 5.
        pairs: ask which of two movies of one name is better.
        seed: of the identifiers that hide who made what; the order is drawn anew for every participant.

    Raises:
        InputError: fewer than two systems for pairs, no movie that all systems have, or one that browsers cannot play.
    """
    clips = matched(systems)
    if pairs and len(systems) < 2:
        msg = "pairs need two systems or more; give another NAME=FOLDER, or --no-pairs"
        raise InputError(msg)
    weight = sum(path.stat().st_size for files in clips.values() for path in files.values()) / 1e6
    if weight > LARGEST_MB:
        msg = f"the movies weigh {weight:.0f} MB and a page holds {LARGEST_MB}; give fewer, shorter or smaller ones"
        raise InputError(msg)
    rng = np.random.default_rng(seed)
    identifiers = [f"{number:08x}" for number in rng.choice(1 << 32, len(clips) * len(systems), replace=False)]
    key: dict[str, dict[str, str]] = {}
    movies: dict[str, str] = {}
    by_place: dict[tuple[str, str], str] = {}
    for clip, files in clips.items():
        for system, path in files.items():
            check_playable(path)
            name = identifiers.pop()
            key[name] = {"system": system, "clip": clip}
            by_place[clip, system] = name
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            movies[name] = f"data:{SUFFIXES[path.suffix.lower()]};base64,{data}"
    order = list(key)
    rng.shuffle(order)
    asked: dict[str, list[Any]] = {
        "mos": order if mos else [],
        "ab": [[by_place[clip, a], by_place[clip, b]] for clip in clips for a, b in combinations(systems, 2)]
        if pairs
        else [],
    }
    identity = hashlib.sha256("".join(sorted(key)).encode()).hexdigest()[:12]
    content = {"study": identity, "title": title, "criteria": CRITERIA, "asked": asked}
    page = TEMPLATE.read_text("utf-8")
    page = page.replace("/*CONTENT*/null", _script(content)).replace(
        "/*MOVIES*/null", _script({m: movies[m] for m in order})
    )
    key_path = output.with_suffix(".key.json")
    output.parent.mkdir(parents=True, exist_ok=True)
    _write(output, page)
    _write(key_path, json.dumps({"study": identity, "movies": key}, indent=1, ensure_ascii=False) + "\n")
    return Study(page=output, key=key_path, movies=len(key), questions=len(asked["mos"]) + len(asked["ab"]))


def matched(systems: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    """Movie name to system to file, for the names that every system has.

    Raises:
        InputError: a folder is missing, or they have no name in common.
    """
    found: dict[str, dict[str, Path]] = {}
    for system, folder in systems.items():
        if not folder.is_dir():
            msg = f"{folder} of system {system!r} is not a folder; give NAME=FOLDER with the movies that it made"
            raise InputError(msg)
        found[system] = {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES}
    common = sorted(set.intersection(*(set(files) for files in found.values()))) if found else []
    if not common:
        counts = ", ".join(f"{system} {len(files)}" for system, files in found.items())
        msg = f"no movie name is in every folder ({counts}); call the movies of one clip the same in all of them"
        raise InputError(msg)
    return {clip: {system: files[clip] for system, files in found.items()} for clip in common}


def check_playable(path: Path) -> None:
    """Refuse what a browser would show as black.

    Raises:
        InputError: no movie, or a codec that browsers do not play.
    """
    import av

    try:
        with av.open(str(path)) as container:
            codec = container.streams.video[0].codec_context.name if container.streams.video else "no picture"
    except (av.FFmpegError, OSError) as exc:
        msg = f"{path} is not a movie, or it is damaged"
        raise InputError(msg) from exc
    if not any(known in codec for known in CODECS):
        msg = f"{path} holds {codec}, which browsers do not play; give H.264, as --deliver h264 writes it"
        raise InputError(msg)


def parse_systems(words: Sequence[str]) -> dict[str, Path]:
    """`NAME=FOLDER` words.

    Raises:
        InputError: a word of another form, or a name twice.
    """
    systems: dict[str, Path] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not (name and equals and folder):
            msg = f"a system is NAME=FOLDER, found {word!r}; for example julnet=takes/julnet"
            raise InputError(msg)
        if name in systems:
            msg = f"the system {name!r} is given twice; each needs its own name"
            raise InputError(msg)
        systems[name] = Path(folder)
    return systems


def _script(value: Any) -> str:
    """JSON that cannot end the script element that it stands in."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, "utf-8")
    partial.replace(path)
