from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from julnet_plugin.matte.masks import stroke_mask
from julnet_plugin.matte.rasterise import TILE, StrokeCanvas, paint
from julnet_plugin.matte.strokes import STROKE_KINDS, Shape, Stroke
from julnet_plugin.types import Rect

SIZE = (208, 160)


def base(seed=0):
    return np.random.default_rng(seed).random(SIZE, np.float32)


def stroke(points=((160.0, 200.0, 1.0),), **more):
    shapes = (Shape(frame=0, points=tuple(points)),)
    return Stroke(**{"id": "s1", "kind": "add", "shapes": shapes, "start": 0, "stop": 100, "size_px": 60} | more)


points = st.tuples(st.floats(-40, 360), st.floats(-40, 460), st.floats(0, 1))
any_stroke = st.builds(
    stroke,
    points=st.lists(points, min_size=1, max_size=6),
    kind=st.sampled_from(STROKE_KINDS),
    size_px=st.floats(0, 120),
    hardness=st.floats(0, 1),
    opacity=st.floats(0, 1),
)


def test_a_dab_is_a_disk_of_its_size_at_its_place_at_any_map_size():
    for size in (SIZE, (416, 320)):
        mask = paint(np.zeros(size, np.float32), [stroke(hardness=1)], 0)
        k = size[1] / 320
        y, x = np.mgrid[0 : size[0], 0 : size[1]]
        assert (mask * x).sum() / mask.sum() == pytest.approx(160.5 * k - 0.5, abs=0.02)
        assert (mask * y).sum() / mask.sum() == pytest.approx(200.5 * k - 0.5, abs=0.02)
        assert mask.sum() == pytest.approx(np.pi * (30 * k) ** 2, rel=0.02)


def test_hardness_softens_inwards_only():
    whole = Rect(x0=0, y0=0, x1=320, y1=416)
    at = np.array([[160.0, 200.0, 1.0]])
    hard, soft = (stroke_mask(at, 60, h, whole, 320) for h in (1.0, 0.2))
    assert (soft <= hard + 1e-6).all()
    assert soft[200, 160] == 1
    assert 0.05 < soft[200, 160 + 20] < 0.95
    assert hard[200, 160 + 28] == 1


def test_pressure_scales_the_width_along_a_line():
    whole = Rect(x0=0, y0=0, x1=320, y1=416)
    mask = stroke_mask(np.array([[60.0, 200, 1.0], [260, 200, 0.5]]), 40, 1.0, whole, 320)
    assert mask[:, 60].sum() == pytest.approx(40, abs=2)
    assert mask[:, 260].sum() == pytest.approx(20, abs=2)
    assert mask[:, 160].sum() == pytest.approx(30, abs=2)


def test_add_subtract_smooth_and_clone_do_what_they_say():
    flat = np.full(SIZE, 0.4, np.float32)
    inside = (100, 80)  # rows and columns of the map; the dab's centre
    assert paint(flat, [stroke(opacity=0.5)], 0)[inside] == pytest.approx(0.7, abs=0.01)
    assert paint(flat, [stroke(kind="subtract", opacity=0.5)], 0)[inside] == pytest.approx(0.2, abs=0.01)
    noisy = base()
    smoothed = paint(noisy, [stroke(kind="smooth", size_px=120)], 0)
    assert smoothed[90:110, 70:90].std() < 0.2 * noisy[90:110, 70:90].std()
    other = base(1)
    cloned = paint(noisy, [stroke(kind="clone", clone_offset=-3, hardness=1)], 5, clone={2: other}.get)
    assert cloned[inside] == pytest.approx(other[inside], abs=1e-6)
    assert cloned[0, 0] == noisy[0, 0]


def test_a_lasso_paints_what_it_goes_round_and_no_more():
    corners = [(60.0, 100.0, 1.0), (260.0, 100.0, 1.0), (260.0, 300.0, 1.0), (60.0, 300.0, 1.0)]
    for size in (SIZE, (416, 320)):
        k = size[1] / 320
        mask = paint(np.zeros(size, np.float32), [stroke(corners, size_px=2, hardness=1, filled=True)], 0)
        assert mask.sum() == pytest.approx((202 * k) ** 2, rel=0.03)
        assert mask[round(200 * k), round(160 * k)] == 1
        assert mask[round(80 * k), round(160 * k)] == 0
        assert mask[round(200 * k), round(60 * k)] == 1  # the side from the last point back to the first


