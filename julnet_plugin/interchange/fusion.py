"""The comp of a take as a Fusion composition, for Fusion and for the Fusion page of Resolve.

::

    Plate ------------------------------ Background  Comp
    Patch ------------------------------ Foreground   |  (Merge, premultiplied)
    Matte -> TouchUp -> HoldAmount ----- EffectMask, inverted: 1 gives the background back
               └-> MatteOut: what `julnet matte --override` reads back

Source:
    The file is a Lua table; tools are `NAME = CLASS { Inputs = { INPUT = Input { SourceOp = …, Source = … } } }`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from julnet_plugin.interchange.comp import joined

if TYPE_CHECKING:
    from julnet_plugin.interchange.comp import CompSpec, Footage

#: The folder that the composition itself was saved in. One for pasting or importing needs the take's folder instead.
BESIDE = "Comp:"

_MATTE = dict.fromkeys(("Red", "Green", "Blue", "Alpha"), "uncertainty.matte")


class _Lua(str):
    """Text that is already Lua."""

    __slots__ = ()


def fusion_comp(spec: CompSpec, root: str = BESIDE, *, start: int | None = None, media_in: bool = False) -> str:
    """The comp as the text of a `.comp` file.

    Args:
        spec: see `comp.comp_of`.
        root: folder of the take, for its own files; Fusion's path maps are allowed.
        start: comp frame on which the take's first frame shall lie; its own number unless said. Resolve's Fusion page
            counts from 0 at the clip's first frame.
        media_in: take the plate from `MediaIn1` and end in `MediaOut1`, as Resolve's Fusion page needs it.
    """
    spec = spec if start is None else spec.at(start)
    if media_in:
        background, source = "MediaIn1", _tool("MediaIn", {"Layer": _is("0")}, (0, 0))
    else:
        background, source = "Plate", _loader(spec.plate, root, None, (0, 0))
    tools = {background: source}
    layer = f"{spec.patch_layer}." if spec.patch_layer else ""
    patch = {name: f"{layer}{name[0]}" for name in _MATTE}
    tools["Patch"] = _loader(spec.layers, root, patch, (0, 50))
    tools["Matte"] = _loader(spec.layers, root, _MATTE, (0, 100))
    tools["TouchUp"] = _tool("Paint", {"Input": _from("Matte")}, (110, 100))
    tools["HoldAmount"] = _tool(
        "BrightnessContrast", {"Alpha": _is(1), **_gain(spec), "Input": _from("TouchUp")}, (220, 100)
    )
    if len(spec.amount) > 1:
        tools["HoldAmountGain"] = _spline(spec)
    tools["Comp"] = _tool(
        "Merge",
        {
            "Background": _from(background),
            "Foreground": _from("Patch"),
            "PerformDepthMerge": _is(0),
            "ApplyMaskInverted": _is(1),
            "EffectMask": _from("HoldAmount"),
        },
        (330, 0),
    )
    if media_in:
        tools["MediaOut1"] = _tool("MediaOut", {"Index": _is("0"), "Input": _from("Comp")}, (440, 0))
    tools["MatteOut"] = _saver(joined(root, spec.edited.replace("######", "")))
    tools["Note"] = _note(spec)
    span = _Lua(f"{{ {spec.first}, {spec.last} }}")
    document = {
        "CurrentTime": spec.first,
        "RenderRange": span,
        "GlobalRange": span,
        "Prefs": {
            "Comp": {
                "FrameFormat": {
                    "Name": "julnet",
                    "Width": spec.width,
                    "Height": spec.height,
                    "AspectX": float(spec.pixel_aspect),
                    "AspectY": 1.0,
                    "Rate": float(spec.rate),
                }
            }
        },
        "Tools": _Lua(f"ordered() {_lua(tools, 1)}"),
    }
    return f"Composition {_lua(document, 0)}\n"


def _loader(footage: Footage, root: str, channels: dict[str, str] | None, at: tuple[int, int]) -> _Lua:
    """A Loader; `channels` maps the image's channels to those of an EXR file."""
    suffix = footage.path.rpartition(".")[2].lower()
    clip = {
        "ID": "Clip1",
        "Filename": joined(root, footage.file(footage.first)),
        "FormatID": _FORMATS.get(suffix, "QuickTimeMovies"),
        "Length": footage.count,
        "TrimIn": 0,
        "TrimOut": footage.count - 1,
        "ExtendFirst": 0,
        "ExtendLast": 0,
        "Loop": 0,
        "AspectMode": 0,
        "Depth": 4,  # float32: half and 16-bit numbers stay what they are
        "GlobalStart": footage.start,
        "GlobalEnd": footage.start + footage.count - 1,
    }
    if not footage.movie:
        clip["StartFrame"] = footage.first
    inputs = {}
    for name, channel in (channels or {}).items():
        inputs[f"Clip1.OpenEXRFormat.{name}Name"] = _is(_Lua(f"FuID {{ {_lua(channel)} }}"))
    clips = _Lua("{ Clip " + _lua(clip, 4) + " }")
    return _Lua(f"Loader {_lua({'Clips': clips, 'Inputs': inputs, 'ViewInfo': _view(at)}, 2)}")


