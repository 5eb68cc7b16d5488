"""Run the network over the range: decode, cut the crops, paint the mouths, keep them in `data/`.

Frames stream through in order and in small groups; what is kept of a frame is its crop. A chunk that is on disk is
never painted again, so a resumed render continues at the first one that isn't.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.crop import region_mask
from julnet_plugin.pipeline.cropdata import DATA, ChunkBuilder, CropChunk, Plan, chunk_name
from julnet_plugin.pipeline.outputs import joined
from julnet_plugin.pipeline.references import frame_crop
from julnet_plugin.pipeline.rehearsal import over_crop
from julnet_plugin.pipeline.takedata import box_of
from julnet_plugin.pipeline.threads import InOrder, blas_in_one_thread, ordered_map, prefetch
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from julnet_plugin.compose.paste import DisplayTransform
    from julnet_plugin.media.reader import PlateFrame, PlateReader
    from julnet_plugin.model.engine import Engine
    from julnet_plugin.types import ProgressFn

Float32 = NDArray[np.float32]

_AHEAD = 3  #: decoded frames that wait to be cut
_CUTTERS = 2  #: threads that cut crops while the network computes


class ReferenceCrops(Protocol):
    """Where the painter gets references from; see `References`."""

    def shares(self, position: int) -> list[tuple[int, float]]:
        """Groups that draw a frame, and how much of it each does."""
        ...

    def images_of(self, group: int) -> Float32:
        """(N, h, w, 3) display RGB."""
        ...

    def lips_of(self, group: int) -> Float32:
        """(N + 1, 48, 3) lips of the references and, last, the shot's closed mouth, in face units."""
        ...

    def gain_of(self, group: int) -> Float32 | None:
        """What to multiply σ by (GRID, GRID); see `rehearsal`."""
        ...


@dataclass(frozen=True, slots=True)
class _Cut:
    """One frame of the range with its crop; None where the network isn't asked."""

    position: int
    crop: Float32 | None


@dataclass(slots=True)
class _Waiting:
    """Frames of one shot on their way to the network."""

    positions: list[int] = field(default_factory=list)
    crops: list[Float32] = field(default_factory=list)


