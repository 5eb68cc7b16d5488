"""Load a model and its judges, run the protocols, write the report: what `julnet evaluate` does."""

from __future__ import annotations

import logging
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

import julnet_plugin
from julnet_plugin.errors import CheckpointError, InputError
from julnet_plugin.matte.calibration import calibration_of
from julnet_plugin.model.checkpoint import find_model, load_checkpoint, read_info
from julnet_plugin.model.engine import Engine, load_engine
from julnet_plugin.model.rt import RtGenerator
from trainer.dataset import ClipHeader, read_header
from trainer.distances import load_distance
from trainer.evaluation.dubbing import follow_lips, summarise_dubbing
from trainer.evaluation.following import follow_movie
from trainer.evaluation.landmarks import CropLandmarks
from trainer.evaluation.methods import (
    EngineMethod,
    Method,
    lip_predictor,
    oracle_paste,
    predicted_paste,
    reference_paste,
)
from trainer.evaluation.movies import score_movie
from trainer.evaluation.reconstruction import Protocol, Results, reconstruct
from trainer.evaluation.report import finite, write_report
from trainer.evaluation.scores import Judges
from trainer.evaluation.summary import Table, summarise, summarise_sigma
from trainer.judge import find_syncnet, judging_syncnet, load_syncnet
from trainer.populations import load_describer

if TYPE_CHECKING:
    from julnet_plugin.interfaces import AudioFeatures
    from julnet_plugin.manager import Manager

log = logging.getLogger(__name__)


def evaluate_model(args: Namespace) -> tuple[Table, list[Path]]:
    """Reconstruction and dubbing of a model on prepared clips.

    Args:
        args: of the verb; see `trainer.verbs.evaluate`.

    Returns:
        The report and its files, JSON first, Markdown second.

    Raises:
        InputError: nothing to score, or a model that doesn't fit the clips.
    """
    started = time.monotonic()
    paths = find_clips(args.data, args.split)
    headers = [read_header(p) for p in paths]
    engine = load_engine(args.model, args.device)
    check_features(engine, headers)
    features = args.manager.audio_features(engine.info.audio_feature)
    silence = silent_features(features)
    engine.hear_silence(silence)
    judges = load_judges(args, engine.info.audio_feature)
    methods = [EngineMethod(engine), *_rivals(args, engine, silence)]
    protocol = Protocol(gap_s=args.gap, seconds=args.seconds)
    results = reconstruct(paths, methods, judges, protocol, args.console.progress)
    if not results.clips:
        why = next(iter(results.skipped.values()), "none was given")
        msg = f"none of {len(paths)} clips could be scored ({why}); give longer clips with pictures, or a smaller --gap"
        raise InputError(msg)

    report = _report(results, judges, engine)
    if judges.landmarks is not None and not args.no_dubbing:
        seconds = 6.0 if args.seconds is None else args.seconds
        dubbed, skipped = follow_lips(paths, methods[0], judges.landmarks, silence, seconds, args.console.progress)
        if dubbed:
            report["dubbing"] = {"summary": summarise_dubbing(dubbed), "clips": [asdict(d) for d in dubbed]}
        report["skipped"] |= {f"{name} (dubbing)": why for name, why in skipped.items()}
    about = {
        "model": f"{args.model} ({engine.info.architecture}, {engine.info.crop_size[0]}x{engine.info.crop_size[1]})",
        "clips": f"{len({c.name for c in results.clips})} of {len({c.speaker for c in results.clips})} speakers",
        "references": f"at least {args.gap:g} s from every target",
        "took": f"{(time.monotonic() - started) / 60:.1f} minutes",
    }
    report |= {"title": "Evaluation", "about": about | judge_names(judges), "headline": _headline(report)}
    return report, write_report(args.output, report, results.examples)


