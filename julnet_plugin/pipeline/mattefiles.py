"""The deliveries that show the matte, for an edit that changes nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from julnet_plugin.media.movie_writer import MatteWriter
from julnet_plugin.media.sequence_writer import PngSession, full_size, write_picture

if TYPE_CHECKING:
    from collections.abc import Iterable

    from julnet_plugin.interfaces import DeliverySession, TakeWriter
    from julnet_plugin.media.reader import PlateFrame
    from julnet_plugin.types import DeliveryJob, Patch


class UncertaintyPngs(PngSession):
    """The uncertainty pictures of a PNG delivery, without the other two."""

    def __init__(self, job: DeliveryJob) -> None:
        super().__init__(job)
        self.patterns = {"uncertainty": self.patterns["uncertainty"]}

    def write_files(self, frame: PlateFrame, patch: Patch | None) -> None:
        """Write the matte of one frame, as `PngSession` does."""
        matte = full_size(self.job.info, patch, None if patch is None else patch.matte)
        write_picture(self.path("uncertainty", frame.index), self._levels(matte, np.rint))


def open_matte_sessions(writers: Iterable[TakeWriter], job: DeliveryJob) -> tuple[list[DeliverySession], bool]:
    """Sessions for what shows the matte among a take's deliveries.

    Returns:
        The sessions, and whether one of them shows the picture too, so that it must be composited: EXR layers, the
        movie with the matte in alpha, and whatever a plugin delivers.
    """
    sessions: list[DeliverySession] = []
    pictures = False
    movies = False
    for writer in writers:
        if writer.kind == "movie":
            movies = True
        elif writer.name == "png":
            sessions.append(UncertaintyPngs(job))
        else:
            sessions.append(writer.open(job))
            pictures |= writer.kind != "matte" or bool(getattr(writer, "shows_picture", False))
    if movies:
        sessions.append(MatteWriter().open(job))
    return sessions, pictures
