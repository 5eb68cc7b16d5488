"""The Nuke script of a take, read and evaluated by a small Nuke: its stack, its knobs and the nodes that it uses."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from julnet_plugin.interchange.comp import CompSpec, Footage, comp_of
from julnet_plugin.interchange.nuke import BESIDE, nuke_script
from julnet_plugin.media.reader import open_plate
from julnet_plugin.types import Take

Image = dict[str, np.ndarray]  #: (H, W) by channel, "rgba.red" …
Load = Callable[[str, int], Image]  #: file name with its number in it, frame in the file (movies) -> channels
RGBA = ("rgba.red", "rgba.green", "rgba.blue", "rgba.alpha")
INPUTS = {"Read": 0, "RotoPaint": 1, "Multiply": 1, "Copy": 2, "Merge2": 2, "Write": 1, "StickyNote": 0, "Root": 0}
KNOBS = {
    "Read": "file_type file format first last origfirst origlast origset frame_mode frame before after raw",
    "Copy": "from0 to0 from1 to1 from2 to2 from3 to3",
    "Merge2": "operation output",
    "Multiply": "channels value",
    "Write": "channels file file_type datatype raw create_directories checkHashOnRead",
    "RotoPaint": "",
    "StickyNote": "",
    "Root": "frame first_frame last_frame lock_range fps format",
}


@dataclass(eq=False)
class Node:
    kind: str
    knobs: dict[str, str]
    inputs: list[Node] = field(default_factory=list)


def words(text: str) -> list[str]:
    """TCL words: plain, "quoted" with backslashes, {braced} as they are, newlines and ; as a word "\\n"."""
    found, at = [], 0
    while at < len(text):
        rest = text[at:]
        if match := re.match(r"[ \t]+", rest):
            pass
        elif match := re.match(r"[\n;]", rest):
            found.append("\n")
        elif match := re.match(r'"((?:[^"\\]|\\.)*)"', rest, re.DOTALL):
            assert "[" not in re.sub(r"\\.", "", match[1]), "TCL would be run while the script is read"
            found.append(re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), match[1], flags=re.DOTALL))
        elif rest[0] == "{":
            found.append(rest[: _closing(rest)])
            at += _closing(rest)
            continue
        elif match := re.match(r'[^\s;"{}]+', rest):
            found.append(match[0])
        assert match is not None, rest[:40]
        at += match.end()
    return found


def _closing(text: str) -> int:
    """Where the brace that the text begins with is closed. TCL counts braces in quotes, but not escaped ones."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    raise AssertionError("an open brace")


def parse(script: str) -> dict[str, Node]:
    """Nodes by name, wired by the stack machine."""
    nodes: dict[str, Node] = {}
    stack: list[Node] = []
    names: dict[str, Node] = {}
    layers = {"rgba"}
    for line in _lines(words(script)):
        match line:
            case ["version", *_]:
                pass
            case ["add_layer", layer]:
                layers.add(layer.strip("{}").split()[0])
            case ["set", name, "[stack", "0]"]:
                names[name] = stack[-1]
            case ["push", name]:
                stack.append(names[name.removeprefix("$")])
            case [kind, body]:
                knobs = dict(_knob(line) for line in _lines(words(body[1:-1])))
                count = int(knobs.pop("inputs", 1))
                assert count == INPUTS[kind], kind
                allowed = {*KNOBS[kind].split(), "name", "label", "xpos", "ypos"}
                assert set(knobs) <= allowed, set(knobs) - allowed
                node = Node(kind, knobs, [stack.pop() for _ in range(count)])
                if kind != "Root":
                    stack.append(node)
                    assert knobs["name"] not in nodes, "two nodes of one name"
                nodes[knobs.get("name", "Root")] = node
            case _:
                raise AssertionError(line)
    named = re.findall(
        r"\b(\w+)\.(?:red|green|blue|alpha|matte|sigma)\b", " ".join(str(n.knobs) for n in nodes.values())
    )
    assert set(named) <= layers, "a layer that was not declared"
    return nodes


def _knob(line: list[str]) -> tuple[str, str]:
    name, value = line
    return name, value


def _lines(tokens: list[str]) -> list[list[str]]:
    lines: list[list[str]] = [[]]
    for token in tokens:
        if token == "\n":
            lines.append([])
        else:
            lines[-1].append(token)
    return [line for line in lines if line]


def number(knob: str, frame: int) -> float:
    """A number, or a curve of straight lines."""
    match = re.fullmatch(r"\{\{curve L (.*)\}\}", knob)
    if match is None:
        return float(knob)
    keys = match[1].replace("x", "").split()
    return float(np.interp(frame, [float(k) for k in keys[::2]], [float(k) for k in keys[1::2]]))


