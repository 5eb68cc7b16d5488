from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from julnet_plugin.compose.paste import (
    Compositor,
    CropLayers,
    apply_patch,
    blend,
    composite_frame,
    full_plate,
)
from julnet_plugin.config import ComposeSettings
from julnet_plugin.errors import SettingsError, ShapeError
from julnet_plugin.matte.settings import DriveState

H, W = 96, 128
CROP = (104, 80)
DTYPES = ["uint8", "uint10", "uint16", "float16", "float32"]


@dataclass(frozen=True)
class Scale:
    """Code values are display values times a peak."""

    dtype: np.dtype
    peak: float

    def to_display(self, pixels):
        return pixels.astype(np.float32) / self.peak

    def to_plate(self, display):
        values = display * self.peak
        return (np.rint(values) if self.dtype.kind == "u" else values).astype(self.dtype)


def scale_for(name: str) -> Scale:
    peak = {"uint8": 255, "uint10": 1023, "uint16": 65535}.get(name, 1)
    return Scale(np.dtype("uint16" if name == "uint10" else name), peak)


def random_plate(name: str, seed: int, height: int = H, width: int = W):
    transform = scale_for(name)
    rng = np.random.default_rng(seed)
    if transform.dtype.kind == "u":
        return rng.integers(0, int(transform.peak) + 1, (height, width, 3)).astype(transform.dtype)
    plate = rng.normal(0.5, 2.0, (height, width, 3)).astype(transform.dtype)
    plate[rng.random(plate.shape) < 0.02] = np.nan
    plate[rng.random(plate.shape) < 0.02] = np.inf
    return plate


def affine(cx: float, cy: float, zoom: float, turn: float):
    """Canonical crop to plate, the crop's centre on (cx, cy), one crop pixel `zoom` plate pixels."""
    c, s = zoom * np.cos(turn), zoom * np.sin(turn)
    linear = np.array([[c, -s], [s, c]])
    return np.column_stack([linear, np.array([cx, cy]) - linear @ [159.5, 207.5]])


def ellipse(size=CROP, feather=0.25):
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    return np.clip((0.7 - np.hypot(x, y)) / feather, 0, 1).astype(np.float32)


def layers_of(seed=0, coverage=None, size=CROP, **more):
    rng = np.random.default_rng(seed)
    coverage = ellipse(size) if coverage is None else coverage
    sigma = rng.random(size, np.float32) * 0.2
    return CropLayers(image=rng.random((*size, 3), np.float32), coverage=coverage, sigma=sigma, error=sigma / 2, **more)


@pytest.mark.parametrize("name", DTYPES)
@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    cx=st.floats(-40, W + 40),
    cy=st.floats(-40, H + 40),
    zoom=st.floats(0.05, 3),
    turn=st.floats(-3, 3),
)
def test_pixels_with_coverage_0_are_the_plate_bit_for_bit(name, seed, cx, cy, zoom, turn):
    plate = random_plate(name, seed)
    before = plate.copy()
    patch = Compositor(scale_for(name)).composite(plate, layers_of(seed), affine(cx, cy, zoom, turn), 0)
    frame = apply_patch(plate, patch)

    assert plate.tobytes() == before.tobytes(), "the plate itself must not be written to"
    assert frame.dtype == plate.dtype
    if patch is not None:
        outside = full_plate(patch.coverage, patch.rect, (H, W)) == 0
        assert frame[outside].tobytes() == plate[outside].tobytes()
        assert patch.coverage.min() >= 0
        assert patch.coverage.max() <= 1
        assert not patch.sigma[patch.coverage == 0].any()
        assert (patch.coverage > 0).any(axis=1)[[0, -1]].all()
    else:
        assert frame is plate


