"""Recipes: a training run as data.

A recipe is a TOML file with the sections `train`, `network`, `lips`, `sync`, `cover`, `data`, `loss` and `optim`, and a
list of stages. A stage takes its share of the budget and may change `data`, `loss` and `optim`; the next one goes on
with its averaged weights. What a recipe leaves out keeps its default, and `--set` is laid over everything.
"""

from __future__ import annotations

import difflib
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from julnet_plugin.config import read_toml
from julnet_plugin.errors import SettingsError
from trainer.config import (
    CoverTraining,
    DataSettings,
    LipTraining,
    LossSettings,
    OptimSettings,
    SyncTraining,
    TrainSettings,
)

RECIPES = Path(__file__).parent / "recipes"
_PARTS: dict[str, type] = {"data": DataSettings, "loss": LossSettings, "optim": OptimSettings}
_SECTIONS: dict[str, type] = {
    "train": TrainSettings,
    "lips": LipTraining,
    "sync": SyncTraining,
    "cover": CoverTraining,
    **_PARTS,
}
#: What may differ between a run and its resumption: how long, how fast, how often; not what is learnt.
FREE = ("train.minutes", "train.max_steps", "train.save_every_s", "train.threads", "train.device", "train.tensorboard")

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of a run with a curriculum of its own."""

    name: str
    share: float  #: of the whole budget
    changes: dict[str, Any] = field(default_factory=dict)  #: by dotted key, within data, loss and optim


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a run."""

    name: str
    description: str = ""
    licence: str = "unknown"  #: of the weights; the data decides it
    network: dict[str, object] = field(default_factory=dict)  #: fields of the architecture's configuration
    lips: LipTraining = field(default_factory=LipTraining)
    sync: SyncTraining = field(default_factory=SyncTraining)
    cover: CoverTraining = field(default_factory=CoverTraining)
    train: TrainSettings = field(default_factory=TrainSettings)
    stages: tuple[Stage, ...] = (Stage(name="train", share=1.0),)
    overrides: dict[str, Any] = field(default_factory=dict)  #: from the command line, laid over every stage

    def stage(self, index: int) -> TrainSettings:
        """The settings of one stage: the base, the stage's changes, then the command line's."""
        stage = self.stages[index]
        prefix = f"stage.{stage.name}."
        own = {k.removeprefix(prefix): v for k, v in self.overrides.items() if k.startswith(prefix)}
        shared = {k: v for k, v in self.overrides.items() if k.partition(".")[0] in _PARTS}
        changes = {**stage.changes, **shared, **own}
        parts = {name: _changed(getattr(self.train, name), name, changes) for name in _PARTS}
        total = sum(s.share for s in self.stages)
        return replace(
            self.train,
            minutes=self.train.minutes * stage.share / total,
            max_steps=max(1, round(self.train.max_steps * stage.share / total)) if self.train.max_steps else 0,
            **parts,
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values, for the run folder."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        name_or_path: a recipe that comes with the trainer, or a TOML file.
        overrides: `key=value`, the value in TOML; `stage.NAME.data.teacher=1` changes one stage only.

    Raises:
        SettingsError: no such recipe, an unknown key (the message names the nearest), an impossible value.
    """
    path = find_recipe(name_or_path)
    values = read_toml(path)
    for key in values:
        if key not in (*_SECTIONS, "network", "stage", "description", "licence"):
            raise _unknown(key)
    stages = tuple(_stage(entry, number) for number, entry in enumerate(values.get("stage", [])))
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        msg = f"{path.name} has two stages of one name; each stage needs its own"
        raise SettingsError(msg, key="stage")
    given = dict(parse_override(text, names) for text in overrides)
    network = {**_table(values, "network"), **_under("network", given)}
    base: dict[str, Any] = {name: _build(kind, name, _table(values, name)) for name, kind in _PARTS.items()}
    train = _build(TrainSettings, "train", {**_table(values, "train"), **_under("train", given)}, base)
    for name, part in base.items():
        train = replace(train, **{name: _changed(part, name, given)})
    recipe = Recipe(
        name=path.stem,
        description=_text(values, "description", ""),
        licence=_text(values, "licence", "unknown"),
        network=network,
        lips=_build(LipTraining, "lips", {**_table(values, "lips"), **_under("lips", given)}),
        sync=_build(SyncTraining, "sync", {**_table(values, "sync"), **_under("sync", given)}),
        cover=_build(CoverTraining, "cover", {**_table(values, "cover"), **_under("cover", given)}),
        train=train,
        stages=stages or (Stage(name="train", share=1.0),),
        overrides=given,
    )
    for index in range(len(recipe.stages)):
        recipe.stage(index)  # whatever is wrong with a stage is said now, not after hours
    return recipe


def find_recipe(name_or_path: str | Path) -> Path:
    """The file of a recipe.

    Raises:
        SettingsError: there is none; the message lists those that come with the trainer.
    """
    names = sorted(file.stem for file in RECIPES.glob("*.toml"))
    if str(name_or_path) in names:
        return RECIPES / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if path.is_file():
        return path
    near = difflib.get_close_matches(str(name_or_path), names, n=1)
    advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}; or give a TOML file"
    msg = f"there is no recipe {str(name_or_path)!r}; {advice}"
    raise SettingsError(msg, key="recipe")


def parse_override(text: str, stages: Sequence[str] = ()) -> tuple[str, Any]:
    """One `--set key=value`.

    Raises:
        SettingsError: there is no `=`, or no such key.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key:
        msg = f"--set takes key=value, found {text!r}; for example --set optim.learning_rate=1e-4"
        raise SettingsError(msg)
    checked = key
    if key.startswith("stage."):
        _, name, checked = (*key.split(".", 2), "", "")[:3]
        if name not in stages:
            msg = f"there is no stage {name!r} in this recipe; it has {', '.join(stages) or 'none'}"
            raise SettingsError(msg, key=key)
        if checked.partition(".")[0] not in _PARTS:
            raise _unknown(key)
    if not checked.startswith("network.") and checked not in known_keys():
        raise _unknown(key)
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Dotted keys of two recipes (`to_json`) that differ and may not, when a run is resumed."""
    a, b = _flat(old), _flat(new)
    changed = [key for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]
    free = (*FREE, *(f"overrides.{key}" for key in FREE), "description")
    # A name is told as the user writes it: what came by --set is compared there as well as where it ended up.
    return [key.removeprefix("overrides.") for key in changed if key not in free]


@cache
def known_keys() -> tuple[str, ...]:
    """Every key that a recipe may set, but for those of the network, which its architecture knows."""
    return tuple(
        f"{section}.{f.name}" for section, kind in _SECTIONS.items() for f in fields(kind) if f.name not in _PARTS
    )


def _stage(values: Any, number: int) -> Stage:
    if not isinstance(values, dict):
        msg = "stages are a list of tables: write [[stage]]"
        raise SettingsError(msg, key="stage")
    unknown = [key for key in values if key not in ("name", "share", *_PARTS)]
    if unknown:
        raise _unknown(f"stage.{unknown[0]}")
    changes: dict[str, Any] = {}
    for part, kind in _PARTS.items():
        table = _table(values, part)
        _build(kind, part, table)
        changes |= {f"{part}.{name}": value for name, value in table.items()}
    share = _value("stage.share", float, values.get("share", 1.0))
    if share <= 0:
        msg = f"stage.share is {share:g}, but it must be more than 0"
        raise SettingsError(msg, key="stage.share")
    return Stage(name=_text(values, "name", f"stage{number + 1}"), share=share, changes=changes)


def _changed(part: S, section: str, changes: Mapping[str, Any]) -> S:
    own = _under(section, changes)
    hints = get_type_hints(type(part))
    for name in own:
        if name not in hints:
            raise _unknown(f"{section}.{name}")
    checked = {name: _value(f"{section}.{name}", hints[name], value) for name, value in own.items()}
    return replace(part, **checked) if checked else part  # type: ignore[type-var]


def _build(kind: type[S], section: str, values: Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> S:
    hints = get_type_hints(kind)
    for name in values:
        if name not in hints or name in _PARTS:
            raise _unknown(f"{section}.{name}")
    checked = {name: _value(f"{section}.{name}", hints[name], value) for name, value in values.items()}
    return kind(**checked, **(extra or {}))


def _under(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    prefix = f"{section}."
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


def _table(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, dict):
        msg = f"{name} is {table!r}, but it is a section: write [{name}]"
        raise SettingsError(msg, key=name)
    return table


def _text(values: Mapping[str, Any], name: str, default: str) -> str:
    value = values.get(name, default)
    if not isinstance(value, str):
        msg = f"{name} is {value!r}, but text is needed"
        raise SettingsError(msg, key=name)
    return value


def _value(key: str, kind: Any, value: Any) -> Any:
    """One value as the field's type; an int will do for a float, nothing else is converted."""
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if type(value) is kind and kind is not float:
        return value
    needed = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}[kind]
    msg = f"{key} is {value!r}, but {needed} is needed"
    raise SettingsError(msg, key=key)


def _unknown(key: str) -> SettingsError:
    near = difflib.get_close_matches(key, known_keys(), n=1, cutoff=0.5)
    near = near or [k for k in known_keys() if k.rpartition(".")[2] == key.rpartition(".")[2]]
    advice = f"did you mean {near[0]}?" if near else f"the sections are {', '.join((*_SECTIONS, 'network', 'stage'))}"
    return SettingsError(f"unknown setting {key}; {advice}", key=key)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
