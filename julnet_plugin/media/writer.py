"""The deliveries that come with JULNet, and several deliveries of one take written as if they were one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from julnet_plugin import hookimpl
from julnet_plugin.media.exr_writer import CropExrWriter, ExrWriter, MatteExrWriter
from julnet_plugin.media.matte_writer import MatteAlphaWriter, MatteLumaWriter, MattePngWriter, MatteTiffWriter
from julnet_plugin.media.movie_writer import H264, PRORES, PRORES_4444, MatteWriter, MovieWriter
from julnet_plugin.media.sequence_writer import PngWriter

if TYPE_CHECKING:
    from julnet_plugin.interfaces import DeliverySession, TakeWriter
    from julnet_plugin.media.reader import PlateFrame
    from julnet_plugin.types import DeliveryJob, FrameRange, Patch


@hookimpl
def julnet_writers() -> Sequence[TakeWriter]:
    """The built-in deliveries."""
    pictures: list[TakeWriter] = [MovieWriter(PRORES), MovieWriter(PRORES_4444), MovieWriter(H264)]
    pictures += [PngWriter(), ExrWriter()]
    mattes: list[TakeWriter] = [MatteExrWriter(), MattePngWriter(), MatteTiffWriter(), MatteAlphaWriter()]
    return [*pictures, *mattes, MatteLumaWriter(), CropExrWriter()]


class Deliveries:
    """Every delivery of one take, written together; itself a `interfaces.DeliverySession`.

    The first movie is `dub.mov`, a second one `dub.NAME.mov`; any movie brings one `matte.mov`.

    Args:
        writers: what was asked for, in order.
        job: the take; `movie_name` is set here.

    Raises:
        InputError: the plate cannot be delivered in one of these ways, or the dub cannot be read.
    """

    def __init__(self, writers: Iterable[TakeWriter], job: DeliveryJob) -> None:
        self._sessions: list[DeliverySession] = []
        self._writing: list[DeliverySession] = []
        movies = 0
        for writer in writers:
            name = f"dub.{writer.name}.mov" if writer.kind == "movie" and movies else "dub.mov"
            movies += writer.kind == "movie"
            self._sessions.append(writer.open(dataclasses.replace(job, movie_name=name)))
        if movies:
            self._sessions.append(MatteWriter().open(job))

    def finished(self, chunk: FrameRange) -> bool:
        """Whether every delivery has this chunk whole on disk."""
        return all(session.finished(chunk) for session in self._sessions)

    def begin(self, chunk: FrameRange) -> None:
        """Start a chunk in the deliveries that lack it."""
        for session in self._sessions:
            if not session.finished(chunk):
                session.begin(chunk)
                self._writing.append(session)

    def write(self, frame: PlateFrame, patch: Patch | None) -> None:
        """One frame, into every delivery that lacks it."""
        for session in self._writing:
            session.write(frame, patch)

    def end(self) -> None:
        """Finish the chunk everywhere."""
        while self._writing:
            self._writing[0].end()
            del self._writing[0]

    def abort(self) -> None:
        """Drop the chunk that was begun."""
        for session in self._sessions:
            session.abort()
        self._writing.clear()

    def close(self) -> dict[str, str]:
        """Finish every delivery.

        Returns:
            Files by kind, relative to the take folder.
        """
        files: dict[str, str] = {}
        for session in self._sessions:
            files |= session.close()
        return files
