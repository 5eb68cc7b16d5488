"""Find the faces, choose one in each shot, decide for every frame where its crop lies and whether it is re-dubbed."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from julnet_plugin.errors import MediaError
from julnet_plugin.pipeline.cache import Cache
from julnet_plugin.pipeline.cropdata import Plan
from julnet_plugin.pipeline.dub import RATE_HZ, own_sound
from julnet_plugin.pipeline.schedule import Schedule, dub_times, make_schedule, mouth_in_frame, refusals
from julnet_plugin.pipeline.threads import prefetch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from julnet_plugin.face.speaker import Choice
    from julnet_plugin.face.tracks import Tracking
    from julnet_plugin.media.reader import PlateReader
    from julnet_plugin.model.engine import Engine
    from julnet_plugin.pipeline.inputs import Job
    from julnet_plugin.types import FrameRange, ProgressFn

_AHEAD = 3  #: decoded pictures that wait for the tracker
#: a mouth square may be this much larger on the plate than in the crop. Measured on validation speakers, half the size
#: costs 0.04 dB and 0.01 of `vgg3-distance`, at the crop's own size and enlarged one and a half times alike.
_ENLARGED = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotChoice:
    """Who is re-dubbed in one shot."""

    shot: int
    frames: FrameRange
    face: int | None  #: None: nobody
    faces: int  #: how many there are to choose from
    why: str  #: one sentence


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShotPlan:
    """The plan of the whole range, and who was chosen in each shot."""

    choices: tuple[ShotChoice, ...]
    plan: Plan
    schedule: Schedule


def find_faces(
    job: Job,
    folder: Path,
    progress: ProgressFn,
    cache: Cache | None = None,
    key: Mapping[str, object] | None = None,
    plate: PlateReader | None = None,
) -> Tracking:
    """Follow every face through the range and what is near, once; a resumed job opens what the first left in `folder`.

    Args:
        job: what is rendered.
        folder: for the tracking.
        progress: called as `progress("track", done, total)`.
        cache: where the tracking of an earlier take may be, and this one is kept.
        key: what the tracking depends on.
        plate: to read from; opened here where None.

    Returns:
        The faces of the range; each knows its `entire` track, through what is near.
    """
    from julnet_plugin.face.track import TrackSettings, track_plate
    from julnet_plugin.face.tracks import Tracking
    from julnet_plugin.media.reader import open_plate

    if folder.is_dir():
        return Tracking.load(folder).within(job.frames)
    cache, key = cache or Cache(None), key or {}
    if cache.fetch("faces", key, folder):
        progress("track", len(job.span), len(job.span))
        return Tracking.load(folder).within(job.frames)
    tracker = job.manager.face_tracker(job.settings.face.tracker)

    def pictures() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        last = job.frames.start - 1
        try:
            with open_plate(job.info) if plate is None else nullcontext(plate) as reader:
                for frame in reader.frames(job.span):
                    last = frame.index
                    yield last, job.transform.to_preview(frame.rgb)
        except MediaError:
            if last + 1 < job.frames.stop:
                raise  # a plate that is damaged behind the range has all that the take needs

    ahead = prefetch(pictures(), _AHEAD)
    try:
        tracking = track_plate(
            ahead,
            job.info,
            tracker,
            TrackSettings(max_faces=job.settings.face.max_faces),
            progress,
            span=job.span,
            folder=folder,
        )
    finally:
        ahead.close()
        tracker.close()
    cache.store("faces", key, folder.iterdir())
    return tracking.within(job.frames)


def choose_faces(job: Job, tracking: Tracking) -> tuple[Choice, ...]:
    """The face of each shot that speaks, or that the user asked for.

    Raises:
        NoFaceFoundError: there is no face in the range.
        InputError: the asked-for face isn't there.
    """
    from julnet_plugin.face.speaker import choose_track, speech_envelope

    envelope = None
    several = any(len(tracking.in_shot(shot)) > 1 for shot in range(len(tracking.shots)))
    if several and job.info.audio and job.request.face.strip().lower() == "auto":
        samples, times_s = next(own_sound(job.info, [range(job.frames.start, job.frames.stop)]))
        envelope = speech_envelope(samples, RATE_HZ, times_s)
    return tuple(choose_track(tracking, job.request.face, envelope))


def plan_shots(job: Job, tracking: Tracking, choices: tuple[Choice, ...], dub_duration_s: float) -> ShotPlan:
    """Plan every frame of the range; one whose face cannot be re-dubbed passes through, even if all do."""
    from julnet_plugin.face.cover import hidden
    from julnet_plugin.face.crop import plan_crops

    start, count = job.frames.start, len(job.frames)
    plan = _empty_plan(count)
    behind = np.zeros(count, bool)
    limits, rate = job.settings.face, float(job.info.rate)
    for choice in choices:
        plan.shot[choice.frames.start - start : choice.frames.stop - start] = choice.shot
        if choice.track is None:
            continue
        track, entire = choice.track, choice.track.entire
        crops = plan_crops(entire.landmarks, entire.found, rate)
        rows = slice(track.frames.start - start, track.frames.stop - start)
        part = slice(track.frames.start - entire.frames.start, track.frames.stop - entire.frames.start)
        plan.plate_from_crop[rows] = crops.plate_from_crop[part]
        plan.region[rows] = crops.region[part]
        plan.mouth_px[rows] = crops.mouth_px[part]
        plan.angles[rows] = crops.angles[part]
        plan.found[rows] = crops.found[part]
        plan.sharpness[rows] = track.quality["sharpness"]
        plan.covered[rows] = track.quality["covered"]
        behind[rows] = hidden(np.asarray(entire.quality["covered"]), entire.found, limits.max_covered, rate)[part]
    in_frame = mouth_in_frame(plan.plate_from_crop, plan.region, job.info.width, job.info.height)
    reasons = refusals(plan.found, in_frame, plan.mouth_px, plan.angles[:, 0], behind, limits)
    schedule = make_schedule(
        reasons,
        dub_times(job.info, job.frames, job.request.dub_offset_s),
        dub_duration_s,
        tuple(choice.frames.start - start for choice in choices),
        rate,
    )
    plan.weight[:] = schedule.weight
    return ShotPlan(choices=tuple(_choice(c, tracking) for c in choices), plan=plan, schedule=schedule)


def fit_crops(engine: Engine, plan: Plan) -> None:
    """Let the network draw the smallest crops in which the largest mouth of the range keeps the plate's detail.

    A crop at twice the plate's resolution costs more of everything, and is reduced again when it is laid in.
    """
    from julnet_plugin.face.crop import CROP_W, MOUTH_SIZE

    largest = float(plan.mouth_px[plan.weight > 0].max(initial=0.0))
    sizes = sorted(engine.crop_sizes)
    enough = (size for size in sizes if largest <= _ENLARGED * size[1] * MOUTH_SIZE / CROP_W)
    engine.use_crops(next(enough, sizes[-1]))


def _choice(choice: Choice, tracking: Tracking) -> ShotChoice:
    return ShotChoice(
        shot=choice.shot,
        frames=choice.frames,
        face=None if choice.track is None else choice.track.index,
        faces=len(tracking.in_shot(choice.shot)),
        why=choice.why,
    )


def _empty_plan(count: int) -> Plan:
    from julnet_plugin.face.crop import REGION

    identity = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return Plan(
        plate_from_crop=np.tile(identity, (count, 1, 1)),
        region=np.zeros((count, len(REGION), 2), np.float32),
        weight=np.zeros(count, np.float32),
        shot=np.zeros(count, np.int32),
        mouth_px=np.zeros(count, np.float64),
        angles=np.zeros((count, 3), np.float64),
        found=np.zeros(count, bool),
        sharpness=np.zeros(count, np.float32),
        covered=np.zeros(count, np.float32),
    )
