"""The uncertainty matte for programs of every kind: 16-bit pictures, ProRes 4444 with it in alpha, an 8-bit movie.

White means look here. Pictures and movies have the plate's size, numbers, rate and timecode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import av
import numpy as np

from julnet_plugin.media.movie_writer import (
    PRORES_4444,
    DubPictures,
    MattePictures,
    MovieKind,
    MovieSession,
)
from julnet_plugin.media.planes import plane
from julnet_plugin.media.sequence_writer import SequenceSession, full_size, levels, write_picture

if TYPE_CHECKING:
    from julnet_plugin.media.reader import PlateFrame
    from julnet_plugin.types import DeliveryJob, MediaInfo, Patch


def _luma_format(info: MediaInfo) -> str:
    """8 bits; 4:2:0, which every player shows, unless the plate's size is odd."""
    return "yuv444p" if info.width % 2 or info.height % 2 else "yuv420p"


#: For hosts that take a movie's brightness as the matte. Nearly lossless: it is also a way back.
LUMA = MovieKind(
    name="matte-luma",
    encoder="libx264",
    options={"crf": "1", "preset": "veryfast", "bf": "0"},
    pixel_format=_luma_format,
    threads=4,
)
ALPHA = MovieKind(
    name="matte-prores4444",
    encoder=PRORES_4444.encoder,
    options=PRORES_4444.options,
    pixel_format=PRORES_4444.pixel_format,
    quantiser=PRORES_4444.quantiser,
)


class MattePictureSession(SequenceSession):
    """One 16-bit grey picture a frame."""

    def __init__(self, job: DeliveryJob, name: str, suffix: str) -> None:
        self.name = name
        self.folder = f"matte/{suffix}"
        self.patterns = {name: f"matte/{suffix}/matte.######.{suffix}"}
        super().__init__(job)

    def write_files(self, frame: PlateFrame, patch: Patch | None) -> None:
        """Write the matte of one frame."""
        matte = full_size(self.job.info, patch, None if patch is None else patch.matte)
        write_picture(self.path(self.name, frame.index), levels(matte, np.dtype(np.uint16)))


class AlphaPictures(DubPictures):
    """The dub's picture with the matte as its alpha."""

    def __init__(self, info: MediaInfo) -> None:
        super().__init__(ALPHA, info)

    def picture(self, frame: PlateFrame, patch: Patch | None) -> av.VideoFrame:
        """One frame of the movie."""
        picture = super().picture(frame, patch)
        alpha = plane(picture, 3)
        alpha[:] = 0
        if patch is not None:
            peak = 2 ** picture.format.components[3].bits - 1
            alpha[patch.rect.slices] = np.rint(np.clip(patch.matte, 0, 1) * peak)
        return picture


class MattePngWriter:
    """The `matte-png` delivery; see `interfaces.TakeWriter`."""

    name = "matte-png"
    kind: Literal["movie", "sequence", "matte"] = "matte"

    def open(self, job: DeliveryJob) -> MattePictureSession:
        """Start, or go on with, the sequence."""
        return MattePictureSession(job, self.name, "png")


class MatteTiffWriter:
    """The `matte-tiff` delivery."""

    name = "matte-tiff"
    kind: Literal["movie", "sequence", "matte"] = "matte"

    def open(self, job: DeliveryJob) -> MattePictureSession:
        """Start, or go on with, the sequence."""
        return MattePictureSession(job, self.name, "tif")


class MatteLumaWriter:
    """The `matte-luma` delivery."""

    name = "matte-luma"
    kind: Literal["movie", "sequence", "matte"] = "matte"

    def open(self, job: DeliveryJob) -> MovieSession:
        """Start, or go on with, the movie."""
        return MovieSession(LUMA, job, MattePictures(job.info, LUMA), "matte.luma.mp4", sound=None)


class MatteAlphaWriter:
    """The `matte-prores4444` delivery: the only one of the matte's that shows the picture, too."""

    name = "matte-prores4444"
    kind: Literal["movie", "sequence", "matte"] = "matte"
    shows_picture = True

    def open(self, job: DeliveryJob) -> MovieSession:
        """Start, or go on with, the movie."""
        return MovieSession(ALPHA, job, AlphaPictures(job.info), "matte.prores4444.mov", sound=None)
