"""One frame of a re-dub, long before the take: what an editor looks at while parameters move.

Faces are followed through a stretch around the frame, once; the model, the dub's features and the plan are kept for the
next question, so that another offset, another frame near by or other references cost one pass of the network. Whoever
cannot wait for a stretch that is not known yet asks for a rough picture first: it looks at a few frames only.
"""

from __future__ import annotations

import atexit
import itertools
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np

from julnet_plugin.errors import InputError
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from julnet_plugin.face.tracks import Tracking
    from julnet_plugin.manager import Manager
    from julnet_plugin.media.reader import HeldPlate, PlateFrame, PlateReader
    from julnet_plugin.pipeline.cropdata import CropChunk
    from julnet_plugin.pipeline.dub import Dub
    from julnet_plugin.pipeline.inputs import Job
    from julnet_plugin.pipeline.plan import ShotPlan
    from julnet_plugin.pipeline.references import References
    from julnet_plugin.types import MediaInfo, ProgressFn, RedubRequest

BLOCK = 64  #: frames that faces are followed through together; blocks begin at whole multiples of half of it
ROUGH = 4  #: frames that a rough picture looks at
THUMBNAIL = 88  #: pixels of a reference's thumbnail, each way
_LIPS = (13, 14, 61, 291)  #: of the face mesh: middle of both lips, corners of the mouth
_KEPT = 3  #: of each kind of thing

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Preview:
    """One frame as the take would show it.

    Shape:
        picture: (H, W, 3) uint8, display-referred.
        thumbnails: (references, THUMBNAIL, THUMBNAIL, 3) uint8, display-referred: the faces that it was borrowed from.
    """

    frame: int
    picture: NDArray[np.uint8]
    redubbed: bool  #: False: this frame would pass through
    references: tuple[int, ...]  #: plate frames that the mouth was borrowed from, as chosen in the stretch
    thumbnails: NDArray[np.uint8]
    rough: bool = False  #: from a few frames near by: the take's references and how the face is held can differ


class _Painted(NamedTuple):
    """A frame, its own crop (h, w, 3) in display RGB, and what was drawn on it; None where the network isn't asked."""

    frame: PlateFrame
    crop: NDArray[np.float32] | None
    chunk: CropChunk | None


class _Scene:
    """A stretch of a plate, ready to be drawn from."""

    def __init__(self, job: Job, shots: ShotPlan, references: References, dub: Dub) -> None:
        from julnet_plugin.effect import painter_of

        self.job, self.shots, self.references = job, shots, references
        self._painter = painter_of(job, shots, references, dub)

    def close(self) -> None:
        """Stop the painter's threads."""
        self._painter.close()

    def paint(self, frames: Sequence[PlateFrame]) -> list[_Painted]:
        """What the network draws for some frames that follow one another, each by itself."""
        first = self.job.frames.start
        cuts = [self._painter.cut(frame, first) for frame in frames]
        at = frames[0].index - first
        chunk = self._painter.paint(iter(cuts), range(at, at + len(frames)), lambda: None)
        rows = {int(position): row for row, position in enumerate(chunk.frames)}
        return [
            _Painted(frame, cut.crop, _one_of(chunk, rows.get(frame.index - first)))
            for frame, cut in zip(frames, cuts, strict=True)
        ]


def _one_of(chunk: CropChunk, row: int | None) -> CropChunk | None:
    """One frame of a chunk, as the first of a take."""
    if row is None:
        return None
    maps = {name: getattr(chunk, name)[row : row + 1] for name in ("image", "sigma", "error")}
    return replace(chunk, frames=np.zeros(1, np.int64), **maps)


