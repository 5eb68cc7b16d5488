from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from julnet_plugin.matte.chain import ArraySource, MatteChain
from julnet_plugin.matte.document import MatteDocument
from julnet_plugin.matte.edits import hold_frame
from julnet_plugin.matte.keyframes import Key
from julnet_plugin.matte.operators import builtin_operators
from julnet_plugin.matte.settings import PARAMETERS, MatteSettings
from julnet_plugin.matte.strokes import Shape, Stroke

SIZE = (52, 40)
#: everything off but levels
PLAIN = MatteSettings().with_value("blur_px", 0).with_value("temporal_frames", 0)


def sigmas(count=9, seed=0):
    rng = np.random.default_rng(seed)
    return rng.gamma(2.0, 6 / 255, (count, *SIZE)).astype(np.float32)


def chain_of(settings=PLAIN, maps=None, **more):
    return MatteChain(ArraySource(sigmas=sigmas() if maps is None else maps, **more), MatteDocument(settings=settings))


def test_identity_settings_are_levels_only():
    chain = chain_of(PLAIN.with_value("low_cv", 5).with_value("high_cv", 25))
    expected = np.clip((sigmas()[3] * 255 - 5) / 20, 0, 1)
    np.testing.assert_allclose(chain.matte(3), expected, atol=1e-5)


def test_gamma_above_one_lifts_the_middle_and_keeps_the_ends():
    plain, lifted = chain_of().matte(0), chain_of(PLAIN.with_value("gamma", 2)).matte(0)
    np.testing.assert_allclose(lifted, np.sqrt(plain), atol=1e-5)


@settings(max_examples=40)
@given(data=st.data())
def test_the_matte_stays_between_0_and_1_whatever_the_parameters(data):
    values = {name: data.draw(st.floats(p.low, p.high), name) for name, p in PARAMETERS.items()}
    setting = MatteSettings()
    for name, value in values.items():
        setting = setting.with_value(name, value)
    guides = np.random.default_rng(1).random((9, *SIZE), np.float32)
    matte = chain_of(setting, guides=guides, scale=data.draw(st.floats(0.1, 8))).matte(4)
    assert matte.dtype == np.float32
    assert matte.shape == SIZE
    assert matte.min() >= 0
    assert matte.max() <= 1


def test_sigma_outside_the_region_does_not_count():
    region = np.zeros(SIZE, np.float32)
    region[10:40, 10:30] = 1
    matte = chain_of(regions=region).matte(0)
    assert not matte[region == 0].any()
    assert matte[region > 0].any()


def test_a_frame_without_a_face_has_no_matte():
    found = np.ones(9, bool)
    found[4] = False
    chain = chain_of(found=found)
    assert chain.matte(4) is None
    assert chain.matte(99) is None
    assert chain.matte(3) is not None


@pytest.mark.parametrize("grow", [3.0, 7.5, -4.0])
def test_growing_moves_an_edge_by_that_many_plate_pixels(grow):
    """A half plane moves straight; the scale says that one map pixel is two plate pixels."""
    maps = np.zeros((1, *SIZE), np.float32)
    maps[:, :, :20] = 1
    matte = chain_of(PLAIN.with_value("grow_px", grow), maps, scale=2.0).matte(0)
    assert matte[20].sum() == pytest.approx(20 + grow / 2, abs=0.01)


def test_growing_a_dot_makes_a_round_shape():
    maps = np.zeros((1, 101, 101), np.float32)
    maps[0, 50, 50] = 1
    matte = chain_of(PLAIN.with_value("grow_px", 30), maps).matte(0)
    y, x = np.nonzero(matte > 0.5)
    radius = np.hypot(y - 50, x - 50)
    assert 29 <= radius.max() <= 33
    disk = np.hypot(*np.mgrid[-50:51, -50:51])
    assert (matte[disk < 28] > 0.5).all()


def test_blur_keeps_the_mean_and_spreads_by_its_deviation():
    maps = np.zeros((1, 101, 101), np.float32)
    maps[0, 50, 50] = 1
    matte = chain_of(PLAIN.with_value("blur_px", 8), maps, scale=2.0).matte(0)
    x = np.arange(101) - 50
    assert matte.sum() == pytest.approx(1, abs=1e-3)
    assert np.sqrt((matte.sum(axis=0) * x**2).sum()) == pytest.approx(4, rel=0.05)


def test_refinement_follows_the_edges_of_the_picture():
    """GIVEN a matte edge three pixels beside an edge of the picture THEN the refined edge lies on the picture's."""
    maps = np.zeros((1, *SIZE), np.float32)
    maps[:, :, :17] = 1
    guides = np.zeros((1, *SIZE), np.float32)
    guides[:, :, :20] = 0.8
    refined = chain_of(PLAIN.with_value("refine", 1).with_value("refine_px", 8), maps, guides=guides).matte(0)[26]
    assert refined[19] > refined[20] + 0.5
    assert abs(refined[18] - refined[19]) < 0.1
    plain = chain_of(PLAIN, maps, guides=guides).matte(0)[26]
    assert plain[16] - plain[17] == 1


def test_temporal_smoothing_is_the_weighted_mean_of_the_neighbours():
    chain, smooth = chain_of(), chain_of(PLAIN.with_value("temporal_frames", 1))
    expected = (chain.matte(3) + 2 * chain.matte(4) + chain.matte(5)) / 4
    np.testing.assert_allclose(smooth.matte(4), expected, atol=1e-6)


