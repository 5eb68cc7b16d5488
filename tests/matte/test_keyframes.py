from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from julnet_plugin.matte.jsonio import Reader
from julnet_plugin.matte.keyframes import INTERPOLATIONS, Curve, Key, read_curve

values = st.floats(-100, 100)
keys = st.builds(Key, frame=st.integers(-50, 200), value=values, interpolation=st.sampled_from(INTERPOLATIONS))


@st.composite
def curves(draw):
    curve = Curve(draw(values))
    for key in draw(st.lists(keys, max_size=6)):
        curve = curve.with_key(key)
    return curve


def test_linear_hold_and_smooth_go_from_key_to_key():
    curve = Curve(0.0, tuple(Key(frame=f, value=v, interpolation=i) for f, v, i in [
        (0, 0.0, "linear"), (10, 10.0, "hold"), (20, 0.0, "smooth"), (30, 10.0, "linear")]))  # fmt: skip
    assert [curve.at(f) for f in (-5, 0, 5, 10, 19, 20, 25, 30, 99)] == [0, 0, 5, 10, 10, 0, 5, 10, 10]
    assert curve.at(22) == pytest.approx(10 * (3 * 0.04 - 2 * 0.008))


@given(curve=curves(), frame=st.integers(-60, 260))
def test_values_never_leave_the_range_of_the_keys(curve, frame):
    known = [key.value for key in curve.keys] or [curve.value]
    assert min(known) - 1e-9 <= curve.at(frame) <= max(known) + 1e-9


@given(curve=curves())
def test_saving_and_loading_gives_the_same_curve(curve):
    reader = Reader({"c": json.loads(json.dumps(curve.to_json()))}, "test")
    assert read_curve(reader, "c", -100, 100, 0.0) == curve


@given(curve=curves(), key=keys)
def test_removing_a_new_key_restores_the_curve(curve, key):
    if all(k.frame != key.frame for k in curve.keys):
        restored = curve.with_key(key).without_key(key.frame)
        assert restored.keys == curve.keys


def test_keys_out_of_order_are_refused():
    with pytest.raises(ValueError, match="order"):
        Curve(0.0, (Key(frame=3, value=0), Key(frame=3, value=1)))
