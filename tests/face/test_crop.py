from __future__ import annotations

import numpy as np
import pytest

from julnet_plugin.face import crop as c


def face(scale: float = 80.0, turn: float = 0.0, at: tuple[float, float] = (200.0, 150.0)) -> np.ndarray:
    """The mean face in a plate: (478, 3) pixels."""
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return scale * c.mean_face() @ rotation.T + np.array([*at, 0.0])


def shot(frames: int, **change: np.ndarray) -> np.ndarray:
    values = {"scale": np.full(frames, 80.0), "turn": np.zeros(frames), **change}
    return np.stack([face(s, t) for s, t in zip(values["scale"], values["turn"], strict=True)])


def test_the_fit_finds_scale_turn_and_place() -> None:
    poses = c.fit_poses(face(63.0, 0.3, (12.0, -5.0))[None])
    assert poses.scale[0] == pytest.approx(63.0)
    assert poses.angles()[0] == pytest.approx([0.0, 0.0, 0.3], abs=1e-9)
    assert poses.to_face(face(63.0, 0.3, (12.0, -5.0))[None])[0] == pytest.approx(c.mean_face(), abs=1e-5)


def test_an_opening_jaw_neither_moves_nor_scales_the_crop() -> None:
    still = shot(30)
    speaking = still.copy()
    jaw = [13, 14, 17, 152, 148, 377, 176, 400, 61, 291]
    speaking[:, jaw, 1] += 20 * np.sin(np.arange(30))[:, None]
    found = np.ones(30, bool)
    assert c.plan_crops(speaking, found).plate_from_crop == pytest.approx(c.plan_crops(still, found).plate_from_crop)


def test_the_radius_is_constant_unless_the_scale_really_changes() -> None:
    rng = np.random.default_rng(0)
    noisy = shot(60, scale=80 + 0.5 * rng.standard_normal(60))
    zoom = shot(60, scale=np.linspace(80, 120, 60))
    assert np.ptp(c.plan_crops(noisy, np.ones(60, bool)).mouth_px) == 0
    assert np.ptp(c.plan_crops(zoom, np.ones(60, bool)).mouth_px) > 30


def test_smoothing_does_not_lag_behind_a_steady_move() -> None:
    x = np.arange(40) * 3.0
    moving = shot(40) + np.stack([x, np.zeros(40), np.zeros(40)], axis=1)[:, None]
    plan = c.plan_crops(moving, np.ones(40, bool))
    steps = np.diff(plan.plate_from_crop[5:-5, 0, 2])
    assert steps == pytest.approx(3.0)
    still = c.plan_crops(shot(1), np.ones(1, bool)).plate_from_crop[0, 0, 2]
    assert plan.plate_from_crop[20, 0, 2] - still == pytest.approx(60.0)


def test_frames_without_a_face_get_the_crop_between_their_neighbours() -> None:
    x = np.arange(21) * 2.0
    moving = shot(21) + np.stack([x, np.zeros(21), np.zeros(21)], axis=1)[:, None]
    found = np.ones(21, bool)
    found[8:12] = False
    gap = moving.copy()
    gap[~found] = np.nan
    plan = c.plan_crops(np.nan_to_num(gap), found)
    assert not plan.found[8:12].any()
    assert plan.plate_from_crop == pytest.approx(c.plan_crops(moving, np.ones(21, bool)).plate_from_crop, abs=0.3)


def test_a_shot_without_any_face_cannot_be_planned() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        c.plan_crops(shot(3), np.zeros(3, bool))


def test_the_mouth_lies_in_the_region_with_room_for_the_open_jaw() -> None:
    plan = c.plan_crops(shot(1), np.ones(1, bool))
    mask = c.region_mask(plan.region[0])
    crop_from_plate = np.linalg.inv(np.vstack([plan.plate_from_crop[0], [0, 0, 1]]))
    points = np.c_[face()[[61, 291, 0, 17, 152], :2], np.ones(5)] @ crop_from_plate.T
    for x, y, _ in points.round().astype(int):
        assert mask[y, x] == 1
    chin = int(points[4, 1])
    assert mask[chin + 20, int(points[4, 0])] == 1


def test_nothing_is_masked_outside_the_mouth_square_and_coverage_stays_inside_the_mask() -> None:
    plan = c.plan_crops(shot(1, turn=np.array([0.4])), np.ones(1, bool))
    for size in ((416, 320), (208, 160)):
        mask, soft = c.region_mask(plan.region[0], size), c.coverage(plan.region[0], size)
        outside = np.ones(size, bool)
        outside[c.mouth_square(size)] = False
        assert not mask[outside].any()
        assert not soft[mask == 0].any()
        assert soft.max() == 1
        assert 0 < np.mean((soft > 0) & (soft < 1)) < np.mean(mask)


@pytest.mark.parametrize("size", [(416, 320), (208, 160)])
def test_a_crop_shows_what_lies_under_it(size: tuple[int, int]) -> None:
    y, x = np.mgrid[:300, :400].astype(np.float32)
    plate = np.stack([x, y, x + y], axis=-1)
    plan = c.plan_crops(shot(1, turn=np.array([0.2])), np.ones(1, bool))
    crop = c.sample_crop(plate, plan.plate_from_crop[0], size)
    matrix = c.scaled(plan.plate_from_crop[0], size)
    for row, column in ((60, 60), (size[0] // 2, size[1] // 2)):
        expected = matrix @ np.array([column, row, 1.0])
        assert crop[row, column, :2] == pytest.approx(expected, abs=0.1)


def test_a_large_face_is_averaged_down_not_skipped_over() -> None:
    rng = np.random.default_rng(1)
    plate = rng.random((1200, 1200, 3)).astype(np.float32)
    plan = c.plan_crops(np.stack([face(700.0, 0.0, (600.0, 200.0))]), np.ones(1, bool))
    crop = c.sample_crop(plate, plan.plate_from_crop[0], (208, 160))
    assert crop.std() < 0.3 * plate.std()


def test_the_rectangle_of_a_crop_holds_it_and_ends_at_the_plate() -> None:
    plan = c.plan_crops(shot(1), np.ones(1, bool))
    rect = c.crop_rect(plan.plate_from_crop[0], 400, 230)
    assert rect is not None
    assert (rect.y1, rect.x0 >= 0, rect.x1 <= 400) == (230, True, True)
    away = plan.plate_from_crop[0] + np.array([[0, 0, 5000], [0, 0, 0]])
    assert c.crop_rect(away, 400, 230) is None


def test_the_same_heads_have_the_same_angles_wherever_they_lie_in_memory() -> None:
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((152, 3, 3)))[0]
    poses = c.HeadPoses(rotation=rotation, scale=np.ones(152), translation=np.zeros((152, 3)))
    seen = set()
    for _ in range(300):
        held = [np.empty(int(size)) for size in rng.integers(1, 600, 8)]  # so that what follows lies elsewhere
        fresh = c.HeadPoses(rotation=rotation.copy(), scale=poses.scale, translation=poses.translation)
        seen.add(fresh.angles().tobytes())
        del held
    assert seen == {poses.angles().tobytes()}
