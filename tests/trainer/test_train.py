from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from julnet_plugin.errors import RedubCancelled, SettingsError
from julnet_plugin.model.generator import Generator, GeneratorOutput
from julnet_plugin.model.rt import RtConfig, RtGenerator
from julnet_plugin.model.wav2lip import Wav2LipConfig, Wav2LipGenerator
from trainer import loop
from trainer.batches import Batches
from trainer.config import DataSettings, LossSettings, OptimSettings, TrainSettings
from trainer.dataset import Clip
from trainer.lipshape import fit_lip_basis
from trainer.loop import STATE, Drawn, learning_rate_at, share_spent
from trainer.perceptual import load_perceptual_network
from trainer.state import read_average
from trainer.step import GeneratorLesson, render, trained_parameters
from trainer.teacher import LipTeacher
from trainer.team import Team
from trainer.train import train

MakeClip = Callable[..., Clip]
STEPS = 4
SETTINGS = TrainSettings(
    minutes=0,
    max_steps=STEPS,
    log_every=1,
    save_every_s=0,
    device="cpu",
    data=DataSettings(clips=1, frames=1),
    loss=LossSettings(adversarial=0.1, perceptual_full_every=2),
    optim=OptimSettings(warmup_steps=2),
)


class Killed(BaseException):
    """What a process does not survive: nothing may be done on the way out."""


@pytest.fixture(scope="module")
def clips(make_clip: MakeClip) -> list[Clip]:
    return [make_clip(f"{s}1", s, frames=40, seed=k) for k, s in enumerate("ab")]


@pytest.fixture(scope="module")
def batches(clips: list[Clip]) -> Batches:
    heard = [np.zeros((len(clip), 3), np.float32) for clip in clips]
    return Batches(clips, heard, fit_lip_basis(clips, 3), (208, 160), 2, SETTINGS.data)


def network() -> RtGenerator:
    torch.manual_seed(0)
    config = RtConfig(width=8, fine_width=8, codes=3, n_refs=2, crop_size=(208, 160))
    return RtGenerator(config).to(memory_format=torch.channels_last)


def killer(after: int, how: type[BaseException] = Killed) -> Callable[[str, int, int], None]:
    """A progress function that ends the run when so many steps are done."""
    calls = 0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise how

    return progress


