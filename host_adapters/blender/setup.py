"""Where Blender looks for extensions, and what `julnet hosts install blender` puts there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from host_adapters.blender.package import files, write_zip
from host_adapters.install import InstallableHost, InstallError, Machine, Part, first_there

OLDEST, NEWEST = (4, 2), (4, 5)
_FOLDER = ("extensions", "user_default", "julnet")


def parts(machine: Machine) -> list[Part]:
    """The extension, for every Blender from 4.2 on that has been started on this account; for 4.5 where none has."""
    versions = _versions(settings_folder(machine)) or [settings_folder(machine) / "4.5"]
    return [
        Part(version.joinpath(*_FOLDER, name), text) for version in versions for name, text in sorted(files().items())
    ]


def settings_folder(machine: Machine) -> Path:
    """Where Blender keeps a folder for each of its versions."""
    if machine.windows:
        return machine.roaming / "Blender Foundation" / "Blender"
    if machine.system == "darwin":
        return machine.home / "Library" / "Application Support" / "Blender"
    named = machine.environment.get("XDG_CONFIG_HOME")
    return (Path(named) if named else machine.home / ".config") / "blender"


def application(machine: Machine) -> str:
    """Where Blender is installed."""
    if machine.windows:
        programs = Path(machine.environment.get("PROGRAMFILES", "C:/Program Files")) / "Blender Foundation"
        found = sorted(programs.glob("Blender 4.*")) if programs.is_dir() else []
        return str(found[-1]) if found else ""
    if machine.system == "darwin":
        return first_there([Path("/Applications/Blender.app")])
    return first_there([Path("/usr/bin/blender"), Path("/usr/local/bin/blender"), Path("/snap/bin/blender")])


def _versions(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    numbered = [(path, re.fullmatch(r"(\d+)\.(\d+)", path.name)) for path in sorted(folder.iterdir()) if path.is_dir()]
    return [path for path, match in numbered if match and OLDEST <= (int(match[1]), int(match[2])) <= NEWEST]


@dataclass
class BlenderHost(InstallableHost):
    """Blender, which also installs extensions from a zip, on any machine."""

    def write_zip(self, path: Path) -> Path:
        """Write the extension for Edit ▸ Preferences ▸ Get Extensions ▸ Install from Disk.

        Raises:
            InstallError: it cannot be written.
        """
        try:
            return write_zip(path)
        except OSError as exc:
            raise InstallError(f"{path} cannot be written ({exc.strerror}): choose another place") from exc


HOST = BlenderHost("blender", "Blender", parts, application)
