"""Where Nuke looks for plug-ins, and what `julnet hosts install nuke` puts there.

Nuke runs `init.py` (always) and `menu.py` (with a window) of every folder on its plug-in path. JULNet has a folder of
its own in `.nuke`, and a block in `.nuke/init.py` that puts that folder on the path.
"""

from __future__ import annotations

from pathlib import Path

from host_adapters.install import InstallableHost, Machine, Part
from host_adapters.launcher import launcher

FOLDER = "julnet"

_BLOCK = """\
try:
    import nuke

    nuke.pluginAddPath({folder!r})
except Exception as exc:
    print("JULNet: %s; run `julnet hosts doctor`" % exc)"""


def parts(machine: Machine) -> list[Part]:
    """`init.py` and `menu.py` in a folder of their own, and the block that puts it on Nuke's path."""
    dot_nuke, config = machine.home / ".nuke", str(machine.config)
    folder = dot_nuke / FOLDER
    return [
        Part(folder / "init.py", launcher(host="nuke", config=config, module="nuke.menu", call="start_up_quietly()")),
        Part(folder / "menu.py", launcher(host="nuke", config=config, module="nuke.menu", call="start_up()")),
        Part(dot_nuke / "init.py", _BLOCK.format(folder=str(folder).replace("\\", "/")), block=True),
    ]


def application(machine: Machine) -> str:
    """Where the newest Nuke is installed."""
    if machine.windows:
        folder, pattern = Path(machine.environment.get("PROGRAMFILES", "C:/Program Files")), "Nuke1*"
    elif machine.system == "darwin":
        folder, pattern = Path("/Applications"), "Nuke1*"
    else:
        folder, pattern = Path("/usr/local"), "Nuke1*"
    found = sorted(folder.glob(pattern)) if folder.is_dir() else []
    return str(found[-1]) if found else ""


HOST = InstallableHost("nuke", "Nuke", parts, application)
