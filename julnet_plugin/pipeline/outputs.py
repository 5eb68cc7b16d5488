"""Which deliveries a take gets, opened together and closed together."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from julnet_plugin.interfaces import DeliverySession, TakeWriter
    from julnet_plugin.matte.settings import Drive
    from julnet_plugin.types import DeliveryJob


def split(frames: FrameRange, length: int) -> tuple[FrameRange, ...]:
    """Cut a range into chunks of `length` frames; the last may be shorter."""
    starts = range(frames.start, frames.stop, length)
    return tuple(FrameRange(start=start, stop=min(start + length, frames.stop)) for start in starts)


def joined(chunks: Sequence[FrameRange]) -> list[FrameRange]:
    """Runs of chunks that follow one another, each read in one go."""
    spans: list[FrameRange] = []
    for chunk in chunks:
        if spans and spans[-1].stop == chunk.start:
            spans[-1] = FrameRange(start=spans[-1].start, stop=chunk.stop)
        else:
            spans.append(chunk)
    return spans


def writer_settings(drive: Drive, frames: FrameRange, crop_size: Sequence[int]) -> dict[str, Any]:
    """What writers must know of a take before its first frame, so that all their files have the same layers."""
    return {"holds_plate": any(drive.holds(frames)), "crop_size": list(crop_size)}


def open_sessions(writers: Iterable[TakeWriter], job: DeliveryJob) -> list[DeliverySession]:
    """Start, or go on with, every delivery.

    The first movie is `dub.mov`, a further one `dub.NAME.mov`; any movie brings `matte.mov`. They are opened one by
    one, and not as one `media.writer.Deliveries`, so that each can encode on a thread of its own.

    Raises:
        InputError: the plate cannot be delivered in one of these ways.
    """
    from julnet_plugin.media.movie_writer import MatteWriter

    sessions: list[DeliverySession] = []
    movies = 0
    for writer in writers:
        movie_name = f"dub.{writer.name}.mov" if writer.kind == "movie" and movies else job.movie_name
        movies += writer.kind == "movie"
        sessions.append(writer.open(dataclasses.replace(job, movie_name=movie_name)))
    if movies:
        sessions.append(MatteWriter().open(job))
    return sessions


def close_sessions(sessions: Iterable[DeliverySession]) -> dict[str, str]:
    """Finish every delivery: what was written, by kind, relative to the take folder."""
    files: dict[str, str] = {}
    for session in sessions:
        files.update(session.close())
    return files
