"""Value classes for code that hosts import: what `dataclasses` does for frozen classes, without what it weighs.

`dataclasses` imports `inspect` and compiles every class's methods from text; at a host's start that costs as much as
all of ours. Type checkers see `dataclasses` itself. Standard library only and Python 3.7 syntax: this file is imported
inside hosts.

Example::

    @dataclass(frozen=True)
    class Note:
        text: str
        tags: dict[str, str] = field(default_factory=dict, compare=False)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

__all__ = ["dataclass", "field", "field_names", "replace"]

_FIELDS, _COMPARED, _FACTORIES = "_value_fields", "_value_compared", "_value_factories"  #: attributes of a class


def field_names(value: Any) -> tuple[str, ...]:
    """The fields of a value or of its class, in order; none of what is no value."""
    found: tuple[str, ...] = getattr(value, _FIELDS, ())
    return found


class _Field:
    """A field that is more than a name and a default."""

    def __init__(self, default_factory: Callable[[], Any], compare: bool) -> None:
        self.default_factory, self.compare = default_factory, compare


def _field(*, default_factory: Callable[[], Any], compare: bool = True) -> Any:
    """A field whose default is made anew for each value; with `compare=False` equality does not ask for it."""
    return _Field(default_factory, compare)


def _dataclass(*, frozen: bool) -> Callable[[type], type]:
    """Make a class whose body names its fields a class of values, which do not change."""
    assert frozen, "a value does not change"
    return _made


def _made(cls: type) -> type:
    own = getattr(cls, "__annotations__", {})
    special = {name: vars(cls)[name] for name in own if isinstance(vars(cls).get(name), _Field)}
    for name in special:
        delattr(cls, name)
    names = tuple(dict.fromkeys((*field_names(cls), *own)))
    factories = {**getattr(cls, _FACTORIES, {}), **{name: made.default_factory for name, made in special.items()}}
    skipped = set(field_names(cls)) - set(getattr(cls, _COMPARED, ())) | {
        n for n, f in special.items() if not f.compare
    }
    given = {
        _FIELDS: names, _COMPARED: tuple(name for name in names if name not in skipped), _FACTORIES: factories,
        "__init__": _init, "__eq__": _eq, "__hash__": _hash, "__repr__": _repr,
        "__setattr__": _refuse_change, "__delattr__": _refuse_change,
    }  # fmt: skip
    for name, value in given.items():
        setattr(cls, name, value)
    return cls


def _init(self: Any, *values: Any, **named: Any) -> None:
    cls, names = type(self), field_names(self)
    given = dict(zip(names, values), **named)
    if len(given) < len(values) + len(named) or not given.keys() <= set(names):
        raise TypeError(
            f"{cls.__name__} has the fields {', '.join(names)}; {len(values)} values and {sorted(named)} were given"
        )
    for name in names:
        if name in given:
            vars(self)[name] = given[name]
        elif name in getattr(cls, _FACTORIES):
            vars(self)[name] = getattr(cls, _FACTORIES)[name]()
        elif hasattr(cls, name):
            vars(self)[name] = getattr(cls, name)
        else:
            raise TypeError(f"{cls.__name__} needs {name}")
    check = getattr(self, "__post_init__", None)
    if check is not None:
        check()


def _compared(value: Any) -> tuple[Any, ...]:
    return tuple(getattr(value, name) for name in getattr(value, _COMPARED))


def _eq(self: Any, other: object) -> bool:
    return _compared(self) == _compared(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _repr(self: Any) -> str:
    inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in field_names(self))
    return f"{type(self).__name__}({inside})"


def _refuse_change(self: Any, name: str, *value: Any) -> None:
    raise AttributeError(f"{type(self).__name__}.{name} cannot change: make another value with replace")


def _replace(value: Any, **changes: Any) -> Any:
    """The same value with some fields changed."""
    return type(value)(**{**{name: getattr(value, name) for name in field_names(value)}, **changes})


if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:
    dataclass, field, replace = _dataclass, _field, _replace
