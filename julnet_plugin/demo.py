"""The demo's plate and dub, made on this machine: nothing is downloaded.

The plate is scikit-image's portrait of an astronaut (a public-domain photograph) under a slow camera move; the dub is a
spoken line that the package carries. See docs/demo.md for how that line was made.
"""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.pipeline.workfolder import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WIDTH, HEIGHT = 960, 720
RATE = 25
FRAMES = 110  #: 4.4 s: the line, and a moment after it in which the mouth comes to rest

_FINE = 4  #: the portrait is enlarged this much once, so that the camera moves over smooth gradients, not over pixels
_FRAME_PX = (345.0, 316.0)  #: width of the picture in portrait pixels, at the start and at the end of the move
_CENTRE_PX = ((219.0, 131.0), (226.0, 127.0))  #: x, y of its centre, likewise


def make_demo(folder: Path, frames: int = FRAMES) -> tuple[Path, Path]:
    """Make the demo's plate and dub.

    Args:
        folder: where to; created when missing. Files of an earlier demo are replaced.
        frames: how much of the camera move; fewer make a shorter plate, not a faster move.

    Returns:
        The plate (H.264, 960x720, 25 fps, 110 frames, BT.709, silent) and the dub (FLAC, 16 kHz mono).
    """
    folder.mkdir(parents=True, exist_ok=True)
    plate, dub = folder / "demo_plate.mp4", folder / "demo_line.flac"
    with replacing(plate) as temporary:
        _encode(temporary, camera_move(frames))
    with as_file(files("julnet_plugin").joinpath("data", "demo_line.flac")) as carried:
        shutil.copyfile(carried, dub)
    return plate, dub


def camera_move(frames: int = FRAMES) -> Iterator[NDArray[np.uint8]]:
    """A portrait under a slow push-in with the small sway of a hand-held camera: (720, 960, 3) RGB pictures.

    Every frame is a sub-pixel resampling of the same photograph, so a tracker sees real motion and a viewer no steps.
    """
    import cv2

    portrait = _fine_portrait()
    for index in range(frames):
        x, y, width = _camera(index / (FRAMES - 1))
        scale = WIDTH / width / _FINE
        # pixel centres: portrait (u + 0.5) * _FINE - 0.5, the picture's middle lies at (size - 1) / 2
        centre = np.array([(x + 0.5) * _FINE - 0.5, (y + 0.5) * _FINE - 0.5])
        shift = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2]) - scale * centre
        matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
        picture = cv2.warpAffine(
            portrait, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        yield np.asarray(picture, np.uint8)


def _camera(t: float) -> tuple[float, float, float]:
    """Centre x, y and width of the picture in portrait pixels, at t in [0, 1]."""
    ease = t * t * (3 - 2 * t)
    (x0, y0), (x1, y1) = _CENTRE_PX
    sway = 1.2 * np.sin(2 * np.pi * (1.3 * t)), 0.7 * np.sin(2 * np.pi * (1.9 * t) + 1.0)
    width = _FRAME_PX[0] * (_FRAME_PX[1] / _FRAME_PX[0]) ** ease
    return float(x0 + (x1 - x0) * ease + sway[0]), float(y0 + (y1 - y0) * ease + sway[1]), float(width)


def _fine_portrait() -> NDArray[np.uint8]:
    """The photograph, enlarged and sharpened a little: what a camera move can resample smoothly. (2048, 2048, 3)."""
    import cv2
    from skimage import data

    portrait = np.asarray(data.astronaut(), np.float32)  # type: ignore[no-untyped-call,unused-ignore]
    fine = cv2.resize(portrait, None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_LANCZOS4)
    soft = cv2.GaussianBlur(fine, (0, 0), 0.8 * _FINE)
    return np.asarray(np.clip(fine + 0.4 * (fine - soft) + 0.5, 0, 255), np.uint8)


def _encode(path: Path, pictures: Iterator[NDArray[np.uint8]]) -> None:
    """Write near-lossless H.264 with BT.709 matrix and tags."""
    import av
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    from julnet_plugin.media.planes import converted

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "8", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        context = stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        for picture in pictures:
            rgb = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = converted(rgb, "yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