def file_of(knob: str, folder: str) -> str:
    """What Nuke makes of a file knob: the one TCL expression that the script may use, and escaped brackets."""
    return re.sub(r"\\([\[$])", r"\1", knob.replace(BESIDE, folder))


def evaluate(node: Node, frame: int, load: Load, folder: str, paint: Callable[[Image], Image]) -> Image:
    """The channels of a node on a frame."""
    images = [evaluate(parent, frame, load, folder, paint) for parent in node.inputs]
    knobs = node.knobs
    if node.kind == "Read":
        own = frame
        if knobs.get("frame_mode") == "start at":
            own = int(knobs["first"]) + frame - int(knobs["frame"])
        assert knobs["raw"] == "true"
        assert int(knobs["first"]) <= own <= int(knobs["last"])
        file = file_of(knobs["file"], folder)
        return load(file % own if "%" in file else file, own)
    if node.kind == "RotoPaint":
        return paint(images[0])
    if node.kind == "Copy":
        b, a = images
        pairs = [(knobs[f"from{k}"], knobs[f"to{k}"]) for k in range(4)]
        return {**b, **{to: a[source] for source, to in pairs}}
    if node.kind == "Multiply":
        gain = number(knobs["value"], frame)
        return {**images[0], **{name: images[0][name] * gain for name in RGBA}}
    if node.kind == "Merge2":
        return _merged(knobs, *images)
    return images[0]


def _merged(knobs: dict[str, str], b: Image, a: Image) -> Image:
    out = RGBA if knobs["output"] == "rgba" else RGBA[:3]
    alpha = a["rgba.alpha"]
    if knobs["operation"] == "stencil":
        return {**b, **{name: b[name] * (1 - alpha) for name in out}}
    assert knobs["operation"] == "over"
    return {**b, **{name: a[name] + b[name] * (1 - alpha) for name in out}}


SPEC = CompSpec(
    name="line 1",
    width=8,
    height=6,
    rate=Fraction(24000, 1001),
    first=1010,
    last=1013,
    plate=Footage(path="/plates/a [v2]/shot.####.exr", first=1001, count=20, start=1001),
    layers=Footage(path="exr/layers.######.exr", first=1010, count=4, start=1010),
    values="code values",
)


class Files:
    """Random pictures; remembers what was read."""

    def __init__(self) -> None:
        self.read: list[tuple[str, int]] = []

    def __call__(self, file: str, number: int) -> Image:
        self.read.append((file, number))
        rng = np.random.default_rng(len(file))
        names = [*RGBA, "uncertainty.matte", "patch.red", "patch.green", "patch.blue", "patch.alpha"]
        image = {name: rng.random((6, 8)) for name in names}
        image["rgba.alpha"][:2] = 0
        for name in RGBA[:3] if "layers" in file else ():
            image[name][:2] = 0
        return image


def unpainted(image: Image) -> Image:
    return image


def painted(image: Image) -> Image:
    white = {name: image[name].copy() for name in RGBA}
    for plane in white.values():
        plane[3:5, 2:6] = 1
    return {**image, **white}


def run(spec: CompSpec, frame: int, paint: Callable[[Image], Image] = unpainted, **options: Any) -> tuple[Image, Files]:
    files = Files()
    nodes = parse(nuke_script(spec, **options))
    return evaluate(nodes["Comp"], frame, files, "/takes/line", paint), files


def test_flagging_is_the_patch_over_the_plate() -> None:
    comp, files = run(SPEC, 1011)
    assert set(files.read) == {("/takes/line/exr/layers.001011.exr", 1011), ("/plates/a [v2]/shot.1011.exr", 1011)}
    patch, plate = files("/takes/line/exr/layers.001011.exr", 1011), files("/plates/a [v2]/shot.1011.exr", 1011)
    for name in RGBA[:3]:
        np.testing.assert_array_equal(comp[name], patch[name] + plate[name] * (1 - patch["rgba.alpha"]))
        np.testing.assert_array_equal(comp[name][:2], plate[name][:2])


@pytest.mark.parametrize(("frame", "amount"), [(1010, 0.0), (1011, 1.0), (1012, 1.0), (1013, 0.25)])
def test_paint_holds_the_plate_as_much_as_the_frame_says(frame: int, amount: float) -> None:
    keys = ((1010, 0.0), (1011, 1.0), (1012, 1.0), (1013, 0.25))
    spec = dataclasses.replace(SPEC, patch_layer="patch", amount=keys)
    comp, files = run(spec, frame, painted)
    layers, plate = files(f"/takes/line/exr/layers.{frame:06d}.exr", frame), files("/plates/a [v2]/shot.1011.exr", 0)
    matte = layers["uncertainty.matte"].copy()
    matte[3:5, 2:6] = 1
    for name, source in zip(RGBA[:3], ("patch.red", "patch.green", "patch.blue"), strict=True):
        coverage = layers["patch.alpha"] * (1 - amount * matte)
        expected = layers[source] * (1 - amount * matte) + plate[name] * (1 - coverage)
        np.testing.assert_allclose(comp[name], expected, atol=1e-12)
        if amount == 1:
            np.testing.assert_array_equal(comp[name][3:5, 2:6], plate[name][3:5, 2:6])


