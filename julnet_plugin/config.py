"""Settings: every number that shapes a take and is not part of the request, with its default, unit and effect.

They come from a TOML file (`--settings FILE`), from `--set section.key=value`, or as `RedubRequest.settings`; the last
one wins. The reader is strict: an unknown key is refused with the nearest known one, a value with what it must be.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from julnet_plugin.errors import SettingsError
from julnet_plugin.matte.jsonio import Reader
from julnet_plugin.matte.settings import PARAMETERS, Drive, MatteSettings, check_name, read_drive, read_settings

_MOST_BYTES = 4 * 1024 * 1024  #: of a settings file


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceSettings:
    """How faces are found and followed."""

    tracker: str = "mediapipe"  #: name of the face tracker; `julnet plugins` lists them
    max_faces: int = 8  #: most faces that are followed at one time; more cost time
    min_mouth_px: float = 24.0  #: a mouth square smaller than this many plate pixels passes through untouched
    warn_mouth_px: float = 64.0  #: a mouth square smaller than this is re-dubbed, but the take warns of it
    max_yaw_deg: float = 60.0  #: a face turned further than this many degrees passes through untouched
    max_covered: float = 0.3  #: frames on which something lies over more of the mouth pass through; 1 = none do

    def __post_init__(self) -> None:
        _within("face.max_faces", self.max_faces, 1, 64)
        _within("face.min_mouth_px", self.min_mouth_px, 8, 4096)
        _within("face.warn_mouth_px", self.warn_mouth_px, 8, 4096)
        _within("face.max_yaw_deg", self.max_yaw_deg, 10, 90)
        _within("face.max_covered", self.max_covered, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthSettings:
    """How the new line is spoken."""

    habit: float = 1.0  #: share of the person's own way to hold the lips, known from the plate's speech, 0 to 1

    def __post_init__(self) -> None:
        _within("mouth.habit", self.habit, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeSettings:
    """How the generated crop is laid into the plate."""

    colour_match: float = 1.0  #: share of the colour difference at the rim that is taken out, 0 to 1
    grain: float = 1.0  #: share of the plate's measured noise that generated pixels get, 0 to 1
    st_map: bool = True  #: whether EXR deliveries carry the crop's coordinates

    def __post_init__(self) -> None:
        _within("compose.colour_match", self.colour_match, 0, 1)
        _within("compose.grain", self.grain, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSettings:
    """How the work is cut into pieces; what comes out does not depend on it, but for the last bit of a float."""

    chunk_frames: int = 48  #: frames between two points from which a broken render can resume
    batch: int = 8  #: frames that go through the network at once; more need more memory
    threads: int = 0  #: CPU threads of the network; 0 = as many as the machine has cores

    def __post_init__(self) -> None:
        _within("render.chunk_frames", self.chunk_frames, 1, 10_000)
        _within("render.batch", self.batch, 1, 1024)
        _within("render.threads", self.threads, 0, 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceSettings:
    """What the take's files say about where they come from; see docs/provenance.md."""

    #: content credentials in movies and stills: "auto" warns where they cannot be attached, "require" fails, "off"
    credentials: Literal["auto", "require", "off"] = "auto"
    require_consent: bool = False  #: refuse to render without a note of consent


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, by section."""

    face: FaceSettings = field(default_factory=FaceSettings)
    mouth: MouthSettings = field(default_factory=MouthSettings)
    compose: ComposeSettings = field(default_factory=ComposeSettings)
    render: RenderSettings = field(default_factory=RenderSettings)
    provenance: ProvenanceSettings = field(default_factory=ProvenanceSettings)
    matte: MatteSettings = field(default_factory=MatteSettings)  #: σ to matte; see docs/matte.md
    drive: Drive = field(default_factory=Drive)  #: what the matte does to the picture; see docs/matte.md


#: What `matte.settings.read_drive` knows.
_DRIVE_KEYS = ("mode", "amount", "reference_frame", "ranges")


def load_settings(overrides: Mapping[str, Any] | None = None, file: Path | None = None) -> Settings:
    """Settings from their defaults, a TOML file and overrides, each over the one before.

    Args:
        overrides: nested sections, dotted keys, or both: `{"matte": {"gamma": 2}}` is `{"matte.gamma": 2}`.
        file: a TOML file with the same sections.

    Raises:
        SettingsError: an unknown key (the message names the nearest one) or an impossible value.
    """
    values = flattened(read_toml(file)) if file else {}
    values.update(flattened(overrides or {}))
    return _build(values)


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as nested mappings.

    Raises:
        SettingsError: it isn't there or isn't TOML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise SettingsError(f"the settings file {path} is larger than 4 MiB, which settings never are: check it")
        return tomllib.loads(data.decode("utf-8"))
    except OSError as exc:
        message = f"the settings file {path} cannot be read ({exc.strerror or exc}): give an existing TOML file"
        raise SettingsError(message) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise SettingsError(f"the settings file {path} is not TOML ({exc}): mend that line") from exc


def parse_override(text: str) -> tuple[str, Any]:
    """One `--set key=value`: the value is TOML (`true`, `0.5`, `"text"`, `{keys=[…]}`); anything else is plain text.

    Raises:
        SettingsError: there is no `=`, or no such key.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key:
        raise SettingsError(f"--set takes key=value, found {text!r}; for example --set render.batch=4")
    check_key(key)
    if _text_only(key):
        return key, value.strip("\"'")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested sections as dotted keys. A keyframed parameter stays one value.

    Raises:
        SettingsError: a section is not a table.
    """
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if "." in name:
            section, _, key = name.partition(".")
            flat |= _in_section(section, {key: value})
        elif not isinstance(value, Mapping):
            if name in _sections():
                raise SettingsError(f"{name} is {value!r}, but it is a section: write {name}.KEY = VALUE", key=name)
            raise _unknown(name)
        else:
            flat.update(_in_section(name, value))
    return flat


def _in_section(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{section}.{name}"
        flat |= _in_section(key, value) if _is_operator(section, name, value) else {key: value}
    return flat


def _is_operator(section: str, name: str, value: object) -> bool:
    """Whether this is `[matte.weave]`, a plugin's operator, rather than a parameter with keyframes."""
    if section != "matte" or not isinstance(value, Mapping) or name in PARAMETERS:
        return False
    return not value.keys() & {"value", "keys"}


