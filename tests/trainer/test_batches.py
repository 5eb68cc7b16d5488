from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from julnet_plugin.model.lips import LipBasis
from trainer.batches import Batch, Batches, draw_references
from trainer.config import DataSettings
from trainer.dataset import Clip, DatasetError
from trainer.lipshape import fit_lip_basis

SIZE = (208, 160)
SETTINGS = DataSettings(clips=2, frames=2, distance_s=0.2)

MakeClip = Callable[..., Clip]


@pytest.fixture(scope="module")
def clips(make_clip: MakeClip) -> list[Clip]:
    return [make_clip("a1", "a", frames=40, seed=1), make_clip("b1", "b", frames=60, seed=2)]


@pytest.fixture(scope="module")
def basis(clips: list[Clip]) -> LipBasis:
    return fit_lip_basis(clips, 3)


def batches(clips: list[Clip], basis: LipBasis, settings: DataSettings = SETTINGS, seed: int = 0) -> Batches:
    heard = [np.full((len(clip), 3), 9.0, np.float32) for clip in clips]
    return Batches(clips, heard, basis, SIZE, 3, settings, seed)


def equal(a: Batch, b: Batch) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_batch_depends_on_seed_and_step_alone(clips: list[Clip], basis: LipBasis) -> None:
    first, second = batches(clips, basis), batches(clips, basis)
    for step in (3, 0, 3):
        assert equal(first.draw(step), second.draw(step))
    assert not equal(first.draw(3), first.draw(4))
    assert not equal(first.draw(3), batches(clips, basis, seed=1).draw(3))


def test_crops_that_stay_encoded_give_the_same_batches(clips: list[Clip], basis: LipBasis) -> None:
    decoded = batches(clips, basis)
    some_gb = (40 * SIZE[0] * SIZE[1] * 3 + 1) / 1e9  # room for the shorter clip
    for gigabytes in (0.0, some_gb):
        encoded = batches(clips, basis, replace(SETTINGS, decoded_gb=gigabytes))
        assert equal(decoded.draw(5), encoded.draw(5))


@pytest.mark.parametrize("damage", [b"", b"no picture"])
def test_a_damaged_picture_is_one_sentence_that_names_the_clip(
    make_clip: MakeClip, basis: LipBasis, damage: bytes
) -> None:
    clip = make_clip("a1", "a", frames=40)
    clip.jpeg[7] = np.frombuffer(damage, np.uint8)
    with pytest.raises(DatasetError, match=r"clip a1\.safetensors is damaged .* prepare again"):
        batches([clip], basis, replace(SETTINGS, clips=1))
    with pytest.raises(DatasetError, match=r"clip a1\.safetensors is damaged"):
        clip.crop(7)


def test_clips_stored_smaller_take_part_where_they_may_be_enlarged(clips: list[Clip], basis: LipBasis) -> None:
    heard = [np.zeros((len(clip), 3), np.float32) for clip in clips]
    with pytest.raises(DatasetError):
        Batches(clips, heard, basis, (416, 320), 3, SETTINGS)
    large = Batches(clips, heard, basis, (416, 320), 3, replace(SETTINGS, enlarge=True, jitter=0.0)).draw(0)
    small = Batches(clips, heard, basis, SIZE, 3, replace(SETTINGS, jitter=0.0)).draw(0)
    assert large.target.shape == (4, 3, 416, 320)
    assert (torch.nn.functional.avg_pool2d(large.target, 2) - small.target).abs().mean() < 0.01


def test_targets_of_a_clip_share_its_references(clips: list[Clip], basis: LipBasis) -> None:
    batch = batches(clips, basis).draw(0)
    assert batch.target.shape == (4, 3, *SIZE)
    assert batch.refs.shape == (2, 3, 3, *SIZE)
    assert batch.ref_lips.shape == (2, 4, 48, 3)
    assert batch.audio.shape == (4, 21, 42)
    assert set(np.unique(batch.mask.numpy())) == {0.0, 1.0}


def test_the_teacher_tells_true_shapes_and_the_ear_the_heard_ones(clips: list[Clip], basis: LipBasis) -> None:
    heard = batches(clips, basis, replace(SETTINGS, teacher=0.0)).draw(0).lips
    told = batches(clips, basis, replace(SETTINGS, teacher=1.0, teacher_noise=0.0)).draw(0).lips
    deaf = batches(clips, basis, replace(SETTINGS, silence=1.0)).draw(0)
    mirrored = torch.from_numpy(np.full((1, 3), 9.0, np.float32) @ basis.mirrored())
    assert all(torch.allclose(row, torch.tensor(9.0)) or torch.allclose(row, mirrored) for row in heard)
    assert float(told.abs().max()) < 6
    assert not deaf.lips.any()
    assert not deaf.audio.any()


def test_references_keep_their_distance_and_open_from_first_to_last() -> None:
    times, gap = np.arange(50) / 25, np.random.default_rng(0).random(50)
    targets = times[[24, 26]]
    for seed in range(20):
        refs = draw_references(gap, times, targets, 4, 0.6, np.random.default_rng(seed))
        assert np.abs(times[refs][:, None] - targets).min() >= 0.6
        assert (np.diff(gap[refs]) >= 0).all()


def test_the_farthest_frames_serve_a_clip_that_is_too_short() -> None:
    times, gap = np.arange(20) / 25, np.linspace(0, 1, 20)
    refs = draw_references(gap, times, times[[0]], 4, 5.0, np.random.default_rng(0))
    assert refs.min() >= 10


def test_clips_without_a_large_enough_mouth_are_refused_in_one_sentence(make_clip: MakeClip, basis: LipBasis) -> None:
    small = [make_clip(frames=30, mouth_px=30.0)]
    with pytest.raises(DatasetError, match=r"mouth of 60 px; add closer footage"):
        batches(small, basis)
