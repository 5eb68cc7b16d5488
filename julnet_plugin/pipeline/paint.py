"""Run the network over the range: decode, cut the crops, paint the mouths, keep them in `data/`.

Frames stream through in order and in small groups; what is kept of a frame is its crop. A chunk that is on disk is
never painted again, so a resumed render continues at the first one that isn't.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.pipeline.cropdata import DATA, ChunkBuilder, CropChunk, Plan, chunk_name
from julnet_plugin.pipeline.references import display_crop
from julnet_plugin.pipeline.takedata import box_of, painted
from julnet_plugin.pipeline.threads import prefetch
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from julnet_plugin.compose.paste import DisplayTransform
    from julnet_plugin.media.reader import PlateFrame, PlateReader
    from julnet_plugin.model.engine import Engine
    from julnet_plugin.types import ProgressFn

Float32 = NDArray[np.float32]

_AHEAD = 4  #: decoded frames that wait for the network; at 1080p and 16 bits they are 50 MB


class ReferenceCrops(Protocol):
    """Where the painter gets a shot's references from."""

    def of_shot(self, shot: int) -> Float32:
        """(N, h, w, 3) display RGB."""
        ...

    def lips_of(self, shot: int) -> Float32:
        """(N + 1, 48, 3) lips of the references and, last, the shot's closed mouth, in face units."""
        ...


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
    ) -> None:
        self.engine, self.plan, self.references, self.windows = engine, plan, references, windows
        self.transform, self.deep, self.batch = transform, deep, batch
        self.size = engine.info.crop_size
        self._shot: int | None = None

    def paint(self, frames: Iterator[PlateFrame], chunk: FrameRange, first: int, seen: Callable[[], None]) -> CropChunk:
        """Paint one chunk.

        Args:
            frames: decoded frames; exactly those of the chunk are taken.
            chunk: plate frames.
            first: plate frame at position 0 of the plan.
            seen: called after every frame.
        """
        positions = [p for p in range(chunk.start - first, chunk.stop - first) if self.plan.weight[p] > 0]
        box = box_of(self.plan.region[positions], self.size) if positions else (0, 0, 0, 0)
        builder = ChunkBuilder(positions, box, self.size, deep=self.deep)
        waiting = _Waiting()
        for _ in range(len(chunk)):
            frame = next(frames)
            position = frame.index - first
            if self.plan.weight[position] > 0:
                if self._full(waiting, position):
                    self._run(waiting, builder)
                waiting.positions.append(position)
                affine = self.plan.plate_from_crop[position]
                waiting.crops.append(display_crop(frame.rgb, self.transform, affine, self.size))
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
        shot = int(self.plan.shot[waiting.positions[0]])
        if shot != self._shot:
            self.engine.set_references(self.references.of_shot(shot), self.references.lips_of(shot))
            self._shot = shot
        mask = np.stack([painted(self.plan.region[p], self.size) for p in waiting.positions])
        masked = np.stack(waiting.crops) * (1 - mask[..., None])
        output = self.engine.run(masked, mask, self.windows(np.array(waiting.positions, np.intp)))
        for image, sigma, error in zip(output.image, output.sigma, output.error, strict=True):
            builder.add(image, sigma, error)
        waiting.positions.clear()
        waiting.crops.clear()


def paint_range(
    painter: Painter,
    plate: PlateReader,
    frames: FrameRange,
    chunks: tuple[FrameRange, ...],
    folder: Path,
    progress: ProgressFn,
) -> None:
    """Paint every chunk that is not on disk yet, in one pass over what is left of the plate.

    Args:
        painter: see `Painter`.
        plate: open for reading.
        frames: the range.
        chunks: the range, cut.
        folder: the take's; chunks go to its `data/`.
        progress: called as `progress("render", done, total)`, in frames.
    """
    names = [folder / DATA / chunk_name(number) for number in range(len(chunks))]
    first = next((number for number, name in enumerate(names) if not name.exists()), None)
    if first is None:
        return
    done = chunks[first].start - frames.start

    def seen() -> None:
        nonlocal done
        done += 1
        progress("render", done, len(frames))

    decoded = prefetch(plate.frames(FrameRange(start=chunks[first].start, stop=frames.stop)), _AHEAD)
    try:
        for number in range(first, len(chunks)):
            painter.paint(decoded, chunks[number], frames.start, seen).save(names[number])
    finally:
        decoded.close()