@pytest.mark.parametrize("name", DTYPES)
def test_full_coverage_shows_nothing_of_the_plate(name):
    transform = scale_for(name)
    plate = random_plate(name, 1)
    layers = layers_of(coverage=np.ones(CROP, np.float32))
    flat = CropLayers(
        image=np.full((*CROP, 3), 0.5, np.float32), coverage=layers.coverage, sigma=layers.sigma, error=layers.error
    )
    patch = Compositor(transform, ComposeSettings(colour_match=0, grain=0)).composite(
        plate, flat, affine(64, 48, 0.5, 0), 0
    )
    assert patch is not None
    full = patch.pixels[patch.coverage == 1]
    assert len(full) > 1000
    assert (full == transform.to_plate(np.float32([0.5]))).all()


@pytest.mark.parametrize("mode", ["flag", "hold_plate", "hold_reference"])
def test_who_wants_the_picture_alone_gets_the_same_picture(mode):
    matte = np.random.default_rng(5).random(CROP, np.float32)
    held = np.random.default_rng(6).random((*CROP, 3), np.float32)
    layers = layers_of(matte=matte, held=held, drive=DriveState(mode=mode, amount=0.7))
    plate, matrix = random_plate("uint8", 1), affine(64, 48, 0.2, 0.1)
    whole = Compositor(scale_for("uint8")).composite(plate, layers, matrix, 3)
    alone = Compositor(scale_for("uint8"), maps=False).composite(plate, layers, matrix, 3)
    assert alone.rect == whole.rect
    np.testing.assert_array_equal(alone.pixels, whole.pixels)
    np.testing.assert_array_equal(alone.coverage, whole.coverage)
    assert whole.sigma.any()
    assert not alone.sigma.any()
    assert not alone.error.any()


def test_a_generated_crop_that_equals_the_plate_gives_the_plate_back():
    """GIVEN a smooth plate and its own crop as the generated picture THEN the composite differs by rounding only."""
    from julnet_plugin.face.crop import sample_crop

    y, x = np.mgrid[0:H, 0:W]
    plate = np.stack([40 + x, 60 + y, 90 + 50 * np.sin(x / 17) * np.cos(y / 13)], -1).astype(np.uint8)
    matrix = affine(63.3, 48.7, 0.23, 0.1)
    crop = sample_crop(plate.astype(np.float32) / 255, matrix, (416, 320))
    layers = layers_of(size=(416, 320))
    layers = CropLayers(image=crop, coverage=layers.coverage, sigma=layers.sigma, error=layers.error)
    patch = Compositor(scale_for("uint8")).composite(plate, layers, matrix, 0)
    assert patch is not None
    difference = np.abs(patch.pixels.astype(int) - plate[patch.rect.slices].astype(int))
    assert difference.max() <= 2
    assert difference.mean() < 0.5


@pytest.mark.parametrize(("size", "zoom"), [((416, 320), 0.1), ((416, 320), 0.22), ((104, 80), 0.25), ((104, 80), 0.8)])
def test_a_dot_in_the_crop_lands_where_the_affine_says(size, zoom):
    """Sub-pixel placement, whether the plate shows the crop smaller or larger."""
    from julnet_plugin.face.crop import scaled

    matrix = affine(100.4, 90.8, zoom, 0.3)
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    u, v = 0.55 * size[1], 0.45 * size[0]
    blob = np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * (size[1] / 20) ** 2)).astype(np.float32)
    zeros = np.zeros(size, np.float32)
    patch = composite_frame(
        np.zeros((200, 240, 3), np.float32),
        scale_for("float32"),
        np.repeat(blob[..., None], 3, -1),
        np.ones(size, np.float32),
        matrix,
        zeros,
        zeros,
        settings=ComposeSettings(colour_match=0, grain=0),
    )
    weight = full_plate(patch.pixels, patch.rect, (200, 240))[..., 0].astype(float)
    py, px = np.mgrid[0:200, 0:240]
    found = np.array([(weight * px).sum(), (weight * py).sum()]) / weight.sum()
    wanted = scaled(matrix, size) @ [u, v, 1]
    assert np.abs(found - wanted).max() < 0.05


