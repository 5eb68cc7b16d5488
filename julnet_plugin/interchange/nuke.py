"""The comp of a take as a Nuke script.

::

    Plate ----------------------------------------------- B
    Layers -> Patch ---------------- B Hold (stencil) --- A Comp (over)
    Layers -> Matte -> TouchUp -> HoldAmount - A
                          └-> MatteOut: what `julnet matte --override` reads back

Source:
    The text format: nodes pop their inputs off a stack and push themselves, and the top of the stack is input 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from julnet_plugin.interchange.comp import is_absolute, joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from julnet_plugin.interchange.comp import CompSpec

    Knob = str | int | float | bool  #: text is quoted where it must be; see `_Raw` for what must not be

#: The folder that the script itself was saved in. Scripts for pasting need the take's absolute folder instead.
BESIDE = "[file dirname [value root.name]]"

_UNCERTAINTY = ("uncertainty.sigma", "uncertainty.error", "uncertainty.matte")
_RGBA = ("red", "green", "blue", "alpha")


class _Raw(str):
    """A knob's value that is already in Nuke's syntax."""

    __slots__ = ()


def nuke_script(spec: CompSpec, root: str = BESIDE, *, start: int | None = None, with_root: bool = True) -> str:
    """The comp as the text of a `.nk` file.

    Args:
        spec: see `comp.comp_of`.
        root: folder of the take, for its own files; TCL is allowed.
        start: script frame on which the take's first frame shall lie; its own number unless said.
        with_root: whether project settings come first; leave them out for pasting into somebody's script.
    """
    spec = spec if start is None else spec.at(start)
    head = ["version 13.0 v1"] + ([_project(spec)] if with_root else [])
    return "\n".join([*head, *_layers(spec), *_graph(spec, root)]) + "\n"


def _project(spec: CompSpec) -> str:
    return _node(
        "Root",
        {
            "inputs": 0,
            "frame": spec.first,
            "first_frame": spec.first,
            "last_frame": spec.last,
            "lock_range": True,
            "fps": float(spec.rate),
            "format": _format(spec),
        },
    )


def literal(text: str) -> str:
    """Text as a knob that Nuke evaluates as TCL must have it to mean just that text."""
    return text.replace("[", "\\[").replace("$", "\\$")


def _file(root: str, path: str) -> str:
    """A file knob: the root may be TCL, the rest is a plain path."""
    return joined("" if is_absolute(path) else root, literal(path))


def _layers(spec: CompSpec) -> list[str]:
    """Layers must be known before a node names them."""
    declared = [_layer("uncertainty", _UNCERTAINTY), _layer("st", ("st.s", "st.t"))]
    if spec.patch_layer:
        declared.append(_layer(spec.patch_layer, [f"{spec.patch_layer}.{channel}" for channel in _RGBA]))
    return declared


def _layer(name: str, channels: Sequence[str]) -> str:
    return f"add_layer {{{name} {' '.join(channels)}}}"


def _graph(spec: CompSpec, root: str) -> list[str]:
    """The nodes, in stack order: masks and A inputs are pushed before B."""
    layer = f"{spec.patch_layer}." if spec.patch_layer else "rgba."
    return [
        _note(spec),
        _read("Layers", spec, _file(root, spec.layers.printf()), 0, -200),
        "set julnet_layers [stack 0]",
        "push $julnet_layers",
        _copy("Matte", dict.fromkeys(_RGBA, "uncertainty.matte"), 0, -80),
        _node("RotoPaint", {"name": "TouchUp", "label": "paint here: white holds the plate", "xpos": 0, "ypos": 0}),
        "set julnet_matte [stack 0]",
        _node("Multiply", {"channels": "rgba", "value": _amount(spec), "name": "HoldAmount", "xpos": 0, "ypos": 80}),
        "push $julnet_layers",
        "push $julnet_layers",
        _copy("Patch", {channel: layer + channel for channel in _RGBA}, 200, 0),
        _merge("Hold", "stencil", "rgba", 200, 80),
        _read("Plate", spec, _file(root, spec.plate.printf()), 400, -200),
        _merge("Comp", "over", "rgb", 400, 200),
        "push $julnet_matte",
        _write(_file(root, spec.edited.replace("######", "%06d"))),
    ]


def _note(spec: CompSpec) -> str:
    label = (
        f"JULNet: {literal(spec.name)}\nPixels are {literal(spec.values)}, read raw.\nTouchUp: white holds the plate, "
        "black shows the generated mouth.\nHoldAmount: 0 only flags, 1 holds.\nMatteOut, then: julnet matte TAKE "
        "--override edited"
    )
    return _node("StickyNote", {"inputs": 0, "name": "Note", "label": label, "xpos": -260, "ypos": -200})


def _read(name: str, spec: CompSpec, file: str, x: int, y: int) -> str:
    """A Read whose first frame lies where the comp wants it. Nuke counts a movie's frames from 1."""
    footage = spec.layers if name == "Layers" else spec.plate
    first = 1 if footage.movie else footage.first
    last = first + footage.count - 1
    knobs: dict[str, Knob] = {
        "inputs": 0,
        "file_type": file.rpartition(".")[2].lower(),
        "file": file,
        "format": _format(spec),
        "first": first,
        "last": last,
        "origfirst": first,
        "origlast": last,
        "origset": True,
    }
    if first != footage.start:
        knobs.update({"frame_mode": "start at", "frame": str(footage.start)})
    return _node(name="Read", knobs={**knobs, "before": "black", "after": "black", "raw": True, **_place(name, x, y)})


