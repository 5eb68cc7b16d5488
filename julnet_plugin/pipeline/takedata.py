"""A take's own numbers, frame by frame: what matte and compositing work from, during a render and long after it.

Frames are the plate's own numbers, counted from 0 at the plate's first frame, wherever a caller passes one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.compose.rim import shown_share
from julnet_plugin.errors import TakeError
from julnet_plugin.matte.follow import LandmarkFollower
from julnet_plugin.pipeline.cropdata import DATA, PLAN, CropChunk, Plan, chunk_name, read_arrays
from julnet_plugin.pipeline.grain import GRAIN
from julnet_plugin.pipeline.lips import LipChunk, lips_name
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Float32 = NDArray[np.float32]

CHUNK_FRAMES = 48  #: frames that are rendered, written and resumed together
_CACHED = 4  #: chunks kept in memory: the one in hand and what temporal smoothing reaches into
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


class TakeData:
    """Reads `data/` of a take, finished or growing; a `matte.MatteSource`.

    Memory does not grow with the take: a few chunks are kept. Safe to use from several threads.

    Args:
        folder: the take folder, or the one that it grows in.
        frames: the plate frames of the take.
        plan: see `cropdata.Plan`; read from the folder when None.
        chunk_frames: length of a chunk.
    """

    def __init__(
        self, folder: Path, frames: FrameRange, plan: Plan | None = None, chunk_frames: int = CHUNK_FRAMES
    ) -> None:
        self.folder = folder
        self.frames = frames
        self.plan = plan or Plan.load(folder / DATA / PLAN)
        self.chunk_frames = chunk_frames
        self._chunks: OrderedDict[int, CropChunk] = OrderedDict()
        self._lock = threading.Lock()
        self._regions: OrderedDict[int, Float32] = OrderedDict()
        self._coverages: OrderedDict[int, Float32] = OrderedDict()
        self._lips: dict[int, LipChunk] = {}
        self._grain: Float32 | None = None
        self.follow = LandmarkFollower(self.lips)  #: painted strokes go with the lips
        if len(self.plan) != len(frames):
            raise TakeError(
                f"{folder} holds a plan for {len(self.plan)} frames and a take of {len(frames)}: the take is damaged, "
                "render it again",
                folder,
            )

    def position(self, frame: int) -> int:
        """Where a plate frame lies in the range."""
        return frame - self.frames.start

    def active(self, frame: int) -> bool:
        """Whether the frame was re-dubbed; frames outside the take weren't."""
        return frame in self.frames and bool(self.plan.weight[self.position(frame)] > 0)

    def chunk(self, frame: int) -> CropChunk:
        """The stored crops of the chunk that a frame belongs to."""
        number = self.position(frame) // self.chunk_frames
        with self._lock:
            if number not in self._chunks:
                self._chunks[number] = CropChunk.load(self.folder / DATA / chunk_name(number))
                while len(self._chunks) > _CACHED:
                    self._chunks.popitem(last=False)
            self._chunks.move_to_end(number)
            return self._chunks[number]

    def hold(self, number: int, chunk: CropChunk) -> None:
        """Use a chunk that lies in memory and on no disk."""
        with self._lock:
            self._chunks[number] = chunk

    def crop_size(self) -> tuple[int, int]:
        """(h, w) of the network's crop."""
        for position in range(0, len(self.plan), self.chunk_frames):
            chunk = self.chunk(self.frames.start + position)
            if len(chunk.frames):
                return chunk.size
        raise TakeError(f"{self.folder} holds no re-dubbed frame: render it again", self.folder)

    def image(self, frame: int) -> Float32:
        """(h, w, 3) generated crop, display RGB."""
        return self.chunk(frame).image_of(self.position(frame))

    def error(self, frame: int) -> Float32:
        """(h, w) predicted error map of the drawn mouth."""
        return self.chunk(frame).error_of(self.position(frame))

    def coverage(self, frame: int) -> Float32:
        """(h, w) coverage before any drive: the feathered region, less its doubtful sides, times the frame's weight.

        Matte and compositing ask for it several times. Read-only.
        """
        return self._remembered(self._coverages, frame, lambda: self._coverage(frame))

    def drawn_sigma(self, frame: int) -> Float32 | None:
        """(h, w) σ of the drawn mouth before any of it is laid into the plate; None where the frame passes through."""
        return self.chunk(frame).sigma_of(self.position(frame)) if self.active(frame) else None

    def noise(self, frame: int) -> Float32 | None:
        """(2, 3) the plate's grain in the frame's shot; None where nobody measured it."""
        if self._grain is None:
            path = self.folder / DATA / GRAIN
            self._grain = read_arrays(path, ("levels",))["levels"] if path.exists() else np.zeros((0, 2, 3), np.float32)
        shot = int(self.plan.shot[self.position(frame)])
        return self._grain[shot] if shot < len(self._grain) else None

    def lips(self, frame: int) -> Float32 | None:
        """(L, 2) landmarks that carry painted strokes, canonical crop pixels; None where they are not known."""
        if not self.active(frame):
            return None
        chunk, row = self._seen(frame)
        points = None if row is None else chunk.points[row]
        return points if points is not None and np.isfinite(points).all() else None

    def mouth_outlier(self, frame: int) -> float:
        """Deviations of the finished lip shape from those that the model was taught; NaN where not known."""
        chunk, row = self._seen(frame)
        return float("nan") if row is None else float(chunk.outlier[row])

    def save_lips(self, chunk: FrameRange, lips: LipChunk) -> None:
        """Keep what was seen of the lips of one chunk."""
        lips.save(self.lips_path(chunk))
        with self._lock:
            self._lips[self.position(chunk.start) // self.chunk_frames] = lips

    def lips_path(self, chunk: FrameRange) -> Path:
        """Where the lips of a chunk are kept."""
        return self.folder / DATA / lips_name(self.position(chunk.start) // self.chunk_frames)

    def _seen(self, frame: int) -> tuple[LipChunk, int | None]:
        """The lips of a frame's chunk, and its row there. All that were asked for are kept: 700 bytes a frame."""
        position = self.position(frame)
        number = position // self.chunk_frames
        with self._lock:
            if number not in self._lips:
                self._lips[number] = LipChunk.load(self.folder / DATA / lips_name(number))
            chunk = self._lips[number]
        row = int(np.searchsorted(chunk.frames, position))
        return chunk, row if row < len(chunk.frames) and chunk.frames[row] == position else None

    def plate_from_crop(self, frame: int) -> NDArray[np.float64]:
        """(2, 3) canonical crop pixels to plate pixels."""
        return np.asarray(self.plan.plate_from_crop[self.position(frame)])

    def sigma(self, frame: int) -> Float32 | None:
        """See `MatteSource`: of the finished picture, which errs by no more of what was drawn than it shows of it."""
        drawn = self.drawn_sigma(frame)
        return None if drawn is None else drawn * self.coverage(frame)

    def region(self, frame: int) -> Float32 | None:
        """See `MatteSource`."""
        return self._region(frame) if self.active(frame) else None

    def guide(self, frame: int) -> Float32 | None:
        """See `MatteSource`."""
        return np.asarray(self.image(frame) @ _LUMA, np.float32) if self.active(frame) else None

    def plate_px_per_crop_px(self, frame: int) -> float:
        """See `MatteSource`."""
        from julnet_plugin.face.crop import CROP_W

        linear = self.plate_from_crop(frame)[:, :2]
        canonical = float(np.sqrt(abs(np.linalg.det(linear))))
        return canonical * CROP_W / self.chunk(frame).size[1]

    def shot(self, frame: int) -> FrameRange:
        """See `MatteSource`."""
        number = self.plan.shot[self.position(frame)]
        members = np.flatnonzero(self.plan.shot == number)
        return FrameRange(start=self.frames.start + int(members[0]), stop=self.frames.start + int(members[-1]) + 1)

    def _region(self, frame: int) -> Float32:
        """The feathered region of a frame. Read-only."""
        from julnet_plugin.face.crop import coverage

        return self._remembered(
            self._regions,
            frame,
            lambda: coverage(self.plan.region[self.position(frame)], self.chunk(frame).size),
        )

    def _coverage(self, frame: int) -> Float32:
        region, sigma = self._region(frame), self.drawn_sigma(frame)
        shown = region if sigma is None else shown_share(region, sigma)
        return np.asarray(shown * self.plan.weight[self.position(frame)], np.float32)

    def _remembered(self, known: OrderedDict[int, Float32], frame: int, make: Callable[[], Float32]) -> Float32:
        """A map of a frame, made unless it was asked for lately."""
        with self._lock:
            found = known.get(frame)
        if found is not None:
            return found
        made = make()
        made.flags.writeable = False
        with self._lock:
            known[frame] = made
            while len(known) > _CACHED:
                known.popitem(last=False)
        return made


def box_of(regions: Float32, size: tuple[int, int], margin: int = 4) -> tuple[int, int, int, int]:
    """Half-open rows and columns (top, bottom, left, right) of the crop that hold all of these regions and a margin.

    Shape:
        regions: (T, P, 2) canonical crop pixels.
    """
    from julnet_plugin.face.crop import CROP_W, mouth_square

    rows, columns = mouth_square(size)
    points = (regions.reshape(-1, 2) + 0.5) * (size[1] / CROP_W) - 0.5
    first, last = (columns.start, rows.start), (columns.stop - 1, rows.stop - 1)
    left, top = np.clip(np.floor(points.min(axis=0)), first, last).astype(int) - margin
    right, bottom = np.clip(np.ceil(points.max(axis=0)), first, last).astype(int) + 1 + margin
    return max(int(top), 0), min(int(bottom), size[0]), max(int(left), 0), min(int(right), size[1])
