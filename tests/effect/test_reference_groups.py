"""Groups of references: who draws which frame, and how one takes over from another."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.errors import SettingsError, TakeError
from julnet_plugin.pipeline.cropdata import PLAN, Plan, write_arrays
from julnet_plugin.pipeline.inputs import neighbourhood
from julnet_plugin.pipeline.paint import Painter
from julnet_plugin.pipeline.references import References, choose_frames
from julnet_plugin.pipeline.rehearsal import GRID
from julnet_plugin.types import FrameRange

SIZE = (26, 20)
#: shot 0 has groups 0 and 1, nobody is in shot 1, shot 2 has group 2
OF_FRAME = [0] * 10 + [1] * 10 + [-1] * 4 + [2] * 6
SHOT = [0] * 20 + [1] * 4 + [2] * 6


def plan() -> Plan:
    count = len(SHOT)
    region = np.array([[2, 10], [18, 10], [18, 24], [2, 24]], np.float32)
    return Plan(
        plate_from_crop=np.tile(np.eye(2, 3), (count, 1, 1)),
        region=np.tile(region, (count, 1, 1)),
        weight=np.array([0.0 if group < 0 else 1.0 for group in OF_FRAME], np.float32),
        shot=np.array(SHOT, np.int32),
        mouth_px=np.full(count, 128.0),
        angles=np.zeros((count, 3)),
        found=np.ones(count, np.bool_),
        sharpness=np.ones(count, np.float32),
        covered=np.zeros(count, np.float32),
    )


@pytest.fixture
def references() -> References:
    rng = np.random.default_rng(0)
    return References(
        shots=np.array([0, 0, 0, 0, 2, 2]),
        groups=np.array([0, 0, 1, 1, 2, 2]),
        of_frame=np.array(OF_FRAME, np.int32),
        frames=np.array([3, 8, 12, 17, 25, 28]),
        images=rng.integers(0, 65535, (6, *SIZE, 3)).astype(np.uint16),
        lips=rng.standard_normal((6, 3, 48, 3)).astype(np.float32),
        angles=np.zeros((6, 3)),
        rehearsed=np.array([2]),
        gains=np.full((1, GRID, GRID), 0.5, np.float32),
    )


def test_one_group_takes_over_from_another_in_a_few_frames_and_shares_add_up(references: References) -> None:
    second = [dict(references.shares(position)).get(1, 0.0) for position in range(20)]
    assert second == pytest.approx([0.0] * 8 + [0.2, 0.4, 0.6, 0.8] + [1.0] * 8)
    assert all(sum(dict(references.shares(p)).values()) == pytest.approx(1) for p in range(len(OF_FRAME)))


def test_nobody_takes_over_across_a_cut(references: References) -> None:
    assert references.shares(19) == [(1, 1.0)]
    assert references.shares(24) == [(2, 1.0)]


def test_each_frame_knows_its_references_and_each_shot_its_closed_mouth(references: References) -> None:
    assert references.frames_at(0) == [3, 8]
    assert references.frames_at(15) == [12, 17]
    assert references.frames_at(21) == []
    assert references.frames_of(0) == [3, 8, 12, 17]
    assert np.array_equal(references.closed_of(2), references.lips[4, 1])


def test_what_is_saved_is_read_back_and_a_damaged_file_is_refused(references: References, tmp_path: Path) -> None:
    path = tmp_path / "references.npz"
    references.save(path)
    again = References.load(path)
    assert [again.shares(p) for p in range(30)] == [references.shares(p) for p in range(30)]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(TakeError, match="render it again"):
        References.load(path)


def test_a_take_that_is_older_than_groups_has_one_a_shot(references: References, tmp_path: Path) -> None:
    old = {name: getattr(references, name) for name in ("shots", "frames", "images", "lips")}
    write_arrays(tmp_path / "references.npz", old)
    plan().save(tmp_path / PLAN)
    again = References.load(tmp_path / "references.npz")
    assert again.of_frame.tolist() == [0] * 20 + [-1] * 4 + [1] * 6
    assert again.frames_at(15) == [3, 8, 12, 17]
    assert again.shares(9) == [(0, 1.0)]
    assert again.gain_of(0) is None


def test_a_take_that_is_older_than_rehearsals_keeps_its_groups_and_poses(
    references: References, tmp_path: Path
) -> None:
    old = {name: getattr(references, name) for name in ("shots", "groups", "of_frame", "frames", "images", "lips")}
    path = tmp_path / "references.npz"
    write_arrays(path, {**old, "angles": references.angles + 0.1})
    again = References.load(path)
    assert again.shares(21) == references.shares(21)
    assert np.array_equal(again.angles, references.angles + 0.1)
    assert again.gain_of(2) is None
    write_arrays(path, old)
    assert np.isnan(References.load(path).angles).all()


class Engine:
    """Draws the mean of its references, and counts what it was asked."""

    info = SimpleNamespace(crop_size=SIZE)
    batch = 4

    def __init__(self) -> None:
        self.frames = 0

    def use_crops(self, size: tuple[int, int]) -> None:
        assert size == SIZE

    def set_references(self, images: NDArray[np.float32], lips: NDArray[np.float32]) -> None:
        self.level = np.float32(images.mean())

    def run(self, masked: NDArray[np.float32], mask: NDArray[np.float32], audio: NDArray[np.float32]) -> Any:
        self.frames += len(masked)
        image = np.full(masked.shape, self.level, np.float32)
        return SimpleNamespace(image=image, sigma=image[..., 0], error=image[..., 0])


def painted(references: References, *chunks: range) -> tuple[list[NDArray[Any]], int]:
    """Images and σ of some chunks, painted by one painter, and how many frames the network drew for them."""
    engine = Engine()
    windows = lambda positions: np.zeros((len(positions), 1, 1), np.float32)  # noqa: E731
    painter = Painter(engine, plan(), references, windows, None, deep=True, batch=8)  # type: ignore[arg-type]
    crop = np.full((*SIZE, 3), 0.5, np.float32)
    found: list[NDArray[Any]] = []
    for positions in chunks:
        cuts = [SimpleNamespace(position=p, crop=crop if OF_FRAME[p] >= 0 else None) for p in positions]
        chunk = painter.paint(iter(cuts), positions, lambda: None)  # type: ignore[arg-type]
        found += [chunk.image, chunk.sigma]
    return found, engine.frames


def test_only_the_frames_of_a_takeover_are_drawn_twice_and_lie_between(references: References) -> None:
    (image, _), drawn = painted(references, range(30))
    assert drawn == 26 + 4
    level = image.reshape(len(image), -1).mean(axis=1)
    steps = np.diff(level[:20])
    assert np.flatnonzero(steps).tolist() == [7, 8, 9, 10, 11]
    assert len(np.unique(np.sign(steps[7:12]))) == 1


def test_a_render_that_goes_on_at_a_takeover_gives_the_bytes_it_would_have_given(references: References) -> None:
    whole, _ = painted(references, range(10), range(10, 30))
    rest, _ = painted(references, range(10, 30))
    assert all(np.array_equal(a, b) for a, b in zip(whole[2:], rest, strict=True))


def test_sigma_of_a_shot_is_multiplied_by_what_its_rehearsal_showed_and_the_picture_is_not(
    references: References,
) -> None:
    (image, sigma), _ = painted(references, range(30))
    references.gains = references.gains * 2  # of shot 2 alone
    (same, more), _ = painted(references, range(30))
    assert np.array_equal(image, same)
    there = sigma.shape[0] - 6
    assert np.array_equal(sigma[:there], more[:there])
    ratio = more[there:].astype(float) / sigma[there:]
    assert ratio[:, -3:, -3:] == pytest.approx(2, rel=2e-3)
    assert np.unique(ratio.round(2)).tolist() == [1.0, 2.0]  # nothing is known outside the mouth square
    assert [references.shot_gain(shot) is None for shot in (0, 1, 2)] == [True, True, False]


def job(refs: tuple[int, ...]) -> Any:
    return SimpleNamespace(
        engine=SimpleNamespace(info=SimpleNamespace(n_refs=3)), refs=refs, request=SimpleNamespace(seed=0)
    )


def test_references_that_the_user_chose_serve_every_frame_in_the_order_given() -> None:
    tracks = [
        SimpleNamespace(
            shot=shot, track=SimpleNamespace(entire=SimpleNamespace(row=lambda frame: frame if frame < 30 else None))
        )
        for shot in (0, 2)
    ]
    turning = plan()
    turning.angles[10:20, 0] = 0.6
    chosen = choose_frames(job((12, 4)), tracks, turning)  # type: ignore[arg-type]
    assert chosen.groups == ((0, (12, 4, 12)), (2, (12, 4, 12)))
    assert chosen.of_frame.tolist() == [0] * 20 + [-1] * 4 + [1] * 6
    with pytest.raises(SettingsError, match="reference frame 44 does not show the face"):
        choose_frames(job((44,)), tracks, turning)  # type: ignore[arg-type]


def test_a_short_range_is_looked_at_with_what_is_near_and_a_long_one_by_itself() -> None:
    info = SimpleNamespace(rate=25, frame_count=500)
    near = [
        (found.start, found.stop)
        for start, stop in ((0, 25), (240, 265), (490, 500), (100, 400), (0, 500))
        if (found := neighbourhood(FrameRange(start=start, stop=stop), info))  # type: ignore[arg-type]
    ]
    assert near == [(0, 200), (153, 353), (300, 500), (100, 400), (0, 500)]
    few = neighbourhood(FrameRange(start=3, stop=5), SimpleNamespace(rate=25, frame_count=40))  # type: ignore[arg-type]
    assert few == FrameRange(start=0, stop=40)
