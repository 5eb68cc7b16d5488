"""What the worker does for a host: one function a verb, from a request's values to the values of its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from julnet_plugin.errors import SettingsError
from julnet_plugin.requestio import request_from_json

if TYPE_CHECKING:
    from julnet_plugin.manager import Manager
    from julnet_plugin.types import Take


class JobView(Protocol):
    """What a verb sees of its job."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The request, as it came."""
        ...

    def progress(self, stage: str, done: int, total: int) -> None:
        """Report progress; raises `RedubCancelled` when the host wants it to stop."""
        ...


def redub(job: JobView, manager: Manager) -> dict[str, Any]:
    """`{"verb": "redub", "request": {…}}`: fields of `RedubRequest`."""
    return take_values(manager.redub_clip(request_from_json(_object(job, "request")), job.progress))


def matte(job: JobView, manager: Manager) -> dict[str, Any]:
    """`{"verb": "matte", "take": FOLDER, "settings": {…}, "strokes": FILE, …}`: what `julnet matte` does."""
    from julnet_plugin.pipeline.readback import ReadBack
    from julnet_plugin.recomp import rederive_matte

    settings = _object(job, "settings") if "settings" in job.values else {}
    strokes = _path(job, "strokes") if "strokes" in job.values else None
    given = job.values
    read_back = None
    if given.get("override") is not None:
        start, channel = given.get("override_start"), given.get("override_channel")
        if not isinstance(start, int | None) or isinstance(start, bool):
            raise SettingsError(f"override_start is {start!r}, but a plate frame is needed", key="override_start")
        if not isinstance(channel, str | None):
            raise SettingsError(f"override_channel is {channel!r}, but a name is needed", key="override_channel")
        read_back = ReadBack(path=_path(job, "override"), start=start, channel=channel)
    deliver = given.get("deliver", [])
    if not isinstance(deliver, list):
        raise SettingsError(f"deliver is {deliver!r}, but a list of names is needed", key="deliver")
    take = rederive_matte(
        _path(job, "take"),
        settings,
        job.progress,
        strokes,
        manager,
        deliver=[str(name) for name in deliver],
        read_back=read_back,
        drop_override=given.get("clear_override") is True,
    )
    return take_values(take)


def comp(job: JobView, manager: Manager) -> dict[str, Any]:
    """`{"verb": "comp", "take": FOLDER, "settings": {…}}`: what `julnet comp` does."""
    from julnet_plugin.recomp import recomposite

    settings = _object(job, "settings") if "settings" in job.values else {}
    return take_values(recomposite(_path(job, "take"), job.progress, manager, settings))


def probe(job: JobView, manager: Manager) -> dict[str, Any]:
    """`{"verb": "probe", "media": PATH, "rate": "25"}`: what `julnet probe --json --no-faces` says."""
    from julnet_plugin.media.probe import probe as probe_media
    from julnet_plugin.verbs.probe import describe, parse_rate

    rate = job.values.get("rate")
    return describe(probe_media(_path(job, "media"), parse_rate(None if rate is None else str(rate))))


def plugins(job: JobView, manager: Manager) -> dict[str, Any]:
    """`{"verb": "plugins"}`: what `julnet plugins --json` says."""
    from julnet_plugin.verbs.plugins import describe

    return {"plugins": describe(manager)}


def faces(job: JobView, manager: Manager) -> dict[str, Any]:
    """`{"verb": "faces", "media": PATH, "frame": N}`: the faces on one frame, the largest first.

    Each is its box `[x0, y0, x1, y1]` and the middle of its mouth `[x, y]`, in plate pixels: `"X,Y@N"` chooses it.
    """
    from julnet_plugin.preview import faces_on

    return {"faces": faces_on(_path(job, "media"), _whole(job, "frame"), manager)}


def preview(job: JobView, manager: Manager) -> dict[str, Any]:
    """`{"verb": "preview", "request": {…}, "frame": N, "picture": PNG, "rough": true}`: one frame as the take shows it.

    The result says in `rough` whether the picture is one that was made from a few frames only; ask again without it.
    With `"thumbnails": PNG` the references are written there too, side by side.
    """
    import numpy as np

    from julnet_plugin.preview import previews_of, write_picture

    request, frame = request_from_json(_object(job, "request")), _whole(job, "frame")
    made = previews_of(manager).frame(request, frame, job.progress, rough=job.values.get("rough") is True)
    write_picture(_path(job, "picture"), made.picture)
    if "thumbnails" in job.values and made.references:
        write_picture(_path(job, "thumbnails"), np.concatenate(made.thumbnails, axis=1))
    return {"frame": frame, "redubbed": made.redubbed, "references": list(made.references), "rough": made.rough}


def take_values(take: Take) -> dict[str, Any]:
    """A finished take as the fields of a "result" event."""
    warnings = [str(warning) for warning in take.manifest.get("warnings", [])]
    return {"take": str(take.path / "take.json"), "files": take.files, "warnings": warnings}


def _path(job: JobView, name: str) -> Path:
    value = job.values.get(name)
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{name} is {value!r}, but a path is needed", key=name)
    return Path(value)


def _whole(job: JobView, name: str) -> int:
    value = job.values.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise SettingsError(f"{name} is {value!r}, but a whole number is needed", key=name)
    return value


def _object(job: JobView, name: str) -> Mapping[str, Any]:
    value = job.values.get(name)
    if not isinstance(value, dict):
        raise SettingsError(f"{name} is {value!r}, but an object is needed", key=name)
    return value


JOBS: dict[str, Callable[[JobView, Manager], dict[str, Any]]] = {
    "redub": redub,
    "matte": matte,
    "comp": comp,
    "probe": probe,
    "plugins": plugins,
    "faces": faces,
    "preview": preview,
}
QUICK = frozenset({"probe", "plugins", "faces", "preview"})  #: verbs that need not wait for a render