@dataclass(slots=True, kw_only=True)
class Previews:
    """Answers questions about single frames, and remembers what the next one can use.

    Args:
        manager: the plugins.
        folder: for what is tracked; a temporary one when None. `close` removes it.
    """

    manager: Manager
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="julnet-preview-")))
    _kept: dict[str, OrderedDict[Hashable, Any]] = field(default_factory=dict)
    _latest: tuple[Hashable, _Scene] | None = None
    _held: HeldPlate | None = None
    _reading: tuple[Path | None, int, Generator[PlateFrame, None, None] | None] = (None, -1, None)

    def close(self) -> None:
        """Forget everything."""
        self._kept.clear()
        if self._latest is not None:
            self._latest[1].close()
        self._latest, self._held, self._reading = None, None, (None, -1, None)
        shutil.rmtree(self.folder, ignore_errors=True)

    def frame(self, request: RedubRequest, frame: int, progress: ProgressFn, *, rough: bool = False) -> Preview:
        """One frame of a re-dub.

        Args:
            request: as for a take; its `take_dir` is not touched, its range says which frames it would hold.
            frame: of the plate.
            progress: raising from it stops.
            rough: a picture from a few frames near by will do, where the stretch was not looked at yet.

        Raises:
            InputError: the request cannot be rendered.
        """
        from julnet_plugin.media.reader import open_plate
        from julnet_plugin.pipeline.threads import blas_in_one_thread

        job = self._job(request, frame, BLOCK)
        near = self._job(request, frame, ROUGH) if rough and not self._tracked(job).is_dir() else job
        with open_plate(job.info) as plate, blas_in_one_thread():
            if near.frames == job.frames:
                scene = self._scene(job, plate, progress)
                decoded: PlateFrame = self._keep("picture", (request.plate, frame), lambda: self._decoded(plate, frame))
                return self._draw(plate, scene, scene.paint([decoded])[0])
            held = self._held_of(job.info, near.frames)
            scene = self._scene(near, held, progress)
            return replace(self._draw(held, scene, scene.paint([held.frame(frame)])[0]), rough=True)

    def frames(self, request: RedubRequest, frames: FrameRange, progress: ProgressFn) -> Iterator[Preview]:
        """Frames one after the other, as fast as the machine can: what plays while nothing is rendered yet.

        Decoding, the network and compositing of neighbouring frames overlap; a few pictures are in flight.

        Args:
            request: as for `frame`.
            frames: of the plate, inside the request's range.
            progress: raising from it stops.

        Raises:
            InputError: the request cannot be rendered.
        """
        from julnet_plugin.media.reader import open_plate
        from julnet_plugin.pipeline.threads import blas_in_one_thread, ordered_map, prefetch

        at = frames.start
        while at < frames.stop:
            job = self._job(request, at, BLOCK)
            part = FrameRange(start=at, stop=min(frames.stop, job.frames.stop))
            with ExitStack() as stack:
                plate = stack.enter_context(open_plate(job.info))
                stack.enter_context(blas_in_one_thread())
                pool = stack.enter_context(ThreadPoolExecutor(job.workers, "julnet-preview"))
                scene, together = self._scene(job, plate, progress), 2 * job.workers
                decoded = stack.enter_context(closing(prefetch(plate.frames(part), together)))
                painted = stack.enter_context(closing(prefetch(_painted(scene, decoded, together), together)))
                draw = partial(self._draw, plate, scene)
                yield from stack.enter_context(closing(ordered_map(draw, painted, pool, together)))
            at = part.stop

    def _job(self, request: RedubRequest, frame: int, length: int) -> Job:
        """A job on the stretch around the frame. Only a model that is not in memory is loaded."""
        from julnet_plugin.media.probe import probe
        from julnet_plugin.media.timecode import frame_range
        from julnet_plugin.pipeline.inputs import check_request, parse_refs

        info = self._keep("info", request.plate, lambda: probe(request.plate))
        wanted = frame_range(info, request.in_point, request.out_point)
        block = block_around(frame, wanted, info.frame_count, length)
        local = replace(
            request,
            take_dir=self.folder / "take",
            in_point=str(block.start),
            out_point=str(block.stop),
            dub_offset_s=request.dub_offset_s + info.time_of(wanted.start) - info.time_of(block.start),
            refs=_inside(request.refs, block),
            deliver=("png",),
            resume=False,
        )
        same = replace(local, dub_offset_s=0.0, refs="auto", in_point=None, out_point=None)
        checked: Job = self._keep("job", _frozen(same), lambda: check_request(local, self.manager))
        return replace(checked, request=local, frames=block, span=block, refs=parse_refs(local.refs, block))

    def _held_of(self, info: MediaInfo, frames: FrameRange) -> HeldPlate:
        """The plate with these frames in memory: faces, references and the picture are read from one decoding."""
        from julnet_plugin.media.reader import HeldPlate

        if self._held is None or (self._held.info.path, self._held.held) != (info.path, frames):
            self._held = HeldPlate(info, frames)
        return self._held

    def _tracking(self, job: Job, plate: PlateReader, progress: ProgressFn) -> Tracking:
        from julnet_plugin.pipeline.plan import find_faces

        folder = self._tracked(job)
        tracking: Tracking = self._keep("faces", folder, lambda: find_faces(job, folder, progress, plate=plate))
        return tracking

    def _tracked(self, job: Job) -> Path:
        """Where the faces of a stretch are, or will be."""
        key = (job.request.plate, job.frames.start, job.frames.stop, repr(job.settings.face))
        return self.folder / f"faces{abs(hash(key)):x}"

    def _dub(self, job: Job) -> Dub:
        from julnet_plugin.pipeline.dub import hear

        request = job.request
        key = (request.dub, request.dub_track, job.engine.info.audio_feature)
        dub: Dub = self._keep("dub", key, lambda: hear(request.dub, request.dub_track, job.extractor))
        return dub

    def _scene(self, job: Job, plate: PlateReader, progress: ProgressFn) -> _Scene:
        """What every frame of the stretch is drawn from; made anew when anything in the request changes."""
        key = _frozen(job.request)
        if self._latest is None or self._latest[0] != key:  # one at a time: the engine knows one shot's references
            tracking, dub = self._tracking(job, plate, progress), self._dub(job)
            shots, references = self._plan(job, plate, tracking, dub.duration_s)
            if self._latest is not None:
                self._latest[1].close()
            self._latest = key, _Scene(job, shots, references, dub)
        return self._latest[1]

    def _decoded(self, plate: PlateReader, frame: int) -> PlateFrame:
        """One frame; the one after the last that was asked for is decoded without looking for a key frame."""
        path, at, frames = self._reading
        if (path, at) != (plate.info.path, frame):
            if frames is not None:
                frames.close()
            rest = plate.frames(FrameRange(start=frame, stop=plate.info.frame_count))
            frames = cast("Generator[PlateFrame, None, None]", rest)  # a generator: it closes its file when closed
        assert frames is not None
        self._reading = plate.info.path, -1, None  # if it fails, begin again
        decoded = next(frames)
        self._reading = plate.info.path, frame + 1, frames
        return decoded

    def _plan(
        self, job: Job, plate: PlateReader, tracking: Tracking, dub_duration_s: float
    ) -> tuple[ShotPlan, References]:
        from julnet_plugin.pipeline.plan import choose_faces, fit_crops, plan_shots
        from julnet_plugin.pipeline.references import choose_frames, cut_references

        choices = choose_faces(job, tracking)
        shots = plan_shots(job, tracking, choices, dub_duration_s)
        fit_crops(job.engine, shots.plan)
        chosen = choose_frames(job, choices, shots.plan)
        shown = id(tracking), job.request.face, chosen.groups, chosen.of_frame.tobytes()
        key = shown, job.model, job.settings.mouth, job.engine.info.crop_size
        references: References = self._keep(
            "references", key, lambda: cut_references(job, plate, shots.plan, choices, chosen, rehearse=False)
        )
        return shots, references

    def _draw(self, plate: PlateReader, scene: _Scene, painted: _Painted) -> Preview:
        """Composite one frame; safe in several threads."""
        job, frame = scene.job, painted.frame.index
        position = frame - job.frames.start
        if painted.chunk is None:
            picture = job.transform.to_preview(painted.frame.rgb)
        else:
            picture = self._composited(scene, plate, painted, painted.chunk)
        return Preview(
            frame=frame,
            picture=picture,
            redubbed=painted.chunk is not None,
            references=tuple(scene.references.frames_at(position)),
            thumbnails=scene.references.thumbnails_at(position, THUMBNAIL),
        )

    def _composited(self, scene: _Scene, plate: PlateReader, painted: _Painted, chunk: CropChunk) -> NDArray[np.uint8]:
        """The frame with what was drawn laid in, as a take has it."""
        from julnet_plugin.matte.calibration import calibration_of
        from julnet_plugin.matte.document import MatteDocument
        from julnet_plugin.pipeline.cropdata import Plan
        from julnet_plugin.pipeline.patches import PictureMaker
        from julnet_plugin.pipeline.takedata import TakeData

        job, decoded, frame = scene.job, painted.frame, painted.frame.index
        info, here = job.engine.info, [frame - job.frames.start]
        plan = Plan(**{name: getattr(scene.shots.plan, name)[here] for name in Plan.__dataclass_fields__})
        data = TakeData(self.folder, FrameRange(start=frame, stop=frame + 1), plan)
        data.hold(0, chunk)
        maker = PictureMaker(
            data=data,
            plate=plate,
            transform=job.transform,
            document=MatteDocument(settings=job.settings.matte, drive=job.settings.drive),
            operators=job.manager.matte_operators(),
            calibration=calibration_of(info.calibration, info.interval_factors),
            settings=job.settings.compose,
            seed=job.request.seed,
        )
        layers = maker.layers(frame)
        patch = None if layers is None else maker.patch(decoded, layers, painted.crop)
        pixels = decoded.rgb.copy()
        if patch is not None:
            pixels[patch.rect.slices] = patch.pixels
        return job.transform.to_preview(pixels)

    def _keep(self, kind: str, key: Hashable, make: Callable[[], T]) -> T:
        """What was made for a key, or make it; the few used last are kept."""
        kept = self._kept.setdefault(kind, OrderedDict())
        if key not in kept:
            kept[key] = make()
            while len(kept) > _KEPT:
                kept.popitem(last=False)
        kept.move_to_end(key)
        made: T = kept[key]
        return made


