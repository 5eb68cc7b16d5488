"""A project on disk: a folder with `timeline.otio`, saved atomically, with an autosave beside it for the next start.

::

    scene.julnet/
      timeline.otio    what was saved last
      autosave.otio    every edit since; gone after a save. Found on opening, it is what a crash left
      lock             the number of the process that has the project open; it is the system's lock on it that counts
      takes/           takes rendered in the project

Paths of media inside the folder are kept relative to it, others that can be reached from it too; so a project can move
together with its media.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from host_adapters.standalone.otio_read import ProjectError, from_otio, parse
from host_adapters.standalone.otio_write import to_otio
from host_adapters.standalone.project import Project, relink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TextIO

SUFFIX = ".julnet"
TIMELINE, AUTOSAVE, LOCK = "timeline.otio", "autosave.otio", "lock"
#: Media that lie so many folders above the project are named absolutely: they do not travel with it.
_MOST_UP = 3
_FAR = 1 << 20  #: behind what the lock file says, so that it can be read while it is locked (Windows)
_HELD: dict[Path, TextIO] = {}  # this process's locks
_MOST_BYTES = 64 * 1024 * 1024  #: of a project


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What opening a project gives."""

    project: Project
    folder: Path
    notes: tuple[str, ...] = ()  #: what the file holds and a project cannot carry
    recovered: bool = False  #: it is newer than what was saved: a crash left it


def is_project(path: Path) -> bool:
    """Whether a path is a project's folder, or the timeline in it. A take holds a timeline as well, and is none."""
    if ((path if path.is_dir() else path.parent) / "take.json").is_file():
        return False
    return (path / TIMELINE).is_file() or (path / AUTOSAVE).is_file() or path.name in (TIMELINE, AUTOSAVE)


def load(path: Path) -> Opened:
    """Open a project, with what an editor that crashed had not saved.

    A damaged autosave does not keep the saved project from opening, nor the other way round; it is said.

    Raises:
        ProjectError: it cannot be read, or a newer JULNet made it.
    """
    folder = path.parent if path.name in (TIMELINE, AUTOSAVE) else path
    saved, autosave = folder / TIMELINE, folder / AUTOSAVE
    if autosave.is_file():
        try:
            project, notes = _read(autosave)
        except ProjectError as exc:
            if not saved.is_file():
                raise
            project, notes = _read(saved)
            notes = [*notes, f"the autosave could not be read ({exc}); this is the project as it was saved"]
            return Opened(project=project, folder=folder, notes=tuple(notes))
        return Opened(project=project, folder=folder, notes=tuple(notes), recovered=True)
    project, notes = _read(saved)
    return Opened(project=project, folder=folder, notes=tuple(notes))


def load_file(path: Path) -> tuple[Project, list[str]]:
    """A project from another program's `.otio`; its media's paths become absolute.

    Raises:
        ProjectError: it cannot be read.
    """
    project, notes = _read(path)
    base = path.resolve().parent
    return _moved(project, lambda name: name if _is_absolute(name) else str(base / name)), notes


def save(project: Project, folder: Path) -> None:
    """Save a project and take its autosave away: first the one is whole on disk, then the other goes.

    Raises:
        ProjectError: it cannot be written; what was saved before is untouched.
    """
    _write(project, folder, TIMELINE)
    with contextlib.suppress(OSError):
        (folder / AUTOSAVE).unlink()


def autosave(project: Project, folder: Path) -> None:
    """Keep the state after an edit for the next start.

    Raises:
        ProjectError: it cannot be written.
    """
    _write(project, folder, AUTOSAVE)


def discard_autosave(folder: Path) -> None:
    """The user does not want what was not saved."""
    (folder / AUTOSAVE).unlink(missing_ok=True)


def moved_to(project: Project, old: Path | None, new: Path) -> Project:
    """The project with its paths as they are named from another folder (save as)."""
    return _moved(project, lambda name: stored_path(absolute_path(name, old), new))


def stored_path(path: Path, folder: Path | None) -> str:
    """How a project names a file: relative where both lie near each other, with forward slashes."""
    path = Path(os.path.abspath(path))
    if folder is None:
        return path.as_posix()
    base = Path(os.path.abspath(folder))
    try:
        relative = os.path.relpath(path, base)
    except ValueError:  # another drive
        return path.as_posix()
    up = Path(relative).parts.count("..")
    shared = len(Path(os.path.commonpath([path, base])).parts)
    return path.as_posix() if up > _MOST_UP or shared < 2 else Path(relative).as_posix()


def absolute_path(name: str, folder: Path | None) -> Path:
    """Where a file that a project names is."""
    if _is_absolute(name) or folder is None:
        return Path(name)
    return Path(os.path.normpath(folder / name))


def missing(project: Project, folder: Path | None) -> list[str]:
    """Media and takes that are not where the project says."""
    names = {item.media.path for item in project.media}
    names |= {take.folder for track in project.timeline.tracks for clip in track.clips for take in clip.takes}
    return sorted(name for name in names if not _exists(absolute_path(name, folder)))


