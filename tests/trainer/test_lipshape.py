from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from julnet_plugin.model.lips import LipBasis, LipEncoders, closed_shape, inner_gap
from julnet_plugin.model.rt import RtConfig, RtGenerator
from julnet_plugin.pipeline.habit import lip_habit
from trainer import lipshape
from trainer.config import LipTraining
from trainer.dataset import Clip, DatasetError, select
from trainer.lipshape import (
    best_offset,
    correlation,
    drawn_codes,
    fit_lip_basis,
    gap_correlation,
    heard_codes,
    measure_offset,
    out_of_fold_codes,
    train_lip_encoder,
    windows_of,
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


def test_a_habit_that_no_sound_tells_is_not_learnt_as_speech(
    clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One who always holds the lips in a way of their own changes little of what is heard of others."""
    basis = fit_lip_basis(clips, 3)
    held = [select(clip, slice(None)) for clip in clips]
    closed = closed_shape(clips[0].lips)  # which moves along with a habit, so that codes are moved instead
    monkeypatch.setattr(lipshape, "closed_shape", lambda lips: closed if lips is held[0].lips else closed_shape(lips))
    held[0].lips = held[0].lips + basis.decode(np.eye(3, dtype=np.float32)[1:2] * 3)
    plain = replace(TINY, habit=1e3)  # so unlikely that there is none
    missed = []
    for settings in (TINY, plain):
        encoder = train_lip_encoder(held, basis, settings)
        missed.append(float(np.mean([np.abs(heard_codes(encoder, clip)[:, 1].mean()) for clip in held[1:]])))
    assert missed[0] < 0.5 * missed[1]


def test_several_ears_hear_the_mean_of_what_each_hears(clips: list[Clip], tmp_path: Path) -> None:
    ended: list[tuple[int, int]] = []
    settings = replace(TINY, epochs=3)
    teacher = LipTeacher.taught(
        clips, [], settings, progress=lambda _, done, total: ended.append((done, total)), ears=2
    )
    assert ended == [(k, 6) for k in range(1, 7)]
    assert isinstance(teacher.encoder, LipEncoders)
    alone = [LipTeacher.taught(clips, [], replace(settings, seed=k)).encoder for k in range(2)]
    expected = np.mean([heard_codes(ear, clips[0]) for ear in alone], axis=0)
    assert np.abs(np.subtract(*(heard_codes(ear, clips[0]) for ear in alone))).max() > 1e-3
    np.testing.assert_allclose(heard_codes(teacher.encoder, clips[0]), expected, atol=1e-5)
    teacher.save(tmp_path / "lips.safetensors", "key")
    kept = LipTeacher.load(tmp_path / "lips.safetensors", "key", settings)
    assert kept is not None
    np.testing.assert_array_equal(heard_codes(kept.encoder, clips[0]), heard_codes(teacher.encoder, clips[0]))


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

    def heard(encoder: set[str], basis: LipBasis, clip: Clip, quiet: NDArray[np.float32]) -> set[str]:
        assert clip.header.speaker not in encoder
        return encoder

    monkeypatch.setattr(lipshape, "train_lip_encoder", taught)
    monkeypatch.setattr(lipshape, "drawn_codes", heard)
    codes = out_of_fold_codes(clips, fit_lip_basis(clips, 3), TINY, np.zeros(8, np.float32))
    assert len(codes) == len(clips)
    assert len(seen) == TINY.folds


def test_one_speaker_alone_is_folded_by_clips(make_clip: MakeClip) -> None:
    two = [make_clip(f"a{k}", "a", frames=60, seed=k, pictures=False) for k in range(2)]
    quiet = np.zeros(two[0].audio.shape[1], np.float32)
    codes = out_of_fold_codes(two, fit_lip_basis(two, 3), LipTraining(codes=3, width=16, epochs=1), quiet)
    assert [code.shape for code in codes] == [(60, 3), (60, 3)]


class Level(torch.nn.Module):
    """Hears three numbers of the features in the middle of a window."""

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        return audio[:, audio.shape[1] // 2, :3] * 0.3 + 0.5


def test_training_draws_the_lips_that_a_take_would_draw(clips: list[Clip]) -> None:
    """Closed where the sound is silence, and elsewhere as heard with the speaker's habit."""
    basis, clip, ear = fit_lip_basis(clips, 3), select(clips[0], slice(None)), Level()
    quiet = np.full(clip.audio.shape[1], 9.0, np.float32)
    clip.audio = np.where(np.arange(len(clip.audio))[:, None] < len(clip.audio) // 2, quiet, clip.audio)
    drawn = drawn_codes(ear, basis, clip, quiet)  # type: ignore[arg-type]
    net = RtGenerator(RtConfig(width=8, fine_width=4, audio_size=clip.audio.shape[1], codes=3, n_refs=2))
    net.audio_encoder = ear  # type: ignore[assignment]
    windows = torch.from_numpy(windows_of(clip))
    net.hear_silence(torch.from_numpy(np.tile(quiet, (windows.shape[1], 1))))
    lips, speech = (x.numpy() for x in net.hear_lips(windows))
    seen, closed = np.ones(len(clip), np.bool_), closed_shape(clip.lips)
    habit = lip_habit(clip.lips, closed, lips, speech[:, 0], seen, basis, clip.header.rate).shape
    np.testing.assert_allclose(drawn, lips + habit * speech, atol=1e-5)
    quarter = len(clip) // 4
    assert np.abs(drawn[:quarter]).max() < 1e-3
    assert np.abs(heard_codes(ear, clip)[:quarter]).min() > 1  # type: ignore[arg-type]


def test_nothing_to_learn_from_is_refused(clips: list[Clip]) -> None:
    with pytest.raises(DatasetError, match="nothing to learn from"):
        train_lip_encoder([], fit_lip_basis(clips, 3), TINY)


def test_a_silent_column_more_or_less_is_noticed_as_another_feature(make_clip: MakeClip, clips: list[Clip]) -> None:
    other = make_clip("o1", "o", pictures=False)
    other.header = replace(other.header, features="mine-7")
    with pytest.raises(DatasetError, match="several audio features"):
        LipTeacher.taught([*clips, other], [], TINY)


def test_gaps_are_measured_between_the_inner_lips(clips: list[Clip]) -> None:
    gap = inner_gap(clips[0].lips)
    assert gap.max() - gap.min() == pytest.approx(np.ptp(clips[0].lips[:, 45, 1]) / 0.8, rel=0.25)