class Painter:
    """Paints mouths, chunk by chunk.

    Args:
        engine: the network.
        plan: where the face is, and which frames need the network.
        references: the shots' references.
        windows: audio windows for positions in the range: (n, W, D).
        transform: plate values to display RGB.
        deep: keep 16 bits a channel instead of 8.
        batch: frames that go to the network together.
        workers: threads that run the network, each on frames of its own. On a CPU several networks of one thread each
            do twice the work of one network on several threads, which mostly wait for one another.
    """

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        references: ReferenceCrops,
        windows: Callable[[NDArray[np.intp]], Float32],
        transform: DisplayTransform,
        *,
        deep: bool,
        batch: int,
        workers: int = 1,
    ) -> None:
        self.engine, self.plan, self.references, self.windows = engine, plan, references, windows
        self.transform, self.deep, self.batch = transform, deep, batch
        self.size = engine.info.crop_size
        self._group: int | None = None
        self._pool = ThreadPoolExecutor(workers, "julnet-network") if workers > 1 else None

    def close(self) -> None:
        """Stop the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def cut(self, frame: PlateFrame, first: int) -> _Cut:
        """Cut one frame's crop; safe in any thread.

        Args:
            frame: decoded.
            first: plate frame at position 0 of the plan.
        """
        position = frame.index - first
        if self.plan.weight[position] <= 0:
            return _Cut(position, None)
        affine = self.plan.plate_from_crop[position]
        return _Cut(position, frame_crop(frame, self.transform, affine, self.size))

    def paint(self, cuts: Iterator[_Cut], positions: range, seen: Callable[[], None]) -> CropChunk:
        """Paint one chunk.

        Args:
            cuts: frames in order; exactly those of the chunk are taken.
            positions: of the chunk in the range.
            seen: called after every frame.
        """
        active = [p for p in positions if self.plan.weight[p] > 0]
        box = box_of(self.plan.region[active], self.size) if active else (0, 0, 0, 0)
        builder = ChunkBuilder(active, box, self.size, deep=self.deep)
        waiting = _Waiting()
        for _ in positions:
            cut = next(cuts)
            if cut.crop is not None:
                if self._full(waiting, cut.position):
                    self._run(waiting, builder)
                waiting.positions.append(cut.position)
                waiting.crops.append(cut.crop)
            seen()
        self._run(waiting, builder)
        return builder.finish()

    def _full(self, waiting: _Waiting, position: int) -> bool:
        """Whether the network must be asked before this frame can wait too: enough wait, or another shot begins."""
        before = waiting.positions
        return len(before) == self.batch or bool(before and self.plan.shot[position] != self.plan.shot[before[0]])

    def _run(self, waiting: _Waiting, builder: ChunkBuilder) -> None:
        """Ask the network about the frames that wait."""
        if not waiting.positions:
            return
        mask = np.stack([region_mask(self.plan.region[p], self.size) for p in waiting.positions])
        masked = np.stack(waiting.crops) * (1 - mask[..., None])
        audio = self.windows(np.array(waiting.positions, np.intp))
        shares = [dict(self.references.shares(p)) for p in waiting.positions]
        drawn: list[tuple[Float32, Float32, Float32] | None] = [None] * len(shares)
        for group in sorted({group for share in shares for group in share}):  # always in this order: sums are rounded
            rows = np.array([row for row, share in enumerate(shares) if group in share])
            self._use(group)
            gain = self._gain(group)
            for row, (image, *doubt) in zip(rows, self._network(masked[rows], mask[rows], audio[rows]), strict=True):
                sigma, error = doubt if gain is None else (np.minimum(layer * gain, 1) for layer in doubt)
                drawn[row] = _mixed(drawn[row], (image, sigma, error), shares[row][group])
        for whole in drawn:
            assert whole is not None
            builder.add(*whole)
        waiting.positions.clear()
        waiting.crops.clear()

    def _use(self, group: int) -> None:
        """Give the network the references of a group, unless it has them; who shares it may have changed its crops."""
        if group != self._group or self.engine.info.crop_size != self.size:
            self.engine.use_crops(self.size)
            self.engine.set_references(self.references.images_of(group), self.references.lips_of(group))
            self._group = group

    def _gain(self, group: int) -> Float32 | None:
        """What to multiply σ and the predicted error by, over the crop."""
        gain = self.references.gain_of(group)
        return None if gain is None else over_crop(gain, self.size)

    def _network(self, masked: Float32, mask: Float32, audio: Float32) -> Iterator[tuple[Float32, Float32, Float32]]:
        """Image, σ and error of every frame."""
        step = len(masked) if self._pool is None else self.engine.batch
        parts = [slice(start, start + step) for start in range(0, len(masked), step)]
        run = map if self._pool is None else self._pool.map
        for output in run(lambda part: self.engine.run(masked[part], mask[part], audio[part]), parts):
            yield from zip(output.image, output.sigma, output.error, strict=True)


def _mixed(
    so_far: tuple[Float32, Float32, Float32] | None, layers: tuple[Float32, Float32, Float32], share: float
) -> tuple[Float32, Float32, Float32]:
    """What other groups drew of a frame, and this group's share of it; the whole is what was drawn, to the bit."""
    if share == 1:
        return layers
    image, sigma, error = (np.float32(share) * layer for layer in layers)
    if so_far is None:
        return image, sigma, error
    return so_far[0] + image, so_far[1] + sigma, so_far[2] + error


def paint_range(
    painter: Painter,
    plate: PlateReader,
    frames: FrameRange,
    chunks: tuple[FrameRange, ...],
    folder: Path,
    progress: ProgressFn,
    within: FrameRange | None = None,
) -> None:
    """Paint every chunk that is not on disk yet, in one pass over what is left of the plate.

    Args:
        painter: see `Painter`.
        plate: open for reading.
        frames: the range.
        chunks: the range, cut.
        folder: the take's; chunks go to its `data/`.
        progress: called as `progress("render", done, total)`, in frames.
        within: only the chunks that begin in here.
    """
    names = {chunk: folder / DATA / chunk_name(number) for number, chunk in enumerate(chunks)}
    wanted = [chunk for chunk in chunks if within is None or chunk.start in within]
    todo = [chunk for chunk in wanted if not names[chunk].exists()]
    total = sum(len(chunk) for chunk in wanted)
    done = total - sum(len(chunk) for chunk in todo)

    def seen() -> None:
        nonlocal done
        done += 1
        progress("render", done, total)

    with ExitStack() as stack:
        stack.enter_context(closing(painter))
        stack.enter_context(blas_in_one_thread())
        pool = stack.enter_context(ThreadPoolExecutor(_CUTTERS, "julnet-cut"))
        saver: InOrder[tuple[CropChunk, Path]] = InOrder(lambda item: item[0].save(item[1]), depth=1)
        try:
            for span in joined(todo):
                with (
                    closing(prefetch(plate.frames(span), _AHEAD)) as decoded,
                    closing(
                        ordered_map(lambda frame: painter.cut(frame, frames.start), decoded, pool, painter.batch)
                    ) as cuts,
                ):
                    for chunk in (chunk for chunk in todo if chunk.start in span):
                        positions = range(chunk.start - frames.start, chunk.stop - frames.start)
                        saver.put((painter.paint(cuts, positions, seen), names[chunk]))
        except BaseException:
            with suppress(Exception):  # what is painted is worth keeping; the first error is the one to tell
                saver.close()
            raise
        saver.close()