def evaluate_syncnet(args: Namespace) -> tuple[Table, list[Path]]:
    """How well a SyncNet tells true sound from moved sound; arguments and result as for `evaluate_model`."""
    from trainer.dataset import read_clip
    from trainer.syncnet.accuracy import sync_accuracy
    from trainer.syncnet.views import views_of

    path = find_model(args.model)
    info, network = load_syncnet(path)
    paths = find_clips(args.data, args.split)
    views = []
    for number, clip_path in enumerate(paths):
        header = read_header(clip_path)
        if header.features != info.audio_feature:
            msg = f"{header.name} was prepared with {header.features!r} and {path} hears {info.audio_feature!r}"
            raise InputError(msg + "; prepare the footage again with those")
        if (view := views_of(read_clip(clip_path), network)) is not None:
            views.append(view)
        args.console.progress("evaluate", number + 1, len(paths))
    found = sync_accuracy(network, views)
    if found is None:
        msg = f"none of {len(paths)} clips is long enough for a question over one second; give clips of two seconds"
        raise InputError(msg)
    report: Table = {
        "julnet": julnet_plugin.__version__,
        "title": "Evaluation of a SyncNet",
        "about": {
            "model": str(args.model),
            "taught on": info.data or "unknown",
            "clips": f"{found.clips} of {len(found.per_speaker)} speakers",
        },
        "info": asdict(info),
        "sync": found.to_json(),
        "sync_table": found.text(),
        "headline": {"accuracy_10_frames_over_1_s": round(found.headline, 4)},
    }
    return report, write_report(args.output, report)


def is_syncnet(model: str) -> bool:
    """Whether a weights file holds a SyncNet; what is wrong with it, if something is, is said when it is loaded."""
    try:
        return read_info(find_model(model)).kind == "syncnet"
    except CheckpointError:
        return False


def evaluate_movie(args: Namespace) -> tuple[Table, list[Path]]:
    """Any movie against its truth, its plate or both; arguments and result as for `evaluate_model`."""
    tracker = args.manager.face_tracker("mediapipe")
    report: Table = {
        "julnet": julnet_plugin.__version__,
        "title": f"{args.movie.name}",
        "about": {"movie": args.movie.name},
        "methods": {},
        "headline": {},
    }
    if args.truth is not None:
        judges = load_judges(args)
        features = None if judges.syncnet is None else _features_of(args.syncnet or find_syncnet(), args.manager)
        scores = score_movie(args.movie, args.truth, judges, tracker, features, args.console.progress)
        whole = float(np.mean(scores.frames["frame.psnr"]))
        known = {
            "truth": args.truth.name,
            "frames with a face": scores.count,
            "PSNR of whole frames": f"{whole:.2f} dB",
        }
        report |= {
            "about": report["about"] | known | judge_names(judges),
            "judges": {"distance": judges.distance.name, "frechet": judges.describer.name},
            "methods": summarise(Results(clips=[scores])),
            "whole_frame_psnr": whole,
        }
        report["headline"] = _headline(report)
    if args.plate is not None:
        dub = args.dub or args.movie
        report["following"] = follow_movie(args.movie, args.plate, dub, tracker, args.console.progress)
        report["about"] |= {"plate": args.plate.name, "dub": dub.name}
        asked = ("drawn_with_dub_loudness", "drawn_with_plate_loudness")
        report["headline"] |= {k: report["following"][k] for k in asked}
    report["headline"] = finite(report["headline"])
    return report, write_report(args.output, report)


def _features_of(syncnet: Path | None, manager: Manager) -> AudioFeatures:
    """The audio features that a SyncNet was trained with."""
    assert syncnet is not None  # there is a judge
    features: AudioFeatures = manager.audio_features(read_info(syncnet).audio_feature)
    return features


def find_clips(given: Sequence[Path], split: str) -> list[Path]:
    """Prepared clips among files and folders, in a steady order.

    Raises:
        InputError: there are none.
    """
    files = [f for g in given for f in (sorted(g.rglob("*.safetensors")) if g.is_dir() else [g])]
    found = []
    for file in files:
        try:
            header = read_header(file)
        except FileNotFoundError as exc:
            msg = f"there is no prepared clip {file}; give what `julnet prepare` wrote"
            raise InputError(msg) from exc
        except ValueError as exc:
            msg = f"{file} is not a prepared clip; give what `julnet prepare` wrote"
            raise InputError(msg) from exc
        if header.has_pictures and split in ("all", header.split):
            found.append(file)
    if not found:
        where = ", ".join(str(g) for g in given)
        msg = f"{where} holds {len(files)} prepared clips and none of split {split!r} with pictures; see --split"
        raise InputError(msg)
    return found


