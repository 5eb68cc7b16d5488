"""What an ablation compares, as data: tables of variants of one recipe, and what the paper found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from julnet_plugin.config import read_toml
from julnet_plugin.errors import SettingsError
from trainer.recipe import Recipe, find_recipe, load_recipe

PLANS = Path(__file__).parent / "plans"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One column of the tables."""

    key: str  #: in a variant's scores and in `paper`
    heading: str  #: "{distance}" and "{frechet}" stand for the judges' names
    higher: bool  #: is better
    digits: int


SCORES = (
    Score(key="psnr", heading="PSNR dB", higher=True, digits=3),
    Score(key="distance", heading="{distance}", higher=False, digits=4),
    Score(key="frechet", heading="{frechet}", higher=False, digits=3),
    Score(key="lse_d", heading="LSE-D", higher=False, digits=3),
    Score(key="lse_c", heading="LSE-C", higher=True, digits=3),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row of a table."""

    name: str
    overrides: tuple[str, ...]  #: `key=value`, laid over the plan's recipe
    paper: dict[str, float] = field(default_factory=dict)

    @property
    def needs_sync(self) -> bool:
        """Whether it learns from a SyncNet."""
        return any(
            o.partition("=")[0].strip() == "loss.sync" and float(o.partition("=")[2]) > 0 for o in self.overrides
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two rows of a table, and that the first is expected to be better."""

    better: str
    worse: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTable:
    """One table."""

    name: str
    title: str
    variants: tuple[Variant, ...]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All of it."""

    name: str
    recipe: Path
    tables: tuple[PlannedTable, ...]

    def recipe_of(self, variant: Variant, seed: int, more: Sequence[str] = ()) -> Recipe:
        """The recipe of one run."""
        return load_recipe(self.recipe, [*variant.overrides, *more, f"train.seed={seed}"])


def load_plan(name_or_path: str | Path, tables: Sequence[str] = ()) -> Plan:
    """Read a plan.

    Args:
        name_or_path: a plan that comes with the trainer, or a TOML file.
        tables: names of those that are wanted; all unless said.

    Raises:
        SettingsError: no such plan or table, or a plan that does not make sense.
    """
    shipped = PLANS / f"{name_or_path}.toml"
    path = shipped if shipped.is_file() else Path(name_or_path)
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in PLANS.glob("*.toml")))
        msg = f"there is no plan {str(name_or_path)!r}; there are {names}; or give a TOML file"
        raise SettingsError(msg, key="plan")
    values = read_toml(path)
    recipe = values.get("recipe", "ablation")
    beside = path.parent / str(recipe)
    found = tuple(_table(table, path) for table in _list(values, "table", path))
    known = [table.name for table in found]
    for name in tables:
        if name not in known:
            msg = f"the plan {path.stem} has no table {name!r}; it has {', '.join(known)}"
            raise SettingsError(msg, key="tables")
    plan = Plan(
        name=path.stem,
        recipe=beside if beside.is_file() else find_recipe(recipe),
        tables=tuple(table for table in found if not tables or table.name in tables),
    )
    for table in plan.tables:
        for variant in table.variants:
            load_recipe(plan.recipe, _without_sync(variant.overrides))  # an impossible setting is said before any run
    return plan


def _table(values: Mapping[str, Any], path: Path) -> PlannedTable:
    shared = tuple(values.get("set", ()))
    variants = tuple(
        Variant(name=str(row["name"]), overrides=(*shared, *row.get("set", ())), paper=dict(row.get("paper", {})))
        for row in _list(values, "row", path)
    )
    names = [variant.name for variant in variants]
    comparisons = tuple(Comparison(better=str(a), worse=str(b)) for a, b in values.get("compare", ()))
    for name in (n for c in comparisons for n in (c.better, c.worse)):
        if name not in names:
            msg = f"{path.name} compares {name!r}, which is no row of its table {values.get('name')!r}"
            raise SettingsError(msg, key="compare")
    return PlannedTable(
        name=str(values.get("name", "")),
        title=str(values.get("title", "")),
        variants=variants,
        comparisons=comparisons,
    )


def _list(values: Mapping[str, Any], key: str, path: Path) -> list[Mapping[str, Any]]:
    found = values.get(key)
    if not isinstance(found, list) or not found or not all(isinstance(v, dict) and "name" in v for v in found):
        msg = f"{path.name} needs a list of [[{key}]], each with a name"
        raise SettingsError(msg, key=key)
    return found


def _without_sync(overrides: Sequence[str]) -> list[str]:
    """The same without what needs a file that is named later."""
    return [o for o in overrides if not o.startswith("loss.sync=")]
