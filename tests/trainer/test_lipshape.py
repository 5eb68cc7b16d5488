from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from julnet_plugin.model.lips import LipBasis, closed_shape, inner_gap
from trainer import lipshape
from trainer.config import LipTraining
from trainer.dataset import Clip, DatasetError
from trainer.lipshape import (
    best_offset,
    correlation,
    fit_lip_basis,
    gap_correlation,
    measure_offset,
    out_of_fold_codes,
    train_lip_encoder,
)
from trainer.teacher import LipTeacher

TINY = LipTraining(codes=3, width=16, dropout=0.05, epochs=40, batch=64, learning_rate=5e-3)

MakeClip = Callable[..., Clip]


@pytest.fixture(scope="module")
def clips(make_clip: MakeClip) -> list[Clip]:
    return [make_clip(f"{s}1", s, frames=120, seed=k, pictures=False) for k, s in enumerate("abcd")]


@pytest.fixture(scope="module")
def teacher(clips: list[Clip]) -> LipTeacher:
    return LipTeacher.taught(clips, [], TINY)


def test_the_basis_gives_back_the_motion_it_was_fitted_on(clips: list[Clip]) -> None:
    basis = fit_lip_basis(clips, 3)
    closed = closed_shape(clips[0].lips)
    again = closed + basis.decode(basis.encode(clips[0].lips, closed))
    np.testing.assert_allclose(again, clips[0].lips, atol=1e-4)


def test_lips_that_never_move_give_a_basis_without_infinities(make_clip: MakeClip) -> None:
    clip = make_clip(pictures=False)
    clip.lips[:] = clip.lips[:1]
    basis = fit_lip_basis([clip], 3)
    assert np.isfinite(basis.encode(clip.lips, closed_shape(clip.lips))).all()


def test_an_encoder_hears_the_opening_of_a_speaker_it_never_met(teacher: LipTeacher, make_clip: MakeClip) -> None:
    stranger = make_clip("z1", "z", frames=120, seed=99, pictures=False)
    assert gap_correlation(teacher.encoder, teacher.basis, stranger) > 0.8


@pytest.mark.parametrize("late_s", [-0.12, 0.0, 0.08, 0.16])
def test_sound_that_is_late_is_found_that_late(teacher: LipTeacher, make_clip: MakeClip, late_s: float) -> None:
    clip = make_clip("z1", "z", frames=150, seed=42, late_s=late_s, pictures=False)
    offset, confidence = measure_offset(teacher.encoder, teacher.basis, clip)
    assert offset == pytest.approx(late_s, abs=0.021)
    assert confidence > 0.8


def test_the_best_offset_of_flat_scores_with_one_peak_is_the_peak() -> None:
    scores = -np.abs(np.arange(49) - 30) / 100
    assert best_offset(scores)[0] == pytest.approx(0.06)


def test_correlation_with_a_constant_is_zero_not_nan() -> None:
    assert correlation(np.ones(5), np.arange(5.0)) == 0.0


def test_codes_come_from_encoders_that_never_saw_the_speaker(
    clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []

    def taught(taught_on: Sequence[Clip], basis: LipBasis, settings: LipTraining, **known: Any) -> set[str]:
        seen.append({clip.header.speaker for clip in taught_on})
        return seen[-1]

    def heard(encoder: set[str], clip: Clip) -> set[str]:
        assert clip.header.speaker not in encoder
        return encoder

    monkeypatch.setattr(lipshape, "train_lip_encoder", taught)
    monkeypatch.setattr(lipshape, "heard_codes", heard)
    codes = out_of_fold_codes(clips, fit_lip_basis(clips, 3), TINY)
    assert len(codes) == len(clips)
    assert len(seen) == TINY.folds


def test_one_speaker_alone_is_folded_by_clips(make_clip: MakeClip) -> None:
    two = [make_clip(f"a{k}", "a", frames=60, seed=k, pictures=False) for k in range(2)]
    codes = out_of_fold_codes(two, fit_lip_basis(two, 3), LipTraining(codes=3, width=16, epochs=1))
    assert [code.shape for code in codes] == [(60, 3), (60, 3)]


def test_nothing_to_learn_from_is_refused(clips: list[Clip]) -> None:
    with pytest.raises(DatasetError, match="nothing to learn from"):
        train_lip_encoder([], fit_lip_basis(clips, 3), TINY)


def test_a_silent_column_more_or_less_is_noticed_as_another_feature(make_clip: MakeClip, clips: list[Clip]) -> None:
    from dataclasses import replace

    other = make_clip("o1", "o", pictures=False)
    other.header = replace(other.header, features="mine-7")
    with pytest.raises(DatasetError, match="several audio features"):
        LipTeacher.taught([*clips, other], [], TINY)


def test_gaps_are_measured_between_the_inner_lips(clips: list[Clip]) -> None:
    gap = inner_gap(clips[0].lips)
    assert gap.max() - gap.min() == pytest.approx(np.ptp(clips[0].lips[:, 45, 1]) / 0.8, rel=0.25)
