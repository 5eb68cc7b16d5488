"""`report.png` and `report.html` of a take, made from its own data and the plate."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from julnet_plugin.pipeline.manifest import PAGE, REPORT
from julnet_plugin.pipeline.plates import frames_at
from julnet_plugin.pipeline.workfolder import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from julnet_plugin.compose.page import PageFacts
    from julnet_plugin.compose.report import Choice, ReportFrame
    from julnet_plugin.matte.spans import FrameStats, ReviewSpan
    from julnet_plugin.pipeline.patches import PatchMaker


def write_reports(
    root: Path,
    maker: PatchMaker,
    manifest: Mapping[str, Any],
    stats: Sequence[FrameStats],
    spans: Sequence[ReviewSpan],
) -> None:
    """Composite the frames to show once more, and make the sheet and the page; both files appear whole."""
    from julnet_plugin.compose.page import page_frames, render_page
    from julnet_plugin.compose.report import choose_frames, report_frame, write_report
    from julnet_plugin.media.timecode import timecode_of

    info = maker.plate.info
    sheet, page = choose_frames(stats), page_frames(stats, spans)
    calibrate = None if maker.calibration is None else maker.calibration.apply
    shown = {}
    for frame in frames_at(maker.plate, (index for index, _ in (*sheet, *page))):
        layers = maker.layers(frame.index)
        patch = None if layers is None else maker.patch(frame, layers)
        if patch is not None:
            shown[frame.index] = report_frame(frame.index, "worst", frame.rgb, patch, maker.transform, calibrate)

    def chosen(frames: Sequence[tuple[int, Choice]]) -> list[ReportFrame]:
        return [dataclasses.replace(shown[index], choice=why) for index, why in frames if index in shown]

    label = (lambda frame: timecode_of(info, frame)) if info.start_timecode else str
    with replacing(root / REPORT) as temporary:
        write_report(temporary, _header(manifest), chosen(sheet), stats, spans, label)
    text = render_page(_facts(manifest, maker), chosen(page), stats, spans, label)
    with replacing(root / PAGE) as temporary:
        temporary.write_text(text, "utf-8", newline="\n")


def _facts(manifest: Mapping[str, Any], maker: PatchMaker) -> PageFacts:
    from julnet_plugin.compose.page import PageFacts
    from julnet_plugin.matte.calibration import laplace_factors

    inputs, model, synthetic = manifest["inputs"], manifest["model"], manifest["synthetic"]
    factors = laplace_factors() if maker.calibration is None else maker.calibration.factors
    rows = [
        ("plate", Path(inputs["plate"]["path"]).name),
        ("plate, SHA-256", inputs["plate"]["sha256"]),
        ("dub", Path(inputs["dub"]["path"]).name),
        ("dub, SHA-256", inputs["dub"]["sha256"]),
        ("model", f"{model['id']} ({model['architecture']}), {model['device']} {model['precision']}"),
        ("model, SHA-256", model["sha256"]),
        ("model, licence", model["licence"]),
        ("digital source type (IPTC)", synthetic["digital_source_type"].rpartition("/")[2]),
        ("edits (strokes.json), SHA-256", manifest["comp"]["matte"]),
        ("seed", manifest["job"]["seed"]),
        ("software", ", ".join(f"{name} {version}" for name, version in manifest["software"].items())),
    ]
    return PageFacts(
        header=_header(manifest),
        within_80=float(factors[0.8]),
        provenance=[(what, str(value)) for what, value in rows],
        statement=synthetic["statement"],
        drives=f"What the matte drives: {maker.document.drive.sentence()}.",
    )


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
