"""What sees things in front of the mouth is taught by the trainer, and its numpy twin says the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from julnet_plugin.cli import main
from julnet_plugin.face import cover
from julnet_plugin.face.crop import mean_face, plan_crops, sample_crop
from trainer.config import CoverTraining, TrainSettings
from trainer.cover.__main__ import main as measure_main
from trainer.cover.batches import CoverBatches
from trainer.cover.drawing import cutout
from trainer.cover.faces import faces_of, head_in_crop
from trainer.cover.lesson import CoverLesson
from trainer.cover.measure import drawn_things
from trainer.cover.network import CoverNet, load_network, save_network
from trainer.cover.run import train_cover
from trainer.cover.visits import held, logits_of, score, seen_in, visit
from trainer.dataset import Clip, read_clip, write_clip
from trainer.loop import Drawn
from trainer.recipe import load_recipe
from trainer.team import Team

MakeClip = Callable[..., Clip]
SETTINGS = [
    "train.max_steps=4",
    "train.validate_every=2",
    "train.device='cpu'",
    "cover.batch=4",
    "cover.apart_s=0.4",
    "cover.choose=0.34",
    "cover.visits=2",
]


@pytest.fixture(scope="module")
def clips(dataset: Path) -> list[Clip]:
    return [read_clip(dataset / f"{name}1.safetensors") for name in ("ann", "bob", "cy")]


def test_the_network_that_learns_and_the_one_of_the_effect_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    network = CoverNet()
    with torch.no_grad():
        for value in network.parameters():
            value.mul_(2)
    save_network(network, tmp_path / "random.safetensors", {})
    monkeypatch.setattr(cover, "WEIGHTS", tmp_path / "random.safetensors")
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), np.uint8)
    faces[1] = cv2.GaussianBlur(faces[1], (0, 0), 4)
    logits = logits_of(load_network(tmp_path / "random.safetensors"), faces.astype(np.float32) / 255)
    assert np.ptp(logits) > 0.05
    for face, theirs in zip(faces, logits, strict=True):
        assert cover._where(face) == pytest.approx(1 / (1 + np.exp(-theirs)), abs=1e-3)


def test_a_stored_crop_gives_the_lower_face_that_the_plate_gives(make_clip: MakeClip) -> None:
    plate = np.asarray(cv2.GaussianBlur(data.astronaut(), (0, 0), 2), np.uint8)
    turn, roll = 0.35, 0.1
    yaw = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    rolled = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    landmarks = (90 * mean_face() @ (rolled @ yaw).T + [222, 80, 0]).astype(np.float32)
    plan = plan_crops(landmarks[None], np.ones(1, bool))
    there = cover.lower_face(plate, landmarks)
    for size in ((416, 320), (208, 160)):
        clip = make_clip(frames=1, size=size)
        clip.angles = plan.angles.astype(np.float32)
        crop = np.clip(sample_crop(plate, plan.plate_from_crop[0], size), 0, 255).astype(np.uint8)
        here = cover.lower_face(crop, head_in_crop(clip, 0))
        assert np.abs(here.astype(int) - there).mean() < 3
        assert np.abs(np.roll(here, 2, axis=1).astype(int) - there).mean() > 10


def test_equal_numbers_draw_equal_batches_and_half_of_the_faces_have_things_in_front(clips: list[Clip]) -> None:
    batches = CoverBatches(faces_of(clips, 0.4, 0), CoverTraining(batch=40), seed=1)
    batch = batches.draw(0)
    assert batch.faces.shape == (40, 3, 48, 48)
    assert batch.shares.shape == (40, 12, 12)
    assert batch.faces.min() >= 0
    assert batch.faces.max() <= 1
    assert 0.3 < (batch.shares.flatten(1).amax(dim=1) > 0.5).float().mean() < 0.8
    assert all(torch.equal(a, b) for a, b in zip(batch, batches.draw(0), strict=True))
    assert not torch.equal(batch.faces, batches.draw(1).faces)


def test_a_few_steps_on_one_batch_lower_its_loss(clips: list[Clip]) -> None:
    batch = CoverBatches(faces_of(clips, 0.4, 0), CoverTraining(batch=16)).draw(0)
    torch.manual_seed(0)
    lesson = CoverLesson(CoverNet(), 3.0, TrainSettings())
    lesson.to(torch.device("cpu"), False)
    before = lesson.loss(batch).item()
    for step in range(25):
        assert lesson.step([Drawn(batch, 0)], step, Team())["distance"] > 0
    assert lesson.loss(batch).item() < 0.8 * before


def test_a_dataset_becomes_weights_that_the_effect_can_use(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = train_cover(dataset, tmp_path / "run", load_recipe("cover", SETTINGS))
    assert done.step == 4
    assert done.scores is not None
    assert done.scores.clean_frames == 60
    assert (tmp_path / "run" / "report.json").exists()
    monkeypatch.setattr(cover, "WEIGHTS", done.model)
    assert cover._where(np.zeros((48, 48, 3), np.uint8)).shape == (12, 12)
    again = train_cover(dataset, tmp_path / "again", load_recipe("cover", SETTINGS))
    assert again.model.read_bytes() == done.model.read_bytes()


def test_who_sees_everything_holds_every_visit_and_nothing_else(make_clip: MakeClip) -> None:
    seen = seen_in(make_clip(frames=100, size=(208, 160)))
    rng = np.random.default_rng(0)
    thing = np.concatenate([np.zeros((40, 40, 3)), np.ones((40, 40, 1))], axis=2).astype(np.float32)
    visited = visit(seen, thing, rng)
    assert visited.covered.max() > 0.95
    assert visited.covered[[0, -1]].tolist() == [0, 0]
    logits = np.where(visited.covered > 0.3, 9.0, -9.0)[:, None, None] * np.ones((1, 12, 12))
    found = score([held(-9 * np.ones((100, 12, 12), np.float32), 25)], [(held(logits, 25), visited)])
    assert (found.clean_held, found.bad_held, found.visits_held) == (0, 1, 1)
    missed = score([], [(held(np.full((100, 12, 12), -9, np.float32), 25), visited)])
    assert (missed.bad_held, missed.visits_noticed) == (0, 0)
    assert "0.0 % of them were noticed" in missed.text()


def test_drawn_things_are_cut_out_and_come_in_all_sizes(clips: list[Clip]) -> None:
    faces = faces_of(clips, 0.4, 0)
    lower, piece = faces.lower[0].astype(np.float32) / 255, faces.pieces[0].astype(np.float32) / 255
    shares = []
    for number in range(60):
        thing = cutout(lower, lower, piece, np.random.default_rng(number))
        assert thing.shape == (48, 48, 4)
        assert thing.min() >= 0
        assert thing.max() <= 1
        shares.append(thing[..., 3].mean())
    assert min(shares) < 0.05
    assert max(shares) > 0.5
    assert all(0 < thing[..., 3].mean() < 1 for thing in drawn_things().values())


def test_weights_are_measured_by_a_command(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hand = np.zeros((20, 30, 4), np.uint8)
    cv2.circle(hand, (15, 10), 8, (90, 120, 180, 255), -1)
    cv2.imwrite(str(tmp_path / "hand.png"), hand)
    assert measure_main([str(dataset), "--things", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "of 60 frames without anything in front were held" in said
    assert {"hand", "microphone", "cup", "width 0.8"} <= set(said.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["EMPTY"], "holds no prepared clips"),
        (["ALONE"], "holds out no speaker"),
        (["GOOD", "--things", "EMPTY"], "holds no PNG"),
        (["GOOD", "--weights", "none.safetensors"], "is not a file"),
        (["GOOD", "--weights", "OTHER"], "does not hold weights of this network"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(
    arguments: list[str],
    message: str,
    dataset: Path,
    tmp_path: Path,
    make_clip: MakeClip,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = {name: tmp_path / name.lower() for name in ("EMPTY", "ALONE")}
    for path in paths.values():
        path.mkdir()
    write_clip(make_clip(frames=20), paths["ALONE"] / "a1.safetensors")
    paths |= {"GOOD": dataset, "OTHER": dataset / "ann1.safetensors"}
    assert measure_main([str(paths.get(a, a)) for a in arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_training_from_nothing_is_one_sentence(
    tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--recipe", "cover", "-o", str(tmp_path / "run"), "--no-plugins"]
    assert main(["train", str(tmp_path / "none"), *common]) == 2
    assert "is not a folder" in capsys.readouterr().err
    write_clip(make_clip(frames=260, size=(208, 160)), tmp_path / "a1.safetensors")
    assert main(["train", str(tmp_path), *common]) == 2
    assert "of different people are needed" in capsys.readouterr().err
    assert main(["train", str(tmp_path), *common, "--from", "rt"]) == 2
    assert "starts from nothing" in capsys.readouterr().err
