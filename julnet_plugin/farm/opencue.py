"""The same job for OpenCue: a script that launches it through `outline` (pyoutline), with the request beside it.

OpenCue asks for one command a frame, so a task is named by the first frame of its chunk; the steps and their commands
are those of the Open Job Description bundle. It knows no environment that outlives a frame: each frame loads the model
itself, which is why chunks may be worth enlarging (`--set render.chunk_frames=…`).
"""

from __future__ import annotations

import json
import pprint
from typing import TYPE_CHECKING

from julnet_plugin.farm.bundle import parameter_values, write_folder
from julnet_plugin.requestio import request_to_json

if TYPE_CHECKING:
    from pathlib import Path

    from julnet_plugin.farm.bundle import FarmOptions
    from julnet_plugin.types import FrameRange, RedubRequest

OUTLINE, REQUEST = "opencue_job.py", "request.json"

_SCRIPT = '''"""Launches a JULNet take on OpenCue: python {outline}   (needs opencue-pyoutline)."""

import os

import outline
from outline import cuerun
from outline.modules.shell import Shell, ShellCommand

JOB = {job}
REQUEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "{request}")


def build():
    """The job: track -> paint -> write -> assemble, one frame a chunk."""
    job = outline.Outline(JOB["name"], frame_range=JOB["frames"])
    before = None
    for step in JOB["steps"]:
        command = [JOB["command"], "farm", step["name"], REQUEST]
        common = {{"threads": 1.0, "memory": JOB["memory"], "timeout": JOB["timeout_min"]}}
        if step["gpus"]:
            common["gpus"] = step["gpus"]
        if step["chunked"]:
            layer = Shell(step["name"], command=[*command, "--frames=%{{FRAME}}"], range=JOB["frames"], **common)
        else:
            layer = ShellCommand(step["name"], command=command, **common)
        if before is not None:
            layer.depend_all(before)
        job.add_layer(layer)
        before = layer
    return job


if __name__ == "__main__":
    cuerun.launch(build(), maxretries=JOB["retries"])
'''


def write_outline(
    folder: Path, request: RedubRequest, frames: FrameRange, chunk: int, options: FarmOptions
) -> list[Path]:
    """Write the script and the request of one take.

    Raises:
        TakeError: the folder holds other files.
        SettingsError: an option is out of range.
    """
    options.check()
    gpus = options.gpus if options.gpus is not None else int(request.device.startswith("cuda"))
    job = {
        "name": "".join(c if c.isalnum() else "_" for c in f"julnet_{request.take_dir.name}")[:60],
        "frames": f"{frames.start}-{frames.stop - 1}x{chunk}",
        "command": options.command,
        "memory": f"{max(1, options.memory_mib // 1024)}g",
        "timeout_min": max(1, options.timeout_s // 60),
        "retries": options.retries,
        "steps": [
            {"name": "track", "chunked": False, "gpus": gpus},
            {"name": "paint", "chunked": True, "gpus": gpus},
            {"name": "write", "chunked": True, "gpus": 0},
            {"name": "assemble", "chunked": False, "gpus": gpus},
        ],
    }
    paths = parameter_values(request, frames, options)
    values = {
        **request_to_json(request),
        "plate": paths["Plate"],
        "dub": paths["Dub"],
        "take_dir": paths["TakeDir"],
        "model": paths["Model"],
        **({"consent": paths["Consent"]} if "Consent" in paths else {}),
    }
    values.pop("resume", None)
    script = _SCRIPT.format(outline=OUTLINE, request=REQUEST, job=_literal(job))
    return write_folder(folder, {OUTLINE: script, REQUEST: json.dumps(values, indent=1) + "\n"})


def _literal(value: object) -> str:
    """A Python literal, one line an item: `repr` quotes whatever is in the user's texts."""
    return pprint.pformat(value, width=110, sort_dicts=False)
