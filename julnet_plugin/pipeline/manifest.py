"""`take.json`: what a take is, what it was made from, and how far each frame can be trusted.

It holds no clock times and no machine names: equal requests on one CPU give equal bytes. docs/pipeline.md describes
every field; a reader must ignore fields that it does not know.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from typing import TYPE_CHECKING, Any

import numpy as np

import julnet_plugin
from julnet_plugin.interchange.comp import held_keys
from julnet_plugin.matte.spans import UNEASY_CV, FrameStats, ReviewSpan, typical_cv
from julnet_plugin.pipeline.schedule import COVERED
from julnet_plugin.pipeline.scripts import script_files
from julnet_plugin.take import SCHEMA, STROKES, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from julnet_plugin.pipeline.cropdata import Plan
    from julnet_plugin.pipeline.inputs import Job
    from julnet_plugin.pipeline.plan import ShotChoice, ShotPlan
    from julnet_plugin.pipeline.references import References
    from julnet_plugin.types import ColourTags, FrameRange, MediaInfo

REPORT = "report.png"
PAGE = "report.html"
_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_SOFTWARE = ("numpy", "torch", "av", "opencv-contrib-python", "mediapipe", "onnxruntime-gpu", "onnxruntime", "scipy")


def build_manifest(
    job: Job,
    fingerprint: Mapping[str, Any],
    shots: ShotPlan,
    references: References,
    stats: NDArray[np.void],
    spans: Sequence[ReviewSpan],
    files: Mapping[str, str],
    document_sha256: str,
) -> dict[str, Any]:
    """Everything that `take.json` says of a take that was just rendered.

    Args:
        job: the request, checked.
        fingerprint: what decides the take's bytes.
        shots: faces and schedule.
        references: of every shot.
        stats: numbers of every frame.
        spans: stretches worth a look.
        files: what was delivered.
        document_sha256: of the `strokes.json` that matte and picture were made from.
    """
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "synthetic": _provenance(),
        "consent": None if job.consent is None else {**job.consent, "sha256": fingerprint["consent"]},
        "job": dict(fingerprint),
        "request": _request(job),
        "inputs": {
            "plate": {"path": str(job.request.plate.absolute()), "sha256": fingerprint["plate"]},
            "dub": {
                "path": str(job.request.dub.absolute()),
                "sha256": fingerprint["dub"],
                "track": job.request.dub_track,
            },
        },
        "model": _model(job, str(fingerprint["model"])),
        "plate": describe_plate(job.info, job.frames),
        "shots": _shots(shots.choices, references),
        "warnings": warnings(job, shots, stats),
        "review": review_rows(spans),
        "comp": {"picture": document_sha256, "matte": document_sha256},
        "override": None,
        "holds_plate": held_keys(job.settings.drive.holds(job.frames), job.frames.start),
        "deliveries": list(job.writers),
        "files": {**files, **script_files(files), "report": REPORT, "page": PAGE, "strokes": STROKES},
        "software": software(),
        "frames": frame_rows(stats, shots.plan, shots.schedule.reason, job.frames),
    }


def to_text(manifest: Mapping[str, Any]) -> str:
    """`take.json` as text: indented, with one line for each frame. The same for equal manifests."""
    head = {key: value for key, value in manifest.items() if key != "frames"}
    text = json.dumps(head, indent=1, ensure_ascii=False, allow_nan=False)
    rows = ",\n  ".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in manifest["frames"])
    return f'{text[:-2]},\n "frames": [\n  {rows}\n ]\n}}\n'


def describe_plate(info: MediaInfo, frames: FrameRange) -> dict[str, Any]:
    """What the take's files share with the plate."""
    from julnet_plugin.media.timecode import timecode_of

    return {
        "file": str(info.path.absolute()),
        "kind": info.kind,
        "frame_count": info.frame_count,
        "width": info.width,
        "height": info.height,
        "pixel_aspect": str(info.pixel_aspect),
        "rate": str(info.rate),
        "vfr": info.vfr,
        "frame_range": [frames.start, frames.stop],
        "first_number": info.first_number + frames.start,
        "start_timecode": None if info.start_timecode is None else timecode_of(info, frames.start),
        "bit_depth": info.bit_depth,
        "float": info.is_float,
        "codec": info.codec,
        "colour": colour_tags(info.colour),
    }


def colour_tags(tags: ColourTags) -> dict[str, Any]:
    """Colour tags as plain JSON."""
    return {name: getattr(tags, name) for name in ("matrix", "range", "primaries", "transfer", "space", "tagged")}


