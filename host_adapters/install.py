"""Putting a host's client where the host looks for it, and taking it away without a trace.

What is written is kept in `hosts.json` (`client_config`): files with nothing else in them are removed as a whole,
folders that were made for them go when they are empty, and a block in a file of the user's is cut out to the byte.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import host_adapters
from host_adapters import client_config
from julnet_plugin.errors import InputError

BEGIN = "# >>> julnet >>>"
END = "# <<< julnet <<<"

_NOT_THERE = (FileNotFoundError, NotADirectoryError)


class InstallError(InputError):
    """Something cannot be installed or removed; one sentence."""


@dataclass(frozen=True)
class Machine:
    """Where things lie on a computer; another one than this in tests."""

    system: str = sys.platform  #: as `sys.platform`
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    python: str = sys.executable

    @property
    def windows(self) -> bool:
        """Whether it is Windows."""
        return self.system.startswith("win")

    @property
    def home(self) -> Path:
        """The user's folder."""
        names = ("USERPROFILE", "HOME") if self.windows else ("HOME",)
        named = next((self.environment[name] for name in names if self.environment.get(name)), None)
        return Path(named) if named else Path.home()

    @property
    def roaming(self) -> Path:
        """Windows: %APPDATA%."""
        named = self.environment.get("APPDATA")
        return Path(named) if named else self.home / "AppData" / "Roaming"

    @property
    def config(self) -> Path:
        """Where `hosts.json` lies."""
        env = {"HOME": str(self.home), **self.environment}
        return Path(client_config.config_path(env, self.system))


@dataclass(frozen=True)
class Part:
    """One file of an installation: a whole file, or a block at the end of one that may be the user's."""

    path: Path
    text: str | bytes
    block: bool = False


class Installer:
    """Installs and removes the parts of hosts on one machine."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = machine or Machine()

    def installed(self, host: str) -> list[Path]:
        """The files of a host that were installed, whether or not they are still there."""
        return [Path(row["path"]) for row in self._record().get("installed", {}).get(host, {}).get("files", [])]

    def install(self, host: str, parts: Sequence[Part], dry_run: bool) -> list[Path]:
        """Write a host's parts; what an earlier installation wrote is replaced.

        Raises:
            InstallError: a file that JULNet did not write is in the way, or a folder cannot be written.
        """
        paths = [part.path for part in parts]
        ours = set(self.installed(host))
        for part in parts:
            if not part.block and part.path.exists() and part.path not in ours:
                raise InstallError(
                    f"{part.path} is there already and JULNet did not write it: move it away and try again"
                )
        if dry_run or not parts:
            return paths
        record = self._record()
        if ours:
            self._remove(host, record)
        made: list[str] = record.setdefault("folders", [])
        files: list[dict[str, Any]] = []
        record.setdefault("installed", {})[host] = {"files": files}
        for part in parts:
            _note_missing(part.path.parent, made)
            files.append({"path": str(part.path), "block": part.block, "made": not part.path.exists()})
        try:
            self._save(record)  # before anything is written: what a process that dies leaves is known to be ours
            for part in parts:
                part.path.parent.mkdir(parents=True, exist_ok=True)
                self._write(part)
        except OSError as exc:
            self._remove(host, record)
            with contextlib.suppress(OSError):
                self._save(record)
            raise InstallError(
                f"{exc.filename or parts[0].path} cannot be written ({exc.strerror}); nothing was installed"
            ) from exc
        return paths

    def uninstall(self, host: str, dry_run: bool) -> list[Path]:
        """Remove what `install` wrote, and folders that it made and that nobody else uses.

        Raises:
            InstallError: a file cannot be removed.
        """
        record = self._record()
        paths = [path for path in self.installed(host) if path.exists()]
        if not dry_run:
            try:
                self._remove(host, record)
                self._save(record)
            except OSError as exc:
                raise InstallError(
                    f"{exc.filename} cannot be removed ({exc.strerror}); close the host and try again"
                ) from exc
        return paths

    def _record(self) -> dict[str, Any]:
        try:
            record = json.loads(self.machine.config.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as exc:
            raise InstallError(f"{self.machine.config} cannot be read ({exc}): move it away and install again") from exc
        if not isinstance(record, dict) or record.get("schema") != client_config.SCHEMA:
            raise InstallError(f"{self.machine.config} is not what JULNet wrote: move it away and install again")
        return record

    def _save(self, record: dict[str, Any]) -> None:
        """Write `hosts.json`, or take it away with its folders when nothing is installed any more."""
        config = self.machine.config
        if not record.get("installed"):
            with contextlib.suppress(FileNotFoundError):
                config.unlink()
            _remove_folders(record.get("folders", []))
            return
        made = record["folders"]
        _note_missing(config.parent, made)
        config.parent.mkdir(parents=True, exist_ok=True)
        for left in config.parent.glob(f"{config.name}.*.tmp"):  # of a process that died while it wrote
            left.unlink(missing_ok=True)
        if str(config.parent) not in made and not any(config.parent.iterdir()):
            made.append(str(config.parent))  # it was made by such a process: nobody else has one of this name
        record.update(
            schema=client_config.SCHEMA,
            version=client_config.VERSION,
            python=self.machine.python,
            code=str(Path(host_adapters.__file__).parents[1]),
        )
        record["folders"].sort()
        fresh = config.with_name(f"{config.name}.{os.getpid()}.tmp")
        fresh.write_text(json.dumps(record, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
        fresh.replace(config)

    def _remove(self, host: str, record: dict[str, Any]) -> None:
        entry = record.get("installed", {}).pop(host, {"files": []})
        for row in reversed(entry["files"]):
            path = Path(row["path"])
            for left in path.parent.glob(f".{path.name}.*.tmp"):  # of a process that died while it wrote
                left.unlink(missing_ok=True)
            if row["block"]:
                _cut_block(path, made=row["made"])
            else:
                with contextlib.suppress(*_NOT_THERE):
                    path.unlink()
                _remove_compiled(path)
        _remove_folders(record.get("folders", []))

    def _write(self, part: Part) -> None:
        if part.block:
            assert isinstance(part.text, str)
            before = part.path.read_bytes() if part.path.exists() else b""
            gap = b"" if not before or before.endswith(b"\n") else b"\n"
            block = f"{BEGIN}\n{part.text.rstrip()}\n{END}{'' if not gap else ' '}\n"
            _replace(part.path, before + gap + block.encode())
        else:
            _replace(part.path, part.text.encode() if isinstance(part.text, str) else part.text)


def _note_missing(folder: Path, made: list[str]) -> None:
    """Add a folder and those above it that are not there yet, outermost first."""
    missing = [path for path in [folder, *folder.parents] if not path.exists()]
    made += [str(path) for path in reversed(missing) if str(path) not in made]


def _replace(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    fresh.write_bytes(data)
    fresh.replace(path)


def _cut_block(path: Path, *, made: bool) -> None:
    """Take JULNet's block out of a file of the user's; a file that held nothing else goes if JULNet made it."""
    try:
        text = path.read_bytes()
    except _NOT_THERE:
        return
    begin, end = BEGIN.encode() + b"\n", END.encode()
    start = text.find(begin)
    stop = text.find(end, start)
    if start < 0 or stop < 0:
        return
    tail = text[stop + len(end) :]
    joined = tail.startswith(b" \n")  # the file had no newline at its end, and gets back to that
    rest = tail[2:] if joined else tail[1:]
    kept = (text[: start - 1] if joined and not rest else text[:start]) + rest
    if kept or not made:
        _replace(path, kept)
    else:
        path.unlink()


def _remove_compiled(path: Path) -> None:
    """What a host's Python made of a module of ours."""
    cache = path.parent / "__pycache__"
    for compiled in cache.glob(f"{path.stem}.*.pyc"):
        compiled.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        cache.rmdir()