def test_fine_stripes_do_not_alias_when_the_face_is_small():
    """One-pixel stripes shown five times smaller are grey, not a moiré."""
    stripes = np.zeros((416, 320, 3), np.float32)
    stripes[:, ::2] = 1
    zeros = np.zeros((416, 320), np.float32)
    patch = composite_frame(
        np.zeros((200, 240, 3), np.float32), scale_for("float32"), stripes, np.ones_like(zeros),
        affine(120, 100, 0.2, 0.2), zeros, zeros, settings=ComposeSettings(colour_match=0, grain=0),
    )  # fmt: skip
    inside = patch.pixels[patch.coverage == 1]
    assert np.abs(inside - 0.5).max() < 0.12


def test_highlights_above_display_white_fade_and_do_not_clip():
    plate = np.full((H, W, 3), 8.0, np.float16)
    coverage = np.float32([[0.0, 0.25, 1.0]])
    generated = np.full((1, 3, 3), 0.5, np.float32)
    result = blend(plate[:1, :3], generated, coverage)
    np.testing.assert_allclose(result[0, :, 0], [8.0, 6.125, 0.5])


def test_a_crop_beside_the_plate_leaves_the_frame_alone():
    assert (
        Compositor(scale_for("uint8")).composite(random_plate("uint8", 0), layers_of(), affine(900, 48, 0.2, 0), 0)
        is None
    )


def test_an_empty_coverage_leaves_the_frame_alone():
    layers = layers_of(coverage=np.zeros(CROP, np.float32))
    assert Compositor(scale_for("uint8")).composite(random_plate("uint8", 0), layers, affine(64, 48, 0.2, 0), 0) is None


def test_the_same_frame_gives_the_same_bytes_and_grain_changes_with_the_frame():
    plate = random_plate("uint8", 3)
    flat = CropLayers(image=np.full((*CROP, 3), 0.5, np.float32), coverage=ellipse(), sigma=ellipse(), error=ellipse())
    one, again, other, seeded = (
        Compositor(scale_for("uint8"), seed=seed)
        .composite(plate, flat, affine(64, 48, 0.25, 0), frame, noise=np.full((2, 3), 0.01, np.float32))
        .pixels.tobytes()
        for seed, frame in ((1, 5), (1, 5), (1, 6), (2, 5))
    )
    assert one == again
    assert one != other
    assert one != seeded


@pytest.mark.parametrize("zoom", [0.15, 0.5])
def test_a_plate_held_by_the_matte_keeps_its_matte_and_sigma(zoom):
    """GIVEN a drive that set coverage to 0 THEN the pixels are the plate's, and the matte can still be edited."""
    plate = random_plate("uint8", 0)
    layers = layers_of(coverage=np.zeros(CROP, np.float32), region=ellipse(), matte=ellipse())
    patch = Compositor(scale_for("uint8")).composite(plate, layers, affine(64, 48, zoom, 0), 0)
    assert patch.pixels.tobytes() == plate[patch.rect.slices].tobytes()
    assert patch.matte.max() > 0.9
    assert patch.sigma.max() > 0.05


def test_the_st_map_points_back_into_the_crop():
    patch = Compositor(scale_for("uint8")).composite(
        random_plate("uint8", 0), layers_of(coverage=np.ones(CROP, np.float32)), affine(64, 48, 0.2, 0), 0
    )
    st_map = full_plate(patch.st, patch.rect, (H, W))
    left = st_map[48, 64 - 28]  # 28 plate pixels are 140 of 320 crop pixels
    np.testing.assert_allclose(left, [0.5 - 140 / 320, 0.5], atol=0.01)
    assert st_map[48 - 30, 64][1] > 0.8, "t grows upwards"


def test_layers_of_different_sizes_are_refused():
    with pytest.raises(ShapeError, match="sigma"):
        CropLayers(image=np.zeros((8, 8, 3)), coverage=np.zeros((8, 8)), sigma=np.zeros((4, 4)), error=np.zeros((8, 8)))


def test_settings_out_of_range_are_refused():
    with pytest.raises(SettingsError, match="grain"):
        ComposeSettings(grain=2.0)
