"""A small Fusion: reads a composition as the Lua table it is, and evaluates the tools that JULNet's clip mattes use."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from lua_table import Table, parse
from numpy.typing import NDArray

Image = NDArray[np.float64]  #: (H, W, 4) RGBA
INPUTS = {
    "MediaIn": {"Layer"},
    "Loader": set(),
    "Paint": {"Input"},
    "BitmapMask": {"Image", "Channel"},
    "Merge": {"Background", "Foreground", "PerformDepthMerge", "EffectMask", "ApplyMaskInverted"},
    "MediaOut": {"Index", "Input"},
    "Saver": {
        "ProcessWhenBlendIs00", "Clip", "CreateDir", "SetSequenceStart", "SequenceStartFrame", "OutputFormat", "Input",
    },
}  # fmt: skip


class Fusion:
    """One composition.

    Args:
        text: of the `.comp` file.
        read: (path, position) to an RGB picture of uint8: a movie's frame, or a file for itself.
        media_in: comp frame to the picture that the clip brings.
        strokes: what a person painted into `TouchUp`: (comp frame, box, level).
    """

    def __init__(
        self,
        text: str,
        read: Callable[[str, int], NDArray[np.uint8]],
        media_in: Callable[[int], NDArray[np.uint8]],
        strokes: list[tuple[int, tuple[int, int, int, int], float]],
    ) -> None:
        comp = parse(text)
        if comp.kind != "Composition":
            raise ValueError("no composition")
        self.tools: dict[str, Table] = comp["Tools"].fields
        self._read, self._media_in, self._strokes = read, media_in, strokes
        for name, tool in self.tools.items():
            if tool.kind not in INPUTS:
                raise ValueError(f"no tool {tool.kind}")
            inputs = tool.fields.get("Inputs", Table()).fields
            if set(inputs) - INPUTS[tool.kind]:
                raise ValueError(f"{name} has no inputs {set(inputs) - INPUTS[tool.kind]}")
            for value in inputs.values():
                if "SourceOp" in value.fields and value["SourceOp"] not in self.tools:
                    raise ValueError(f"no tool {value['SourceOp']}")

    @property
    def rooted(self) -> bool:
        """Whether MediaOut descends from MediaIn: Resolve renders nothing else."""
        outs = [name for name, tool in self.tools.items() if tool.kind == "MediaOut"]
        return len(outs) == 1 and "MediaIn" in self._ancestors(outs[0])

    def _ancestors(self, name: str) -> set[str]:
        tool = self.tools[name]
        sources = [v["SourceOp"] for v in tool.fields.get("Inputs", Table()).fields.values() if "SourceOp" in v.fields]
        return {tool.kind}.union(*(self._ancestors(source) for source in sources))

    def output(self, frame: int) -> NDArray[np.uint8]:
        """What MediaOut gives on a comp frame."""
        out = next(name for name, tool in self.tools.items() if tool.kind == "MediaOut")
        return np.rint(self._image(out, frame)[..., :3] * 255).astype(np.uint8)

    def saved(self, name: str, frame: int) -> tuple[str, NDArray[np.uint8]]:
        """The file that a Saver writes of a comp frame, and its picture: the number goes before the suffix."""
        inputs = self.tools[name]["Inputs"]
        stem, _, suffix = inputs["Clip"]["Value"]["Filename"].rpartition(".")
        number = int(inputs["SequenceStartFrame"]["Value"]) + frame if inputs["SetSequenceStart"]["Value"] else frame
        picture = np.rint(self._image(inputs["Input"]["SourceOp"], frame)[..., :3] * 255).astype(np.uint8)
        return f"{stem.rstrip('.')}.{number:06d}.{suffix}", picture

    def _image(self, name: str, frame: int) -> Image:
        tool = self.tools[name]
        if tool.kind == "MediaIn":
            return _opaque(self._media_in(frame))
        if tool.kind == "Loader":
            return self._loader(tool, frame)
        inputs = tool["Inputs"]
        if tool.kind == "Paint":
            return self._painted(self._source(inputs["Input"], frame), frame)
        if tool.kind == "BitmapMask":
            assert inputs["Channel"]["Value"].items == ["Luminance"]
            luma = self._source(inputs["Image"], frame)[..., :3] @ np.array([0.299, 0.587, 0.114])
            return np.repeat(luma[..., None], 4, axis=-1)
        if tool.kind == "Merge":
            return self._merge(inputs.fields, frame)
        return self._source(inputs["Input"], frame)

    def _source(self, value: Table, frame: int) -> Image:
        kind = self.tools[value["SourceOp"]].kind
        assert value["Source"] == ("Mask" if kind == "BitmapMask" else "Output"), f"{kind} has no {value['Source']}"
        return self._image(value["SourceOp"], frame)

    def _loader(self, tool: Table, frame: int) -> Image:
        (clip,) = tool["Clips"].items
        position = frame - int(clip["GlobalStart"])
        if not 0 <= position < clip["Length"]:
            raise ValueError(f"comp frame {frame} lies outside the loader's clip")
        file = clip["Filename"]
        if "StartFrame" in clip.fields:
            head, digits, tail = re.fullmatch(r"(.*?)(\d+)(\.\w+)", file, re.DOTALL).groups()  # type: ignore[union-attr]
            assert int(digits) == clip["StartFrame"]
            return _opaque(self._read(f"{head}{int(digits) + position:0{len(digits)}d}{tail}", 0))
        return _opaque(self._read(file, position))

    def _painted(self, image: Image, frame: int) -> Image:
        image = image.copy()
        for at, (x0, y0, x1, y1), level in self._strokes:
            if at == frame:
                image[y0:y1, x0:x1, :3] = level
        return image

    def _merge(self, inputs: dict[str, Table], frame: int) -> Image:
        """Merge with defaults: premultiplied over; the mask says where it acts, and which way round."""
        below, above = self._source(inputs["Background"], frame), self._source(inputs["Foreground"], frame)
        merged = above + below * (1 - above[..., 3:])
        if "EffectMask" not in inputs:
            return merged
        mask = self._source(inputs["EffectMask"], frame)[..., 3:]
        mask = 1 - mask if inputs["ApplyMaskInverted"]["Value"] else mask
        result: Image = below + (merged - below) * mask
        return result


def _opaque(picture: NDArray[np.uint8]) -> Image:
    return np.concatenate([picture / 255, np.ones((*picture.shape[:2], 1))], axis=-1)
