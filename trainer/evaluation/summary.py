"""From scores of clips to the numbers of a report: per speaker, with intervals, and methods against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from julnet_plugin.matte.calibration import LEVELS, Calibration, fit_calibration, interval_coverage
from trainer import uncertainty_metrics as um
from trainer.evaluation.render import joined
from trainer.metrics import Estimate, over_blocks, over_speakers
from trainer.populations import frechet_distance, identity_similarity

if TYPE_CHECKING:
    from trainer.evaluation.reconstruction import Results, SigmaSample
    from trainer.evaluation.scores import ClipScores

Table = dict[str, Any]

#: Scores of one clip that are means over frames; everything else is one number a clip.
FRAME_SCORES = (
    "square.psnr",
    "square.ssim",
    "square.distance",
    "mask.psnr",
    "mask.ssim",
    "mask.distance",
    "mask.flicker",
    "mouth_landmark_distance",
)


def summarise(results: Results) -> Table:
    """One table a method: every score with its interval over speakers, per speaker, and against the first method."""
    methods = list(dict.fromkeys(c.method for c in results.clips))
    return {method: _method(results.of(method), results.of(methods[0])) for method in methods}


def _method(clips: Sequence[ClipScores], first: Sequence[ClipScores]) -> Table:
    table: Table = {"frames": sum(c.count for c in clips), "clips": len(clips)}
    table["scores"] = {name: _estimate(over_speakers(v)) for name, v in _by_speaker(clips).items()}
    table["population"] = _population(clips)
    if clips and first and clips[0].method != first[0].method:
        table["first_minus_this"] = {n: _estimate(over_speakers(v)) for n, v in _differences(first, clips).items()}
    table["per_speaker"] = _per_speaker(clips)
    return table


def _clip_means(clip: ClipScores) -> dict[str, float]:
    means = {n: float(np.nanmean(v)) for n, v in clip.frames.items() if n in FRAME_SCORES and np.isfinite(v).any()}
    return means | clip.numbers


def _by_speaker(clips: Sequence[ClipScores]) -> dict[str, dict[str, list[float]]]:
    """Score name -> speaker -> one number a clip."""
    found: dict[str, dict[str, list[float]]] = {}
    for clip in clips:
        for name, value in _clip_means(clip).items():
            found.setdefault(name, {}).setdefault(clip.speaker, []).append(value)
    return found


def _differences(first: Sequence[ClipScores], other: Sequence[ClipScores]) -> dict[str, dict[str, list[float]]]:
    """The first method's score minus the other's on the same clip; pairing removes how hard each clip is."""
    theirs = {c.name: _clip_means(c) for c in other}
    found: dict[str, dict[str, list[float]]] = {}
    for clip in first:
        for name, value in _clip_means(clip).items():
            if name in theirs.get(clip.name, {}) and not name.startswith("truth_"):
                found.setdefault(name, {}).setdefault(clip.speaker, []).append(value - theirs[clip.name][name])
    return found


def _population(clips: Sequence[ClipScores]) -> Table:
    """Scores that need many pictures: the Fréchet distance and the identity proxy."""
    known = [c for c in clips if c.features is not None and c.truth_features is not None]
    if not known:
        return {}
    made = np.concatenate([c.features for c in known if c.features is not None])
    true = np.concatenate([c.truth_features for c in known if c.truth_features is not None])
    table: Table = {"frechet": frechet_distance(made, true) if len(made) > 1 else float("nan")}
    descriptions = {c.name: c.description for c in known if c.description is not None}
    truths = {c.name: c.truth_description for c in known if c.truth_description is not None}
    if len(descriptions) > 1:
        own, found = identity_similarity(descriptions, truths, {c.name: c.speaker for c in known})
        table |= {"identity_proxy": float(np.mean(list(own.values()))), "identity_proxy_found": found}
    return table


def _per_speaker(clips: Sequence[ClipScores]) -> Table:
    """Each speaker's scores with an interval over blocks of their frames."""
    table: Table = {}
    for speaker in dict.fromkeys(c.speaker for c in clips):
        own = [c for c in clips if c.speaker == speaker]
        known = [n for n in FRAME_SCORES if n in own[0].frames]
        frames = {n: np.concatenate([c.frames[n] for c in own]) for n in known}
        numbers = {n: _known_mean([c.numbers[n] for c in own if n in c.numbers]) for n in own[0].numbers}
        table[speaker] = {n: _estimate(over_blocks(v)) for n, v in frames.items()} | numbers
    return table


