"""Golden values: known code values become the RGB that H.273 says, whatever the matrix, range and depth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from julnet_plugin.media.planes import plane
from julnet_plugin.media.reader import open_plate

Make = Callable[..., Path]

#: Red, green, blue in [0, 1]: greys from black to white, then saturated and skin-like patches.
PATCHES = np.array(
    [[k / 10] * 3 for k in range(11)]
    + [[0.75, 0, 0], [0, 0.75, 0], [0, 0, 0.75], [0, 0.75, 0.75], [0.75, 0, 0.75], [0.75, 0.75, 0]]
    + [[0.8, 0.6, 0.5], [0.45, 0.3, 0.22], [0.9, 0.75, 0.68]]
)
#: Kr and Kb of ITU-R BT.709, BT.601 and BT.2020 (non-constant luminance), typed from the standards.
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}
SIDE = 16


def code_values(matrix: int, full: bool, bits: int) -> np.ndarray:
    """Y, Cb and Cr of every patch, rounded, by the formulas of the standards. (patches, 3)."""
    kr, kb = WEIGHTS[matrix]
    r, g, b = PATCHES.T
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    unit = 2 ** (bits - 8)
    if full:
        top = 2**bits - 1
        codes = [top * y, 128 * unit + top * cb, 128 * unit + top * cr]
    else:
        codes = [(16 + 219 * y) * unit, (128 + 224 * cb) * unit, (128 + 224 * cr) * unit]
    return np.rint(np.stack(codes, axis=-1)).astype(int)


def chart(pixel_format: str, codes: np.ndarray) -> Callable[[int], av.VideoFrame]:
    """A frame of patches side by side, with exactly these code values."""

    def draw(_: int) -> av.VideoFrame:
        frame = av.VideoFrame(SIDE * len(codes), SIDE, pixel_format)
        for index in range(3):
            view = plane(frame, index)
            view[:] = np.repeat(codes[:, index], view.shape[1] // len(codes))
        return frame

    return draw


@pytest.mark.parametrize("matrix", [1, 6, 5, 9])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "yuv444p", "yuv444p10le"])
def test_code_values_are_read_as_the_standard_says(
    make_movie: Make, matrix: int, full: bool, pixel_format: str
) -> None:
    bits = 10 if "10" in pixel_format else 8
    codes = code_values(matrix, full, bits)
    path = make_movie(
        "chart.mkv",
        pixel_format=pixel_format,
        frames=2,
        size=(SIDE * len(codes), SIDE),
        options={"qp": "0"},  # lossless
        tags=(matrix, 2 if full else 1, 9 if matrix == 9 else 1, 1),
        native=chart(pixel_format, codes),
    )
    with open_plate(path) as plate:
        rgb = plate.frame(1).rgb
    peak = 255 if rgb.dtype == np.uint8 else 65535
    read = rgb[SIDE // 2, SIDE // 2 :: SIDE] / peak
    # FFmpeg's conversion rounds down (8 bits) and scales to 65280 (16 bits): at most 1.4 % off, always the same way.
    assert np.abs(read - PATCHES).max() < 0.014
    greys = read[:11]
    assert (greys.max(axis=1) - greys.min(axis=1)).max() <= 1 / peak  # a grey ramp has no tint
    assert (np.diff(greys[:, 0]) > 0.09).all()


def test_the_wrong_matrix_would_be_seen() -> None:
    # The 601 trap: what the chart above would be off by, were 601 read as 709.
    y, _, cr = (code_values(6, False, 8).T - np.array([[16], [128], [128]])) / np.array([[219], [224], [224]])
    red = y + (2 - 2 * 0.2126) * cr
    assert np.abs(red - PATCHES[:, 0]).max() > 0.05


def test_an_untagged_small_picture_is_read_as_601_and_a_large_one_as_709(make_movie: Make) -> None:
    read = {}
    for height, matrix in ((96, 6), (720, 1)):
        codes = code_values(matrix, False, 8)[-3:]
        values = np.repeat(codes, 32, axis=0)

        def draw(_: int, height: int = height, values: np.ndarray = values) -> av.VideoFrame:
            frame = av.VideoFrame(96, height, "yuv444p")
            for index in range(3):
                plane(frame, index)[:] = values[:, index]
            return frame

        path = make_movie(
            f"{height}.mkv", pixel_format="yuv444p", frames=1, size=(96, height), options={"qp": "0"}, native=draw
        )
        with open_plate(path) as plate:
            read[height] = plate.frame(0).rgb[height // 2, 16::32] / 255
    for colours in read.values():
        assert np.abs(colours - PATCHES[-3:]).max() < 0.014
