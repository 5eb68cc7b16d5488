r"""Where a host's client finds JULNet: a small file that `julnet hosts install` writes.

Standard library only and Python 3.7 syntax: this file is imported inside hosts.

The file is `hosts.json` in `$XDG_CONFIG_HOME/julnet` or `~/.config/julnet` (Linux), in `~/Library/Application
Support/JULNet` (macOS), in `%APPDATA%\JULNet` (Windows), or wherever `JULNET_HOSTS_CONFIG` says. It names the Python
that JULNet is installed in, and keeps what was installed into which host.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Mapping

SCHEMA = "julnet.hosts"
VERSION = 1
FILE = "hosts.json"
VARIABLE = "JULNET_HOSTS_CONFIG"
_AGAIN = "run `julnet hosts install` again"


class ConfigProblem(Exception):  # noqa: N818 - as base.HostProblem
    """JULNet cannot be found from here; one sentence."""


def config_path(environment: Mapping[str, str] | None = None, system: str = sys.platform) -> str:
    """Where the file lies on this machine.

    Args:
        environment: variables; None = this process's.
        system: as `sys.platform`.
    """
    env = os.environ if environment is None else environment
    if env.get(VARIABLE):
        return env[VARIABLE]
    return os.path.join(config_folder(env, system), FILE)


def config_folder(env: Mapping[str, str], system: str) -> str:
    """The folder of a program's settings, as each system has it."""
    home = env.get("HOME") or os.path.expanduser("~")
    if system.startswith("win"):
        home = env.get("USERPROFILE") or home
        return os.path.join(env.get("APPDATA") or os.path.join(home, "AppData", "Roaming"), "JULNet")
    if system == "darwin":
        return os.path.join(home, "Library", "Application Support", "JULNet")
    return os.path.join(env.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "julnet")


def read_config(path: str | None = None) -> dict[str, Any]:
    """Read the file.

    Raises:
        ConfigProblem: it is not there, damaged, of a newer JULNet, or names a Python that is gone.
    """
    path = config_path() if path is None else path
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except FileNotFoundError:
        raise ConfigProblem(
            f"JULNet is not installed for hosts on this account ({path} is missing): {_AGAIN}"
        ) from None
    except (OSError, ValueError, RecursionError) as exc:
        raise ConfigProblem(f"{path} cannot be read ({exc}): {_AGAIN}") from None
    if not isinstance(config, dict) or config.get("schema") != SCHEMA or not isinstance(config.get("python"), str):
        raise ConfigProblem(f"{path} is not what JULNet wrote: {_AGAIN}")
    if config.get("version") != VERSION:
        raise ConfigProblem(f"{path} is of version {config.get('version')} and {VERSION} is needed: {_AGAIN}")
    if not os.path.exists(config["python"]):
        raise ConfigProblem(f"JULNet's Python {config['python']} is gone, as after moving its folder: {_AGAIN}")
    return config


def worker_command(config: Mapping[str, Any]) -> list[str]:
    """How to start the worker that a config names."""
    return [str(config["python"]), "-m", "julnet_plugin", "worker"]


def worker_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's variables without those by which a host steers its own Python and libraries.

    A host that sets PYTHONHOME or a library path for itself would break the Python of another installation.
    """
    env = dict(os.environ if environment is None else environment)
    for name in list(env):
        upper = name.upper()
        if upper.startswith(("PYTHON", "QT_")) or upper in _HOST_ONLY:
            del env[name]
    if "LD_LIBRARY_PATH_ORIG" in env:
        env["LD_LIBRARY_PATH"] = env["LD_LIBRARY_PATH_ORIG"]
    env["PYTHONIOENCODING"] = "utf-8"
    return env


_HOST_ONLY = (
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "DYLD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
    "__PYVENV_LAUNCHER__",
    "VIRTUAL_ENV",
)
