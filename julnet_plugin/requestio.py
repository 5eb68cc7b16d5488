"""A redub request as JSON: what hosts send to the worker and farms keep in files."""

from __future__ import annotations

import difflib
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import SettingsError
from julnet_plugin.types import RedubRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATHS = ("plate", "dub", "take_dir")
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(_PATHS, ((str,), "a path")),
    **dict.fromkeys(("in_point", "out_point"), ((str, type(None)), "a timecode, a frame or seconds, as text")),
    **dict.fromkeys(("face", "model", "refs", "device"), ((str,), "text")),
    "colour_space": ((str, type(None)), "text"),
    "dub_offset_s": ((int, float), "a number of seconds"),
    **dict.fromkeys(("dub_track", "seed"), ((int,), "a whole number")),
    "deliver": ((list, tuple), "a list of deliveries"),
    "consent": ((str, type(None)), "a path"),
    "resume": ((bool,), "true or false"),
    "settings": ((dict,), "an object of settings by dotted key"),
}


def request_to_json(request: RedubRequest) -> dict[str, Any]:
    """Plain JSON values of a request; only what differs from the defaults."""
    plain = {}
    for f in fields(RedubRequest):
        value = getattr(request, f.name)
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        if value != default:
            plain[f.name] = str(value) if isinstance(value, Path) else list(value) if f.name == "deliver" else value
    return plain


def request_from_json(values: Mapping[str, Any]) -> RedubRequest:
    """A request from plain JSON values.

    Raises:
        SettingsError: a field is unknown (the message names the nearest), missing, or of the wrong kind.
    """
    known = {f.name: f for f in fields(RedubRequest)}
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise SettingsError(f"a request has no field {name!r}; {advice}", key=str(name))
        kinds, needed = _KINDS[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise SettingsError(f"the request's {name} is {value!r}, but {needed} is needed", key=name)
    missing = [name for name in _PATHS if not values.get(name)]
    if missing:
        raise SettingsError(f"the request lacks {', '.join(missing)}", key=missing[0])
    paths = {name: Path(values[name]) for name in (*_PATHS, "consent") if values.get(name)}
    deliver = {"deliver": tuple(str(name) for name in values["deliver"])} if "deliver" in values else {}
    return RedubRequest(**{**values, **paths, **deliver})