def _copy(name: str, channels: Mapping[str, str], x: int, y: int) -> str:
    """A Copy that fills RGBA from other channels: the one node whose syntax names every channel in full."""
    knobs: dict[str, Knob] = {"inputs": 2}
    for number, (target, source) in enumerate(channels.items()):
        knobs[f"from{number}"], knobs[f"to{number}"] = source, f"rgba.{target}"
    return _node("Copy", {**knobs, **_place(name, x, y)})


def _merge(name: str, operation: str, output: str, x: int, y: int) -> str:
    return _node("Merge2", {"inputs": 2, "operation": operation, "output": output, **_place(name, x, y)})


def _write(file: str) -> str:
    return _node(
        "Write",
        {
            "channels": "rgb",
            "file": file,
            "file_type": "exr",
            "datatype": "32 bit float",
            "raw": True,
            "create_directories": True,
            "checkHashOnRead": False,
            **_place("MatteOut", -200, 80),
        },
    )


def _amount(spec: CompSpec) -> Knob:
    if not spec.amount:
        return 0
    if len(spec.amount) == 1:
        return spec.amount[0][1]
    keys = " ".join(f"x{frame} {value:.9g}" for frame, value in spec.amount)
    return _Raw(f"{{{{curve L {keys}}}}}")


def _format(spec: CompSpec) -> str:
    w, h = spec.width, spec.height
    return f"{w} {h} 0 0 {w} {h} {float(spec.pixel_aspect):.6g} julnet_{w}x{h}"


def _place(name: str, x: int, y: int) -> dict[str, Knob]:
    return {"name": name, "xpos": x, "ypos": y}


def _node(name: str, knobs: Mapping[str, Knob]) -> str:
    lines = "".join(f" {knob} {_value(value)}\n" for knob, value in knobs.items())
    return f"{name} {{\n{lines}}}"


def _value(value: Knob) -> str:
    """A knob's value as the file has it: what is read back is the text, which Nuke may then evaluate as TCL."""
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"{value:.9g}"
    escaped = value
    for character in '\\"[${}':  # the backslash first
        escaped = escaped.replace(character, "\\" + character)
    escaped = escaped.replace("\n", "\\n")
    plain = escaped and not any(character in escaped for character in ' \\"{};')
    return escaped if plain else f'"{escaped}"'