def frame_rows(stats: NDArray[np.void], plan: Plan, reasons: Sequence[str], frames: FrameRange) -> list[dict[str, Any]]:
    """One row a frame: was the face found, why it passes through if it does, σ and coverage."""
    return [
        {
            "frame": frames.start + position,
            "found": bool(plan.found[position]),
            "redubbed": bool(plan.weight[position] > 0),
            "reason": reasons[position],
            "sigma_mean": _rounded(row["sigma_mean"]),
            "sigma_p95": _rounded(row["sigma_p95"]),
            "coverage_px": float(row["coverage_px"]),
            "weight": _rounded(plan.weight[position]),
        }
        for position, row in enumerate(stats)
    ]


def updated_rows(rows: Sequence[Mapping[str, Any]], stats: NDArray[np.void]) -> list[dict[str, Any]]:
    """The rows of a take that was composited again: other coverage, the same σ."""
    return [{**row, "coverage_px": float(numbers["coverage_px"])} for row, numbers in zip(rows, stats, strict=True)]


def frame_stats(
    stats: NDArray[np.void], plan: Plan, reasons: Sequence[str], frames: FrameRange, references: References
) -> list[FrameStats]:
    """What is known of every frame, for finding the stretches that are worth a look."""
    degrees = np.degrees(plan.angles)
    away = _reference_distance(plan, frames, references)
    measured = []
    for position, row in enumerate(stats):
        found = bool(plan.weight[position] > 0)
        measured.append(
            FrameStats(
                frame=frames.start + position,
                found=found,
                sigma_mean_cv=255 * float(row["expected_mean"]),
                sigma_p95_cv=255 * float(row["expected_p95"]),
                shot=int(plan.shot[position]),
                yaw_deg=float(degrees[position, 0]),
                pitch_deg=float(degrees[position, 1]),
                mouth_px=float(plan.mouth_px[position]),
                luma=float(row["luma"]),
                sharpness=float(plan.sharpness[position]),
                occluded=float(plan.covered[position]),
                hidden=reasons[position] == COVERED,
                mouth_outlier=_known(row["outlier"]),
                reference_deg=float(away[position]),
            )
        )
    return measured


def review_rows(spans: Sequence[ReviewSpan]) -> list[dict[str, Any]]:
    """The stretches that are worth a person's look, most uncertain first."""
    return [
        {
            "start": span.start,
            "stop": span.stop,
            "peak": span.peak,
            "expected_cv": round(span.expected_cv, 2),
            "reasons": list(span.reasons),
        }
        for span in spans
    ]


def warnings(job: Job, shots: ShotPlan, stats: NDArray[np.void]) -> list[str]:
    """What a user should know of this take, one sentence each; `stats` as `write_range` gives it."""
    schedule, plan, start = shots.schedule, shots.plan, job.frames.start
    said = []
    if not schedule.active.any():
        said.append(_nothing_done(schedule.reason))
    last_s = float(schedule.time_s[-1]) + float(1 / job.info.rate)
    rest_s = job.dub.duration_s - last_s
    if rest_s > 0.5 / float(job.info.rate):
        said.append(f"the dub is {rest_s:.2f} s longer than the shot: the take ends with the shot")
    elif -rest_s > 0.5 / float(job.info.rate):
        said.append(
            f"the dub ends {-rest_s:.2f} s before the shot: the mouth comes to rest, then the original picture stays"
        )
    typical = typical_cv(255 * stats["expected_mean"][plan.weight > 0])
    if typical >= UNEASY_CV:
        said.append(
            f"the model is unsure of the whole take (expect ±{typical:.0f} code values of 255 on a typical frame): "
            "look at all of it, not only at the stretches"
        )
    small = np.flatnonzero((plan.weight > 0) & (plan.mouth_px < job.settings.face.warn_mouth_px))
    if small.size:
        said.append(
            f"the mouth is only {plan.mouth_px[small].min():.0f} px wide on {small.size} frames (the first is frame "
            f"{start + int(small[0])}): a larger picture of the face gives a better result"
        )
    said += [
        f"{_frames(where, start)} {'passes' if len(where) == 1 else 'pass'} through untouched: {reason}"
        for reason, where in _by_reason(schedule.reason)
    ]
    said += [choice.why for choice in shots.choices if choice.faces > 1]
    return [*said, *job.engine.setbacks]


def _nothing_done(reasons: Sequence[str]) -> str:
    """Why the picture of a take is the plate's, from the most frequent reason."""
    common = max(sorted(set(reasons)), key=reasons.count)
    return (
        f"no frame was re-dubbed ({common} on {reasons.count(common)} of {len(reasons)} frames), so the picture is the "
        "plate's: choose another range, another face, or a larger picture of the mouth"
    )


