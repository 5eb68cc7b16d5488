from __future__ import annotations

import cv2
import numpy as np
import pytest

from julnet_plugin.compose.rim import plate_sides, rim_offset

SIZE = (208, 160)


def region(feather=0.15):
    y, x = np.mgrid[-1 : 1 : SIZE[0] * 1j, -1 : 1 : SIZE[1] * 1j]
    return np.clip((0.75 - np.hypot(x, y)) / max(feather, 1e-3), 0, 1).astype(np.float32)


def picture(seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : SIZE[0] * 1j, -1 : 1 : SIZE[1] * 1j]
    base = np.stack([0.5 + 0.1 * x, 0.45 + 0.1 * y, 0.4 + 0.05 * np.sin(9 * x)], -1)
    return (base + rng.normal(0, 0.01, base.shape)).astype(np.float32)


def test_equal_pictures_need_no_offset():
    assert np.abs(rim_offset(picture(), picture(), region())).max() < 1e-4


@pytest.mark.parametrize("feather", [0.0, 0.15, 0.5])
def test_a_constant_colour_error_is_taken_out_everywhere(feather):
    error = np.float32([0.04, -0.03, 0.02])
    offset = rim_offset(picture() - error, picture(), region(feather))
    assert np.abs(offset - error)[region(feather) > 0].max() < 0.004


def test_a_lighting_gradient_is_followed_along_the_rim():
    x = np.linspace(-1, 1, SIZE[1], dtype=np.float32)[None, :, None]
    offset = rim_offset(picture() - 0.05 * x, picture(), region())
    covered = region() > 0
    assert np.abs(offset - 0.05 * x)[covered].max() < 0.012


def test_what_the_mouth_does_in_the_middle_changes_nothing():
    """The field comes from the rim alone: a mouth that opens must not tint the cheeks."""
    generated = picture()
    shut, opened = generated.copy(), generated.copy()
    opened[90:120, 60:100] = 0.05
    np.testing.assert_array_equal(
        rim_offset(shut, picture(1) + 0.03, region()), rim_offset(opened, picture(1) + 0.03, region())
    )


def test_a_hand_across_the_rim_does_not_tint_the_rest():
    source = picture() + 0.03
    source[140:, 90:] = [0.9, 0.2, 0.1]  # about a seventh of the rim
    offset = rim_offset(picture(), source, region())
    far = region() > 0
    far[110:, 60:] = False
    assert np.abs(offset - 0.03)[far].max() < 0.012


def test_a_jaw_that_the_model_drew_elsewhere_and_doubts_does_not_tint_what_it_is_sure_of():
    """Background along most of the rim: the agreement of many is no measure then, the model's own doubt is."""
    generated, sigma = picture() - 0.03, np.full(SIZE, 4 / 255, np.float32)
    generated[80:] -= [0.3, 0.2, 0.05]
    sigma[80:] = 60 / 255
    sure = region() > 0
    sure[70:] = False
    told = np.abs(rim_offset(generated, picture(), region(), sigma) - 0.03)[sure].max()
    untold = np.abs(rim_offset(generated, picture(), region()) - 0.03)[sure].max()
    assert told < 0.03 < 0.1 < untold


def test_equal_doubt_everywhere_is_no_doubt():
    offset = rim_offset(picture(), picture() + 0.03, region(), np.full(SIZE, 0.2, np.float32))
    np.testing.assert_allclose(offset, rim_offset(picture(), picture() + 0.03, region()), atol=1e-5)


def test_the_field_is_smooth_so_that_no_texture_is_copied():
    rng = np.random.default_rng(0)
    texture = rng.normal(0, 0.05, (*SIZE, 3)).astype(np.float32)
    offset = rim_offset(picture(), picture() + texture, region())
    assert np.abs(np.diff(offset, axis=0)).max() < 0.002
    assert np.abs(np.diff(offset, axis=1)).max() < 0.002


def test_noise_does_not_make_the_offset_flicker():
    """Frame to frame the only difference is noise: the offset must stay below a tenth of an 8-bit step on average."""
    offsets = np.stack([rim_offset(picture(7), picture(seed) + 0.03, region()) for seed in range(6)])
    assert offsets.std(axis=0)[region() > 0].mean() < 0.1 * 4 / 255
    assert offsets.std(axis=0).mean() < 1 / 255


@pytest.mark.parametrize("cover", [0.0, 1.0])
def test_a_region_without_an_edge_gives_no_offset(cover):
    assert not rim_offset(picture(), picture() + 0.1, np.full(SIZE, cover, np.float32)).any()


def test_a_rim_that_is_rough_all_round_still_gives_a_finite_offset():
    noise = np.random.default_rng(0).random((*SIZE, 3), np.float32)
    assert np.abs(rim_offset(picture(), noise, region())).max() <= 0.25


def test_large_crops_get_the_same_offset_as_small_ones():
    import cv2

    def large(array):
        return cv2.resize(array, (320, 416), interpolation=cv2.INTER_LINEAR)

    small = rim_offset(picture(), picture(1) + 0.04, region())
    big = rim_offset(large(picture()), large(picture(1) + 0.04), large(region()))
    assert np.abs(large(small) - big)[large(region()) > 0].max() < 0.004


def test_wild_source_values_stay_bounded():
    source = picture()
    source[:40] = 50.0
    assert np.abs(rim_offset(picture(), source, region())).max() <= 0.25


def sided(rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
    """A region like a lower face, and the plate kept where σ is high in one block."""
    region = np.zeros((416, 320), np.float32)
    cv2.ellipse(region, (160, 200), (110, 140), 0, 0, 180, 1.0, -1)
    sigma = np.full(region.shape, 0.02, np.float32)
    sigma[rows, columns] = 0.3
    return region, plate_sides(region, sigma)


def test_the_plate_is_kept_at_a_side_that_the_model_doubts_and_nowhere_else() -> None:
    region, kept = sided(slice(210, 280), slice(0, 80))
    assert kept[245, 60] > 0.95
    assert (kept[:, 120:] == 0).all()
    assert (kept[region == 0] == 0).all()


def test_the_chin_and_doubt_that_does_not_reach_the_edge_are_the_models() -> None:
    _, chin = sided(slice(300, 345), slice(130, 190))
    assert chin.max() < 0.05
    _, mouth = sided(slice(220, 260), slice(120, 200))
    assert (mouth == 0).all()