_FORMATS = {
    "exr": "OpenEXRFormat",
    "png": "PNGFormat",
    "tif": "TiffFormat",
    "tiff": "TiffFormat",
    "dpx": "DPXFormat",
    "jpg": "JpegFormat",
    "jpeg": "JpegFormat",
    "bmp": "BMPFormat",
}


def _saver(file: str) -> _Lua:
    """The way back: Fusion puts the frame number before the suffix."""
    clip = _Lua("Clip " + _lua({"Filename": file, "FormatID": "OpenEXRFormat"}, 4))
    inputs = {
        "ProcessWhenBlendIs00": _is(0),
        "Clip": _is(clip),
        "CreateDir": _is(1),
        "OutputFormat": _is(_Lua('FuID { "OpenEXRFormat" }')),
        "OpenEXRFormat.Depth": _is(2),
        "Input": _from("TouchUp"),
    }
    return _tool("Saver", inputs, (220, 150))


def _gain(spec: CompSpec) -> dict[str, Any]:
    if len(spec.amount) > 1:
        return {"Gain": _Lua('Input { SourceOp = "HoldAmountGain", Source = "Value", }')}
    return {"Gain": _is(spec.amount[0][1] if spec.amount else 0)}


def _spline(spec: CompSpec) -> _Lua:
    keys = "".join(f"[{frame}] = {{ {value:.9g}, Flags = {{ Linear = true }} }}, " for frame, value in spec.amount)
    return _Lua(f"BezierSpline {{ KeyFrames = {{ {keys}}}, }}")


def _note(spec: CompSpec) -> _Lua:
    text = (
        f"JULNet: {spec.name}. Pixels are {spec.values}. TouchUp: white holds the plate, black shows the generated "
        "mouth. HoldAmount: gain 0 only flags, 1 holds. MatteOut, then: julnet matte TAKE --override edited"
    )
    return _tool("Note", {"Comments": _is(text)}, (-110, 0), info="StickyNoteInfo")


def _tool(kind: str, inputs: dict[str, Any], at: tuple[int, int], info: str = "OperatorInfo") -> _Lua:
    return _Lua(f"{kind} {_lua({'Inputs': inputs, 'ViewInfo': _view(at, info)}, 2)}")


def _view(at: tuple[int, int], info: str = "OperatorInfo") -> _Lua:
    return _Lua(f"{info} {{ Pos = {{ {at[0]}, {at[1]} }} }}")


def _is(value: Any) -> _Lua:
    return _Lua(f"Input {{ Value = {_lua(value)}, }}")


def _from(tool: str) -> _Lua:
    return _Lua(f'Input {{ SourceOp = "{tool}", Source = "Output", }}')


def _lua(value: Any, depth: int = 0) -> str:
    """A value as Lua, tables over several lines."""
    if isinstance(value, _Lua):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"{value:.9g}"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    tabs = "\t" * (depth + 1)
    rows = "".join(f"{tabs}{_key(key)} = {_lua(item, depth + 1)},\n" for key, item in value.items())
    tail = "\t" * depth
    return f"{{\n{rows}{tail}}}"


def _key(key: str) -> str:
    return key if key.isidentifier() else f'["{key}"]'
