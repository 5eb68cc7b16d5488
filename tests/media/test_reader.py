"""Frames come in order, each once, from wherever one asks."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenEXR
import pytest
from numpy.typing import NDArray

from julnet_plugin.errors import MediaError, TimeRangeError
from julnet_plugin.media.planes import planar_format, plane, upright
from julnet_plugin.media.reader import PlateFrame, open_plate
from julnet_plugin.types import FrameRange, Rect

Make = Callable[..., Path]
Number = Callable[[NDArray[Any]], int]
IPHONE_PORTRAIT = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)

LONG_GOP = {"g": "24", "bf": "3"}
MOVIES = [
    ("a.mp4", "libx264", "yuv420p", {**LONG_GOP, "x264-params": "open-gop=1:b-pyramid=normal"}),
    ("a.mkv", "libx264", "yuv422p10le", LONG_GOP),
    ("a.mp4", "libx265", "yuv420p10le", {"x265-params": "keyint=24:bframes=3:log-level=none"}),
    ("a.ts", "libx264", "yuv420p", LONG_GOP),
    ("a.mpg", "mpeg1video", "yuv420p", {"g": "15", "bf": "2"}),
    ("a.mpg", "mpeg2video", "yuv420p", {"g": "15", "bf": "2"}),
    ("a.webm", "libvpx-vp9", "yuv420p", {"g": "24"}),
    ("a.avi", "mpeg4", "yuv420p", {"g": "24", "bf": "2"}),
    ("a.mov", "prores_ks", "yuv422p10le", {}),
    ("a.mov", "prores_ks", "yuva444p10le", {"profile": "4444"}),
    ("a.mov", "dnxhd", "yuv422p", {"profile": "dnxhr_hq"}),
    ("a.avi", "mjpeg", "yuvj420p", {}),
    ("a.mkv", "ffv1", "gbrp10le", {}),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format", "options"), MOVIES)
def test_a_frame_is_the_same_read_in_order_and_after_a_seek(
    make_movie: Make, frame_number: Number, name: str, codec: str, pixel_format: str, options: dict[str, str]
) -> None:
    size = (256, 128) if codec == "dnxhd" else (96, 64)
    path = make_movie(name, codec=codec, pixel_format=pixel_format, options=options, frames=60, size=size)
    with open_plate(path) as plate:
        pictures = [frame.rgb for frame in plate.frames()]
        assert [frame_number(picture) for picture in pictures] == list(range(60))
        for start in (1, 13, 23, 24, 25, 47, 59):
            part = FrameRange(start=start, stop=min(60, start + 3))
            for frame in plate.frames(part):
                assert frame_number(frame.rgb) == frame.index
                np.testing.assert_array_equal(frame.rgb, pictures[frame.index])


def test_variable_frame_rate_is_sought_by_time_stamp(make_movie: Make, frame_number: Number) -> None:
    ticks = np.cumsum(np.random.default_rng(0).integers(17, 90, 60)).tolist()
    path = make_movie("a.mp4", frames=60, times=ticks, time_base=Fraction(1, 1000), options=LONG_GOP)
    with open_plate(path) as plate:
        for index in (0, 7, 30, 59):
            frame = plate.frame(index)
            assert frame_number(frame.rgb) == index
            assert frame.time_s == pytest.approx((ticks[index] - ticks[0]) / 1000)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix", "dtype"),
    [
        ("png", "rgb24", "png", np.uint8),
        ("png", "rgba", "png", np.uint8),
        ("png", "gray", "png", np.uint8),
        ("png", "rgb48be", "png", np.uint16),
        ("tiff", "rgb24", "tif", np.uint8),
        ("tiff", "rgb48le", "tiff", np.uint16),
        ("dpx", "gbrp10le", "dpx", np.uint16),
        ("dpx", "rgb24", "dpx", np.uint8),
        ("bmp", "bgr24", "bmp", np.uint8),
        ("mjpeg", "yuvj444p", "jpg", np.uint8),
    ],
)
def test_sequences_are_read_in_their_own_depth(
    make_sequence: Make, frame_number: Number, codec: str, pixel_format: str, suffix: str, dtype: type
) -> None:
    with open_plate(make_sequence(f"a.%04d.{suffix}", codec=codec, pixel_format=pixel_format)) as plate:
        frames = list(plate.frames(FrameRange(start=2, stop=6)))
        assert [frame_number(frame.rgb) for frame in frames] == [2, 3, 4, 5]
        assert {frame.rgb.dtype for frame in frames} == {np.dtype(dtype)}
        assert frames[0].time_s == pytest.approx(2 / 24)


@pytest.mark.parametrize("pixel_format", ["rgb48be", "gray16be"])
def test_sixteen_bit_png_is_read_to_the_last_bit(make_sequence: Make, pixel_format: str) -> None:
    ramp = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64, 1) * 21 + 3
    picture = np.repeat(ramp, 3, axis=2).astype(np.uint16)
    path = make_sequence(pixel_format=pixel_format, frames=1, picture=lambda _: picture)
    with open_plate(path) as plate:
        read = plate.frame(0).rgb
    # swscale makes 16-bit grey from RGB to within a few units; RGB is stored as it is.
    tolerance = 300 if pixel_format == "gray16be" else 0
    assert np.abs(read.astype(int) - picture).max() <= tolerance
    assert len(np.unique(read)) > 3000


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_exr_pixels_are_read_bit_for_bit_beyond_display_white(make_exr_sequence: Make, dtype: type) -> None:
    picture = np.random.default_rng(1).normal(0.5, 4, (48, 64, 3)).astype(dtype)
    with open_plate(make_exr_sequence(dtype=dtype, picture=lambda _: picture, frames=2)) as plate:
        read = plate.frame(1).rgb
    np.testing.assert_array_equal(read, picture)
    assert read.dtype == dtype


def test_an_exr_data_window_is_placed_in_the_display_window(tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).random((10, 20, 3)).astype(np.float16)
    header = {
        "dataWindow": (np.array([5, 7], np.int32), np.array([24, 16], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([39, 29], np.int32)),
    }
    OpenEXR.File(header, {"RGB": pixels}).write(str(tmp_path / "a.0001.exr"))
    with open_plate(tmp_path / "a.0001.exr") as plate:
        read = plate.frame(0).rgb
    assert read.shape == (30, 40, 3)
    np.testing.assert_array_equal(read[7:17, 5:25], pixels)
    assert read.sum() == pytest.approx(read[7:17, 5:25].sum())


def test_a_phone_held_upright_is_read_upright(make_movie: Make, frame_number: Number) -> None:
    def lying(index: int) -> NDArray[np.uint8]:
        upright_picture = np.full((128, 96, 3), 90, np.uint8)
        upright_picture[:32] = (220, 40, 40)  # red at the top as the viewer sees it
        return np.rot90(upright_picture).copy()  # as the sensor stores it: 90° anticlockwise

    path = make_movie("a.mp4", size=(128, 96), display_matrix=IPHONE_PORTRAIT, picture=lying)
    with open_plate(path) as plate:
        frame = plate.frame(3)
    assert frame.rgb.shape == (128, 96, 3)
    assert frame.native is not None
    assert (frame.native.width, frame.native.height) == (96, 128)
    assert frame.rgb[10, 48, 0] > 180 > 100 > frame.rgb[100, 48, 0]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "yuv444p", "rgb24", "nv12"])
def test_turning_four_times_gives_the_picture_back(turn: int, pixel_format: str) -> None:
    import av

    rgb = np.random.default_rng(3).integers(40, 200, (48, 64, 3)).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pixel_format)
    back = upright(upright(frame, turn), (360 - turn) % 360)
    assert (back.width, back.height) == (64, 48)
    flat = frame.reformat(format=planar_format(pixel_format))
    turned = back if turn % 180 else back.reformat(format=planar_format(pixel_format))
    planes = range(1 if "422" in pixel_format else 3)  # 4:2:2 turns into 4:4:4: only its luma comes back as it was
    for index in planes:
        np.testing.assert_array_equal(plane(turned, index), plane(flat, index))


def test_frames_are_read_only_and_decoded_once(make_movie: Make) -> None:
    with open_plate(make_movie()) as plate:
        frame = plate.frame(0)
        assert frame.rgb is frame.rgb
        with pytest.raises(ValueError, match="read-only"):
            frame.rgb[0, 0] = 0


def test_a_range_beyond_the_end_is_refused_before_decoding(make_movie: Make) -> None:
    with open_plate(make_movie(frames=12)) as plate, pytest.raises(TimeRangeError, match="holds frames 0 to 11"):
        plate.frames(FrameRange(start=4, stop=13))


def test_interlaced_is_refused_with_a_way_to_deinterlace(make_movie: Make) -> None:
    path = make_movie("a.mp4", options={"flags": "+ildct+ilme", "x264-params": "tff=1"})
    with pytest.raises(MediaError, match="bwdif"), open_plate(path):
        pass


def test_a_frame_that_cannot_be_decoded_is_named(make_sequence: Make) -> None:
    pattern = make_sequence(frames=6)
    damaged = pattern.parent / "shot.1004.png"
    damaged.write_bytes(damaged.read_bytes()[:90])
    with open_plate(pattern) as plate, pytest.raises(MediaError, match=r"shot\.1004\.png cannot be decoded"):
        list(plate.frames())


def test_a_frame_of_another_size_is_named(make_sequence: Make) -> None:
    pattern = make_sequence(frames=3)
    make_sequence(first=1002, frames=1, size=(32, 48))
    with open_plate(pattern) as plate, pytest.raises(MediaError, match=r"shot\.1002\.png is 32x48"):
        list(plate.frames())


def test_a_movie_replaced_by_a_shorter_one_says_how_many_frames_it_gave(make_movie: Make) -> None:
    path = make_movie(frames=12)
    with open_plate(path) as plate:
        make_movie(frames=7)
        with pytest.raises(MediaError, match=r"frame 7 of .* after 7 good frames of 12"):
            list(plate.frames())


@pytest.mark.parametrize(
    "pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "gbrp"]
)
@pytest.mark.parametrize("rect", [(0, 0, 126, 94), (31, 17, 90, 64), (50, 41, 126, 94), (32, 16, 33, 17)])
@pytest.mark.parametrize("size", [(128, 96), (126, 94), (127, 95)])
def test_a_part_of_a_frame_has_the_numbers_of_the_whole(
    pixel_format: str, rect: tuple[int, int, int, int], size: tuple[int, int]
) -> None:
    native = av.VideoFrame(*size, pixel_format)
    rng = np.random.default_rng(0)
    for index in range(len(native.planes)):
        values = plane(native, index)
        values[:] = rng.integers(0, 2 ** native.format.components[0].bits, values.shape)
    native.colorspace, native.color_range = 1, 1
    x0, y0, x1, y1 = rect
    area = Rect(x0=x0, y0=y0, x1=x1, y1=y1)
    frame, whole = PlateFrame(0, 0.0, native), PlateFrame(0, 0.0, native).rgb
    part = frame.part(area)
    assert part.dtype == whole.dtype
    np.testing.assert_array_equal(part, whole[area.slices])
    wholly = pixel_format == "yuv420p10le" or size == (127, 95)
    view = frame.view
    assert view.shape == whole.shape
    inner = Rect(x0=x0 + (x1 - x0) // 3, y0=y0 + (y1 - y0) // 3, x1=x1, y1=y1 - (y1 - y0) // 4)
    for other in (inner, area, Rect(x0=0, y0=0, x1=x1, y1=y1), inner):  # inside what was cut last, and not
        np.testing.assert_array_equal(view[other.slices], whole[other.slices])
    assert (frame._rgb is None) != wholly, "the whole is only converted where it must be"
    assert frame.size == size