def _remove_folders(folders: list[str]) -> None:
    """Remove the folders of a list that are empty, innermost first, and take them off the list."""
    for folder in sorted(folders, key=len, reverse=True):
        with contextlib.suppress(OSError):  # something lies there
            Path(folder).rmdir()
        if not Path(folder).exists():
            folders.remove(folder)


@dataclass
class InstallableHost:
    """A host application that JULNet can put its client into; see `interfaces.HostEntry`."""

    name: str
    title: str
    parts: Callable[[Machine], Sequence[Part]]  #: what an installation writes on a machine
    application: Callable[[Machine], str]  #: where the application itself is, or ""
    machine: Machine | None = None  #: None = this one, as it is when something is asked

    @property
    def installer(self) -> Installer:
        """Of this machine."""
        return Installer(self.machine)

    def install(self, dry_run: bool) -> Sequence[Path]:
        """Write the client where the host looks for it; return the files."""
        installer = self.installer
        return installer.install(self.name, self.parts(installer.machine), dry_run)

    def uninstall(self, dry_run: bool) -> Sequence[Path]:
        """Remove what `install` wrote; return the files."""
        return self.installer.uninstall(self.name, dry_run)

    def check(self) -> str:
        """One line: installed or not, and where."""
        installer = self.installer
        found = self.application(installer.machine)
        where = f"{self.title} {'in ' + found if found else 'was not found on this machine'}"
        files = installer.installed(self.name)
        if not files:
            return f"client not installed; {where}"
        missing = [path for path in files if not path.exists()]
        if missing:
            return f"client damaged ({missing[0]} is gone: run `julnet hosts install {self.name}`); {where}"
        return f"client installed in {files[0].parent}; {where}"


def first_there(paths: Sequence[Path]) -> str:
    """The first of these that exists, or ""."""
    return next((str(path) for path in paths if path.exists()), "")
