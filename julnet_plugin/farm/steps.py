"""The four steps of a take that is rendered in chunks: track, paint, write, assemble.

They grow the same folder as a render in one process, with the same functions, so the finished take has the same bytes.
Tracking needs the whole shot and is done once. Painting and writing take any range of frames: each does the chunks that
begin in it, whoever cut the range and however; a chunk that is there already is not done again. Assembling refuses to
start before every chunk is there.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any

from julnet_plugin.effect import delivery_job, hear_dub, painter_of, patch_maker_of, plan_take
from julnet_plugin.errors import InputError, SettingsError, TakeError
from julnet_plugin.pipeline.cropdata import DATA, Plan, chunk_name
from julnet_plugin.pipeline.deliver import write_chunks, written
from julnet_plugin.pipeline.dub import Dub
from julnet_plugin.pipeline.inputs import check_request, fingerprint
from julnet_plugin.pipeline.outputs import open_sessions, split
from julnet_plugin.pipeline.paint import paint_range
from julnet_plugin.pipeline.plan import fit_crops
from julnet_plugin.pipeline.workfolder import WorkFolder
from julnet_plugin.take import load_take
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from julnet_plugin.interfaces import DeliverySession
    from julnet_plugin.manager import Manager
    from julnet_plugin.pipeline.inputs import Job
    from julnet_plugin.pipeline.plan import ShotPlan
    from julnet_plugin.pipeline.references import References
    from julnet_plugin.types import ProgressFn, RedubRequest, Take

STEPS = ("track", "paint", "write", "assemble")


class ChunkedTake:
    """One take as a worker's tasks see it; what was loaded for one task serves the next.

    Args:
        request: what to render; every task must be given the same.
        manager: the plugins.
    """

    def __init__(self, request: RedubRequest, manager: Manager) -> None:
        self._request = dataclasses.replace(request, resume=True)
        self._manager = manager
        self._planned: tuple[ShotPlan, References, Dub] | None = None

    def run(self, step: str, frames: FrameRange | None, progress: ProgressFn) -> Take | None:
        """Do one task.

        Args:
            step: one of `STEPS`.
            frames: for "paint" and "write", the frames whose chunks to do; None for all.
            progress: see `RedubRequest`.

        Returns:
            The finished take after "assemble".

        Raises:
            InputError: the request cannot be rendered, or an earlier step has not been done.
        """
        if step == "assemble":
            return self.assemble(progress)
        if step == "track":
            self.track(progress)
        elif step == "paint":
            self.paint(frames, progress)
        elif step == "write":
            self.write(frames, progress)
        else:
            raise SettingsError(f"there is no step {step!r}: there are {', '.join(STEPS)}", "step")
        return None

    def track(self, progress: ProgressFn) -> None:
        """Find the faces of the whole shot, choose references, hear the dub: all that painting needs."""
        from julnet_plugin.media.reader import open_plate

        job = self._job
        with WorkFolder(self._request.take_dir) as folder, open_plate(job.info) as plate:
            fresh = not folder.work.exists()
            if folder.begin(self._identity, resume=True):
                return
            try:
                self._sessions(folder)
                dub = hear_dub(job, self._identity, folder.work / "dub.npz", progress)
                plan_take(job, self._identity, plate, folder, dub.duration_s, progress)
            except InputError:
                if fresh:
                    folder.discard()
                raise

    def paint(self, frames: FrameRange | None, progress: ProgressFn) -> None:
        """Run the network over the chunks that begin in `frames`."""
        from julnet_plugin.media.reader import open_plate

        job = self._job
        with WorkFolder(self._request.take_dir, shared=True) as folder:
            if folder.join(self._identity):
                return
            shots, references, dub = self._plan(folder)
            for chunk in self._chunks_in(frames):
                with folder.chunk(f"paint.{chunk.start:08d}"), open_plate(job.info) as plate:
                    painter = painter_of(job, shots, references, dub)
                    paint_range(painter, plate, job.frames, self._chunks, folder.root, progress, chunk)

    def write(self, frames: FrameRange | None, progress: ProgressFn) -> None:
        """Composite and encode the chunks that begin in `frames`. Needs no GPU, and every painted chunk."""
        from julnet_plugin.media.reader import open_plate

        job = self._job
        with WorkFolder(self._request.take_dir, shared=True) as folder:
            if folder.join({key: value for key, value in self._identity.items() if key != "device"}):
                return
            self._require_painted(folder)
            plan = Plan.load(folder.root / DATA / "plan.npz")
            fit_crops(job.engine, plan)
            sessions = self._sessions(folder)
            for chunk in self._chunks_in(frames):
                with folder.chunk(f"write.{chunk.start:08d}"), open_plate(job.info) as plate:
                    maker = patch_maker_of(job, plate, plan, folder)
                    write_chunks(maker, sessions, self._chunks, folder.work, progress, chunk)

    def assemble(self, progress: ProgressFn) -> Take:
        """Put the written chunks together, once all are there, and finish the take."""
        with WorkFolder(self._request.take_dir, shared=True) as folder:
            if folder.join(self._identity):
                return load_take(self._request.take_dir)
            self._require_painted(folder)
            sessions = self._sessions(folder)
            self._require(
                [chunk for chunk in self._chunks if not written(chunk, sessions, folder.work)], "written", "write"
            )
        return self._manager.redub_clip(self._request, progress)

    # -- what tasks share ------------------------------------------------------------------------------------------

    @cached_property
    def _job(self) -> Job:
        return check_request(self._request, self._manager)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        return fingerprint(self._job)

    @property
    def _chunks(self) -> tuple[FrameRange, ...]:
        return split(self._job.frames, self._job.settings.render.chunk_frames)

    def _chunks_in(self, frames: FrameRange | None) -> list[FrameRange]:
        return [chunk for chunk in self._chunks if frames is None or chunk.start in frames]

    def _sessions(self, folder: WorkFolder) -> Sequence[DeliverySession]:
        return open_sessions(self._job.writers.values(), delivery_job(self._job, folder, self._chunks))

    def _plan(self, folder: WorkFolder) -> tuple[ShotPlan, References, Dub]:
        """What `track` left, read once."""
        from julnet_plugin.media.reader import open_plate

        if self._planned is None:
            kept = (folder.work / "dub.npz", folder.work / "tracking", folder.root / DATA / "plan.npz")
            if not all(path.exists() for path in kept):
                raise TakeError(
                    f"the faces of {self._request.take_dir} have not been tracked yet: run the tracking step first",
                    self._request.take_dir,
                )
            dub = Dub.load(folder.work / "dub.npz")
            with open_plate(self._job.info) as plate:
                shots, references = plan_take(self._job, self._identity, plate, folder, dub.duration_s, _silent)
            self._planned = shots, references, dub
        return self._planned

    def _require_painted(self, folder: WorkFolder) -> None:
        data = folder.root / DATA
        lacking = [chunk for n, chunk in enumerate(self._chunks) if not (data / chunk_name(n)).exists()]
        self._require(lacking, "painted", "paint")

    def _require(self, lacking: list[FrameRange], what: str, step: str) -> None:
        if lacking:
            spans = ", ".join(f"{chunk.start}-{chunk.stop - 1}" for chunk in lacking[:5])
            more = f" and {len(lacking) - 5} more chunks" if len(lacking) > 5 else ""
            raise TakeError(
                f"frames {spans}{more} of {self._request.take_dir} are not {what} yet: run the {step} step on them "
                "first",
                self._request.take_dir,
            )


def _silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody wants."""