def test_a_lasso_that_is_drawn_point_by_point_equals_the_whole_one():
    corners = [(60.0, 100.0, 1.0), (260.0, 120.0, 1.0), (200.0, 300.0, 1.0), (90.0, 260.0, 1.0), (130.0, 180.0, 1.0)]
    canvas = StrokeCanvas(base(), (), 0)
    for count in range(1, len(corners) + 1):
        canvas.update([stroke(corners[:count], filled=True, kind="subtract")])
    whole = paint(base(), [stroke(corners, filled=True, kind="subtract")], 0)
    np.testing.assert_array_equal(canvas.matte, whole)


def test_a_clone_of_a_frame_without_a_matte_does_nothing():
    noisy = base()
    np.testing.assert_array_equal(paint(noisy, [stroke(kind="clone", clone_offset=-3)], 5, clone=lambda _: None), noisy)


@settings(max_examples=60)
@given(strokes=st.lists(any_stroke, max_size=4))
def test_painting_keeps_the_matte_between_0_and_1_and_the_base_untouched(strokes):
    automatic = base()
    before = automatic.copy()
    matte = paint(automatic, strokes, 0, clone=lambda _: base(1))
    assert matte.min() >= 0
    assert matte.max() <= 1
    np.testing.assert_array_equal(automatic, before)


@settings(max_examples=60)
@given(strokes=st.lists(any_stroke, max_size=4), x=st.integers(0, 100), y=st.integers(0, 140))
def test_a_window_painted_alone_equals_that_part_of_the_whole(strokes, x, y):
    window = Rect(x0=x, y0=y, x1=x + 60, y1=y + 68)
    whole = paint(base(), strokes, 0, clone=lambda _: base(1))
    part = paint(base(), strokes, 0, clone=lambda _: base(1), window=window)
    np.testing.assert_allclose(part, whole[window.slices], atol=2e-6)


@settings(max_examples=80)
@given(before=st.lists(any_stroke, max_size=3), after=st.lists(any_stroke, max_size=3), data=st.data())
def test_a_canvas_after_any_edit_equals_a_fresh_one(before, after, data):
    """Edits keep, drop, add and reorder strokes; only dirty tiles are repainted, and yet nothing stale is left."""
    mixed = data.draw(st.permutations([*before, *after]))[: data.draw(st.integers(0, 5))]
    canvas = StrokeCanvas(base(), before, 0, clone=lambda _: base(1))
    for strokes in (mixed, after):
        canvas.update(strokes)
        np.testing.assert_allclose(canvas.matte, paint(base(), strokes, 0, clone=lambda _: base(1)), atol=2e-6)


@settings(max_examples=40)
@given(drawn=st.lists(points, min_size=1, max_size=8), kind=st.sampled_from(STROKE_KINDS))
def test_a_stroke_drawn_dab_by_dab_equals_the_finished_stroke(drawn, kind):
    canvas = StrokeCanvas(base(), [], 0, clone=lambda _: base(1))
    for count in range(1, len(drawn) + 1):
        canvas.update([stroke(drawn[:count], kind=kind)])
    fresh = paint(base(), [stroke(drawn, kind=kind)], 0, clone=lambda _: base(1))
    np.testing.assert_allclose(canvas.matte, fresh, atol=2e-6)


def test_a_dab_repaints_only_its_own_tiles():
    size = (416, 320)
    long = [(20.0 + 10 * i, 60.0, 1.0) for i in range(20)]
    canvas = StrokeCanvas(np.zeros(size, np.float32), [stroke(long, size_px=20)], 0)
    tiles = canvas.update([stroke([*long, (222.0, 66.0, 1.0)], size_px=20)])
    assert 1 <= len(tiles) <= 4
    assert all(tile.x0 <= 222 + 12 and tile.x1 >= 200 and tile.y1 <= 2 * TILE for tile in tiles)


def test_an_edit_that_does_not_act_on_this_frame_repaints_nothing():
    canvas = StrokeCanvas(base(), [stroke()], 0)
    assert canvas.update([stroke(), replace(stroke(id="s2"), start=50)]) == []


def test_an_interpolated_stroke_travels_and_rests_at_its_ends():
    moving = stroke(shapes=(Shape(frame=10, points=((60, 200, 1),)), Shape(frame=20, points=((260, 200, 1),))))
    centres = [float(moving.points_at(f)[0, 0]) for f in (0, 10, 15, 20, 90)]
    assert centres == [60, 60, 160, 260, 260]
