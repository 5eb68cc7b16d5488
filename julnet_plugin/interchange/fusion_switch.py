"""A matte on a clip of Resolve: a Fusion composition that shows the take or the plate as the matte says.

::

    MediaIn1 (the clip as its selected take shows it) -- Foreground  Comp -- MediaOut1
    Plate (the original's file) ------------------------ Background   |
    Matte -> TouchUp (paint) -> MatteMask (luminance) -- EffectMask --+
                 └-> MatteOut: the matte as painted, frame for frame beside the one that was given
"""

from __future__ import annotations

from dataclasses import dataclass

from julnet_plugin.interchange.comp import Footage, joined
from julnet_plugin.interchange.fusion import _from, _is, _loader, _Lua, _lua, _tool

TOUCH_UP = "TouchUp"


@dataclass(frozen=True)
class Switch:
    """What the composition is made of. Comp frames count from 0 at the clip's first frame, as in Resolve."""

    frames: int  #: of the clip
    plate: Footage
    matte: Footage
    edited: str  #: folder and beginning of the file names that MatteOut writes: "…/edited/matte."
    edited_first: int  #: number of the file that belongs to comp frame 0
    white_shows: str = "dub"  #: or "plate"
    enabled: bool = True


def fusion_switch(switch: Switch) -> str:
    """The composition as the text of a `.comp` file, for `TimelineItem.ImportFusionComp`."""
    tools = {
        "MediaIn1": _tool("MediaIn", {"Layer": _is("0")}, (0, 0)),
        "Plate": _loader(switch.plate, "", None, (0, 50)),
        "Matte": _loader(switch.matte, "", None, (0, 100)),
        TOUCH_UP: _tool("Paint", {"Input": _from("Matte")}, (110, 100)),
        "MatteMask": _tool(
            "BitmapMask", {"Image": _from(TOUCH_UP), "Channel": _is(_Lua('FuID { "Luminance" }'))}, (220, 100)
        ),
        "Comp": _tool("Merge", _merge(switch), (330, 0)),
        "MediaOut1": _tool("MediaOut", {"Index": _is("0"), "Input": _from("Comp")}, (440, 0)),
        "MatteOut": _matte_out(switch),
    }
    span = _Lua(f"{{ 0, {switch.frames - 1} }}")
    document = {
        "CurrentTime": 0,
        "RenderRange": span,
        "GlobalRange": span,
        "Tools": _Lua(f"ordered() {_lua(tools, 1)}"),
    }
    return f"Composition {_lua(document, 0)}\n"


def _merge(switch: Switch) -> dict[str, _Lua]:
    """Foreground over background where the mask lets it; without a mask, and both opaque, the take alone."""
    inputs = {"Background": _from("Plate"), "Foreground": _from("MediaIn1"), "PerformDepthMerge": _is(0)}
    if switch.enabled:
        inputs["EffectMask"] = _Lua('Input { SourceOp = "MatteMask", Source = "Mask", }')
        inputs["ApplyMaskInverted"] = _is(1 if switch.white_shows == "plate" else 0)
    return inputs


def _matte_out(switch: Switch) -> _Lua:
    """Writes the painted matte as PNG, numbered as the matte itself is."""
    clip = _Lua("Clip " + _lua({"Filename": joined("", f"{switch.edited}.png"), "FormatID": "PNGFormat"}, 4))
    inputs = {
        "ProcessWhenBlendIs00": _is(0),
        "Clip": _is(clip),
        "CreateDir": _is(1),
        "SetSequenceStart": _is(1),
        "SequenceStartFrame": _is(switch.edited_first),
        "OutputFormat": _is(_Lua('FuID { "PNGFormat" }')),
        "Input": _from(TOUCH_UP),
    }
    return _tool("Saver", inputs, (220, 150))
