"""Everything a request says, checked before any work: what can be refused is refused here, and nothing is written.

The checks run from cheap to dear, so that a mistyped setting is named at once.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import julnet_plugin
from julnet_plugin.config import Settings, load_settings, to_mapping
from julnet_plugin.errors import CheckpointError, SettingsError, TakeError, TimeRangeError
from julnet_plugin.pipeline.hashing import file_hash, plate_hash
from julnet_plugin.pipeline.workfolder import check_free

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from julnet_plugin.interfaces import AudioFeatures, TakeWriter
    from julnet_plugin.manager import Manager
    from julnet_plugin.media.colour import DisplayTransform
    from julnet_plugin.model.engine import Engine
    from julnet_plugin.types import AudioInfo, FrameRange, MediaInfo, RedubRequest

_KNOWN_S = 8.0  #: a shorter range's references are looked for in its shot around it, in about so much of the plate
_MOST_WORKERS = 4  #: each holds its own activations: up to 0.3 GB for the `paper` network
#: Least bytes for one plate pixel of each delivery, from quiet pictures; half of it must be free before a job starts.
_BYTES_PER_PIXEL = {"prores": 0.3, "prores4444": 0.45, "h264": 0.04, "png": 1.0, "exr": 0.1}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """A request that can be rendered, with all that was found out about it."""

    request: RedubRequest
    settings: Settings
    info: MediaInfo  #: the plate
    frames: FrameRange  #: plate frames that the take holds
    span: FrameRange  #: plate frames that faces are followed through: at least `frames`, and what is near
    dub: AudioInfo
    refs: tuple[int, ...]  #: plate frames that the user chose as references; empty = chosen for them
    transform: DisplayTransform  #: between the plate's values and display RGB
    model: Path  #: the weights file
    engine: Engine
    workers: int  #: threads that run the network side by side
    extractor: AudioFeatures
    writers: dict[str, TakeWriter]  #: deliveries asked for, by name
    consent: dict[str, Any] | None  #: the note of consent; None where there is none
    manager: Manager


def check_request(request: RedubRequest, manager: Manager) -> Job:
    """Check a request and load its model.

    Raises:
        InputError: something in it cannot be used; one sentence says what to do.
        DeviceError: the device isn't there.
    """
    from julnet_plugin.media.audio import audio_stream_info
    from julnet_plugin.media.colour import DisplayTransform
    from julnet_plugin.media.probe import probe
    from julnet_plugin.media.reader import refuse_interlaced
    from julnet_plugin.media.timecode import frame_range
    from julnet_plugin.model.checkpoint import find_model
    from julnet_plugin.model.engine import load_engine
    from julnet_plugin.pipeline.dub import silence

    settings = load_settings(request.settings)
    writers = find_writers(request.deliver, manager)
    consent = consent_of(request, settings)
    check_free(request.take_dir, resume=request.resume)
    model = find_model(request.model)
    info = probe(request.plate)
    refuse_interlaced(info)
    frames = frame_range(info, request.in_point, request.out_point)
    span = neighbourhood(frames, info)
    refs = parse_refs(request.refs, span)
    transform = DisplayTransform(info, request.colour_space)
    dub = audio_stream_info(request.dub, request.dub_track)
    _check_offset(request.dub_offset_s, dub, info, frames)
    _check_space(request.take_dir, info, frames, tuple(writers))
    manager.face_tracker(settings.face.tracker)
    _check_certificate(settings)  # may make one for this machine: a request that is refused leaves nothing behind
    workers, threads = cpu_shares(settings.render.threads or os.cpu_count() or 1, model)
    engine = load_engine(model, request.device, threads=threads, generators=manager.generator)
    if len(refs) > engine.info.n_refs:
        raise SettingsError(
            f"{len(refs)} reference frames were given and this model takes {engine.info.n_refs}: leave some out",
            key="refs",
        )
    extractor = _extractor(engine, manager)
    engine.hear_silence(silence(extractor))
    return Job(
        request=request,
        settings=settings,
        info=info,
        frames=frames,
        span=span,
        dub=dub,
        refs=refs,
        transform=transform,
        model=model,
        engine=engine,
        workers=workers if engine.device == "cpu" else 1,
        extractor=extractor,
        writers=writers,
        consent=consent,
        manager=manager,
    )


def fingerprint(job: Job) -> dict[str, Any]:
    """What decides the take's bytes, as plain JSON: equal fingerprints on one machine give equal takes.

    Files count by content, not by place. The take folder and `resume` do not count.
    """
    request = job.request
    return {
        "plate": plate_hash(job.info),
        "dub": file_hash(request.dub),
        "model": file_hash(job.model),
        "frames": [job.frames.start, job.frames.stop],
        "dub_offset_s": request.dub_offset_s,
        "dub_track": request.dub_track,
        "face": request.face,
        "refs": list(job.refs),
        "deliver": list(job.writers),
        "colour_space": request.colour_space,
        "seed": request.seed,
        "consent": None if request.consent is None else file_hash(request.consent),
        "settings": to_mapping(job.settings),
        "device": f"{job.engine.device} {job.engine.precision}",
        "julnet": julnet_plugin.__version__,
    }


def consent_of(request: RedubRequest, settings: Settings) -> dict[str, Any] | None:
    """The note of consent that the request names.

    Raises:
        SettingsError: it cannot be used, or there is none where one is required.
    """
    if request.consent is not None:
        from julnet_plugin.provenance.consent import read_consent

        return read_consent(request.consent)
    if settings.provenance.require_consent:
        raise SettingsError(
            "consent is required and the request has none: give --consent FILE with who agrees, to what, until when",
            key="consent",
        )
    return None


def _check_certificate(settings: Settings) -> None:
    """Refuse a studio's certificate that cannot be used; other troubles with signing are told when they happen."""
    if settings.provenance.credentials == "off":
        return
    from julnet_plugin.provenance.certificate import identity

    with contextlib.suppress(OSError, ImportError):
        identity()


