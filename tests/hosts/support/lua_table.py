"""Reads a Fusion composition as the Lua table it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)|(?P<word>\w+)|(?P<mark>.))'
)
Tokens = list[tuple[Any, str]]


@dataclass
class Table:
    """A Lua table; `kind` is the name of the function that it is given to."""

    kind: str = ""
    fields: dict[Any, Any] = field(default_factory=dict)
    items: list[Any] = field(default_factory=list)

    def __getitem__(self, key: Any) -> Any:
        return self.fields[key]


def parse(text: str) -> Table:
    """The table that a composition is; ValueError where it is none."""
    tokens = [(m.lastgroup, m[m.lastgroup or 0]) for m in _TOKEN.finditer(text) if m.lastgroup]
    try:
        value, at = _value(tokens, 0)
    except IndexError:
        raise ValueError("the composition ends too early") from None
    if at != len(tokens) or not isinstance(value, Table):
        raise ValueError("something behind the end of the composition")
    return value


def _value(tokens: Tokens, at: int) -> tuple[Any, int]:
    kind, text = tokens[at]
    if kind == "text":
        return re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), text[1:-1]), at + 1
    if kind == "number":
        return float(text), at + 1
    if kind == "word" and text in ("true", "false"):
        return text == "true", at + 1
    name = ""
    if kind == "word":
        name, at = text, at + 1
        if tokens[at][1] == "(":
            at = _expect(tokens, at + 1, ")")
    table, at = Table(name), _expect(tokens, at, "{")
    while tokens[at][1] != "}":
        key = None
        if tokens[at][1] == "[":
            key, at = _value(tokens, at + 1)
            at = _expect(tokens, _expect(tokens, at, "]"), "=")
        elif tokens[at + 1][1] == "=":
            key, at = tokens[at][1], at + 2
        value, at = _value(tokens, at)
        if key is None:
            table.items.append(value)
        elif key in table.fields:
            raise ValueError(f"{key} twice")
        else:
            table.fields[key] = value
        if tokens[at][1] == ",":
            at += 1
    return table, at + 1


def _expect(tokens: Tokens, at: int, mark: str) -> int:
    if tokens[at][1] != mark:
        raise ValueError(f"{mark} expected, {tokens[at][1]} found")
    return at + 1
