"""Takes and their mattes for finishing: delivered by the worker where need be, and laid into a folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gui.redub.panel import free_folder
from host_adapters.standalone.storage import absolute_path
from julnet_plugin.errors import TakeError
from julnet_plugin.media.files import writing
from julnet_plugin.take import STROKES, load_take

if TYPE_CHECKING:
    from host_adapters.standalone.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeFormat:
    """What is delivered of every take."""

    title: str
    deliver: str  #: the delivery that makes it
    files: tuple[str, ...]  #: which of the take's files it is


TAKE_FORMATS = {
    "exr": TakeFormat(title="EXR: picture, σ, matte and coverage as layers", deliver="exr", files=("exr",)),
    "prores": TakeFormat(title="ProRes 422 HQ: picture, and matte", deliver="prores", files=("prores", "matte")),
    "prores4444": TakeFormat(title="ProRes 4444: picture with alpha, and matte", deliver="prores4444",
                             files=("prores4444", "matte")),
    "matte-exr": TakeFormat(title="EXR: matte alone", deliver="matte-exr", files=("matte-exr",)),
    "matte-prores4444": TakeFormat(title="ProRes 4444: matte alone", deliver="matte-prores4444",
                                   files=("matte-prores4444",)),
}  # fmt: skip


def shown_takes(project: Project, folder: Path | None) -> list[Path]:
    """The folders of the takes that the timeline shows, each once, in order."""
    clips = (clip for track in project.timeline.tracks if track.kind == "video" for clip in track.clips)
    found = (absolute_path(clip.take.folder, folder) for clip in clips if clip.take is not None)
    return list(dict.fromkeys(found))


def to_deliver(take: Path, form: TakeFormat) -> tuple[str, ...] | None:
    """What the worker has to deliver of a take first; None where its files are there and show its matte as it is now.

    Raises:
        TakeError: there is no take, or it is damaged.
    """
    from julnet_plugin.pipeline.hashing import file_hash

    found = load_take(take)
    if form.files[0] not in found.files:
        return (form.deliver,)
    strokes, made_from = take / STROKES, found.manifest.get("comp", {}).get("matte")
    return () if strokes.is_file() and made_from is not None and file_hash(strokes) != made_from else None


def copy_take(take: Path, form: TakeFormat, target: Path) -> Path:
    """Lay a take's files into a folder of its own in `target`: it appears whole, and nothing is overwritten.

    Returns:
        The new folder.

    Raises:
        TakeError: the take is damaged, or does not have the files.
        MediaError: they cannot be written.
    """
    found = load_take(take)
    named = {name: _files(take, found.files[name]) for name in form.files if name in found.files}
    paths = [path for files in named.values() for path in files]
    if not named.get(form.files[0]):
        raise TakeError(f"{take.name} has no {form.deliver} files; render or deliver it again", take)
    folder = free_folder(target, take.name)
    temporary = target / f".{folder.name}.tmp"
    try:
        with writing(folder):
            for path in paths:
                to = temporary / path.relative_to(take)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, to)
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _files(take: Path, name: str) -> list[Path]:
    """A movie, or the pictures of a sequence such as `exr/layers.######.exr`."""
    path = take / name
    if "#" not in path.name:
        return [path] if path.is_file() else []
    stem, _, rest = path.name.partition("#")
    return sorted(other for other in path.parent.glob(f"{stem}*") if other.name.endswith(rest.lstrip("#")))