def test_temporal_smoothing_stops_at_cuts_and_at_frames_without_a_face():
    found = np.ones(9, bool)
    found[6] = False
    plain = chain_of()
    chain = chain_of(PLAIN.with_value("temporal_frames", 5), cuts=(3,), found=found)
    weights = {3: 4, 4: 5, 5: 6 - 0}  # frame 5 looks back to the cut at 3 and not beyond the gap at 6
    expected = sum(plain.matte(f) * w for f, w in weights.items()) / sum(weights.values())
    np.testing.assert_allclose(chain.matte(5), expected, atol=1e-6)
    np.testing.assert_allclose(chain.matte(2), sum(plain.matte(f) * (f + 4) for f in range(3)) / (4 + 5 + 6), atol=1e-6)


def test_frames_give_the_same_matte_in_any_order_and_with_any_cache():
    setting = MatteSettings().with_value("temporal_frames", 3).with_key("low_cv", Key(frame=0, value=2.0))
    setting = setting.with_key("low_cv", Key(frame=8, value=9.0))
    forward, backward = chain_of(setting), MatteChain(
        ArraySource(sigmas=sigmas()), MatteDocument(settings=setting), cache_frames=2
    )  # fmt: skip
    there = [forward.matte(f) for f in range(9)]
    back = [backward.matte(f) for f in reversed(range(9))][::-1]
    np.testing.assert_array_equal(there, back)


def test_keyframed_levels_change_over_time():
    setting = PLAIN.with_key("low_cv", Key(frame=0, value=0.0)).with_key("low_cv", Key(frame=8, value=16.0))
    maps = np.full((9, *SIZE), 16 / 255, np.float32)
    chain = chain_of(setting.with_value("high_cv", 32), maps)
    middle = [float(chain.matte(f)[0, 0]) for f in (0, 4, 8)]
    np.testing.assert_allclose(middle, [16 / 32, 8 / 24, 0], atol=1e-5)


def test_a_held_frame_repeats_its_matte_but_not_its_strokes():
    stroke = Stroke(
        id="s1", kind="add", start=2, stop=3, shapes=(Shape(frame=2, points=((160, 200, 1),)),), size_px=100
    )
    document = hold_frame(MatteDocument(settings=PLAIN, strokes=(stroke,)), source=2, start=4, stop=6)
    chain = MatteChain(ArraySource(sigmas=sigmas()), document)
    np.testing.assert_array_equal(chain.matte(5), chain.automatic(2))
    assert not np.array_equal(chain.matte(2), chain.automatic(2))
    np.testing.assert_array_equal(chain.matte(6), chain_of().matte(6))


def test_auto_levels_belong_to_the_shot():
    """A dim shot and one ten times worse both use the whole range."""
    maps = np.concatenate([sigmas(4), sigmas(4) * 10])
    chain = MatteChain(ArraySource(sigmas=maps, cuts=(4,)), MatteDocument(settings=MatteSettings(levels="auto")))
    (low_a, high_a), (low_b, high_b) = chain.auto_levels(1), chain.auto_levels(5)
    assert low_b == pytest.approx(10 * low_a, rel=0.1)
    assert high_b == pytest.approx(min(10 * high_a, 255), rel=0.1)
    counts = np.sort(sigmas(4).ravel() * 255)
    assert low_a == pytest.approx(counts[int(0.6 * counts.size)], abs=0.2)
    assert high_a == pytest.approx(counts[int(0.99 * counts.size)], abs=0.3)


def test_auto_levels_do_not_stretch_a_shot_that_is_good_throughout():
    low, high = chain_of(MatteSettings(levels="auto"), np.full((3, *SIZE), 1 / 255, np.float32)).auto_levels(0)
    assert high - low >= 4


def test_calibration_comes_before_the_levels():
    chain = MatteChain(
        ArraySource(sigmas=np.full((1, *SIZE), 0.5, np.float32)),
        MatteDocument(settings=PLAIN.with_value("low_cv", 0).with_value("high_cv", 255)),
        calibrate=lambda sigma: sigma / 2,
    )
    np.testing.assert_allclose(chain.matte(0), 0.25, atol=1e-4)


def test_a_plugin_operator_runs_in_its_order_with_its_own_keyframed_setting():
    class Floor:
        name, order = "floor", 15.0

        def apply(self, matte, frame, settings):
            return np.maximum(matte, settings["floor.least"])

    setting = PLAIN.with_key("floor.least", Key(frame=0, value=0.0)).with_key("floor.least", Key(frame=8, value=0.8))
    source = ArraySource(sigmas=np.zeros((9, *SIZE), np.float32))
    chain = MatteChain(source, MatteDocument(settings=setting), operators=[*builtin_operators(), Floor()])
    assert chain.matte(4).min() == pytest.approx(0.4)


def test_a_new_chain_for_new_strokes_reuses_what_was_computed():
    calls = []

    class Counted:
        name, order = "counted", 5.0

        def apply(self, matte, frame, settings):
            calls.append(frame)
            return matte

    operators = [*builtin_operators(), Counted()]
    chain = MatteChain(ArraySource(sigmas=sigmas()), MatteDocument(settings=PLAIN), operators=operators)
    before = chain.matte(3)
    stroke = Stroke(id="s1", kind="add", start=0, stop=9, shapes=(Shape(frame=0, points=((160, 200, 1),)),))
    painted = chain.with_document(MatteDocument(settings=PLAIN, strokes=(stroke,)))
    assert painted.matte(3).sum() > before.sum()
    assert calls == [3]
    painted.with_document(MatteDocument(settings=PLAIN.with_value("gamma", 2))).matte(3)
    assert calls == [3, 3]


def test_cached_mattes_cannot_be_changed_by_accident():
    matte = chain_of().automatic(0)
    with pytest.raises(ValueError, match="read-only"):
        matte[0, 0] = 1
