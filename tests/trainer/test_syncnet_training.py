from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from julnet_plugin.cli import main
from julnet_plugin.errors import RedubCancelled, SettingsError
from julnet_plugin.manager import Manager, make_manager
from julnet_plugin.model.checkpoint import load_checkpoint, save_checkpoint
from julnet_plugin.model.info import CheckpointInfo
from julnet_plugin.model.rt import RtConfig, RtGenerator
from julnet_plugin.model.syncnet import SyncNet, SyncNetConfig
from trainer.config import SyncTraining
from trainer.dataset import Clip, DatasetError, write_clip
from trainer.lipshape import fit_lip_basis
from trainer.recipe import load_recipe
from trainer.splits import choosing_speakers
from trainer.syncnet.accuracy import sync_accuracy
from trainer.syncnet.pairs import Pairs
from trainer.syncnet.run import train_syncnet
from trainer.syncnet.views import steady_frames, views_of

MakeClip = Callable[..., Clip]
TINY = SyncNetConfig(image_size=(16, 16), width=4, embedding=16)
SETTINGS = [
    "train.minutes=0",
    "train.max_steps=4",
    "train.validate_every=2",
    "train.log_every=1",
    "train.threads=1",
    "train.device='cpu'",
    "network.image_size=[16,16]",
    "network.width=4",
    "network.embedding=16",
    "lips.codes=3",
    "sync.clips=2",
    "sync.moments=3",
]


@pytest.fixture(scope="module")
def manager() -> Manager:
    return make_manager(third_party=False)


