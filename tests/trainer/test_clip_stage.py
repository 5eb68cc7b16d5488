"""The clip stage: pictures in a row, a judge of clips, the lip-sync loss; and the sizes of the stages before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from julnet_plugin.errors import CheckpointError, SettingsError
from julnet_plugin.model.checkpoint import save_checkpoint
from julnet_plugin.model.generator import GeneratorOutput
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.paper import PaperConfig, PaperGenerator
from julnet_plugin.model.syncnet import SyncNet, SyncNetConfig
from trainer import stages
from trainer.batches import Batch, Batches, _in_row
from trainer.config import DataSettings, LossSettings, TrainSettings
from trainer.dataset import Clip
from trainer.lipshape import fit_lip_basis
from trainer.loop import Drawn
from trainer.recipe import load_recipe
from trainer.step import GeneratorLesson, generator_losses, judged_box, render, sync_scores
from trainer.team import Team

MakeClip = Callable[..., Clip]
ROW = DataSettings(clips=2, frames=5, in_row=True, decoded_gb=0)
SETTINGS = TrainSettings(
    device="cpu",
    data=ROW,
    loss=LossSettings(perceptual=0, adversarial=0.5, adversarial_clip=0.5, sync=0.1, syncnet="judge.safetensors"),
)


def judge() -> SyncNet:
    torch.manual_seed(1)
    return SyncNet(SyncNetConfig(image_size=(16, 16), width=4, embedding=16))


def paper(size: tuple[int, int] = (104, 80)) -> PaperGenerator:
    torch.manual_seed(0)
    return PaperGenerator(PaperConfig(width=4, deform_blocks=0, crop_size=size, n_refs=2))


def batches_of(clips: list[Clip], size: tuple[int, int] = (104, 80), data: DataSettings = ROW) -> Batches:
    heard = [np.zeros((len(clip), 3), np.float32) for clip in clips]
    return Batches(clips, heard, fit_lip_basis(clips, 3), size, 2, data)


@pytest.fixture(scope="module")
def clips(make_clip: MakeClip) -> list[Clip]:
    return [make_clip(f"{s}1", s, frames=40, seed=k) for k, s in enumerate("ab")]


@pytest.mark.parametrize("rate", [25.0, 50.0, 29.97])
def test_targets_in_a_row_are_a_twenty_fifth_of_a_second_apart_at_any_rate_and_never_across_a_gap(rate: float) -> None:
    times = np.arange(90) / rate
    times[45:] += 2.0
    for seed in range(20):
        chosen = _in_row(times, 5, np.random.default_rng(seed))
        apart = np.diff(times[chosen])
        assert np.abs(times[chosen] - times[chosen[0]] - np.arange(5) / 25).max() < 0.03
        assert apart.min() > 0
        assert apart.max() < 0.1


def test_every_judge_and_the_syncnet_move_the_generator_and_the_frozen_one_stays(clips: list[Clip]) -> None:
    net, syncnet = paper(), judge()
    frozen = {name: value.clone() for name, value in syncnet.state_dict().items()}
    lesson = GeneratorLesson(net, None, SETTINGS, syncnet)
    lesson.to(torch.device("cpu"), False)
    before = {name: value.clone() for name, value in net.named_parameters()}
    judges = {name: value.clone() for name, value in lesson.companions["adversary"][0].named_parameters()}
    terms = lesson.step([Drawn(batches_of(clips).draw(0), 1)], 0, Team())
    assert {"adversarial", "adversarial_clip", "sync", "discriminator", "uncertainty", "matching"} <= terms.keys()
    assert any(not torch.equal(value, before[name]) for name, value in net.named_parameters())
    after = dict(lesson.companions["adversary"][0].named_parameters())
    for kind in ("picture", "clip"):
        assert any(not torch.equal(after[name], judges[name]) for name in judges if name.startswith(kind))
    assert all(torch.equal(value, frozen[name]) for name, value in syncnet.state_dict().items())


def test_the_sync_loss_sees_each_clips_pictures_in_order_with_the_sound_of_the_middle_one(clips: list[Clip]) -> None:
    syncnet, batch = judge().eval(), batches_of(clips).draw(0)
    scores = sync_scores(syncnet, batch.target, batch)
    by_hand = [
        syncnet(syncnet.mouth_view(batch.target[k * 5 : k * 5 + 5])[None], batch.audio[k * 5 + 2][None])
        for k in range(2)
    ]
    assert torch.allclose(scores, torch.cat(by_hand), atol=1e-6)
    image = batch.target.clone().requires_grad_()
    (1 - sync_scores(syncnet, image, batch)).square().mean().backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    assert float(image.grad.abs().sum()) > 0


def test_accumulated_batches_give_the_gradient_of_their_mean(clips: list[Clip]) -> None:
    plain = replace(SETTINGS, loss=LossSettings(perceptual=0), data=replace(ROW, in_row=False))
    draws = [Drawn(batches_of(clips).draw(k), k) for k in range(2)]

    def gradients(drawn: list[Drawn]) -> list[torch.Tensor]:
        net = paper().eval()  # batch normalisation would see each batch alone in either case
        lesson = GeneratorLesson(net, None, replace(plain, optim=replace(plain.optim, clip_norm=1e6)))
        lesson.step(drawn, 0, Team())
        return [p.grad.clone() for p in net.parameters() if p.grad is not None]

    both, first, second = gradients(draws), gradients(draws[:1]), gradients(draws[1:])
    for together, a, b in zip(both, first, second, strict=True):
        assert torch.allclose(together, (a + b) / 2, atol=1e-6)


def test_a_recipe_goes_from_64_to_128_to_256_and_to_clips() -> None:
    recipe = load_recipe("paper")
    found = [recipe.stage(k) for k in range(len(recipe.stages))]
    assert [stages.picture_size(paper((416, 320)), stage) for stage in found] == [
        (104, 80),
        (208, 160),
        (416, 320),
        (416, 320),
    ]
    assert [stage.data.in_row for stage in found] == [False, False, False, True]
    loss = found[3].loss
    assert (loss.uncertainty, loss.adversarial, loss.perceptual, loss.pixel) == (1.0, 1.0, 10.0, 0.0)
    assert loss.adversarial_clip == 1.0


@pytest.mark.parametrize("size", [(104, 80), (208, 160)])
def test_one_network_paints_every_size_of_its_stages(clips: list[Clip], size: tuple[int, int]) -> None:
    alone = replace(ROW, clips=1, frames=1, in_row=False)
    assert render(paper((416, 320)), batches_of(clips, size, alone).draw(0)).image.shape[-2:] == size


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        ({"bins": 9}, {"matching"}),
        ({"spacing": "linear"}, {"matching"}),
        ({"width": 1.0}, {"matching"}),
        ({"direction": "sigma||error"}, {"matching"}),
        ({"variant": "sednet"}, {"matching"}),
        ({"inliers": 1.0}, {"uncertainty"}),
        ({"halo": 0.1}, {"uncertainty"}),
    ],
)
def test_every_reading_of_the_uncertainty_loss_that_a_recipe_may_choose_moves_its_own_term(
    changes: dict[str, Any], moved: set[str]
) -> None:
    torch.manual_seed(0)
    target, mask = torch.rand(1, 3, 52, 40), torch.zeros(1, 1, 52, 40)
    mask[..., 24:40, 10:30] = 1
    drawn = GeneratorOutput(torch.rand(1, 3, 52, 40), torch.rand(1, 1, 52, 40), torch.rand(1, 1, 52, 40).log())
    batch = Batch(target, mask, target[0, 0], target[None], target[0], target[0])
    plain = LossSettings(perceptual=0)
    before = generator_losses(drawn, batch, plain, None, full=False)
    after = generator_losses(drawn, batch, replace(plain, **changes), None, full=False)
    assert {name for name in before if not torch.allclose(before[name], after[name], rtol=1e-3)} == moved


@pytest.mark.parametrize(
    ("size", "seen"),
    [((416, 320), (192, 224)), ((208, 160), (96, 112)), ((104, 80), (64, 64)), ((52, 40), (52, 40))],
)
def test_the_judges_see_what_is_painted_and_no_more_than_a_patch_needs(
    size: tuple[int, int], seen: tuple[int, int]
) -> None:
    target = torch.zeros(1, 3, *size)
    batch = Batch(target, target[:, :1], target[0, 0], target[None], target[0], target[0])
    assert target[(..., *judged_box(batch))].shape[-2:] == seen


def test_the_network_is_compiled_where_that_is_asked_for(clips: list[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[object] = []

    def fake(function: Any) -> Any:
        compiled.append(function)
        return function

    monkeypatch.setattr(torch, "compile", fake)
    plain = replace(SETTINGS, loss=LossSettings(perceptual=0))
    GeneratorLesson(paper(), None, plain)
    assert compiled == []
    GeneratorLesson(paper(), None, replace(plain, compile=True))
    assert compiled == [render]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loss.sync=0.1", "data.in_row=true"], "give its weights as loss.syncnet"),
        (["loss.adversarial_clip=1"], "set data.in_row = true"),
        (["data.mouth=100"], "a multiple of 32"),
        (["loss.discriminator='huge'"], "one of light, dinet"),
        (["loss.direction='both'"], r"one of error\|\|sigma, sigma\|\|error"),
        (["train.accumulate=0"], "must lie between 1"),
    ],
)
def test_settings_that_cannot_work_together_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_recipe("wav2lip", overrides).stage(0)


def test_the_judge_of_the_sync_loss_must_be_one_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "judge.safetensors"
    info = CheckpointInfo.of(judge(), kind="syncnet", architecture="syncnet", audio_feature="phone-42")
    save_checkpoint(judge(), info, path)
    settings = replace(SETTINGS, loss=replace(SETTINGS.loss, syncnet=str(path)))
    assert isinstance(stages._syncnet(settings, "phone-42"), SyncNet)
    with pytest.raises(SettingsError, match="hears 'phone-42'"):
        stages._syncnet(settings, "mel-80")
    with pytest.raises(SettingsError, match=r"data\.frames = 5"):
        stages._syncnet(replace(settings, data=replace(ROW, frames=3)), "phone-42")
    other = tmp_path / "generator.safetensors"
    save_checkpoint(paper(), CheckpointInfo.of(paper(), architecture="paper", audio_feature="phone-42"), other)
    with pytest.raises(CheckpointError, match="needs a SyncNet"):
        stages._syncnet(replace(settings, loss=replace(SETTINGS.loss, syncnet=str(other))), "phone-42")