def found_again(names: Iterable[str], picked: dict[str, Path], folder: Path | None) -> dict[str, str]:
    """Where other missing media are, from where the user found one: the same move of folders, or the same folder.

    Args:
        names: as the project names what is missing.
        picked: what the user chose, by the project's name of it.
        folder: the project's.

    Returns:
        New names of everything that was found.
    """
    result = {name: stored_path(path, folder) for name, path in picked.items()}
    for name in names:
        if name in result:
            continue
        old = absolute_path(name, folder)
        for picked_name, new in picked.items():
            before = absolute_path(picked_name, folder)
            candidates = [new.parent / old.name]
            with contextlib.suppress(ValueError):
                candidates.insert(0, new.parent / old.relative_to(before.parent))
            hit = next((path for path in candidates if _exists(path)), None)
            if hit is not None:
                result[name] = stored_path(hit, folder)
                break
    return result


def lock(folder: Path) -> int | None:
    """Take the project for this process.

    The operating system holds the lock and lets it go with the process, however that ends: the number of a process
    that is no more, and that another one has by now, keeps nobody out.

    Returns:
        None, or the process that has it already.
    """
    path = folder / LOCK
    while path not in _HELD:
        try:
            file = path.open("a+", encoding="ascii")
        except OSError:
            return None  # a folder that cannot be written can still be looked at
        if not _claimed(file):
            file.close()
            return lock_owner(folder)
        if _is_still(path, file):
            file.seek(0)
            file.truncate()
            file.write(str(os.getpid()))
            file.flush()
            _HELD[path] = file
        else:  # whoever had it took it away between our opening and our locking it
            file.close()
    return None


def lock_owner(folder: Path) -> int | None:
    """The process that has the project open: its number, 0 where that cannot be told; None where there is none."""
    path = folder / LOCK
    if path in _HELD:
        return os.getpid()
    try:
        with path.open("r+", encoding="ascii") as file:
            if _claimed(file):
                return None
            return int(file.read() or 0)
    except OSError:
        return None
    except ValueError:
        return 0


def unlock(folder: Path) -> None:
    """Let the project go."""
    file = _HELD.pop(folder / LOCK, None)
    if file is not None:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
        file.close()


def _claimed(file: TextIO) -> bool:
    """Lock an open file for this process, without waiting; False where another has it. Closing it lets it go."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_still(path: Path, file: TextIO) -> bool:
    """Whether an open file is the one that has this name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except OSError:
        return False


def left_behind(unsaved: Path) -> list[Path]:
    """Projects without a name that a crash left: in the user's folder for them, the newest first."""
    if not unsaved.is_dir():
        return []
    found = [path for path in unsaved.iterdir() if (path / AUTOSAVE).is_file() and lock_owner(path) is None]
    return sorted(found, key=lambda path: (path / AUTOSAVE).stat().st_mtime, reverse=True)


def write_text(text: str, path: Path) -> None:
    """Write a file so that what has its name is whole.

    Raises:
        ProjectError: it cannot be written; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")  # what a killed editor left of it is overwritten
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ProjectError(_refusal(path, exc)) from exc


def _write(project: Project, folder: Path, name: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ProjectError(_refusal(folder, exc)) from exc
    write_text(json.dumps(to_otio(project), indent=1, ensure_ascii=False), folder / name)


def _refusal(path: Path, exc: OSError) -> str:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full: {path.name} was not saved and the last save is untouched; free space, then save again"
        )
    if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path} cannot be written ({exc.strerror}); save the project to another folder"
    return f"{path} could not be written ({exc.strerror or exc}); save the project to another folder"


def _read(path: Path) -> tuple[Project, list[str]]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ProjectError(
                f"{path.name} is larger than {_MOST_BYTES >> 20} MiB, which no project is; check the file"
            )
        text = path.read_text("utf-8")
    except FileNotFoundError as exc:
        raise ProjectError(f"there is no project at {path}; choose a folder that holds {TIMELINE}") from exc
    except UnicodeDecodeError as exc:
        raise ProjectError(f"{path.name} is damaged: it is not text; open a backup or an export of it") from exc
    except OSError as exc:
        raise ProjectError(f"{path} cannot be read ({exc.strerror or exc}); check its permissions") from exc
    return from_otio(parse(text, path.name), path.name if path.name not in (TIMELINE, AUTOSAVE) else path.parent.name)


def _moved(project: Project, rename: Callable[[str], str]) -> Project:
    names = {item.media.path for item in project.media}
    for track in project.timeline.tracks:
        for clip in track.clips:
            names |= {clip.media.path, *(take.folder for take in clip.takes)}
    return relink(project, {name: rename(name) for name in names if name})


def _exists(path: Path) -> bool:
    """Whether a file, a folder or the first picture of a pattern is there."""
    if "%" not in path.name and "#" not in path.name:
        return path.exists()
    stem = path.name.partition("%")[0].partition("#")[0]
    return path.parent.is_dir() and any(other.name.startswith(stem) for other in path.parent.iterdir())


def _is_absolute(name: str) -> bool:
    return Path(name).is_absolute() or (len(name) > 2 and name[1] == ":")