def check_features(engine: Engine, headers: Sequence[ClipHeader]) -> None:
    """Refuse clips whose sound was described in another way than the model was trained with."""
    for header in headers:
        if header.features != engine.info.audio_feature:
            msg = (
                f"{header.name} was prepared with audio features {header.features!r} and the model needs "
                f"{engine.info.audio_feature!r}; prepare the footage again with those"
            )
            raise InputError(msg)


def silent_features(features: AudioFeatures) -> NDArray[np.float32]:
    """(D,) what the extractor makes of silence: the middle of two silent seconds."""
    silent = features.extract(np.zeros(32_000, np.float32))
    return np.asarray(silent[len(silent) // 2], np.float32)


def load_judges(args: Namespace, features: str = "") -> Judges:
    """The networks that score; openly named substitutes where weights are missing.

    Args:
        args: of the verb.
        features: audio features that clips were prepared with; "" where sound is still to be described.

    Raises:
        InputError: the SyncNet that was given hears other features.
    """
    distance = load_distance(args.lpips_backbone, args.lpips_heads, args.vgg19)
    syncnet = judging_syncnet(args.syncnet, features)
    return Judges(
        distance=distance,
        describer=load_describer(args.inception, distance.name),
        landmarks=None if args.no_landmarks else CropLandmarks(),
        syncnet=syncnet,
    )


def judge_names(judges: Judges) -> dict[str, str]:
    """What scored, for the head of a report."""
    return {
        "picture distance": f"{judges.distance.name} ({judges.distance.network.name})",
        "Fréchet distance": judges.describer.name,
        "LSE": "by a SyncNet of ours" if judges.syncnet is not None else "not scored: no --syncnet",
        "identity": "a proxy by material, no face recogniser",
    }


def _rivals(args: Namespace, engine: Engine, silence: NDArray[np.float32]) -> list[Method]:
    """Baselines and other models."""
    rivals: list[Method] = [
        oracle_paste(engine.info.crop_size),
        reference_paste(engine.info.crop_size, engine.info.n_refs),
    ]
    if engine.info.architecture == "rt" and find_model(args.model).suffix == ".safetensors":
        _, network = load_checkpoint(find_model(args.model))
        if isinstance(network, RtGenerator) and network.lip_components.any():
            rivals.append(predicted_paste(engine.info.crop_size, lip_predictor(network)))
    if args.no_audio_model is not None:
        rivals.append(EngineMethod(load_engine(args.no_audio_model, args.device), "no-audio", silence))
    for other in args.versus:
        rivals.append(EngineMethod(load_engine(other, args.device), Path(other).stem))
    return rivals


def _report(results: Results, judges: Judges, engine: Engine) -> Table:
    calibration = calibration_of(engine.info.calibration, engine.info.interval_factors)
    return {
        "julnet": julnet_plugin.__version__,
        "info": asdict(engine.info),
        "judges": {"distance": judges.distance.name, "frechet": judges.describer.name},
        "methods": summarise(results),
        "uncertainty": summarise_sigma(results.sigma, calibration),
        "skipped": dict(results.skipped),
    }


def _headline(report: Table) -> dict[str, Any]:
    """The few numbers that a program asks for first."""
    first = next(iter(report["methods"].values()))
    distance = report["judges"]["distance"]
    names = {"square.psnr": "psnr", "square.ssim": "ssim", "square.distance": distance, "lse_d": "lse_d"}
    found = {short: first["scores"][key]["mean"] for key, short in names.items() if key in first["scores"]}
    if report.get("uncertainty"):
        pooled = report["uncertainty"]["pooled"]
        found |= {"spearman": pooled["spearman"], "error_share_top10": pooled["error_share_top10"]}
    return cast("dict[str, Any]", finite(found))