def test_a_movie_is_read_from_its_first_frame_and_can_lie_anywhere() -> None:
    movie = Footage(path="/plates/shot.mov", first=0, count=50, start=0, movie=True)
    layers = dataclasses.replace(SPEC.layers, first=10, start=10)
    spec = dataclasses.replace(SPEC, plate=movie, layers=layers, first=10, last=13)
    assert ("/plates/shot.mov", 12) in run(spec, 11)[1].read, "Nuke counts a movie's frames from 1"
    _, shifted = run(spec, 86401, start=86400, root="/abs")
    assert set(shifted.read) == {("/plates/shot.mov", 12), ("/abs/exr/layers.000011.exr", 11)}


def test_the_painted_matte_is_written_where_it_is_read_back() -> None:
    nodes = parse(nuke_script(SPEC))
    out = nodes["MatteOut"]
    assert out.inputs[0] is nodes["TouchUp"], "before the amount: the amount is the take's, not the matte's"
    assert file_of(out.knobs["file"], "/takes/line") == "/takes/line/edited/matte.%06d.exr"
    matte = evaluate(out, 1010, Files(), "/takes/line", unpainted)
    np.testing.assert_array_equal(matte["rgba.red"], matte["uncertainty.matte"])


def test_names_with_brackets_quotes_and_dollars_mean_themselves() -> None:
    plate = dataclasses.replace(SPEC.plate, path='/p/[date]/$HOME "x" {1/shot.####.exr')
    nodes = parse(nuke_script(dataclasses.replace(SPEC, plate=plate, name='a "quoted" [name] $x')))
    assert file_of(nodes["Plate"].knobs["file"], "") == '/p/[date]/$HOME "x" {1/shot.%04d.exr'
    assert '"quoted" \\[name] \\$x' in nodes["Note"].knobs["label"]


def test_project_settings_fit_the_plate_and_can_be_left_out() -> None:
    root = parse(nuke_script(SPEC))["Root"].knobs
    assert (root["first_frame"], root["last_frame"]) == ("1010", "1013")
    assert float(root["fps"]) == pytest.approx(24000 / 1001)
    assert root["format"].startswith("8 6 0 0 8 6 1 ")
    assert "Root" not in parse(nuke_script(SPEC, with_root=False))


def test_a_take_without_layers_has_no_comp() -> None:
    assert comp_of({"files": {"prores": "dub.mov"}, "plate": {}}, "take") is None


def test_the_script_beside_a_take_rebuilds_its_comp(held_take: Take) -> None:
    import OpenEXR

    nodes = parse((held_take.path / "comp.nk").read_text("utf-8"))
    with open_plate(Path(held_take.manifest["inputs"]["plate"]["path"])) as plate:
        frames = {frame.index: frame.rgb / 255 for frame in plate.frames()}

    def load(file: str, number: int) -> Image:
        if file.endswith(".mov"):
            return {name: frames[number - 1][..., k] for k, name in enumerate(RGBA[:3])}
        image = {}
        with OpenEXR.File(file, separate_channels=True) as exr:
            (x0, y0), (x1, y1) = exr.header()["dataWindow"]
            for name, channel in exr.channels().items():
                layer, _, last = name.rpartition(".")
                known = {"R": "red", "G": "green", "B": "blue", "A": "alpha"}
                whole = np.zeros((240, 320))
                whole[y0 : y1 + 1, x0 : x1 + 1] = channel.pixels
                image[f"{layer or 'rgba'}.{known.get(last, last)}"] = whole
        return image

    with open_plate(held_take.path / "png" / "dub.######.png") as dub:
        for number, wanted in zip((4, 5, 6), dub.frames(), strict=True):
            comp = evaluate(nodes["Comp"], number, load, str(held_take.path), unpainted)
            picture = np.stack([comp[name] for name in RGBA[:3]], axis=-1) * 255
            assert np.abs(picture - wanted.rgb).max() < 1.2, "the take's two roundings to 8 bits, and half floats"
            untouched = load(f"{held_take.path}/exr/layers.{number:06d}.exr", 0)["patch.alpha"] == 0
            assert np.array_equal(picture[untouched], frames[number][untouched] * 255)
