"""Pens and colours of the report: text, heat maps, legend, the graph of σ over time. Pillow and OpenCV only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from julnet_plugin.matte.spans import FrameStats, ReviewSpan

UInt8 = NDArray[np.uint8]
Colour = tuple[int, int, int]

PAPER: Colour = (24, 26, 30)
PANEL: Colour = (34, 37, 42)
RULE: Colour = (62, 66, 73)
DIM: Colour = (146, 152, 161)
INK: Colour = (233, 235, 238)
AMBER: Colour = (255, 176, 32)
GREEN: Colour = (92, 200, 120)
RED: Colour = (255, 92, 72)
BLUE: Colour = (108, 178, 255)

HEAT_TOP_CV = 32.0  #: the heat map's white end, code values; the same in every report, so that reports compare
_SUPER = 2  #: the graph is drawn this much larger and reduced, for smooth lines


@lru_cache(maxsize=16)
def font(size: int, *, bold: bool = False) -> Any:
    """A font with Greek letters where one is installed beside a library we need, else Pillow's own."""
    spec = find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        file = Path(spec.origin).parent / f"mpl-data/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf"
        if file.is_file():
            return ImageFont.truetype(str(file), size)
    return ImageFont.load_default(size)


def write(
    image: Image.Image, at: tuple[float, float], text: str, size: int, colour: Colour = INK, *, bold: bool = False,
    anchor: str = "ls",
) -> float:  # fmt: skip
    """Write one line; returns its width. `anchor` as Pillow's: "ls" starts on the baseline."""
    pen = font(size, bold=bold)
    plain = one_line(text)
    shown = plain if "DejaVu" in str(pen.getname()[0]) else plain.replace("σ", "sigma").replace("–", "-")
    ImageDraw.Draw(image).text(at, shown, font=pen, fill=colour, anchor=anchor)
    return float(pen.getlength(shown))


def one_line(text: str) -> str:
    """The text without line ends and other characters that cannot be drawn: names and warnings may hold any."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def fitted(text: str, size: int, width: float, *, bold: bool = False) -> str:
    """The text, or as much of both its ends as fits the width."""
    pen, text = font(size, bold=bold), one_line(text)
    if pen.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 4, -1):
        short = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if pen.getlength(short) <= width:
            return short
    return text[:3]


def wrapped(text: str, size: int, width: float, lines: int) -> list[str]:
    """Break a text into at most `lines` lines; what does not fit ends in an ellipsis."""
    pen, rows = font(size), [""]
    for word in one_line(text).split():
        longer = f"{rows[-1]} {word}".strip()
        if pen.getlength(longer) <= width or not rows[-1]:
            rows[-1] = longer
        elif len(rows) == lines:
            rows[-1] = fitted(f"{rows[-1]} {word}", size, width)
            break
        else:
            rows.append(word)
    return rows


def heat(expected_cv: NDArray[np.floating[Any]]) -> UInt8:
    """Expected error in code values to colour: black is trusted, yellow-white is `HEAT_TOP_CV` and above."""
    scaled = np.clip(expected_cv * (255 / HEAT_TOP_CV), 0, 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(scaled, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


def heat_panel(dub: UInt8, expected_cv: NDArray[np.floating[Any]], region: NDArray[np.floating[Any]]) -> UInt8:
    """σ as colour inside the region, over a dim grey picture that says where on the face it is."""
    grey = np.repeat((dub.mean(axis=-1, keepdims=True) * 0.28), 3, axis=-1)
    share = np.clip(region, 0, 1)[..., None]
    return np.asarray(grey * (1 - share) + heat(expected_cv) * share, np.uint8)


def matte_panel(dub: UInt8, matte: NDArray[np.floating[Any]], region: NDArray[np.floating[Any]]) -> UInt8:
    """The uncertainty matte as red light on a pale picture, and a thin line round what was generated."""
    grey = dub.mean(axis=-1, keepdims=True) * 0.62 + 24
    share = 0.78 * np.clip(matte, 0, 1)[..., None]
    tinted = grey * (1 - share) + np.array(RED, np.float32) * share
    panel = np.ascontiguousarray(np.clip(tinted, 0, 255).astype(np.uint8))
    if panel.shape[-1] == 1:
        panel = np.repeat(panel, 3, axis=-1)
    outline, _ = cv2.findContours((region > 0.02).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(panel, outline, -1, (225, 228, 232), 1, cv2.LINE_AA), np.uint8)


def legend(image: Image.Image, x: int, y: int, width: int) -> None:
    """The heat map's scale, in code values of 255."""
    ramp = heat(np.linspace(0, HEAT_TOP_CV, width, dtype=np.float32)[None].repeat(8, axis=0))
    image.paste(Image.fromarray(ramp), (x, y))
    ImageDraw.Draw(image).rectangle((x - 1, y - 1, x + width, y + 8), outline=RULE)
    for value in (0, 8, 16, 24, 32):
        label = f"{value}" if value < HEAT_TOP_CV else "32+"
        write(image, (x + width * value / HEAT_TOP_CV, y + 21), label, 11, DIM, anchor="ms")


