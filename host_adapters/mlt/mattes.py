"""Mattes as MLT's `shape` filter wants them: PNGs whose alpha is the matte.

MLT maps the white of a picture to 92 %, since it takes it for video; alpha it takes as it is. The filter is given one
file that names them all: Shotcut asks for the whereabouts of a pattern before it opens a project.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from host_adapters.base import HostRefused, sequence_files
from host_adapters.mlt.xmltext import element, prop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "matte.%06d.png"
LIST = "matte.mlt"


def write_alpha(matte: str, folder: str) -> str:
    """Write a matte as white pictures with the matte in alpha.

    Args:
        matte: a movie or a pattern; white counts.
        folder: where to; made when missing.

    Returns:
        The pattern of the pictures, which are numbered from 0; beside them lies `LIST`, which `resource_of` finds.
    """
    from PIL import Image

    os.makedirs(folder, exist_ok=True)
    pattern = os.path.join(folder, NAME)
    index = -1
    for index, levels in enumerate(_pictures(matte)):
        alpha = Image.fromarray(levels)
        picture = Image.merge("LA", (Image.new("L", alpha.size, 255), alpha))
        picture.save(pattern % index, compress_level=3)
    inner = [prop("mlt_service", "pixbuf"), prop("resource", NAME), prop("ttl", 1), prop("length", index + 1)]
    producer = element("producer", {"id": "matte", "in": 0, "out": index}, *inner)
    with open(os.path.join(folder, LIST), "w", encoding="utf-8") as file:
        file.write(f'<?xml version="1.0" encoding="utf-8"?>\n{element("mlt", {}, producer)}\n')
    return pattern


def resource_of(alpha: str) -> str:
    """What the filter is told of pictures that `write_alpha` wrote: the one file that names them."""
    listed = os.path.join(os.path.dirname(alpha), LIST)
    return listed if os.path.exists(listed) else alpha


def write_grey(alpha: str, folder: str, first_number: int) -> str:
    """Write the alpha of pictures as grey ones: what a person painted, for `julnet matte`."""
    from PIL import Image

    os.makedirs(folder, exist_ok=True)
    for index, file in enumerate(sequence_files(alpha)):
        with Image.open(file) as picture:
            grey = picture.getchannel("A") if "A" in picture.getbands() else picture.convert("L")
            grey.save(os.path.join(folder, NAME % (first_number + index)), compress_level=3)
    return os.path.join(folder, NAME)


def _pictures(matte: str) -> Iterator[NDArray[np.uint8]]:
    """(H, W) uint8 levels of each frame."""
    import numpy as np
    from PIL import Image

    files = sequence_files(matte) if "#" in matte or "%" in os.path.basename(matte) else []
    if not files:
        yield from _movie(matte)
        return
    for file in files:
        with Image.open(file) as picture:
            levels = np.asarray(picture)
        if levels.ndim == 3:
            levels = levels[..., 0]
        if levels.dtype != np.uint8:
            levels = (levels.astype(np.uint32) >> 8).astype(np.uint8)
        yield levels


def _movie(path: str) -> Iterator[NDArray[np.uint8]]:
    from pathlib import Path

    import numpy as np

    from julnet_plugin.errors import MediaError
    from julnet_plugin.media.probe import probe
    from julnet_plugin.media.reader import open_plate
    from julnet_plugin.types import FrameRange

    try:
        info = probe(Path(path))
        with open_plate(info) as plate:
            for frame in plate.frames(FrameRange(start=0, stop=info.frame_count)):
                levels = np.asarray(frame.rgb)[..., 1]
                yield (levels if levels.dtype == np.uint8 else np.right_shift(levels, 8)).astype(np.uint8)
    except MediaError as exc:
        raise HostRefused(str(exc)) from None