def software() -> dict[str, str]:
    """Versions of what computed the take."""
    versions = {"julnet": julnet_plugin.__version__, "python": platform.python_version()}
    for name in _SOFTWARE:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _provenance() -> dict[str, Any]:
    """The statement that the take is synthesised, in words and in IPTC's codes."""
    return {
        "statement": "The mouth in this take was generated by a neural network to match a new recording. "
        "It does not show what the person said.",
        "digital_source_type": f"{_IPTC}compositeWithTrainedAlgorithmicMedia",
        "generated_region": {
            "where": "pixels with coverage above 0",
            "digital_source_type": f"{_IPTC}trainedAlgorithmicMedia",
        },
    }


def _request(job: Job) -> dict[str, Any]:
    """The request as the user made it, without what does not change the take."""
    request = job.request
    return {
        "plate": str(request.plate),
        "dub": str(request.dub),
        "in_point": request.in_point,
        "out_point": request.out_point,
        "dub_offset_s": request.dub_offset_s,
        "dub_track": request.dub_track,
        "face": request.face,
        "model": str(request.model),
        "refs": request.refs,
        "device": request.device,
        "deliver": list(request.deliver),
        "colour_space": request.colour_space,
        "seed": request.seed,
        "settings": request.settings,
    }


def _model(job: Job, sha256: str) -> dict[str, Any]:
    info = job.engine.info
    return {
        "id": info.name or job.model.stem,
        "file": job.model.name,
        "sha256": sha256,
        "architecture": info.architecture,
        "crop_size": list(info.crop_size),
        "audio_feature": info.audio_feature,
        "n_refs": info.n_refs,
        "step": info.step,
        "licence": info.licence,
        "calibration": [list(knot) for knot in info.calibration],
        "interval_factors": dict(info.interval_factors),
        "device": job.engine.device,
        "precision": job.engine.precision,
    }


def _shots(choices: Iterable[ShotChoice], references: References) -> list[dict[str, Any]]:
    return [
        {
            "shot": choice.shot,
            "start": choice.frames.start,
            "stop": choice.frames.stop,
            "face": choice.face,
            "why": choice.why,
            "references": references.frames_of(choice.shot),
            "sigma_gain": _mean_gain(references.shot_gain(choice.shot)),
        }
        for choice in choices
    ]


def _mean_gain(gain: NDArray[np.float32] | None) -> float | None:
    """What σ was multiplied by on average; None where it was not tried on frames of the shot."""
    return None if gain is None else round(float(gain.mean()), 4)


def _reference_distance(plan: Plan, frames: FrameRange, references: References) -> NDArray[np.float64]:
    """Degrees between each frame's pose and the nearest of its references. (T,)."""
    away = np.zeros(len(plan), np.float64)
    for group in np.unique(references.groups):
        here = references.of_frame == group
        poses = references.angles[references.groups == group, :2]
        if np.isnan(poses).any():  # a take that is older than poses: its references lie in its range
            poses = plan.angles[references.frames[references.groups == group] - frames.start, :2]
        turn = np.linalg.norm(plan.angles[here, None, :2] - poses[None], axis=2)
        away[here] = np.degrees(turn.min(axis=1))
    return away


def _by_reason(reasons: Sequence[str]) -> list[tuple[str, list[int]]]:
    kinds: dict[str, list[int]] = {}
    for position, reason in enumerate(reasons):
        if reason:
            kinds.setdefault(reason, []).append(position)
    return list(kinds.items())


def _frames(positions: Sequence[int], start: int, most: int = 4) -> str:
    """Positions as plate frames: "frame 20", "5 frames (3 to 6, 20)"."""
    if len(positions) == 1:
        return f"frame {start + positions[0]}"
    runs: list[list[int]] = []
    for position in positions:
        if runs and runs[-1][1] == position - 1:
            runs[-1][1] = position
        else:
            runs.append([position, position])
    told = [f"{start + a}" if a == b else f"{start + a} to {start + b}" for a, b in runs[:most]]
    more = f" and {len(runs) - most} more runs" if len(runs) > most else ""
    return f"{len(positions)} frames ({', '.join(told)}{more})"


def _known(value: Any) -> float | None:
    """A measured number; None where it was not measured."""
    return float(value) if np.isfinite(value) else None


def _rounded(value: Any) -> float:
    """Six significant digits: what the number is good for, and short."""
    return float(f"{float(value):.6g}")
