"""Dataclasses from JSON and back, strictly: a wrong type is an error, an unknown field names its nearest."""

from __future__ import annotations

import difflib
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from typing import Any, Literal, TypeVar, cast

T = TypeVar("T")


def dataclass_from(cls: type[T], values: Mapping[str, object], *, ignore_unknown: bool = False) -> T:
    """A dataclass from what JSON holds.

    Args:
        cls: its fields are int, float, bool, str, Literal, dict[str, …], tuple, or a union of one of these with None.
        values: by field name; absent fields keep their defaults.
        ignore_unknown: pass over fields that the class does not have.

    Raises:
        ValueError: an unknown or lacking field, a value of the wrong type, or what the class itself refuses.
    """
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in fields(cast("Any", cls))}
    checked = {}
    for name, value in values.items():
        if name in known:
            checked[name] = _typed(name, value, hints[name])
        elif not ignore_unknown:
            near = difflib.get_close_matches(name, known, n=1)
            msg = f"unknown field {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            raise ValueError(msg)
    for name, field in known.items():
        if name not in checked and field.default is MISSING and field.default_factory is MISSING:
            msg = f"the field {name!r} is lacking"
            raise ValueError(msg)
    return cls(**checked)


def values_of(instance: object) -> dict[str, object]:
    """A dataclass as JSON-able values, tuples as lists: what `dataclass_from` reads back."""
    return cast("dict[str, object]", _plain(asdict(cast("Any", instance))))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _typed(name: str, value: object, hint: Any) -> object:
    """`value` as `hint` says, or ValueError."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if hint is object or (origin is Literal and value in choices):
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in choices:
            return None
        return _typed(name, value, next(choice for choice in choices if choice is not type(None)))
    if origin is dict and isinstance(value, dict):
        return {str(key): _typed(f"{name}.{key}", item, choices[1]) for key, item in value.items()}
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = choices[:1] * len(value) if choices[-1:] == (Ellipsis,) else choices
        if len(kinds) == len(value):
            return tuple(_typed(name, item, kind) for item, kind in zip(value, kinds, strict=True))
    if hint is float and type(value) in (int, float) and math.isfinite(cast("float", value)):
        return float(cast("float", value))
    if isinstance(hint, type) and hint is not float and type(value) is hint:
        return value
    msg = f"{name} must be {hint.__name__ if isinstance(hint, type) else hint}, got {str(value)[:60]!r}"
    raise ValueError(msg)