def neighbourhood(frames: FrameRange, info: MediaInfo) -> FrameRange:
    """A range, made longer on both sides where it is short: a person is not known from one second.

    References may be taken from all of it that belongs to the same shot.
    """
    from julnet_plugin.types import FrameRange

    length = max(round(_KNOWN_S * float(info.rate)), len(frames))
    start = min(frames.start - (length - len(frames)) // 2, info.frame_count - length)
    start = max(start, 0)
    return FrameRange(start=start, stop=min(start + length, info.frame_count))


def parse_refs(text: str, frames: FrameRange) -> tuple[int, ...]:
    """The plate frames in "12,40,77"; empty for "auto".

    Raises:
        SettingsError: not a list of frames.
        TimeRangeError: a frame outside these frames.
    """
    clean = text.strip()
    if clean == "auto":
        return ()
    if not re.fullmatch(r"\d+(\s*,\s*\d+)*", clean):
        raise SettingsError(
            f'"{text}" is not a choice of references: give "auto" or plate frames such as "12,40,77"', key="refs"
        )
    refs = tuple(dict.fromkeys(int(part) for part in clean.split(",")))
    outside = [ref for ref in refs if ref not in frames]
    if outside:
        raise TimeRangeError(
            f"reference frame {outside[0]} lies too far from the range: choose among frames {frames.start} to "
            f"{frames.stop - 1}",
            requested=outside[0],
            available=f"{frames.start} to {frames.stop - 1}",
        )
    return refs


def find_writers(names: Sequence[str], manager: Manager) -> dict[str, TakeWriter]:
    """The writers of these deliveries, by name.

    Raises:
        SettingsError: none was named, or one is unknown; with the nearest name.
    """
    known = manager.writers()
    if not names:
        raise SettingsError(f"no delivery was asked for: give one or more of {', '.join(sorted(known))}", key="deliver")
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise SettingsError(f"unknown delivery {name!r}; {advice}", key="deliver")
    return {name: known[name] for name in dict.fromkeys(names)}


def cpu_shares(threads: int, model: Path) -> tuple[int, int]:
    """How many networks to run side by side on a CPU, and on how many threads each. ONNX Runtime shares by itself."""
    workers = 1 if model.suffix.lower() == ".onnx" else min(threads, _MOST_WORKERS)
    return workers, max(threads // workers, 1)


def _check_offset(offset_s: float, dub: AudioInfo, info: MediaInfo, frames: FrameRange) -> None:
    """Refuse a dub that would never be heard in the range."""
    length_s = info.time_of(frames.stop - 1) - info.time_of(frames.start) + float(1 / info.rate)
    if not -dub.duration_s < offset_s < length_s:
        raise TimeRangeError(
            f"a dub offset of {offset_s:g} s leaves nothing of the dub in the range (which is {length_s:.2f} s long "
            f"and the dub {dub.duration_s:.2f} s): choose an offset between {-dub.duration_s:.2f} and {length_s:.2f} s",
            requested=offset_s,
            available=(-dub.duration_s, length_s),
        )


def _check_space(take_dir: Path, info: MediaInfo, frames: FrameRange, deliveries: tuple[str, ...]) -> None:
    """Refuse a job that the disk surely cannot hold; what cannot be foreseen is caught when it happens."""
    pixels = info.width * info.height * len(frames)
    depth = max(info.bit_depth, 8) / 8
    least = sum(
        _BYTES_PER_PIXEL.get(name, 0.0) * pixels * (depth if name in ("png", "exr") else 1) for name in deliveries
    )
    folder = next(path for path in (take_dir.absolute(), *take_dir.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(folder).free
    if free < least / 2:
        raise TakeError(
            f"{folder} has {_gigabytes(free)} free and the take needs about {_gigabytes(least)}: free some space or "
            "choose another output",
            take_dir,
        )


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _extractor(engine: Engine, manager: Manager) -> AudioFeatures:
    """The audio features that the model was trained with."""
    extractor = manager.audio_features(engine.info.audio_feature)
    if extractor.size != engine.info.audio_size:
        raise CheckpointError(
            f"the model wants {engine.info.audio_size} numbers a step of {extractor.name}, and the installed plugin "
            f"gives {extractor.size}: use the plugin's version that the model was trained with"
        )
    return extractor
