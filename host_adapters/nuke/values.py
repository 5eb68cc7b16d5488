"""What Nuke's nodes and knobs say, turned into values, and what JULNet writes on nodes of its own."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from host_adapters.base import ClipRefused, hash_pattern

if TYPE_CHECKING:
    import ast

KNOB = "julnet"  #: hidden text knob of our nodes: JSON, what they are
MOVIES = (".mov", ".mp4", ".mxf", ".avi", ".mkv", ".m4v")
_NTSC = [Fraction(n * 1000, 1001) for n in (24, 30, 48, 60)]


def source_of(node: Any) -> Any:
    """The Read that a node gets its pictures from: itself, or the first one up its first inputs."""
    while node is not None and node.Class() != "Read":
        node = node.input(0)
    return node


def note_on(node: Any) -> dict[str, Any]:
    """What JULNet wrote on a node of its own; nothing on anybody else's."""
    knob = node.knobs().get(KNOB) if node is not None else None
    try:
        told = json.loads(knob.value()) if knob is not None else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def write_note(node: Any, told: dict[str, Any]) -> None:
    """Write on a node of ours what `note_on` reads."""
    node[KNOB].setValue(json.dumps(told, sort_keys=True))


def tcl_path(path: str) -> str:
    """A path that means itself: file knobs are evaluated as TCL."""
    for character in "\\[$":
        path = path.replace(character, "\\" + character)
    return path


def file_of(node: Any) -> str:
    """The path that a Read reads, with "####" for a sequence's numbers."""
    return hash_pattern(_plain(node))


def _plain(node: Any) -> str:
    """A file knob's text without TCL's escapes; an expression in it is a question that only Nuke can answer."""
    text, plain, at = str(node["file"].value()), [], 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
        elif text[at] == "[":
            raise ClipRefused(f"{node.name()} computes its file name: give it a plain path and try again")
        plain.append(text[at])
        at += 1
    return "".join(plain)


def is_movie_path(path: str) -> bool:
    """Whether a path is a movie's, by its suffix."""
    return os.path.splitext(path)[1].lower() in MOVIES


def is_movie(node: Any) -> bool:
    """Whether a Read reads a movie."""
    return is_movie_path(file_of(node))


def is_float(path: str) -> bool:
    """Whether a path's pictures hold floats."""
    return path.lower().endswith(".exr")


def whole(node: Any, knob: str) -> int:
    """A knob's value as a whole number."""
    return int(node[knob].value())


def frames_of(node: Any) -> tuple[int, int]:
    """First and last script frame of a Read."""
    first, last = whole(node, "first"), whole(node, "last")
    mode, frame = node["frame_mode"].value(), str(node["frame"].value()).strip()
    if mode == "start at" and frame:
        return int(float(frame)), int(float(frame)) + last - first
    if mode == "offset" and frame:
        return first - int(float(frame)), last - int(float(frame))
    if mode == "expression" and frame:
        slope, offset = _line(frame)
        return int((first - offset) / slope), int((last - offset) / slope)
    return first, last


def speed_of(node: Any) -> Fraction | None:
    """How fast a Read runs, where an expression drives it."""
    frame = str(node["frame"].value()).strip()
    if node["frame_mode"].value() != "expression" or not frame:
        return None
    slope, _ = _line(frame)
    return None if slope == 1 else slope


def _line(expression: str) -> tuple[Fraction, Fraction]:
    """Slope and offset of an expression in `frame` that is a straight line.

    Raises:
        ClipRefused: it is something else.
    """
    import ast  # late: Nuke imports this file when it starts

    try:
        tree = ast.parse(expression, mode="eval").body
        at = [_evaluated(tree, Fraction(frame)) for frame in (0, 1, 1000)]
    except (SyntaxError, ValueError, ZeroDivisionError):
        at = [Fraction(0)] * 3
    slope = at[1] - at[0]
    if slope == 0 or at[2] != at[0] + 1000 * slope:
        raise ClipRefused(
            f"a Read's frames are driven by {expression!r} and a clip at 100 % is needed: "
            "render it and re-dub the result"
        )
    return slope, at[0]


def _evaluated(tree: ast.AST, frame: Fraction) -> Fraction:
    import ast

    if isinstance(tree, ast.BinOp):
        left, right = _evaluated(tree.left, frame), _evaluated(tree.right, frame)
        if isinstance(tree.op, ast.Add):
            return left + right
        if isinstance(tree.op, ast.Sub):
            return left - right
        if isinstance(tree.op, ast.Mult):
            return left * right
        if isinstance(tree.op, ast.Div):
            return left / right
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_evaluated(tree.operand, frame)
    if isinstance(tree, ast.Name) and tree.id == "frame":
        return frame
    if type(tree).__name__ in ("Constant", "Num"):  # Num up to Python 3.7
        return Fraction(str(ast.literal_eval(tree)))
    raise ValueError("not a straight line")


def rate_of(value: Any) -> Fraction:
    """A frame rate as Nuke says it, 23.976 or 29.97 with its exact value."""
    number = Fraction(str(value)) if not isinstance(value, Fraction) else value
    return next((rate for rate in _NTSC if abs(rate - number) < Fraction(1, 200)), number.limit_denominator(1000))
