"""Each reason for a review comes from what is measured on the take: head, light, cover, lips, references."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.matte.spans import find_spans
from julnet_plugin.pipeline.cropdata import Plan
from julnet_plugin.pipeline.deliver import STATS
from julnet_plugin.pipeline.manifest import frame_stats
from julnet_plugin.pipeline.references import References
from julnet_plugin.pipeline.rehearsal import GRID
from julnet_plugin.types import FrameRange

Numbers = NDArray[np.void]
T, BAD = 100, slice(40, 60)


@pytest.fixture
def plan() -> Plan:
    """A calm head in good light, 100 frames."""
    return Plan(
        plate_from_crop=np.tile(np.eye(2, 3), (T, 1, 1)),
        region=np.zeros((T, 22, 2), np.float32),
        weight=np.ones(T, np.float32),
        shot=np.zeros(T, np.int32),
        mouth_px=np.full(T, 200.0),
        angles=np.zeros((T, 3)),
        found=np.ones(T, bool),
        sharpness=np.ones(T, np.float32),
        covered=np.zeros(T, np.float32),
    )


@pytest.fixture
def numbers() -> Numbers:
    """What compositing measured: one stretch is worse than the rest."""
    stats = np.zeros(T, STATS)
    stats["expected_mean"], stats["luma"], stats["outlier"] = 6 / 255, 0.5, np.nan
    stats["expected_mean"][BAD] = 16 / 255
    return stats


@pytest.fixture
def references() -> References:
    return References(
        shots=np.zeros(1, np.int64), groups=np.zeros(1, np.int64), of_frame=np.zeros(T, np.int32),
        frames=np.array([110], np.int64), images=np.zeros((1, 4, 4, 3), np.uint16),
        lips=np.zeros((1, 2, 48, 3), np.float32), angles=np.zeros((1, 3)),
        rehearsed=np.zeros(0, np.int64), gains=np.zeros((0, GRID, GRID), np.float32),
    )  # fmt: skip


def reasons(plan: Plan, numbers: Numbers, references: References) -> tuple[str, ...]:
    stats = frame_stats(numbers, plan, [""] * T, FrameRange(start=100, stop=100 + T), references)
    (span,) = find_spans(stats, 25.0)
    assert abs(span.start - 140) <= 5
    assert abs(span.stop - 160) <= 5
    return span.reasons


def test_a_calm_stretch_has_no_cause(plan: Plan, numbers: Numbers, references: References) -> None:
    assert reasons(plan, numbers, references) == ("no single cause found",)


def test_a_fast_head_turn(plan: Plan, numbers: Numbers, references: References) -> None:
    plan.angles[:, 0] = np.radians(np.interp(np.arange(T), [0, 45, 50, 55, T], [0, 0, 20, 0, 0]))
    (reason,) = reasons(plan, numbers, references)
    assert reason == "fast head turn (100° a second)"


def test_an_occlusion(plan: Plan, numbers: Numbers, references: References) -> None:
    plan.covered[BAD] = 0.6
    assert reasons(plan, numbers, references) == ("something is in front of the mouth",)


def test_lips_out_of_the_training_range(plan: Plan, numbers: Numbers, references: References) -> None:
    numbers["outlier"][:] = 1.5
    numbers["outlier"][BAD] = 7.0
    assert reasons(plan, numbers, references) == ("lips outside what the model was taught (7.0 deviations)",)


def test_low_light(plan: Plan, numbers: Numbers, references: References) -> None:
    numbers["luma"][BAD] = 0.06
    assert reasons(plan, numbers, references) == ("low light (mean 6% of white)",)


def test_a_reference_mismatch(plan: Plan, numbers: Numbers, references: References) -> None:
    plan.angles[BAD, 1] = np.radians(24)
    assert "no reference with this pose (nearest 24° away)" in reasons(plan, numbers, references)


def test_the_most_telling_reason_comes_first(plan: Plan, numbers: Numbers, references: References) -> None:
    numbers["luma"][BAD] = 0.11
    plan.covered[BAD] = 0.9
    assert reasons(plan, numbers, references)[0] == "something is in front of the mouth"