def graph(
    stats: Sequence[FrameStats],
    spans: Sequence[ReviewSpan],
    marks: Sequence[tuple[int, Colour]],
    size: tuple[int, int],
    label: Callable[[int], str],
) -> Image.Image:
    """Expected error over time: mean as a line, 95th percentile as a veil, spans amber, passed-through frames hatched.

    Args:
        stats: one entry a frame, in order.
        spans: stretches to review, worst first; they get their rank.
        marks: (frame, colour) of the frames shown above.
        size: (width, height) of the picture.
        label: frame number to what stands under the axis.
    """
    width, height = size[0] * _SUPER, size[1] * _SUPER
    left, right, top, bottom = 44 * _SUPER, 14 * _SUPER, 18 * _SUPER, 26 * _SUPER
    first, count = stats[0].frame, max(len(stats), 1)
    edges = np.linspace(0, count, min(count, (width - left - right) // 2) + 1)  # one point a frame, or the peaks
    mean, p95, found = (per_column(values, edges) for values in series(stats))
    ceiling = 4.0 * float(np.ceil(max(12.0, float(np.nanmax(p95, initial=0)) * 1.12) / 4))

    def across(frame: float) -> float:
        return left + (frame - first) / count * (width - left - right)

    def up(value: float) -> float:
        return height - bottom - min(value, ceiling) / ceiling * (height - top - bottom)

    image = Image.new("RGB", (width, height), PANEL)
    draw = ImageDraw.Draw(image)
    floor = height - bottom
    for span in spans:
        draw.rectangle(
            (across(span.start), top, max(across(span.stop), across(span.start) + 3), floor), fill=(74, 60, 34)
        )
    _hatch(image, [(across(a), across(b)) for a, b in gaps(stats)], top, floor)
    step = 4
    while ceiling > 4 * step:
        step *= 2
    for value in range(0, int(ceiling) + 1, step):
        draw.line((left, up(value), width - right, up(value)), fill=RULE, width=_SUPER // 2 or 1)
        write(image, (left - 8 * _SUPER, up(value) + 4 * _SUPER), str(value), 11 * _SUPER, DIM, anchor="rs")
    x = [across(first + e) for e in (edges[:-1] + edges[1:]) / 2]
    for a, b in runs(found > 0):
        veil = [(x[i], up(p95[i])) for i in range(a, b)] + [(x[i], up(0)) for i in range(b - 1, a - 1, -1)]
        draw.polygon([*veil, veil[0]], fill=(48, 62, 80)) if b - a > 1 else None
    for a, b in runs(found > 0):
        draw.line([(x[i], up(mean[i])) for i in range(a, b)], fill=BLUE, width=2 * _SUPER, joint="curve")
    _axis(image, stats, across, floor, label)
    for rank, span in enumerate(spans[:9], 1):
        middle = (across(span.start) + across(span.stop)) / 2
        write(image, (middle, top - 4 * _SUPER), str(rank), 11 * _SUPER, AMBER, bold=True, anchor="ms")
    for frame, colour in marks:
        at = across(frame + 0.5)
        draw.line((at, top, at, floor), fill=colour, width=_SUPER)
        draw.polygon([(at - 10, floor + 12), (at + 10, floor + 12), (at, floor)], fill=colour)
    return image.resize(size, Image.Resampling.LANCZOS)


def series(stats: Sequence[FrameStats]) -> tuple[list[float], list[float], list[float]]:
    """Mean, 95th percentile (NaN where a frame passes through) and 1 where a frame was re-dubbed."""
    return (
        [s.sigma_mean_cv if s.found else np.nan for s in stats],
        [s.sigma_p95_cv if s.found else np.nan for s in stats],
        [float(s.found) for s in stats],
    )


def per_column(values: list[float], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest value of each column's frames; a long take must not lose its peaks. NaN where nothing is known."""
    array, result = np.array(values), np.full(len(edges) - 1, np.nan)
    for i, (a, b) in enumerate(pairwise(edges)):
        part = array[int(a) : max(int(np.ceil(b)), int(a) + 1)]
        if np.isfinite(part).any():
            result[i] = np.nanmax(part)
    return result


def runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def gaps(stats: Sequence[FrameStats]) -> list[tuple[int, int]]:
    """Half-open frame ranges that pass through."""
    passed = runs(np.array([not s.found for s in stats]))
    return [(stats[a].frame, stats[b - 1].frame + 1) for a, b in passed]


def _hatch(image: Image.Image, ranges: Sequence[tuple[float, float]], top: int, bottom: int) -> None:
    """Diagonal lines over frames that pass through."""
    if not ranges:
        return
    lines = Image.new("RGB", image.size, (44, 47, 53))
    pen = ImageDraw.Draw(lines)
    for x in range(-image.height, image.width, 12):
        pen.line((x, image.height, x + image.height, 0), fill=(84, 89, 97), width=2)
    mask = Image.new("L", image.size, 0)
    for a, b in ranges:
        ImageDraw.Draw(mask).rectangle((a, top, max(b, a + 2), bottom), fill=255)
    image.paste(lines, (0, 0), mask)


def _axis(
    image: Image.Image, stats: Sequence[FrameStats], across: Callable[[float], float], floor: int,
    label: Callable[[int], str],
) -> None:  # fmt: skip
    """A handful of labels under the graph, and its floor."""
    draw = ImageDraw.Draw(image)
    first, count = stats[0].frame, len(stats)
    draw.line((across(first), floor, across(first + count), floor), fill=DIM, width=_SUPER)
    shown = min(count, 7)
    for index in sorted({round(i * (count - 1) / max(shown - 1, 1)) for i in range(shown)}):
        at = across(first + index + 0.5)
        anchor = "ls" if index == 0 else "rs" if index == count - 1 and count > 1 else "ms"
        write(image, (at, floor + 21 * _SUPER), label(first + index), 11 * _SUPER, DIM, anchor=anchor)