def known_keys() -> list[str]:
    """Every setting's dotted key, in the order of the sections."""
    own = [f"{section}.{f.name}" for section, kind in _sections().items() if _plain(kind) for f in fields(kind)]
    matte = [f"matte.{name}" for name in ("levels", *PARAMETERS)]
    return [*own, *matte, *(f"drive.{name}" for name in _DRIVE_KEYS)]


def check_key(key: str) -> None:
    """Refuse a key that no setting has.

    Raises:
        SettingsError: with the nearest key.
    """
    if key in known_keys():
        return
    if key.startswith("matte.") and key.count(".") > 1:  # belongs to a plugin's matte operator
        check_name(key.removeprefix("matte."))
        return
    raise _unknown(key)


def to_mapping(settings: Settings) -> dict[str, Any]:
    """Every setting as nested plain values, for `take.json`; `load_settings` of it gives an equal value."""
    plain = {
        name: {f.name: getattr(getattr(settings, name), f.name) for f in fields(kind)}
        for name, kind in _sections().items()
        if _plain(kind)
    }
    drive = {name: value for name, value in settings.drive.to_json().items() if value is not None}
    return {**plain, "matte": settings.matte.to_json(), "drive": drive}


def _build(flat: Mapping[str, Any]) -> Settings:
    by_section: dict[str, dict[str, Any]] = {name: {} for name in _sections()}
    for key, value in flat.items():
        check_key(key)
        section, _, name = key.partition(".")
        by_section[section][name] = value
    matte, _ = read_settings(Reader(by_section["matte"], "matte"))
    drive = read_drive(Reader(by_section["drive"], "drive"))
    own = {name: _section(name, kind, by_section[name]) for name, kind in _sections().items() if _plain(kind)}
    return Settings(matte=matte, drive=drive, **own)


def _section(section: str, kind: type, values: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    return kind(**{name: _value(f"{section}.{name}", hints[name], value) for name, value in values.items()})


def _value(key: str, kind: Any, value: Any) -> Any:
    """One value as the field's type; an int will do for a float, nothing else is converted."""
    if get_origin(kind) is Literal:
        if value in get_args(kind) and isinstance(value, str):
            return value
        needed = "one of " + ", ".join(get_args(kind))
    elif kind is float and isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    elif kind is not float and type(value) is kind:
        return value
    else:
        needed = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}[kind]
    raise SettingsError(f"{key} is {value!r}, but {needed} is needed", key=key)


def _within(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # NaN fails here too
        raise SettingsError(f"{key} is {value:g}, but it must lie between {low:g} and {high:g}", key=key)


def _unknown(key: str) -> SettingsError:
    section, _, name = key.partition(".")
    keys = known_keys()
    near = [k for k in keys if name and k.startswith(key)]
    near = near or difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    near = near or [k for k in keys if k.split(".")[1] == (name or section)]
    advice = f"did you mean {near[0]}?" if near else f"the sections are {', '.join(_sections())}"
    return SettingsError(f"unknown setting {key}; {advice}", key=key)


def _text_only(key: str) -> bool:
    section, _, name = key.partition(".")
    kind = _sections()[section]
    return _plain(kind) and _hints(kind)[name] is str


def _plain(kind: type) -> bool:
    return kind not in (MatteSettings, Drive)


@cache
def _sections() -> dict[str, type]:
    return dict(_hints(Settings))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
