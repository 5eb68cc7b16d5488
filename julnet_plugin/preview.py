"""One frame of a re-dub, long before the take: what an editor looks at while parameters move.

Faces are followed through a stretch around the frame, once; the model, the dub's features and the plan are kept for the
next question, so that another offset, another frame near by or other references cost one pass of the network.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from julnet_plugin.errors import InputError
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from julnet_plugin.face.tracks import Tracking
    from julnet_plugin.manager import Manager
    from julnet_plugin.media.reader import PlateFrame, PlateReader
    from julnet_plugin.pipeline.cropdata import Plan
    from julnet_plugin.pipeline.dub import Dub
    from julnet_plugin.pipeline.inputs import Job
    from julnet_plugin.pipeline.plan import ShotPlan
    from julnet_plugin.pipeline.references import References
    from julnet_plugin.types import ProgressFn, RedubRequest

BLOCK = 64  #: frames that faces are followed through together; blocks begin at whole multiples of half of it
_LIPS = (13, 14, 61, 291)  #: of the face mesh: middle of both lips, corners of the mouth
_KEPT = 3  #: of each kind of thing

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Preview:
    """One frame as the take would show it.

    Shape:
        picture: (H, W, 3) uint8, display-referred.
    """

    frame: int
    picture: NDArray[np.uint8]
    redubbed: bool  #: False: this frame would pass through
    references: tuple[int, ...]  #: plate frames that the mouth was borrowed from, as chosen in the stretch


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

    def close(self) -> None:
        """Forget everything."""
        self._kept.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def frame(self, request: RedubRequest, frame: int, progress: ProgressFn) -> Preview:
        """One frame of a re-dub.

        Args:
            request: as for a take; its `take_dir` is not touched, its range says which frames it would hold.
            frame: of the plate.
            progress: raising from it stops.

        Raises:
            InputError: the request cannot be rendered.
        """
        from julnet_plugin.media.reader import open_plate

        job = self._job(request, frame)
        with open_plate(job.info) as plate:
            tracking = self._tracking(job, progress)
            dub = self._dub(job)
            shots, references = self._plan(job, plate, tracking, dub.duration_s)
            return self._draw(job, plate, shots, references, dub, frame)

    def _job(self, request: RedubRequest, frame: int) -> Job:
        """A job on the stretch around the frame. Only a model that is not in memory is loaded."""
        from julnet_plugin.media.probe import probe
        from julnet_plugin.media.timecode import frame_range
        from julnet_plugin.pipeline.inputs import check_request, parse_refs

        info = self._keep("info", request.plate, lambda: probe(request.plate))
        wanted = frame_range(info, request.in_point, request.out_point)
        block = block_around(frame, wanted, info.frame_count)
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
        same = replace(local, dub_offset_s=0.0, refs="auto")
        checked: Job = self._keep("job", _frozen(same), lambda: check_request(local, self.manager))
        return replace(checked, request=local, refs=parse_refs(local.refs, checked.frames))

    def _tracking(self, job: Job, progress: ProgressFn) -> Tracking:
        from julnet_plugin.pipeline.plan import find_faces

        key = (job.request.plate, job.frames.start, job.frames.stop, repr(job.settings.face))
        name = f"faces{abs(hash(key)):x}"
        tracking: Tracking = self._keep("faces", key, lambda: find_faces(job, self.folder / name, progress))
        return tracking

    def _dub(self, job: Job) -> Dub:
        from julnet_plugin.pipeline.dub import hear

        request = job.request
        key = (request.dub, request.dub_track, job.engine.info.audio_feature)
        dub: Dub = self._keep("dub", key, lambda: hear(request.dub, request.dub_track, job.extractor))
        return dub

    def _plan(
        self, job: Job, plate: PlateReader, tracking: Tracking, dub_duration_s: float
    ) -> tuple[ShotPlan, References]:
        from julnet_plugin.pipeline.plan import choose_faces, plan_shots
        from julnet_plugin.pipeline.references import choose_frames, cut_references

        choices = choose_faces(job, tracking)
        shots = plan_shots(job, tracking, choices, dub_duration_s)
        chosen = choose_frames(job, choices, shots.plan)
        key = (id(tracking), job.request.face, chosen.groups, chosen.of_frame.tobytes(), job.engine.info.crop_size)
        references: References = self._keep(
            "references", key, lambda: cut_references(job, plate, shots.plan, choices, chosen)
        )
        return shots, references

    def _draw(
        self, job: Job, plate: PlateReader, shots: ShotPlan, references: References, dub: Dub, frame: int
    ) -> Preview:
        from julnet_plugin.effect import painter_of
        from julnet_plugin.pipeline.cropdata import DATA, PLAN, Plan, chunk_name

        position = frame - job.frames.start
        decoded: PlateFrame = self._keep("picture", (job.request.plate, frame), lambda: plate.frame(frame))
        chosen = tuple(references.frames_at(position))
        if shots.plan.weight[position] <= 0:
            shown = job.transform.to_preview(decoded.rgb)
            return Preview(frame=frame, picture=shown, redubbed=False, references=chosen)
        painter = painter_of(job, shots, references, dub)
        try:
            cut = painter.cut(decoded, job.frames.start)
            chunk = painter.paint(iter([cut]), range(position, position + 1), lambda: None)
        finally:
            painter.close()
        one = Plan(**{name: getattr(shots.plan, name)[[position]] for name in Plan.__dataclass_fields__})
        folder = self.folder / "frame"
        (folder / DATA).mkdir(parents=True, exist_ok=True)
        replace(chunk, frames=np.zeros(1, np.int64)).save(folder / DATA / chunk_name(0))
        one.save(folder / DATA / PLAN)
        return Preview(
            frame=frame, picture=self._composited(job, plate, one, folder, decoded), redubbed=True, references=chosen
        )

    def _composited(
        self, job: Job, plate: PlateReader, plan: Plan, folder: Path, decoded: PlateFrame
    ) -> NDArray[np.uint8]:
        """The frame with what was drawn laid in, as a take has it."""
        from julnet_plugin.matte.calibration import calibration_of
        from julnet_plugin.matte.document import MatteDocument
        from julnet_plugin.pipeline.patches import PatchMaker
        from julnet_plugin.pipeline.takedata import TakeData

        info, frame = job.engine.info, decoded.index
        maker = PatchMaker(
            data=TakeData(folder, FrameRange(start=frame, stop=frame + 1), plan),
            plate=plate,
            transform=job.transform,
            document=MatteDocument(settings=job.settings.matte, drive=job.settings.drive),
            operators=job.manager.matte_operators(),
            calibration=calibration_of(info.calibration, info.interval_factors),
            settings=job.settings.compose,
            seed=job.request.seed,
        )
        layers = maker.layers(frame)
        patch = None if layers is None else maker.patch(decoded, layers)
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


def block_around(frame: int, wanted: FrameRange, count: int) -> FrameRange:
    """The stretch that a frame is looked at in: near frames share one, so that stepping tracks nothing again.

    Raises:
        InputError: the frame is not among those that would be re-dubbed.
    """
    if frame not in wanted:
        message = (
            f"frame {frame} would not be re-dubbed: the range is {wanted.start} to {wanted.stop - 1}; "
            "go there, or choose another range"
        )
        raise InputError(message)
    half = BLOCK // 2
    start = max((frame // half) * half - half // 2, wanted.start)
    return FrameRange(start=start, stop=min(start + BLOCK, wanted.stop, count))


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
