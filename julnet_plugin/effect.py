"""The built-in effect: re-dub one clip, told once and in order.

Data takes one road: plate -> faces -> crops; dub -> features -> windows; both -> network -> stored crops -> matte ->
composite -> deliveries. Each step keeps what it made in the work folder, so that a job which was stopped anywhere, even
by a power cut, continues there and gives the bytes it would have given. The steps themselves are in `pipeline/`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from julnet_plugin.errors import InputError
from julnet_plugin.matte.calibration import calibration_of
from julnet_plugin.matte.document import MatteDocument, save_document
from julnet_plugin.matte.spans import find_spans
from julnet_plugin.pipeline.cache import Cache, built_in, open_cache
from julnet_plugin.pipeline.cropdata import DATA, PLAN, write_arrays
from julnet_plugin.pipeline.deliver import write_range
from julnet_plugin.pipeline.dub import Dub, hear
from julnet_plugin.pipeline.grain import GRAIN, measure_grain
from julnet_plugin.pipeline.hashing import file_hash
from julnet_plugin.pipeline.inputs import check_request, fingerprint
from julnet_plugin.pipeline.lips import LipWatcher
from julnet_plugin.pipeline.manifest import REPORT, build_manifest, frame_stats, to_text
from julnet_plugin.pipeline.outputs import close_sessions, open_sessions, split, writer_settings
from julnet_plugin.pipeline.paint import Painter, paint_range
from julnet_plugin.pipeline.patches import PatchMaker
from julnet_plugin.pipeline.plan import choose_faces, find_faces, fit_crops, plan_shots
from julnet_plugin.pipeline.references import REFERENCES, References, choose_frames, cut_references
from julnet_plugin.pipeline.rehearsal import FRAMES
from julnet_plugin.pipeline.scripts import write_scripts
from julnet_plugin.pipeline.sheet import write_reports
from julnet_plugin.pipeline.takedata import TakeData
from julnet_plugin.pipeline.workfolder import WorkFolder
from julnet_plugin.provenance.credentials import credentials_or_warning
from julnet_plugin.take import STROKES, load_take
from julnet_plugin.types import DeliveryJob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from julnet_plugin.interfaces import DeliverySession
    from julnet_plugin.manager import Manager
    from julnet_plugin.media.reader import PlateReader
    from julnet_plugin.pipeline.cropdata import Plan
    from julnet_plugin.pipeline.inputs import Job
    from julnet_plugin.pipeline.plan import ShotPlan
    from julnet_plugin.types import FrameRange, ProgressFn, RedubRequest, Take

log = logging.getLogger(__name__)


def redub_clip(request: RedubRequest, progress: ProgressFn, manager: Manager) -> Take:
    """Render one take, or the rest of it.

    Args:
        request: what to render.
        progress: `progress(stage, done, total)`; raising from it stops the job.
        manager: the plugins: tracker, audio features, generators, matte operators and writers.

    Raises:
        InputError: the request cannot be rendered; nothing was written.
        RedubCancelled: from `progress`; what is done is kept for `resume`.
    """
    from julnet_plugin.media.reader import open_plate

    job = check_request(request, manager)
    identity = fingerprint(job)
    with WorkFolder(request.take_dir) as folder, open_plate(job.info) as plate:
        fresh = not folder.work.exists()
        if folder.begin(identity, resume=request.resume):
            return load_take(folder.take_dir)
        chunks = split(job.frames, job.settings.render.chunk_frames)
        try:
            # opened, though not for writing: what cannot be delivered is refused before faces are looked for
            open_sessions(job.writers.values(), delivery_job(job, folder, chunks))
            dub = hear_dub(job, identity, folder.work / "dub.npz", progress)
            shots, references = plan_take(job, identity, plate, folder, dub.duration_s, progress)
        except InputError:
            if fresh:
                folder.discard()
            raise
        sessions = open_sessions(job.writers.values(), delivery_job(job, folder, chunks))  # of crops of their size
        painter = painter_of(job, shots, references, dub)
        paint_range(painter, plate, job.frames, chunks, folder.root, progress)
        manifest = _deliver(job, identity, plate, shots, references, sessions, chunks, folder, progress)
        folder.finish(to_text(manifest))
    return load_take(folder.take_dir)


def hear_dub(job: Job, identity: Mapping[str, Any], path: Path, progress: ProgressFn) -> Dub:
    """Features of the whole dub, heard once on this machine."""
    progress("audio", 0, 1)
    cache = open_cache() if built_in(job.extractor) else Cache(None)
    key = {"dub": identity["dub"], "track": job.request.dub_track, "features": job.extractor.name}
    cache.made("dub", key, path, lambda: hear(job.request.dub, job.request.dub_track, job.extractor).save(path))
    dub = Dub.load(path)
    progress("audio", 1, 1)
    return dub


def plan_take(
    job: Job,
    identity: Mapping[str, Any],
    plate: PlateReader,
    folder: WorkFolder,
    dub_duration_s: float,
    progress: ProgressFn,
) -> tuple[ShotPlan, References]:
    """Faces, the choice among them, where each frame's crop lies, and each shot's references.

    What depends on the plate alone is remembered on this machine, so that another dub does not track again. The
    tracking itself, landmarks and all, is let go when this returns: it is the only thing that grows with the range.
    """
    tracker = job.manager.face_tracker(job.settings.face.tracker)
    cache = open_cache() if built_in(tracker) else Cache(None)
    seen = {
        **{name: identity[name] for name in ("plate", "colour_space")},
        "span": [job.span.start, job.span.stop],
        "tracker": tracker.name,
        "faces": job.settings.face.max_faces,
    }
    tracking = find_faces(job, folder.work / "tracking", progress, cache, seen)
    choices = choose_faces(job, tracking)
    shots = plan_shots(job, tracking, choices, dub_duration_s)
    fit_crops(job.engine, shots.plan)
    data = folder.root / DATA
    data.mkdir(exist_ok=True)
    if not (data / PLAN).exists():
        shots.plan.save(data / PLAN)
    if not (folder.root / STROKES).exists():
        save_document(folder.root / STROKES, _document(job))
    planned = {**seen, "frames": identity["frames"], "plan": file_hash(data / PLAN)}

    def measure() -> None:
        levels = measure_grain(plate, shots.plan, job.frames, job.transform)
        write_arrays(data / GRAIN, {"levels": levels})

    def cut() -> None:
        cut_references(job, plate, shots.plan, choices, choose_frames(job, choices, shots.plan)).save(data / REFERENCES)

    cache.made("grain", planned, data / GRAIN, measure)
    wanted = {name: identity[name] for name in ("face", "refs", "seed", "model")}
    wanted |= {"habit": job.settings.mouth.habit, "rehearsal": FRAMES}
    shape = {"count": job.engine.info.n_refs, "crop": list(job.engine.info.crop_size)}
    cache.made("references", {**planned, **wanted, **shape}, data / REFERENCES, cut)
    return shots, References.load(data / REFERENCES)


def painter_of(job: Job, shots: ShotPlan, references: References, dub: Dub) -> Painter:
    """The network with everything it needs for any frame."""
    time_s, steps = shots.schedule.time_s, job.engine.info.audio_window
    return Painter(
        job.engine,
        shots.plan,
        references,
        lambda positions: dub.windows(time_s[positions], steps),
        job.transform,
        deep=job.info.bit_depth > 8,
        batch=job.settings.render.batch,
        workers=job.workers,
    )


def _deliver(
    job: Job,
    identity: dict[str, Any],
    plate: PlateReader,
    shots: ShotPlan,
    references: References,
    sessions: Sequence[DeliverySession],
    chunks: tuple[FrameRange, ...],
    folder: WorkFolder,
    progress: ProgressFn,
) -> dict[str, Any]:
    """Composite and write everything from what the network drew; returns what `take.json` says."""
    maker = patch_maker_of(job, plate, shots.plan, folder)
    numbers = write_range(maker, sessions, chunks, folder.work, progress)
    files = close_sessions(sessions)
    stats = frame_stats(numbers, shots.plan, shots.schedule.reason, job.frames, references)
    spans = find_spans(stats, float(job.info.rate))
    made_from = file_hash(folder.root / STROKES)
    manifest = build_manifest(job, identity, shots, references, numbers, spans, files, made_from)
    write_reports(folder.root, maker, manifest, stats, spans)
    write_scripts(folder.root, manifest)
    credentials_or_warning(folder.root, manifest, job.settings.provenance.credentials, report=REPORT)
    for warning in manifest["warnings"]:
        log.info("%s", warning)
    return manifest


def patch_maker_of(job: Job, plate: PlateReader, plan: Plan, folder: WorkFolder) -> PatchMaker:
    """The compositor with everything it needs for any frame that was painted."""
    data = TakeData(folder.root, job.frames, plan, job.settings.render.chunk_frames)
    references = References.load(folder.root / DATA / REFERENCES)
    tracker = job.manager.face_tracker(job.settings.face.tracker)
    return PatchMaker(
        data=data,
        plate=plate,
        transform=job.transform,
        document=_document(job),
        operators=job.manager.matte_operators(),
        calibration=calibration_of(job.engine.info.calibration, job.engine.info.interval_factors),
        settings=job.settings.compose,
        seed=job.request.seed,
        watcher=LipWatcher(data, tracker, job.engine.lip_basis, job.transform, references.closed_of),
    )


def _document(job: Job) -> MatteDocument:
    """What is decided about the matte before a person has seen it."""
    return MatteDocument(settings=job.settings.matte, drive=job.settings.drive)


def delivery_job(job: Job, folder: WorkFolder, chunks: tuple[FrameRange, ...]) -> DeliveryJob:
    """What every delivery of the take is made from."""
    work = folder.work / "deliver"
    work.mkdir(exist_ok=True)
    return DeliveryJob(
        folder=folder.root,
        work=work,
        info=job.info,
        frames=job.frames,
        chunks=chunks,
        dub=job.request.dub,
        dub_offset_s=job.request.dub_offset_s,
        dub_track=job.request.dub_track,
        settings=writer_settings(job.settings.drive, job.frames, job.engine.info.crop_size),
    )
