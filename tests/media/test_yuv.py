"""RGB to code values and back, and patches that touch only what they cover."""

from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from julnet_plugin.media.planes import plane, to_rgb
from julnet_plugin.media.yuv import Encoding, chroma_rect, decoding_bias, lay_patch, write_alpha, write_picture
from julnet_plugin.types import ColourTags, Patch, Rect

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuva444p10le"]


def encoding(pixel_format: str = "yuv420p", matrix: str = "bt709", *, full: bool = False, **bias: float) -> Encoding:
    return Encoding(pixel_format=pixel_format, matrix=matrix, full_range=full, **bias)


def noise(pixel_format: str, width: int, height: int, seed: int = 0, *, full: bool = False) -> av.VideoFrame:
    """A frame of random code values inside limited range, tagged BT.709."""
    rng = np.random.default_rng(seed)
    frame = av.VideoFrame(width, height, pixel_format)
    unit = 2 ** (frame.format.components[0].bits - 8)
    for index in range(len(frame.planes)):
        view = plane(frame, index)
        low, high = (60, 190) if index in (0, 3) else (116, 140)  # inside the RGB cube, so that nothing clips
        view[:] = rng.integers(low * unit, high * unit, view.shape)
    frame.colorspace, frame.color_range = 1, 2 if full else 1
    return frame


def planes_of(frame: av.VideoFrame) -> list[np.ndarray]:
    return [plane(frame, index).copy() for index in range(3)]


def some_patch(rect: Rect, pixels: np.ndarray, coverage: np.ndarray) -> Patch:
    empty = np.zeros_like(coverage)
    return Patch(rect=rect, pixels=pixels, coverage=coverage, sigma=empty, error=empty, matte=empty)


@pytest.mark.parametrize(
    ("pixel_format", "full", "rgb", "codes"),
    [
        ("yuv444p", False, (0, 0, 0), (16, 128, 128)),
        ("yuv444p", False, (1, 1, 1), (235, 128, 128)),
        ("yuv444p", False, (1, 0, 0), (62.6, 102.3, 240)),
        ("yuv444p10le", False, (1, 1, 1), (940, 512, 512)),
        ("yuv444p10le", False, (0, 0, 1), (127.2, 960, 471.0)),
        ("yuv444p", True, (1, 1, 1), (255, 128, 128)),
        ("yuv444p", True, (0, 0, 0), (0, 128, 128)),
    ],
)
def test_code_values_are_those_of_the_standard(
    pixel_format: str, full: bool, rgb: tuple[float, ...], codes: tuple[float, ...]
) -> None:
    values = encoding(pixel_format, full=full).code_values(np.array(rgb, np.float32))
    np.testing.assert_allclose(values, codes, atol=0.1)


@pytest.mark.parametrize("tags", [("bt709", "tv"), ("smpte170m", "tv"), ("bt2020nc", "tv"), ("bt709", "pc")])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv422p10le", "yuv420p10le", "yuv444p12le", "nv12"])
def test_the_bias_of_ffmpegs_rgb_is_undone(pixel_format: str, tags: tuple[str, str]) -> None:
    colour = ColourTags(matrix=tags[0], range=tags[1])
    offset, scale = decoding_bias(pixel_format, colour)
    assert -0.01 < offset < 0.005
    assert 0.99 < scale < 1.005
    deep = "1" in pixel_format.split("p")[-1]
    target = encoding("yuv444p10le", tags[0], full=tags[1] == "pc", rgb_offset=offset, rgb_scale=scale)
    flat = {"nv12": "yuv420p"}.get(pixel_format, pixel_format)
    codes = encoding(flat, tags[0], full=tags[1] == "pc").code_values(np.full(3, 0.5, np.float32))
    frame = av.VideoFrame(32, 16, flat)
    for index in range(3):
        plane(frame, index)[:] = round(float(codes[index]))
    frame.colorspace = {"bt709": 1, "smpte170m": 6, "bt2020nc": 9}[tags[0]]
    frame.color_range = 1 if tags[1] == "tv" else 2
    rgb = to_rgb(frame)
    back = target.code_values((rgb[4, 8] / (65535 if rgb.dtype == np.uint16 else 255)).astype(np.float32))
    truth = target.bits - 8
    depth = frame.format.components[0].bits
    wanted = round(float(codes[0])) / 2 ** (depth - 8) * 2**truth
    if tags[1] == "pc":
        wanted = round(float(codes[0])) / (2**depth - 1) * 1023
    assert abs(float(back[0]) - wanted) < (1.5 if deep else 2.6)  # in 10-bit codes; one 8-bit level of RGB is 3.4


@given(
    pixel_format=st.sampled_from(FORMATS),
    width=st.integers(8, 41),
    height=st.integers(8, 37),
    corner=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    side=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None)
