"""The Fusion composition of a take, read as the Lua table it is and evaluated tool by tool."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lua_table import Table, parse

from julnet_plugin.interchange.comp import CompSpec, Footage
from julnet_plugin.interchange.fusion import BESIDE, fusion_comp
from julnet_plugin.media.reader import open_plate
from julnet_plugin.types import Take

Image = dict[str, np.ndarray]  #: (H, W) of Red, Green, Blue, Alpha
Load = Callable[[str, int], Image]  #: file and frame in it -> channels by the file's own names
PLANES = ("Red", "Green", "Blue", "Alpha")


class Fusion:
    """Evaluates the tools that the composition uses."""

    def __init__(self, text: str, load: Load, folder: str, paint: Callable[[Image], Image]) -> None:
        self.comp = parse(text)
        assert self.comp.kind == "Composition"
        self.tools: dict[str, Table] = self.comp["Tools"].fields
        self._load, self._folder, self._paint = load, folder, paint
        for tool in self.tools.values():
            for value in (tool.fields.get("Inputs") or Table()).fields.values():
                if isinstance(value, Table) and "SourceOp" in value.fields:
                    assert value["SourceOp"] in self.tools

    def image(self, name: str, frame: int) -> Image:
        tool = self.tools[name]
        if tool.kind == "Loader":
            return self._loader(tool, frame)
        inputs = tool["Inputs"]
        if tool.kind == "MediaIn":
            return self._load("MediaIn", frame)
        if tool.kind == "Paint":
            return self._paint(self._source(inputs["Input"], frame))
        if tool.kind == "BrightnessContrast":
            assert inputs["Alpha"]["Value"] == 1, "else Fusion leaves alpha alone"
            image = self._source(inputs["Input"], frame)
            return {name: plane * self._number(inputs["Gain"], frame) for name, plane in image.items()}
        if tool.kind == "Merge":
            return self._merge(inputs, frame)
        return self._source(inputs["Input"], frame)

    def _source(self, value: Table, frame: int) -> Image:
        assert value["Source"] == "Output"
        return self.image(value["SourceOp"], frame)

    def _number(self, value: Table, frame: int) -> float:
        if "Value" in value.fields:
            return float(value["Value"])
        keys = self.tools[value["SourceOp"]]["KeyFrames"].fields
        assert all(key["Flags"]["Linear"] for key in keys.values())
        return float(np.interp(frame, list(keys), [key.items[0] for key in keys.values()]))

    def _loader(self, tool: Table, frame: int) -> Image:
        (clip,) = tool["Clips"].items
        assert clip["GlobalStart"] <= frame <= clip["GlobalEnd"]
        assert clip["Length"] == clip["GlobalEnd"] - clip["GlobalStart"] + 1 == clip["TrimOut"] + 1
        position = int(frame - clip["GlobalStart"])
        file = clip["Filename"].replace(BESIDE, self._folder)
        if "StartFrame" in clip.fields:
            head, digits, tail = re.fullmatch(r"(.*?)(\d+)(\.\w+)", file).groups()
            assert int(digits) == clip["StartFrame"]
            file = f"{head}{int(digits) + position:0{len(digits)}d}{tail}"
        channels = self._load(file, position)
        inputs = tool["Inputs"].fields
        names = {plane: inputs.get(f"Clip1.OpenEXRFormat.{plane}Name") for plane in PLANES}
        return {plane: channels[plane[0] if name is None else name["Value"].items[0]] for plane, name in names.items()}

    def _merge(self, inputs: Table, frame: int) -> Image:
        """Merge with defaults: additive, that is premultiplied; the mask says where it acts."""
        below, above = self._source(inputs["Background"], frame), self._source(inputs["Foreground"], frame)
        mask = self._source(inputs["EffectMask"], frame)["Alpha"]
        if inputs["ApplyMaskInverted"]["Value"] == 1:
            mask = 1 - mask
        merged = {name: above[name] + below[name] * (1 - above["Alpha"]) for name in PLANES}
        return {name: below[name] + (merged[name] - below[name]) * mask for name in PLANES}


SPEC = CompSpec(
    name="line 1",
    width=8,
    height=6,
    rate=Fraction(25),
    first=1010,
    last=1013,
    plate=Footage(path='/plates/a "b"/shot.####.exr', first=1001, count=20, start=1001),
    layers=Footage(path="exr/layers.######.exr", first=1010, count=4, start=1010),
    values="code values",
)


class Files:
    def __init__(self) -> None:
        self.read: list[tuple[str, int]] = []

    def __call__(self, file: str, position: int) -> Image:
        self.read.append((file, position))
        rng = np.random.default_rng(len(file))
        names = ("R", "G", "B", "A", "uncertainty.matte", "patch.R", "patch.G", "patch.B", "patch.A")
        image = {name: rng.random((6, 8)) for name in names}
        for name in "RGBA" if "layers" in file else "":
            image[name][:2] = 0
        return {**image, **dict(zip(PLANES, (image[c] for c in "RGBA"), strict=True))}


def unpainted(image: Image) -> Image:
    return image


def painted(image: Image) -> Image:
    white = {name: plane.copy() for name, plane in image.items()}
    for plane in white.values():
        plane[3:5, 2:6] = 1
    return white


def run(spec: CompSpec, frame: int, paint: Callable[[Image], Image] = unpainted, **options: Any) -> tuple[Image, Files]:
    files = Files()
    fusion = Fusion(fusion_comp(spec, **options), files, "/takes/line", paint)
    return fusion.image("MediaOut1" if options.get("media_in") else "Comp", frame), files


def test_flagging_is_the_patch_over_the_plate() -> None:
    comp, files = run(SPEC, 1011)
    assert set(files.read) == {("/takes/line/exr/layers.001011.exr", 1), ('/plates/a "b"/shot.1011.exr', 10)}
    patch, plate = files("/takes/line/exr/layers.001011.exr", 1), files('/plates/a "b"/shot.1011.exr', 10)
    for name in PLANES[:3]:
        np.testing.assert_allclose(comp[name], patch[name] + plate[name] * (1 - patch["Alpha"]), atol=1e-12)
        np.testing.assert_array_equal(comp[name][:2], plate[name][:2])


@pytest.mark.parametrize(("frame", "amount"), [(1010, 0.0), (1011, 1.0), (1012, 1.0), (1013, 0.25)])
def test_paint_holds_the_plate_as_much_as_the_frame_says(frame: int, amount: float) -> None:
    keys = ((1010, 0.0), (1011, 1.0), (1012, 1.0), (1013, 0.25))
    comp, files = run(dataclasses.replace(SPEC, patch_layer="patch", amount=keys), frame, painted)
    layers, plate = files(f"/takes/line/exr/layers.{frame:06d}.exr", 0), files('/plates/a "b"/shot.1011.exr', 0)
    matte = layers["uncertainty.matte"].copy()
    matte[3:5, 2:6] = 1
    for name in PLANES[:3]:
        coverage = layers["patch.A"] * (1 - amount * matte)
        expected = layers[f"patch.{name[0]}"] * (1 - amount * matte) + plate[name] * (1 - coverage)
        np.testing.assert_allclose(comp[name], expected, atol=1e-12)
        if amount == 1:
            np.testing.assert_array_equal(comp[name][3:5, 2:6], plate[name][3:5, 2:6])


def test_resolve_takes_the_plate_from_the_clip_and_counts_from_its_first_frame() -> None:
    comp, files = run(SPEC, 1, start=0, media_in=True, root="/abs")
    assert set(files.read) == {("MediaIn", 1), ("/abs/exr/layers.001011.exr", 1)}
    patch, plate = files("/abs/exr/layers.001011.exr", 1), files("MediaIn", 1)
    np.testing.assert_allclose(comp["Red"], patch["Red"] + plate["Red"] * (1 - patch["Alpha"]), atol=1e-12)


def test_one_amount_for_the_whole_take_needs_no_curve() -> None:
    text = fusion_comp(dataclasses.replace(SPEC, amount=((1010, 0.5),)))
    assert parse(text)["Tools"]["HoldAmount"]["Inputs"]["Gain"]["Value"] == 0.5
    assert "BezierSpline" not in text


def test_the_painted_matte_is_saved_where_it_is_read_back() -> None:
    tools = parse(fusion_comp(SPEC))["Tools"]
    saver = tools["MatteOut"]["Inputs"]
    assert saver["Input"]["SourceOp"] == "TouchUp"
    assert saver["Clip"]["Value"]["Filename"] == "Comp:/edited/matte..exr", "Fusion puts the number between the dots"


def test_the_composition_lasts_as_long_as_the_take() -> None:
    comp = parse(fusion_comp(SPEC))
    assert comp["RenderRange"].items == comp["GlobalRange"].items == [1010, 1013]
    frame = comp["Prefs"]["Comp"]["FrameFormat"]
    assert (frame["Width"], frame["Height"], frame["Rate"]) == (8, 6, 25)


def test_the_composition_beside_a_take_rebuilds_its_comp(held_take: Take) -> None:
    import OpenEXR

    with open_plate(Path(held_take.manifest["inputs"]["plate"]["path"])) as plate:
        frames = {frame.index: frame.rgb / 255 for frame in plate.frames()}

    def load(file: str, position: int) -> Image:
        if file.endswith(".mov"):
            rgb = frames[position]
            return {"R": rgb[..., 0], "G": rgb[..., 1], "B": rgb[..., 2], "A": np.ones((240, 320))}
        image = {}
        with OpenEXR.File(file, separate_channels=True) as exr:
            (x0, y0), (x1, y1) = exr.header()["dataWindow"]
            for name, channel in exr.channels().items():
                image[name] = np.zeros((240, 320))
                image[name][y0 : y1 + 1, x0 : x1 + 1] = channel.pixels
        return image

    text = (held_take.path / "comp.comp").read_text("utf-8")
    fusion = Fusion(text, load, str(held_take.path), unpainted)
    with open_plate(held_take.path / "png" / "dub.######.png") as dub:
        for number, wanted in zip((4, 5, 6), dub.frames(), strict=True):
            comp = fusion.image("Comp", number)
            picture = np.stack([comp[name] for name in PLANES[:3]], axis=-1) * 255
            assert np.abs(picture - wanted.rgb).max() < 1.2, "the take's two roundings to 8 bits, and half floats"