def logged(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_a_run_that_is_killed_twice_ends_with_the_bits_and_the_log_of_one_that_is_not(
    batches: Batches, tmp_path: Path
) -> None:
    perceptual = load_perceptual_network("filterbank")
    unbroken = train(network(), batches, perceptual, SETTINGS, tmp_path / "unbroken")

    run = tmp_path / "killed"
    with pytest.raises(Killed):
        train(network(), batches, perceptual, SETTINGS, run, progress=killer(after=1))
    with pytest.raises(Killed):  # this time two steps pass that were never saved
        train(network(), batches, perceptual, replace(SETTINGS, save_every_s=1e6), run, progress=killer(after=2))
    resumed = train(network(), batches, perceptual, SETTINGS, run)

    assert all(torch.equal(unbroken.values[key], resumed.values[key]) for key in unbroken.values)
    assert logged(run) == logged(tmp_path / "unbroken")
    assert [row["step"] for row in logged(run)] == [1, 2, 3, 4]


def test_a_cancelled_run_keeps_every_step_it_did(batches: Batches, tmp_path: Path) -> None:
    lazy = replace(SETTINGS, save_every_s=1e6, loss=LossSettings(perceptual=0))
    with pytest.raises(RedubCancelled):
        train(network(), batches, None, lazy, tmp_path, progress=killer(2, RedubCancelled))
    facts, _ = read_average(tmp_path / STATE)
    assert facts["step"] == 2


def test_the_rate_warms_up_and_falls_to_its_end_over_the_budget() -> None:
    settings = replace(SETTINGS, max_steps=100)
    rates = [learning_rate_at(settings, step, share_spent(settings, step, 0.0)) for step in range(101)]
    assert rates[0] == pytest.approx(settings.optim.learning_rate / 2)
    assert max(rates) == pytest.approx(settings.optim.learning_rate, rel=0.01)
    assert rates[-1] == pytest.approx(settings.optim.final_rate)
    assert all(a >= b for a, b in itertools.pairwise(rates[2:]))


def test_time_counts_only_where_there_is_a_time_budget() -> None:
    assert share_spent(SETTINGS, 2, 1e9) == pytest.approx(0.5)
    assert share_spent(replace(SETTINGS, minutes=1.0), 1, 45.0) == pytest.approx(0.75)
    with pytest.raises(SettingsError, match="without an end"):
        replace(SETTINGS, max_steps=0)


def test_what_has_been_taught_on_landmarks_is_left_alone(clips: list[Clip], batches: Batches) -> None:
    net = network()
    before = {name: value.clone() for name, value in net.named_parameters()}
    GeneratorLesson(net.train(), None, SETTINGS).step([Drawn(batches.draw(0), 1)], 0, Team())
    moved = {name for name, value in net.named_parameters() if not torch.equal(value, before[name])}
    assert moved
    assert not any(name.startswith("audio_encoder.") for name in moved)


def test_one_part_learns_alone_and_the_rest_draws_as_in_a_take(batches: Batches) -> None:
    settings = replace(SETTINGS, loss=LossSettings(perceptual=0, pixel=0), optim=OptimSettings(only="uncertainty"))
    net = network()
    before = {name: value.clone() for name, value in net.named_parameters()}
    lesson = GeneratorLesson(net, None, settings)
    lesson.to(torch.device("cpu"), False)
    assert (net.training, net.uncertainty.training) == (False, True)
    lesson.step([Drawn(batches.draw(0), 1)], 0, Team())
    moved = {name for name, value in net.named_parameters() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith("uncertainty.") for name in moved)
    GeneratorLesson(net, None, SETTINGS).to(torch.device("cpu"), False)
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_a_part_that_does_not_exist_or_that_no_loss_reaches_is_refused(batches: Batches) -> None:
    with pytest.raises(
        SettingsError, match=r"optim\.only is 'doubt', and the network has no such part; it has .*uncert"
    ):
        GeneratorLesson(network(), None, replace(SETTINGS, optim=OptimSettings(only="doubt")))
    blind = replace(
        SETTINGS,
        loss=LossSettings(perceptual=0, nll=0, matching=0, error_head=0),
        optim=OptimSettings(only="uncertainty"),
    )
    with pytest.raises(SettingsError, match="no loss reaches uncertainty"):
        GeneratorLesson(network(), None, blind).step([Drawn(batches.draw(0), 1)], 0, Team())


def test_a_network_that_is_told_no_lip_shapes_learns_from_sound(batches: Batches) -> None:
    net = Wav2LipGenerator(Wav2LipConfig(width=4, audio_channels=8, n_refs=2))
    terms = GeneratorLesson(net.train(), None, SETTINGS).step([Drawn(batches.draw(0), 1)], 0, Team())
    assert len(trained_parameters(net)) == len(list(net.parameters()))
    assert all(math.isfinite(value) for value in terms.values())
    assert all(p.grad is not None for p in net.speech_encoder.parameters())


class Diverging(Generator):
    """Paints one grey; its loss or its gradient is whatever the test wants."""

    def __init__(self, loss: float = 1.0, gradient: float = 1.0) -> None:
        super().__init__()
        self.crop_size, self.audio_size, self.n_refs = (208, 160), 42, 2
        self.grey = nn.Parameter(torch.tensor(0.5))
        self.loss, self.gradient = loss, gradient
        self.grey.register_hook(lambda grad: grad * self.gradient)

    def encode_references(self, refs: Tensor, lips: Tensor | None = None) -> tuple[Tensor, ...]:
        return (refs,)

    def forward(self, masked_source: Tensor, mask: Tensor, audio: Tensor, refs: tuple[Tensor, ...]) -> GeneratorOutput:
        flat = torch.zeros_like(mask)
        return GeneratorOutput(masked_source + mask * self.grey * self.loss, flat, flat)


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_the_last_good_state(
    batches: Batches, tmp_path: Path
) -> None:
    plain = replace(SETTINGS, loss=LossSettings(perceptual=0))
    good = Diverging()
    with pytest.raises(RedubCancelled):
        train(good, batches, None, plain, tmp_path, progress=killer(2, RedubCancelled))
    saved = (tmp_path / STATE).read_bytes()
    with pytest.raises(FloatingPointError, match="loss became nan at step 2"):
        train(Diverging(loss=math.nan), batches, None, plain, tmp_path)
    assert (tmp_path / STATE).read_bytes() == saved


def test_one_gradient_that_is_not_finite_costs_a_step_and_ten_in_a_row_the_run(
    batches: Batches, tmp_path: Path
) -> None:
    plain = replace(SETTINGS, max_steps=50, loss=LossSettings(perceptual=0))
    net = Diverging(gradient=math.inf)
    terms = GeneratorLesson(net.train(), None, plain).step([Drawn(batches.draw(0), 1)], 0, Team())
    assert terms["skipped"] == 1
    assert float(net.grey.detach()) == 0.5
    with pytest.raises(FloatingPointError, match="last 10 steps"):
        train(net, batches, None, plain, tmp_path)


def test_the_weights_that_validate_best_are_handed_back_and_patience_ends_the_run(
    batches: Batches, tmp_path: Path
) -> None:
    scores = iter([0.0, 3.0, 1.0, 2.0, 9.0])
    seen: list[dict[str, Tensor]] = []

    def validate(weights: Mapping[str, Tensor]) -> dict[str, float]:
        seen.append({key: value.clone() for key, value in weights.items()})
        return {"score": next(scores)}

    settings = replace(
        SETTINGS, max_steps=40, validate_every=1, patience=2, loss=LossSettings(perceptual=0), save_every_s=1e6
    )
    ema = train(Diverging(), batches, None, settings, tmp_path, validate=validate)
    assert len(seen) == 4  # the start, the best, two misses
    assert torch.equal(ema.values["grey"], seen[1]["grey"])
    assert not torch.equal(ema.values["grey"], seen[3]["grey"])
    assert loop.is_over(tmp_path, settings)


def test_what_was_learnt_after_the_last_validation_is_validated_too(batches: Batches, tmp_path: Path) -> None:
    seen: list[float] = []

    def validate(weights: Mapping[str, Tensor]) -> dict[str, float]:
        seen.append(float(weights["grey"]))
        return {"score": float(len(seen))}  # the later the better

    settings = replace(SETTINGS, max_steps=5, validate_every=3, loss=LossSettings(perceptual=0), save_every_s=1e6)
    ema = train(Diverging(), batches, None, settings, tmp_path, validate=validate)
    assert len(seen) == 3  # the start, step 3, step 5
    assert float(ema.values["grey"]) == seen[-1]
    assert '"val_score": 3.0' in (tmp_path / loop.LOG).read_text()


def test_references_are_encoded_once_a_clip(clips: list[Clip]) -> None:
    heard = [np.zeros((len(clip), 3), np.float32) for clip in clips]
    pairs = Batches(clips, heard, fit_lip_basis(clips, 3), (208, 160), 2, DataSettings(clips=2, frames=3))
    net = network()
    LipTeacher(basis=fit_lip_basis(clips, 3), encoder=net.audio_encoder, mean=clips[0].lips[0], features="x").install(
        net
    )
    encoded: list[int] = []
    original = net.encode_references

    def counting(refs: Tensor, lips: Tensor | None = None) -> tuple[Tensor, ...]:
        encoded.append(len(refs))
        return original(refs, lips)

    net.encode_references = counting  # type: ignore[method-assign]
    assert render(net, pairs.draw(0)).image.shape[0] == 6
    assert encoded == [2]
