"""The models that can be chosen, and what their files say about themselves. Reads headers only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_HEADER = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One model of the list."""

    name: str  #: what a request calls it: a shipped name, or a path
    title: str
    about: str  #: scores and origin, for the tool tip
    references: int = 5  #: reference frames that it takes


def shipped() -> Path:
    """The folder of the weights that come with the program."""
    import julnet_plugin

    return Path(julnet_plugin.__file__).parent / "model" / "weights"


def list_models(folders: Iterable[Path], files: Iterable[Path] = ()) -> list[ModelEntry]:
    """Generators among the shipped weights, in some folders and among some files; what is none is left out."""
    entries = [_entry(path, path.stem) for path in sorted(shipped().glob("*.safetensors"))]
    found = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*.safetensors"))]
    entries += [_entry(path, str(path)) for path in dict.fromkeys([*found, *files])]
    return [entry for entry in entries if entry is not None]


def read_header(path: Path) -> dict[str, Any]:
    """What a weights file says about itself; empty where it is none of ours."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if 2 <= length <= _MOST_HEADER else {}
        text = header.get("__metadata__", {}).get("julnet", "")
        info = json.loads(text) if text else {}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
    return info if isinstance(info, dict) else {}


def _entry(path: Path, name: str) -> ModelEntry | None:
    info = read_header(path)
    if not info or info.get("kind", "generator") != "generator":
        return None
    lines = [f"{info.get('architecture', '?')}, {info.get('step', 0)} steps", str(path)]
    scores = info.get("scores") or {}
    lines += [f"{key.replace('_', ' ')}: {value:.4g}" for key, value in scores.items() if isinstance(value, float)]
    before, after = scores.get("heldout_psnr_before"), scores.get("heldout_psnr_after")
    gain = f"  (+{after - before:.1f} dB)" if isinstance(before, float) and isinstance(after, float) else ""
    count = info.get("n_refs")
    return ModelEntry(
        name=name,
        title=f"{info.get('name') or path.stem}{gain}",
        about="\n".join(lines),
        references=count if isinstance(count, int) else 5,
    )
