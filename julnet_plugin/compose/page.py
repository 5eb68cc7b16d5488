"""`report.html`: what a producer reads before anybody opens a take. One file, offline, on screen and on paper.

Pictures are embedded, nothing is fetched, every text is escaped. Nothing in it depends on the clock, so equal takes
give equal bytes, and a take of hours gives no larger page than one of a minute.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.compose import report_draw as ink
from julnet_plugin.compose.page_graph import graph_svg
from julnet_plugin.compose.report import choose_frames, verdict
from julnet_plugin.matte.spans import typical_cv

if TYPE_CHECKING:
    from julnet_plugin.compose.report import Choice, ReportFrame, ReportHeader
    from julnet_plugin.matte.spans import FrameStats, ReviewSpan

UInt8 = NDArray[np.uint8]

MAX_BYTES = 8 * 1024 * 1024  #: no page is larger; ten frames of four pictures stay far below
_PICTURE_PX = 460  #: longer side of an embedded picture
_QUALITY = 84  #: of the JPEGs
_PEAKS, _OTHERS = 7, 3  #: frames that are shown: of the worst stretches, and others
_LISTED = 50  #: stretches in the table


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """What the page says of the take besides its frames.

    Attributes:
        header: plate, dub, model, facts and warnings.
        within_80: half width of the interval that holds 8 of 10 pixels, in expected errors.
        provenance: (what, value) rows.
        statement: that the mouth is synthesised, in words.
        drives: what the matte drives, in words.
    """

    header: ReportHeader
    within_80: float
    provenance: Sequence[tuple[str, str]]
    statement: str
    drives: str


def page_frames(stats: Sequence[FrameStats], spans: Sequence[ReviewSpan]) -> list[tuple[int, Choice]]:
    """The frames to show: the peaks of the worst stretches by rank, then typical ones, or the worst where none is."""
    peaks: list[tuple[int, Choice]] = [(span.peak, "worst") for span in spans[:_PEAKS]]
    shown = {frame for frame, _ in peaks}
    wanted = choose_frames(stats)
    others = [(frame, why) for frame, why in wanted if frame not in shown and (why == "typical" or not peaks)]
    return peaks + others[:_OTHERS]


def render_page(
    facts: PageFacts,
    frames: Sequence[ReportFrame],
    stats: Sequence[FrameStats],
    spans: Sequence[ReviewSpan],
    label: Callable[[int], str] = str,
) -> str:
    """The whole page.

    Args:
        facts: see `PageFacts`.
        frames: of `page_frames`, as far as they have a picture.
        stats: one entry a frame of the take, in order.
        spans: stretches worth a review, worst first.
        label: frame number to timecode, or whatever the user counts in.
    """
    header = facts.header
    title = f"{header.plate} re-dubbed with {header.dub}"
    level = {s.frame: s.sigma_mean_cv for s in stats if s.found}
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="dim">{escape(" · ".join((header.model, *header.facts)))}</p>',
        *(f'<p class="notice">{escape(warning)}</p>' for warning in header.warnings),
        _numbers(stats, spans, facts.within_80),
        "<h2>Expected error over time</h2>",
        *([graph_svg(stats, spans, label, [f.frame for f in frames])] if stats else []),
        f'<p class="dim">{_LEGEND}</p>',
        _table(spans, label),
        "<h2>Frames to look at</h2>" if frames else "<p>No frame was re-dubbed: all pass through.</p>",
        *_sections(frames, spans, level, label, facts.within_80),
        "<h2>Provenance</h2>",
        f"<p>{escape(facts.statement)}</p>",
        f"<p>{escape(facts.drives)}</p>",
        _rows(facts.provenance),
    ]
    return _document(title, "\n".join(body))


def _document(title: str, body: str) -> str:
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_style()}</style>\n</head>\n<body>\n{body}\n"
        f"<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


_LEGEND = (
    "Blue: mean of the mouth; pale: its 95th percentile; both in code values of 255. "
    "Amber: worth a review, by rank; click one to see it. Hatched: original picture."
)
_SCRIPT = """
for (const slider of document.querySelectorAll(".wipe input")) {
  const move = () => slider.parentElement.style.setProperty("--at", slider.value + "%");
  slider.addEventListener("input", move);
  slider.parentElement.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse") return;
    const box = slider.getBoundingClientRect();
    slider.value = 100 * (event.clientX - box.left) / box.width;
    move();
  });
}
"""


@lru_cache(maxsize=1)
def _style() -> str:
    return files("julnet_plugin.compose").joinpath("page.css").read_text("utf-8")


def _numbers(stats: Sequence[FrameStats], spans: Sequence[ReviewSpan], within: float) -> str:
    levels = [s.sigma_mean_cv for s in stats if s.found]
    words, _ = verdict(stats, spans)
    cards = [(f"{len(levels)} of {len(stats)}", "frames re-dubbed"), (words, "to do")]
    if levels:
        typical, worst = typical_cv(levels), max(levels)
        cards.append((f"±{typical:.0f}", f"code values of 255 ({typical / 2.55:.1f} %) expected on a typical frame"))
        cards.append((f"±{worst:.0f}", f"on the worst one; 8 of 10 of its pixels within ±{worst * within:.0f}"))
    inside = "".join(f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>" for value, what in cards)
    return f'<div class="numbers">{inside}</div>'


def _table(spans: Sequence[ReviewSpan], label: Callable[[int], str]) -> str:
    if not spans:
        return "<p>No stretch stands out from the rest of the take.</p>"
    rows = "".join(
        f'<tr><td class="number"><a href="#stretch-{rank}">{rank}</a></td>'
        f'<td class="number">{escape(label(span.start))} – {escape(label(span.stop - 1))}</td>'
        f'<td class="number">{span.stop - span.start}</td>'
        f'<td class="number">±{span.expected_cv:.0f}</td><td>{escape(", ".join(span.reasons))}</td></tr>'
        for rank, span in enumerate(spans[:_LISTED], 1)
    )
    head = "<tr><th>rank</th><th>from – to</th><th>frames</th><th>expect</th><th>why</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _sections(
    frames: Sequence[ReportFrame],
    spans: Sequence[ReviewSpan],
    level: Mapping[int, float],
    label: Callable[[int], str],
    within: float,
) -> list[str]:
    ranks = {span.peak: rank for rank, span in reversed(list(enumerate(spans, 1)))}
    shown = {ranks[f.frame] for f in frames if f.frame in ranks}
    parts = [_section(frame, ranks.get(frame.frame), spans, level, label, within) for frame in frames]
    # every link finds its stretch, also one whose picture is not shown
    parts += [
        f'<p class="dim" id="stretch-{rank}">Stretch {rank}, {escape(label(span.start))} to '
        f"{escape(label(span.stop - 1))}: {escape(span.sentence())}.</p>"
        for rank, span in enumerate(spans, 1)
        if rank not in shown
    ]
    return parts


def _section(
    frame: ReportFrame,
    rank: int | None,
    spans: Sequence[ReviewSpan],
    level: Mapping[int, float],
    label: Callable[[int], str],
    within: float,
) -> str:
    expected = level.get(frame.frame, 0.0)
    name = f"Stretch {rank}" if rank else f"{frame.choice.capitalize()} frame"
    where = label(frame.frame)
    at = f"frame {frame.frame}" if where == str(frame.frame) else f"{where}, frame {frame.frame}"
    why = f": {', '.join(spans[rank - 1].reasons)}" if rank else ""
    anchor = f' id="stretch-{rank}"' if rank else ""
    plate, dub = _picture(frame.plate, "plate"), _picture(frame.dub, "dub")
    heat = _picture(ink.heat_panel(frame.dub, frame.expected_cv, frame.region), "expected error as colour")
    matte = _picture(ink.matte_panel(frame.dub, frame.matte, frame.region), "uncertainty matte in red")
    return (
        f'<section class="shot"{anchor}>'
        f"<h3>{escape(name)} · {escape(at)}</h3>"
        f'<p><span class="expect">expect ±{expected:.0f} code values here</span>{escape(why)}. '
        f'<span class="dim">8 of 10 pixels within ±{expected * within:.0f}.</span></p><div class="panels">'
        f'<figure><div class="wipe">{plate}{dub}<input type="range" min="0" max="100" value="50" step="any" '
        'aria-label="wipe between plate and dub"></div>'
        '<figcaption><span class="screen-only">plate | dub: move over the picture</span>'
        '<span class="print-only">plate</span></figcaption></figure>'
        f'<figure class="print-only">{dub}<figcaption>dub</figcaption></figure>'
        f"<figure>{heat}<figcaption>expected error, black 0 to white {ink.HEAT_TOP_CV:.0f} code values</figcaption>"
        f"</figure><figure>{matte}<figcaption>uncertainty matte: red = look here</figcaption></figure></div></section>"
    )


def _picture(picture: UInt8, alt: str) -> str:
    """An embedded JPEG."""
    height, width = picture.shape[:2]
    scale = _PICTURE_PX / max(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(picture, size, interpolation=method)
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(resized[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    text = base64.b64encode(data.tobytes()).decode("ascii")
    return f'<img src="data:image/jpeg;base64,{text}" width="{size[0]}" height="{size[1]}" alt="{escape(alt)}">'


def _rows(rows: Sequence[tuple[str, Any]]) -> str:
    inside = "".join(f"<tr><th>{escape(what)}</th><td>{escape(str(value))}</td></tr>" for what, value in rows)
    return f"<table><tbody>{inside}</tbody></table>"
