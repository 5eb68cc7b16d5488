"""The editor in the desktop's menu: what `julnet hosts install editor` puts there.

On Linux a desktop entry and its icon, in the user's own folders: in an environment's `share` no desktop would see them.
Windows and macOS start the editor from a shell, or from a shortcut to the program that `check` names.
"""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

from host_adapters.install import InstallableHost, Machine, Part

_ENTRY, _ICON = "julnet-editor.desktop", "julnet-editor.svg"


def parts(machine: Machine) -> list[Part]:
    """The desktop entry and the icon; nothing where desktops have no such files."""
    if machine.windows or machine.system == "darwin":
        return []
    data = Path(machine.environment.get("XDG_DATA_HOME") or machine.home / ".local" / "share")
    folder = files("host_adapters.standalone") / "desktop"
    entry = (folder / _ENTRY).read_text("utf-8").replace("Exec=julnet-editor", f"Exec={_quoted(_program(machine))}")
    return [
        Part(data / "applications" / _ENTRY, entry),
        Part(data / "icons" / "hicolor" / "scalable" / "apps" / _ICON, (folder / _ICON).read_bytes()),
    ]


def application(machine: Machine) -> str:
    """Where the editor's program is."""
    program = _program(machine)
    return program if Path(program).exists() else shutil.which(program) or ""


def _program(machine: Machine) -> str:
    """The editor beside the Python that installs it: a menu knows no environment."""
    suffix = ".exe" if machine.windows else ""
    beside = Path(machine.python).with_name(f"julnet-editor{suffix}")
    return str(beside) if beside.exists() else beside.name


def _quoted(program: str) -> str:
    """A program as the desktop entry specification quotes it ("The Exec key")."""
    escaped = "".join(f"\\{letter}" if letter in '"`$\\' else letter for letter in program)
    return f'"{escaped}"'.replace("\\", "\\\\").replace("%", "%%")


HOST = InstallableHost("editor", "the editor", parts, application)
