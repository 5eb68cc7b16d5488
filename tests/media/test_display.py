"""Between a plate's values and what a display shows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import PyOpenColorIO as ocio  # noqa: N813
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from julnet_plugin.errors import SettingsError
from julnet_plugin.media.colour import STUDIO_CONFIG, DisplayTransform
from julnet_plugin.types import ColourTags, MediaInfo


@pytest.fixture(autouse=True)
def _no_user_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)


def plate(bit_depth: int = 8, *, is_float: bool = False, **tags: Any) -> MediaInfo:
    return MediaInfo(
        path=Path("plate"),
        kind="movie",
        width=8,
        height=8,
        rate=Fraction(25),
        frame_count=1,
        bit_depth=bit_depth,
        is_float=is_float,
        colour=ColourTags(**tags),
    )


def faces(count: int = 400) -> np.ndarray:
    """Display colours such as a face has, and everything between black and white. (count, 3) float32."""
    rng = np.random.default_rng(0)
    level = rng.uniform(0.03, 0.97, (count, 1))
    return np.clip(level * [1, 0.8, 0.68] + rng.normal(0, 0.04, (count, 3)), 0.02, 0.97).astype(np.float32)


@given(hnp.arrays(np.uint8, (5, 7, 3)))
@settings(max_examples=30)
def test_eight_bit_video_comes_back_exactly(pixels: np.ndarray) -> None:
    transform = DisplayTransform(plate(8))
    assert transform.identity
    np.testing.assert_array_equal(transform.to_plate(transform.to_display(pixels), np.uint8), pixels)


def test_every_sixteen_bit_value_comes_back_exactly() -> None:
    transform = DisplayTransform(plate(10))
    pixels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)
    display = transform.to_display(pixels)
    assert (display.min(), display.max(), display.dtype) == (0, 1, np.float32)
    np.testing.assert_array_equal(transform.to_plate(display, np.uint16), pixels)


def test_without_a_dtype_plate_values_are_float_on_the_plates_scale() -> None:
    values = DisplayTransform(plate(8)).to_plate(np.float32([[[0.5, 0.25, 2.0]]]))
    np.testing.assert_allclose(values, [[[127.5, 63.75, 255.0]]])


LOG_AND_HDR = [
    (plate(10, transfer="smpte2084", primaries="bt2020"), None, 2e-3),
    (plate(10, transfer="arib-std-b67", primaries="bt2020"), None, 3e-2),  # saturated colours leave its P3 cube
    (plate(16, is_float=True, transfer="linear", primaries="bt709"), None, 1e-3),
    (plate(16, is_float=True, transfer="linear", primaries="aces-ap1"), None, 1e-3),
    (plate(32, is_float=True, transfer="linear", primaries="aces-ap0"), None, 1e-3),
    (plate(10), "ARRI LogC4", 2e-3),
    (plate(12), "S-Log3 S-Gamut3.Cine", 2e-3),
    (plate(16, is_float=True), "acescg", 1e-3),
]


@pytest.mark.parametrize(("info", "space", "tolerance"), LOG_AND_HDR)
def test_display_colours_survive_the_way_through_the_plates_space(
    info: MediaInfo, space: str | None, tolerance: float
) -> None:
    transform = DisplayTransform(info, space)
    shown = faces()
    stored = transform.to_plate(shown, transform.dtype)
    assert not transform.identity
    assert stored.dtype == transform.dtype
    np.testing.assert_allclose(transform.to_display(stored), shown, atol=tolerance)


def test_scene_linear_grey_shows_as_the_studio_configs_own_view_says() -> None:
    config = ocio.Config.CreateFromFile(STUDIO_CONFIG)
    view = ocio.DisplayViewTransform(
        "Linear Rec.709 (sRGB)", "Rec.1886 Rec.709 - Display", "ACES 2.0 - SDR 100 nits (Rec.709)"
    )
    expected = config.getProcessor(view).getDefaultCPUProcessor().applyRGB([0.18, 0.18, 0.18])
    shown = DisplayTransform(plate(16, is_float=True, transfer="linear")).to_display(np.full((1, 3), 0.18, np.float16))
    np.testing.assert_allclose(shown[0], expected, atol=1e-3)
    assert 0.3 < shown[0, 0] < 0.5


def test_hdr_reference_white_is_bright_but_not_clipped() -> None:
    # PQ code 0.581 is 203 cd/m², the diffuse white of ITU-R BT.2408.
    transform = DisplayTransform(plate(10, transfer="smpte2084", primaries="bt2020"))
    white = transform.to_display(np.full((1, 3), round(0.581 * 65535), np.uint16))
    assert 0.7 < white.min() <= white.max() < 0.95


def test_numbers_that_are_none_show_as_something_finite() -> None:
    transform = DisplayTransform(plate(16, is_float=True, transfer="linear"))
    shown = transform.to_display(np.array([[np.nan, np.inf, -np.inf]], np.float16))
    assert np.isfinite(shown).all()
    assert shown.min() >= 0
    assert shown.max() <= 1


@pytest.mark.parametrize(("info", "space", "_"), LOG_AND_HDR)
def test_a_preview_looks_like_the_display(info: MediaInfo, space: str | None, _: float) -> None:
    transform = DisplayTransform(info, space)
    stored = transform.to_plate(faces(), transform.dtype)
    exact = transform.to_display(stored) * 255
    difference = np.abs(transform.to_preview(stored).astype(float) - exact)
    assert difference.mean() < 1
    assert difference.max() < 10


@pytest.mark.parametrize(("bit_depth", "is_float"), [(8, False), (10, False), (16, True)])
def test_the_preview_of_video_is_its_high_byte(bit_depth: int, is_float: bool) -> None:
    transform = DisplayTransform(plate(bit_depth, is_float=is_float))
    stored = transform.to_plate(np.full((2, 2, 3), 0.6, np.float32), transform.dtype)
    assert (transform.to_preview(stored) == 153).all()


def test_an_unknown_space_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(SettingsError, match='"acscg" is not in the OpenColorIO config; nearest: "ACEScg"') as caught:
        DisplayTransform(plate(), "acscg")
    assert caught.value.key == "colour_space"


def test_the_space_of_the_tags_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not DisplayTransform(plate(10, space="ARRI LogC4")).identity
    assert DisplayTransform(plate(10, space="Camera Rec.709")).identity


def test_the_users_own_config_is_honoured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = ocio.Config.CreateRaw()
    half = ocio.ColorSpace(name="house_half")
    half.setTransform(ocio.MatrixTransform.Scale([2, 2, 2, 1]), ocio.COLORSPACE_DIR_TO_REFERENCE)
    config.addColorSpace(half)
    config.addColorSpace(ocio.ColorSpace(name="house_monitor"))
    config.addDisplayView("Monitor Rec709", "Plain", "house_monitor")
    path = tmp_path / "config.ocio"
    path.write_text(config.serialize())
    monkeypatch.setenv("OCIO", str(path))
    transform = DisplayTransform(plate(32, is_float=True), "house_half")
    np.testing.assert_allclose(transform.to_display(np.full((1, 3), 0.2, np.float32)), 0.4, atol=1e-6)
    assert not DisplayTransform(plate(32, is_float=True), "ACEScg").identity  # still known, from the built-in config


def test_a_broken_user_config_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "config.ocio"
    path.write_text("not a config")
    monkeypatch.setenv("OCIO", str(path))
    with pytest.raises(SettingsError, match=r"config\.ocio that \$OCIO names cannot be read"):
        DisplayTransform(plate(10), "ACEScg")
