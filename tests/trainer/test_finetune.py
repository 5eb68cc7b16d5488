from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from julnet_plugin.cli import main
from julnet_plugin.errors import CheckpointError, ModelError
from julnet_plugin.manager import Manager, make_manager
from julnet_plugin.model.checkpoint import load_checkpoint, save_checkpoint
from julnet_plugin.model.generator import Generator
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.rt import RtConfig, RtGenerator
from julnet_plugin.model.syncnet import SyncNet, SyncNetConfig
from trainer import finetune as room
from trainer.config import LipTraining
from trainer.corpus import seconds_of
from trainer.dataset import Clip, DatasetError, write_clip
from trainer.distances import FilterBankDistance
from trainer.evaluation.reconstruction import Protocol
from trainer.finetune import finetune
from trainer.holdout import GAP_S, hold_out, work_folder
from trainer.recipe import load_recipe
from trainer.teacher import LipTeacher
from trainer.validate import Scores, Validation, score_network

pytestmark = pytest.mark.usefixtures("no_weights")

MakeClip = Callable[..., Clip]
LITTLE = Protocol(seconds=0.8)
TINY = [
    "train.minutes=0",
    "train.max_steps=4",
    "train.device='cpu'",
    "train.threads=1",
    "train.validate_every=0",
    "data.clips=1",
    "data.frames=1",
    "loss.perceptual=0",
]


@pytest.fixture(scope="module")
def manager() -> Manager:
    return make_manager(third_party=False)