def _known_mean(values: Sequence[float]) -> float:
    """Mean of what is known; NaN where nothing is: a clip may be too short for a score."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def summarise_sigma(samples: Sequence[SigmaSample], known: Calibration | None = None) -> Table:
    """Everything about σ: pooled, per speaker, against baselines, and intervals before and after calibration.

    Args:
        samples: of the clips.
        known: the calibration in the model's header, applied before anything else that needs units.
    """
    if not samples:
        return {}
    pixels = joined([s.pixels for s in samples])
    sigma, error = pixels.sigma, pixels.error
    given = sigma if known is None else known.apply(sigma)
    frame_sigma = np.concatenate([s.frame_sigma for s in samples]).astype(np.float64)
    frame_error = np.concatenate([s.frame_error for s in samples]).astype(np.float64)
    shown = pixels.finished_sigma > 0
    finished = pixels.finished_sigma[shown], pixels.finished_error[shown]
    per_speaker = {
        who: asdict(um.uncertainty_scores(s, e)) for who, (s, e) in _sigma_by_speaker(samples, known).items()
    }
    area = float(np.average([s.area for s in samples], weights=[len(s.frame_sigma) for s in samples]))
    tenth = min(1.0, 0.1 / area)  # of the square, as a share of the mask
    others = {"gradient": pixels.gradient, "motion": pixels.motion}
    baselines = {
        name: {
            "spearman": um.spearman(doubt, error),
            "ause": um.ause(doubt, error),
            "error_share_top10": um.error_share(doubt, error),
            "error_share_of_square": um.error_share(doubt, error, tenth),
        }
        for name, doubt in others.items()
    }
    return {
        "pixels": len(sigma),
        "mask_in_square": area,
        "pooled": asdict(um.uncertainty_scores(given, error))
        | {
            "error_share_of_square": um.error_share(given, error, tenth),
            "error_share_of_square_at_best": um.error_share(error, error, tenth),
        },
        "finished": {
            "error_share_of_square": um.error_share(pixels.finished_sigma, pixels.finished_error, tenth),
            "error_share_of_square_at_best": um.error_share(pixels.finished_error, pixels.finished_error, tenth),
        },
        "over_speakers": {
            name: _estimate(over_speakers({who: [float(v[name])] for who, v in per_speaker.items()}))
            for name in ("spearman", "spearman_ceiling", "ause", "ause_constant", "error_share_top10")
        },
        "baselines": baselines,
        "ause_gain_over_constant": 1.0 - um.ause(sigma, error) / um.ause(np.ones_like(sigma), error),
        **{f"ause_gain_over_{name}": 1.0 - um.ause(sigma, error) / b["ause"] for name, b in baselines.items()},
        "frames": {
            "spearman": um.spearman(frame_sigma, frame_error),
            "error_of_top10_over_rest": _top_frames(frame_sigma, frame_error),
        },
        "intervals": _intervals(samples, known, *finished),
        "curves": _curves(sigma, pixels.gradient, pixels.motion, error),
        "calibration_fitted_here": fit_calibration(*finished).to_json(),
        "per_speaker": per_speaker,
    }


def _sigma_by_speaker(
    samples: Sequence[SigmaSample], known: Calibration | None
) -> Mapping[str, tuple[um.Floats, um.Floats]]:
    found = {}
    for who in dict.fromkeys(s.speaker for s in samples):
        own = [s.pixels for s in samples if s.speaker == who]
        sigma = np.concatenate([p.sigma for p in own])
        found[who] = (sigma if known is None else known.apply(sigma), np.concatenate([p.error for p in own]))
    return found


def _curves(sigma: um.Floats, gradient: um.Floats, motion: um.Floats, error: um.Floats) -> dict[str, list[float]]:
    """Sparsification curves, for a plot."""
    found = {n: um.sparsification(d, error, 50) for n, d in (("σ", sigma), ("gradient", gradient), ("motion", motion))}
    curves = {n: c.remaining for n, c in found.items()} | {"oracle": found["σ"].oracle, "removed": found["σ"].removed}
    return {n: [round(float(x), 4) for x in values] for n, values in curves.items()}


def _top_frames(sigma: um.Float64, error: um.Float64) -> float:
    """Mean error of the tenth of frames with the highest mean σ over that of the rest."""
    order = np.argsort(sigma, kind="stable")
    top = max(1, len(order) // 10)
    rest = error[order[:-top]]
    return float(error[order[-top:]].mean() / rest.mean()) if len(rest) and rest.mean() > 0 else float("nan")


def _intervals(samples: Sequence[SigmaSample], known: Calibration | None, sigma: um.Floats, error: um.Floats) -> Table:
    """Coverage of nominal intervals of the finished picture: as given, and as fitted on the *other* speakers."""
    given = sigma if known is None else known.apply(sigma)
    table: Table = {"as_given": {f"{q:g}": um.laplace_coverage(error, given, q) for q in LEVELS}}
    speakers = {}
    for who in dict.fromkeys(s.speaker for s in samples):
        own = joined([s.pixels for s in samples if s.speaker == who])
        shown = own.finished_sigma > 0
        if shown.any():
            speakers[who] = own.finished_sigma[shown], own.finished_error[shown]
    if len(speakers) < 2:
        return table
    laplace: dict[str, list[float]] = {f"{q:g}": [] for q in LEVELS}
    fitted: dict[str, list[float]] = {f"{q:g}": [] for q in LEVELS}
    for who, (sigma, own_error) in speakers.items():
        others = [v for k, v in speakers.items() if k != who]
        calibration = fit_calibration(np.concatenate([s for s, _ in others]), np.concatenate([e for _, e in others]))
        calibrated = calibration.apply(sigma)
        for q, share in interval_coverage(calibration, sigma, own_error).items():
            laplace[f"{q:g}"].append(um.laplace_coverage(own_error, calibrated, q))
            fitted[f"{q:g}"].append(share)
    table["calibrated_on_other_speakers"] = {q: float(np.mean(v)) for q, v in laplace.items()}
    table["fitted_widths_on_other_speakers"] = {q: float(np.mean(v)) for q, v in fitted.items()}
    return table


def _estimate(value: Estimate) -> dict[str, float]:
    return {"mean": value.mean, "low": value.low, "high": value.high, "count": value.count}