@pytest.fixture(scope="module")
def talkers(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    """Three speakers to learn from and one, long enough for questions over a second, who is held out."""
    folder = tmp_path_factory.mktemp("talkers")
    for k, speaker in enumerate(("ann", "bob", "cy")):
        write_clip(make_clip(f"{speaker}1", speaker, frames=90, seed=k), folder / f"{speaker}1.safetensors")
    write_clip(make_clip("dee1", "dee", frames=70, seed=7, split="val"), folder / "dee1.safetensors")
    return folder


def test_every_moment_of_a_batch_is_wrong_for_other_clips_and_for_other_times_of_its_own(make_clip: MakeClip) -> None:
    clips = [make_clip(f"{s}1", s, frames=60, seed=k) for k, s in enumerate("ab")]
    basis = fit_lip_basis(clips, 3)
    views = [view for clip in clips if (view := views_of(clip, SyncNet(TINY), basis)) is not None]
    pairs = Pairs(views, SyncTraining(clips=2, moments=6, apart_s=0.2), basis)
    batch = pairs.draw(0)
    assert batch.pictures.shape == (12, 5, 3, 16, 16)
    assert batch.audio.shape == (12, 21, 42)
    assert batch.lips.shape == (12, 15)
    assert batch.wrong[:6, 6:].all()
    assert batch.wrong[6:, :6].all()
    own = batch.wrong[:6, :6]
    assert not own.diagonal().any()
    assert own.any()
    assert torch.equal(own, own.T)
    again = pairs.draw(0)
    assert all(torch.equal(a, b) for a, b in zip(batch, again, strict=True))
    assert not torch.equal(batch.pictures, pairs.draw(1).pictures)


def test_footage_of_any_rate_is_seen_at_25_pictures_a_second_and_never_across_a_gap(make_clip: MakeClip) -> None:
    assert np.array_equal(steady_frames(np.arange(120) / 60.0)[:4], [0, 2, 5, 7])
    assert np.array_equal(steady_frames(np.arange(30) / 15.0), np.arange(30))
    clip = make_clip("a1", "a", frames=40)
    clip.times_s[20:] += 1.0
    views = views_of(clip, SyncNet(TINY))
    assert views is not None
    assert set(views.middles) == {*range(2, 18), *range(22, 38)}


def test_a_network_that_hears_what_it_sees_is_always_right_and_a_deaf_one_guesses(make_clip: MakeClip) -> None:
    class Telling(SyncNet):
        """Embeds how dark the mouth is, and how open the sound's first column says it is."""

        def embed_pictures(self, pictures: torch.Tensor) -> torch.Tensor:
            dark = 1 - pictures[:, 2].mean(dim=(1, 2, 3))
            return torch.stack([dark, dark * 0], dim=1) * 100

        def embed_audio(self, audio: torch.Tensor) -> torch.Tensor:
            opening = (audio[:, 10, 0] + 1) / 10
            return torch.stack([opening * 0 + scale(opening), opening * 0], dim=1) * 100

    clip = make_clip("a1", "a", frames=100, seed=3)
    views = views_of(clip, SyncNet(TINY))
    assert views is not None
    dark = 1 - views.pictures[2:-2].mean(axis=(1, 2, 3)) / 255
    heard = (views.windows(views.middles)[:, 10, 0] + 1) / 10
    slope, offset = np.polyfit(heard, dark, 1)

    def scale(opening: torch.Tensor) -> torch.Tensor:
        return opening * float(slope) + float(offset)

    told = sync_accuracy(Telling(TINY), [views])
    assert told is not None
    assert told.headline > 0.95
    assert told.questions == 2 * len(range(10, 96 - 35 + 1, 5))
    deaf = sync_accuracy(SyncNet(TINY).eval(), [views])
    assert deaf is not None
    assert deaf.headline < told.headline
    assert "over 1 s" in told.text()


def test_a_dataset_becomes_a_judge_that_says_how_good_it_is(talkers: Path, tmp_path: Path, manager: Manager) -> None:
    done = train_syncnet(talkers, tmp_path / "run", load_recipe("syncnet", SETTINGS), manager)
    info, network = load_checkpoint(done.model)
    assert isinstance(network, SyncNet)
    assert (info.kind, info.audio_feature, info.step) == ("syncnet", "phone-42", 4)
    assert 0 <= info.scores["val_accuracy_10_frames"] <= 1
    assert done.accuracy is not None
    assert (tmp_path / "run" / "report.json").exists()


def test_evaluate_reports_a_judge_and_uses_it_for_lse(
    talkers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    judge = tmp_path / "judge.safetensors"
    known = CheckpointInfo.of(SyncNet(TINY), kind="syncnet", architecture="syncnet", audio_feature="phone-42")
    save_checkpoint(SyncNet(TINY), known, judge)
    common = ["--data", str(talkers), "--no-plugins", "--json"]
    assert main(["evaluate", str(judge), "-o", str(tmp_path / "own"), *common]) == 0
    headline = json.loads(capsys.readouterr().out.splitlines()[-1])["headline"]
    assert 0 <= headline["accuracy_10_frames_over_1_s"] <= 1
    assert "true against ±10 frames" in (tmp_path / "own" / "report.md").read_text("utf-8")

    monkeypatch.setenv("JULNET_SYNCNET", str(judge))
    network = RtGenerator(RtConfig(width=24, crop_size=(208, 160), n_refs=2, audio_size=42))
    model = tmp_path / "tiny.safetensors"
    save_checkpoint(network, CheckpointInfo.of(network, architecture="rt", audio_feature="phone-42"), model)
    assert main(["evaluate", str(model), "-o", str(tmp_path / "rt"), "--no-landmarks", "--device", "cpu", *common]) == 0
    text = (tmp_path / "rt" / "report.md").read_text("utf-8")
    assert "LSE-D" in text
    assert "tells the truth's own sound" in text
    row = next(line for line in text.splitlines() if line.startswith("| *ground truth*"))
    assert any(character.isdigit() for character in row)


def test_a_run_that_is_stopped_and_resumed_ends_with_the_bits_of_one_that_is_not(
    talkers: Path, tmp_path: Path, manager: Manager
) -> None:
    recipe = load_recipe("syncnet", SETTINGS)
    recipe = replace(recipe, train=replace(recipe.train, validate_every=0))
    whole = train_syncnet(talkers, tmp_path / "whole", recipe, manager)
    asked = 0

    def stop(stage: str, done: int, total: int) -> None:
        nonlocal asked
        asked += stage == "train"
        if asked == 3:
            raise RedubCancelled

    with pytest.raises(RedubCancelled):
        train_syncnet(talkers, tmp_path / "broken", recipe, manager, progress=stop)
    resumed = train_syncnet(talkers, tmp_path / "broken", recipe, manager, resume=True)
    mine, theirs = (load_file(done.model) for done in (whole, resumed))
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)


def test_the_speakers_that_choose_the_weights_are_not_learnt_from(make_clip: MakeClip) -> None:
    clips = [make_clip(f"{s}{k}", s, frames=20) for s in "abcdefghij" for k in range(2)]
    taught, choosing = choosing_speakers(clips, 0.2)
    assert {c.header.speaker for c in taught}.isdisjoint(c.header.speaker for c in choosing)
    assert len({c.header.speaker for c in choosing}) == 2
    assert choosing_speakers(clips, 0.0)[1] == []


def test_too_little_footage_and_a_wrong_network_are_refused(
    tmp_path: Path, talkers: Path, make_clip: MakeClip, manager: Manager
) -> None:
    write_clip(make_clip("a1", "a", frames=260), tmp_path / "a1.safetensors")
    with pytest.raises(DatasetError, match="1 clips hold 6 frames"):
        train_syncnet(tmp_path, tmp_path / "run", load_recipe("syncnet", SETTINGS), manager)
    with pytest.raises(SettingsError, match="multiple of 16"):
        train_syncnet(
            talkers, tmp_path / "other", load_recipe("syncnet", [*SETTINGS, "network.image_size=[20,20]"]), manager
        )