@lru_cache(maxsize=1)
def previews_of(manager: Manager) -> Previews:
    """The process's previews; what they keep on disk goes when it ends."""
    previews = Previews(manager=manager)
    atexit.register(previews.close)
    return previews


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture (H, W, 3) as PNG, lightly compressed, whole or not at all.

    Raises:
        MediaError: it cannot be written.
    """
    import cv2

    from julnet_plugin.errors import MediaError
    from julnet_plugin.pipeline.workfolder import replacing

    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(data.tobytes())
    except OSError as exc:
        raise MediaError(f"cannot write {path}: {exc.strerror or exc}", path) from exc


def faces_on(media: Path, frame: int, manager: Manager) -> list[dict[str, list[float]]]:
    """The faces on one frame of a medium, the largest first: `box` and the middle of the `mouth`, plate pixels.

    Raises:
        MediaError: the medium cannot be read.
        TimeRangeError: it has no such frame.
    """
    from julnet_plugin.config import Settings
    from julnet_plugin.errors import TimeRangeError
    from julnet_plugin.media.colour import DisplayTransform
    from julnet_plugin.media.probe import probe
    from julnet_plugin.media.reader import open_plate

    info = probe(media)
    if frame >= info.frame_count:
        message = f"there is no frame {frame} in {info.path.name}, which has {info.frame_count}"
        raise TimeRangeError(message, requested=frame, available=info.frame_count)
    settings = Settings().face
    tracker = manager.face_tracker(settings.tracker)
    try:
        with open_plate(info) as plate:
            picture = DisplayTransform(info).to_preview(plate.frame(frame).rgb)
        found = tracker.detect(picture, settings.max_faces)
    finally:
        tracker.close()
    return [
        {
            "box": [*landmarks[:, :2].min(axis=0).tolist(), *landmarks[:, :2].max(axis=0).tolist()],
            "mouth": landmarks[list(_LIPS), :2].mean(axis=0).tolist(),
        }
        for landmarks in found
    ]


def _painted(scene: _Scene, decoded: Iterator[PlateFrame], together: int) -> Iterator[_Painted]:
    """Frames with what the network draws for them, some at a time, so that all of its threads have work."""
    while group := list(itertools.islice(decoded, together)):
        yield from scene.paint(group)


def block_around(frame: int, wanted: FrameRange, count: int, length: int = BLOCK) -> FrameRange:
    """The stretch that a frame is looked at in: near frames share one, so that stepping tracks nothing again.

    Args:
        frame: of the plate.
        wanted: what would be re-dubbed.
        count: frames of the plate.
        length: of the stretch, where so much is wanted.

    Raises:
        InputError: the frame is not among those that would be re-dubbed.
    """
    if frame not in wanted:
        message = (
            f"frame {frame} would not be re-dubbed: the range is {wanted.start} to {wanted.stop - 1}; "
            "go there, or choose another range"
        )
        raise InputError(message)
    half = length // 2
    start = max((frame // half) * half - half // 2, wanted.start)
    return FrameRange(start=start, stop=min(start + length, wanted.stop, count))


def _inside(refs: str, block: FrameRange) -> str:
    """The user's references that lie in the stretch; chosen anew where none does."""
    if refs.strip() == "auto":
        return "auto"
    numbers = [part.strip() for part in refs.split(",")]
    near = [part for part in numbers if part.isdigit() and int(part) in block]
    return ",".join(near) if near else "auto"


def _frozen(request: RedubRequest) -> Hashable:
    """A request as something that can be looked up."""
    return repr(request)
