"""`report.png`: a contact sheet that a person can judge in five seconds.

Rows are frames, the worst first, then typical ones: plate | dub | σ in code values | uncertainty matte. Below them σ
over time, with the stretches worth a review and the frames that passed through. Nothing in it depends on the clock, so
equal takes give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from julnet_plugin.compose import report_draw as ink
from julnet_plugin.matte.spans import UNEASY_CV, FrameStats, ReviewSpan, typical_cv
from julnet_plugin.types import Patch, Rect

if TYPE_CHECKING:
    from julnet_plugin.compose.paste import DisplayTransform
    from julnet_plugin.types import FloatArray, PixelArray

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Choice = Literal["worst", "typical"]

_WIDTH, _MARGIN, _SIDE, _GAP = 1600, 28, 190, 10
_PANEL_W = (_WIDTH - 2 * _MARGIN - _SIDE - 3 * _GAP) // 4
_PANEL_H = _PANEL_W * 3 // 4
_HEADER, _TITLES, _GRAPH = 132, 46, 190
_COLOURS: dict[Choice, ink.Colour] = {"worst": ink.RED, "typical": ink.GREEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportHeader:
    """What stands at the top of the sheet."""

    plate: str
    dub: str
    model: str
    facts: tuple[str, ...] = ()  #: size, rate, range …: joined by dots
    warnings: tuple[str, ...] = ()  #: one sentence each; the first two are shown


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportFrame:
    """One row: the surroundings of the face on one frame, already display-referred.

    Shape:
        plate, dub: (h, w, 3) uint8.
        expected_cv: (h, w) expected error, code values of 255.
        matte, region: (h, w) in [0, 1].
    """

    frame: int
    choice: Choice
    plate: UInt8
    dub: UInt8
    expected_cv: Float32
    matte: Float32
    region: Float32


def choose_frames(stats: Sequence[FrameStats], worst: int = 3, typical: int = 2) -> list[tuple[int, Choice]]:
    """The frames to show: the worst, then typical ones, none next to another.

    Returns:
        (frame, choice), worst first; fewer where the take is short; empty when no frame has a face.
    """
    found = [s for s in stats if s.found]
    if not found:
        return []
    apart = max(len(stats) // (3 * (worst + typical)), 1)
    level = {s.frame: s.sigma_mean_cv for s in found}
    median = float(np.median(list(level.values())))
    by_error = sorted(level, key=lambda f: (-level[f], f))
    chosen: list[tuple[int, Choice]] = []
    _pick(chosen, by_error, "worst", worst, apart)
    _pick(chosen, sorted(level, key=lambda f: (abs(level[f] - median), f)), "typical", typical, apart)
    return chosen


def report_frame(
    frame: int,
    choice: Choice,
    plate: PixelArray,
    patch: Patch,
    transform: DisplayTransform,
    calibrate: Callable[[FloatArray], FloatArray] | None = None,
) -> ReportFrame:
    """Cut one row's pictures out of a frame.

    Args:
        frame: plate frame number.
        choice: why it is shown.
        plate: (H, W, 3) in the plate's values.
        patch: what the effect changed.
        transform: plate values to display RGB.
        calibrate: σ to expected error, both in display values; None shows σ as it is.
    """
    window = _surroundings(patch.rect, plate.shape[:2])
    part = plate[window.slices]
    dub = part.copy()
    y, x = patch.rect.y0 - window.y0, patch.rect.x0 - window.x0
    inside = slice(y, y + patch.rect.height), slice(x, x + patch.rect.width)
    dub[inside] = patch.pixels

    def whole(layer: NDArray[Any]) -> Float32:
        placed = np.zeros(part.shape[:2], np.float32)
        placed[inside] = layer
        return placed

    drawn = np.maximum(patch.coverage, patch.sigma > 0)  # a plate held by the matte was still drawn
    return ReportFrame(
        frame=frame,
        choice=choice,
        plate=_eight_bits(transform.to_display(part)),
        dub=_eight_bits(transform.to_display(dub)),
        expected_cv=whole((patch.sigma if calibrate is None else calibrate(patch.sigma) * (patch.sigma > 0)) * 255),
        matte=whole(patch.matte),
        region=whole(drawn),
    )


def render_report(
    header: ReportHeader,
    frames: Sequence[ReportFrame],
    stats: Sequence[FrameStats],
    spans: Sequence[ReviewSpan],
    label: Callable[[int], str] = str,
) -> UInt8:
    """Draw the sheet.

    Args:
        header: what the take is.
        frames: rows, in the order to show them.
        stats: one entry a frame of the take, in order.
        spans: stretches worth a review, worst first.
        label: frame number to timecode, or whatever the user counts in.

    Returns:
        (H, 1600, 3) RGB.
    """
    row = _PANEL_H + _GAP
    rows = row * len(frames) if frames else 60
    height = _HEADER + _TITLES + rows + 44 + _GRAPH + _MARGIN
    sheet = Image.new("RGB", (_WIDTH, height), ink.PAPER)
    _draw_header(sheet, header, stats, spans)
    _draw_titles(sheet, _HEADER)
    if not frames:
        ink.write(sheet, (_MARGIN, _HEADER + _TITLES + 30), "No frame was re-dubbed: all pass through.", 18, ink.DIM)
    for index, shown in enumerate(frames):
        _draw_row(sheet, shown, _HEADER + _TITLES + row * index, stats, spans, label)
    top = _HEADER + _TITLES + rows + 34
    marks = [(shown.frame, _COLOURS[shown.choice]) for shown in frames]
    _draw_graph_title(sheet, top, any(not s.found for s in stats), bool(spans))
    if stats:
        sheet.paste(ink.graph(stats, spans, marks, (_WIDTH - 2 * _MARGIN, _GRAPH), label), (_MARGIN, top + 10))
    return np.asarray(sheet, np.uint8)


def write_report(
    path: Path,
    header: ReportHeader,
    frames: Sequence[ReportFrame],
    stats: Sequence[FrameStats],
    spans: Sequence[ReviewSpan],
    label: Callable[[int], str] = str,
) -> None:
    """Draw the sheet and write it as PNG; see `render_report`. The caller renames the file into place."""
    Image.fromarray(render_report(header, frames, stats, spans, label)).save(path, format="PNG", compress_level=2)


def _pick(chosen: list[tuple[int, Choice]], order: Sequence[int], choice: Choice, count: int, apart: int) -> None:
    """Take the first frames of an order that keep their distance from all chosen so far."""
    taken = 0
    for frame in order:
        if taken == count:
            return
        if all(abs(frame - other) >= apart for other, _ in chosen):
            chosen.append((frame, choice))
            taken += 1


def _surroundings(rect: Rect, plate_size: tuple[int, ...]) -> Rect:
    """A 4:3 window around a patch, about twice its size, shifted to stay on the plate."""
    height, width = plate_size[0], plate_size[1]
    side = max(rect.height * 1.9, rect.width * 1.9 * 3 / 4, 24)
    h, w = min(round(side), height), min(round(side * 4 / 3), width)
    y = min(max((rect.y0 + rect.y1 - h) // 2 - round(0.08 * h), 0), height - h)
    x = min(max((rect.x0 + rect.x1 - w) // 2, 0), width - w)
    # never smaller than the patch itself
    return Rect(x0=min(x, rect.x0), y0=min(y, rect.y0), x1=max(x + w, rect.x1), y1=max(y + h, rect.y1))


def _eight_bits(display: Float32) -> UInt8:
    return np.asarray(np.rint(np.clip(display, 0, 1) * 255), np.uint8)


def _draw_header(
    sheet: Image.Image, header: ReportHeader, stats: Sequence[FrameStats], spans: Sequence[ReviewSpan]
) -> None:
    chip = verdict(stats, spans)
    chip_w = ink.font(17, bold=True).getlength(chip[0]) + 32
    ImageDraw.Draw(sheet).rounded_rectangle(
        (_WIDTH - _MARGIN - chip_w, 24, _WIDTH - _MARGIN, 62), radius=19, outline=chip[1], width=2
    )
    ink.write(sheet, (_WIDTH - _MARGIN - chip_w / 2, 49), chip[0], 17, chip[1], bold=True, anchor="ms")
    room = _WIDTH - 2 * _MARGIN - chip_w - 40
    used = ink.write(sheet, (_MARGIN, 50), ink.fitted(header.plate, 25, room * 0.6, bold=True), 25, bold=True)
    dub = ink.fitted(header.dub, 25, room - used - 60)
    used += ink.write(sheet, (_MARGIN + used + 14, 50), "+", 25, ink.DIM) + 14
    ink.write(sheet, (_MARGIN + used + 14, 50), dub, 25)
    facts = "  ·  ".join((f"model {header.model}", *header.facts))
    warnings = (*header.warnings[:2], "", "")
    for y, text, colour, warning in ((106, _numbers(stats), ink.INK, warnings[0]), (80, facts, ink.DIM, warnings[1])):
        shown = ink.fitted(text, 15, (_WIDTH - 2 * _MARGIN) * (0.5 if warning else 1))
        start = _MARGIN + ink.write(sheet, (_MARGIN, y), shown, 15, colour) + 36
        ink.write(sheet, (start, y), ink.fitted(warning, 15, _WIDTH - _MARGIN - start), 15, ink.AMBER)
    ImageDraw.Draw(sheet).line((_MARGIN, _HEADER - 8, _WIDTH - _MARGIN, _HEADER - 8), fill=ink.RULE)


def verdict(stats: Sequence[FrameStats], spans: Sequence[ReviewSpan]) -> tuple[str, ink.Colour]:
    """What to do with the take, in a few words."""
    if not any(s.found for s in stats):
        return "nothing was re-dubbed", ink.RED
    if typical_cv(s.sigma_mean_cv for s in stats if s.found) >= UNEASY_CV:
        return "uncertain throughout: review all of it", ink.RED
    frames = sum(s.stop - s.start for s in spans)
    if not frames:
        return "no stretch stands out", ink.GREEN
    noun = "stretch" if len(spans) == 1 else "stretches"
    share = frames / max(sum(s.found for s in stats), 1)
    return f"review {len(spans)} {noun}, {frames} frames", ink.RED if share > 0.5 else ink.AMBER


def _numbers(stats: Sequence[FrameStats]) -> str:
    levels = [s.sigma_mean_cv for s in stats if s.found]
    passed = len(stats) - len(levels)
    counted = f"{len(levels)} of {len(stats)} frames re-dubbed" if passed else f"all {len(stats)} frames re-dubbed"
    if not levels:
        return counted
    typical, worst = typical_cv(levels), max(levels)
    return f"{counted}  ·  expected error: typical ±{typical:.0f}, worst frame ±{worst:.0f} code values of 255"


def _panel_x(column: int) -> int:
    return _MARGIN + _SIDE + column * (_PANEL_W + _GAP)


def _draw_titles(sheet: Image.Image, top: int) -> None:
    for column, (title, note) in enumerate(
        (("plate", ""), ("dub", ""), ("σ", ""), ("uncertainty matte", "red = look here"))
    ):
        used = ink.write(sheet, (_panel_x(column), top + 26), title, 16, bold=True)
        if column == 2:
            ink.legend(sheet, _panel_x(column) + 34, top + 14, _PANEL_W - 152)
            ink.write(sheet, (_panel_x(column) + _PANEL_W - 94, top + 26), "code values", 13, ink.DIM)
        elif note:
            ink.write(sheet, (_panel_x(column) + used + 12, top + 26), note, 13, ink.DIM)


def _draw_row(
    sheet: Image.Image,
    shown: ReportFrame,
    top: int,
    stats: Sequence[FrameStats],
    spans: Sequence[ReviewSpan],
    label: Callable[[int], str],
) -> None:
    pictures = (
        shown.plate,
        shown.dub,
        ink.heat_panel(shown.dub, shown.expected_cv, shown.region),
        ink.matte_panel(shown.dub, shown.matte, shown.region),
    )
    for column, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(_fit(picture)), (_panel_x(column), top))
    level = next((s.sigma_mean_cv for s in stats if s.frame == shown.frame), float("nan"))
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((_MARGIN, top, _MARGIN + 3, top + _PANEL_H - 1), fill=_COLOURS[shown.choice])
    x = _MARGIN + 16
    ink.write(sheet, (x, top + 18), shown.choice, 14, _COLOURS[shown.choice], bold=True)
    ink.write(sheet, (x, top + 46), f"frame {shown.frame}", 19, bold=True)
    text = label(shown.frame)
    if text != str(shown.frame):
        ink.write(sheet, (x, top + 68), text, 14, ink.DIM)
    ink.write(sheet, (x, top + 100), f"±{level:.0f}", 24, bold=True)
    ink.write(sheet, (x + 58, top + 100), "code values", 13, ink.DIM)
    rank, span = next(((i, s) for i, s in enumerate(spans, 1) if s.start <= shown.frame < s.stop), (0, None))
    if span is not None:
        lines = ink.wrapped(f"stretch {rank}: {', '.join(span.reasons)}", 13, _SIDE - 28, 6)
        for index, line in enumerate(lines):
            ink.write(sheet, (x, top + 128 + 18 * index), line, 13, ink.AMBER)


def _draw_graph_title(sheet: Image.Image, top: int, gaps: bool, spans: bool) -> None:
    x: float = _MARGIN
    x += ink.write(sheet, (x, top), "σ over time", 16, bold=True) + 14
    x += ink.write(sheet, (x, top), "line: frame mean   veil: 95th percentile, code values", 13, ink.DIM) + 22
    if spans:
        x += ink.write(sheet, (x, top), "amber: worth a review, by rank", 13, ink.AMBER) + 22
    if gaps:
        ink.write(sheet, (x, top), "hatched: original picture, passed through", 13, ink.DIM)


def _fit(picture: UInt8) -> UInt8:
    """Fill a panel with a picture, keeping its aspect; what is left over is dark."""
    height, width = picture.shape[:2]
    scale = min(_PANEL_W / width, _PANEL_H / height)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    panel = np.full((_PANEL_H, _PANEL_W, 3), ink.PANEL, np.uint8)
    y, x = (_PANEL_H - size[1]) // 2, (_PANEL_W - size[0]) // 2
    panel[y : y + size[1], x : x + size[0]] = cv2.resize(picture, size, interpolation=method)
    return panel
