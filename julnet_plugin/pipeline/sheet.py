"""Draw `report.png` for a take, from its own data and the plate: the worst frames, typical ones, σ over time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.pipeline.plates import frames_at
from julnet_plugin.pipeline.workfolder import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from julnet_plugin.matte.spans import FrameStats, ReviewSpan
    from julnet_plugin.pipeline.patches import PatchMaker


def write_sheet(
    path: Path,
    maker: PatchMaker,
    manifest: Mapping[str, Any],
    stats: Sequence[FrameStats],
    spans: Sequence[ReviewSpan],
) -> None:
    """Composite the frames to show once more, and draw the sheet; the file appears whole."""
    from julnet_plugin.compose.report import choose_frames, report_frame, write_report
    from julnet_plugin.media.timecode import timecode_of

    info = maker.plate.info
    chosen = choose_frames(stats)
    rows = {}
    for frame in frames_at(maker.plate, (index for index, _ in chosen)):
        layers = maker.layers(frame.index)
        patch = None if layers is None else maker.patch(frame, layers)
        if patch is not None:
            rows[frame.index] = (frame.rgb, patch)
    calibrate = None if maker.calibration is None else maker.calibration.apply
    shown = [
        report_frame(index, why, *rows[index], maker.transform, calibrate) for index, why in chosen if index in rows
    ]
    label = (lambda frame: timecode_of(info, frame)) if info.start_timecode else str
    with replacing(path) as temporary:
        write_report(temporary, _header(manifest), shown, stats, spans, label)


def _header(manifest: Mapping[str, Any]) -> Any:
    from julnet_plugin.compose.report import ReportHeader

    plate, inputs, model = manifest["plate"], manifest["inputs"], manifest["model"]
    start, stop = plate["frame_range"]
    rate = f"{float(Fraction(plate['rate'])):.6g} fps{' variable' if plate['vfr'] else ''}"
    facts = (
        f"{plate['width']}x{plate['height']}",
        rate,
        f"frames {start} to {stop - 1}",
        f"seed {manifest['job']['seed']}",
    )
    return ReportHeader(
        plate=Path(inputs["plate"]["path"]).name,
        dub=Path(inputs["dub"]["path"]).name,
        model=model["id"],
        facts=facts,
        warnings=tuple(manifest["warnings"]),
    )
