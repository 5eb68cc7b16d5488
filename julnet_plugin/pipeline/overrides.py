"""The override layer of a take: matte pixels that came back from another program, kept beside σ and never over it.

It lies in `data/override.ID/`, one small file a frame, and counts only while `take.json` names its ID, so that it is
there whole or not at all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from julnet_plugin.matte.overrides import MattePixels
from julnet_plugin.pipeline.cropdata import DATA, read_arrays, write_arrays
from julnet_plugin.types import Rect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_SPACES = ("plate", "crop")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameEdits:
    """What was set on one frame; on the plate's pixels, on the crop's, or on both."""

    plate: MattePixels | None = None
    crop: MattePixels | None = None


class Overrides:
    """The edited frames of a take, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.frames = frozenset(int(path.stem) for path in folder.glob("*.npz"))

    @classmethod
    def of(cls, take_dir: Path, manifest: Mapping[str, Any]) -> Overrides | None:
        """The override layer that `take.json` names; None where there is none."""
        said = manifest.get("override")
        return None if said is None else cls(take_dir / DATA / folder_name(str(said["id"])))

    def frame(self, frame: int) -> FrameEdits | None:
        """What was set on a plate frame."""
        if frame not in self.frames:
            return None
        path = self.folder / f"{frame:08d}.npz"
        return FrameEdits(plate=_read(path, "plate"), crop=_read(path, "crop"))


def folder_name(override_id: str) -> str:
    """The folder of an override layer inside `data/`."""
    return f"override.{override_id}"


def save_edits(folder: Path, frame: int, edits: FrameEdits) -> None:
    """Write one frame's edits."""
    arrays: dict[str, Any] = {}
    for space in _SPACES:
        pixels = getattr(edits, space) or _NOTHING
        rect = pixels.rect
        arrays[f"{space}_rect"] = np.array([rect.x0, rect.y0, rect.x1, rect.y1], np.int32)
        arrays[f"{space}_values"], arrays[f"{space}_edited"] = pixels.values, pixels.edited
    write_arrays(folder / f"{frame:08d}.npz", arrays)


def identity(files: Iterable[Path]) -> str:
    """A name for a layer, from what it holds."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _read(path: Path, space: str) -> MattePixels | None:
    names = tuple(f"{space}_{part}" for part in ("rect", "values", "edited"))
    rect, values, edited = (read_arrays(path, names)[name] for name in names)
    if not edited.size:
        return None
    x0, y0, x1, y1 = (int(v) for v in rect)
    return MattePixels(rect=Rect(x0=x0, y0=y0, x1=x1, y1=y1), values=values, edited=edited)


_NOTHING = MattePixels(
    rect=Rect(x0=0, y0=0, x1=0, y1=0), values=np.zeros((0, 0), np.float32), edited=np.zeros((0, 0), bool)
)
