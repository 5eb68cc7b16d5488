"""Re-dub a Read of a script without a window: `nuke -t headless.py shot.nk Read1 line.wav out.nk`.

Exit codes are those of the `julnet` command: 0 done, 1 our failure, 2 something you can mend.
"""

from __future__ import annotations

import os
import sys
from typing import Any

OPTIONS = {
    "deliver": "KIND", "model": "NAME", "device": "DEVICE", "takes": "FOLDER", "face": "FACE", "offset": "SECONDS",
    "range": "FIRST-LAST", "handles": "FRAMES", "colour-space": "NAME",
}  # fmt: skip
USAGE = "headless.py SCRIPT READ DUB OUT " + " ".join(f"[--{name} {value}]" for name, value in OPTIONS.items())


def main(arguments: list[str], nuke: Any, client: Any = None) -> int:
    """Open a script, re-dub, save it under another name.

    Args:
        arguments: see `USAGE`.
        nuke: the module.
        client: the worker client; None = one for this JULNet.
    """
    from host_adapters.base import HostProblem
    from host_adapters.client_config import ConfigProblem
    from host_adapters.nuke.nodes import fitting, wait, worker
    from host_adapters.nuke.session import NukeSession
    from host_adapters.redub import Redub, Wishes

    plain, options = _split(arguments)
    if len(plain) != 4 or set(options) - set(OPTIONS):
        sys.stderr.write(f"usage: nuke -t {USAGE}\n")
        return 2
    script, read, dub, out = plain
    try:
        wishes = Wishes(
            dub=os.path.abspath(dub),
            deliver=tuple(options.get("deliver", "prores").split(",")),
            model=options.get("model", "rt"),
            device=options.get("device", "auto"),
            takes_folder=options.get("takes", ""),
            face=options.get("face", "auto"),
            offset_s=float(options.get("offset", "0")),
            handles=int(options.get("handles", "0")),
            colour_space=options.get("colour-space"),
        )
        first, last = (int(frame) for frame in options.get("range", "0-0").split("-"))
    except ValueError as exc:
        sys.stderr.write(f"{exc}; usage: nuke -t {USAGE}\n")
        return 2
    try:
        nuke.scriptOpen(script)
        session = NukeSession(nuke)
        clip = _named(session, read)
        clip = session.narrowed(clip, first, last) if "range" in options else clip
        redub = Redub(session, client or worker(), clip, fitting(wishes, clip))
        redub.start()
        status = wait(redub)
    except (HostProblem, ConfigProblem, RuntimeError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    sys.stderr.write(f"{status.sentence}\n")
    if status.state != "done":
        return 1
    nuke.scriptSaveAs(out, overwrite=1)
    return 0


def _named(session: Any, read: str) -> Any:
    """The clip of a Read, by its name."""
    from host_adapters.base import HostProblem

    clip = next((clip for clip in session.list_clips() if clip.id == read), None)
    if clip is None:
        raise HostProblem(f"the script has no Read called {read}: give the name of one")
    return clip


def _split(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    plain: list[str] = []
    options: dict[str, str] = {}
    rest = iter(arguments)
    for word in rest:
        if word.startswith("--"):
            options[word[2:]] = next(rest, "")
        else:
            plain.append(word)
    return plain, options


def _load_beside() -> None:
    """Make JULNet's host code importable without its environment, as the launchers do."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for name in ("host_adapters", "julnet_plugin"):
        if name not in sys.modules:
            module = type(sys)(name)
            module.__path__ = [os.path.join(root, name)]
            sys.modules[name] = module


if __name__ == "__main__":
    import nuke

    _load_beside()
    sys.exit(main(sys.argv[1:], nuke))