@pytest.fixture(scope="module")
def actor(make_clip: MakeClip) -> list[Clip]:
    """Twenty seconds of one actor in two clips."""
    return [make_clip(f"mia{k}", "mia", frames=250, seed=k) for k in range(2)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, actor: list[Clip]) -> Path:
    """Weights of a tiny network that was taught lip shapes and nothing else."""
    torch.manual_seed(0)
    network = RtGenerator(RtConfig(width=8, fine_width=8, codes=3, n_refs=2, crop_size=(208, 160)))
    LipTeacher.taught(actor[:1], [], LipTraining(codes=3, epochs=2)).install(network)
    info = CheckpointInfo.of(network, architecture="rt", audio_feature="phone-42", step=100, data="somebody")
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    save_checkpoint(network, info, path)
    return path


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch, actor: list[Clip]) -> None:
    """Footage that is prepared already: tracking it is another test's business."""

    def fake(footage: Sequence[Path], folder: Path, *_: Any, **__: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for clip in actor:
            write_clip(clip, folder / f"{clip.header.name}.safetensors")

    monkeypatch.setattr(room, "prepare", fake)


def scored(monkeypatch: pytest.MonkeyPatch, psnr_after: float, distance_after: float) -> None:
    """Let the second judgement of a fine-tuning say this; the first one says 30 dB and 0.5. Both look at little."""
    monkeypatch.setattr(room, "JUDGED", LITTLE)
    judgements: list[Generator] = []
    original = room.score_network

    def score(network: Generator, clips: Sequence[Clip], *rest: Any, **known: Any) -> Scores | None:
        real = original(network, clips, *rest, **known)
        assert real is not None
        judgements.append(network)
        psnr, distance = (30.0, 0.5) if len(judgements) == 1 else (psnr_after, distance_after)
        return Scores(
            psnr=psnr, distance=distance, distance_name="test", spearman=0.1, frames=real.frames, pixels=real.pixels
        )

    monkeypatch.setattr(room, "score_network", score)


def test_held_out_seconds_are_never_learnt_from_nor_their_neighbours(actor: list[Clip]) -> None:
    split = hold_out(actor)
    held = [*split.judge, *split.choose]
    for clip in split.learn:
        for other in held:
            if other.header.source == clip.header.source:
                assert other.times_s.min() - clip.times_s.max() >= GAP_S - 1e-6
    assert seconds_of(split.judge) >= 2.6
    assert seconds_of(split.choose) >= 2.6
    assert seconds_of(split.learn) >= 10


def test_many_short_clips_are_held_out_whole(make_clip: MakeClip) -> None:
    short = [make_clip(f"s{k}", "mia", frames=75, seed=k) for k in range(8)]
    split = hold_out(short)
    names = [clip.header.name for part in (split.learn, split.choose, split.judge) for clip in part]
    assert sorted(names) == sorted(clip.header.name for clip in short)
    assert split.judge


def test_too_little_footage_of_the_actor_is_refused_with_what_is_needed(make_clip: MakeClip) -> None:
    with pytest.raises(DatasetError, match=r"there are 8.0 s of usable footage of this person, about 16 s are needed"):
        hold_out([make_clip(frames=200)])


@pytest.mark.usefixtures("prepared")
def test_a_model_that_measures_better_is_handed_back_with_both_scores(
    base: Path, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, psnr_after=31.0, distance_after=0.4)
    output = tmp_path / "models" / "mia.safetensors"
    done = finetune([tmp_path], output, load_recipe("finetune", TINY), manager, base=base)
    info, network = load_checkpoint(output, manager.generator)
    assert info.scores == {
        "heldout_psnr_before": 30.0,
        "heldout_test_before": 0.5,
        "heldout_spearman_before": 0.1,
        "heldout_psnr_after": 31.0,
        "heldout_test_after": 0.4,
        "heldout_spearman_after": 0.1,
    }
    assert info.step > 100
    assert info.data.startswith("somebody; fine-tuned on 13 s of mia")
    assert len(info.calibration) > 1
    assert done.pictures.exists()
    assert json.loads(done.report.read_text())["held_out_s"] == pytest.approx(3.0, abs=0.1)
    assert "30.00" in done.text()
    _, before = load_checkpoint(base, manager.generator)
    assert isinstance(network, RtGenerator)
    assert isinstance(before, RtGenerator)
    assert not torch.equal(network.paint.weight, before.paint.weight)
    assert torch.equal(network.audio_encoder.head[1].weight, before.audio_encoder.head[1].weight)


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(("psnr", "distance"), [(29.0, 0.4), (31.0, 0.6), (30.0, 0.5)])
def test_a_model_that_does_not_measure_better_is_not_written(
    base: Path, tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch, psnr: float, distance: float
) -> None:
    scored(monkeypatch, psnr, distance)
    monkeypatch.setattr(room, "_learn", lambda *_: 0)
    output = tmp_path / "mia.safetensors"
    with pytest.raises(ModelError, match=r"does not measure better than .* no model was written") as refused:
        finetune([tmp_path], output, load_recipe("finetune", TINY), manager, base=base)
    assert "\n" not in str(refused.value)
    assert not output.exists()
    assert (work_folder(output) / "before_after.png").exists()


@pytest.mark.usefixtures("prepared")
def test_the_verb_says_so_in_one_sentence_and_exits_with_1(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scored(monkeypatch, 29.0, 0.6)
    monkeypatch.setattr(room, "_learn", lambda *_: 0)
    code = main(
        ["finetune", str(tmp_path), "--from", str(base), "-o", str(tmp_path / "m.safetensors"), "--max-steps", "2"]
    )
    assert code == 1
    assert "PSNR 30.00 dB before, 29.00 after" in capsys.readouterr().err
    assert main(["finetune", "x.mov", "-o", str(tmp_path / "m.pt")]) == 2
    assert "weights are .safetensors files" in capsys.readouterr().err


def test_only_a_generator_can_be_fine_tuned(tmp_path: Path, manager: Manager) -> None:
    judge = SyncNet(SyncNetConfig(width=4, audio_size=42, image_size=(32, 32), embedding=16))
    info = CheckpointInfo.of(judge, kind="syncnet", architecture="syncnet", audio_feature="phone-42")
    save_checkpoint(judge, info, tmp_path / "s.safetensors")
    with pytest.raises(CheckpointError, match="a generator is needed"):
        finetune([tmp_path], tmp_path / "m.safetensors", load_recipe("finetune", TINY), manager,
                 base=tmp_path / "s.safetensors")  # fmt: skip


# -- scores -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def network(base: Path, manager: Manager) -> Generator:
    _, found = load_checkpoint(base, manager.generator)
    assert isinstance(found, Generator)
    return found


def test_a_perfect_network_scores_perfectly(make_clip: MakeClip, network: Generator) -> None:
    clip = make_clip(frames=60)
    clip.lips[:], clip.jpeg = clip.lips[:1], clip.jpeg[:1] * 60  # nothing moves, so any reference is the answer
    still = score_network(network, [clip], FilterBankDistance(), protocol=LITTLE)
    moving = score_network(network, [make_clip(frames=60, seed=3)], FilterBankDistance(), protocol=LITTLE)
    assert still is not None
    assert moving is not None
    assert still.psnr > moving.psnr
    assert still.distance < moving.distance


def test_validation_counts_from_where_training_starts(make_clip: MakeClip, network: Generator) -> None:
    validation = Validation(network, [make_clip(frames=60)], FilterBankDistance(), (208, 160), LITTLE)
    assert validation.possible
    weights = network.state_dict()
    assert validation(weights)["score"] == 0.0
    worse = copy.deepcopy(network)
    with torch.no_grad():
        next(p for name, p in worse.named_parameters() if name == "motion.bias").add_(
            torch.tensor([9.0, -9.0] * 2 + [0.0] * 3)
        )
    assert validation(worse.state_dict())["score"] < 0
    assert not Validation(network, [make_clip(frames=20)], FilterBankDistance(), (208, 160)).possible


def test_a_decibel_counts_as_much_as_a_tenth_of_the_distance() -> None:
    def made(psnr: float, distance: float) -> Scores:
        return Scores(psnr=psnr, distance=distance, distance_name="d", spearman=float("nan"), frames=1)

    before = made(30, 0.5)
    assert made(31, 0.5).gain_over(before) == pytest.approx(1)
    assert made(30, 0.45).gain_over(before) == pytest.approx(1)
    assert "spearman" not in before.to_json()
    assert np.isnan(before.spearman)
