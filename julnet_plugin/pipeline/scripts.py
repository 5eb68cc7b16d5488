"""The files beside a take that other programs open: a Nuke script, a Fusion composition, a timeline."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from julnet_plugin.interchange.comp import comp_of
from julnet_plugin.interchange.fusion import fusion_comp
from julnet_plugin.interchange.nuke import nuke_script
from julnet_plugin.interchange.otio import timeline_text
from julnet_plugin.pipeline.workfolder import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NUKE, FUSION, TIMELINE = "comp.nk", "comp.comp", "timeline.otio"


def script_files(files: Mapping[str, str]) -> dict[str, str]:
    """Which scripts a take with these deliveries gets, by kind."""
    comps = {"nuke": NUKE, "fusion": FUSION} if "exr" in files else {}
    return {**comps, "otio": TIMELINE}


def write_scripts(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the scripts of a take; paths in them are relative to the take, which may be moved.

    Args:
        folder: laid out like the take.
        manifest: what `take.json` will say.
    """
    name = PurePath(manifest["inputs"]["plate"]["path"]).stem
    spec = comp_of(manifest, name)
    if spec is not None:
        write_text(folder / NUKE, nuke_script(spec))
        write_text(folder / FUSION, fusion_comp(spec))
    write_text(folder / TIMELINE, timeline_text(manifest, name))
