"""Values of the contract as JSON and back: what goes through the pipe between us and Blender. Standard library only."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from host_adapters import base
from host_adapters.values import field_names

KINDS = {
    kind.__name__: kind
    for kind in (
        base.SourceFrame, base.RecordFrame, base.SourceRange, base.RecordRange, base.ClipRef, base.Span,
        base.FinishedTake, base.MatteFile, base.TakeRef, base.MatteRef,
    )
}  # fmt: skip
PROBLEMS = {
    problem.__name__: problem
    for problem in (base.ClipRefused, base.MediaMissing, base.HostGone, base.HostRefused, base.HostProblem)
}


def to_plain(value: Any) -> Any:
    """A value as plain JSON."""
    if names := field_names(value):
        fields = {name: to_plain(getattr(value, name)) for name in names}
        return {"kind": type(value).__name__, "fields": fields}
    if isinstance(value, Fraction):
        return {"kind": "Fraction", "fields": [value.numerator, value.denominator]}
    if isinstance(value, tuple):
        return {"kind": "tuple", "fields": [to_plain(item) for item in value]}
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {"kind": "dict", "fields": {str(key): to_plain(item) for key, item in value.items()}}
    return value


def from_plain(value: Any) -> Any:
    """The value that `to_plain` was given."""
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind, fields = value["kind"], value["fields"]
    if kind == "Fraction":
        return Fraction(*fields)
    if kind == "tuple":
        return tuple(from_plain(item) for item in fields)
    values = {name: from_plain(item) for name, item in fields.items()}
    return values if kind == "dict" else KINDS[kind](**values)
