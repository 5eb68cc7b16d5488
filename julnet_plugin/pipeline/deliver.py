"""Composite and write: one pass over the plate, every delivery at once, chunk by chunk.

A chunk counts as done when every delivery has it and its numbers are on disk. Pictures stream: a few decoded frames, a
few composited ones and what the encoders hold is all that is in memory.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.pipeline.cropdata import read_arrays, write_arrays
from julnet_plugin.pipeline.outputs import joined
from julnet_plugin.pipeline.threads import InOrder, blas_in_one_thread, ordered_map, prefetch
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from julnet_plugin.interfaces import DeliverySession
    from julnet_plugin.media.reader import PlateFrame
    from julnet_plugin.pipeline.patches import FrameLayers, PatchMaker
    from julnet_plugin.types import Patch, ProgressFn

_AHEAD = 3  #: decoded frames that wait; as many again are being composited, and one waits for each encoder

_LUMA = np.array([0.2126, 0.7152, 0.0722])

#: One row a frame of the range; 0 where it passes through. Errors in display values, coverage in plate pixels.
STATS = np.dtype(
    [
        ("sigma_mean", "<f8"),  #: mean σ in the region
        ("sigma_p95", "<f8"),  #: its 95th percentile
        ("expected_mean", "<f8"),  #: mean expected error (calibrated σ) in the region
        ("expected_p95", "<f8"),
        ("luma", "<f8"),  #: mean display luma of the region
        ("coverage_px", "<f8"),  #: sum of coverage over the plate's pixels
        ("outlier", "<f8"),  #: deviations of the lip shape from those that the model was taught; NaN where not known
    ]
)


@dataclass(frozen=True, slots=True)
class _Step:
    """One frame on its way from the decoder to the encoders."""

    frame: PlateFrame
    layers: FrameLayers | None
    stats: NDArray[np.void]


def write_range(
    maker: PatchMaker,
    sessions: Sequence[DeliverySession],
    chunks: tuple[FrameRange, ...],
    work: Path,
    progress: ProgressFn,
) -> NDArray[np.void]:
    """Write every chunk that is not finished yet.

    Args:
        maker: makes the patches.
        sessions: the deliveries, open.
        chunks: the range, cut.
        work: keeps each chunk's numbers for a resumed job.
        progress: called as `progress("deliver", done, total)`, in frames; may raise.

    Returns:
        (T,) of dtype `STATS`.
    """
    write_chunks(maker, sessions, chunks, work, progress)
    return np.concatenate([read_arrays(_stats_path(chunk, work), ("stats",))["stats"] for chunk in chunks])


def write_chunks(
    maker: PatchMaker,
    sessions: Sequence[DeliverySession],
    chunks: tuple[FrameRange, ...],
    work: Path,
    progress: ProgressFn,
    within: FrameRange | None = None,
) -> None:
    """Write every chunk that is not finished yet; `within`: only those that begin in here."""
    sessions = [*sessions, *([] if maker.watcher is None else [maker.watcher])]
    wanted = [chunk for chunk in chunks if within is None or chunk.start in within]
    todo = [chunk for chunk in wanted if not written(chunk, sessions, work)]
    total = sum(len(chunk) for chunk in wanted)
    done = total - sum(len(chunk) for chunk in todo)
    with ExitStack() as stack:
        stack.enter_context(blas_in_one_thread())
        if maker.watcher is not None:
            stack.callback(maker.watcher.close)
        pool = stack.enter_context(ThreadPoolExecutor(max(os.cpu_count() or 1, 1), "julnet-composite"))
        for span in joined(todo):
            decoded = stack.enter_context(closing(prefetch(maker.frames(span), _AHEAD)))
            for chunk in (chunk for chunk in todo if chunk.start in span):
                stats = np.zeros(len(chunk), STATS)
                with closing(_write_chunk(maker, sessions, chunk, decoded, pool)) as rows:
                    for index, row in enumerate(rows):
                        stats[index] = row
                        done += 1
                        progress("deliver", done, total)
                for index in np.flatnonzero(stats["expected_mean"]):
                    stats["outlier"][index] = maker.data.mouth_outlier(chunk.start + int(index))
                write_arrays(_stats_path(chunk, work), {"stats": stats})


def _write_chunk(
    maker: PatchMaker,
    sessions: Sequence[DeliverySession],
    chunk: FrameRange,
    decoded: Iterator[PlateFrame],
    pool: ThreadPoolExecutor,
) -> Generator[NDArray[np.void], None, None]:
    """Composite one chunk and hand it to every delivery that lacks it; yields each frame's numbers."""
    open_sessions = [session for session in sessions if not session.finished(chunk)]

    def steps() -> Iterator[_Step]:
        for _ in range(len(chunk)):
            frame = next(decoded)
            layers = maker.layers(frame.index)
            yield _Step(frame, layers, _measure(maker, layers))

    def composite(step: _Step) -> tuple[_Step, Patch | None]:
        return step, None if step.layers is None else maker.patch(step.frame, step.layers)

    def write_to(session: DeliverySession) -> InOrder[tuple[PlateFrame, Patch | None]]:
        return InOrder(lambda item: session.write(*item), depth=1)

    for session in open_sessions:
        session.begin(chunk)
    encoders = [write_to(session) for session in open_sessions]
    try:
        for step, patch in ordered_map(composite, steps(), pool, _AHEAD):
            for encoder in encoders:
                encoder.put((step.frame, patch))
            if patch is not None:
                step.stats["coverage_px"] = round(float(patch.coverage.sum(dtype=np.float64)), 2)
            yield step.stats
        for encoder, session in zip(encoders, open_sessions, strict=True):
            encoder.close()
            session.end()
    except BaseException:
        for encoder, session in zip(encoders, open_sessions, strict=True):
            encoder.abort()
            session.abort()
        raise


def _measure(maker: PatchMaker, layers: FrameLayers | None) -> NDArray[np.void]:
    """One row of `STATS`; what only the finished chunk tells is still open."""
    row = np.zeros((), STATS)
    if layers is None:
        return row
    inside = layers.region > 0
    sigma = layers.finished(layers.sigma)[inside]
    expected = sigma if maker.calibration is None else maker.calibration.apply(sigma)
    for name, values in (("sigma", sigma), ("expected", expected)):
        row[f"{name}_mean"] = values.mean(dtype=np.float64)
        rank = int(0.95 * (len(values) - 1))
        row[f"{name}_p95"] = np.partition(values, rank)[rank]
    row["luma"] = layers.image[inside].mean(axis=0, dtype=np.float64) @ _LUMA
    return row


def written(chunk: FrameRange, sessions: Sequence[DeliverySession], work: Path) -> bool:
    """Whether every delivery has the chunk, and its numbers are on disk."""
    return _stats_path(chunk, work).exists() and all(session.finished(chunk) for session in sessions)


def _stats_path(chunk: FrameRange, work: Path) -> Path:
    return work / f"stats.{chunk.start:08d}.npz"