def test_code_values_change_only_where_something_is_covered(
    pixel_format: str, width: int, height: int, corner: tuple[int, int], side: tuple[int, int], seed: int
) -> None:
    frame = noise(pixel_format, width, height, seed)
    before = planes_of(frame)
    rgb = to_rgb(frame)
    x0, y0 = min(corner[0], width - 1), min(corner[1], height - 1)
    rect = Rect(x0=x0, y0=y0, x1=min(width, x0 + side[0]), y1=min(height, y0 + side[1]))
    rng = np.random.default_rng(seed)
    coverage = np.clip(rng.normal(0, 0.6, (rect.height, rect.width)), 0, 1).astype(np.float32)
    target = encoding(pixel_format)
    peak = 255 if rgb.dtype == np.uint8 else 65535
    plate = (rgb / peak).astype(np.float32)
    outer = chroma_rect(rect, target, width, height)
    lay_patch(
        frame,
        target,
        plate[outer.slices],
        some_patch(rect, rng.random((*coverage.shape, 3)), coverage),
        rng.random((*coverage.shape, 3)).astype(np.float32),
    )
    covered = np.zeros((height, width), bool)
    covered[rect.slices] = coverage > 0
    across, down = target.subsampling
    padded = np.pad(covered, ((0, -height % down), (0, -width % across)))
    sites = padded.reshape(padded.shape[0] // down, down, -1, across).any(axis=(1, 3))
    for index, (old, new) in enumerate(zip(before, planes_of(frame), strict=True)):
        untouched = ~(sites if index else covered)
        np.testing.assert_array_equal(new[untouched], old[untouched])


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_a_fully_covered_patch_is_what_was_asked_for(pixel_format: str) -> None:
    frame = noise(pixel_format, 48, 32)
    offset, scale = decoding_bias(pixel_format, ColourTags(matrix="bt709", range="tv"))
    target = encoding(pixel_format, rgb_offset=offset, rgb_scale=scale)
    rgb = to_rgb(frame)
    peak = 255 if rgb.dtype == np.uint8 else 65535
    rect = Rect(x0=9, y0=5, x1=37, y1=27)
    wanted = np.empty((rect.height, rect.width, 3), np.float32)
    wanted[:] = (0.72, 0.48, 0.4)
    outer = chroma_rect(rect, target, 48, 32)
    plate = (rgb[outer.slices] / peak).astype(np.float32)
    lay_patch(frame, target, plate, some_patch(rect, wanted, np.ones(wanted.shape[:2], np.float32)), wanted)
    inside = to_rgb(frame)[9:24, 13:34] / peak
    assert np.abs(inside - wanted[0, 0]).max() < 0.012
    assert np.abs(inside.mean(axis=(0, 1)) - wanted[0, 0]).max() < 0.006


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_a_patch_that_is_the_plate_changes_nothing_even_half_covered(pixel_format: str) -> None:
    frame = noise(pixel_format, 48, 32)
    before = planes_of(frame)
    rgb = to_rgb(frame)
    peak = 255 if rgb.dtype == np.uint8 else 65535
    plate = (rgb / peak).astype(np.float32)
    rect = Rect(x0=7, y0=3, x1=40, y1=29)
    coverage = np.full((rect.height, rect.width), 0.4, np.float32)
    target = encoding(pixel_format)
    outer = chroma_rect(rect, target, 48, 32)
    lay_patch(frame, target, plate[outer.slices], some_patch(rect, plate[rect.slices], coverage), plate[rect.slices])
    unit = 2 ** (target.bits - 8)
    for old, new in zip(before, planes_of(frame), strict=True):
        # What RGB lost of the plate fades with the coverage: 0.4 of at most a few levels.
        assert np.abs(new.astype(int) - old).max() <= 2 * unit


@pytest.mark.parametrize("size", [(33, 21), (32, 20)])
def test_a_whole_picture_is_written_at_odd_sizes(size: tuple[int, int]) -> None:
    width, height = size
    frame = av.VideoFrame(width, height, "yuv420p10le")
    rgb = np.empty((height, width, 3), np.float32)
    rgb[:] = (0.2, 0.5, 0.8)
    write_picture(frame, encoding("yuv420p10le"), rgb)
    expected = encoding("yuv420p10le").code_values(rgb[0, 0])
    for index in range(3):
        assert (plane(frame, index) == round(float(expected[index]))).all()


def test_codes_reserved_for_sync_are_never_written() -> None:
    frame = av.VideoFrame(16, 16, "yuv444p10le")
    write_picture(frame, encoding("yuv444p10le", full=False), np.full((16, 16, 3), 1.5, np.float32))
    assert plane(frame, 0).max() == 1019


def test_alpha_is_coverage_and_never_rounds_to_nothing() -> None:
    frame = av.VideoFrame(16, 16, "yuva444p10le")
    rect = Rect(x0=4, y0=4, x1=6, y1=5)
    write_alpha(frame, some_patch(rect, np.zeros((1, 2, 3)), np.array([[1e-6, 1.0]], np.float32)))
    alpha = plane(frame, 3)
    assert (alpha[4, 4], alpha[4, 5], int(alpha.sum())) == (1, 1023, 1024)
    write_alpha(frame, None)
    assert not plane(frame, 3).any()
