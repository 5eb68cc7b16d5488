"""What another take of the same plate or dub will need again: kept on this machine, by content.

An entry is a folder of files with the hash of each, named by a hash of everything that decides them: it is found again
by what it is made from, never by a path or a date, and a take is the same to the byte with and without it. Entries
appear whole (a rename), are copied out before they are used, and checked on the way: several processes may share a
cache, and a damaged entry is a miss that is made anew. The ones not used for longest go when there are too many.

`JULNET_CACHE` names another folder, or is "off"; `JULNET_CACHE_GB` is the most that it may hold.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import julnet_plugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

log = logging.getLogger(__name__)

FOLDER_VARIABLE, LIMIT_VARIABLE = "JULNET_CACHE", "JULNET_CACHE_GB"
_LIMIT_GB = 4.0
_LISTING = "entry.json"
_LARGEST = 0.5  #: share of the limit above which an entry is not worth keeping
_STALE_S = 24 * 3600.0  #: an unfinished entry older than this was left by a process that died
_BLOCK = 1 << 20
_SOURCES = (".py", ".safetensors", ".npy", ".npz")  #: of ours: code, weights, tables


@dataclass(frozen=True, slots=True)
class Cache:
    """Entries under one folder.

    No method raises because of the disk: a cache that cannot be read or written only makes nothing quicker.

    Args:
        folder: created when something is stored; None keeps nothing.
        limit: bytes.
    """

    folder: Path | None
    limit: float = _LIMIT_GB * 1e9

    def fetch(self, kind: str, key: Mapping[str, object], target: Path) -> bool:
        """Copy an entry's files into a new folder `target`, whole or not at all; False where there is no such entry."""
        if self.folder is None:
            return False
        entry = self.folder / _name(kind, key)
        part = target.with_name(f"{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            listing = json.loads((entry / _LISTING).read_text("utf-8"))
            part.mkdir(parents=True)
            for name, digest in listing["files"].items():
                if _copied(entry / name, part / name) != digest:
                    raise ValueError(name)  # noqa: TRY301 - told apart from a disk that fails
            part.replace(target)
            _touch(entry / _LISTING)
        except FileNotFoundError:  # never stored, or another process made room meanwhile
            return False
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            log.debug("the cached %s is damaged and made anew: %s", entry.name, exc)
            _remove(entry)
            return False
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return True

    def store(self, kind: str, key: Mapping[str, object], files: Iterable[Path]) -> None:
        """Keep copies of some files as an entry, unless it is there already; then make room."""
        if self.folder is None:
            return
        files = list(files)
        entry = self.folder / _name(kind, key)
        part = self.folder / f".{entry.name}.{uuid.uuid4().hex}"
        try:
            size = sum(path.stat().st_size for path in files)
            if entry.exists() or size > _LARGEST * self.limit:
                return
            part.mkdir(parents=True)
            hashes = {path.name: _copied(path, part / path.name) for path in files}
            listing = {"kind": kind, "bytes": size, "files": hashes, "made_from": dict(key)}
            (part / _LISTING).write_text(json.dumps(listing, indent=1), "utf-8")
            _touch(part / _LISTING)
            part.rename(entry)
        except OSError as exc:  # a full disk, a folder that may not be written to, or the same entry from elsewhere
            log.debug("%s is not cached: %s", entry.name, exc)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        self.trim()

    def made(self, kind: str, key: Mapping[str, object], path: Path, make: Callable[[], object]) -> None:
        """Have one file: the one that is there, else the entry's, else what `make` writes, which is then kept."""
        if path.exists():
            return
        fetched = path.with_name(f".{path.name}.cached")
        if self.fetch(kind, key, fetched):
            (fetched / path.name).replace(path)
            shutil.rmtree(fetched, ignore_errors=True)
            return
        make()
        self.store(kind, key, [path])

    def trim(self) -> None:
        """Remove the entries that were used longest ago until the rest fits, and what dead processes left."""
        if self.folder is None:
            return
        entries: list[tuple[float, int, Path]] = []
        now = time.time()
        for path in _folders(self.folder):
            try:
                if path.name.startswith("."):
                    if now - path.stat().st_mtime > _STALE_S:
                        _remove(path)
                    continue
                size = int(json.loads((path / _LISTING).read_text("utf-8"))["bytes"])
                entries.append(((path / _LISTING).stat().st_mtime, size, path))
            except FileNotFoundError:
                continue  # another process removed it
            except (OSError, ValueError, KeyError, TypeError):
                _remove(path)
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.limit:
                break
            _remove(path)
            total -= size


def open_cache() -> Cache:
    """This machine's cache, as the environment wants it."""
    from julnet_plugin.provenance.home import home

    named = os.environ.get(FOLDER_VARIABLE, "")
    if named.lower() == "off":
        return Cache(None)
    try:
        limit_gb = float(os.environ.get(LIMIT_VARIABLE) or _LIMIT_GB)
    except ValueError:
        log.warning(
            "%s is %r, but a number is needed: %g is used", LIMIT_VARIABLE, os.environ[LIMIT_VARIABLE], _LIMIT_GB
        )
        limit_gb = _LIMIT_GB
    return Cache(Path(named) if named else home() / "cache", limit_gb * 1e9)


@functools.lru_cache(maxsize=1)
def makers() -> dict[str, str]:
    """What every entry depends on besides its inputs: our code and weights, libraries, and the processor."""
    import cv2

    root = Path(julnet_plugin.__file__).parent
    sources = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.suffix in _SOURCES):
        state = path.stat()
        sources.update(f"{path.relative_to(root)} {state.st_size} {state.st_mtime_ns}\n".encode())
    libraries = ("numpy", "scipy", "opencv-contrib-python", "mediapipe", "av", "pocketsphinx", "torch")
    return {
        "julnet": f"{julnet_plugin.__version__} {sources.hexdigest()}",
        "libraries": " ".join(f"{name} {_version(name)}" for name in libraries),
        "processor": f"{platform.machine()} {cv2.getCPUFeaturesLine()}",
        "ocio": os.environ.get("OCIO", ""),
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def built_in(plugin: object) -> bool:
    """Whether a plugin is ours, so that `makers` tells when it changes."""
    return type(plugin).__module__.partition(".")[0] == julnet_plugin.__name__


def _name(kind: str, key: Mapping[str, object]) -> str:
    text = json.dumps({**makers(), **key}, sort_keys=True, allow_nan=False)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def _copied(source: Path, target: Path) -> str:
    """Copy a file and return the hash of its bytes."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(_BLOCK):
            digest.update(block)
            writing.write(block)
    return digest.hexdigest()


def _touch(path: Path) -> None:
    """Note that a file was used now, to the nanosecond: a file system's own clock ticks in milliseconds."""
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []


def _remove(entry: Path) -> None:
    """Take an entry away at once, so that nobody finds half of it."""
    gone = entry.with_name(f".gone.{uuid.uuid4().hex}")
    try:
        entry.rename(gone)
    except OSError:
        return
    shutil.rmtree(gone, ignore_errors=True)
