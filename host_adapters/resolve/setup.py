r"""Where DaVinci Resolve looks for scripts, and what `julnet hosts install resolve` puts there.

Source:
    Resolve's scripting README, 7 October 2025. On Windows it writes %APPDATA%\Roaming, but %APPDATA% is that already.
"""

from __future__ import annotations

from pathlib import Path

from host_adapters.install import InstallableHost, Machine, Part, first_there
from host_adapters.launcher import launcher

_MAC = Path("Blackmagic Design") / "DaVinci Resolve"


def scripts_folder(machine: Machine) -> Path:
    """The user's own scripts; those in `Utility` are in Workspace > Scripts on every page."""
    if machine.windows:
        return machine.roaming / _MAC / "Support" / "Fusion" / "Scripts"
    if machine.system == "darwin":
        return machine.home / "Library" / "Application Support" / _MAC / "Fusion" / "Scripts"
    return machine.home / ".local" / "share" / "DaVinciResolve" / "Fusion" / "Scripts"


def parts(machine: Machine) -> list[Part]:
    """One file: the menu entry."""
    text = launcher(host="resolve", config=str(machine.config), module="resolve.menu", call="run(globals())")
    return [Part(scripts_folder(machine) / "Utility" / "JULNet.py", text)]


def application(machine: Machine) -> str:
    """Where Resolve is installed."""
    if machine.windows:
        programs = Path(machine.environment.get("PROGRAMFILES", "C:/Program Files"))
        return first_there([programs / "Blackmagic Design" / "DaVinci Resolve" / "Resolve.exe"])
    if machine.system == "darwin":
        return first_there([Path("/Applications/DaVinci Resolve/DaVinci Resolve.app")])
    return first_there([Path("/opt/resolve/bin/resolve"), Path("/home/resolve/bin/resolve")])


HOST = InstallableHost("resolve", "DaVinci Resolve", parts, application)
