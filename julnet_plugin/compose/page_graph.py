"""σ over time as inline SVG: the mean as a line, its 95th percentile as a veil, stretches to review as links."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.compose.report_draw import gaps, per_column, runs, series
from julnet_plugin.matte.spans import FrameStats, ReviewSpan

_WIDTH, _HEIGHT = 1000, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 20, 26
_HATCH = (
    '<pattern id="passed" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<path d="M0 6L6 0" stroke="#b9bec6" stroke-width="1"/></pattern>'
)
_COLUMNS = 800  #: most points of a line: a take of hours gives no larger file than one of a minute


def graph_svg(
    stats: Sequence[FrameStats], spans: Sequence[ReviewSpan], label: Callable[[int], str], shown: Sequence[int] = ()
) -> str:
    """The graph as one `<svg>` element; stretch k links to the element with the id `stretch-k`.

    Args:
        stats: one entry a frame, in order.
        spans: stretches to review, by rank.
        label: frame number to what stands under the axis.
        shown: frames whose pictures the page shows; they get a tick.
    """
    first, count = stats[0].frame, len(stats)
    edges = np.linspace(0, count, min(count, _COLUMNS) + 1)
    mean, p95, found = (per_column(values, edges) for values in series(stats))
    ceiling = 4.0 * float(np.ceil(max(12.0, float(np.nanmax(p95, initial=0)) * 1.12) / 4))
    floor = _HEIGHT - _BOTTOM

    def across(frame: float) -> float:
        return _LEFT + (frame - first) / count * (_WIDTH - _LEFT - _RIGHT)

    def up(value: float) -> float:
        return floor - min(value, ceiling) / ceiling * (floor - _TOP)

    x = [across(first + e) for e in (edges[:-1] + edges[1:]) / 2]
    parts = [
        f'<svg class="graph" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="expected error over time">',
        f"<defs>{_HATCH}</defs>",
        *(_rect("gap", "url(#passed)", across(a), across(b), floor) for a, b in gaps(stats)),
        *_grid(ceiling, up),
        *(_span_link(rank, span, across, floor) for rank, span in enumerate(spans, 1)),
        *(_veil(x, p95, a, b, up) for a, b in runs(found > 0)),
        *(_line(x, mean, a, b, up) for a, b in runs(found > 0)),
        *(_tick(across(frame + 0.5), floor) for frame in shown),
        *_axis(first, count, across, floor, label),
        "</svg>",
    ]
    return "\n".join(parts)


def _span_link(rank: int, span: ReviewSpan, across: Callable[[float], float], floor: float) -> str:
    left = across(span.start)
    right = max(across(span.stop), left + 4)
    title = escape(f"stretch {rank}, frames {span.start} to {span.stop - 1}: {span.sentence()}")
    return (
        f'<a href="#stretch-{rank}"><title>{title}</title>'
        f'<rect class="span" x="{left:.1f}" y="{_TOP}" width="{right - left:.1f}" height="{floor - _TOP}"/>'
        f'<text class="rank" x="{(left + right) / 2:.1f}" y="{_TOP - 6}" text-anchor="middle">{rank}</text></a>'
    )


def _grid(ceiling: float, up: Callable[[float], float]) -> list[str]:
    step = next((s for s in (4, 8, 16, 32, 64) if ceiling <= 4 * s), 128)
    lines = []
    for value in range(0, int(ceiling) + 1, step):
        y = up(value)
        lines.append(f'<path class="rule" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    return lines


def _veil(x: Sequence[float], p95: NDArray[np.float64], start: int, stop: int, up: Callable[[float], float]) -> str:
    tops = "".join(f"L{x[i]:.1f} {up(float(p95[i])):.1f}" for i in range(start, stop))
    return f'<path class="veil" d="M{x[start]:.1f} {up(0):.1f}{tops}L{x[stop - 1]:.1f} {up(0):.1f}Z"/>'


def _line(x: Sequence[float], mean: NDArray[np.float64], start: int, stop: int, up: Callable[[float], float]) -> str:
    points = "L".join(f"{x[i]:.1f} {up(float(mean[i])):.1f}" for i in range(start, stop))
    return f'<path class="mean" d="M{points}"/>'


def _rect(name: str, fill: str, left: float, right: float, floor: float) -> str:
    width = max(right - left, 1.0)
    return f'<rect class="{name}" fill="{fill}" x="{left:.1f}" y="{_TOP}" width="{width:.1f}" height="{floor - _TOP}"/>'


def _tick(x: float, floor: float) -> str:
    return f'<path class="shown" d="M{x - 5:.1f} {floor + 8}L{x + 5:.1f} {floor + 8}L{x:.1f} {floor}Z"/>'


def _axis(
    first: int, count: int, across: Callable[[float], float], floor: float, label: Callable[[int], str]
) -> list[str]:
    """A handful of labels under the graph, and its floor."""
    parts = [f'<path class="floor" d="M{_LEFT} {floor}H{_WIDTH - _RIGHT}"/>']
    shown = min(count, 7)
    for index in sorted({round(i * (count - 1) / max(shown - 1, 1)) for i in range(shown)}):
        anchor = "start" if index == 0 else "end" if index == count - 1 and count > 1 else "middle"
        at, text = across(first + index + 0.5), escape(label(first + index))
        parts.append(f'<text x="{at:.1f}" y="{floor + 21}" text-anchor="{anchor}">{text}</text>')
    return parts
