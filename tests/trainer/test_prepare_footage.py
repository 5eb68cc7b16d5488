from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from julnet_plugin.errors import InputError
from trainer import gates as g
from trainer.dataset import DatasetError
from trainer.footage import file_name, find_sources, read_index, speaker_of
from trainer.splits import assign_splits


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_movies_are_found_in_any_mix_of_files_and_folders(tmp_path: Path) -> None:
    touch(tmp_path / "day1/ann/a.mov", tmp_path / "day1/ann/deep/b.MP4", tmp_path / "day1/notes.txt")
    touch(tmp_path / "day1/.hidden/c.mov", tmp_path / "day1/._a.mov", tmp_path / "single.weird")
    found = find_sources([tmp_path / "day1", tmp_path / "single.weird", tmp_path / "day1/ann/a.mov"])
    assert [s.name for s in found] == ["ann/a.mov", "ann/deep/b.MP4", "single.weird"]
    assert [s.speaker for s in found] == ["ann", "ann", "single"]


def test_a_folder_of_numbered_pictures_is_one_piece_of_footage(tmp_path: Path) -> None:
    touch(*(tmp_path / f"shot/f.{k:04d}.png" for k in range(3)), tmp_path / "poster/one.jpg")
    assert [s.path.name for s in find_sources([tmp_path])] == ["shot"]


@pytest.mark.parametrize(
    ("file", "speaker"),
    [
        ("alice_02.mov", "alice"),
        ("alice take 3.mp4", "alice"),
        ("Zoë - Clip 12.mov", "Zoë"),
        ("mead-m003.mp4", "mead-m003"),
        ("007.mov", "007"),
        ("王_1.mov", "王"),
    ],
)
def test_a_speaker_is_the_name_without_its_number(file: str, speaker: str) -> None:
    assert speaker_of(Path(file)) == speaker


def test_files_of_one_name_in_two_folders_get_names_that_do_not_depend_on_each_other(tmp_path: Path) -> None:
    touch(tmp_path / "a/x.mov", tmp_path / "b/x.mov")
    both = find_sources([tmp_path / "a", tmp_path / "b"])
    again = find_sources([tmp_path / "b/x.mov", tmp_path / "a"])
    assert len({s.name for s in both}) == 2
    assert {s.name for s in both} == {s.name for s in again}


def test_file_names_are_safe_short_and_different() -> None:
    assert file_name('a/b:c*"d".mov') == "a__b__c__d__.mov"
    long, other = "é" * 200 + "1.mov", "é" * 200 + "2.mov"
    assert len(file_name(long).encode()) < 200
    assert file_name(long) != file_name(other)
    assert file_name("\udcff.mov")  # a name that is not UTF-8


def test_an_index_says_who_speaks_and_who_is_held_out(tmp_path: Path) -> None:
    touch(tmp_path / "v/a.mov", tmp_path / "v/b.mov", tmp_path / "v/c.mov")
    index = tmp_path / "index.csv"
    index.write_text("\ufefffile,speaker,split\nv/a.mov,ann,val\nv/b.mov,bob,lips\n", encoding="utf-8")
    found = {s.name: s for s in find_sources([tmp_path / "v"], index)}
    assert (found["a.mov"].speaker, found["a.mov"].split) == ("ann", "val")
    assert (found["b.mov"].split, found["b.mov"].lips_only) == ("train", True)
    assert (found["c.mov"].speaker, found["c.mov"].split) == ("c", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\tspeaker\nx\ty\n", "no column 'file'"),
        ("file\tspeaker\tsplit\na.mov\tann\ttest\n", "split 'test'; it must be one of train, val"),
        ("file\tspeaker\tsplit\na.mov\tann\ttrain\nb.mov\tann\tval\n", "'ann' in train and in val"),
    ],
)
def test_a_wrong_index_is_refused_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "index.tsv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_index(tmp_path / "index.tsv")


def test_an_index_that_was_moved_away_from_its_footage_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "v/a.mov", tmp_path / "elsewhere/index.csv")
    index = tmp_path / "elsewhere/index.csv"
    index.write_text("file,speaker,split\nv/a.mov,ann,val\n")
    with pytest.raises(DatasetError, match="names none of the footage: its paths count from its own folder"):
        find_sources([tmp_path / "v"], index)


def test_footage_that_an_index_does_not_name_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path / "a.mov", tmp_path / "b.mov", tmp_path / "index.csv")
    (tmp_path / "index.csv").write_text("file,speaker,split\na.mov,ann,val\n")
    find_sources([tmp_path], tmp_path / "index.csv")
    assert "does not name 1 of 2 pieces of footage" in caplog.text
    assert "b.mov" in caplog.text


def test_missing_or_empty_footage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no footage at"):
        find_sources([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="no movie was found"):
        find_sources([tmp_path])


def test_a_split_does_not_depend_on_order_and_keeps_its_sides_when_footage_is_added() -> None:
    speakers = [f"speaker {k}" for k in range(20)]
    first = assign_splits(speakers, {}, {}, 0.2)
    assert sum(split == "val" for split in first.values()) == 4
    assert assign_splits(speakers[::-1], {}, {}, 0.2) == first
    more = assign_splits([*speakers, *(f"new {k}" for k in range(20))], {}, first, 0.2)
    assert {s: more[s] for s in speakers} == first
    assert sum(split == "val" for split in more.values()) == 8


def test_few_speakers_are_all_learnt_from_and_an_index_has_the_last_word() -> None:
    assert set(assign_splits("abc", {}, {}, 0.1).values()) == {"train"}
    assert list(assign_splits("abcd", {}, {}, 0.1).values()).count("val") == 1
    assert assign_splits("abcdef", {"c": "val"}, {}, 0.5) == dict.fromkeys("abdef", "train") | {"c": "val"}
    with pytest.raises(DatasetError, match="prepare into a new folder"):
        assign_splits("ab", {"a": "val"}, {"a": "train"}, 0.1)


def test_every_frame_gets_the_first_reason_that_holds() -> None:
    found = np.array([False, True, True, True, True])
    inside = np.array([True, False, True, True, True])
    mouth, yaw = np.array([90.0, 90, 20, 90, 90]), np.radians([0.0, 0, 0, -50, 10])
    reasons = g.judge_frames(found, inside, mouth, yaw, g.Gates())
    assert reasons == [g.NO_FACE, g.OUT_OF_FRAME, g.TINY, g.PROFILE, ""]


def test_a_shot_is_named_after_what_is_wrong_with_most_of_its_frames() -> None:
    gates = g.Gates(min_frames=10)
    assert g.judge_shot([""] * 12, gates) == ("", "")
    assert g.judge_shot([""] * 5, gates)[0] == g.SHORT
    reason, detail = g.judge_shot([""] * 12 + [g.PROFILE] * 20 + [g.NO_FACE] * 3, gates)
    assert reason == g.PROFILE
    assert detail == "profile on 20 of 35 frames"


def test_blur_is_told_from_focus_and_moving_frames_from_still_ones() -> None:
    noise = np.random.default_rng(0).integers(60, 200, (208, 160, 3)).astype(np.uint8)
    flat = np.full((416, 320, 3), 128, np.uint8)
    assert g.sharpness(noise) > 100 > g.Gates().min_sharpness > g.sharpness(flat)
    sharp, why = g.judge_sharpness(np.array([40.0, 42, 5, 44], np.float32), g.Gates())
    assert (sharp.tolist(), why) == ([True, True, False, True], "")
    assert "median sharpness 2.0" in g.judge_sharpness(np.array([2.0, 2, 2], np.float32), g.Gates())[1]
